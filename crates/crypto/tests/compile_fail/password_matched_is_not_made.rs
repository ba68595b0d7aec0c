use countersign_crypto::password::PasswordMatched;

fn made() -> PasswordMatched {
    PasswordMatched(())
}

fn main() {}
