//! The macros of the SDK. Use them as `barograph::Label` and so on, by its feature `derive`.
//!
//! Each macro is a function from tokens to tokens in a file of its own, where it is tested; here they are declared.

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, parse_macro_input};

mod function;
mod label;

/// Makes an enum of plain variants a label whose values are its variants.
///
/// The label has the name of the enum, and each value that of its variant, both in `snake_case`;
/// `#[label(rename = "...")]` on the enum or on a variant gives another.
#[proc_macro_derive(Label, attributes(label))]
pub fn derive_label(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    label::derive_label(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct of labels a label set.
///
/// Each label has the name of its field; `#[label(rename = "...")]` on the field gives another.
#[proc_macro_derive(LabelSet, attributes(label))]
pub fn derive_label_set(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    label::derive_label_set(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Measures the calls of a function, as `barograph::calls` says: how often, how long, and how they ended.
///
/// The name is the path of the function unless it is given: `#[instrument(name = "orders.place")]`. If the function
/// returns a `Result`, an `Err` is a call that failed. An async function begins when it is first polled, and is
/// cancelled if it is dropped before it is done. A function that returns a future, rather than being async, is
/// measured until it has made the future.
///
/// A call costs two readings of the clock (30 to 80 ns together) and some 30 ns.
#[proc_macro_attribute]
pub fn instrument(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as function::Name);
    let item = parse_macro_input!(item as ItemFn);
    function::instrument(&arguments, &item).into()
}

/// Measures one handler of axum by itself: `#[instrument_route("/status")]`, and
/// `#[instrument_route("/orders", method = "POST")]` for another method than `GET`.
///
/// Where the layer `barograph::http::RequestsLayer` measures the request already, it is counted once, under the route
/// given here, which costs a short lock. The handler's answer becomes an `axum::response::Response`.
///
/// By itself it costs two readings of the clock, some 60 ns of recording, and a box around the body of the answer: 250 to
/// 350 ns together.
#[proc_macro_attribute]
pub fn instrument_route(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as function::Route);
    let item = parse_macro_input!(item as ItemFn);
    function::instrument_route(&arguments, &item).into()
}
