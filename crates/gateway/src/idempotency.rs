//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): an unsafe request that comes again under its key is not passed on again,
//! but answered as the first one was.
//!
//! A key belongs to a tenant, subject, client and route: nobody meets another's answer. What may have been passed on is never passed on a
//! second time under its key, whatever became of it.
//!
//! Where keys are kept for longer than a process lives ([`countersign_store::idempotency::KeyRegistry`]: the database, or a Redis), the first of all processes is the first, and its
//! answer is there for all of them, sealed. With the database a key is taken in one committed transaction before anything is passed on, the answer goes out when it is committed, and
//! what is here is only which requests are under way. Otherwise answers are in the memory of this process, bounded in number and bytes, of all, of each tenant and of each caller; when
//! there is no room a new key is refused, and none is forgotten before its time.

mod kept;
pub mod key;
mod running;

use crate::request::GatewayRequest;
use bytes::Bytes;
use countersign_base::Tenant;
use countersign_crypto::digest::sha256_parts;
use countersign_store::redis::SharedKey;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
pub use key::KEY_BYTES_MAX;
pub(crate) use running::Running;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The field.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Characters that a key has at least, unless configuration says otherwise: what is shorter is soon drawn twice.
pub const KEY_BYTES_MIN: u8 = 16;
/// Bytes of an answer that is kept, its fields counted too.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Keys of a process.
pub const KEYS_MAX: usize = 65_536;
/// Bytes of all kept answers.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
/// What one caller may have of both.
const CALLER_PART: usize = 16;
/// What one tenant may have of both, so that its callers together can't close it for others.
const TENANT_PART: usize = 4;
/// How long a duplicate waits for the first to end.
pub const WAIT_MAX: Duration = Duration::from_secs(10);
/// The longest that configuration may keep an answer.
pub const KEEP_MAX: Duration = Duration::from_secs(7 * 86_400);
/// How long an answer that is written elsewhere is here as well, for those who waited for it.
const RELAY_NANOS: u64 = 2_000_000_000;
/// How often what has expired is looked for.
const SWEEP_NANOS: u64 = 1_000_000_000;

/// What a route does with keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencySpec {
    /// Whether an unsafe request must have one.
    pub need: KeyNeed,
    /// How many characters a key must have.
    pub key_bytes_min: u8,
    /// The address of the page that says what becomes of keys here, for whoever is refused.
    pub described_by: Option<Arc<str>>,
    /// How long an answer is kept.
    pub keep: Duration,
    /// Whether the upstream knows keys by itself.
    pub upstream: UpstreamKeys,
}

/// Whether an unsafe request must have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyNeed {
    /// It may do without, and is then passed on each time it comes.
    Optional,
    /// It is refused without.
    Required,
}

/// Whether the upstream knows keys by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamKeys {
    /// It does: under the same key it does nothing twice, so that the gateway may try again.
    Honoured,
    /// Nobody knows.
    Ignored,
}

/// Why a request is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// What processes share of keys cannot be asked: nothing is passed on, because another may have done so.
    #[error("the keys that processes share are away")]
    Away,
    /// Not one field with one key of at most 255 characters.
    #[error("the key is malformed")]
    Broken,
    /// The first one is still under way.
    #[error("a request with this key is under way")]
    InProgress,
    /// The first one was a different request.
    #[error("the key was used for another request")]
    Mismatch,
    /// The route wants one.
    #[error("the route needs a key")]
    Missing,
    /// No room for another key.
    #[error("there is no room for another key")]
    NoRoom,
    /// The answer was too large to keep.
    #[error("the answer was not kept")]
    NotKept,
    /// It is shorter than the route allows.
    #[error("the key is too short to be drawn once")]
    Short,
    /// Whether the first one took effect can't be known.
    #[error("the outcome of the first request is unknown")]
    Unknown,
}

/// The methods that keys are for: those that are not safe (RFC 9110 §9.2.1).
pub(crate) const fn is_unsafe(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

/// The key of a request. Absent is not broken.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, KeyError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => key::read(value.as_bytes())
            .map(Some)
            .ok_or(KeyError::Broken),
        (Some(_), Some(_)) => Err(KeyError::Broken),
    }
}

/// Whose key it is, and what it was used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    /// Tenant, issuer, subject, client, route and key.
    name: [u8; 32],
    /// Tenant, issuer, subject and client.
    caller: [u8; 32],
    tenant: [u8; 32],
    /// Method, authority, target, the caller's scopes, what the body is, and the body.
    fingerprint: [u8; 32],
}

