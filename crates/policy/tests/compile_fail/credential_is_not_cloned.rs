use countersign_authn::{Subject, Unspent};

fn two(subject: Unspent<Subject>) -> (Unspent<Subject>, Unspent<Subject>) {
    (subject.clone(), subject)
}

fn main() {}
