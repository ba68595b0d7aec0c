//! How often: the limits of a route, one truth a process, and the fields that tell callers about them
//! (draft-ietf-httpapi-ratelimit-headers-11: `RateLimit-Policy`, `RateLimit`).
//!
//! A route may have several limits, each with its own way of counting ([`Algorithm`]) and its own idea of who is counted together
//! ([`Dimension`]). All must let a request through; a refusal costs nothing at any of them. Everything is decided before a request is passed
//! on: nothing is counted when its answer comes.
//!
//! Where a limit goes by identity, callers with a token and those without are kept in separate tables, so that strangers can't crowd out
//! clients; where it does not, they share one count. What is forgotten when a table is full says the table's page. Limits whose counts are
//! shared with other processes are in `shared`; the same arithmetic judges them.

mod algorithm;
mod calendar;
mod shared;
mod table;

pub use algorithm::{Algorithm, Moment, Quota};
pub use calendar::CalendarWindow;
pub use shared::{CountedBy, LimitedBy, SharedLimits, SharedSpec, Sharing, WhenAway};
pub use table::CALLERS_MAX;

use algorithm::{Rule, seconds_up};
use http::HeaderValue;
use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::MutexGuard;
use std::time::Duration;
use table::{Name, Names, Place, Shard, Table};

/// Limits of one route.
pub const LIMITS_MAX: usize = 8;
/// How long a leaky bucket may make a request wait.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// The longest window that is not a calendar's.
pub const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
const NAME_BYTES_MAX: usize = 32;

/// What callers must have in common to be counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The certificate that the token is bound to; for a token that is bound to none, the client.
    Certificate,
    /// The client of the token.
    Client,
    /// The network that the connection came from: an IPv4 address, or the first 64 bits of an IPv6 address.
    Network,
    /// The route.
    Route,
    /// Whom the token speaks of.
    Subject,
    /// The tenant of the token, or of the route.
    Tenant,
}

impl Dimension {
    /// Whether only a token, or a certificate, can say it.
    const fn is_identity(self) -> bool {
        match self {
            Self::Certificate | Self::Client | Self::Subject => true,
            Self::Network | Self::Route | Self::Tenant => false,
        }
    }
}

/// How callers without a token are counted by a limit that goes by identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strangers {
    /// Each network by itself. People behind one address share it.
    ByNetwork,
    /// All of them together.
    Together,
}

/// A limit as configuration says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSpec {
    /// Its name, which callers see.
    pub name: String,
    /// How it counts.
    pub algorithm: Algorithm,
    /// How many requests a window has.
    pub requests: u32,
    /// The window; of no meaning for calendars.
    pub per: Duration,
    /// Who is counted together: callers that agree in all of these.
    pub by: BTreeSet<Dimension>,
    /// How those without a token are counted.
    pub strangers: Strangers,
    /// Who keeps its counts.
    pub sharing: Sharing,
}

impl LimitSpec {
    /// So many requests of each client at each route, all of them at once if it likes: what most routes need.
    #[must_use]
    pub fn per_client(requests: u32, per: Duration, strangers: Strangers) -> Self {
        Self {
            name: "default".to_owned(),
            algorithm: Algorithm::TokenBucket { burst: requests },
            requests,
            per,
            by: [Dimension::Client, Dimension::Route].into(),
            strangers,
            sharing: Sharing::Process,
        }
    }
}

/// Why a limit can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// It goes by nothing.
    #[error(
        "`by` names nothing: expected at least one of certificate, client, network, route, subject, tenant"
    )]
    ByNothing,
    /// Some counts are shared with other processes and some are not: then not all or none could be charged.
    #[error(
        "the limits of a route are all shared with other processes, or none is, and all say the same of the time when those are away"
    )]
    Mixed,
    /// Its name.
    #[error("a name has 1 to 32 lower-case letters, digits, `-` and `_`")]
    Name,
    /// It lets nothing through, or counts over no time.
    #[error("a limit needs at least one request and a window of one second to 31 days")]
    Nothing,
    /// Its numbers are too large for the shared counts.
    #[error(
        "a shared limit has windows of whole microseconds, and its bucket fills in 366 days at most"
    )]
    Shared,
    /// Too many for one route.
    #[error("a route has at most 8 limits")]
    TooMany,
    /// Two of one name.
    #[error("two limits of a route have one name")]
    Twice,
    /// Its queue is too long.
    #[error("a full queue would make requests wait longer than 30 seconds")]
    Wait,
}

