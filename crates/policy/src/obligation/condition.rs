//! Conditions that a caller can come back with: another sign-in (`@step_up`, `@challenge("passkey")`), and work that a program has to do (`@challenge("proof-of-work")`).
//!
//! On a permit they have to be met; on a forbid they say what would lift it. Who demands them of whom is the enforcer's: one that cannot, denies.

use crate::query::{Query, Value};
use crate::schema::Members;
use countersign_authn::{Acr, AuthenticationDemand};

/// How much work is demanded: how many bits of a SHA-256 digest are zero, which takes two to the power of that many attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkBits(u8);

impl WorkBits {
    /// The least that is of use: a thousand attempts.
    pub const MIN: Self = Self(10);
    /// The most that a telephone does while somebody waits: four million attempts.
    pub const MAX: Self = Self(22);
    /// What is demanded unless the policy says otherwise: a quarter of a million attempts, a second or less in a browser.
    pub const USUAL: Self = Self(18);

    /// So many bits, if so many may be demanded.
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if Self::MIN.0 <= bits && bits <= Self::MAX.0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// What a policy demands of its caller beside what its clauses say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) sign_in: AuthenticationDemand,
    pub(crate) work: Option<WorkBits>,
}

impl Condition {
    pub(crate) const NONE: Self = Self {
        sign_in: AuthenticationDemand::NONE,
        work: None,
    };

    /// What meets both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            sign_in: both(self.sign_in, other.sign_in),
            work: self.work.max(other.work),
        }
    }

    /// What a policy needs to find in the context of an action that it is about; in words, if the schema does not declare it.
    pub(crate) fn unfit(self, context: &Members) -> Option<&'static str> {
        let has = |names: &[&str]| names.iter().all(|name| context.has(name));
        if self.sign_in.acr.is_some() && !has(&["acr"]) && !has(&["level"]) {
            return Some("`@step_up` with `acr` needs `acr` or `level` in the context");
        }
        if self.sign_in.max_age.is_some() && !has(&["auth_time", "time"]) && !has(&["age"]) {
            return Some("`@step_up` with `max_age` needs `auth_time` and `time`, or `age`");
        }
        if self.work.is_some() && !has(&["proof_of_work"]) {
            return Some("`@challenge` needs `proof_of_work` in the context");
        }
        None
    }

    /// Whether a question meets it. What the context does not say is not met; what it says twice has to be met twice.
    pub(crate) fn is_met(self, query: &Query) -> bool {
        is_signed_in(self.sign_in, query) && self.work.is_none_or(|bits| is_shown(bits, query))
    }

    /// What of it a question does not meet. A sign-in comes first: work is of use only to who gets in with it.
    pub(crate) fn missing(self, query: &Query) -> Missing {
        let signed_in = is_signed_in(self.sign_in, query);
        match self.work {
            Some(bits) if signed_in && !is_shown(bits, query) => Missing::Work(bits),
            Some(_) | None => Missing::SignIn(self.sign_in),
        }
    }

    /// The same question of somebody who signed in now as well as is demanded, and showed the work.
    pub(crate) fn supposed(self, query: &Query, context: &Members) -> Query {
        let mut supposed = query.clone();
        let mut say = |name: &str, value: Value| {
            if context.has(name) {
                supposed.context.insert(name.to_owned(), value);
            }
        };
        if let Some(acr) = self.sign_in.acr {
            say("acr", acr.as_str().into());
            say("level", acr.level().into());
        }
        if self.sign_in.max_age.is_some() {
            say("age", 0.into());
            if let Some(now) = query.context.get("time") {
                say("auth_time", now.clone());
            }
        }
        if let Some(bits) = self.work {
            say("proof_of_work", i64::from(bits.get()).into());
        }
        supposed
    }
}

/// What a question lacks.
pub(crate) enum Missing {
    SignIn(AuthenticationDemand),
    Work(WorkBits),
}

