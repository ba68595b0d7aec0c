//! Our own server for the suite: declared clients and a person, SQLite, the shipped policies, every event durable before its answer.

use super::place::Place;
use super::scripts::{EXCHANGED_AUDIENCE, REDIRECT};
use crate::Failed;
use crate::browser::Person;
use crate::clients::{AUDIENCE, Credential, SCOPE};
use crate::load::Destination;
use crate::running::Running;
use crate::suites::setting::Setting;
use countersign_crypto::random::Random;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Clients that the configuration declares, each with a secret in a file.
const DECLARED: [&str; 3] = ["machines", "orders", "portal"];

impl Running for Setting {
    fn pid(&self) -> Result<u32, Failed> {
        self.server.pid()
    }

    fn destination(&self) -> Result<Destination, Failed> {
        self.identity()
    }

    fn subject(&self) -> String {
        "countersign".to_owned()
    }

    fn issuer(&self) -> String {
        self.server.addresses.identity.clone()
    }
}

/// Starts it on a fresh directory.
pub(super) async fn start(program: &Path) -> Result<Place, Failed> {
    let random = Random::system();
    let person = Person {
        username: "alice".to_owned(),
        password: random.token().expose().clone(),
    };
    let mut files = vec![
        ("countersign.toml".to_owned(), configuration()),
        ("alice.password".to_owned(), person.password.clone()),
    ];
    let mut credentials = BTreeMap::new();
    for id in DECLARED {
        let secret = random.token().expose().clone();
        files.push((format!("{id}.secret"), secret.clone()));
        credentials.insert(id.to_owned(), Credential::Secret(secret));
    }
    let files: Vec<(&str, String)> = files
        .iter()
        .map(|(name, content)| (name.as_str(), content.clone()))
        .collect();
    let setting = Setting::configured(program, &files).await?;
    for client in [
        setting.with_secret("with-secret").await?,
        setting.with_key("with-key").await?,
    ] {
        credentials.insert(client.id, client.credential);
    }
    Place::new(Arc::new(setting), credentials, person).await
}

fn configuration() -> String {
    format!(
        r#"[[users]]
name = "alice"
password = {{ file = "alice.password" }}

[[clients]]
id = "portal"
secret = {{ file = "portal.secret" }}
grants = ["authorization_code", "refresh_token"]
redirect_uris = ["{REDIRECT}"]
scopes = ["openid", "{SCOPE}"]
audiences = ["{AUDIENCE}"]
consent = "implied"
access_token_lifetime = "1h"

[[clients]]
id = "orders"
secret = {{ file = "orders.secret" }}
grants = ["token_exchange"]
scopes = ["{SCOPE}"]
audiences = ["{EXCHANGED_AUDIENCE}"]
serves = ["{AUDIENCE}"]

[[clients]]
id = "machines"
secret = {{ file = "machines.secret" }}
grants = ["client_credentials"]
scopes = ["{SCOPE}"]
audiences = ["{AUDIENCE}"]
access_token_format = "opaque"
access_token_lifetime = "1h"
"#
    )
}
