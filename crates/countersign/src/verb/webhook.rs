//! `webhook`: webhooks that go out, and a receiver for the developer's own machine.

mod listen;

use super::{Ended, Output, webhook_admin};
use crate::cli::WebhookVerb;

/// Runs the verb.
pub(super) fn webhook(verb: &WebhookVerb, output: Output) -> Ended {
    match verb {
        WebhookVerb::Admin(verb) => webhook_admin::administer(verb, output),
        WebhookVerb::Listen(args) => listen::listen(args, output),
    }
}
