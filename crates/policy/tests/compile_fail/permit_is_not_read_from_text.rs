use countersign_policy::Permitted;

fn from_text(text: &str) -> Permitted<String> {
    serde_json::from_str(text).unwrap()
}

fn main() {}