impl Named {
    /// Absent for callers without a token: what they send has no owner.
    pub(crate) fn of(request: &GatewayRequest, key: &str, body: &[u8]) -> Option<Self> {
        let subject = request.caller().subject()?;
        let principal = subject.principal().to_string();
        let caller = [
            subject.tenant().as_str(),
            subject.issuer().as_str(),
            &principal,
            subject.client().as_str(),
        ];
        let caller = digest(caller.map(str::as_bytes));
        let route = request.matched().route.id.as_str();
        let field = |name| {
            request
                .headers
                .get(name)
                .map_or(&b""[..], |value| value.as_bytes())
        };
        let target = request.target();
        Some(Self {
            name: digest([&caller[..], route.as_bytes(), key.as_bytes()]),
            caller,
            tenant: digest([subject.tenant().as_str().as_bytes()]),
            // The upstream sees authority and scopes, and may answer by them.
            fingerprint: digest([
                target.method().as_str().as_bytes(),
                target.authority().as_bytes(),
                subject.scopes().to_string().as_bytes(),
                target.path_and_query().as_str().as_bytes(),
                field(header::CONTENT_TYPE),
                field(header::CONTENT_ENCODING),
                body,
            ]),
        })
    }

    /// The same for all processes that share keys.
    pub(crate) const fn shared<'k>(&'k self, tenant: &'k Tenant) -> SharedKey<'k> {
        SharedKey {
            tenant,
            caller: &self.caller,
            name: &self.name,
            fingerprint: &self.fingerprint,
        }
    }

    #[cfg(test)]
    fn test(caller: u8, key: u8, body: u8) -> Self {
        Self {
            name: [key; 32],
            caller: [caller; 32],
            tenant: [0; 32],
            fingerprint: [body; 32],
        }
    }
}

/// Parts with their lengths before them, so that none runs into the next.
fn digest<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    let lengths = parts.map(|part| (part.len() as u64).to_be_bytes());
    let mut all: Vec<&[u8]> = Vec::with_capacity(N * 2);
    for (length, part) in lengths.iter().zip(parts) {
        all.push(length);
        all.push(part);
    }
    sha256_parts(&all)
}

/// An answer as it was given.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    fn bytes(&self) -> usize {
        fields_bytes(&self.headers) + self.body.len()
    }
}

/// What the fields of an answer take in memory, roughly.
pub(crate) fn fields_bytes(headers: &HeaderMap) -> usize {
    let fields = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 64);
    fields.sum()
}

/// What is known of a key.
pub(crate) enum Begun {
    /// The first one ended like this.
    Replay(Arc<Answer>),
    /// This is the first one.
    Run(Running),
    /// It is not passed on.
    Refused(KeyError),
    /// The first one is under way; it ends when this changes.
    Wait(watch::Receiver<()>),
}

/// How the first request of a key ended.
pub(crate) enum Ended {
    /// With an answer.
    Answered(Answer),
    /// As it is written elsewhere, for all who ask.
    Elsewhere,
    /// With an answer that is written elsewhere; whoever waits here is answered without asking there, one after the other.
    Relayed(Answer),
    /// It was surely not carried out: the key is free again.
    NotCarriedOut,
    /// With an answer that is too large to keep.
    TooLarge,
}

#[derive(Debug)]
enum State {
    Answered(Arc<Answer>),
    NotKept,
    Running(watch::Receiver<()>),
    Unknown,
}

#[derive(Debug)]
struct Entry {
    named: Named,
    state: State,
    /// Steady nanoseconds.
    expires: u64,
    bytes: usize,
}

impl Entry {
    const fn runs(&self) -> bool {
        matches!(self.state, State::Running(_))
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    keys: usize,
    bytes: usize,
}

/// What each caller, or each tenant, has.
#[derive(Debug, Default)]
struct Shares(HashMap<[u8; 32], Share>);

impl Shares {
    fn of(&self, owner: &[u8; 32]) -> Share {
        self.0.get(owner).copied().unwrap_or_default()
    }

    fn add(&mut self, owner: [u8; 32], bytes: usize) {
        let share = self.0.entry(owner).or_default();
        share.keys += 1;
        share.bytes += bytes;
    }

