use countersign_authn::{Subject, Unspent};
use countersign_policy::{PolicySet, decide};

fn too_early(policies: &PolicySet, subject: Unspent<Subject>) {
    let _ = decide(policies, subject);
}

fn main() {}
