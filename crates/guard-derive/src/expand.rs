//! The generated items: one field type for each sealed column, its purposes, and the list for the data dictionary.

use crate::attributes::{FieldAttributes, TableAttributes, is_identifier, is_stated};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{
    Data, DeriveInput, Error, Fields, GenericArgument, LitStr, PathArguments, PathSegment, Result,
    Type, Visibility,
};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "only a struct has columns"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(
            input.ident.span(),
            "columns have names: use a struct with named fields",
        ));
    };
    let table = TableAttributes::read(&input.attrs, input.ident.span())?.table;
    let mut columns: Vec<Column<'_>> = Vec::new();
    for field in &fields.named {
        if let Some(column) = Column::read(field, &table)? {
            if columns.iter().any(|other| other.name == column.name) {
                return Err(Error::new(field.span(), "two fields have this column"));
            }
            columns.push(column);
        }
    }
    if columns.is_empty() {
        return Err(Error::new(
            input.ident.span(),
            "no field has the type `Sealed<...>`",
        ));
    }
    let items = columns.iter().map(|column| column.items(&input.vis));
    let listed = columns.iter().map(|column| column.field);
    let (name, (generics, arguments, bounds)) = (&input.ident, input.generics.split_for_impl());
    Ok(quote! {
        #(#items)*

        #[automatically_derived]
        impl #generics ::countersign_guard::sealed::SealedFields for #name #arguments #bounds {
            fn entries() -> ::std::vec::Vec<::countersign_guard::sealed::FieldEntry> {
                ::std::vec![#(::countersign_guard::sealed::FieldEntry::of::<#listed>()),*]
            }
        }
    })
}

/// A sealed column.
struct Column<'a> {
    attributes: FieldAttributes,
    /// The field type that is generated.
    field: &'a Ident,
    name: String,
    table: &'a LitStr,
}

impl<'a> Column<'a> {
    /// The column of a field, if the field is sealed.
    fn read(field: &'a syn::Field, table: &'a LitStr) -> Result<Option<Self>> {
        let Some(argument) = sealed_argument(&field.ty) else {
            return match is_stated(&field.attrs) {
                Some(span) => Err(Error::new(
                    span,
                    "only a field of type `Sealed<...>` or `Option<Sealed<...>>` is sealed",
                )),
                None => Ok(None),
            };
        };
        let name = match argument {
            Type::Path(path) if path.qself.is_none() => path.path.get_ident(),
            _ => None,
        };
        let Some(name) = name else {
            return Err(Error::new(
                argument.span(),
                "expected a plain name: the type `Sealed<Name>` names is made here",
            ));
        };
        let attributes = FieldAttributes::read(&field.attrs, field.span())?;
        let column = match (&attributes.column, &field.ident) {
            (Some(column), _) => column.value(),
            (None, Some(ident)) => ident.unraw().to_string(),
            (None, None) => String::new(),
        };
        if !is_identifier(&column) {
            return Err(Error::new(
                field.span(),
                "this is no column's name; state one: `column = \"...\"`",
            ));
        }
        Ok(Some(Self {
            attributes,
            field: name,
            name: column,
            table,
        }))
    }

    fn items(&self, vis: &Visibility) -> TokenStream {
        let (field, table, column) = (self.field, self.table, &self.name);
        let FieldAttributes {
            classification,
            keys,
            mask,
            purposes,
            value,
            ..
        } = &self.attributes;
        let value = match value {
            Some(value) => quote!(#value),
            None => quote!(::std::string::String),
        };
        let doc = format!("The sealed column `{}.{column}`.", table.value());
        let (plan, indexed) = self.index();
        let constants = purposes.iter().map(|purpose| constant(vis, field, purpose));
        quote! {
            #[doc = #doc]
            #vis enum #field {}

            #[automatically_derived]
            impl ::countersign_guard::sealed::Field for #field {
                type Keys = #keys;
                type Value = #value;
                const CLASSIFICATION: ::countersign_guard::sealed::Classification =
                    ::countersign_guard::sealed::Classification::#classification;
                const COLUMN: &'static str = #column;
                const INDEX: ::std::option::Option<::countersign_guard::sealed::IndexPlan> = #plan;
                const MASK: ::countersign_guard::sealed::Mask = #mask;
                const PURPOSES: &'static [&'static str] = &[#(#purposes),*];
                const TABLE: &'static str = #table;
            }

            #indexed

            #[automatically_derived]
            #[allow(dead_code, reason = "a service need not open what it seals")]
            impl #field {
                #(#constants)*
            }
        }
    }

    /// The plan, and what makes the field one that can be looked for.
    fn index(&self) -> (TokenStream, TokenStream) {
        let Some(index) = &self.attributes.index else {
            return (quote!(::std::option::Option::None), TokenStream::new());
        };
        let (field, rows) = (self.field, &index.rows);
        let plan = match &index.bits {
            Some(bits) => {
                quote_spanned!(bits.span()=> ::countersign_guard::sealed::IndexPlan::of_bits(#bits, #rows))
            }
            None => {
                quote_spanned!(rows.span()=> ::countersign_guard::sealed::IndexPlan::for_rows(#rows))
            }
        };
        let normalise = index.normalise.as_ref().map(|path| {
            quote! {
                fn normalise(
                    value: &<Self as ::countersign_guard::sealed::Field>::Value,
                ) -> ::countersign_guard::sealed::Secret<::std::vec::Vec<u8>> {
                    #path(value)
                }
            }
        });
        let indexed = quote! {
            #[automatically_derived]
            impl ::countersign_guard::sealed::Indexed for #field {
                const PLAN: ::countersign_guard::sealed::IndexPlan = #plan;
                #normalise
            }
            // Judged when this is compiled, whether or not anybody uses the index.
            const _: ::countersign_guard::sealed::IndexPlan =
                <#field as ::countersign_guard::sealed::Indexed>::PLAN;
        };
        let stated = quote! {
            ::std::option::Option::Some(<#field as ::countersign_guard::sealed::Indexed>::PLAN)
        };
        (stated, indexed)
    }
}

/// `chargeback` becomes `CardPan::CHARGEBACK`.
fn constant(vis: &Visibility, field: &Ident, purpose: &LitStr) -> TokenStream {
    let name = format_ident!(
        "{}",
        purpose.value().replace('-', "_").to_ascii_uppercase(),
        span = purpose.span()
    );
    let doc = format!("The purpose `{}`.", purpose.value());
    quote! {
        #[doc = #doc]
        #vis const #name: ::countersign_guard::sealed::Purpose<#field> =
            ::countersign_guard::sealed::Purpose::stated(#purpose);
    }
}

/// `X` of `Sealed<X>` and `Option<Sealed<X>>`.
fn sealed_argument(ty: &Type) -> Option<&Type> {
    let segment = last_segment(ty)?;
    let argument = only_argument(segment)?;
    if segment.ident == "Sealed" {
        Some(argument)
    } else if segment.ident == "Option" {
        let inner = last_segment(argument)?;
        (inner.ident == "Sealed")
            .then(|| only_argument(inner))
            .flatten()
    } else {
        None
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    }
}

fn only_argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return None;
    };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    match (types.next(), types.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
