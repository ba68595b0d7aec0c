//! `grant`: ends what a person allowed a client.

use super::control::post;
use super::{Ended, Output, print_line};
use crate::cli::GrantVerb;
use serde_json::Value;

pub(super) fn grant(verb: &GrantVerb, output: Output) -> Ended {
    let GrantVerb::Revoke { id, target } = verb;
    match post(target, &format!("grants/{id}/revoke"), &Value::Null) {
        Ok(answer) => {
            match output {
                Output::Json => print_line(answer),
                Output::Text => print_line(format_args!("revoked  {id}")),
            }
            Ended::Done
        }
        Err(error) => error.say(),
    }
}
