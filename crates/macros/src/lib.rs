//! The macros of the SDK. Use them as `barograph::Label` and `barograph::LabelSet`, by its feature `derive`.
//!
//! Each macro is a function from tokens to tokens in a file of its own, where it is tested; here they are declared.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

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
