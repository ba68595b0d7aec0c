//! Vault tokens: made, looked up, used, renewed ([`renew`], [`crate::renewal`]) and revoked. A token is kept under a keyed hash; what is shown once is nowhere stored.
//!
//! A token is `hvs.` and 256 random bits. Its entry is `token/id/HASH`; its accessor, which names it without being able to use it, leads there from
//! `token/accessor/ACCESSOR`. Tokens form a tree (`token/child/PARENT/CHILD`): what a token made ends with it, as do the leases it was given
//! (`token/leases/TOKEN/LEASE`). Marking an entry as ended is the one commit by which it and all below it can no longer be used ([`row::standing`]); what it had is taken
//! down afterwards, a bounded part at a time ([`end`]).
//!
//! The mount `auth/token/` is served by [`run`]. Batch tokens (`hvb.`), which no entry knows of and which therefore cannot be revoked, are not made.

mod create;
pub(crate) mod end;
mod handle;
pub(crate) mod policies;
pub(crate) mod renew;
mod role;
pub(crate) mod row;
pub mod span;

use crate::VaultError;
use crate::answer::{Auth, Outcome};
use crate::call::{Call, Cx, Operation};
use crate::entry::{EntryName, Listing};
use crate::work::{Stop, Work};
use countersign_base::{AddressBlock, Duration, Secret, UnixTime, hex};
use countersign_crypto::base64url;
use countersign_crypto::x509::CertificateThumbprint;
pub use row::MadeBy;
use row::{DEPTH_MAX, Ending, Life, Row};
use serde::{Deserialize, Serialize};
use span::{Limits, Span, SpanAsked};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// What every token begins with.
const PREFIX: &str = "hvs.";
/// Characters that follow: 256 bits in base64url.
const RANDOM_CHARS: usize = 43;
/// How long what a token had stays after its last use was taken: the call that took it is still under way.
const LAST_USE_SECONDS: u64 = 10;
/// Members of `meta`.
const METADATA_MAX: usize = 64;
/// Bytes of `meta`, names and values.
const METADATA_BYTES_MAX: usize = 16 * 1024;

/// The keyed hash of a token, in hexadecimal: what entries name it by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub String);

struct Hex<'b>(&'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, self.0)
    }
}

impl TokenId {
    /// What a token that was shown is kept under; none when it has not the form of one. The tenant is hashed with it, so that no token means anything elsewhere.
    #[must_use]
    pub fn of(shown: &Secret<String>, cx: &Cx<'_>) -> Option<Self> {
        Self::in_domain("vault token", shown, cx)
    }

    /// The same of a token of another kind.
    pub(crate) fn in_domain(
        domain: &'static str,
        shown: &Secret<String>,
        cx: &Cx<'_>,
    ) -> Option<Self> {
        let random = shown.expose().strip_prefix(PREFIX)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if random.len() != RANDOM_CHARS || !random.bytes().all(plain) {
            return None;
        }
        let parts = [cx.tenant.as_str().as_bytes(), shown.expose().as_bytes()];
        let tag = cx.mac.tag(domain, &parts);
        Some(Self(Hex(tag.as_bytes()).to_string()))
    }

    /// A new token, to be shown once.
    pub(crate) fn draw(cx: &Cx<'_>) -> Secret<String> {
        Secret::new(format!("{PREFIX}{}", cx.random.token().expose()))
    }
}

/// A token whose use was taken: what a call knows of its caller.
#[derive(Debug, Clone)]
pub struct Held {
    /// Its name.
    pub id: TokenId,
    /// Its accessor.
    pub accessor: String,
    /// Its policies.
    pub policies: BTreeSet<String>,
    /// `display_name`.
    pub display_name: String,
    /// `entity_id`; empty when it has none.
    pub entity: String,
    /// `meta`.
    pub metadata: BTreeMap<String, String>,
    /// When it ends, if it does.
    pub expires: Option<UnixTime>,
    /// From where it may be used; empty is from anywhere.
    pub bound_cidrs: BTreeSet<AddressBlock>,
}

impl Held {
    /// Whether it is a root token.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.policies.contains("root")
    }

    /// Whether it may be used from there. Where nobody knows where a call comes from, a token that is bound to addresses may not.
    #[must_use]
    pub fn admits(&self, from: Option<IpAddr>) -> bool {
        self.bound_cidrs.is_empty()
            || from.is_some_and(|from| self.bound_cidrs.iter().any(|block| block.contains(from)))
    }
}

