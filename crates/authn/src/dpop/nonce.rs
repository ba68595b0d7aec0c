//! Nonces that the server provides (RFC 9449 §8), without memory.
//!
//! A nonce is the number of a time window and a MAC over it and this process's boot id. A process that has just started has forgotten which
//! proofs it accepted before; so it requires a nonce of its own until every proof that existed before its start is too old, and no proof that
//! was used before a restart is accepted after it.

use super::{DpopReason, DpopRefusal};
use countersign_base::{Duration, UnixTime, limits};
use countersign_crypto::base64url;
use countersign_crypto::mac::{MacKey, Tag};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Length of a window. A nonce is accepted in its window and the next.
const WINDOW_SECONDS: i64 = 30;
const DOMAIN: &str = "dpop-nonce";

/// A nonce as it stands in the header `DPoP-Nonce`.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(Arc<str>);

impl Nonce {
    /// The text; it is safe in a header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({})", self.0)
    }
}

/// When proofs must carry a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NonceUse {
    /// For as long after the start as a proof from before it could be accepted.
    AfterStart,
    /// Always.
    Always,
}

/// Makes and checks the nonces of one process.
#[derive(Clone)]
pub struct Nonces {
    key: MacKey,
    boot: [u8; 16],
    required_until: Option<UnixTime>,
    /// The nonce of the window that was asked for last, with its number: it goes out with every answer.
    latest: Arc<Mutex<Option<(i64, Nonce)>>>,
}

impl Nonces {
    /// `boot` is drawn anew at each start.
    #[must_use]
    pub fn new(key: MacKey, boot: [u8; 16], started: UnixTime, nonce_use: NonceUse) -> Self {
        let required_until = match nonce_use {
            NonceUse::AfterStart => Some(started.plus(proof_life()).plus(Duration::from_secs(1))),
            NonceUse::Always => None,
        };
        Self {
            key,
            boot,
            required_until,
            latest: Arc::default(),
        }
    }

    /// What proofs must carry at this time.
    #[must_use]
    pub fn policy(&self, now: UnixTime) -> NoncePolicy<'_> {
        match self.required_until {
            Some(until) if now > until => NoncePolicy::NotRequired,
            Some(_) | None => NoncePolicy::Required(self),
        }
    }

    /// The nonce to hand out at this time.
    #[must_use]
    pub fn current(&self, now: UnixTime) -> Nonce {
        let number = now.0.div_euclid(WINDOW_SECONDS);
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((known, nonce)) if *known == number => nonce.clone(),
            Some(_) | None => {
                let nonce = self.of_window(number);
                *latest = Some((number, nonce.clone()));
                nonce
            }
        }
    }

    fn of_window(&self, number: i64) -> Nonce {
        let window = number.to_be_bytes();
        let tag = self.key.tag(DOMAIN, &[&self.boot, &window]);
        let mut bytes = window.to_vec();
        bytes.extend_from_slice(tag.as_bytes());
        Nonce(base64url::encode(&bytes).into())
    }

    pub(super) fn check(&self, nonce: Option<&str>, now: UnixTime) -> Result<(), DpopRefusal> {
        let Some(nonce) = nonce else {
            return Err(DpopRefusal::with_nonce(
                DpopReason::NonceMissing,
                self.current(now),
            ));
        };
        if self.is_ours(nonce, now) {
            Ok(())
        } else {
            Err(DpopRefusal::with_nonce(
                DpopReason::NonceInvalid,
                self.current(now),
            ))
        }
    }

    fn is_ours(&self, nonce: &str, now: UnixTime) -> bool {
        let Ok(bytes) = base64url::decode_array::<40>(nonce) else {
            return false;
        };
        let Some((window, tag)) = bytes.split_first_chunk::<8>() else {
            return false;
        };
        let Ok(tag) = <[u8; 32]>::try_from(tag) else {
            return false;
        };
        let (number, current) = (
            i64::from_be_bytes(*window),
            now.0.div_euclid(WINDOW_SECONDS),
        );
        let in_time = number == current || current.checked_sub(1) == Some(number);
        in_time
            && self
                .key
                .verify(DOMAIN, &[&self.boot, window], &Tag::from_bytes(tag))
                .is_ok()
    }
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonces")
    }
}

/// For how long after its making a proof can be accepted, its allowance for clocks included.
const fn proof_life() -> Duration {
    Duration::from_secs(limits::DPOP_PROOF_AGE_MAX.as_secs() + limits::CLIENT_SKEW_AHEAD.as_secs())
}

/// Whether proofs must carry a nonce. Where none is required, one that a client still sends is not looked at.
#[derive(Debug, Clone, Copy)]
pub enum NoncePolicy<'a> {
    /// None is required.
    NotRequired,
    /// One of these is required.
    Required(&'a Nonces),
}

#[cfg(test)]
mod tests;
