//! The order of system calls under database and journal: an answer leaves only after the sync of what it promises.
//!
//! A killed process leaves the kernel's cache as it was, so `kill -9` alone says nothing about power. Here the kernel is watched instead (`strace`): between
//! the arrival of a token request and its answer there must be a write to the write-ahead log of `state.db` and, after that, a completed `fdatasync` or
//! `fsync` of it; or the same of the audit journal, where the event of a token that changes no row goes. The twin that shows that the watcher can tell: reading the public keys promises nothing, and most of those answers leave without a sync.
//!
//! Not here: a disk that loses what was not synced, which takes the journal's place in the store's own tests.

use super::ledger::{Ledger, lock};
use super::session::Session;
use super::workers::{credentials, redeem, rotate};
use crate::Failed;
use crate::load::{Destination, exchange};
use crate::server::Server;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// Codes and refresh tokens that are spent, and tokens that a client asks for, while the kernel is watched.
const ROUNDS: usize = 8;
/// Reads that promise nothing.
const READS: usize = 16;
/// The longest that attaching or detaching may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Watches token answers and reads, and says whether the first were synced and the second were not.
pub(crate) async fn answers_follow_syncs(server: &Server, ledger: &Ledger) -> Result<(), Failed> {
    let destination = Destination::new(&server.addresses.identity, &server.roots()?)?;
    let mut session = Session::connect(&destination, ledger).await?;
    let mut codes = Vec::new();
    for _ in 0..ROUNDS {
        codes.push(session.code().await?);
    }
    let before = ledger.tokens();
    let watch = Watch::attach(server.pid()?, "tokens").await?;
    for code in codes {
        let mut family = redeem(&mut session, ledger, code).await?;
        rotate(&mut session, ledger, &mut family).await?;
        credentials(&mut session, ledger).await?;
        lock(&ledger.families).push(family);
    }
    let answers = watch.detach().await?;
    let promised = ledger.tokens() - before;
    let synced = u64::try_from(
        answers
            .iter()
            .filter(|answer| **answer == Answer::Synced)
            .count(),
    )?;
    // What was answered beyond the tokens is the demand for another nonce, which promises nothing.
    if synced < promised {
        return Err(format!(
            "{promised} token answers arrived, but only {synced} left after a sync of database or journal"
        )
        .into());
    }
    let reads = watched_reads(server, &destination).await?;
    let unsynced = reads
        .iter()
        .filter(|answer| **answer == Answer::Unsynced)
        .count();
    if unsynced * 2 < READS {
        return Err(format!(
            "only {unsynced} of {READS} reads left without a sync: the watcher cannot tell"
        )
        .into());
    }
    Ok(())
}

async fn watched_reads(server: &Server, destination: &Destination) -> Result<Vec<Answer>, Failed> {
    let mut sender = destination.connect().await?;
    let read = || {
        Request::builder()
            .uri("/.well-known/jwks.json")
            .header(header::HOST, destination.host())
            .body(Full::new(Bytes::new()))
    };
    exchange(&mut sender, read()?).await?;
    let watch = Watch::attach(server.pid()?, "reads").await?;
    for _ in 0..READS {
        exchange(&mut sender, read()?).await?;
    }
    watch.detach().await
}

/// How an answer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Between the request and it, the database or the journal was written and then synced.
    Synced,
    /// It was not.
    Unsynced,
}

/// A process that is watched.
pub(crate) struct Watch {
    tracer: Child,
    output: PathBuf,
}

impl Watch {
    /// Watches from now on.
    pub(crate) async fn attach(pid: u32, name: &str) -> Result<Self, Failed> {
        let output = std::env::current_dir()?.join(format!(
            "target/sync-order-{}-{name}.txt",
            std::process::id()
        ));
        let calls = "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync";
        let tracer = Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-yy",
                "-s",
                "0",
                "-e",
                calls,
                "-p",
                &pid.to_string(),
                "-o",
            ])
            .arg(&output)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                format!("strace: {error}; install it with the system's package manager")
            })?;
        let attached = async {
            while !every_thread_is_traced(pid)? {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok::<_, Failed>(())
        };
        tokio::time::timeout(PATIENCE, attached)
            .await
            .map_err(|_| "strace does not attach: is tracing forbidden here?")??;
        Ok(Self { tracer, output })
    }

    /// Ends it, and gives how the answers left.
    pub(crate) async fn detach(mut self) -> Result<Vec<Answer>, Failed> {
        let tracer = self.tracer.id().ok_or("strace has ended")?.to_string();
        Command::new("kill")
            .args(["-INT", &tracer])
            .status()
            .await?;
        tokio::time::timeout(PATIENCE, self.tracer.wait()).await??;
        let answers = judge(&std::fs::read_to_string(&self.output)?);
        std::fs::remove_file(&self.output)?;
        Ok(answers)
    }
}