/// A token that is about to be made.
#[derive(Debug, Clone, Default)]
pub struct NewToken {
    /// Whose child it is; without one it is an orphan.
    pub parent: Option<TokenId>,
    /// Its policies; `default` is added unless [`NewToken::no_default_policy`]. Names are taken in lower case, and `root` only where a root token makes it.
    pub policies: BTreeSet<String>,
    /// Whether `default` is left out.
    pub no_default_policy: bool,
    /// `display_name`.
    pub display_name: String,
    /// `entity_id`.
    pub entity: String,
    /// `meta`.
    pub metadata: BTreeMap<String, String>,
    /// The path that makes it: `auth/approle/login`. Its mount says the default and the longest time to live.
    pub path: String,
    /// The token role it was made by.
    pub role: Option<String>,
    /// How long it lives; none is the mount's default.
    pub ttl: Option<Duration>,
    /// The longest that renewing may stretch it.
    pub max_ttl: Option<Duration>,
    /// The longest that anything may stretch it.
    pub explicit_max_ttl: Option<Duration>,
    /// A token that lives on as long as it is renewed within this span.
    pub period: Option<Duration>,
    /// How often it may be used; 0 is without a limit.
    pub uses: u32,
    /// Whether it cannot be renewed.
    pub not_renewable: bool,
    /// The sign-in that makes it, if one does.
    pub made_by: Option<MadeBy>,
    /// The certificate it was made with: it is renewed over the same one alone (CVE-2026-39388).
    pub certificate: Option<CertificateThumbprint>,
    /// From where it may be used; empty is from anywhere.
    pub bound_cidrs: BTreeSet<AddressBlock>,
}

