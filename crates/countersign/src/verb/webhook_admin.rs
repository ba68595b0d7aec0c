//! `webhook`: receivers of webhooks, event types, publishing, messages, deliveries, resending and replay, by the admin API of a running process.

mod endpoint;
mod messages;

use super::control::{ControlError, post};
use super::{Ended, Output, print_line};
use crate::cli::{
    WebhookAdminVerb, WebhookDeliveries, WebhookEventTypeVerb, WebhookReplay, WebhookSend,
};
use countersign_base::{Bounded, EventTypeName};
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::Path;

/// Bytes of a payload, a schema or a key that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn administer(verb: &WebhookAdminVerb, output: Output) -> Ended {
    match verb {
        WebhookAdminVerb::Deliveries(of) => deliveries(of, output),
        WebhookAdminVerb::Endpoint(verb) => endpoint::endpoint(verb, output),
        WebhookAdminVerb::EventType(verb) => event_type(verb, output),
        WebhookAdminVerb::Message { message, target } => messages::show(message, target, output),
        WebhookAdminVerb::Messages(of) => messages::list(of, output),
        WebhookAdminVerb::Replay(replay) => self::replay(replay, output),
        WebhookAdminVerb::Resend { delivery, target } => {
            let path = format!("webhooks/deliveries/{delivery}/resend");
            said(post(target, &path, &Value::Null), output, again)
        }
        WebhookAdminVerb::Send(send) => self::send(send, output),
    }
}

fn event_type(verb: &WebhookEventTypeVerb, output: Output) -> Ended {
    match verb {
        WebhookEventTypeVerb::Add {
            name,
            version,
            description,
            schema,
            example,
            target,
        } => {
            let files = (schema.as_deref(), example.as_deref());
            match event_type_body(name, *version, description, files) {
                Ok(body) => said(
                    post(target, "webhooks/event-types", &body),
                    output,
                    |answer| {
                        vec![format!(
                            "{}  version {}",
                            text(answer, "name"),
                            text(answer, "version")
                        )]
                    },
                ),
                Err(message) => usage(&message),
            }
        }
        WebhookEventTypeVerb::Retire {
            name,
            version,
            target,
        } => {
            let mut body = Map::new();
            insert(&mut body, "name", Some(name));
            insert(&mut body, "version", version.as_ref());
            let answer = post(target, "webhooks/event-types/retire", &Value::Object(body));
            said(answer, output, retired)
        }
        WebhookEventTypeVerb::List { target } => {
            let answer = post(target, "webhooks/event-types/list", &json!({}));
            said(answer, output, |answer| {
                rows(answer, "event_types", event_type_line)
            })
        }
    }
}

fn event_type_line(one: &Value) -> String {
    let retired = match one.get("retired").and_then(Value::as_bool) {
        Some(true) => "  (retired)",
        Some(false) | None => "",
    };
    format!(
        "{}  version {}{retired}  {}",
        text(one, "name"),
        text(one, "version"),
        text(one, "description")
    )
}

/// One line a version that is retired from now on.
fn retired(answer: &Value) -> Vec<String> {
    let name = text(answer, "name");
    let lines = rows(answer, "versions", |version| {
        format!("{name}  version {version}  retired")
    });
    if lines.is_empty() {
        return vec![format!("{name}  was retired before")];
    }
    lines
}

fn event_type_body(
    name: &EventTypeName,
    version: Option<u32>,
    description: &Bounded<1024>,
    (schema, example): (Option<&Path>, Option<&Path>),
) -> Result<Value, String> {
    let mut body = Map::new();
    insert(&mut body, "name", Some(name));
    insert(&mut body, "version", version.as_ref());
    insert(&mut body, "description", Some(description));
    for (member, path) in [("schema", schema), ("example", example)] {
        if let Some(path) = path {
            body.insert(member.to_owned(), json_file(path)?);
        }
    }
    Ok(Value::Object(body))
}

fn send(send: &WebhookSend, output: Output) -> Ended {
    let data = match json_file(&send.payload) {
        Ok(data) => data,
        Err(message) => return usage(&message),
    };
    let mut body = Map::new();
    insert(&mut body, "type", Some(&send.event_type));
    insert(&mut body, "version", send.version.as_ref());
    insert(&mut body, "partner", send.partner.as_ref());
    if send.everyone {
        body.insert("everyone".to_owned(), Value::Bool(true));
    }
    insert(&mut body, "order_key", send.order_key.as_ref());
    insert(&mut body, "idempotency_key", send.idempotency_key.as_ref());
    body.insert("data".to_owned(), data);
    let answer = post(&send.target, "webhooks/messages", &Value::Object(body));
    said(answer, output, |answer| {
        let to = match answer.get("endpoints") {
            Some(endpoints) => format!("to {endpoints} endpoints"),
            None => "published before".to_owned(),
        };
        vec![format!("{}  {to}", text(answer, "message"))]
    })
}

