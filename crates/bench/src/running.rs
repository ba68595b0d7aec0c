//! A server that a load goes to, ours or another's, seen from outside: where it listens, what it costs.

use crate::load::{Destination, Script, drive};
use crate::report::Run;
use crate::{Failed, cpu};
use std::time::Duration;

/// A running server.
pub trait Running: Send + Sync {
    /// Its process.
    ///
    /// # Errors
    /// When it is gone.
    fn pid(&self) -> Result<u32, Failed>;

    /// Where the load goes.
    ///
    /// # Errors
    /// When its address is none.
    fn destination(&self) -> Result<Destination, Failed>;

    /// What the results call it: `countersign`, or a peer's name with its version.
    fn subject(&self) -> String;

    /// The `iss` of its tokens.
    fn issuer(&self) -> String;

    /// Where its endpoints are.
    fn paths(&self) -> Paths {
        Paths {
            keys: "/.well-known/jwks.json",
            token: "/token",
        }
    }
}

/// Paths of endpoints that differ from server to server.
#[derive(Debug, Clone, Copy)]
pub struct Paths {
    /// The published keys.
    pub keys: &'static str,
    /// The token endpoint.
    pub token: &'static str,
}

/// Runs one script a connection against `running` for `duration`: answers per second of its CPU time, and the scripts to go on with.
///
/// # Errors
/// When an answer is wrong, too many are refused, or a connection breaks.
pub async fn measure<S: Script>(
    running: &dyn Running,
    scripts: Vec<S>,
    duration: Duration,
) -> Result<(Run, Vec<S>), Failed> {
    let pid = running.pid()?;
    let before = cpu::time_of_family(pid)?;
    let (served, scripts) = drive(&running.destination()?, scripts, duration).await?;
    let spent = cpu::time_of_family(pid)?.saturating_sub(before);
    let resident = cpu::resident_mib_of_family(pid)?;
    Ok((served.run(spent, Some(resident))?, scripts))
}
