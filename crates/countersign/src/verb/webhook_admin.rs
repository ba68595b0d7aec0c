//! `webhook`: receivers of webhooks, event types, publishing, deliveries, resending and replay, by the admin API of a running process.

use super::control::{ControlError, post, show};
use super::{Ended, Output, print_line};
use crate::cli::{
    WebhookAdminVerb, WebhookDeliveries, WebhookEndpointAdd, WebhookEndpointOf,
    WebhookEndpointVerb, WebhookEventTypeVerb, WebhookOrderName, WebhookPayloadName, WebhookReplay,
    WebhookSend, WebhookSigningName,
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
        WebhookAdminVerb::Endpoint(verb) => endpoint(verb, output),
        WebhookAdminVerb::EventType(verb) => event_type(verb, output),
        WebhookAdminVerb::Replay(replay) => self::replay(replay, output),
        WebhookAdminVerb::Resend { delivery, target } => {
            let path = format!("webhooks/deliveries/{delivery}/resend");
            said(post(target, &path, &Value::Null), output, again)
        }
        WebhookAdminVerb::Send(send) => self::send(send, output),
    }
}

fn endpoint(verb: &WebhookEndpointVerb, output: Output) -> Ended {
    match verb {
        WebhookEndpointVerb::Add(add) => self::add(add, output),
        WebhookEndpointVerb::Disable(of) => changed(of, "disable", output),
        WebhookEndpointVerb::Enable(of) => changed(of, "enable", output),
        WebhookEndpointVerb::List {
            partner,
            after,
            target,
        } => {
            let mut body = Map::new();
            insert(&mut body, "partner", partner.as_ref());
            insert(&mut body, "after", after.as_ref());
            let answer = post(target, "webhooks/endpoints/list", &Value::Object(body));
            said(answer, output, endpoints)
        }
        WebhookEndpointVerb::Remove(of) => changed(of, "remove", output),
        WebhookEndpointVerb::RotateSecret {
            endpoint,
            overlap_hours,
            target,
        } => {
            let mut body = Map::new();
            let overlap = overlap_hours.map(|hours| hours.saturating_mul(3600));
            insert(&mut body, "overlap", overlap.as_ref());
            let path = format!("webhooks/endpoints/{endpoint}/rotate-secret");
            said(post(target, &path, &Value::Object(body)), output, secret)
        }
        WebhookEndpointVerb::Show(of) => {
            let path = format!("webhooks/endpoints/{}", of.endpoint);
            said(show(&of.target, &path), output, |answer| {
                members(answer, "")
            })
        }
    }
}

fn changed(of: &WebhookEndpointOf, operation: &str, output: Output) -> Ended {
    let path = format!("webhooks/endpoints/{}/{operation}", of.endpoint);
    said(post(&of.target, &path, &Value::Null), output, |answer| {
        vec![format!(
            "{}  {}",
            text(answer, "endpoint"),
            text(answer, "change")
        )]
    })
}

fn add(add: &WebhookEndpointAdd, output: Output) -> Ended {
    match endpoint_body(add) {
        Ok(body) => said(
            post(&add.target, "webhooks/endpoints", &body),
            output,
            secret,
        ),
        Err(message) => usage(&message),
    }
}

/// What was not typed is left out, so that the API's defaults hold.
fn endpoint_body(add: &WebhookEndpointAdd) -> Result<Value, String> {
    let mut body = Map::new();
    insert(&mut body, "partner", add.partner.as_ref());
    insert(&mut body, "url", Some(&add.url));
    insert(&mut body, "events", Some(&add.events));
    insert(&mut body, "description", add.description.as_ref());
    let signing = match add.signing {
        WebhookSigningName::HttpSignature => "http-signature",
        WebhookSigningName::V1 => "v1",
        WebhookSigningName::V1a => "v1a",
    };
    insert(&mut body, "signing", Some(&signing));
    let payload = match add.payload {
        WebhookPayloadName::Full => "full",
        WebhookPayloadName::Thin => "thin",
    };
    insert(&mut body, "payload", Some(&payload));
    let order = match add.order {
        WebhookOrderName::Any => "any",
        WebhookOrderName::PerKey => "per_key",
        WebhookOrderName::Strict => "strict",
    };
    insert(&mut body, "order", Some(&order));
    insert(&mut body, "rate", add.rate.as_ref());
    insert(&mut body, "concurrency", add.concurrency.as_ref());
    insert(&mut body, "retries", add.retries.as_ref());
    if let Some(path) = &add.encryption_key {
        body.insert("encryption".to_owned(), json_file(path)?);
    }
    if let Some(path) = &add.ca {
        body.insert("ca".to_owned(), Value::String(file(path)?));
    }
    if add.client_certificate {
        body.insert("client_certificate".to_owned(), Value::Bool(true));
    }
    Ok(Value::Object(body))
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
        WebhookEventTypeVerb::List { target } => {
            let answer = post(target, "webhooks/event-types/list", &json!({}));
            said(answer, output, |answer| {
                rows(answer, "event_types", |one| {
                    format!(
                        "{}  version {}  {}",
                        text(one, "name"),
                        text(one, "version"),
                        text(one, "description")
                    )
                })
            })
        }
    }
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
    let mut lines = rows(answer, "deliveries", |one| {
        format!(
            "{}  {}  attempts {}  due {}  status {}  {}",
            text(one, "delivery"),
            text(one, "state"),
            text(one, "attempts"),
            text(one, "due"),
            text(one, "status"),
            text(one, "reason"),
        )
    });
    lines.extend(
        answer
            .get("payload")
            .map(|payload| format!("payload  {payload}")),
    );
    lines
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
        Some(true) => "; there are more: ask again",
        Some(false) | None => "",
    };
    vec![format!("{} due again{more}", text(answer, "deliveries"))]
}

fn secret(answer: &Value) -> Vec<String> {
    eprintln!("The secret is shown this once.");
    ["endpoint", "secret_id", "secret", "others_end"]
        .into_iter()
        .filter(|name| answer.get(name).is_some())
        .map(|name| format!("{name:10} {}", text(answer, name)))
        .collect()
}

/// One line an endpoint.
fn endpoints(answer: &Value) -> Vec<String> {
    rows(answer, "endpoints", |one| {
        format!(
            "{}  {}  {}  {}  {}",
            text(one, "endpoint"),
            text(one, "state"),
            text(one, "partner"),
            text(one, "signing"),
            text(one, "url"),
        )
    })
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
    use super::{again, delivered, endpoints};
    use serde_json::json;

    #[test]
    fn each_thing_is_a_line() {
        let endpoint = json!({
            "endpoint": "05", "state": "enabled", "partner": "acme", "signing": "v1", "url": "https://a.example/",
        });
        assert_eq!(
            endpoints(&json!({ "endpoints": [endpoint] })),
            ["05  enabled  acme  v1  https://a.example/"]
        );
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
        let more = json!({ "deliveries": 3, "more": true });
        assert_eq!(again(&more), ["3 due again; there are more: ask again"]);
    }
}
