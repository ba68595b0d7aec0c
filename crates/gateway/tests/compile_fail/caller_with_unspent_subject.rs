//! A subject whose one-time values are not spent is no caller.

use countersign_authn::{ScopesHeld, Subject, Unspent};
use countersign_gateway::Caller;

fn caller(unspent: Unspent<Subject>, held: ScopesHeld) -> Caller {
    Caller::Subject(unspent, held)
}

fn main() {}
