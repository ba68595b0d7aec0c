use countersign_base::Secret;

fn main() {
    let _ = serde_json::to_string(&Secret::new(String::new()));
}
