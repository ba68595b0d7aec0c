use countersign_authn::Subject;

fn from_text(text: &str) -> Subject {
    serde_json::from_str(text).unwrap()
}

fn main() {}
