//! What the server has acknowledged so far, and which checks held.

use super::tally::Tallies;
pub(crate) use super::tally::lock;
use crate::Failed;
use crate::browser::Cookies;
use crate::clients::{Credential, Prover, TokenClient};
use crate::server::Server;
use countersign_crypto::random::Random;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A code that arrived at the redirect URI and was not redeemed.
#[derive(Clone)]
pub(crate) struct IssuedCode {
    pub(crate) code: String,
    pub(crate) verifier: String,
    pub(crate) prover: Prover,
    pub(crate) arrived: Instant,
}

/// A refresh token whose answer arrived, with the key it is bound to.
#[derive(Clone)]
pub(crate) struct Family {
    pub(crate) current: String,
    pub(crate) prover: Prover,
    pub(crate) standing: Standing,
}

/// Whether the last answer about a family arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its token is what the server acknowledged last.
    Acknowledged,
    /// A refresh is on its way: its token may have been rotated without our knowing.
    InFlight,
}

/// A request that was accepted and may not be accepted again.
#[derive(Clone)]
pub(crate) struct Accepted {
    pub(crate) form: String,
    pub(crate) authorization: Option<String>,
    pub(crate) proof: Option<String>,
}

/// See the module.
pub(crate) struct Ledger {
    pub(crate) issuer: String,
    pub(crate) batch: TokenClient,
    pub(crate) random: Random,
    pub(crate) codes: Mutex<Vec<IssuedCode>>,
    pub(crate) families: Mutex<Vec<Family>>,
    pub(crate) accepted: Mutex<Vec<Accepted>>,
    pub(crate) cookies: Cookies,
    tokens: Mutex<u64>,
    tallies: Tallies,
}

/// The oldest code that a check still expects to work: a code lives sixty seconds.
const CODE_AGE_MAX: Duration = Duration::from_secs(40);

/// Codes that one check redeems, the newest: more would be too old before their turn.
const CODES_MAX: usize = 12;

impl Ledger {
    pub(crate) fn new(server: &Server, secret: &str) -> Result<Self, Failed> {
        let issuer = server.addresses.identity.clone();
        let random = Random::system();
        let credential = Credential::Secret(secret.to_owned());
        let batch = TokenClient {
            id: "batch".to_owned(),
            credential,
            issuer: issuer.clone(),
            proof: Some(Prover::new()?),
            random: random.clone(),
        };
        Ok(Self {
            issuer,
            batch,
            random,
            codes: Mutex::default(),
            families: Mutex::default(),
            accepted: Mutex::default(),
            cookies: Cookies::default(),
            tokens: Mutex::default(),
            tallies: Tallies::default(),
        })
    }

    /// One more answer with tokens arrived.
    pub(crate) fn token_arrived(&self) {
        *lock(&self.tokens) += 1;
    }

    /// How many answers with tokens arrived.
    pub(crate) fn tokens(&self) -> u64 {
        *lock(&self.tokens)
    }

    /// Takes the codes that must still work.
    pub(crate) fn take_codes(&self) -> Vec<IssuedCode> {
        let mut codes = std::mem::take(&mut *lock(&self.codes));
        codes.retain(|code| code.arrived.elapsed() < CODE_AGE_MAX);
        codes.drain(..codes.len().saturating_sub(CODES_MAX));
        codes
    }

    /// Notes one check.
    pub(crate) fn check(&self, name: &'static str, result: Result<(), Failed>) {
        self.tallies.check(name, result);
    }

    /// Prints every check and says whether all held.
    pub(crate) fn summary(&self, lives: u32) -> bool {
        let (passed, failed) = self.tallies.summary(super::checks::NAMES);
        println!(
            "chaos: {lives} crashes, {} acknowledged token answers",
            lock(&self.tokens)
        );
        println!("chaos: {passed} passed, {failed} failed, 0 skipped");
        failed == 0
    }
}
