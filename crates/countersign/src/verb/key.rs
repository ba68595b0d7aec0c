//! `key`: rotates signing keys on demand.

use super::control::post;
use super::{Ended, Output, print_line};
use crate::cli::KeyVerb;
use serde_json::Value;

pub(super) fn key(verb: &KeyVerb, output: Output) -> Ended {
    let KeyVerb::Rotate { target } = verb;
    match post(target, "keys/rotate", &Value::Null) {
        Ok(answer) => {
            match output {
                Output::Json => print_line(answer),
                Output::Text => {
                    let kids = answer.get("kids").and_then(Value::as_array);
                    for kid in kids.into_iter().flatten().filter_map(Value::as_str) {
                        print_line(format_args!("signs now  {kid}"));
                    }
                }
            }
            Ended::Done
        }
        Err(error) => error.say(),
    }
}
