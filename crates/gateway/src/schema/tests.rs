use super::document::Document;
use super::{Contract, ContractSpec, DOCUMENT_BYTES_MAX, Mode, Said};
use crate::json;
use crate::projection::ProjectionError;
use http::{Method, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn document(schemas: &Value, operation: &Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": { "title": "t", "version": "1" },
        "paths": { "/orders/{order}": { "post": operation, "parameters": [
            { "name": "order", "in": "path", "required": true, "schema": { "type": "string", "maxLength": 8 } },
        ] } },
        "components": { "schemas": schemas },
    })
}

fn answering(schema: &Value) -> Value {
    json!({ "responses": { "200": { "description": "", "content": { "application/json": { "schema": schema } } } } })
}

fn taking(schema: &Value) -> Value {
    json!({
        "requestBody": { "required": true, "content": { "application/json": { "schema": schema } } },
        "responses": { "204": { "description": "" } },
    })
}

fn compiled(document: &Value) -> Result<Arc<Contract>, String> {
    let bytes = serde_json::to_vec(document).unwrap();
    let document = Document::parse("api.json", &bytes).map_err(|error| error.to_string())?;
    let spec = ContractSpec {
        document,
        mode: Mode::Enforce,
    };
    Contract::compile(&spec, "/orders/{id}", &Method::POST).map_err(|error| error.to_string())
}

#[track_caller]
fn refused(document: &Value, says: &str) {
    let error = compiled(document)
        .err()
        .unwrap_or_else(|| "it was taken".to_owned());
    assert!(error.contains(says), "{error}");
    assert!(error.starts_with("`api.json`, at `"), "{error}");
}

/// What is left of an answer, or why it is not passed on.
fn cut(contract: &Contract, answer: &Value) -> Result<Value, ProjectionError> {
    let Said::Shape(typed) = contract
        .answers
        .said(StatusCode::OK, Some("application/json"))
    else {
        panic!("it has a schema");
    };
    let bytes = typed.cut(&serde_json::to_vec(answer).unwrap())?;
    Ok(serde_json::from_slice(&bytes).unwrap())
}

#[track_caller]
fn check(schemas: &Value, schema: &Value, answer: &Value, left: &Value) {
    let contract = compiled(&document(schemas, &answering(schema))).unwrap();
    assert_eq!(cut(&contract, answer).unwrap(), *left);
}

#[test]
fn a_reference_to_somewhere_else_is_refused_and_nothing_is_fetched() {
    for elsewhere in [
        "https://attacker.example/schema.json",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "other.json#/a",
        "//attacker.example/a",
        "urn:a",
        "#anchor",
    ] {
        let operation = taking(&json!({ "$ref": elsewhere }));
        refused(
            &document(&json!({}), &operation),
            "a reference leads within the document",
        );
    }
    let within = taking(&json!({ "$ref": "#/components/schemas/Order" }));
    assert!(
        compiled(&document(
            &json!({ "Order": { "type": "object" } }),
            &within
        ))
        .is_ok()
    );
    refused(&document(&json!({}), &within), "does not exist");
    let named = taking(&json!({ "$id": "https://attacker.example/", "type": "object" }));
    refused(
        &document(&json!({}), &named),
        "no names and dialects of their own",
    );
}

#[test]
fn a_schema_that_never_ends_or_doubles_with_each_level_is_refused() {
    let circle = json!({ "A": { "$ref": "#/components/schemas/B" }, "B": { "$ref": "#/components/schemas/A" } });
    let refer = taking(&json!({ "$ref": "#/components/schemas/A" }));
    refused(&document(&circle, &refer), "without going into the value");
    let all = json!({ "A": { "allOf": [{ "$ref": "#/components/schemas/A" }] } });
    refused(&document(&all, &refer), "without going into the value");
    let doubling = json!({ "A": { "oneOf": [
        { "properties": { "a": { "$ref": "#/components/schemas/A" } } },
        { "properties": { "a": { "$ref": "#/components/schemas/A" }, "b": {} } },
    ] } });
    refused(&document(&doubling, &refer), "would double");
    // A tree is no such thing.
    let tree = json!({ "A": { "type": "object", "properties": { "left": { "$ref": "#/components/schemas/A" }, "right": { "$ref": "#/components/schemas/A" } } } });
    assert!(compiled(&document(&tree, &refer)).is_ok());
}

