//! A vault with what the cases ask of it: secrets, a transit key, and a token; ours and the peer's, filled over the same API.

use super::CONNECTIONS;
use super::lane::Scripts;
use super::scripts::{Asker, Engine, SECRETS, Version, secret};
use crate::Failed;
use crate::load::{Destination, exchange};
use crate::peers::Foreign;
use crate::running::Running;
use crate::server::Server;
use crate::suites::setting::Setting;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// A server whose vault is asked.
struct Ours(Setting);

impl Running for Ours {
    fn pid(&self) -> Result<u32, Failed> {
        self.0.server.pid()
    }

    fn destination(&self) -> Result<Destination, Failed> {
        self.0.control()
    }

    fn subject(&self) -> String {
        "countersign".to_owned()
    }

    fn issuer(&self) -> String {
        self.0.server.addresses.identity.clone()
    }
}

/// A vault and its token.
pub(super) struct Client {
    pub(super) destination: Destination,
    pub(super) token: String,
}

impl Client {
    /// The local root token of a server of ours.
    pub(super) fn of(server: &Server) -> Result<Self, Failed> {
        let token = server.addresses.vault_token.clone();
        Ok(Self {
            destination: Destination::new(&server.addresses.control, &server.roots()?)?,
            token: token.ok_or("the server gave no token")?,
        })
    }

    /// A call that has to succeed; null where the answer is empty.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, Failed> {
        let mut sender = self.destination.connect().await?;
        let body = match body {
            Value::Null => String::new(),
            some => some.to_string(),
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/v1/{path}"))
            .header(header::HOST, self.destination.host())
            .body(Full::<Bytes>::new(body.into()))?;
        if !self.token.is_empty() {
            let token = self.token.parse()?;
            request.headers_mut().insert("x-vault-token", token);
        }
        let (parts, body) = exchange(&mut sender, request).await?;
        if !parts.status.is_success() {
            let said = String::from_utf8_lossy(&body);
            return Err(format!("{path}: {}: {said}", parts.status).into());
        }
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The same, of what only writes.
    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        self.call(Method::POST, path, body).await
    }
}

/// A vault that is ready to be asked.
pub(super) struct Place {
    running: Arc<dyn Running>,
    pub(super) root: Client,
    asker: Asker,
}

/// What the token of the cases may do.
const POLICY: &str = r#"
path "secret/data/bench/*" { capabilities = ["create", "read", "update"] }
path "transit/encrypt/bench" { capabilities = ["update"] }
path "transit/decrypt/bench" { capabilities = ["update"] }
path "database/creds/bench" { capabilities = ["read"] }
path "sys/leases/revoke" { capabilities = ["update"] }
"#;

impl Place {
    /// Our own on a fresh directory.
    pub(super) async fn ours(program: &Path) -> Result<Self, Failed> {
        let setting = Setting::configured(program, &[("countersign.toml", String::new())]).await?;
        let root = Client::of(&setting.server)?;
        root.put("sys/policies/acl/bench", &json!({ "policy": POLICY }))
            .await?;
        root.put("transit/keys/bench", &json!({})).await?;
        let asked = json!({ "policies": ["bench"], "ttl": "24h" });
        let made = root.put("auth/token/create", &asked).await?;
        let token = made.pointer("/auth/client_token").and_then(Value::as_str);
        let token = token.ok_or("no token")?.to_owned();
        let asker = Asker::new(&token, Version::Two)?;
        Self::filled(Arc::new(Ours(setting)), root, asker).await
    }

    /// RustyVault, which is initialised, opened, and asked with its root token.
    pub(super) async fn theirs(peer: Foreign) -> Result<Self, Failed> {
        let mut root = Client {
            destination: peer.destination()?,
            token: String::new(),
        };
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let made = root.put("sys/init", &shares).await?;
        let text = |pointer: &str| made.pointer(pointer).and_then(Value::as_str);
        let key = json!({ "key": text("/keys/0").ok_or("no key")? });
        let opened = root.put("sys/unseal", &key).await?;
        if opened.get("sealed") != Some(&Value::Bool(false)) {
            return Err(format!("it stays sealed: {opened}").into());
        }
        root.token = text("/root_token").ok_or("no root token")?.to_owned();
        let asker = Asker::new(&root.token, Version::One)?;
        Self::filled(Arc::new(peer), root, asker).await
    }

    /// Writes every secret once, so that all that are read are there.
    async fn filled(running: Arc<dyn Running>, root: Client, asker: Asker) -> Result<Self, Failed> {
        let destination = running.destination()?;
        let mut sender = destination.connect().await?;
        for number in 0..SECRETS {
            let mut request = asker.write(number, &secret(number))?;
            let host = destination.host().parse()?;
            request.headers_mut().insert(header::HOST, host);
            let (parts, body) = exchange(&mut sender, request).await?;
            if !parts.status.is_success() {
                let said = String::from_utf8_lossy(&body);
                return Err(format!("a secret: {}: {said}", parts.status).into());
            }
        }
        Ok(Self {
            running,
            root,
            asker,
        })
    }

    pub(super) fn running(&self) -> Arc<dyn Running> {
        Arc::clone(&self.running)
    }

    /// Who asks in the cases.
    pub(super) fn asker(&self) -> &Asker {
        &self.asker
    }

    /// A script for every connection.
    pub(super) fn scripts(&self, engine: Engine) -> Scripts {
        (0..CONNECTIONS as u64)
            .map(|seed| self.asker.script(engine, seed))
            .collect()
    }
}
