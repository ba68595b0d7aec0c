// The target stays in its permit until the permit is recorded; a reference to it is all there is before.

use countersign_policy::Permitted;

fn unrecorded(permit: Permitted<String>) -> String {
    permit.into_target()
}

fn main() {}
