use super::*;
use serde_json::json;

const AT: &str = "2027-01-15 08:00:00+0000";

fn rendered(text: &str, name: &str) -> Result<Vec<String>, VaultError> {
    let values = Values {
        name,
        password: Some("pA55"),
        expiration: Some(AT),
    };
    let statements = render(&[text.to_owned()], &values)?;
    Ok(statements
        .iter()
        .map(|statement| statement.expose().trim().to_owned())
        .collect())
}

fn one(text: &str, name: &str) -> String {
    rendered(text, name).unwrap().concat()
}

#[test]
fn statements_as_vault_writes_them() {
    assert_eq!(
        rendered(
            "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"{{username}}\";",
            "v-a"
        )
        .unwrap(),
        [
            format!("CREATE ROLE \"v-a\" LOGIN PASSWORD 'pA55' VALID UNTIL '{AT}'"),
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO \"v-a\"".to_owned()
        ]
    );
    assert_eq!(
        one("CREATE ROLE {{name}} PASSWORD {{password}}", "v-a"),
        "CREATE ROLE \"v-a\" PASSWORD 'pA55'"
    );
}

#[test]
fn cve_2026_39946_names_stay_one_identifier_or_one_literal() {
    for (name, identifier, literal) in [
        ("plain", "\"plain\"", "'plain'"),
        ("a\"b", "\"a\"\"b\"", "'a\"b'"),
        (
            "a\"; DROP TABLE t; --",
            "\"a\"\"; DROP TABLE t; --\"",
            "'a\"; DROP TABLE t; --'",
        ),
        (
            "a'; DROP TABLE t; --",
            "\"a'; DROP TABLE t; --\"",
            "'a''; DROP TABLE t; --'",
        ),
        (
            "\u{fc}\u{202e}\u{ff02}",
            "\"\u{fc}\u{202e}\u{ff02}\"",
            "'\u{fc}\u{202e}\u{ff02}'",
        ),
        ("{{password}}", "\"{{password}}\"", "'{{password}}'"),
    ] {
        for text in ["ALTER ROLE \"{{name}}\" LOGIN", "ALTER ROLE {{name}} LOGIN"] {
            assert_eq!(
                rendered(text, name).unwrap(),
                [format!("ALTER ROLE {identifier} LOGIN")]
            );
        }
        assert_eq!(
            rendered("SELECT 1 FROM t WHERE n = '{{name}}'", name).unwrap(),
            [format!("SELECT 1 FROM t WHERE n = {literal}")]
        );
    }
}

/// Where what is written is read once more as SQL, only a value that means itself may stand; its twin with a plain value is written.
#[test]
fn cve_2023_0620_values_with_special_characters_stand_nowhere_deep() {
    for text in [
        "DO $$ BEGIN EXECUTE 'DROP ROLE \"{{name}}\"'; END $$",
        "DO $x$ BEGIN PERFORM '{{name}}'; END $x$",
        "SELECT 'role {{name}}'",
        "SELECT E'{{name}}'",
        "SELECT e'it\\'s {{name}}'",
        "SELECT U&'{{name}}'",
        "DROP ROLE U&\"{{name}}\"",
        "SELECT 'it''{{name}}'",
        "-- {{name}}\nSELECT 1",
        "SELECT /* {{name}} */ 1",
    ] {
        for value in ["a'b", "a\"b", "a\\b", "a;b", "\u{fc}", "a*/b", "a\nb"] {
            let refused = rendered(text, value).unwrap_err();
            assert_eq!(refused.status(), 400, "{text}");
            assert!(!refused.to_string().contains(value));
        }
        assert_eq!(
            one(text, "v-root.app_1"),
            text.replace("{{name}}", "v-root.app_1")
        );
    }
    assert!(rendered("SELECT '{{name}}'", "a\\").is_err());
}

#[test]
fn statements_end_where_postgresql_ends_them() {
    for (text, count) in [
        ("SELECT 1; SELECT 2", 2),
        (";; ;", 0),
        ("SELECT ';'; SELECT \";\"", 2),
        ("SELECT 'it'';s'", 1),
        ("SELECT E'\\';'", 1),
        ("DO $$ BEGIN; END $$; SELECT 1", 2),
        ("DO $a$ $$;$$ ; $b$ ; $a$; SELECT 1", 2),
        ("SELECT a$b; SELECT c$b", 2),
        ("SELECT $1; SELECT $2", 2),
        ("SELECT 1 -- ; '\n; SELECT 2", 2),
        ("SELECT /* ; /* ; */ ' */ 1; SELECT 2", 2),
        ("SELECT \u{fc};SELECT \u{1f600}", 2),
    ] {
        assert_eq!(rendered(text, "n").unwrap().len(), count, "{text}");
    }
    for open in [
        "SELECT 'a",
        "SELECT \"a",
        "DO $$ BEGIN",
        "DO $a$ $$",
        "/* /* */",
        "SELECT E'\\'",
        "a\0",
    ] {
        assert!(rendered(open, "n").is_err(), "{open}");
    }
}

#[test]
fn members_are_lists_texts_or_base64() {
    let read = |value: Json| read(&Body::of(json!({ "s": value })).unwrap(), "s");
    let list = |texts: &[&str]| Ok(Some(texts.iter().map(|text| (*text).to_owned()).collect()));
    assert_eq!(
        read(json!("SELECT 1; SELECT 2")),
        list(&["SELECT 1; SELECT 2"])
    );
    assert_eq!(
        read(json!(["SELECT 1", "SELECT 2"])),
        list(&["SELECT 1", "SELECT 2"])
    );
    assert_eq!(read(json!("[\"SELECT 1\"]")), list(&["SELECT 1"]));
    assert_eq!(
        read(json!(base64::encode(b"SELECT 1, 2"))),
        list(&["SELECT 1, 2"])
    );
    assert_eq!(read(json!("")), list(&[]));
    assert_eq!(read(Json::Null), Ok(None));
    assert!(read(json!({"a": 1})).is_err());
    assert!(read(json!([1])).is_err());
    assert!(read(json!(["SELECT '"])).is_err());
    assert_eq!(read(json!(vec!["SELECT 1"; 65])), Err(VaultError::TooLarge));
    assert_eq!(read(json!("x".repeat(70_000))), Err(VaultError::TooLarge));
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the value, what is written reads back as the same pieces: it never leaves its quotes.
        #[test]
        fn a_value_never_leaves_its_place(name in "[^\0]{0,40}") {
            let text = "A \"{{name}}\" B {{name}} C";
            let statements = rendered(text, &name).unwrap();
            prop_assert_eq!(statements.len(), 1);
            let kinds: Vec<_> = pieces(&statements[0]).unwrap().iter().map(|piece| piece.kind).collect();
            prop_assert_eq!(kinds, [Kind::Code, Kind::Identifier, Kind::Code, Kind::Identifier, Kind::Code]);
            if !name.contains('\\') {
                let statements = rendered("A '{{name}}' C", &name).unwrap();
                let parts = pieces(&statements[0]).unwrap();
                prop_assert_eq!(parts.len(), 3);
                prop_assert_eq!(parts[1].kind, Kind::Literal);
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,60}|[-'\"$;/*eEuU&a{}\\\\ \n]{0,40}") {
            if let Ok(parts) = pieces(&text) {
                let whole: String = parts.iter().map(|part| part.text).collect();
                prop_assert_eq!(whole, text);
            }
        }
    }
}
