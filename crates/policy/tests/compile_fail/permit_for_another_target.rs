// A permit for one thing is none for another.

use countersign_policy::{PolicySet, Permitted, Query, Target, decide};

struct Reading(Query);
struct Deleting(Query);

impl Target for Reading {
    fn query(&self) -> Query {
        self.0.clone()
    }
}

impl Target for Deleting {
    fn query(&self) -> Query {
        self.0.clone()
    }
}

fn delete(_permit: Permitted<Deleting>) {}

fn swap(policies: &PolicySet, reading: Reading) {
    if let Ok(permit) = decide(policies, reading) {
        delete(permit);
    }
}

fn main() {}
