//! `client`: registers applications.

use super::control::post;
use super::{Ended, Output, print_line};
use crate::cli::{ClientAdd, ClientEncryption, ClientMethod, ClientSwitches, ClientVerb, Target};
use countersign_base::ClientId;
use countersign_oauth::client::AnswerRules;
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) fn client(verb: &ClientVerb, output: Output) -> Ended {
    match verb {
        ClientVerb::Add(add) => self::add(add, output),
        ClientVerb::Disable { id, target } => disable(id, target, output),
        ClientVerb::Key(verb) => super::client_key::key(verb, output),
        ClientVerb::RegistrationToken { expires_in, target } => {
            registration_token(*expires_in, target, output)
        }
    }
}

fn add(add: &ClientAdd, output: Output) -> Ended {
    let body = match body(add) {
        Ok(body) => body,
        Err(message) => {
            eprintln!("error: {message}");
            return Ended::Usage;
        }
    };
    match post(&add.target, "clients", &body) {
        Ok(answer) => {
            say(&answer, output);
            Ended::Done
        }
        Err(error) => error.say(),
    }
}

/// What the admin API is sent. What was not typed is left out, so that the API's defaults hold.
fn body(add: &ClientAdd) -> Result<Value, String> {
    let ClientSwitches {
        application,
        consent,
        access_token_format,
        access_token_seconds,
        refresh_tokens,
        subject_type,
        sector,
        binding,
        pushed_requests,
        signed_requests,
        response_modes,
        detail_types,
    } = &add.switches;
    let mut body = credential(&add.method)?;
    let mut put = |name: &str, value: Value| {
        let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !empty {
            body.insert(name.to_owned(), value);
        }
    };
    put("id", json!(add.id));
    put("name", json!(add.name));
    put("grants", json!(add.grants));
    put("redirect_uris", json!(add.redirect_uris));
    put("scopes", json!(add.scopes));
    put("audiences", json!(add.audiences));
    put("serves", json!(add.serves));
    put("profile", json!(add.profile));
    put("application", json!(application));
    put("consent", json!(consent));
    put("access_token_format", json!(access_token_format));
    put("access_token_seconds", json!(access_token_seconds));
    put("refresh_tokens", json!(refresh_tokens));
    put("subject_type", json!(subject_type));
    put("sector", json!(sector));
    put("binding", json!(binding));
    put("pushed_requests", json!(pushed_requests));
    put("signed_requests", json!(signed_requests));
    put("response_modes", json!(response_modes));
    put("authorization_details_types", json!(detail_types));
    put("encrypt_responses", json!(add.encryption.encrypt_responses));
    if let Some(path) = &add.encryption.request_jwks {
        put("request_jwks", read_json(path)?);
    }
    put("answers", answers(&add.encryption));
    Ok(Value::Object(body))
}

/// How answers are encrypted; null if nothing was typed.
fn answers(typed: &ClientEncryption) -> Value {
    let rules = AnswerRules {
        encrypt_id_tokens: typed.encrypt_id_tokens,
        encrypt_introspection: typed.encrypt_introspection,
        encrypt_userinfo: typed.encrypt_userinfo,
        userinfo: typed.userinfo.unwrap_or_default(),
    };
    if rules == AnswerRules::default() {
        Value::Null
    } else {
        json!(rules)
    }
}

/// The one method that was typed.
fn credential(method: &ClientMethod) -> Result<Map<String, Value>, String> {
    let (name, value) = match method {
        ClientMethod {
            jwks: Some(path), ..
        } => ("jwks", Some(read_json(path)?)),
        ClientMethod {
            tls_subject: Some(subject),
            ..
        } => ("tls_subject", Some(json!(subject.0))),
        ClientMethod {
            tls_certificates: Some(path),
            ..
        } => ("tls_certificates", Some(read_certificates(path)?)),
        ClientMethod {
            workload: Some(issuer),
            ..
        } => ("workload", Some(json!(issuer))),
        ClientMethod { secret: true, .. } => ("secret", None),
        ClientMethod {
            secret_post: true, ..
        } => ("secret_post", None),
        ClientMethod { .. } => ("public", None),
    };
    let mut body = Map::from_iter([("method".to_owned(), json!(name))]);
    if let Some(value) = value {
        body.insert(name.to_owned(), value);
    }
    Ok(body)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("`{}` cannot be used: {}", path.display(), error.kind()))
}

fn read_json(path: &Path) -> Result<Value, String> {
    serde_json::from_str(&read(path)?).map_err(|error| {
        let line = error.line();
        format!(
            "`{}` cannot be used: line {line} is not JSON",
            path.display()
        )
    })
}

/// A JWK set as JSON, anything else as text: the server knows PEM.
fn read_certificates(path: &Path) -> Result<Value, String> {
    let text = read(path)?;
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
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

fn registration_token(expires_in: Option<u64>, target: &Target, output: Output) -> Ended {
    let body = match expires_in {
        Some(seconds) => json!({ "expires_in": seconds }),
        None => json!({}),
    };
    match post(target, "registration-tokens", &body) {
        Ok(answer) => {
            let token = answer.get("initial_access_token").and_then(Value::as_str);
            match output {
                Output::Json => print_line(answer),
                Output::Text => {
                    print_line(format_args!(
                        "initial_access_token  {}",
                        token.unwrap_or_default()
                    ));
                    eprintln!("It is good for one registration at /register and shown this once.");
                }
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
