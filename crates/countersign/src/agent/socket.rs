//! The agent's Unix socket: `GET /v1/templates` names what is rendered, `GET /v1/templates/NAME` gives one.
//!
//! Who asks is known by the operating system (`SO_PEERCRED`): the agent's own user and those that are configured are answered, everybody else finds the connection closed. What is
//! served is what templates say, and nothing is passed on to the vault.

use super::output::{self, Ownership};
use super::{AgentError, OutputError};
use crate::config::agent::SocketSection;
use arc_swap::ArcSwap;
use bytes::Bytes;
use countersign_base::{Duration, Secret};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Connections at once.
const CONNECTIONS_MAX: usize = 64;
/// How long one may stand.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);

/// What a template came to.
pub(super) type Rendered = Arc<Secret<Vec<u8>>>;

type Served = Arc<ArcSwap<BTreeMap<String, Rendered>>>;

/// A socket that listens; it is gone when this is.
pub(super) struct Socket {
    path: PathBuf,
    served: Served,
    task: JoinHandle<()>,
}

impl Socket {
    /// Listens where it is configured.
    pub(super) fn listen(dir: &Path, section: &SocketSection) -> Result<Self, AgentError> {
        let path = dir.join(&section.path);
        // First whether somebody else could have put something there. Not even a directory of the one whom it is given to will do, as it does for files: a socket gets its
        // mode by its name, and whoever may exchange what stands there would have another file get it.
        let judged = output::place(&path, None);
        let ours = |error: &OutputError| {
            matches!(
                error,
                OutputError::Place(countersign_agent::PlaceError::NotAFile(_))
            )
        };
        match judged {
            Err(error) if !ours(&error) => return Err(error.into()),
            Ok(_) | Err(_) => output::remove_socket(&path)?,
        }
        let place = output::place(&path, None)?;
        let listener = UnixListener::bind(place.file()).map_err(|cause| AgentError::Socket {
            path: path.clone(),
            cause,
        })?;
        let ownership = Ownership {
            mode: section.mode,
            owner: section.owner,
            group: section.group,
        };
        output::give(place.file(), ownership)?;
        let served = Served::default();
        let own = rustix::process::geteuid().as_raw();
        let peers: BTreeSet<u32> = section.peers.iter().copied().chain([own]).collect();
        let task = tokio::spawn(accept(listener, Arc::clone(&served), Arc::new(peers)));
        Ok(Self {
            path: place.file().to_owned(),
            served,
            task,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Serves this from now on.
    pub(super) fn serve(&self, rendered: BTreeMap<String, Rendered>) {
        self.served.store(Arc::new(rendered));
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.task.abort();
        let _ = output::remove_socket(&self.path);
    }
}

async fn accept(listener: UnixListener, served: Served, peers: Arc<BTreeSet<u32>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: others have to go first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if !is_peer(&stream, &peers) {
            tracing::warn!(event = "agent_peer_refused");
            continue;
        }
        let served = Arc::clone(&served);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&served, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(CONNECTION_TIME_MAX, connection).await;
            drop(place);
        });
    }
}

/// Whether the process at the other end is one that is answered. One that nobody knows is not.
fn is_peer(stream: &UnixStream, peers: &BTreeSet<u32>) -> bool {
    stream
        .peer_cred()
        .is_ok_and(|credentials| peers.contains(&credentials.uid()))
}

fn answer(served: &Served, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return response(StatusCode::METHOD_NOT_ALLOWED, "text/plain", Bytes::new());
    }
    let served = served.load();
    match request.uri().path().strip_prefix("/v1/templates") {
        Some("") => {
            let names: Vec<&String> = served.keys().collect();
            let names = Bytes::from(serde_json::json!({ "templates": names }).to_string());
            response(StatusCode::OK, "application/json", names)
        }
        Some(rest) => match rest.strip_prefix('/').and_then(|name| served.get(name)) {
            Some(rendered) => {
                let content = Bytes::from(rendered.expose().clone());
                response(StatusCode::OK, "application/octet-stream", content)
            }
            None => response(StatusCode::NOT_FOUND, "text/plain", Bytes::new()),
        },
        None => response(StatusCode::NOT_FOUND, "text/plain", Bytes::new()),
    }
}

fn response(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::is_peer;
    use std::collections::BTreeSet;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn only_the_users_that_are_named_are_peers() {
        let (one, _other) = UnixStream::pair().unwrap();
        let own = rustix::process::geteuid().as_raw();
        assert!(is_peer(&one, &BTreeSet::from([own])));
        assert!(!is_peer(&one, &BTreeSet::from([own.wrapping_add(1)])));
        assert!(!is_peer(&one, &BTreeSet::new()));
    }
}