    fn subtract(&mut self, owner: &[u8; 32], bytes: usize) {
        if let Some(share) = self.0.get_mut(owner) {
            share.keys -= 1;
            share.bytes -= bytes;
            if share.keys == 0 {
                self.0.remove(owner);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Map {
    entries: HashMap<[u8; 32], Entry>,
    callers: Shares,
    tenants: Shares,
    all: Share,
    swept: u64,
}

/// The keys of a process.
#[derive(Debug, Default)]
pub(crate) struct Keys(Mutex<Map>);

impl Keys {
    /// Looks a key up, and takes it if it is new. `now` is in steady nanoseconds.
    pub(crate) fn begin(self: &Arc<Self>, named: Named, keep: Duration, now: u64) -> Begun {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.sweep(now);
        // One that still runs is there whatever the time is: its end would otherwise be taken for that of another.
        let stands = |entry: &&Entry| entry.expires > now || entry.runs();
        if let Some(entry) = map.entries.get(&named.name).filter(stands) {
            if entry.named.fingerprint != named.fingerprint {
                return Begun::Refused(KeyError::Mismatch);
            }
            return match &entry.state {
                State::Answered(answer) => Begun::Replay(Arc::clone(answer)),
                State::NotKept => Begun::Refused(KeyError::NotKept),
                State::Running(ends) => Begun::Wait(ends.clone()),
                State::Unknown => Begun::Refused(KeyError::Unknown),
            };
        }
        map.remove(&named.name);
        if !map.has_room(&named) {
            return Begun::Refused(KeyError::NoRoom);
        }
        let (wakes, ends) = watch::channel(());
        let keep = u64::try_from(keep.as_nanos()).unwrap_or(u64::MAX);
        map.insert(Entry {
            named,
            state: State::Running(ends),
            expires: now.saturating_add(keep),
            bytes: 0,
        });
        Begun::Run(Running::new(Arc::clone(self), named.name, now, wakes))
    }

    fn end(&self, name: &[u8; 32], ended: Option<Ended>, now: u64) -> Kept {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut entry) = map.remove(name) else {
            return Kept::No;
        };
        match ended {
            Some(Ended::Elsewhere | Ended::NotCarriedOut) => return Kept::No,
            Some(Ended::Answered(answer)) => {
                entry.bytes = answer.bytes();
                entry.state = if map.has_room_for(&entry.named, entry.bytes) {
                    State::Answered(Arc::new(answer))
                } else {
                    entry.bytes = 0;
                    State::NotKept
                };
            }
            Some(Ended::Relayed(answer)) => {
                entry.bytes = answer.bytes();
                if !map.has_room_for(&entry.named, entry.bytes) {
                    return Kept::No;
                }
                entry.state = State::Answered(Arc::new(answer));
                entry.expires = now.saturating_add(RELAY_NANOS);
            }
            Some(Ended::TooLarge) => entry.state = State::NotKept,
            None => entry.state = State::Unknown,
        }
        let kept = match entry.state {
            State::Answered(_) => Kept::Yes,
            State::NotKept | State::Running(_) | State::Unknown => Kept::No,
        };
        map.insert(entry);
        kept
    }
}

/// Whether an answer is kept, for whoever asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    No,
    Yes,
}

impl Map {
    fn sweep(&mut self, now: u64) {
        let full = self.all.keys >= KEYS_MAX / 2 || self.all.bytes >= BYTES_MAX / 2;
        let pause = if full { SWEEP_NANOS } else { 60 * SWEEP_NANOS };
        if now.saturating_sub(self.swept) < pause {
            return;
        }
        self.swept = now;
        let over: Vec<[u8; 32]> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.expires <= now && !entry.runs())
            .map(|(name, _)| *name)
            .collect();
        for name in over {
            self.remove(&name);
        }
    }

    fn has_room(&self, named: &Named) -> bool {
        self.all.keys < KEYS_MAX
            && self.tenants.of(&named.tenant).keys < KEYS_MAX / TENANT_PART
            && self.callers.of(&named.caller).keys < KEYS_MAX / CALLER_PART
            && self.has_room_for(named, 0)
    }

    fn has_room_for(&self, named: &Named, bytes: usize) -> bool {
        let within = |share: Share, max: usize| share.bytes.saturating_add(bytes) <= max;
        within(self.all, BYTES_MAX)
            && within(self.tenants.of(&named.tenant), BYTES_MAX / TENANT_PART)
            && within(self.callers.of(&named.caller), BYTES_MAX / CALLER_PART)
    }

    fn insert(&mut self, entry: Entry) {
        self.callers.add(entry.named.caller, entry.bytes);
        self.tenants.add(entry.named.tenant, entry.bytes);
        self.all.keys += 1;
        self.all.bytes += entry.bytes;
        self.entries.insert(entry.named.name, entry);
    }

    fn remove(&mut self, name: &[u8; 32]) -> Option<Entry> {
        let entry = self.entries.remove(name)?;
        self.all.keys -= 1;
        self.all.bytes -= entry.bytes;
        self.callers.subtract(&entry.named.caller, entry.bytes);
        self.tenants.subtract(&entry.named.tenant, entry.bytes);
        Some(entry)
    }
}

/// Whose token the upstream saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenSeen {
    /// The caller's, or none.
    Callers,
    /// An exchanged one.
    Exchanged,
}

/// Whether an upstream says that it did not carry a request out: then its key is free for another try.
pub(crate) fn is_not_carried_out(
    status: StatusCode,
    headers: &HeaderMap,
    token: TokenSeen,
) -> bool {
    match status {
        // The next try brings a token that is exchanged anew.
        StatusCode::UNAUTHORIZED => token == TokenSeen::Exchanged,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::MISDIRECTED_REQUEST | StatusCode::TOO_EARLY => {
            true
        }
        // Without a time to come back it may as well be a failure in the middle.
        StatusCode::SERVICE_UNAVAILABLE => headers.contains_key(header::RETRY_AFTER),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
