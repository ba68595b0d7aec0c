//! What the suites share: our server on a configuration, and clients with tokens.

use crate::Failed;
use crate::clients::{AUDIENCE, Credential, Prover, SCOPE, TokenClient, new_key};
use crate::load::{Destination, Script, Wanted, exchange};
use crate::server::Server;
use countersign_crypto::random::Random;
use countersign_crypto::signing::{ClientAssertion, SigningKey};
use std::path::Path;

/// A running server on a fresh directory that goes with it.
pub(super) struct Setting {
    pub(super) server: Server,
    pub(super) random: Random,
    home: tempfile::TempDir,
}

impl Setting {
    /// Starts the server on a fresh directory with these configuration files.
    pub(super) async fn configured(
        program: &Path,
        files: &[(&str, String)],
    ) -> Result<Self, Failed> {
        std::fs::create_dir_all("target")?;
        let home = tempfile::tempdir_in("target")?;
        let config = home.path().join("config");
        for (name, content) in files {
            let path = config.join(name);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, content)?;
        }
        let server = Server::start(
            program,
            &home.path().join("data"),
            Some(&config),
            &["--ephemeral"],
        )
        .await?;
        Ok(Self {
            server,
            random: Random::system(),
            home,
        })
    }

    /// Registers a client with a secret.
    pub(super) async fn with_secret(&self, id: &str) -> Result<TokenClient, Failed> {
        let mut words = vec!["client", "add", id, "--secret"];
        words.extend(REGISTRATION);
        let added = self.server.administer(&words, "").await?;
        let secret = added
            .get("client_secret")
            .and_then(|secret| secret.as_str())
            .ok_or("no client_secret")?;
        Ok(self.client(id, Credential::Secret(secret.to_owned())))
    }

    /// Registers a client with a key.
    pub(super) async fn with_key(&self, id: &str) -> Result<TokenClient, Failed> {
        let key: SigningKey<ClientAssertion> = new_key("bench-1")?;
        let set = serde_json::json!({"keys": [key.public_jwk().to_published_json(key.kid(), key.algorithm())]});
        let path = self.home.path().join(format!("{id}.jwks"));
        std::fs::write(&path, set.to_string())?;
        let path = path.to_string_lossy();
        let mut words = vec!["client", "add", id, "--jwks", &path];
        words.extend(REGISTRATION);
        self.server.administer(&words, "").await?;
        Ok(self.client(id, Credential::Key(key)))
    }

    /// A client that is registered already.
    pub(super) fn client(&self, id: &str, credential: Credential) -> TokenClient {
        let issuer = self.server.addresses.identity.clone();
        TokenClient {
            id: id.to_owned(),
            credential,
            issuer,
            proof: None,
            random: self.random.clone(),
        }
    }

    /// The identity listener.
    pub(super) fn identity(&self) -> Result<Destination, Failed> {
        Destination::new(&self.server.addresses.identity, &self.server.roots()?)
    }

    /// The gateway's listener.
    pub(super) fn gateway(&self) -> Result<Destination, Failed> {
        Destination::new(&self.server.addresses.gateway, &self.server.roots()?)
    }

    /// Asks for `count` tokens over eight connections.
    pub(super) async fn tokens(
        &self,
        client: &TokenClient,
        count: usize,
    ) -> Result<Vec<String>, Failed> {
        const CONNECTIONS: usize = 8;
        let destination = self.identity()?;
        let share = count.div_ceil(CONNECTIONS);
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|_| tokio::spawn(fetch(destination.clone(), client.clone(), share)))
            .collect();
        let mut tokens = Vec::with_capacity(count);
        for task in tasks {
            tokens.extend(task.await??);
        }
        tokens.truncate(count);
        Ok(tokens)
    }

    /// The control listener.
    pub(super) fn control(&self) -> Result<Destination, Failed> {
        Destination::new(&self.server.addresses.control, &self.server.roots()?)
    }

    /// A client whose tokens are bound to a new key.
    pub(super) fn bound(client: &TokenClient) -> Result<TokenClient, Failed> {
        Ok(TokenClient {
            proof: Some(Prover::new()?),
            ..client.clone()
        })
    }
}

const REGISTRATION: [&str; 6] = [
    "--grant",
    "client_credentials",
    "--scope",
    SCOPE,
    "--audience",
    AUDIENCE,
];

/// Asks for `count` tokens over one connection.
pub(super) async fn fetch(
    destination: Destination,
    mut client: TokenClient,
    count: usize,
) -> Result<Vec<String>, Failed> {
    let mut sender = destination.connect().await?;
    let mut tokens = Vec::with_capacity(count);
    while tokens.len() < count {
        let mut request = client.request()?;
        request
            .headers_mut()
            .insert(http::header::HOST, destination.host().parse()?);
        let (parts, body) = exchange(&mut sender, request).await?;
        match client.judge(parts.status, &parts.headers, &body) {
            Wanted::Yes => {
                let answer: serde_json::Value = serde_json::from_slice(&body)?;
                tokens.push(
                    answer
                        .get("access_token")
                        .and_then(|token| token.as_str())
                        .ok_or("no access_token")?
                        .to_owned(),
                );
            }
            Wanted::No | Wanted::Partly | Wanted::Wrong(_) => {
                return Err(format!("{}: {}", parts.status, String::from_utf8_lossy(&body)).into());
            }
            Wanted::Retry => {}
        }
    }
    Ok(tokens)
}
