//! Claims that nobody verified are no caller, and so they reach no field that the upstream trusts.

use countersign_authn::ScopesHeld;
use countersign_gateway::Caller;

fn caller(claims: serde_json::Value, held: ScopesHeld) -> Caller {
    Caller::Subject(claims, held)
}

fn main() {}
