//! What stands in `#[sealed(...)]`, on the struct and on its fields. Whatever is not known is refused.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Expr, LitInt, LitStr, Path, Result, Token, Type};

/// Bytes of an identifier in PostgreSQL (`NAMEDATALEN` less one).
const IDENTIFIER_BYTES_MAX: usize = 63;
/// Rows that a blind index is planned for, where nothing is said.
const INDEX_ROWS: u64 = 1_000_000;

/// `#[sealed(table = "cards")]`
pub(crate) struct TableAttributes {
    pub(crate) table: LitStr,
}

/// `#[sealed(classification = "restricted", ...)]`
pub(crate) struct FieldAttributes {
    /// The variant of `Classification`.
    pub(crate) classification: TokenStream,
    pub(crate) column: Option<LitStr>,
    pub(crate) index: Option<IndexAttribute>,
    /// The type that says whose keys seal.
    pub(crate) keys: TokenStream,
    /// The variant of `Mask`.
    pub(crate) mask: TokenStream,
    pub(crate) purposes: Vec<LitStr>,
    pub(crate) value: Option<Type>,
}

/// `blind_index(rows = 1_000_000, bits = 14, normalise = path)`
pub(crate) struct IndexAttribute {
    pub(crate) bits: Option<LitInt>,
    pub(crate) normalise: Option<Path>,
    pub(crate) rows: LitInt,
}

impl TableAttributes {
    pub(crate) fn read(attributes: &[Attribute], of: Span) -> Result<Self> {
        let mut table = None;
        for attribute in sealed(attributes) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("table") {
                    once(&mut table, &meta, identifier(&meta)?)
                } else {
                    Err(meta.error("expected `table = \"...\"`"))
                }
            })?;
        }
        let table = table.ok_or_else(|| {
            Error::new(
                of,
                "name the table: `#[sealed(table = \"...\")]` on the struct",
            )
        })?;
        Ok(Self { table })
    }
}

impl FieldAttributes {
    /// What is stated of a sealed field; `of` is where it says that nothing is.
    pub(crate) fn read(attributes: &[Attribute], of: Span) -> Result<Self> {
        let mut read = Stated::default();
        for attribute in sealed(attributes) {
            attribute.parse_nested_meta(|meta| read.take(&meta))?;
        }
        let classification = read.classification.ok_or_else(|| {
            Error::new(
                of,
                "a sealed field states its classification: `#[sealed(classification = \"restricted\")]`",
            )
        })?;
        Ok(Self {
            classification,
            column: read.column,
            index: read.index,
            keys: read
                .keys
                .unwrap_or_else(|| quote!(::countersign_guard::sealed::PerTenant)),
            mask: read
                .mask
                .unwrap_or_else(|| quote!(::countersign_guard::sealed::Mask::Hidden)),
            purposes: read.purposes.unwrap_or_default(),
            value: read.value,
        })
    }
}

/// What was stated so far.
#[derive(Default)]
struct Stated {
    classification: Option<TokenStream>,
    column: Option<LitStr>,
    index: Option<IndexAttribute>,
    keys: Option<TokenStream>,
    mask: Option<TokenStream>,
    purposes: Option<Vec<LitStr>>,
    value: Option<Type>,
}

impl Stated {
    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let name = meta.path.get_ident().map(ToString::to_string);
        match name.as_deref() {
            Some("blind_index") => once(&mut self.index, meta, blind_index(meta)?),
            Some("classification") => once(&mut self.classification, meta, classification(meta)?),
            Some("column") => once(&mut self.column, meta, identifier(meta)?),
            Some("key") => once(&mut self.keys, meta, keys(meta)?),
            Some("mask") => once(&mut self.mask, meta, mask(meta)?),
            Some("purposes") => once(&mut self.purposes, meta, purposes(meta)?),
            Some("value") => once(&mut self.value, meta, meta.value()?.parse()?),
            Some(_) | None => Err(meta.error(
                "expected `blind_index`, `classification`, `column`, `key`, `mask`, `purposes` or `value`",
            )),
        }
    }
}

fn sealed(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("sealed"))
}

/// Whether anything is stated.
pub(crate) fn is_stated(attributes: &[Attribute]) -> Option<Span> {
    sealed(attributes).next().map(|attribute| attribute.span())
}

