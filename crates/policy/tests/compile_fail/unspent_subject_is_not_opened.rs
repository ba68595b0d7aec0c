use countersign_authn::{Subject, Unspent};

fn opened(subject: Unspent<Subject>) -> Subject {
    subject.value
}

fn main() {}
