//! What the macro refuses, and with which words.

use super::expand;
use syn::DeriveInput;

/// The refusal of a declaration, or nothing.
fn refusal(declaration: &str) -> Option<String> {
    let input: DeriveInput = syn::parse_str(declaration).unwrap();
    expand(&input).err().map(|error| error.to_string())
}

/// A struct with one field of these attributes and this type.
fn card(attributes: &str, ty: &str) -> String {
    format!("#[sealed(table = \"cards\")] struct Card {{ id: i64, {attributes} pan: {ty} }}")
}

fn check(declaration: &str, expected: &str) {
    let refused = refusal(declaration);
    assert!(
        refused
            .as_deref()
            .is_some_and(|text| text.contains(expected)),
        "{declaration}: {refused:?} and not `{expected}`"
    );
}

#[test]
fn what_is_well_declared_is_taken() {
    for attributes in [
        "#[sealed(classification = \"restricted\")]",
        "#[sealed(classification = \"internal\", mask = \"last4\", key = \"subject\", column = \"pan_2\", value = Vec<u8>)]",
        "#[sealed(classification = \"confidential\", blind_index, purposes(\"a\", \"b-2\",))]",
        "#[sealed(classification = \"confidential\", blind_index(rows = 1_000, bits = 8, normalise = a::b))]",
        "#[sealed(classification = \"restricted\")] #[sealed(mask = \"hidden\")]",
    ] {
        for ty in [
            "Sealed<CardPan>",
            "Option<Sealed<CardPan>>",
            "countersign_guard::sealed::Sealed<CardPan>",
        ] {
            assert_eq!(refusal(&card(attributes, ty)), None, "{attributes} {ty}");
        }
    }
}

#[test]
fn a_field_states_what_it_is() {
    let sealed = |inner: &str| card(&format!("#[sealed({inner})]"), "Sealed<CardPan>");
    let states = "states its classification";
    check(&card("", "Sealed<CardPan>"), states);
    check(&card("", "Option<Sealed<CardPan>>"), states);
    check(&sealed("mask = \"last4\""), states);
    for (inner, expected) in [
        (
            "classification = \"public\"",
            "what anyone may read is not sealed",
        ),
        (
            "classification = \"secret\"",
            "expected `internal`, `confidential` or `restricted`",
        ),
        (
            "classification = \"restricted\", classification = \"internal\"",
            "stated twice",
        ),
        (
            "classification = \"restricted\", mask = \"first6\"",
            "expected `hidden` or `last4`",
        ),
        (
            "classification = \"restricted\", key = \"nobody\"",
            "expected `tenant` or `subject`",
        ),
        (
            "classification = \"restricted\", plaintext",
            "expected `blind_index`",
        ),
        (
            "classification = \"restricted\", column = \"Pan\"",
            "1 to 63 lower-case letters",
        ),
        (
            "classification = \"restricted\", column = \"\"",
            "1 to 63 lower-case letters",
        ),
        (
            "classification = \"restricted\", purposes()",
            "name a purpose",
        ),
        (
            "classification = \"restricted\", purposes(\"a\", \"a\")",
            "stated twice",
        ),
        (
            "classification = \"restricted\", purposes(\"2nd\")",
            "starting with a letter",
        ),
        (
            "classification = \"restricted\", purposes(\"a_b\")",
            "lower-case letters, digits or `-`",
        ),
        (
            "classification = \"restricted\", blind_index(size = 3)",
            "expected `bits`, `normalise` or `rows`",
        ),
        (
            "classification = \"restricted\", blind_index(normalise = 3)",
            "expected a function's path",
        ),
        (
            "classification = \"restricted\", blind_index(bits = 3, bits = 3)",
            "stated twice",
        ),
    ] {
        check(&sealed(inner), expected);
    }
}

#[test]
fn a_struct_has_a_table_and_columns() {
    let field = "#[sealed(classification = \"restricted\")] pan: Sealed<CardPan>";
    for (declaration, expected) in [
        (format!("struct Card {{ {field} }}"), "name the table"),
        (
            format!("#[sealed(table = \"cards\", table = \"cards\")] struct Card {{ {field} }}"),
            "stated twice",
        ),
        (
            format!("#[sealed(table = \"cards; --\")] struct Card {{ {field} }}"),
            "1 to 63 lower-case letters",
        ),
        (
            format!("#[sealed(name = \"cards\")] struct Card {{ {field} }}"),
            "expected `table = \"...\"`",
        ),
        (
            format!(
                "#[sealed(table = \"cards\")] struct Card {{ {field}, #[sealed(classification = \"restricted\", column = \"pan\")] cvc: Sealed<CardCvc> }}"
            ),
            "two fields have this column",
        ),
        (
            "#[sealed(table = \"cards\")] struct Card { id: i64 }".to_owned(),
            "no field has the type `Sealed<...>`",
        ),
        (
            "#[sealed(table = \"cards\")] enum Card { A }".to_owned(),
            "only a struct has columns",
        ),
        (
            "#[sealed(table = \"cards\")] struct Card(Sealed<A>);".to_owned(),
            "named fields",
        ),
    ] {
        check(&declaration, expected);
    }
}

#[test]
fn what_is_not_sealed_is_not_said_to_be() {
    let stated = "#[sealed(classification = \"restricted\")]";
    for ty in ["String", "Vec<Sealed<CardPan>>", "Option<String>"] {
        check(&card(stated, ty), "only a field of type `Sealed<...>`");
    }
    for ty in ["Sealed<cards::Pan>", "Sealed<Vec<u8>>", "Sealed<(u8, u8)>"] {
        check(&card(stated, ty), "expected a plain name");
    }
}
