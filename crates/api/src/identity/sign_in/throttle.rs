//! How often somebody may guess (A56, A62, V6.3). Three counters stand before each guess: that of the source, that of the guarded thing from this network, and
//! that of the guarded thing from anywhere.
//!
//! Whoever floods a name from elsewhere does not lock out its owner: a browser that they signed in with before has a counter of its own, and passkeys have none.
//! For codes that is one in which they proved a second factor: whoever guesses codes has the password, and with it as many known browsers as they like.
//! From a new browser the owner waits, too, once many guesses failed from anywhere.

use super::super::Identity;
use super::super::answer::Failure;
use super::super::call::{Call, subscriber};
use super::super::{cookies, record};
use super::{attempt, known, proven_browser};
use countersign_audit::event::SignInOutcome;
use countersign_base::{ClientId, UserId};
use countersign_oauth::AuthenticationMethod;
use countersign_oauth::throttle::{Attempt, SignInThrottle, TooManyAttempts};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is guessed.
#[derive(Clone, Copy)]
pub(super) enum Guarded<'a> {
    /// A password, by the name that was typed.
    Password(&'a str),
    /// A code, of an app or for recovery alike, of somebody whose first factor was right.
    SecondFactor(UserId),
}

impl Guarded<'_> {
    const fn method(self) -> AuthenticationMethod {
        match self {
            Self::Password(_) => AuthenticationMethod::Password,
            Self::SecondFactor(_) => AuthenticationMethod::Totp,
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Password(_) => "username",
            Self::SecondFactor(_) => "second factor",
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Password(name) => name.to_lowercase().into_bytes(),
            Self::SecondFactor(user) => user.as_bytes().to_vec(),
        }
    }
}

/// One guess that may be judged, counted everywhere already.
#[must_use]
pub(in super::super) struct Guess {
    by_name: Vec<Attempt>,
    by_source: Attempt,
    failures: u32,
}

impl Guess {
    /// The failures that went before it, from anywhere.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// It was right. The source's counter goes back by this one alone: others share it.
    pub(super) fn succeeded(self, identity: &Identity) {
        let mut by_name = lock(&identity.by_username);
        for attempt in self.by_name {
            by_name.succeeded(attempt);
        }
        lock(&identity.by_source).abandoned(self.by_source);
    }

    /// It was never judged.
    pub(super) fn abandoned(self, identity: &Identity) {
        let mut by_name = lock(&identity.by_username);
        for attempt in self.by_name {
            by_name.abandoned(attempt);
        }
        lock(&identity.by_source).abandoned(self.by_source);
    }
}

/// Counts a guess before it is judged.
pub(super) async fn begin(
    identity: &Identity,
    call: &Call,
    guarded: Guarded<'_>,
    user: Option<UserId>,
    client: Option<&ClientId>,
) -> Result<Guess, Failure> {
    let wait = match counted(identity, call, guarded) {
        Ok(guess) => return Ok(guess),
        Err(Blocked::Source(wait)) => wait,
        Err(Blocked::Name(wait)) => {
            match from_known_browser(identity, call, guarded, user).await? {
                Some(Ok(guess)) => return Ok(guess),
                Some(Err(wait)) => wait,
                None => wait,
            }
        }
    };
    let event = attempt(
        client,
        guarded.method(),
        SignInOutcome::Throttled,
        Some("too_many_attempts"),
        user,
    );
    record::refused(identity, call, event)?;
    Err(Failure::Throttled(wait.after))
}

/// They proved who they are after all, by more than a password: what failed before is forgotten, here and anywhere.
pub(super) fn forgive(identity: &Identity, call: &Call, username: &str) {
    let guarded = Guarded::Password(username);
    let network = network(call.source()).to_string();
    let (here, anywhere) = (network.as_bytes(), &b""[..]);
    for place in [here, anywhere] {
        lock(&identity.by_username).forgive(&key(identity, call, guarded, place));
    }
}

