//! `client key`: makes, lists and revokes API keys.

use super::control::post;
use super::{Ended, Output, print_line};
use crate::cli::{ClientKeyAdd, ClientKeyVerb, Target};
use countersign_base::{ClientId, GrantId};
use serde_json::{Map, Value, json};

pub(super) fn key(verb: &ClientKeyVerb, output: Output) -> Ended {
    match verb {
        ClientKeyVerb::Add(add) => self::add(add, output),
        ClientKeyVerb::List { client, target } => list(client, target, output),
        ClientKeyVerb::Revoke { id, target } => revoke(*id, target, output),
    }
}

fn add(add: &ClientKeyAdd, output: Output) -> Ended {
    match post(&add.target, "api-keys", &body(add)) {
        Ok(answer) => {
            match output {
                Output::Json => print_line(answer),
                Output::Text => {
                    for name in ["key_id", "expires", "api_key"] {
                        print_line(format_args!("{name:8} {}", text(&answer, name)));
                    }
                    eprintln!("The key is shown this once; only a keyed hash of it is kept.");
                }
            }
            Ended::Done
        }
        Err(error) => error.say(),
    }
}

/// What was not typed is left out, so that the API's defaults hold.
fn body(add: &ClientKeyAdd) -> Value {
    let mut body = Map::new();
    body.insert("client".to_owned(), json!(add.client));
    body.insert("name".to_owned(), json!(add.name));
    body.insert("audience".to_owned(), json!(add.audience));
    body.insert("scopes".to_owned(), json!(add.scopes));
    body.insert("networks".to_owned(), json!(add.networks));
    if let Some(days) = add.days {
        body.insert("expires_in".to_owned(), json!(days.saturating_mul(86_400)));
    }
    if let Some(replaces) = add.replaces {
        body.insert("replaces".to_owned(), json!(replaces));
    }
    if let Some(hours) = add.overlap_hours {
        body.insert("overlap".to_owned(), json!(hours.saturating_mul(3600)));
    }
    Value::Object(body)
}

fn list(client: &ClientId, target: &Target, output: Output) -> Ended {
    match post(target, "api-keys/list", &json!({ "client": client })) {
        Ok(answer) => {
            match output {
                Output::Json => print_line(answer),
                Output::Text => lines(&answer).iter().for_each(print_line),
            }
            Ended::Done
        }
        Err(error) => error.say(),
    }
}

/// One line a key.
fn lines(answer: &Value) -> Vec<String> {
    let none = Vec::new();
    let keys = answer.get("keys").and_then(Value::as_array);
    keys.unwrap_or(&none)
        .iter()
        .map(|key| {
            format!(
                "{}  until {}  revoked {}  used on {}  {}  {}  {}",
                text(key, "key_id"),
                text(key, "expires"),
                text(key, "revoked"),
                text(key, "used_on"),
                text(key, "audience"),
                text(key, "scopes"),
                text(key, "name"),
            )
        })
        .collect()
}

fn revoke(id: GrantId, target: &Target, output: Output) -> Ended {
    match post(target, &format!("api-keys/{id}/revoke"), &Value::Null) {
        Ok(answer) => {
            match output {
                Output::Json => print_line(answer),
                Output::Text => print_line(format_args!("revoked  {id}")),
            }
            Ended::Done
        }
        Err(error) => error.say(),
    }
}

fn text(of: &Value, name: &str) -> String {
    match of.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::lines;
    use serde_json::json;

    #[test]
    fn each_key_is_a_line() {
        let key = json!({
            "key_id": "05", "expires": 9, "used_on": 0, "audience": "https://a.example", "scopes": "a b", "name": "night",
        });
        assert_eq!(
            lines(&json!({ "keys": [key] })),
            ["05  until 9  revoked -  used on 0  https://a.example  a b  night"]
        );
        assert_eq!(lines(&json!({ "keys": [] })), Vec::<String>::new());
    }
}