/// A checked limit.
#[derive(Debug, Clone)]
struct Limit {
    name: String,
    rule: Rule,
    by: BTreeSet<Dimension>,
    strangers: Strangers,
    /// Name and numbers in one: a limit whose numbers change begins anew, one that stays goes on counting over a reload.
    tag: u64,
}

/// The limits of a route, with their constant field.
#[derive(Debug, Clone)]
pub struct RouteLimits {
    limits: Vec<Limit>,
    policy: HeaderValue,
    /// Absent where the counts are this process's own.
    shared: Option<Box<SharedLimits>>,
}

impl Limit {
    fn new(spec: LimitSpec) -> Result<Self, LimitError> {
        let named = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if spec.name.is_empty() || spec.name.len() > NAME_BYTES_MAX || !spec.name.bytes().all(named)
        {
            return Err(LimitError::Name);
        }
        if spec.by.is_empty() {
            return Err(LimitError::ByNothing);
        }
        let is_calendar = matches!(spec.algorithm, Algorithm::Calendar(_));
        if !is_calendar && !(Duration::from_secs(1)..=WINDOW_MAX).contains(&spec.per) {
            return Err(LimitError::Nothing);
        }
        if let Algorithm::LeakyBucket { queue } = spec.algorithm
            && spec.per.as_nanos() * u128::from(queue)
                > WAIT_MAX.as_nanos() * u128::from(spec.requests)
        {
            return Err(LimitError::Wait);
        }
        let per = u64::try_from(spec.per.as_nanos()).map_err(|_| LimitError::Nothing)?;
        let rule = Rule::new(spec.algorithm, spec.requests, per).ok_or(LimitError::Nothing)?;
        // Whoever writes a configuration names its limits, so the hash need not be keyed.
        let mut tag = DefaultHasher::new();
        (&spec.name, spec.algorithm, spec.requests, per, &spec.by).hash(&mut tag);
        spec.strangers.hash(&mut tag);
        Ok(Self {
            tag: tag.finish(),
            name: spec.name,
            rule,
            by: spec.by,
            strangers: spec.strangers,
        })
    }
}

impl RouteLimits {
    /// The limits of one route; absent when there is none.
    ///
    /// # Errors
    /// The first that can't be used, with its name.
    pub fn new(specs: Vec<LimitSpec>) -> Result<Option<Self>, (String, LimitError)> {
        let mut policy = String::new();
        let mut limits: Vec<Limit> = Vec::with_capacity(specs.len());
        let shared = SharedLimits::of(&specs)?;
        for spec in specs {
            let name = spec.name.clone();
            let field = policy_item(&spec);
            let limit = Limit::new(spec).map_err(|error| (name.clone(), error))?;
            if limits.iter().any(|earlier| earlier.name == limit.name) {
                return Err((name, LimitError::Twice));
            }
            if limits.len() == LIMITS_MAX {
                return Err((name, LimitError::TooMany));
            }
            if !policy.is_empty() {
                policy.push_str(", ");
            }
            policy.push_str(&field);
            limits.push(limit);
        }
        if limits.is_empty() {
            return Ok(None);
        }
        let policy =
            HeaderValue::from_str(&policy).map_err(|_| (String::new(), LimitError::Name))?;
        Ok(Some(Self {
            limits,
            policy,
            shared: shared.map(Box::new),
        }))
    }

    /// What is to be done where the counts are shared with other processes; absent where they are not.
    #[must_use]
    pub fn shared(&self) -> Option<&SharedLimits> {
        self.shared.as_deref()
    }

    /// The field `RateLimit-Policy`.
    #[must_use]
    pub fn policy_field(&self) -> HeaderValue {
        self.policy.clone()
    }

    /// The field `RateLimit`, for what [`Limiter::take`] said of these limits.
    #[must_use]
    pub fn field(&self, quotas: &[Quota]) -> HeaderValue {
        let mut text = String::new();
        for (limit, quota) in self.limits.iter().zip(quotas) {
            if !text.is_empty() {
                text.push_str(", ");
            }
            // Writing to a string can't fail.
            let _ = write!(
                text,
                "\"{}\";r={};t={}",
                limit.name, quota.remaining, quota.reset_seconds
            );
        }
        // Names and numbers alone.
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("\"default\";r=0"))
    }
}

