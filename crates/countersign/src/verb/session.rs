//! `session`: shows where people are signed in, and ends it.

use super::control::post;
use super::{Ended, Output, print_line};
use crate::cli::{SessionVerb, Target};
use countersign_base::{SessionId, Username};
use serde_json::{Value, json};

pub(super) fn session(verb: &SessionVerb, output: Output) -> Ended {
    match verb {
        SessionVerb::End { id, target } => end(*id, target, output),
        SessionVerb::List { name, target } => list(name, target, output),
    }
}

fn end(id: SessionId, target: &Target, output: Output) -> Ended {
    match post(target, &format!("sessions/{id}/end"), &Value::Null) {
        Ok(answer) => {
            match output {
                Output::Json => print_line(answer),
                Output::Text => print_line(format_args!("ended  {id}")),
            }
            Ended::Done
        }
        Err(error) => error.say(),
    }
}

fn list(name: &Username, target: &Target, output: Output) -> Ended {
    match post(target, "users/sessions", &json!({ "username": name })) {
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

/// One line a sign-in.
fn lines(answer: &Value) -> Vec<String> {
    let text = |session: &Value, name: &str| match session.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let none = Vec::new();
    let sessions = answer.get("sessions").and_then(Value::as_array);
    sessions
        .unwrap_or(&none)
        .iter()
        .map(|session| {
            format!(
                "{}  since {}  until {}  {}  {}",
                text(session, "session_id"),
                text(session, "auth_time"),
                text(session, "expires"),
                text(session, "acr"),
                text(session, "device"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::lines;
    use serde_json::json;

    #[test]
    fn each_sign_in_is_a_line() {
        let answer = json!({ "sessions": [{ "session_id": "05", "auth_time": 7, "expires": 9, "acr": "phr", "device": null }] });
        assert_eq!(lines(&answer), ["05  since 7  until 9  phr  -"]);
        assert_eq!(lines(&json!({ "sessions": [] })), Vec::<String>::new());
    }
}
