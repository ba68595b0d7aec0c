use countersign_base::Secret;

fn main() {
    let secret = Secret::new(String::new());
    let _ = secret.clone();
}
