//! The connection and the one task that owns it.
//!
//! Calls of all cores share one connection, of counts one and of idempotency keys another (an answer of a quarter of a megabyte must not make a count wait), on which they are pipelined. Each has a deadline that the caller keeps by itself as well: a server
//! that hangs costs a request its few milliseconds once or twice, and nothing once the breaker is open. What was sent and never answered may have
//! been charged: then a caller has one less, never one more.

use super::counters::{self, Counted, CounterAsk, CounterName, KEYS_MAX};
use super::keys::{self, Ending};
use super::presence::{Breaker, Presence, Retry};
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_crypto::mac::MacKey;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, Script, TlsCertificates,
};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Calls that wait for the task.
const QUEUE_MAX: usize = 1_024;
/// Calls that wait for the server.
const UNDER_WAY_MAX: usize = 256;
/// How long a connection, its handshake and its credentials may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const DOMAIN: &str = "countersign shared limit";

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisAddress {
    /// Plain TCP. For loopback and for networks that are encrypted below.
    Tcp(String, u16),
    /// TLS, with the certificate authorities to believe in PEM, or those of the machine.
    Tls(String, u16, Option<Vec<u8>>),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Reads the password; it is asked for each connection, so that a rotated one needs no new start.
pub type PasswordSource = Arc<dyn Fn() -> Result<Secret<String>, String> + Send + Sync>;

/// What the shared counts need.
pub struct RedisOptions {
    /// Where the server is.
    pub address: RedisAddress,
    /// The user of its access control list.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<PasswordSource>,
    /// The number of its database.
    pub database: u32,
    /// How long a request waits for an answer.
    pub timeout: Duration,
    /// What names are hashed under. All processes that share counts have the same.
    pub names: Secret<[u8; 32]>,
    /// Who hears when the server comes and goes.
    pub told: Box<dyn Fn(Presence) + Send + Sync>,
}

/// Which clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterClock {
    /// The server's: what all processes agree on.
    Server,
    /// This one, in microseconds since 1970: for tests that turn it.
    Told(u64),
}

/// Why there is no count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Away {
    /// More is asked than one request may.
    #[error("more counts than one request may have")]
    AskedTooMuch,
    /// Too many calls wait.
    #[error("too many calls are under way")]
    Busy,
    /// The connection broke, or the server refused.
    #[error("the shared counts failed")]
    Failed,
    /// It is known to be away; nothing was sent.
    #[error("the shared counts are away")]
    Known,
    /// No answer in time. It may have been charged.
    #[error("the shared counts did not answer in time")]
    Slow,
}

/// Counts that several processes share. Cheap to clone; when the last clone goes, the connection ends.
#[derive(Clone)]
pub struct SharedCounters {
    link: Link,
    names: Arc<MacKey>,
}

/// The way to the task that owns a connection.
#[derive(Clone)]
pub(super) struct Link(Arc<Shared>);

struct Shared {
    jobs: mpsc::Sender<Job>,
    breaker: Breaker,
    timeout: Duration,
}

struct Job {
    work: Work,
    deadline: Instant,
}

/// What the server is asked.
pub(super) enum Work {
    /// Who is the first under an idempotency key.
    Begin(Begin),
    /// To charge counts.
    Count(Count),
    /// To keep what became of an idempotency key. Nobody waits for it.
    End(Ending),
}

pub(super) struct Begin {
    pub(super) name: String,
    pub(super) print: String,
    pub(super) owner: String,
    pub(super) keep: Duration,
    pub(super) answer: oneshot::Sender<Result<Vec<Vec<u8>>, Away>>,
}

pub(super) struct Count {
    asks: Vec<CounterAsk>,
    at_micros: Option<u64>,
    answer: oneshot::Sender<Result<Counted, Away>>,
}

impl Work {
    /// Nobody will ask the server.
    fn refuse(self, away: Away) {
        match self {
            Self::Begin(begin) => drop(begin.answer.send(Err(away))),
            Self::Count(count) => drop(count.answer.send(Err(away))),
            Self::End(_) => tracing::warn!(event = "shared_key_end_not_told"),
        }
    }

    /// Whether nobody waits for it any more who did.
    fn is_given_up(&self) -> bool {
        match self {
            Self::Begin(begin) => begin.answer.is_closed(),
            Self::Count(count) => count.answer.is_closed(),
            Self::End(_) => false,
        }
    }
}

