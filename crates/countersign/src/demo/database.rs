//! The exercise's database: a server on loopback that PostgreSQL's clients sign in to over TLS and SCRAM-SHA-256 (RFC 7677), with its rows in SQLite files.
//!
//! It is there so that the exercise needs no PostgreSQL. It speaks version 3 of PostgreSQL's protocol as far as the exercise's clients do, which are the vault's
//! database engine and a service with a pool of connections: sign-in, simple and extended queries, transactions, `CREATE ROLE` and `ALTER ROLE ... PASSWORD`. A password
//! that is changed counts from the next sign-in on, and connections that stand go on, as in PostgreSQL. With `demo --postgres URL` the same is played on a real one.
//!
//! Not here: privileges on tables, schemas, types beyond numbers, text and bytes, cancellation, parameters of a session (which are read and have no effect).

mod roles;
mod rows;
mod session;
mod sign_in;
mod wire;

use super::http::Failure;
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_net::{Drain, Listener, ServerTls};
use roles::Roles;
use session::Session;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The role that makes others, and where it does.
pub(super) const SUPERUSER: &str = "postgres";
/// The database that everybody else signs in to.
pub(super) const DATABASE: &str = "billing";
/// Connections at one time.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take until it is signed in.
const SIGN_IN: Duration = Duration::from_secs(10);

/// The server, which ends with the drain that it was started with.
pub(super) struct Database {
    address: SocketAddr,
    directory: PathBuf,
    password: Secret<String>,
}

/// What sessions share.
pub(super) struct Files {
    directory: PathBuf,
    random: Random,
}

impl Files {
    fn roles(&self) -> PathBuf {
        self.directory.join("roles.db")
    }

    fn rows(&self) -> PathBuf {
        self.directory.join(format!("{DATABASE}.db"))
    }
}

impl Database {
    /// Makes the files, with a superuser whose password is drawn, and serves them on a free port.
    pub(super) fn start(
        directory: &Path,
        tls: ServerTls,
        random: &Random,
        drain: &Drain,
    ) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(format!("the exercise's database: {error}"))
        };
        std::fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        let files = Arc::new(Files {
            directory: directory.to_owned(),
            random: random.clone(),
        });
        let password = random.token();
        let roles = Roles::open(&files.roles()).map_err(|error| failed(&error))?;
        roles
            .found(SUPERUSER, &password, random)
            .map_err(|error| failed(&error))?;
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .map_err(|error| failed(&error))?;
        let address = listener.address();
        let listener = listener.into_tokio().map_err(|error| failed(&error))?;
        let mut drain = drain.clone();
        tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    break;
                };
                let stream = tokio::select! {
                    () = drain.begun() => break,
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => stream,
                        Err(_) => continue,
                    },
                };
                let (tls, files) = (tls.clone(), Arc::clone(&files));
                sessions.spawn(async move {
                    serve(stream, tls, files).await;
                    drop(place);
                });
                while sessions.try_join_next().is_some() {}
            }
            sessions.shutdown().await;
        });
        Ok(Self {
            address,
            directory: directory.to_owned(),
            password,
        })
    }

    pub(super) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The superuser's.
    pub(super) const fn password(&self) -> &Secret<String> {
        &self.password
    }

    /// Where everything lies that the server keeps.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}

/// One connection, from the first byte to the last. Why it ends is nobody's business but the client's, who was told.
async fn serve(stream: TcpStream, tls: ServerTls, files: Arc<Files>) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let opened = timeout(SIGN_IN, async {
        let stream = wire::secured(stream, &tls).await?;
        Session::open(stream, &files).await
    });
    if let Ok(Ok(session)) = opened.await {
        let _ended = session.serve().await;
    }
}

#[cfg(test)]
pub(super) mod fixtures;
#[cfg(test)]
mod tests;
