use super::{PATTERNS_MAX, bounded};
use serde_json::{Map, Value, json};

#[track_caller]
fn check(schema: &Value, expected: Option<&str>) {
    match (bounded(schema), expected) {
        (Ok(()), None) => {}
        (Err(why), Some(part)) => assert!(why.contains(part), "{why}"),
        (bounded, expected) => panic!("{bounded:?}, not {expected:?}: {schema}"),
    }
}

/// A schema that refers to itself in this way.
fn defined(definitions: &[(&str, Value)]) -> Value {
    let definitions: Map<String, Value> = definitions
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({ "$ref": "#/$defs/a", "$defs": definitions })
}

fn to(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

#[test]
fn what_leads_back_to_itself_without_going_inside_is_refused() {
    let endless = Some("leads back to itself");
    check(&json!({"$ref": "#"}), endless);
    check(&defined(&[("a", to("b")), ("b", to("a"))]), endless);
    for keyword in ["allOf", "anyOf", "oneOf"] {
        check(&defined(&[("a", json!({ keyword: [to("a")] }))]), endless);
    }
    for keyword in ["if", "then", "else", "not"] {
        check(&defined(&[("a", json!({ keyword: to("a") }))]), endless);
    }
    let dependent = json!({"dependentSchemas": {"x": to("a")}});
    check(&defined(&[("a", dependent)]), endless);
    // A place that no keyword leads to, and a name with what a pointer escapes.
    check(
        &json!({"$ref": "#/x~1y", "x/y": {"not": {"$ref": "#/x~1y"}}}),
        endless,
    );
}

#[test]
fn what_goes_inside_may_lead_back() {
    let tree = json!({
        "type": "object",
        "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "name": {"type": "string"}},
    });
    check(&tree, None);
    let list = json!({"oneOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#"}}]});
    check(&list, None);
    check(&json!({"additionalProperties": {"$ref": "#"}}), None);
}

#[test]
fn what_doubles_is_refused() {
    let too_much = Some("too long");
    let doubling = |times: usize| {
        let mut definitions: Vec<(String, Value)> = (1..times)
            .map(|number| {
                let next = to(&format!("d{}", number + 1));
                (format!("d{number}"), json!({ "allOf": [next, next] }))
            })
            .collect();
        definitions.push((format!("d{times}"), json!({"type": "object"})));
        definitions.push(("a".to_owned(), to("d1")));
        let named: Vec<(&str, Value)> = definitions
            .iter()
            .map(|(name, schema)| (name.as_str(), schema.clone()))
            .collect();
        defined(&named)
    };
    check(&doubling(8), None);
    check(&doubling(40), too_much);
    // With each line of the schema, and with each level of the payload.
    let twice = json!({"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]});
    check(&twice, too_much);
    let both = json!({"properties": {"x": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}, "patternProperties": {"x": {"$ref": "#"}}});
    check(&both, too_much);
}

#[test]
fn what_goes_too_deep_is_refused() {
    let chain = |links: usize| {
        let mut named: Vec<(String, Value)> = (0..links)
            .map(|number| (format!("d{number}"), to(&format!("d{}", number + 1))))
            .collect();
        named.push((format!("d{links}"), json!({"items": {"$ref": "#"}})));
        named.push(("a".to_owned(), to("d0")));
        let named: Vec<(&str, Value)> = named
            .iter()
            .map(|(name, schema)| (name.as_str(), schema.clone()))
            .collect();
        defined(&named)
    };
    check(&chain(2), None);
    check(&chain(50), Some("too long"));
}

#[test]
fn a_reference_means_a_place_of_the_schema() {
    let place = Some("a place of the schema itself");
    for to in [
        "https://elsewhere.example/",
        "other.json",
        "#name",
        "#/$defs/%61",
    ] {
        check(&json!({ "$ref": to }), place);
    }
    check(&json!({"$ref": "#/$defs/none"}), Some("nowhere"));
    check(
        &json!({"$defs": {"a": {"$id": "https://a.example/"}}}),
        Some("`$id`"),
    );
    check(
        &json!({"$id": "https://a.example/", "type": "object"}),
        None,
    );
    check(&json!({"$dynamicRef": "#x"}), Some("`$dynamicRef`"));
    // Members of a payload may be called so.
    check(
        &json!({"properties": {"$id": {"type": "string"}, "$ref": {"type": "string"}}}),
        None,
    );
}

#[test]
fn patterns_are_few() {
    let patterns = |number: usize| {
        let patterns: Vec<Value> = (0..number)
            .map(|number| json!({ "pattern": format!("^{number}$") }))
            .collect();
        json!({ "anyOf": patterns })
    };
    check(&patterns(PATTERNS_MAX), None);
    check(&patterns(PATTERNS_MAX + 1), Some("patterns"));
    check(
        &json!({"patternProperties": {"x".repeat(1_025): {}}}),
        Some("bytes"),
    );
}