/// The demand that meets both.
fn both(one: AuthenticationDemand, other: AuthenticationDemand) -> AuthenticationDemand {
    let ages = [one.max_age, other.max_age];
    AuthenticationDemand {
        acr: one.acr.max(other.acr),
        max_age: ages.into_iter().flatten().min(),
    }
}

/// `@step_up`.
pub(super) fn step_up(text: &str) -> Result<AuthenticationDemand, String> {
    let mut demand = AuthenticationDemand::NONE;
    for word in text.split_whitespace() {
        let known = match word.split_once('=') {
            Some(("acr", class)) if demand.acr.is_none() => {
                demand.acr = Some(class.parse::<Acr>().map_err(|_| {
                    let classes = Acr::ALL.map(Acr::as_str).join("`, `");
                    format!("there is no class `{class}`: there are `{classes}`")
                })?);
                true
            }
            Some(("max_age", seconds)) if demand.max_age.is_none() => {
                demand.max_age = seconds.parse().ok();
                demand.max_age.is_some()
            }
            Some(_) | None => false,
        };
        if !known {
            return Err("expected `acr=CLASS`, `max_age=SECONDS` or both".to_owned());
        }
    }
    if demand.is_none() {
        return Err("expected `acr=CLASS`, `max_age=SECONDS` or both".to_owned());
    }
    Ok(demand)
}

/// `@challenge`. A passkey is a sign-in of the class that only passkeys reach.
pub(super) fn challenge(text: &str) -> Result<Condition, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let work = |bits| Condition {
        work: Some(bits),
        ..Condition::NONE
    };
    let (least, most) = (WorkBits::MIN.get(), WorkBits::MAX.get());
    match words.as_slice() {
        ["passkey"] => Ok(Condition {
            sign_in: AuthenticationDemand {
                acr: Some(Acr::PhishingResistant),
                max_age: None,
            },
            work: None,
        }),
        ["proof-of-work"] => Ok(work(WorkBits::USUAL)),
        ["proof-of-work", bits] => {
            let bits = bits
                .strip_prefix("bits=")
                .and_then(|bits| bits.parse().ok());
            let bits = bits.and_then(WorkBits::new);
            bits.map(work)
                .ok_or_else(|| format!("expected `bits=` with a number from {least} to {most}"))
        }
        _ => Err("expected `proof-of-work`, `proof-of-work bits=NUMBER` or `passkey`".to_owned()),
    }
}

fn is_signed_in(demand: AuthenticationDemand, query: &Query) -> bool {
    strong_enough(demand.acr, query) && fresh_enough(demand.max_age, query)
}

fn strong_enough(wanted: Option<Acr>, query: &Query) -> bool {
    let Some(wanted) = wanted else {
        return true;
    };
    let by_class = query.context.get("acr").map(|acr| match acr {
        Value::String(class) => class.parse::<Acr>().is_ok_and(|class| class >= wanted),
        _ => false,
    });
    let by_level = query.context.get("level").map(|level| match level {
        Value::Long(level) => *level >= wanted.level(),
        _ => false,
    });
    said([by_class, by_level])
}

fn fresh_enough(wanted: Option<u32>, query: &Query) -> bool {
    let Some(wanted) = wanted else {
        return true;
    };
    let number = |name: &str| match query.context.get(name) {
        Some(Value::Long(number)) => Some(*number),
        _ => None,
    };
    let fits = |age: i64| age <= i64::from(wanted);
    let by_age = number("age").map(fits);
    // A sign-in that lies ahead is of a clock that runs fast, and no older for it.
    let by_time = number("auth_time").zip(number("time"));
    let by_time = by_time.map(|(then, now)| fits(now.saturating_sub(then)));
    said([by_age, by_time])
}

/// Something is said, and nothing of it speaks against it.
fn said(words: [Option<bool>; 2]) -> bool {
    words.iter().any(Option::is_some) && words.into_iter().flatten().all(|word| word)
}

fn is_shown(bits: WorkBits, query: &Query) -> bool {
    match query.context.get("proof_of_work") {
        Some(Value::Long(shown)) => *shown >= i64::from(bits.get()),
        Some(_) | None => false,
    }
}