#[test]
fn patterns_cost_linear_time_and_have_limits() {
    let pattern = |pattern: &str| {
        document(
            &json!({}),
            &answering(&json!({ "type": "string", "pattern": pattern })),
        )
    };
    let contract = compiled(&pattern("^(a+)+$")).unwrap();
    let began = Instant::now();
    assert!(cut(&contract, &json!(format!("{}!", "a".repeat(100_000)))).is_err());
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(cut(&contract, &json!("aaa")).is_ok());
    refused(&pattern("(a"), "cannot be used");
    refused(&pattern("(?=a)b"), "cannot be used");
    refused(&pattern("a{1000}{1000}{1000}"), "cannot be used");
    refused(
        &pattern(&"a".repeat(1_025)),
        "expected at most 1000 patterns",
    );
    let many: Vec<Value> = (0..1_001)
        .map(|n| json!({ "pattern": format!("^{n}$") }))
        .collect();
    refused(
        &document(
            &json!({ "Many": { "anyOf": many } }),
            &answering(&json!({})),
        ),
        "expected at most 1000 patterns",
    );
}

#[test]
fn a_document_has_limits_and_one_version() {
    let good = document(&json!({}), &answering(&json!({})));
    assert!(compiled(&good).is_ok());
    for version in ["3.0.3", "2.0", "3.2.0", ""] {
        let mut other = good.clone();
        other["openapi"] = version.into();
        refused(&other, "expected `3.1.x`");
    }
    let mut other = good.clone();
    other["jsonSchemaDialect"] = "http://json-schema.org/draft-04/schema#".into();
    refused(&other, "/jsonSchemaDialect");
    let mut large = good;
    large["info"]["description"] = "x".repeat(DOCUMENT_BYTES_MAX).into();
    refused(&large, "expected at most 1048576 bytes");
    for (text, says) in [
        (
            "{\"openapi\":\"3.1.0\",\"openapi\":\"3.1.0\"}".to_owned(),
            "duplicate",
        ),
        ("[".repeat(100), "depth"),
        ("openapi: 3.1.0".to_owned(), "syntax"),
    ] {
        let error = Document::parse("api.json", text.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_route_that_its_document_does_not_know_is_an_error_with_file_and_key() {
    let good = document(&json!({}), &answering(&json!({})));
    let compile = |template: &str, method: &Method| {
        let document = Document::parse("api.json", &serde_json::to_vec(&good).unwrap()).unwrap();
        let spec = ContractSpec {
            document,
            mode: Mode::Enforce,
        };
        Contract::compile(&spec, template, method)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    // Names of parameters may differ, their places may not.
    assert_eq!(compile("/orders/{other}", &Method::POST), Ok(()));
    for template in [
        "/orders",
        "/orders/{id}/lines",
        "/{orders}/{id}",
        "/Orders/{id}",
        "/orders/{*rest}",
    ] {
        assert!(compile(template, &Method::POST).is_err(), "{template}");
    }
    let error = compile("/orders/{id}", &Method::DELETE).unwrap_err();
    assert_eq!(
        error,
        "`api.json`, at `/paths/~1orders~1{order}`: the route has an action for DELETE, and the document has no such operation"
    );
}

#[test]
fn what_nobody_would_check_is_refused() {
    let with = |parameter: Value| {
        let mut operation = answering(&json!({}));
        operation["parameters"] = json!([parameter]);
        document(&json!({}), &operation)
    };
    let object = json!({ "type": "object" });
    refused(
        &with(json!({ "name": "q", "in": "query", "schema": object })),
        "objects in parameters",
    );
    refused(
        &with(json!({ "name": "q", "in": "query", "style": "deepObject", "schema": {} })),
        "`deepObject` is not supported",
    );
    refused(
        &with(json!({ "name": "q", "in": "path", "required": true, "schema": {} })),
        "the path has no `{q}`",
    );
    refused(
        &with(json!({ "name": "q", "in": "matrix", "schema": {} })),
        "expected `path`",
    );
    refused(
        &with(json!({ "name": "q", "in": "query" })),
        "has a `schema`",
    );
    refused(
        &with(json!({ "name": "q", "in": "query", "schema": { "type": "strnig" } })),
        "no JSON schema",
    );
    assert!(compiled(&with(json!({ "name": "q", "in": "query", "schema": { "type": "array", "items": { "type": "integer" } } }))).is_ok());
    let xml = json!({ "requestBody": { "content": { "application/xml": { "schema": { "type": "object", "properties": {} } } } }, "responses": {} });
    refused(&document(&json!({}), &xml), "nothing is checked");
    refused(&document(&json!({}), &json!({})), "says what it answers");
    refused(
        &document(&json!({}), &json!({ "responses": { "2xx": {} } })),
        "expected a status",
    );
}

#[test]
fn an_answer_is_cut_down_to_what_is_declared() {
    let user = json!({ "User": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" }, "password": { "type": "string", "writeOnly": true } } } });
    let refer = json!({ "$ref": "#/components/schemas/User" });
    let answer = json!({ "id": "a", "password": "secret", "ssn": "1", "nested": { "id": "b" } });
    check(&user, &refer, &answer, &json!({ "id": "a" }));
    check(
        &user,
        &json!({ "type": "array", "items": refer }),
        &json!([answer, answer]),
        &json!([{ "id": "a" }, { "id": "a" }]),
    );
    // Composition declares together.
    let both = json!({ "allOf": [refer, { "type": "object", "properties": { "ssn": {} } }] });
    check(&user, &both, &answer, &json!({ "id": "a", "ssn": "1" }));
    // Of alternatives the first that fits.
    let either = json!({ "oneOf": [
        { "type": "object", "required": ["kind", "n"], "properties": { "kind": { "const": "n" }, "n": { "type": "integer" } } },
        { "type": "object", "required": ["kind", "s"], "properties": { "kind": { "const": "s" }, "s": { "type": "string" } } },
    ] });
    check(
        &user,
        &either,
        &json!({ "kind": "s", "n": 1, "s": "x", "y": 2 }),
        &json!({ "kind": "s", "s": "x" }),
    );
    // What is written out passes, what is left out does not.
    check(
        &user,
        &json!({ "type": "object", "additionalProperties": true }),
        &answer,
        &answer,
    );
    check(
        &user,
        &json!({ "type": "object", "additionalProperties": refer, "properties": { "id": {} } }),
        &json!({ "id": 1, "x": answer }),
        &json!({ "id": 1, "x": { "id": "a" } }),
    );
    check(
        &user,
        &json!({ "type": "object", "patternProperties": { "^i": {} } }),
        &answer,
        &json!({ "id": "a" }),
    );
    check(&user, &json!({ "type": "object" }), &answer, &json!({}));
    check(
        &user,
        &json!({ "type": "array" }),
        &json!([1, { "a": 1 }]),
        &json!([1, {}]),
    );
    check(&user, &json!(true), &answer, &answer);
    check(&user, &json!({}), &answer, &answer);
    check(
        &user,
        &json!({ "prefixItems": [{ "type": "object", "properties": { "id": {} } }], "items": {} }),
        &json!([answer, answer]),
        &json!([{ "id": "a" }, answer]),
    );
}

#[test]
fn an_answer_of_another_type_is_not_passed_on() {
    let schema = json!({ "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } });
    let contract = compiled(&document(&json!({}), &answering(&schema))).unwrap();
    for answer in [json!({ "id": 7 }), json!({}), json!([]), json!("x")] {
        assert!(
            matches!(cut(&contract, &answer), Err(ProjectionError::Schema(_))),
            "{answer}"
        );
    }
    assert!(cut(&contract, &json!({ "id": "7" })).is_ok());
    let Err(ProjectionError::Schema(fault)) = cut(&contract, &json!({ "id": 7 })) else {
        panic!("it does not fit");
    };
    assert_eq!((fault.pointer(), fault.keyword()), ("/id", "type"));
}

#[test]
fn finding_out_what_is_declared_has_an_end() {
    let mut nested =
        json!({ "type": "object", "required": ["x"], "properties": { "x": { "const": 1 } } });
    for _ in 0..6 {
        nested = json!({ "oneOf": [
            { "type": "object", "required": ["a", "x"], "properties": { "a": nested, "x": {} } },
            { "type": "object", "properties": { "a": nested } },
        ] });
    }
    let contract = compiled(&document(&json!({}), &answering(&nested))).unwrap();
    // Each level is looked at once for each alternative around it.
    let mut answer = json!([vec![json!({ "y": 1 }); 2_000]]);
    for _ in 0..6 {
        answer = json!({ "a": answer, "list": vec![json!({ "y": 1 }); 5_000] });
    }
    let began = Instant::now();
    let _either = cut(&contract, &answer);
    assert!(began.elapsed() < Duration::from_secs(60));
    let mut doubling = json!({ "a": true });
    for _ in 0..9 {
        doubling = json!({ "anyOf": [{ "properties": { "a": doubling } }, { "properties": { "a": doubling } }] });
    }
    refused(&document(&json!({}), &answering(&doubling)), "alternatives");
}

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!(true)),
        Just(json!({ "type": "string" })),
        Just(json!({ "type": "integer", "maximum": 5 })),
        Just(json!({ "type": ["boolean", "null"] })),
        Just(json!({ "const": "a" })),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let properties = prop::collection::btree_map("[a-d]", inner.clone(), 0..4);
        let object = (
            properties,
            prop::collection::vec("[a-d]", 0..2),
            0..4_u8,
            inner.clone(),
        );
        prop_oneof![
            object.prop_map(|(properties, required, additional, other)| {
                let mut schema = json!({ "type": "object", "properties": properties });
                if !required.is_empty() {
                    let required: std::collections::BTreeSet<String> =
                        required.into_iter().collect();
                    schema["required"] = json!(required);
                }
                match additional {
                    0 => schema["additionalProperties"] = json!(false),
                    1 => schema["additionalProperties"] = json!(true),
                    2 => schema["additionalProperties"] = other,
                    _ => {}
                }
                schema
            }),
            inner
                .clone()
                .prop_map(|items| json!({ "type": "array", "items": items })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({ "allOf": all })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|one| json!({ "oneOf": one })),
            prop::collection::vec(inner, 1..3).prop_map(|any| json!({ "anyOf": any })),
        ]
    })
}

fn answers() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..10_i64).prop_map(Value::from),
        "[a-c]".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-e]", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Whether everything of `part` stands at the same place of `whole`.
fn is_part(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => part
            .iter()
            .all(|(name, value)| whole.get(name).is_some_and(|whole| is_part(value, whole))),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() == whole.len()
                && part
                    .iter()
                    .zip(whole)
                    .all(|(part, whole)| is_part(part, whole))
        }
        (part, whole) => part == whole,
    }
}

