use countersign_authn::client::AuthenticatedClient;

fn from_nothing() -> AuthenticatedClient {
    AuthenticatedClient::default()
}

fn main() {}