/// Finds a token that was shown and takes one of its uses.
///
/// `None` when nobody knows it, or it or a token above it has ended.
///
/// # Errors
/// As [`Work::read`].
pub fn take_use(
    shown: &Secret<String>,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Option<Held>, Stop> {
    let Some(id) = TokenId::of(shown, cx) else {
        return Ok(None);
    };
    let Some(mut row) = row::standing(&id, work, cx)? else {
        return Ok(None);
    };
    if let Some(left) = row.uses_left {
        let Some(left) = left.checked_sub(1) else {
            return Ok(None);
        };
        row.uses_left = Some(left);
        if left == 0 {
            let at = cx.now.plus(Duration::from_secs(LAST_USE_SECONDS));
            row.end(Ending::Tree, at);
        }
        row.write(&id, work)?;
    }
    Ok(Some(row.held(id)))
}

/// Makes a token. With a policy `root` it is made only below a root token.
///
/// # Errors
/// When it asks for what no token may be, or the token above it has ended.
pub fn issue(new: NewToken, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Auth, Stop> {
    let span = span_of(&new, work, cx)?;
    let below_root = match &new.parent {
        None => false,
        Some(parent) => row::standing(parent, work, cx)?.is_some_and(|row| row.is_root()),
    };
    if !below_root && policies::all(&new.policies)?.contains("root") {
        return Err(VaultError::invalid(
            "root tokens may not be created without parent token being root",
        )
        .into());
    }
    make(new, Life::Span(span), work, cx)
}

/// How long a first root token lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootLife {
    /// Until it is revoked: what initialising and a quorum of operators give.
    Endless,
    /// For a time.
    Lasts(Duration),
}

/// Makes a root token that no other made: at the first start, or for a quorum of operators. It is shown once.
///
/// # Errors
/// As [`Work::read`].
pub fn first_root(life: RootLife, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Auth, Stop> {
    let new = NewToken {
        policies: BTreeSet::from(["root".to_owned()]),
        display_name: "root".to_owned(),
        path: "auth/token/root".to_owned(),
        not_renewable: true,
        ttl: match life {
            RootLife::Endless => None,
            RootLife::Lasts(ttl) => Some(ttl),
        },
        ..NewToken::default()
    };
    let life = match life {
        RootLife::Endless => Life::Endless(cx.now),
        RootLife::Lasts(_) => Life::Span(span_of(&new, work, cx)?),
    };
    make(new, life, work, cx)
}

/// Characters of every token: what a one-time pad for one has to have.
pub const TOKEN_CHARS: usize = PREFIX.len() + RANDOM_CHARS;

/// Root tokens that one step looks for.
const ROOTS_PAGE: u32 = 200;

/// A page of tokens, of which the root tokens but `kept` were ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootsEnded {
    /// How many.
    pub ended: u64,
    /// Where to go on; nothing when there are no more.
    pub after: Option<EntryName>,
}

/// Ends root tokens but one, a page at a time: for operators who made that one because they believe in none of the others.
///
/// # Errors
/// As [`Work::read`].
pub fn end_other_roots(
    kept: &Secret<String>,
    after: Option<EntryName>,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<RootsEnded, Stop> {
    let prefix = "token/id/";
    let names = work.names(&Listing {
        prefix: prefix.to_owned(),
        after,
        limit: ROOTS_PAGE,
    })?;
    work.expect(names)?;
    let (kept, mut ended) = (TokenId::of(kept, cx), 0);
    for name in names {
        let id = name.as_str().strip_prefix(prefix).map(str::to_owned);
        let Some(id) = id.map(TokenId).filter(|id| Some(id) != kept.as_ref()) else {
            continue;
        };
        if let Some(row) = Row::read(&id, work, cx)?
            && row.is_root()
            && row.lives(cx.now)
        {
            row::end(&id, row, Ending::Tree, work, cx)?;
            ended += 1;
        }
    }
    let full = names.len() >= usize::try_from(ROOTS_PAGE).unwrap_or(usize::MAX);
    Ok(RootsEnded {
        ended,
        after: names.last().filter(|_| full).cloned(),
    })
}

fn span_of(new: &NewToken, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Span, Stop> {
    let limits = Limits::at(&new.path, work)?;
    let asked = SpanAsked {
        ttl: new.ttl,
        max_ttl: new.max_ttl,
        explicit_max_ttl: new.explicit_max_ttl,
        period: new.period,
    };
    Ok(Span::begin(&asked, limits, cx.now))
}

/// The policies that a token has once it is made.
///
/// # Errors
/// When one is no name of a policy.
pub(crate) fn granted(new: &NewToken) -> Result<BTreeSet<String>, VaultError> {
    let mut policies = policies::all(&new.policies)?;
    if !new.no_default_policy && !policies.contains("root") {
        policies.insert("default".to_owned());
    }
    Ok(policies)
}

/// Writes the entries of a token about which it was decided that it may be made.
fn make(new: NewToken, life: Life, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Auth, Stop> {
    let policies = granted(&new)?;
    let bytes = |(name, value): (&String, &String)| name.len() + value.len();
    if new.metadata.len() > METADATA_MAX
        || new.metadata.iter().map(bytes).sum::<usize>() > METADATA_BYTES_MAX
    {
        return Err(VaultError::invalid("`meta` holds too much").into());
    }
    let depth = match &new.parent {
        None => 0,
        Some(parent) => {
            // Reading the entry of the token above makes this commit fail if that one ends meanwhile: no child is made that nobody takes down.
            let parent = row::standing(parent, work, cx)?.ok_or(VaultError::Denied)?;
            parent.depth.saturating_add(1)
        }
    };
    if depth > DEPTH_MAX {
        return Err(
            VaultError::invalid("too many tokens stand above one another; make an orphan").into(),
        );
    }
    let shown = TokenId::draw(cx);
    let id = TokenId::of(&shown, cx).ok_or(VaultError::Corrupt)?;
    let row = Row {
        tenant: cx.tenant.clone(),
        accessor: base64url::encode(&cx.random.bytes::<18>()),
        parent: new.parent,
        depth,
        policies,
        display_name: new.display_name,
        entity: new.entity,
        metadata: new.metadata,
        path: new.path,
        role: new.role,
        life,
        uses_left: (new.uses > 0).then_some(new.uses),
        renewable: !new.not_renewable,
        made_by: new.made_by,
        certificate: new.certificate,
        bound_cidrs: new.bound_cidrs,
        ended: None,
    };
    row.write(&id, work)?;
    work.put(&Row::accessor_name(&row.accessor), &id)?;
    if let Some(parent) = &row.parent {
        work.put(&Row::child_name(parent, &id), &())?;
    }
    Ok(auth(&row, shown, cx))
}

/// A token as the API gives it.
fn auth(row: &Row, client_token: Secret<String>, cx: &Cx<'_>) -> Auth {
    Auth {
        client_token,
        accessor: row.accessor.clone(),
        policies: row.policies.iter().cloned().collect(),
        metadata: row.metadata.clone(),
        lasts: row.left(cx.now),
        renewable: row.renewable,
        entity_id: row.entity.clone(),
        orphan: row.parent.is_none(),
        uses: row.uses_left.unwrap_or(0),
    }
}

/// The policies of the token that a body names, by its `token` or, where the path ends in `-accessor`, its `accessor`. `None` when nobody knows it, or it or a token
/// above it has ended.
///
/// # Errors
/// As [`Work::read`], and when the body names none.
pub(crate) fn policies_of(
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Option<BTreeSet<String>>, Stop> {
    handle::policies(call, work, cx)
}

/// What `auth/token/` does.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let writes = call.operation.writes();
    let answer = match *call.segments().as_slice() {
        ["accessors"] if call.operation == Operation::List => handle::accessors(call, work)?,
        ["create" | "create-orphan"] | ["create", _] if writes => create::run(call, work, cx)?,
        ["lookup-self"] if writes || call.operation == Operation::Read => {
            handle::lookup_self(call, work, cx)?
        }
        ["lookup" | "lookup-accessor"] if writes => handle::lookup(call, work, cx)?,
        ["revoke" | "revoke-accessor" | "revoke-orphan" | "revoke-self"] if writes => {
            handle::revoke(call, work, cx)?
        }
        ["roles"] | ["roles", _] => role::run(call, work)?,
        _ => return Err(VaultError::Unsupported.into()),
    };
    Ok(answer.into())
}

/// Whether what a `POST` would write is there already.
///
/// # Errors
/// As [`Work::read`].
pub fn exists(call: &Call, work: &mut Work<'_>) -> Result<bool, Stop> {
    role::exists(call, work)
}

#[cfg(test)]
pub(crate) mod tests;
