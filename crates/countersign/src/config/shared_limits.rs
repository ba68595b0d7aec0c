//! `[shared_limits]`: the Redis or Valkey at which several processes count together (`counts = "shared"` of a limit). What stands here takes effect at the
//! next start; a password in a file is read again for each connection.

use super::error::Mistakes;
use super::span::SecretReference;
use serde::Deserialize;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use url::Url;

/// How long a request may wait for the counts, in milliseconds.
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 5..=1_000;
const TIMEOUT_MS_USUAL: u64 = 25;
const PORT: u16 = 6379;
const URL_HELP: &str = "write `rediss://HOST:PORT/DATABASE`, or `unix:///PATH`";

/// `[shared_limits]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSharedLimits {
    /// `rediss://HOST:PORT/DATABASE`, `redis://` without TLS, or `unix:///PATH`; no password in it.
    url: Spanned<String>,
    /// The user of its access control list.
    user: Option<String>,
    /// The user's password.
    password: Option<SecretReference>,
    /// A file with the certificate authorities to believe; without it, those of the machine.
    ca: Option<PathBuf>,
    /// What names are hashed under, so that nobody reads from them who called: the same text of 32 bytes or more for all who share.
    names: SecretReference,
    /// How many processes share: each lets this part through while the counts are away.
    nodes: Spanned<u32>,
    /// How long a request waits for an answer.
    timeout_ms: Option<Spanned<u64>>,
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// Plain TCP.
    Tcp(String, u16),
    /// TLS.
    Tls(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// `[shared_limits]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedLimitsSection {
    /// Where the server is.
    pub server: Server,
    /// Whether what goes there can be read on the way by others than this machine's.
    pub way: Way,
    /// The number of its database.
    pub database: u32,
    /// The user of its access control list.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretReference>,
    /// The certificate authorities to believe.
    pub ca: Option<PathBuf>,
    /// What names are hashed under.
    pub names: SecretReference,
    /// How many processes share.
    pub nodes: NonZeroU32,
    /// How long a request waits for an answer.
    pub timeout: Duration,
}

/// Who can read what goes to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Whoever is on the network in between.
    Open,
    /// Nobody else: TLS, or it never leaves the machine.
    Private,
}

pub(crate) fn check(
    raw: Option<RawSharedLimits>,
    mistakes: &mut Mistakes<'_>,
) -> Option<SharedLimitsSection> {
    let raw = raw?;
    let span = raw.url.span();
    let Ok(url) = raw.url.get_ref().parse::<Url>() else {
        mistakes.at(&span, "not a URL", URL_HELP);
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        mistakes.at(
            &span,
            "a URL in the configuration holds no credential",
            "write `user = \"...\"` and `password = { file = \"...\" }`",
        );
    }
    let Some((server, way)) = server(&url) else {
        mistakes.at(&span, "not the URL of a Redis or Valkey", URL_HELP);
        return None;
    };
    let number = url.path().trim_start_matches('/');
    let database = match (&server, number) {
        (Server::Unix(_), _) | (_, "") => Some(0),
        (Server::Tcp(..) | Server::Tls(..), number) => number.parse().ok(),
    };
    let Some(database) = database else {
        mistakes.at(&span, "a database has a number", "write `/0`, or nothing");
        return None;
    };
    let timeout = raw
        .timeout_ms
        .as_ref()
        .map_or(TIMEOUT_MS_USUAL, |ms| *ms.get_ref());
    if let Some(ms) = raw
        .timeout_ms
        .filter(|ms| !TIMEOUT_MS.contains(ms.get_ref()))
    {
        mistakes.at(
            &ms.span(),
            "a request waits between 5 and 1000 milliseconds for the counts",
            "a few tens are usual: what is slower counts as away",
        );
    }
    let Some(nodes) = NonZeroU32::new(*raw.nodes.get_ref()) else {
        mistakes.at(
            &raw.nodes.span(),
            "nobody would share",
            "write how many processes count together",
        );
        return None;
    };
    Some(SharedLimitsSection {
        server,
        way,
        database,
        user: raw.user,
        password: raw.password,
        ca: raw.ca,
        names: raw.names,
        nodes,
        timeout: Duration::from_millis(timeout),
    })
}

fn server(url: &Url) -> Option<(Server, Way)> {
    let port = url.port().unwrap_or(PORT);
    match url.scheme() {
        "redis" | "valkey" => {
            let host = url.host_str().filter(|host| !host.is_empty())?;
            // Of schemes that browsers do not know, addresses are not told from names.
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            let is_local = address.map_or(host == "localhost", |address| address.is_loopback());
            let way = if is_local { Way::Private } else { Way::Open };
            Some((Server::Tcp(host.to_owned(), port), way))
        }
        "rediss" | "valkeys" => {
            let host = url.host_str().filter(|host| !host.is_empty())?;
            Some((Server::Tls(host.to_owned(), port), Way::Private))
        }
        "unix" => {
            let path = PathBuf::from(url.path());
            (path.is_absolute() && url.host().is_none())
                .then_some((Server::Unix(path), Way::Private))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_and_who_can_read_the_way_there() {
        let of = |text: &str| server(&text.parse().unwrap());
        let tls = Server::Tls("redis.internal".to_owned(), 6380);
        assert_eq!(
            of("rediss://redis.internal:6380/2"),
            Some((tls, Way::Private))
        );
        let plain = |host: &str, way| Some((Server::Tcp(host.to_owned(), PORT), way));
        assert_eq!(
            of("redis://redis.internal"),
            plain("redis.internal", Way::Open)
        );
        assert_eq!(of("redis://127.0.0.1"), plain("127.0.0.1", Way::Private));
        let socket = Server::Unix(PathBuf::from("/run/redis.sock"));
        assert_eq!(of("unix:///run/redis.sock"), Some((socket, Way::Private)));
        for wrong in ["https://redis.internal", "rediss:///0", "unix:redis.sock"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
