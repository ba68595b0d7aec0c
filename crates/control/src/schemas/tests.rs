use super::*;
use countersign_oauth::authorization_details::{DetailTypes, RegisteredType};
use serde_json::json;

#[test]
fn a_schema_of_its_own_compiles_and_one_of_elsewhere_does_not() {
    assert!(compile(&json!({"type": "object", "required": ["actions"]})).is_ok());
    assert!(
        compile(
            &json!({"$defs": {"a": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a"}}})
        )
        .is_ok()
    );
    for broken in [
        json!({"type": "nothing"}),
        json!({"$ref": "https://elsewhere.example/schema.json"}),
        json!({"$ref": "file:///etc/passwd"}),
        json!([]),
    ] {
        assert!(compile(&broken).is_err(), "{broken}");
    }
    let long = json!({"description": "x".repeat(SCHEMA_BYTES_MAX)});
    assert!(compile(&long).is_err());
}

#[test]
fn a_type_whose_schema_does_not_compile_is_named() {
    let mut types = DetailTypes::none();
    let register = |types: &mut DetailTypes, name: &str, schema: Value| {
        let words = countersign_base::Bounded::parse(name).unwrap();
        types.register(
            name.parse().unwrap(),
            RegisteredType::new(schema, words, Default::default()),
        );
    };
    register(&mut types, "good", json!({"type": "object"}));
    register(&mut types, "bad", json!({"type": 7}));
    let broken = types.compile(compile);
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0].0.as_str(), "bad");
}
