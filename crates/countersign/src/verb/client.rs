//! `client`: registers applications.

use super::control::post;
use super::{Ended, Output, print_line};
use crate::cli::{ClientAdd, ClientVerb, Target};
use countersign_base::ClientId;
use serde_json::{Value, json};

pub(super) fn client(verb: &ClientVerb, output: Output) -> Ended {
    match verb {
        ClientVerb::Add(add) => self::add(add, output),
        ClientVerb::Disable { id, target } => disable(id, target, output),
    }
}

fn add(add: &ClientAdd, output: Output) -> Ended {
    let mut body = json!({
        "id": add.id,
        "method": if add.method.secret { "secret" } else if add.method.public { "public" } else { "jwks" },
        "grants": add.grants,
        "redirect_uris": add.redirect_uris,
        "scopes": add.scopes,
        "audiences": add.audiences,
    });
    if let Value::Object(members) = &mut body {
        if let Some(profile) = add.profile {
            members.insert("profile".to_owned(), json!(profile));
        }
        if !add.response_modes.is_empty() {
            members.insert("response_modes".to_owned(), json!(add.response_modes));
        }
    }
    if let (Some(path), Value::Object(members)) = (&add.method.jwks, &mut body) {
        let read = std::fs::read(path).map_err(|error| error.kind().to_string());
        let set: Result<Value, String> = read.and_then(|text| {
            serde_json::from_slice(&text)
                .map_err(|error| format!("line {} is not JSON", error.line()))
        });
        match set {
            Ok(set) => _ = members.insert("jwks".to_owned(), set),
            Err(error) => {
                eprintln!("error: `{}` cannot be used: {error}", path.display());
                return Ended::Usage;
            }
        }
    }
    match post(&add.target, "clients", &body) {
        Ok(answer) => {
            say(&answer, output);
            Ended::Done
        }
        Err(error) => error.say(),
    }
}

fn disable(id: &ClientId, target: &Target, output: Output) -> Ended {
    match post(target, "clients/disable", &json!({ "id": id })) {
        Ok(answer) => {
            match output {
                Output::Json => print_line(answer),
                Output::Text => print_line(format_args!("disabled  {id}")),
            }
            Ended::Done
        }
        Err(error) => error.say(),
    }
}

fn say(answer: &Value, output: Output) {
    match output {
        Output::Json => print_line(answer),
        Output::Text => {
            let text = |name: &str| answer.get(name).and_then(Value::as_str);
            print_line(format_args!(
                "client_id      {}",
                text("client_id").unwrap_or_default()
            ));
            if let Some(secret) = text("client_secret") {
                print_line(format_args!("client_secret  {secret}"));
                eprintln!("The secret is shown this once; only a keyed hash of it is kept.");
            }
        }
    }
}
