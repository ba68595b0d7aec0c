//! The twin of what is no caller: a subject that is spent, with scopes that were checked.

use countersign_authn::{ScopesHeld, Subject};
use countersign_gateway::Caller;

fn caller(subject: Subject, held: ScopesHeld) -> Caller {
    Caller::Subject(subject, held)
}

fn main() {}