proptest! {
    #[test]
    fn what_is_passed_on_fits_its_schema_and_is_part_of_what_came(schema in schemas(), answer in answers()) {
        let contract = compiled(&document(&json!({}), &answering(&schema))).unwrap();
        if let Ok(left) = cut(&contract, &answer) {
            prop_assert!(jsonschema::is_valid(&schema, &left), "{schema}: {left}");
            prop_assert!(is_part(&left, &answer), "{answer}: {left}");
            // Cutting again finds nothing more.
            prop_assert_eq!(cut(&contract, &left).unwrap(), left);
        }
    }

    #[test]
    fn a_strict_schema_leaves_nothing_undeclared(answer in answers()) {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "object", "properties": { "b": {} } } } });
        let contract = compiled(&document(&json!({}), &answering(&schema))).unwrap();
        if let Ok(left) = cut(&contract, &answer) {
            let members = left.as_object().unwrap();
            prop_assert!(members.keys().all(|name| name == "a"));
            let inner = members.get("a").and_then(Value::as_object);
            prop_assert!(inner.is_none_or(|inner| inner.keys().all(|name| name == "b")));
        }
    }

    #[test]
    fn no_document_is_taken_that_breaks(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Document::parse("api.json", &bytes);
        let _ = json::value(&bytes, json::Integers::Exact);
    }
}
