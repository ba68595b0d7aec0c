//! Evidence that is used once cannot be cloned.

use countersign_authn::{Subject, Unspent};
use countersign_policy::Permitted;

fn two_permits(permit: Permitted<u8>) -> (Permitted<u8>, Permitted<u8>) {
    (permit.clone(), permit)
}

fn two_credentials(subject: Unspent<Subject>) -> (Unspent<Subject>, Unspent<Subject>) {
    (subject.clone(), subject)
}

fn main() {}
