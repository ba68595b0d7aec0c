//! Claims that nobody verified are no principal of a policy.

use countersign_policy::vocabulary;

fn principal(claims: &serde_json::Value) {
    let _ = vocabulary::principal(claims);
}

fn main() {}
