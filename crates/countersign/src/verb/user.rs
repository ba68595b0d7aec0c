//! `user`: adds people, and takes everything from them at once.

use super::control::post;
use super::{Ended, Output, print_line};
use crate::cli::{Target, UserAdd, UserVerb};
use countersign_base::{Secret, Username};
use serde_json::{Map, Value, json};
use std::io::{self, Read};

/// Bytes of standard input that are looked at: more than any password may have.
const INPUT_BYTES_MAX: u64 = 4096;

pub(super) fn user(verb: &UserVerb, output: Output) -> Ended {
    match verb {
        UserVerb::Add(add) => self::add(add, output),
        UserVerb::Disable { name, target } => disable(name, target, output),
    }
}

fn add(add: &UserAdd, output: Output) -> Ended {
    let password = match password(io::stdin()) {
        Ok(password) => password,
        Err(error) => {
            let missing = match add.password_hash_stdin {
                true => "hash of a password",
                false => "password",
            };
            eprintln!("error: no {missing} on standard input: {error}");
            return Ended::Usage;
        }
    };
    let attributes: Map<String, Value> = add
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let member = match add.password_hash_stdin {
        true => "password_hash",
        false => "password",
    };
    let body = json!({
        "username": add.name,
        member: password.expose(),
        "roles": add.roles,
        "attributes": attributes,
    });
    match post(&add.target, "users", &body) {
        Ok(answer) => say(&answer, output),
        Err(error) => error.say(),
    }
}

fn disable(name: &Username, target: &Target, output: Output) -> Ended {
    match post(target, "users/disable", &json!({ "username": name })) {
        Ok(answer) => say(&answer, output),
        Err(error) => error.say(),
    }
}

/// The first and only line. The line break that ends it is not part of the password; one inside would be a mistake.
fn password(input: impl Read) -> Result<Secret<String>, &'static str> {
    let mut text = String::new();
    let read = input.take(INPUT_BYTES_MAX + 1).read_to_string(&mut text);
    let text = Secret::new(text);
    let text = text.expose();
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match read {
        Err(_) => Err("it is not UTF-8 text"),
        Ok(_) if text.len() as u64 > INPUT_BYTES_MAX => Err("it is too long"),
        Ok(_) if line.is_empty() => Err("it is empty"),
        Ok(_) if line.contains('\n') => Err("it has more than one line"),
        Ok(_) => Ok(Secret::new(line.to_owned())),
    }
}

fn say(answer: &Value, output: Output) -> Ended {
    match output {
        Output::Json => print_line(answer),
        Output::Text => {
            let id = answer.get("user_id").and_then(Value::as_str);
            print_line(format_args!("user_id  {}", id.unwrap_or_default()));
        }
    }
    Ended::Done
}

#[cfg(test)]
mod tests {
    use super::password;

    #[test]
    fn a_password_is_one_line() {
        for (input, expected) in [
            ("correct horse\n", Some("correct horse")),
            ("correct horse\r\n", Some("correct horse")),
            (" spaces stay ", Some(" spaces stay ")),
            ("", None),
            ("\n", None),
            ("two\nlines\n", None),
        ] {
            let read = password(input.as_bytes());
            assert_eq!(
                read.as_ref().ok().map(|secret| secret.expose().as_str()),
                expected,
                "{input:?}"
            );
        }
        assert!(password([0xff_u8].as_slice()).is_err());
        assert!(password("x".repeat(5000).as_bytes()).is_err());
    }
}