/// A calendar's window has no constant length, so the field does not say one for months.
fn policy_item(spec: &LimitSpec) -> String {
    let seconds = match spec.algorithm {
        Algorithm::Calendar(CalendarWindow::Day) => Some(86_400),
        Algorithm::Calendar(CalendarWindow::Month) => None,
        Algorithm::FixedWindow
        | Algorithm::LeakyBucket { .. }
        | Algorithm::SlidingWindow
        | Algorithm::TokenBucket { .. } => Some(spec.per.as_secs()),
    };
    let window = seconds.map_or_else(String::new, |seconds| format!(";w={seconds}"));
    format!("\"{}\";q={}{window}", spec.name, spec.requests)
}

/// Who sent a request, as limits see it.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The route.
    pub route: &'a str,
    /// The tenant of the token; without one, of the route.
    pub tenant: &'a str,
    /// Who the token says it is.
    pub known: Option<Known<'a>>,
    /// The thumbprint of the certificate that the token is bound to.
    pub certificate: Option<[u8; 32]>,
    /// Where the connection came from.
    pub address: IpAddr,
}

/// What a token says.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The client.
    pub client: &'a str,
    /// Who made the token.
    pub issuer: &'a str,
    /// Whom it speaks of, in the issuer's own words.
    pub subject: &'a str,
}

/// The answer of the limiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Let through.
    Admitted {
        /// What is left of each limit, in the order of the route.
        quotas: Vec<Quota>,
        /// How long it waits before it is passed on.
        delay: Duration,
    },
    /// Not now. Nothing was charged.
    Exceeded {
        /// What is left of each limit.
        quotas: Vec<Quota>,
        /// Seconds after which every limit would let one request through.
        retry_after_seconds: u64,
    },
    /// There is no room for another caller of this kind.
    Full,
}

/// The limiter of a process.
#[derive(Default)]
pub struct Limiter {
    names: Names,
    known: Table,
    strangers: Table,
}

/// Where a state is kept: in which table, and in which shard of it. Locks are taken in this order.
type Position = (Side, usize);

/// The tables of a limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// What only a token, or configuration, can name.
    Known,
    /// What anybody can make up: networks.
    Strangers,
}

impl Side {
    /// One side for all callers whom the limit counts together.
    fn of(limit: &Limit, caller: &Caller<'_>) -> Self {
        let by_identity = limit.by.iter().any(|dimension| dimension.is_identity());
        if by_identity {
            return match caller.known {
                Some(_) => Self::Known,
                None => Self::Strangers,
            };
        }
        if limit.by.contains(&Dimension::Network) {
            Self::Strangers
        } else {
            Self::Known
        }
    }
}

/// One limit's part in one request.
struct Part<'l> {
    limit: &'l Limit,
    name: Name,
    position: Position,
    place: Place,
    state: u128,
}

impl Limiter {
    /// Takes one request from every limit, or from none.
    pub fn take(&self, limits: &RouteLimits, caller: &Caller<'_>, now: Moment) -> Verdict {
        let mut parts: Vec<Part<'_>> = limits
            .limits
            .iter()
            .map(|limit| self.part(limit, caller))
            .collect();
        let Some(mut locked) = Locked::of(self, &parts) else {
            return Verdict::Full;
        };
        for part in &mut parts {
            let found = locked
                .shard(part.position)
                .and_then(|shard| shard.find(part.name, now));
            let Some((place, state)) = found else {
                return Verdict::Full;
            };
            (part.place, part.state) = (place, state);
        }
        decide(&parts, &mut locked, now)
    }

    fn part<'l>(&self, limit: &'l Limit, caller: &Caller<'_>) -> Part<'l> {
        let key = Key { limit, caller };
        let side = Side::of(limit, caller);
        let name = match side {
            Side::Known => self.names.of(limit.tag, &key, &caller.tenant),
            Side::Strangers => self
                .names
                .of(limit.tag, &key, &wide_network(caller.address)),
        };
        Part {
            limit,
            name,
            position: (side, Table::position(name)),
            place: Place::Own(name),
            state: 0,
        }
    }

