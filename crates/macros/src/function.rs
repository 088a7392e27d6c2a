//! `#[instrument]` and `#[instrument_route]`: functions whose calls, or requests, are measured.
//!
//! The body stays as it is, inside of a closure or an async block, so that `return` and `?` end the body and not
//! what measures it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Error, Ident, ItemFn, LitStr, Result, ReturnType, Token, Type,
    parse::{Parse, ParseStream},
};

/// `name = "..."`, or nothing.
pub(crate) struct Name(Option<LitStr>);

impl Parse for Name {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = if input.is_empty() { None } else { Some(argument(input, "name")?) };
        Ok(Self(name))
    }
}

/// `"/path"`, and perhaps `method = "..."`.
pub(crate) struct Route {
    route: LitStr,
    method: Option<LitStr>,
}

impl Parse for Route {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let route: LitStr = input.parse()?;
        let comma: Option<Token![,]> = input.parse()?;
        let method =
            if comma.is_none() || input.is_empty() { None } else { Some(argument(input, "method")?) };
        Ok(Self { route, method })
    }
}

/// `name = "..."`, and perhaps a comma.
fn argument(input: ParseStream<'_>, name: &str) -> Result<LitStr> {
    let given: Ident = input.parse()?;
    if given != name {
        return Err(Error::new(given.span(), format!("expected `{name} = \"...\"`")));
    }
    input.parse::<Token![=]>()?;
    let value = input.parse()?;
    input.parse::<Option<Token![,]>>()?;
    Ok(value)
}

pub(crate) fn instrument(Name(name): &Name, item: &ItemFn) -> TokenStream {
    let ItemFn { attrs, vis, sig, block, .. } = item;
    let ident = sig.ident.to_string();
    let name = match name {
        Some(name) => quote!(#name),
        None => quote!(::core::concat!(::core::module_path!(), "::", #ident)),
    };
    let (typed, returns) = (typed(&sig.output), annotation(&sig.output));
    let (cancellable, value) = if sig.asyncness.is_some() {
        (quote!(.may_be_cancelled()), quote!(async move { #typed #block }.await))
    } else {
        (quote!(), quote!(::barograph::calls::expanded::run(move || #returns { #block })))
    };
    quote! {
        #(#attrs)* #vis #sig {
            static __FUNCTION: ::barograph::calls::StaticFunction = ::barograph::calls::StaticFunction::new(#name);
            let __call = __FUNCTION.get().call()#cancellable;
            let __value = #value;
            {
                #[allow(unused_imports)]
                use ::barograph::calls::expanded::{EndingOfAny as _, EndingOfResult as _, Returned};
                __call.finish((&Returned(&__value)).ending());
            }
            __value
        }
    }
}

pub(crate) fn instrument_route(Route { route, method }: &Route, item: &ItemFn) -> TokenStream {
    let ItemFn { attrs, vis, sig, block, .. } = item;
    let method = method.as_ref().map_or_else(|| quote!("GET"), |method| quote!(#method));
    let (typed, asyncness) = (typed(&sig.output), &sig.asyncness);
    let uses = uses(&sig.output);
    let mut sig = sig.clone();
    sig.output = syn::parse_quote!(-> ::barograph::http::Response);
    let answer = quote!(::barograph::http::answer(#method, #route, async move { #typed #block }));
    let answer =
        if asyncness.is_some() { quote!(#answer.await) } else { quote!(::barograph::http::now(#answer)) };
    quote! {
        #(#attrs)* #vis #sig {
            #uses
            #answer
        }
    }
}

/// A statement that tells an async block, which cannot be annotated, what it returns. It never runs.
fn typed(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Type(_, ty) if !is_opaque(ty) => quote! {
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            if false {
                return ::barograph::calls::expanded::typed::<#ty>();
            }
        },
        _ => quote!(),
    }
}

/// A use of the traits of a type that does not stand in the signature any more, so that their imports are used.
fn uses(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Type(_, ty) if is_opaque(ty) => quote! {
            #[allow(dead_code)]
            fn __returns(_: #ty) {}
        },
        _ => quote!(),
    }
}

/// What a closure returns, where that can be written.
fn annotation(output: &ReturnType) -> TokenStream {
    match output {
        ReturnType::Type(_, ty) if !is_opaque(ty) => quote!(-> #ty),
        _ => quote!(),
    }
}

/// Whether `impl` stands somewhere in a type, so that it can be written in a signature only.
fn is_opaque(ty: &Type) -> bool {
    fn has_impl(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            proc_macro2::TokenTree::Ident(ident) => ident == "impl",
            proc_macro2::TokenTree::Group(group) => has_impl(group.stream()),
            _ => false,
        })
    }
    has_impl(quote!(#ty))
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn opaque_types_are_not_repeated() {
        let check = |ty: Type, expected| assert_eq!(is_opaque(&ty), expected);
        check(parse_quote!(Result<u8, Error>), false);
        check(parse_quote!(impl Iterator<Item = u8>), true);
        check(parse_quote!(Result<(u8, impl Fn()), Error>), true);
    }

    #[test]
    fn arguments() {
        let check = |text: &str, expected: Option<&str>| {
            let problem = syn::parse_str::<Route>(text).err().map(|problem| problem.to_string());
            assert_eq!(problem.as_deref(), expected, "{text}");
        };
        check("\"/path\"", None);
        check("\"/path\", method = \"POST\",", None);
        check("\"/path\", verb = \"POST\"", Some("expected `method = \"...\"`"));
        check("7", Some("expected string literal"));
        assert!(syn::parse_str::<Name>("").is_ok() && syn::parse_str::<Name>("name = \"a\"").is_ok());
        assert!(syn::parse_str::<Name>("title = \"a\"").is_err());
    }
}
