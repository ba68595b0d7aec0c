//! `[agent]`: how `countersign agent` signs a workload in to the vault, and where it renders secrets to.
//!
//! ```toml
//! [agent]
//! address = "https://vault.example:8446"
//! [agent.login.jwt]
//! role = "billing"
//! file = "/var/run/secrets/tokens/vault"
//! [[agent.templates]]
//! name = "database"
//! source = "database.env.tmpl"
//! destination = "/run/billing/database.env"
//! command = ["/usr/bin/systemctl", "reload", "billing"]
//! ```
//!
//! Not here: the templates themselves, see [`countersign_agent::template`]; and what the agent does, see [`crate::agent`].

mod login;
mod templates;

pub use login::{LoginSection, RawLogin};
pub use templates::{
    AfterUse, CommandSection, RawTemplate, SignalName, SignalSection, TemplateSection, TemplateText,
};

use super::error::Mistakes;
use super::span::Span;
use countersign_base::{Duration, Tenant};
use serde::Deserialize;
use std::path::PathBuf;
use toml::Spanned;
use url::Url;

/// How often what has no end is read again, where nothing else is said.
const REFRESH: Duration = Duration::from_secs(300);

/// `[agent]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAgent {
    /// The address of the control API that the vault is part of.
    address: Spanned<String>,
    /// A file with the certificate authorities to believe; without it, those of the machine.
    ca: Option<PathBuf>,
    /// The tenant whose vault it is; without it, the default one.
    tenant: Option<Tenant>,
    /// How often secrets without a lease are read again; without it, `5m`.
    refresh: Option<Span>,
    /// Exactly one way to sign in.
    login: Spanned<RawLogin>,
    /// What is rendered.
    #[serde(default)]
    templates: Vec<Spanned<RawTemplate>>,
    /// A Unix socket that serves what is rendered.
    socket: Option<Spanned<RawSocket>>,
}

/// `[agent.socket]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSocket {
    path: PathBuf,
    /// Users, by number, that are answered beside the agent's own.
    #[serde(default)]
    peers: Vec<u32>,
    mode: Option<String>,
    owner: Option<u32>,
    group: Option<u32>,
}

/// `[agent]` as used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSection {
    /// The address of the control API.
    pub address: Url,
    /// The certificate authorities, if not the machine's.
    pub ca: Option<PathBuf>,
    /// The tenant, if not the default one.
    pub tenant: Option<Tenant>,
    /// How often secrets without a lease are read again.
    pub refresh: Duration,
    /// The way to sign in.
    pub login: LoginSection,
    /// What is rendered.
    pub templates: Vec<TemplateSection>,
    /// The socket.
    pub socket: Option<SocketSection>,
}

/// The socket that serves what is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketSection {
    /// Where it is; relative paths start at the configuration directory.
    pub path: PathBuf,
    /// Users that are answered beside the agent's own.
    pub peers: Vec<u32>,
    /// Its mode.
    pub mode: u32,
    /// The user that it is given to.
    pub owner: Option<u32>,
    /// The group that it is given to.
    pub group: Option<u32>,
}

pub(crate) fn check(raw: RawAgent, mistakes: &mut Mistakes<'_>) -> Option<AgentSection> {
    let address = address(&raw.address, mistakes);
    let login = login::check(raw.login, mistakes);
    let socket = raw
        .socket
        .and_then(|socket| check_socket(&socket, mistakes));
    let templates = templates::check(raw.templates, socket.as_ref(), mistakes);
    Some(AgentSection {
        address: address?,
        ca: raw.ca,
        tenant: raw.tenant,
        refresh: raw.refresh.map_or(REFRESH, |span| span.0),
        login: login?,
        templates,
        socket,
    })
}

fn address(raw: &Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<Url> {
    let url = Url::parse(raw.get_ref()).ok().filter(|url| {
        url.scheme() == "https"
            && url.host_str().is_some()
            && url.path() == "/"
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if url.is_none() {
        mistakes.at(
            &raw.span(),
            "not the address of a vault: it begins with `https` and has no path",
            "write `address = \"https://HOST:PORT\"`: the control listener of an installation",
        );
    }
    url
}

fn check_socket(raw: &Spanned<RawSocket>, mistakes: &mut Mistakes<'_>) -> Option<SocketSection> {
    let socket = raw.get_ref();
    let mode = templates::mode(socket.mode.as_deref(), &raw.span(), mistakes)?;
    templates::is_place(&socket.path, &raw.span(), mistakes).then(|| SocketSection {
        path: socket.path.clone(),
        peers: socket.peers.clone(),
        mode,
        owner: socket.owner,
        group: socket.group,
    })
}

#[cfg(test)]
mod tests;