/// Failures of this person's password that are not forgotten: a signal for policies about sessions that go on.
pub(super) fn failures(identity: &Identity, call: &Call, username: &str) -> u32 {
    let guarded = Guarded::Password(username);
    let key = key(identity, call, guarded, b"");
    lock(&identity.by_username).failures(&key, identity.fabric.now())
}

enum Blocked {
    Name(TooManyAttempts),
    Source(TooManyAttempts),
}

fn counted(identity: &Identity, call: &Call, guarded: Guarded<'_>) -> Result<Guess, Blocked> {
    let now = identity.fabric.now();
    let network = network(call.source());
    let from_here = key(identity, call, guarded, network.to_string().as_bytes());
    let from_anywhere = key(identity, call, guarded, b"");
    let by_source = source(identity, call).map_err(Blocked::Source)?;
    let mut throttle = lock(&identity.by_username);
    let failures = throttle.failures(&from_anywhere, now);
    let here = throttle.begin(&from_here, now);
    let begun = here.and_then(|here| match throttle.begin_of_many(&from_anywhere, now) {
        Ok(anywhere) => Ok(vec![here, anywhere]),
        Err(wait) => {
            throttle.abandoned(here);
            Err(wait)
        }
    });
    match begun {
        Ok(by_name) => Ok(Guess {
            by_name,
            by_source,
            failures,
        }),
        Err(wait) => {
            drop(throttle);
            lock(&identity.by_source).abandoned(by_source);
            Err(Blocked::Name(wait))
        }
    }
}

/// A browser that its owner signed in with before has a counter of its own, for codes if they proved a second factor in it.
async fn from_known_browser(
    identity: &Identity,
    call: &Call,
    guarded: Guarded<'_>,
    user: Option<UserId>,
) -> Result<Option<Result<Guess, TooManyAttempts>>, Failure> {
    let Some(user) = user else {
        return Ok(None);
    };
    let browser = match guarded {
        Guarded::Password(_) => {
            known(identity, call, user, cookies::browser_tag(identity, call)).await?
        }
        Guarded::SecondFactor(_) => proven_browser(identity, call, user).await?,
    };
    let Some(browser) = browser else {
        return Ok(None);
    };
    let now = identity.fabric.now();
    let own = key(identity, call, guarded, browser.as_bytes());
    let anywhere = key(identity, call, guarded, b"");
    let begun = source(identity, call).and_then(|by_source| {
        let mut throttle = lock(&identity.by_username);
        let failures = throttle.failures(&anywhere, now);
        match throttle.begin(&own, now) {
            Ok(attempt) => Ok(Guess {
                by_name: vec![attempt],
                by_source,
                failures,
            }),
            Err(wait) => {
                drop(throttle);
                lock(&identity.by_source).abandoned(by_source);
                Err(wait)
            }
        }
    });
    Ok(Some(begun))
}

fn source(identity: &Identity, call: &Call) -> Result<Attempt, TooManyAttempts> {
    let secrets = identity.fabric.secrets();
    let key = secrets.tenant_mac_key(&call.tenant.name, "sign-in-throttle");
    let source = subscriber(call.source()).to_string();
    let tag = key.tag("source", &[source.as_bytes()]);
    lock(&identity.by_source).begin_of_many(tag.as_bytes(), identity.fabric.now())
}

fn key(identity: &Identity, call: &Call, guarded: Guarded<'_>, place: &[u8]) -> [u8; 32] {
    let secrets = identity.fabric.secrets();
    let key = secrets.tenant_mac_key(&call.tenant.name, "sign-in-throttle");
    *key.tag(guarded.kind(), &[&guarded.bytes(), place])
        .as_bytes()
}

/// The network of an address: what one attacker usually has whole. 24 bits of IPv4, 56 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits() & !((1 << 72) - 1);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    }
}

fn lock(throttle: &Mutex<SignInThrottle>) -> MutexGuard<'_, SignInThrottle> {
    throttle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_24_bits_or_56() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.77"), "192.0.2.0");
        assert_eq!(of("2001:db8:1:2ff:3::4"), "2001:db8:1:200::");
    }
}
