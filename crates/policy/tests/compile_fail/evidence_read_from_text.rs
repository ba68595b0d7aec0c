//! Evidence is not deserialized and has no default.

use countersign_authn::Subject;
use countersign_authn::client::AuthenticatedClient;
use countersign_policy::Permitted;

fn from_text(text: &str) -> Permitted<String> {
    serde_json::from_str(text).unwrap()
}

fn from_nothing() -> AuthenticatedClient {
    AuthenticatedClient::default()
}

fn subject_from_text(text: &str) -> Subject {
    serde_json::from_str(text).unwrap()
}

fn main() {}
