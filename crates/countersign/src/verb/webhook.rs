//! `webhook`: webhooks that go out, and a receiver for the developer's own machine.

mod listen;

use super::{Ended, Output};
use crate::cli::WebhookVerb;

/// Runs the verb.
pub(super) fn webhook(verb: &WebhookVerb, output: Output) -> Ended {
    match verb {
        WebhookVerb::Listen(args) => listen::listen(args, output),
    }
}
