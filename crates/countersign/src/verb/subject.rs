//! `subject`: erases a person, and says what that does not reach.

use super::control::{ControlError, post};
use super::{Ended, Output, print_line};
use crate::cli::{SubjectVerb, Target};
use countersign_base::{UserId, Username};
use serde_json::{Value, json};

pub(super) fn subject(verb: &SubjectVerb, output: Output) -> Ended {
    match verb {
        SubjectVerb::Erase { who, target } => erase(who, target, output),
    }
}

fn erase(who: &str, target: &Target, output: Output) -> Ended {
    let user = match who.parse::<UserId>() {
        Ok(user) => user.to_string(),
        Err(_) => match who.parse::<Username>() {
            Ok(name) => match id_of(&name, target) {
                Ok(user) => user,
                Err(error) => return error.say(),
            },
            Err(_) => {
                eprintln!("error: `{who}` is neither a username nor an id");
                return Ended::Usage;
            }
        },
    };
    match post(target, &format!("subjects/{user}/erase"), &Value::Null) {
        Ok(answer) => say(&answer, output),
        Err(error) => error.say(),
    }
}

/// Where a person is signed in is told with their id.
fn id_of(name: &Username, target: &Target) -> Result<String, ControlError> {
    let answer = post(target, "users/sessions", &json!({ "username": name }))?;
    let id = answer.get("user_id").and_then(Value::as_str);
    Ok(id.unwrap_or_default().to_owned())
}

fn say(answer: &Value, output: Output) -> Ended {
    if output == Output::Json {
        print_line(answer);
        return Ended::Done;
    }
    let text = |pointer: &str| {
        let value = answer.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    print_line(format_args!("user_id  {}", text("/user_id")));
    match answer.pointer("/receipt") {
        Some(_receipt) => {
            print_line(format_args!("event    {}", text("/receipt/event_id")));
            print_line(format_args!("salt     {}", text("/receipt/salt")));
            print_line(format_args!(
                "prove it with `countersign audit prove {}`; the salt opens its commitment and is kept nowhere else",
                text("/receipt/event_id")
            ));
        }
        None => print_line("erased before; the receipt was given out then"),
    }
    print_line("what this does not reach:");
    let remains = answer.get("remains").and_then(Value::as_array);
    for place in remains.into_iter().flatten() {
        let part = |name| place.get(name).and_then(Value::as_str).unwrap_or_default();
        let clients = place.get("clients").and_then(Value::as_array);
        let clients: Vec<&str> = clients
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let (what, note) = (part("what"), part("note"));
        match clients.is_empty() {
            true => print_line(format_args!("- {what}: {note}")),
            false => print_line(format_args!("- {what}: {note}: {}", clients.join(", "))),
        }
    }
    Ended::Done
}
