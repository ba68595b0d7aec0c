//! `dynamic-credential`: users of a real PostgreSQL, made and taken back.

use super::CONNECTIONS;
use super::lane::Scripts;
use super::place::Place;
use super::scripts::Asker;
use crate::Failed;
use crate::load::{Script, Wanted};
use crate::suites::Subjects;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use url::Url;

/// Makes a user who may sign in, and no more.
const CREATION: &str =
    "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'";

/// Mounts the engine, and gives a script for every connection.
pub(super) async fn scripts(place: &Place, subjects: &Subjects) -> Result<Scripts, Failed> {
    let url = subjects.postgres.as_ref().map_err(Clone::clone)?;
    let url: Url = url.parse()?;
    let root = &place.root;
    root.put("sys/mounts/database", &json!({ "type": "database" }))
        .await?;
    let (host, port) = (url.host_str(), url.port().unwrap_or(5432));
    let connection = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@{}:{port}{}?sslmode=disable",
        host.ok_or("PostgreSQL has no host")?,
        url.path()
    );
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "bench", "connection_url": connection,
        "username": url.username(), "password": url.password().unwrap_or_default(),
    });
    root.put("database/config/bench", &config).await?;
    let role = json!({
        "db_name": "bench", "creation_statements": [CREATION], "default_ttl": "1h", "max_ttl": "2h",
    });
    root.put("database/roles/bench", &role).await?;
    Ok((0..CONNECTIONS)
        .map(|_| -> Box<dyn Script> {
            Box::new(Credentials {
                asker: place.asker().clone(),
                lease: None,
            })
        })
        .collect())
}

/// Asks for credentials, then gives them back.
struct Credentials {
    asker: Asker,
    /// The lease of those that are held.
    lease: Option<String>,
}

impl Script for Credentials {
    /// Credentials that are still held end with their lease.
    fn begin(&mut self) {
        self.lease = None;
    }

    fn next(&mut self) -> Result<Request<Full<Bytes>>, Failed> {
        match &self.lease {
            None => self
                .asker
                .request(Method::GET, "database/creds/bench", String::new()),
            Some(lease) => {
                let body = json!({ "lease_id": lease, "sync": true }).to_string();
                self.asker.request(Method::POST, "sys/leases/revoke", body)
            }
        }
    }

    fn judge(&mut self, status: StatusCode, _headers: &HeaderMap, body: &[u8]) -> Wanted {
        if !status.is_success() {
            self.lease = None;
            return Wanted::No;
        }
        if self.lease.take().is_some() {
            return Wanted::Yes;
        }
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |pointer: &str| answer.pointer(pointer)?.as_str();
        match (
            text("/lease_id"),
            text("/data/username"),
            text("/data/password"),
        ) {
            (Some(lease), Some(user), Some(password))
                if !user.is_empty() && !password.is_empty() =>
            {
                self.lease = Some(lease.to_owned());
                Wanted::Partly
            }
            _ => Wanted::Wrong(answer.to_string()),
        }
    }
}