fn every_thread_is_traced(pid: u32) -> Result<bool, Failed> {
    for thread in Path::new(&format!("/proc/{pid}/task")).read_dir()? {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        if status.lines().any(|line| line == "TracerPid:\t0") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where something is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Database,
    Journal,
}

impl Place {
    fn of(file: &str) -> Option<Self> {
        if file.ends_with("state.db-wal") {
            Some(Self::Database)
        } else if file.contains("/journal/") {
            Some(Self::Journal)
        } else {
            None
        }
    }
}

/// Where a connection stands between a request and its answer, for each place.
type Waiting = BTreeMap<(String, Place), Standing>;

/// Where a connection stands between a request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The request has arrived.
    Arrived,
    /// The place was written since.
    Written,
    /// And synced after that.
    Synced,
}

/// Reads a trace in its order.
fn judge(trace: &str) -> Vec<Answer> {
    let mut waiting = Waiting::new();
    let mut unfinished: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut answers = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let call = call.trim_start();
        let (name, file, began, ended) = match call.strip_prefix("<... ") {
            Some(rest) => match unfinished.remove(thread) {
                Some((name, file)) => (name, file, false, Some(rest)),
                None => continue,
            },
            None => {
                let Some((name, rest)) = call.split_once('(') else {
                    continue;
                };
                let file = file_of(rest);
                if call.ends_with("<unfinished ...>") {
                    unfinished.insert(thread, (name, file));
                    (name, file, true, None)
                } else {
                    (name, file, true, Some(rest))
                }
            }
        };
        let succeeded = ended.is_some_and(|rest| result_of(rest) >= Some(0));
        match (name, Place::of(file)) {
            ("pwrite64" | "write", Some(place)) if began => {
                advance(&mut waiting, place, Standing::Arrived, Standing::Written);
            }
            ("fsync" | "fdatasync", Some(place)) if succeeded => {
                advance(&mut waiting, place, Standing::Written, Standing::Synced);
            }
            ("read" | "readv" | "recvfrom" | "recvmsg", None)
                if file.starts_with("TCP")
                    && ended.is_some_and(|rest| result_of(rest) > Some(0)) =>
            {
                for place in [Place::Database, Place::Journal] {
                    waiting
                        .entry((file.to_owned(), place))
                        .or_insert(Standing::Arrived);
                }
            }
            ("write" | "writev" | "sendto" | "sendmsg", None)
                if began && file.starts_with("TCP") =>
            {
                let left = [Place::Database, Place::Journal]
                    .map(|place| waiting.remove(&(file.to_owned(), place)));
                if left.contains(&Some(Standing::Synced)) {
                    answers.push(Answer::Synced);
                } else if left.iter().any(Option::is_some) {
                    answers.push(Answer::Unsynced);
                }
            }
            _ => {}
        }
    }
    answers
}

fn advance(waiting: &mut Waiting, at: Place, from: Standing, to: Standing) {
    for ((_, place), standing) in waiting {
        if *place == at && *standing == from {
            *standing = to;
        }
    }
}

/// `12</home/x/state.db-wal>, ...` or `9<TCP:[127.0.0.1:1->127.0.0.1:2]>, ...`: what is between the outer angle brackets.
fn file_of(arguments: &str) -> &str {
    let arguments = arguments.trim_end_matches("<unfinished ...>");
    let first = arguments
        .split_once(", ")
        .map_or(arguments, |(first, _)| first);
    let Some((_, named)) = first.split_once('<') else {
        return "";
    };
    named.rsplit_once('>').map_or(named, |(file, _)| file)
}

/// The number after the last ` = `.
fn result_of(rest: &str) -> Option<i64> {
    let (_, result) = rest.rsplit_once(" = ")?;
    result.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests;
