//! HAProxy (Debian): one process, one thread, its connections to the upstream kept and shared (`http-reuse always`).
//!
//! `jwt_verify` checks a signature and nothing else, so algorithm, issuer, audience and expiry are rules of their own.

use super::keys::public_pem;
use super::process::{Place, unpacked, version_of};
use super::{Foreign, Installed, Trusted, installed};
use crate::Failed;
use std::net::SocketAddr;
use std::path::Path;

/// Its name in the results.
pub const HAPROXY: &str = "haproxy";

impl Foreign {
    /// HAProxy before `upstream`; with `trusted`, for requests with a valid token of that issuer alone.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn haproxy(
        peers: &Installed,
        upstream: SocketAddr,
        trusted: Option<&Trusted>,
    ) -> Result<Self, Failed> {
        let root = std::fs::canonicalize(installed(peers, HAPROXY)?)?;
        let place = Place::new()?;
        let rules = match trusted {
            None => String::new(),
            Some(trusted) => {
                let key = place.write("token.pem", &public_pem(trusted.key()?)?)?;
                rules(trusted, &key)
            }
        };
        let both = place.path()?.join("both.pem");
        let text = configuration(place.port, &both, &rules, upstream);
        let file = place.write("haproxy.cfg", &text)?;
        let mut version = unpacked(&root, "usr/sbin/haproxy");
        version.arg("-v");
        let subject = format!("{HAPROXY} {}", version_of(version).await?);
        let mut command = unpacked(&root, "usr/sbin/haproxy");
        command.arg("-db").arg("-f").arg(file);
        Self::start(command, place, subject).await
    }
}

fn configuration(port: u16, certificate: &Path, rules: &str, upstream: SocketAddr) -> String {
    let certificate = certificate.display();
    format!(
        "global
  nbthread 1
  maxconn 8192
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
frontend gateway
  bind 127.0.0.1:{port} ssl crt {certificate} alpn http/1.1
{rules}  default_backend upstream
backend upstream
  http-reuse always
  server upstream {upstream}
"
    )
}

/// As its handbook says: the algorithm from a list of one, then the claims, then the signature.
fn rules(trusted: &Trusted, key: &Path) -> String {
    let Trusted {
        issuer,
        audience,
        algorithm,
        ..
    } = trusted;
    let key = key.display();
    format!(
        "  http-request deny deny_status 401 unless {{ req.hdr(authorization) -m found }}
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str {algorithm} }}
  http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.iss') -m str {issuer} }}
  http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_payload_query('$.aud') -m str {audience} }}
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless {{ var(txn.exp),sub(txn.now) -m int gt 0 }}
  http-request deny deny_status 401 unless {{ var(txn.bearer),jwt_verify(txn.alg,\"{key}\") 1 }}
"
    )
}
