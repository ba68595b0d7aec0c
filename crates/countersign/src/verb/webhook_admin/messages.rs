//! `webhook messages` and `webhook message`: what was published and what came in, without what it says.

use super::{delivery_line, insert, rows, said, text};
use crate::cli::{Target, WebhookMessages};
use crate::verb::control::{post, show as shown};
use crate::verb::{Ended, Output};
use countersign_base::MessageId;
use serde_json::{Map, Value, json};

pub(super) fn list(of: &WebhookMessages, output: Output) -> Ended {
    let mut body = Map::new();
    insert(&mut body, "type", of.event_type.as_ref());
    insert(&mut body, "since", of.since.as_ref());
    insert(&mut body, "until", of.until.as_ref());
    if let Some((created, message)) = of.after {
        let place = json!({ "created": created, "message": message });
        body.insert("after".to_owned(), place);
    }
    let answer = post(&of.target, "webhooks/messages/list", &Value::Object(body));
    said(answer, output, lines)
}

/// One line a message, and where to go on.
fn lines(answer: &Value) -> Vec<String> {
    let mut lines = rows(answer, "messages", line);
    if let Some(next) = answer.get("next") {
        let (created, message) = (text(next, "created"), text(next, "message"));
        lines.push(format!("more with --after {created}:{message}"));
    }
    lines
}

fn line(one: &Value) -> String {
    format!(
        "{}  {}  {}  version {}  for {}  {} bytes  at {}",
        text(one, "message"),
        text(one, "origin"),
        text(one, "type"),
        text(one, "version"),
        one.get("partner")
            .map_or_else(|| "everyone".to_owned(), |_| text(one, "partner")),
        text(one, "bytes"),
        text(one, "created"),
    )
}

pub(super) fn show(message: &MessageId, target: &Target, output: Output) -> Ended {
    let answer = shown(target, &format!("webhooks/messages/{message}"));
    said(answer, output, |answer| {
        let digest = format!("digest   {}", text(answer, "digest"));
        let deliveries = rows(answer, "deliveries", delivery_line);
        [line(answer), digest]
            .into_iter()
            .chain(deliveries)
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::lines;
    use serde_json::json;

    #[test]
    fn each_message_is_a_line_and_the_last_says_where_to_go_on() {
        let published = json!({
            "message": "0a", "origin": "published", "type": "a.b", "version": 1, "partner": "acme", "bytes": 9, "created": 7,
        });
        let received = json!({ "message": "0b", "origin": "received", "type": "provider", "bytes": 3, "created": 6 });
        let page =
            json!({ "messages": [published, received], "next": { "created": 6, "message": "0b" } });
        assert_eq!(
            lines(&page),
            [
                "0a  published  a.b  version 1  for acme  9 bytes  at 7",
                "0b  received  provider  version -  for everyone  3 bytes  at 6",
                "more with --after 6:0b",
            ]
        );
    }
}
