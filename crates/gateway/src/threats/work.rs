//! A proof of work, where a policy asks for one (`@challenge("proof-of-work")`): a puzzle that costs a program a second and the gateway a digest. It opens the routes that
//! share it to a whole network for fifteen minutes, for any number of requests: it makes coming from many networks dear, and limits still have to count requests.
//!
//! ```text
//! request             -> 403 with a challenge: a page that solves it, or a document (RFC 9457) for programs
//! the same address    -> with the field `Proof-Of-Work: CHALLENGE.NONCE`; answered 204 with a cookie, never passed on
//! request with cookie -> `context.proof_of_work` says how many bits were shown; policy decides
//! ```
//!
//! Nothing is kept here. Challenge and cookie are sealed (HMAC-SHA-256 under a key of the hierarchy, a domain each, so that neither is taken for the other), say until when they count, and are bound to the
//! tenant, to the routes that share the challenge by its name, and to the network that asked: 24 bits of an IPv4 address, 48 of an IPv6 one. Within its five minutes a challenge may be answered again
//! from there, which gains a cookie that was gained before.
//!
//! A puzzle tells no person from a program; it makes programs slow and crowds of them dear. Not here: who is asked, which policies say; and any proof for a request that a proxy holds, which is denied.

pub(crate) mod page;

use countersign_base::UnixTime;
use countersign_crypto::base64url;
use countersign_crypto::digest::sha256;
use countersign_crypto::mac::{MacKey, Tag};
use countersign_crypto::random::Random;
use countersign_oauth::session::WORK_COOKIE;
use countersign_policy::obligation::WorkBits;
use http::header::{self, HeaderMap, HeaderName};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// How an answer comes.
pub const PROOF_OF_WORK: HeaderName = HeaderName::from_static("proof-of-work");

/// Seconds in which a challenge is answered.
pub const CHALLENGE_SECONDS: u32 = 300;
/// Seconds for which an answer counts.
pub const COOKIE_SECONDS: u32 = 900;
/// Digits of what is looked for.
const NONCE_DIGITS_MAX: usize = 20;
/// Bits, end, salt and tag.
const CHALLENGE_BYTES: usize = 1 + 8 + 16 + 32;
/// Bits, end and tag.
const COOKIE_BYTES: usize = 1 + 8 + 32;
const POSED: &str = "gateway proof of work posed";
const SHOWN: &str = "gateway proof of work shown";

/// The routes that take the same proof, by the name that they share: 1 to 32 of `a-z`, `0-9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkSet(String);

impl WorkSet {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 32 of `a-z`, `0-9` and `-`")]
pub struct WorkSetError;

impl FromStr for WorkSet {
    type Err = WorkSetError;

    fn from_str(text: &str) -> Result<Self, WorkSetError> {
        let usual = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(usual) {
            Ok(Self(text.to_owned()))
        } else {
            Err(WorkSetError)
        }
    }
}

/// Why an answer is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkRefusal {
    /// It is none, or the challenge is not ours, for other routes or another network.
    Broken,
    /// It comes too late.
    Expired,
    /// The digest has too few zero bits.
    TooLittle,
}

impl WorkRefusal {
    /// The reason as records name it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Broken => "proof_of_work_broken",
            Self::Expired => "proof_of_work_expired",
            Self::TooLittle => "proof_of_work_too_little",
        }
    }
}

impl fmt::Display for WorkRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A challenge as it is posed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posed {
    pub(crate) challenge: String,
    pub(crate) bits: WorkBits,
    pub(crate) form: Form,
}

/// How a challenge is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// To a program.
    Document,
    /// To a browser that opens a page.
    Page,
}

/// Where challenges of one set of routes are posed to one network.
pub(crate) struct Booth<'a> {
    key: &'a MacKey,
    set: &'a WorkSet,
    network: [u8; 7],
}

impl<'a> Booth<'a> {
    pub(crate) fn new(key: &'a MacKey, set: &'a WorkSet, from: IpAddr) -> Self {
        Self {
            key,
            set,
            network: network(from),
        }
    }

    /// A challenge of this moment.
    pub(crate) fn pose(&self, bits: WorkBits, random: &Random, now: UnixTime) -> String {
        let end = end(now, CHALLENGE_SECONDS);
        let salt: [u8; 16] = random.bytes();
        let tag = self.tag(POSED, bits.get(), end, &salt);
        let parts = [&[bits.get()][..], &end.to_be_bytes(), &salt, tag.as_bytes()];
        base64url::encode(&parts.concat())
    }

