use countersign_authn::{Subject, Unspent};
use countersign_policy::vocabulary;

fn looked_into(subject: Unspent<Subject>) {
    let _ = vocabulary::principal(&subject);
}

fn main() {}