impl Link {
    /// Begins to connect on the runtime of this task. The server need not be there.
    pub(super) fn start(options: RedisOptions, random: Random) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let shared = Arc::new(Shared {
            jobs,
            breaker: Breaker::default(),
            timeout: options.timeout,
        });
        let keeper = Keeper {
            address: options.address,
            user: options.user,
            password: options.password,
            database: options.database,
            told: options.told,
            script: counters::script(),
            keys: keys::script(),
            random,
            shared: Arc::downgrade(&shared),
        };
        tokio::spawn(keeper.keep(queue));
        Self(shared)
    }

    pub(super) fn presence(&self) -> Presence {
        self.0.breaker.presence()
    }

    /// Asks, and waits for the answer as long as options say.
    pub(super) async fn ask<T>(
        &self,
        work: Work,
        answered: oneshot::Receiver<Result<T, Away>>,
    ) -> Result<T, Away> {
        if self.presence() == Presence::Away {
            return Err(Away::Known);
        }
        let deadline = Instant::now() + self.0.timeout;
        self.tell(work, deadline)?;
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Away::Failed),
            Err(_) => Err(Away::Slow),
        }
    }

    /// Tells the server before `deadline`, if it is there.
    pub(super) fn tell(&self, work: Work, deadline: Instant) -> Result<(), Away> {
        let job = Job { work, deadline };
        self.0.jobs.try_send(job).map_err(|_| Away::Busy)
    }
}

impl SharedCounters {
    /// Begins to connect on the runtime of this task. The server need not be there.
    #[must_use]
    pub fn start(options: RedisOptions, random: Random) -> Self {
        let names = MacKey::new(Secret::new(*options.names.expose()));
        Self {
            names: Arc::new(names),
            link: Link::start(options, random),
        }
    }

    /// The name under which the count of `parts` is kept.
    #[must_use]
    pub fn name(&self, parts: &[&[u8]]) -> CounterName {
        let tag = self.names.tag(DOMAIN, parts);
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(tag.as_bytes()) {
            *to = *from;
        }
        CounterName(name)
    }

    /// Whether the server is there.
    #[must_use]
    pub fn presence(&self) -> Presence {
        self.link.presence()
    }

    /// How often the server went away since the start.
    #[must_use]
    pub fn losses(&self) -> u64 {
        self.link.0.breaker.losses()
    }

    /// Charges one request to every count, or to none.
    ///
    /// # Errors
    /// When the server is away or too slow: whoever asks decides what that means. After [`Away::Slow`] and [`Away::Failed`] it may have been charged.
    pub async fn take(&self, asks: Vec<CounterAsk>, clock: CounterClock) -> Result<Counted, Away> {
        if asks.len() > KEYS_MAX {
            return Err(Away::AskedTooMuch);
        }
        let (answer, answered) = oneshot::channel();
        let count = Count {
            asks,
            at_micros: match clock {
                CounterClock::Server => None,
                CounterClock::Told(micros) => Some(micros),
            },
            answer,
        };
        self.link.ask(Work::Count(count), answered).await
    }
}

/// How a connection ended.
enum Lost {
    /// Nobody asks any more.
    Unneeded,
    /// The server is away.
    Away,
}

/// Owns the connection.
struct Keeper {
    address: RedisAddress,
    user: Option<String>,
    password: Option<PasswordSource>,
    database: u32,
    told: Box<dyn Fn(Presence) + Send + Sync>,
    script: Script,
    keys: Script,
    random: Random,
    shared: Weak<Shared>,
}