    /// How much work a request shows in its field.
    pub(crate) fn answered(
        &self,
        headers: &HeaderMap,
        now: UnixTime,
    ) -> Result<WorkBits, WorkRefusal> {
        let mut values = headers.get_all(&PROOF_OF_WORK).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(WorkRefusal::Broken);
        };
        let value = value.to_str().map_err(|_| WorkRefusal::Broken)?;
        let answer = Answer::parse(value).ok_or(WorkRefusal::Broken)?;
        let tag = self.tag(POSED, answer.bits.get(), answer.end, &answer.salt);
        if tag.verify_same(&answer.tag).is_err() {
            return Err(WorkRefusal::Broken);
        }
        if now.0 >= answer.end {
            return Err(WorkRefusal::Expired);
        }
        if zeros(&sha256(value.as_bytes())) < u32::from(answer.bits.get()) {
            return Err(WorkRefusal::TooLittle);
        }
        Ok(answer.bits)
    }

    /// The cookie for who showed so much.
    pub(crate) fn cookie(&self, bits: WorkBits, now: UnixTime) -> String {
        let end = end(now, COOKIE_SECONDS);
        let tag = self.tag(SHOWN, bits.get(), end, &[]);
        let value = [&[bits.get()][..], &end.to_be_bytes(), tag.as_bytes()].concat();
        let (name, value) = (self.set.as_str(), base64url::encode(&value));
        format!(
            "{WORK_COOKIE}{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={COOKIE_SECONDS}"
        )
    }

    /// How much work the cookie of a request vouches for. One that is not ours, not for this or over is as good as none, and so are two.
    pub(crate) fn shown(&self, headers: &HeaderMap, now: UnixTime) -> Option<WorkBits> {
        let name = format!("{WORK_COOKIE}{}", self.set.as_str());
        let mut values = headers
            .get_all(header::COOKIE)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|cookie| {
                let cookie = cookie.trim_ascii();
                cookie.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
            });
        let value = values.next().filter(|_| values.next().is_none())?;
        let bytes: [u8; COOKIE_BYTES] =
            base64url::decode_array(std::str::from_utf8(value).ok()?).ok()?;
        let (bits, rest) = bytes.split_first()?;
        let (end, tag) = rest.split_first_chunk::<8>()?;
        let (bits, end) = (WorkBits::new(*bits)?, i64::from_be_bytes(*end));
        let tag = Tag::from_bytes(tag.try_into().ok()?);
        let ours = self.tag(SHOWN, bits.get(), end, &[]).verify_same(&tag);
        (ours.is_ok() && now.0 < end).then_some(bits)
    }

    fn tag(&self, domain: &'static str, bits: u8, end: i64, salt: &[u8]) -> Tag {
        let set = self.set.as_str().as_bytes();
        let parts = [set, &self.network, &[bits], &end.to_be_bytes(), salt];
        self.key.tag(domain, &parts)
    }
}

/// An answer as it is written: `CHALLENGE.NONCE`.
pub struct Answer {
    bits: WorkBits,
    end: i64,
    salt: [u8; 16],
    tag: Tag,
}

impl Answer {
    /// Reads one; whether the challenge is ours and the work was done is not said.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (challenge, nonce) = text.split_once('.')?;
        let digits = (1..=NONCE_DIGITS_MAX).contains(&nonce.len());
        if !digits || !nonce.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let bytes: [u8; CHALLENGE_BYTES] = base64url::decode_array(challenge).ok()?;
        let (bits, rest) = bytes.split_first()?;
        let (end, rest) = rest.split_first_chunk::<8>()?;
        let (salt, tag) = rest.split_first_chunk::<16>()?;
        Some(Self {
            bits: WorkBits::new(*bits)?,
            end: i64::from_be_bytes(*end),
            salt: *salt,
            tag: Tag::from_bytes(tag.try_into().ok()?),
        })
    }
}

fn end(now: UnixTime, seconds: u32) -> i64 {
    now.0.saturating_add(i64::from(seconds))
}

/// What of an address a proof is bound to: people move within a network, crowds of programs do not share one.
fn network(from: IpAddr) -> [u8; 7] {
    match from.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            [4, a, b, c, 0, 0, 0]
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, ..] = address.octets();
            [6, a, b, c, d, e, f]
        }
    }
}

/// How many bits at the beginning are zero.
fn zeros(digest: &[u8; 32]) -> u32 {
    let mut count = 0;
    for byte in digest {
        count += byte.leading_zeros();
        if *byte != 0 {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests;
