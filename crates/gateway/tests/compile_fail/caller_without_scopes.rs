//! A subject whose scopes were not checked is no caller.

use countersign_authn::Subject;
use countersign_gateway::Caller;

fn caller(subject: Subject) -> Caller {
    Caller::Subject(subject, ())
}

fn main() {}