fn once<T>(place: &mut Option<T>, meta: &ParseNestedMeta<'_>, value: T) -> Result<()> {
    if place.is_some() {
        return Err(meta.error("stated twice"));
    }
    *place = Some(value);
    Ok(())
}

fn identifier(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let literal: LitStr = meta.value()?.parse()?;
    if is_identifier(&literal.value()) {
        Ok(literal)
    } else {
        Err(Error::new(
            literal.span(),
            "expected 1 to 63 lower-case letters, digits or `_`, starting with a letter or `_`",
        ))
    }
}

/// Whether a text is a table's or column's name, unquoted.
pub(crate) fn is_identifier(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    text.len() <= IDENTIFIER_BYTES_MAX
        && text.bytes().next().is_some_and(first)
        && text
            .bytes()
            .all(|byte| first(byte) || byte.is_ascii_digit())
}

fn classification(meta: &ParseNestedMeta<'_>) -> Result<TokenStream> {
    let literal: LitStr = meta.value()?.parse()?;
    match literal.value().as_str() {
        "confidential" => Ok(quote!(Confidential)),
        "internal" => Ok(quote!(Internal)),
        "restricted" => Ok(quote!(Restricted)),
        "public" => Err(Error::new(
            literal.span(),
            "what anyone may read is not sealed",
        )),
        _ => Err(Error::new(
            literal.span(),
            "expected `internal`, `confidential` or `restricted`",
        )),
    }
}

fn keys(meta: &ParseNestedMeta<'_>) -> Result<TokenStream> {
    let literal: LitStr = meta.value()?.parse()?;
    match literal.value().as_str() {
        "subject" => Ok(quote!(::countersign_guard::sealed::PerSubject)),
        "tenant" => Ok(quote!(::countersign_guard::sealed::PerTenant)),
        _ => Err(Error::new(
            literal.span(),
            "expected `tenant` or `subject`: whose key seals it",
        )),
    }
}

fn mask(meta: &ParseNestedMeta<'_>) -> Result<TokenStream> {
    let literal: LitStr = meta.value()?.parse()?;
    match literal.value().as_str() {
        "hidden" => Ok(quote!(::countersign_guard::sealed::Mask::Hidden)),
        "last4" => Ok(quote!(::countersign_guard::sealed::Mask::LastFour)),
        _ => Err(Error::new(literal.span(), "expected `hidden` or `last4`")),
    }
}

fn purposes(meta: &ParseNestedMeta<'_>) -> Result<Vec<LitStr>> {
    let content;
    syn::parenthesized!(content in meta.input);
    let list = content.parse_terminated(<LitStr as syn::parse::Parse>::parse, Token![,])?;
    let mut seen: Vec<String> = Vec::new();
    for purpose in &list {
        let name = purpose.value();
        if !is_purpose(&name) {
            return Err(Error::new(
                purpose.span(),
                "expected 1 to 64 lower-case letters, digits or `-`, starting with a letter",
            ));
        }
        if seen.contains(&name) {
            return Err(Error::new(purpose.span(), "stated twice"));
        }
        seen.push(name);
    }
    if list.is_empty() {
        return Err(meta.error("name a purpose, or leave `purposes` out: then nothing opens it"));
    }
    Ok(list.into_iter().collect())
}

fn is_purpose(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(allowed)
}

fn blind_index(meta: &ParseNestedMeta<'_>) -> Result<IndexAttribute> {
    let (mut bits, mut normalise, mut rows) = (None, None, None);
    if meta.input.peek(syn::token::Paren) {
        meta.parse_nested_meta(|inner| {
            if inner.path.is_ident("bits") {
                once(&mut bits, &inner, inner.value()?.parse()?)
            } else if inner.path.is_ident("normalise") {
                let path = match inner.value()?.parse()? {
                    Expr::Path(path) => path.path,
                    other => return Err(Error::new(other.span(), "expected a function's path")),
                };
                once(&mut normalise, &inner, path)
            } else if inner.path.is_ident("rows") {
                once(&mut rows, &inner, inner.value()?.parse()?)
            } else {
                Err(inner.error("expected `bits`, `normalise` or `rows`"))
            }
        })?;
    }
    let rows = rows.unwrap_or_else(|| LitInt::new(&INDEX_ROWS.to_string(), meta.path.span()));
    Ok(IndexAttribute {
        bits,
        normalise,
        rows,
    })
}
