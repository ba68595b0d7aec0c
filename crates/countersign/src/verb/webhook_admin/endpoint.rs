//! `webhook endpoint`: receivers added, changed, shown, enabled, disabled and removed, and their secrets rotated.

use super::{file, insert, json_file, members, rows, said, text, usage};
use crate::cli::{
    WebhookEndpointAdd, WebhookEndpointChange, WebhookEndpointOf, WebhookEndpointPart,
    WebhookEndpointVerb, WebhookOrderName, WebhookPayloadName, WebhookSigningName,
};
use crate::verb::control::{post, show};
use crate::verb::{Ended, Output};
use serde_json::{Map, Value};

pub(super) fn endpoint(verb: &WebhookEndpointVerb, output: Output) -> Ended {
    match verb {
        WebhookEndpointVerb::Add(add) => self::add(add, output),
        WebhookEndpointVerb::Change(change) => self::change(change, output),
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
    said(post(&of.target, &path, &Value::Null), output, change_line)
}

fn change_line(answer: &Value) -> Vec<String> {
    vec![format!(
        "{}  {}",
        text(answer, "endpoint"),
        text(answer, "change")
    )]
}

fn change(change: &WebhookEndpointChange, output: Output) -> Ended {
    let path = format!("webhooks/endpoints/{}/change", change.endpoint);
    match change_body(change) {
        Ok(body) => said(post(&change.target, &path, &body), output, change_line),
        Err(message) => usage(&message),
    }
}

/// What was typed and nothing else: what is not in the body stays. `null` takes away.
fn change_body(change: &WebhookEndpointChange) -> Result<Value, String> {
    let mut body = Map::new();
    insert(&mut body, "url", change.url.as_ref());
    if !change.events.is_empty() {
        insert(&mut body, "events", Some(&change.events));
    }
    insert(&mut body, "description", change.description.as_ref());
    insert(&mut body, "payload", change.payload.map(payload).as_ref());
    insert(&mut body, "order", change.order.map(order).as_ref());
    insert(&mut body, "rate", change.rate.as_ref());
    insert(&mut body, "concurrency", change.concurrency.as_ref());
    insert(&mut body, "retries", change.retries.as_ref());
    if let Some(path) = &change.encryption_key {
        body.insert("encryption".to_owned(), json_file(path)?);
    }
    if let Some(path) = &change.ca {
        body.insert("ca".to_owned(), Value::String(file(path)?));
    }
    if change.client_certificate {
        body.insert("client_certificate".to_owned(), Value::Bool(true));
    }
    for part in &change.without {
        let (option, member, none) = match part {
            WebhookEndpointPart::Ca => ("ca", "ca", Value::Null),
            WebhookEndpointPart::ClientCertificate => (
                "client-certificate",
                "client_certificate",
                Value::Bool(false),
            ),
            WebhookEndpointPart::Description => ("description", "description", Value::Null),
            WebhookEndpointPart::EncryptionKey => ("encryption-key", "encryption", Value::Null),
            WebhookEndpointPart::Rate => ("rate", "rate", Value::Null),
        };
        let before = body.insert(member.to_owned(), none.clone());
        if before.is_some_and(|before| before != none) {
            return Err(format!(
                "`--{option}` and `--without {option}` are there both"
            ));
        }
    }
    Ok(Value::Object(body))
}

const fn payload(name: WebhookPayloadName) -> &'static str {
    match name {
        WebhookPayloadName::Full => "full",
        WebhookPayloadName::Thin => "thin",
    }
}

const fn order(name: WebhookOrderName) -> &'static str {
    match name {
        WebhookOrderName::Any => "any",
        WebhookOrderName::PerKey => "per_key",
        WebhookOrderName::Strict => "strict",
    }
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
    insert(&mut body, "payload", Some(&payload(add.payload)));
    insert(&mut body, "order", Some(&order(add.order)));
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

#[cfg(test)]
mod tests {
    use super::{change_body, endpoints};
    use crate::cli::{Cli, Verb, WebhookAdminVerb, WebhookEndpointVerb, WebhookVerb};
    use clap::Parser as _;
    use serde_json::{Value, json};

    #[test]
    fn each_endpoint_is_a_line() {
        let endpoint = json!({
            "endpoint": "05", "state": "enabled", "partner": "acme", "signing": "v1", "url": "https://a.example/",
        });
        assert_eq!(
            endpoints(&json!({ "endpoints": [endpoint] })),
            ["05  enabled  acme  v1  https://a.example/"]
        );
    }

    /// The body of a change that is typed so; nothing where the command line takes no such thing.
    fn typed(options: &[&str]) -> Option<Result<Value, String>> {
        let id = "05".repeat(16);
        let verb = ["countersign", "webhook", "endpoint", "change", &id];
        let cli = Cli::try_parse_from(verb.iter().chain(options)).ok()?;
        match cli.verb {
            Verb::Webhook(WebhookVerb::Admin(WebhookAdminVerb::Endpoint(
                WebhookEndpointVerb::Change(change),
            ))) => Some(change_body(&change)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_says_what_was_typed_and_nothing_else() {
        let body = |options: &[&str]| typed(options).unwrap().unwrap();
        assert!(typed(&[]).is_none(), "nothing to change");
        assert!(typed(&["--signing", "v1a"]).is_none());
        assert_eq!(body(&["--concurrency", "2"]), json!({ "concurrency": 2 }));
        assert_eq!(
            body(&["--event", "a.*", "--event", "b", "--order", "per-key"]),
            json!({ "events": ["a.*", "b"], "order": "per_key" })
        );
        assert_eq!(
            body(&["--without", "rate", "--without", "client-certificate"]),
            json!({ "rate": null, "client_certificate": false })
        );
        let both = typed(&["--rate", "5", "--without", "rate"]).unwrap();
        assert!(both.is_err());
        assert_eq!(
            body(&["--rate", "5", "--without", "ca"]),
            json!({ "rate": 5, "ca": null })
        );
    }
}
