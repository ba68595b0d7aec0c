// The twin of what does not compile: a subject that is spent, and a permit for what was decided about.

use countersign_authn::client::AuthenticatedClient;
use countersign_authn::{Subject, Unspent};
use countersign_policy::{Permitted, PolicySet, Query, Target, decide, vocabulary};

struct Reading(Query);

impl Target for Reading {
    fn query(&self) -> Query {
        self.0.clone()
    }
}

fn read(_permit: Permitted<Reading>) {}

fn decided(policies: &PolicySet, reading: Reading) {
    if let Ok(permit) = decide(policies, reading) {
        let _ = permit.target();
        read(permit);
    }
}

fn looked_into(subject: &Subject) {
    let _ = vocabulary::principal(subject);
}

fn passed_on(subject: Unspent<Subject>, client: AuthenticatedClient) -> (Unspent<Subject>, AuthenticatedClient) {
    assert!(serde_json::from_str::<u8>("1").is_ok());
    (subject, client)
}

fn main() {}
