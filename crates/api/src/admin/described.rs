//! The description of the admin API as the judge of its bodies: what `openapi.json` does not allow no handler sees.
//!
//! What is read is typed besides (`serde`), and the types are narrower where JSON Schema cannot say it. But a type alone would read a list where it wants an object, `null` where a
//! member may be left out, and the same value twice into a set; a caller who relies on one of these has nothing to rely on.

use super::OPENAPI;
use jsonschema::{Draft, PatternOptions, Validator};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A body that the description has.
pub(super) trait Described: DeserializeOwned {
    /// Its name among the description's schemas.
    const SCHEMA: &'static str;
}

/// By the name of the schema.
static BODIES: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(compiled);

/// Whether the body is what the description says.
///
/// # Errors
/// Where it is not and which keyword it breaks; never a value: a body may hold a password.
pub(super) fn judge<T: Described>(body: &Value) -> Result<(), String> {
    let validator = BODIES
        .get(T::SCHEMA)
        .ok_or_else(|| "the description does not have it".to_owned())?;
    validator
        .validate(body)
        .map_err(|error| match error.instance_path().as_str() {
            "" => format!("`{}`", error.kind().keyword()),
            at => format!("`{}` at `{at}`", error.kind().keyword()),
        })
}

/// The schema of each body that an operation takes, with the rest of the document to refer to.
fn compiled() -> BTreeMap<String, Validator> {
    let Ok(Value::Object(document)) = serde_json::from_str(OPENAPI) else {
        return BTreeMap::new();
    };
    let operations = document
        .get("paths")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(_, item)| item.as_object())
        .flatten();
    let bodies = operations.filter_map(|(_, operation)| {
        let schema = operation.pointer("/requestBody/content/application~1json/schema/$ref")?;
        let name = schema.as_str()?.strip_prefix("#/components/schemas/")?;
        let mut root = document.clone();
        root.insert("$ref".to_owned(), schema.clone());
        let validator = jsonschema::options()
            .offline()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(true)
            .build(&Value::Object(root))
            .ok()?;
        Some((name.to_owned(), validator))
    });
    bodies.collect()
}

#[cfg(test)]
mod tests {
    use super::super::OPENAPI;
    use super::{BODIES, Described, judge};
    use serde::Deserialize;
    use serde_json::{Value, json};

    #[derive(Deserialize)]
    struct Any {}

    impl Described for Any {
        const SCHEMA: &'static str = "ApiKeyAdd";
    }

    #[derive(Deserialize)]
    struct Unknown {}

    impl Described for Unknown {
        const SCHEMA: &'static str = "NoSuchSchema";
    }

    #[test]
    fn every_body_of_the_description_can_be_judged() {
        let document: Value = serde_json::from_str(OPENAPI).unwrap();
        let bodies = document["paths"].as_object().unwrap().values();
        let bodies = bodies.filter(|item| item["post"]["requestBody"].is_object());
        assert_eq!(BODIES.len(), bodies.count());
        assert!(judge::<Unknown>(&json!({})).is_err());
    }

    #[test]
    fn what_types_alone_would_read_is_refused() {
        let good = json!({
            "client": "partner", "name": "night batch", "audience": "https://orders.example", "scopes": ["orders.read"],
        });
        assert_eq!(judge::<Any>(&good), Ok(()));
        let with = |name: &str, value: Value| {
            let mut body = good.clone();
            body[name] = value;
            judge::<Any>(&body)
        };
        assert_eq!(with("expires_in", json!(60)), Ok(()));
        assert_eq!(
            with("expires_in", Value::Null),
            Err("`type` at `/expires_in`".to_owned())
        );
        assert_eq!(
            with("scopes", json!(["a", "a"])),
            Err("`uniqueItems` at `/scopes`".to_owned())
        );
        assert_eq!(
            with("more", json!(1)),
            Err("`additionalProperties`".to_owned())
        );
        let listed = json!(["partner", "night batch", "https://orders.example", ["a"]]);
        assert_eq!(judge::<Any>(&listed), Err("`type`".to_owned()));
    }
}
