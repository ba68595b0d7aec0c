//! `#[derive(SealedFields)]`: from a struct with sealed columns to the types that say which column each value belongs to.
//!
//! What may be written is described at `countersign_guard::sealed`, which re-exports the macro. Everything that can be judged here is judged when the service is
//! compiled: a sealed field that states no classification, a name that no column has, a purpose or mask that does not exist.
//!
//! Not here: any decision. The generated types carry constants; who may open what is decided at run time by the service's rules.

mod attributes;
mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Generates a field type for each sealed column of a struct, and the struct's part of the data dictionary.
#[proc_macro_derive(SealedFields, attributes(sealed))]
pub fn sealed_fields(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
