//! `#[derive(Label)]` and `#[derive(LabelSet)]`: labels whose values are known when the program is compiled.
//!
//! A value has a dense index, the place of its variant, and a label set the index of its values as digits of a mixed
//! radix; so a family looks a series up by one index into one array.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Attribute, Data, DataEnum, DeriveInput, Error, Fields, LitStr, Result, ext::IdentExt};

/// An implementation of `barograph::Label`.
pub(crate) fn derive_label(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(DataEnum { variants, .. }) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "a label is an enum, whose variants are its values"));
    };
    no_generics(input)?;
    if variants.is_empty() {
        return Err(Error::new_spanned(&input.ident, "a label has at least one value"));
    }
    let mut values: Vec<LitStr> = Vec::new();
    for variant in variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(&variant.fields, "the value of a label has no fields"));
        }
        let value = named(&variant.attrs, &variant.ident)?;
        if values.iter().any(|other| other.value() == value.value()) {
            return Err(Error::new(value.span(), format!("the value \"{}\" stands twice", value.value())));
        }
        values.push(value);
    }
    let (this, name) = (&input.ident, named(&input.attrs, &input.ident)?);
    let variants = variants.iter().map(|variant| &variant.ident);
    let places = 0..values.len();
    Ok(quote! {
        #[automatically_derived]
        impl ::barograph::Label for #this {
            const NAME: &'static str = #name;
            const VALUES: &'static [&'static str] = &[#(#values),*];

            #[inline]
            fn index(self) -> usize {
                match self {
                    #(Self::#variants => #places,)*
                }
            }
        }
    })
}

/// An implementation of `barograph::LabelSet`.
pub(crate) fn derive_label_set(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "a label set is a struct, whose fields are its labels"));
    };
    no_generics(input)?;
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "the fields of a label set have names"));
    };
    let mut names: Vec<LitStr> = Vec::new();
    for field in &fields.named {
        let name = named(&field.attrs, field.ident.as_ref().unwrap_or(&input.ident))?;
        if names.iter().any(|other| other.value() == name.value()) {
            return Err(Error::new(name.span(), format!("the label \"{}\" stands twice", name.value())));
        }
        names.push(name);
    }
    if names.is_empty() {
        return Err(Error::new_spanned(&input.ident, "a label set has at least one label"));
    }
    let this = &input.ident;
    let labels: Vec<_> = fields.named.iter().map(|field| &field.ident).collect();
    let types: Vec<_> = fields.named.iter().map(|field| &field.ty).collect();
    Ok(quote! {
        #[automatically_derived]
        impl ::barograph::LabelSet for #this {
            const LABELS: &'static [(&'static str, &'static [&'static str])] =
                &[#((#names, <#types as ::barograph::Label>::VALUES)),*];

            #[inline]
            fn index(self) -> usize {
                let index = 0;
                #(
                    let index = index * <#types as ::barograph::Label>::VALUES.len()
                        + ::barograph::Label::index(self.#labels);
                )*
                index
            }
        }
    })
}

fn no_generics(input: &DeriveInput) -> Result<()> {
    match input.generics.params.first() {
        Some(parameter) => Err(Error::new_spanned(parameter, "labels have no parameters")),
        None => Ok(()),
    }
}

/// The name that `#[label(rename = "...")]` gives, else the identifier in snake case.
fn named(attributes: &[Attribute], ident: &Ident) -> Result<LitStr> {
    let mut renamed = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("label")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("rename") {
                return Err(meta.error("only `rename = \"...\"` is known here"));
            }
            let given: LitStr = meta.value()?.parse()?;
            if given.value().is_empty() {
                return Err(Error::new(given.span(), "a name has letters"));
            }
            match renamed.replace(given) {
                Some(_) => Err(meta.error("it is renamed twice")),
                None => Ok(()),
            }
        })?;
    }
    let own = || LitStr::new(&snake_case(&ident.unraw().to_string()), Span::call_site());
    Ok(renamed.unwrap_or_else(own))
}

/// `NotFound` as `not_found`, `HTTPError` as `http_error`, `Http2` as `http2`.
fn snake_case(ident: &str) -> String {
    let letters: Vec<char> = ident.chars().collect();
    let mut snake = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let after = i.checked_sub(1).map(|before| letters[before]);
        let word_ends = after.is_some_and(|after| after.is_lowercase() || after.is_numeric());
        let word_starts = after.is_some_and(|after| after != '_')
            && letters.get(i + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && (word_ends || word_starts) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    type Derive = fn(&DeriveInput) -> Result<TokenStream>;

    fn derived(derive: Derive, input: &str) -> std::result::Result<String, String> {
        let input: DeriveInput = syn::parse_str(input).expect("the input is Rust");
        derive(&input).map(|tokens| tokens.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn values_have_the_names_of_their_variants() {
        let tokens = "enum Outcome { Ok, #[label(rename = \"404\")] NotFound, r#Type, HTTPError }";
        let tokens = derived(derive_label, tokens).unwrap();
        assert!(tokens.contains("const NAME : & 'static str = \"outcome\""), "{tokens}");
        assert!(tokens.contains("& [\"ok\" , \"404\" , \"type\" , \"http_error\"]"), "{tokens}");
        assert!(tokens.contains("Self :: NotFound => 1usize"), "{tokens}");
    }

    #[test]
    fn labels_have_the_names_of_their_fields() {
        let tokens = "struct Route { method: Method, #[label(rename = \"class\")] status: Status }";
        let tokens = derived(derive_label_set, tokens).unwrap();
        assert!(tokens.contains("(\"method\" , < Method as :: barograph :: Label > :: VALUES)"), "{tokens}");
        assert!(tokens.contains("(\"class\" , < Status as"), "{tokens}");
    }

    #[test]
    fn what_is_no_label_is_told() {
        let check = |derive: Derive, input: &str, message: &str| {
            assert_eq!(derived(derive, input), Err(message.to_owned()), "{input}");
        };
        check(derive_label, "struct A;", "a label is an enum, whose variants are its values");
        check(derive_label, "enum A {}", "a label has at least one value");
        check(derive_label, "enum A { B(u8) }", "the value of a label has no fields");
        check(derive_label, "enum A<T> { B }", "labels have no parameters");
        check(derive_label, "enum A { B, #[label(rename = \"b\")] C }", "the value \"b\" stands twice");
        check(derive_label, "enum A { #[label(name = \"b\")] C }", "only `rename = \"...\"` is known here");
        check(derive_label, "enum A { #[label(rename = \"\")] C }", "a name has letters");
        let twice = "enum A { #[label(rename = \"b\", rename = \"c\")] C }";
        check(derive_label, twice, "it is renamed twice");
        check(derive_label_set, "enum A { B }", "a label set is a struct, whose fields are its labels");
        check(derive_label_set, "struct A(B);", "the fields of a label set have names");
        check(derive_label_set, "struct A {}", "a label set has at least one label");
        let same = "struct A { b: B, #[label(rename = \"b\")] c: B }";
        check(derive_label_set, same, "the label \"b\" stands twice");
    }

    #[test]
    fn names_are_snake_case() {
        let check = |ident: &str, expected: &str| assert_eq!(snake_case(ident), expected);
        check("Get", "get");
        check("NotFound", "not_found");
        check("HTTPError", "http_error");
        check("Http2", "http2");
        check("V2Api", "v2_api");
        check("GET", "get");
        check("snake_case", "snake_case");
        check("Snake_Case", "snake_case");
    }
}
