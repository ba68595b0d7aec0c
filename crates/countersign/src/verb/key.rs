//! `key`: rotates keys on demand, and shows where a rotation stands.

use super::control::{post, show};
use super::{Ended, Output, print_line};
use crate::cli::{KeyKind, KeyVerb, Target};
use serde_json::Value;

pub(super) fn key(verb: &KeyVerb, output: Output) -> Ended {
    match verb {
        KeyVerb::Rotate {
            kind: KeyKind::Signing,
            target,
        } => answered(
            post(target, "keys/rotate", &Value::Null),
            output,
            |answer| {
                let kids = answer.get("kids").and_then(Value::as_array);
                for kid in kids.into_iter().flatten().filter_map(Value::as_str) {
                    print_line(format_args!("signs now  {kid}"));
                }
            },
        ),
        KeyVerb::Rotate {
            kind: KeyKind::KeyEncryption,
            target,
        } => rotated(target, "key-encryption", output),
        KeyVerb::Rotate {
            kind: KeyKind::Data,
            target,
        } => rotated(target, "data", output),
        KeyVerb::Rotate {
            kind: KeyKind::Root,
            target,
        } => {
            let answer = post(target, "keys/root/rotate", &Value::Null);
            answered(answer, output, |_| {
                print_line(
                    "rotated    bring the new root key to other nodes, and to where you keep it",
                );
            })
        }
        KeyVerb::Status { target } => answered(show(target, "keys/status"), output, status),
    }
}

fn rotated(target: &Target, kind: &str, output: Output) -> Ended {
    let answer = post(target, &format!("keys/{kind}/rotate"), &Value::Null);
    answered(answer, output, |answer| {
        let made = answer.get("version").or(answer.get("term"));
        let version = made.unwrap_or(&Value::Null);
        print_line(format_args!(
            "version    {version}; `countersign key status` shows how far older ones are replaced"
        ));
    })
}

fn answered(
    answer: Result<Value, super::control::ControlError>,
    output: Output,
    text: impl FnOnce(&Value),
) -> Ended {
    match answer {
        Ok(answer) => {
            match output {
                Output::Json => print_line(answer),
                Output::Text => text(&answer),
            }
            Ended::Done
        }
        Err(error) => error.say(),
    }
}

fn number(value: Option<&Value>) -> i64 {
    value.and_then(Value::as_i64).unwrap_or_default()
}

fn status(answer: &Value) {
    if let Some(key) = answer.get("key_encryption") {
        key_encryption(key);
    }
    let Some(data) = answer.get("data") else {
        return;
    };
    let keys = data.get("keys").and_then(Value::as_array);
    for key in keys.into_iter().flatten() {
        print_line(format_args!(
            "data            key {}  made {}  {} entries counted",
            number(key.get("term")),
            countersign_base::UnixTime(number(key.get("created"))),
            number(key.get("messages"))
        ));
    }
    let left = number(data.get("left"));
    if left > 0 {
        print_line(format_args!(
            "rewrapping      {left} entries are under older data keys"
        ));
    }
}

fn key_encryption(key: &Value) {
    let sealing = number(key.get("sealing"));
    let versions = key.get("versions").and_then(Value::as_array);
    for version in versions.into_iter().flatten() {
        let (version, created) = (
            number(version.get("version")),
            number(version.get("created")),
        );
        let seals = if version == sealing { "  seals" } else { "" };
        print_line(format_args!(
            "key-encryption  version {version}  made {}{seals}",
            countersign_base::UnixTime(created)
        ));
    }
    if let Some(rewrap) = key.get("rewrap") {
        let of = |name| number(rewrap.get(name));
        print_line(format_args!(
            "rewrapping      {} of {} rows looked at in walk {}, {} sealed again, {} do not open",
            of("done"),
            of("total"),
            of("walk"),
            of("rewrapped"),
            of("unreadable")
        ));
    }
    if let Some(at) = key.get("destroy_at") {
        print_line(format_args!(
            "waiting         older versions are destroyed at {}",
            countersign_base::UnixTime(number(Some(at)))
        ));
    }
}