fn deliveries(of: &WebhookDeliveries, output: Output) -> Ended {
    let mut body = Map::new();
    insert(&mut body, "endpoint", of.endpoint.as_ref());
    insert(&mut body, "message", of.message.as_ref());
    if of.dead {
        body.insert("dead".to_owned(), Value::Bool(true));
    }
    let answer = post(&of.target, "webhooks/deliveries/list", &Value::Object(body));
    said(answer, output, delivered)
}

/// One line a delivery, and the masked payload where it was asked for a message.
fn delivered(answer: &Value) -> Vec<String> {
    let mut lines = rows(answer, "deliveries", delivery_line);
    lines.extend(
        answer
            .get("payload")
            .map(|payload| format!("payload  {payload}")),
    );
    lines
}

fn delivery_line(one: &Value) -> String {
    format!(
        "{}  {}  attempts {}  due {}  status {}  {}",
        text(one, "delivery"),
        text(one, "state"),
        text(one, "attempts"),
        text(one, "due"),
        text(one, "status"),
        text(one, "reason"),
    )
}

fn replay(replay: &WebhookReplay, output: Output) -> Ended {
    let mut body = Map::new();
    insert(&mut body, "since", Some(&replay.since));
    insert(&mut body, "until", replay.until.as_ref());
    if replay.all {
        body.insert("all".to_owned(), Value::Bool(true));
    }
    let path = format!("webhooks/endpoints/{}/replay", replay.endpoint);
    let answer = post(&replay.target, &path, &Value::Object(body));
    said(answer, output, again)
}

fn again(answer: &Value) -> Vec<String> {
    let more = match answer.get("more").and_then(Value::as_bool) {
        Some(true) => format!(
            "; there are more: ask again with --since {}",
            text(answer, "since")
        ),
        Some(false) | None => String::new(),
    };
    vec![format!("{} due again{more}", text(answer, "deliveries"))]
}

/// Prints an answer, or says why there is none.
fn said(
    answer: Result<Value, ControlError>,
    output: Output,
    lines: impl FnOnce(&Value) -> Vec<String>,
) -> Ended {
    match answer {
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

fn usage(message: &str) -> Ended {
    eprintln!("error: {message}");
    Ended::Usage
}

fn rows(answer: &Value, name: &str, line: impl Fn(&Value) -> String) -> Vec<String> {
    let listed = answer.get(name).and_then(Value::as_array);
    listed.into_iter().flatten().map(line).collect()
}

/// One line a member.
fn members(answer: &Value, indent: &str) -> Vec<String> {
    let members = answer.as_object().into_iter().flatten();
    members
        .map(|(name, _)| format!("{indent}{name}  {}", text(answer, name)))
        .collect()
}

fn text(of: &Value, name: &str) -> String {
    match of.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn insert<T: serde::Serialize>(body: &mut Map<String, Value>, name: &str, value: Option<&T>) {
    if let Some(value) = value {
        body.insert(name.to_owned(), json!(value));
    }
}

fn json_file(path: &Path) -> Result<Value, String> {
    serde_json::from_str(&file(path)?)
        .map_err(|error| format!("`{}` is no JSON: {error}", path.display()))
}

/// A file, or standard input for `-`.
fn file(path: &Path) -> Result<String, String> {
    let unread = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let mut text = String::new();
    let read = if path == Path::new("-") {
        let input = std::io::stdin().lock();
        input.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(unread)?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)
    };
    read.map_err(unread)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("`{}` is longer than 1 MiB", path.display()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{again, delivered, event_type_line, retired};
    use serde_json::json;

    #[test]
    fn each_thing_is_a_line() {
        let delivery = json!({ "delivery": "0a", "state": "dead", "attempts": 2, "status": 500, "reason": "status" });
        assert_eq!(
            delivered(&json!({ "deliveries": [delivery], "payload": { "id": 1 } })),
            [
                "0a  dead  attempts 2  due -  status 500  status",
                "payload  {\"id\":1}"
            ]
        );
        assert_eq!(
            delivered(&json!({ "deliveries": [] })),
            Vec::<String>::new()
        );
        let more = json!({ "deliveries": 3, "more": true, "since": 1_800 });
        let expected = "3 due again; there are more: ask again with --since 1800";
        assert_eq!(again(&more), [expected]);
        let kind = json!({ "name": "a.b", "version": 2, "description": "A b", "retired": true });
        assert_eq!(event_type_line(&kind), "a.b  version 2  (retired)  A b");
        let both = json!({ "name": "a.b", "versions": [1, 2] });
        let lines = ["a.b  version 1  retired", "a.b  version 2  retired"];
        assert_eq!(retired(&both), lines);
        let none = json!({ "name": "a.b", "versions": [] });
        assert_eq!(retired(&none), ["a.b  was retired before"]);
    }
}
