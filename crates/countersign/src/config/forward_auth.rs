//! `[[forward_auth]]`: proxies that hold requests and ask the gateway about them (`forward_auth` of Caddy and Traefik, `auth_request` of nginx).

use super::error::Mistakes;
use super::span::SecretReference;
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;

/// One of `[[forward_auth]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProxy {
    name: Spanned<String>,
    /// What the proxy shows in `Countersign-Proxy-Secret`: 32 bytes at least.
    secret: Option<SecretReference>,
    /// A PEM file: the certificate that the proxy shows on its connection.
    certificate: Option<PathBuf>,
    #[serde(default)]
    answers: ProxyAnswers,
}

/// How a proxy takes refusals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyAnswers {
    /// With their own status: Caddy, Traefik.
    #[default]
    Exact,
    /// As 401 or 403: nginx.
    Subrequest,
}

/// A proxy that is believed about the requests it describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxySection {
    /// What messages call it.
    pub name: String,
    /// What it shows in `Countersign-Proxy-Secret`.
    pub secret: Option<SecretReference>,
    /// The certificate that it shows.
    pub certificate: Option<PathBuf>,
    /// How it takes refusals.
    pub answers: ProxyAnswers,
}

pub(crate) fn check(raw: Vec<RawProxy>, mistakes: &mut Mistakes<'_>) -> Vec<ProxySection> {
    let mut proxies: Vec<ProxySection> = Vec::new();
    for proxy in raw {
        let (span, name) = (proxy.name.span(), proxy.name.into_inner());
        if proxies.iter().any(|earlier| earlier.name == name) {
            mistakes.at(
                &span,
                format!("the proxy `{name}` stands here twice"),
                "remove one of them",
            );
            continue;
        }
        if proxy.secret.is_none() && proxy.certificate.is_none() {
            mistakes.at(
                &span,
                format!("anybody could be the proxy `{name}`"),
                "write `secret = { file = \"...\" }`, `certificate = \"...\"`, or both",
            );
            continue;
        }
        proxies.push(ProxySection {
            name,
            secret: proxy.secret,
            certificate: proxy.certificate,
            answers: proxy.answers,
        });
    }
    proxies
}