    const fn table(&self, side: Side) -> &Table {
        match side {
            Side::Known => &self.known,
            Side::Strangers => &self.strangers,
        }
    }
}

/// All or nothing: every limit is asked before the first is charged, under the locks of all.
fn decide(parts: &[Part<'_>], locked: &mut Locked<'_>, now: Moment) -> Verdict {
    let (mut delay_nanos, mut retry_nanos) = (0, 0);
    let mut states = Vec::with_capacity(parts.len());
    for part in parts {
        match part.limit.rule.take(part.state, now) {
            Ok(taken) => {
                delay_nanos = delay_nanos.max(taken.delay_nanos);
                states.push(taken.state);
            }
            Err(refused) => retry_nanos = retry_nanos.max(refused.retry_nanos),
        }
    }
    if states.len() < parts.len() {
        return Verdict::Exceeded {
            quotas: parts
                .iter()
                .map(|part| part.limit.rule.quota(part.state, now))
                .collect(),
            retry_after_seconds: seconds_up(retry_nanos),
        };
    }
    let mut quotas = Vec::with_capacity(parts.len());
    for (part, state) in parts.iter().zip(states) {
        if let Some(shard) = locked.shard(part.position) {
            shard.keep(part.place, state, &part.limit.rule, now);
        }
        quotas.push(part.limit.rule.quota(state, now));
    }
    Verdict::Admitted {
        quotas,
        delay: Duration::from_nanos(delay_nanos),
    }
}

/// The shards of one request, each locked once, in the order of their positions: two requests never wait for each other in a circle.
struct Locked<'t>(Vec<(Position, MutexGuard<'t, Shard>)>);

impl<'t> Locked<'t> {
    fn of(limiter: &'t Limiter, parts: &[Part<'_>]) -> Option<Self> {
        let mut positions: Vec<Position> = parts.iter().map(|part| part.position).collect();
        positions.sort_unstable();
        positions.dedup();
        let locked = positions
            .into_iter()
            .map(|(side, shard)| Some(((side, shard), limiter.table(side).lock(shard)?)));
        Some(Self(locked.collect::<Option<Vec<_>>>()?))
    }

    fn shard(&mut self, position: Position) -> Option<&mut Shard> {
        let mut shards = self.0.iter_mut();
        shards
            .find(|(locked, _)| *locked == position)
            .map(|(_, shard)| &mut **shard)
    }
}

/// What tells one caller from another at one limit.
struct Key<'a> {
    limit: &'a Limit,
    caller: &'a Caller<'a>,
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let caller = self.caller;
        for dimension in &self.limit.by {
            dimension.hash(hasher);
            match (dimension, caller.known) {
                (Dimension::Certificate, Some(known)) => {
                    (caller.certificate, caller.tenant).hash(hasher);
                    if caller.certificate.is_none() {
                        known.client.hash(hasher);
                    }
                }
                (Dimension::Client, Some(known)) => (caller.tenant, known.client).hash(hasher),
                (Dimension::Subject, Some(known)) => {
                    (caller.tenant, known.issuer, known.subject).hash(hasher);
                }
                (Dimension::Network, _) => network(caller.address).hash(hasher),
                (Dimension::Route, _) => caller.route.hash(hasher),
                (Dimension::Tenant, _) => caller.tenant.hash(hasher),
                // Nobody in particular, of this tenant: one tenant's strangers use up no other's count.
                (Dimension::Certificate | Dimension::Client | Dimension::Subject, None) => {
                    caller.tenant.hash(hasher);
                }
            }
        }
        let by_network = caller.known.is_none()
            && self.limit.strangers == Strangers::ByNetwork
            && self
                .limit
                .by
                .iter()
                .any(|dimension| dimension.is_identity());
        if by_network {
            network(caller.address).hash(hasher);
        }
    }
}

fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address) & !u128::from(u64::MAX),
    }
}

/// What one stranger may command at little cost: 16 bits of IPv4, 32 of IPv6.
fn wide_network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(u32::from(address) >> 16),
        IpAddr::V6(address) => (1 << 64) | (u128::from(address) >> 96),
    }
}

#[cfg(test)]
mod tests;
