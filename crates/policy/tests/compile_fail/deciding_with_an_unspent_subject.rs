//! A subject whose one-time values are not spent is no target, and shows nothing to build one of.

use countersign_authn::{Subject, Unspent};
use countersign_policy::{PolicySet, decide, vocabulary};

fn too_early(policies: &PolicySet, subject: Unspent<Subject>) {
    let _ = decide(policies, subject);
}

fn looked_into(subject: Unspent<Subject>) {
    let _ = vocabulary::principal(&subject);
}

fn opened(subject: Unspent<Subject>) -> Subject {
    subject.value
}

fn main() {}