impl Keeper {
    async fn keep(self, mut queue: mpsc::Receiver<Job>) {
        let mut retry = Retry::default();
        let mut reported = false;
        loop {
            match self.connect().await {
                Ok(connection) => {
                    let Some(shared) = self.shared.upgrade() else {
                        return;
                    };
                    shared.breaker.found();
                    drop(shared);
                    (self.told)(Presence::There);
                    tracing::info!(event = "shared_limits_there");
                    (retry, reported) = (Retry::default(), false);
                    match self.serve(connection, &mut queue).await {
                        Lost::Unneeded => return,
                        Lost::Away => {
                            (self.told)(Presence::Away);
                            tracing::warn!(event = "shared_limits_away");
                        }
                    }
                }
                // Once an absence: what the server said names neither user nor password.
                Err(problem) if !reported => {
                    reported = true;
                    tracing::warn!(event = "shared_limits_unreachable", %problem);
                }
                Err(_) => {}
            }
            let pause = tokio::time::sleep(retry.wait(u32::from_be_bytes(self.random.bytes())));
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    job = queue.recv() => match job {
                        Some(job) => job.work.refuse(Away::Known),
                        None => return,
                    },
                }
            }
        }
    }

    /// A connection that has answered: with its credentials, its database, and the script loaded.
    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let password = self.password.as_ref().map(|read| read()).transpose()?;
        let mut settings = RedisConnectionInfo::default().set_db(i64::from(self.database));
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &password {
            settings = settings.set_password(password.expose());
        }
        let client = self.client(settings).map_err(|error| said(&error))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(CONNECT_TIMEOUT));
        let prepare = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let nothing = counters::take(&self.script, &mut connection, &[], None).await?;
            Ok::<_, RedisError>((connection, nothing))
        };
        let (connection, nothing) = tokio::time::timeout(CONNECT_TIMEOUT, prepare)
            .await
            .map_err(|_| "it does not answer in time".to_owned())?
            .map_err(|error| said(&error))?;
        counters::read(&[], &nothing).ok_or("its answer is not one")?;
        Ok(connection)
    }

    fn client(&self, settings: RedisConnectionInfo) -> Result<Client, RedisError> {
        let of = |address: ConnectionAddr| {
            Ok::<_, RedisError>(address.into_connection_info()?.set_redis_settings(settings))
        };
        match &self.address {
            RedisAddress::Tcp(host, port) => {
                Client::open(of(ConnectionAddr::Tcp(host.clone(), *port))?)
            }
            RedisAddress::Tls(host, port, roots) => {
                let address = ConnectionAddr::TcpTls {
                    host: host.clone(),
                    port: *port,
                    insecure: false,
                    tls_params: None,
                };
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: roots.clone(),
                };
                Client::build_with_tls(of(address)?, certificates)
            }
            RedisAddress::Unix(path) => Client::open(of(ConnectionAddr::Unix(path.clone()))?),
        }
    }

    /// Passes calls on until the server is away.
    async fn serve(
        &self,
        connection: MultiplexedConnection,
        queue: &mut mpsc::Receiver<Job>,
    ) -> Lost {
        let mut under_way = FuturesUnordered::new();
        loop {
            let presence = tokio::select! {
                biased;
                Some(presence) = under_way.next(), if !under_way.is_empty() => presence,
                job = queue.recv(), if under_way.len() < UNDER_WAY_MAX => {
                    let Some(job) = job else {
                        return Lost::Unneeded;
                    };
                    under_way.push(self.call(connection.clone(), job));
                    continue;
                }
            };
            if presence == Presence::Away {
                let Some(shared) = self.shared.upgrade() else {
                    return Lost::Unneeded;
                };
                // Requests are told before the connection goes: nobody queues behind one that is dead.
                shared.breaker.lost();
                return Lost::Away;
            }
        }
    }

    /// One call, and what it says of the server.
    async fn call(&self, mut connection: MultiplexedConnection, job: Job) -> Presence {
        let Job { work, deadline } = job;
        if deadline <= Instant::now() || work.is_given_up() {
            // It waited too long here; the server has nothing to do with it.
            return Presence::There;
        }
        match work {
            Work::Begin(begin) => {
                let call = keys::begin(&self.keys, &mut connection, &begin);
                let (said, presence) = self.outcome(deadline, call, Some).await;
                if let Err(Ok(said)) = begin.answer.send(said)
                    && let Some(ending) = Ending::of_nobody(begin.name, begin.owner, &said)
                {
                    let call = keys::end(&self.keys, &mut connection, &ending);
                    drop(tokio::time::timeout(CONNECT_TIMEOUT, call).await);
                }
                presence
            }
            Work::Count(count) => {
                let Count {
                    asks,
                    at_micros,
                    answer,
                } = count;
                let call = counters::take(&self.script, &mut connection, &asks, at_micros);
                let read = |numbers: Vec<u64>| counters::read(&asks, &numbers);
                let (counted, presence) = self.outcome(deadline, call, read).await;
                drop(answer.send(counted));
                presence
            }
            Work::End(ending) => {
                let call = keys::end(&self.keys, &mut connection, &ending);
                let (told, presence) = self.outcome(deadline, call, Some).await;
                if told.is_err() {
                    tracing::warn!(event = "shared_key_end_not_told");
                }
                presence
            }
        }
    }

    /// What a call came to, and what it says of the server.
    async fn outcome<A, T>(
        &self,
        deadline: Instant,
        call: impl Future<Output = Result<A, RedisError>>,
        read: impl FnOnce(A) -> Option<T>,
    ) -> (Result<T, Away>, Presence) {
        let outcome = tokio::time::timeout_at(deadline, call).await;
        let Some(shared) = self.shared.upgrade() else {
            return (Err(Away::Failed), Presence::There);
        };
        match outcome {
            Ok(Ok(answer)) => match read(answer) {
                Some(answer) => {
                    shared.breaker.answered();
                    (Ok(answer), Presence::There)
                }
                None => (Err(Away::Failed), shared.breaker.missed()),
            },
            Ok(Err(error)) if error.is_unrecoverable_error() => (Err(Away::Failed), Presence::Away),
            Ok(Err(_)) => (Err(Away::Failed), shared.breaker.missed()),
            Err(_) => (Err(Away::Slow), shared.breaker.missed()),
        }
    }
}

/// What went wrong, without what the server repeated of what it was sent.
fn said(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("{}: {code}", error.category()),
        None => error.category().to_owned(),
    }
}

#[cfg(test)]
mod tests;
