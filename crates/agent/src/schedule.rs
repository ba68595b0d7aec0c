//! What is due next: a sign-in, its renewal, a reading, a lease's renewal, or nothing until a moment. A machine that is told what came of each step.
//!
//! - Tokens, leases and certificates are renewed at two thirds of their time, up to a tenth of it earlier, so that many agents do not come at once.
//! - What can't be renewed, or is renewed for less than two thirds of its first time, is made anew instead: the vault's maximum is near.
//! - What has no end is read again every `refresh`.
//! - A server that is away is asked again after one second, then twice as long each time, up to a minute; values stay until their end, and no longer.
//! - A refusal is not given up either, but first the token is looked up: if it is gone, a sign-in is due, and what hung on it is read again.

use crate::answer::{Lifetime, Login, Renewable};
use crate::request::Request;
use countersign_base::{Duration, UnixMillis};
use countersign_crypto::Random;
use std::collections::BTreeSet;

/// The first wait after a failure, in milliseconds.
const WAIT_FIRST: i64 = 1_000;
/// The longest.
const WAIT_MAX: i64 = 60_000;

/// One of the requests of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(usize);

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A value's time is over: it is not to be used any more.
    Drop(RequestId),
    /// Ask for it.
    Fetch(RequestId),
    /// Sign in.
    Login,
    /// Ask whether the token still stands.
    LookUp,
    /// Renew this lease.
    Renew(RequestId, String),
    /// Renew the token.
    RenewToken,
    /// Nothing is due before this moment.
    Wait(UnixMillis),
}

/// Why a step failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The server can't be reached, or serves nobody now.
    Away,
    /// It answers, but not with what was asked for.
    Failed,
    /// It says that this is not allowed.
    Refused,
}

/// When something was got, and when it ends.
#[derive(Debug, Clone, Copy)]
struct Held {
    end: Option<i64>,
    /// For how long it was given first.
    first: Option<i64>,
    leased: Leased,
}

/// Whether a value ends with the token that it was got with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leased {
    No,
    Yes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Next {
    Fetch,
    Renew(String),
}

#[derive(Debug)]
struct Tracked {
    request: Request,
    held: Option<Held>,
    next: Next,
    due: i64,
    failures: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenNext {
    Login,
    Renew,
}

#[derive(Debug)]
struct Token {
    end: Option<i64>,
    first: Option<i64>,
    next: TokenNext,
    /// Absent: it has no end.
    due: Option<i64>,
    doubt: Doubt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    No,
    Yes,
}

/// The schedule of one agent.
#[derive(Debug)]
pub struct Schedule {
    refresh: i64,
    token: Option<Token>,
    requests: Vec<Tracked>,
    /// Sign-ins that failed, and when the next may be tried.
    logins: (u32, i64),
    /// Calls in a row that found nobody, and when the next may be tried.
    away: (u32, i64),
}

impl Schedule {
    /// A schedule of these requests, all of them due.
    #[must_use]
    pub fn new(requests: &BTreeSet<Request>, refresh: Duration, now: UnixMillis) -> Self {
        let requests = requests.iter().map(|request| Tracked {
            request: request.clone(),
            held: None,
            next: Next::Fetch,
            due: now.0,
            failures: 0,
        });
        Self {
            refresh: millis(refresh).max(1_000),
            token: None,
            requests: requests.collect(),
            logins: (0, now.0),
            away: (0, now.0),
        }
    }

    /// Its requests.
    pub fn requests(&self) -> impl Iterator<Item = (RequestId, &Request)> {
        let tracked = self.requests.iter().enumerate();
        tracked.map(|(at, tracked)| (RequestId(at), &tracked.request))
    }

    /// What a request asks for.
    #[must_use]
    pub fn request(&self, id: RequestId) -> Option<&Request> {
        self.requests.get(id.0).map(|tracked| &tracked.request)
    }

    /// Whether any value that is held ends with the token.
    #[must_use]
    pub fn holds_leases(&self) -> bool {
        let mut held = self.requests.iter().filter_map(|tracked| tracked.held);
        held.any(|held| held.leased == Leased::Yes)
    }

    /// Whether the value of this request ends with the token.
    #[must_use]
    pub fn is_leased(&self, id: RequestId) -> bool {
        let held = self.requests.get(id.0).and_then(|tracked| tracked.held);
        held.is_some_and(|held| held.leased == Leased::Yes)
    }

    /// Whether every request has a value.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.requests.iter().all(|tracked| tracked.held.is_some())
    }

    /// What is due. A moment to wait for lies ahead of `now`.
    pub fn next(&mut self, now: UnixMillis) -> Step {
        let now = now.0;
        let over = |tracked: &Tracked| ended(tracked.held.and_then(|held| held.end), now);
        if let Some(at) = self.requests.iter().position(over) {
            return Step::Drop(RequestId(at));
        }
        if self
            .token
            .as_ref()
            .is_some_and(|token| ended(token.end, now))
        {
            self.token = None;
        }
        self.forget_other_times(now);
        if self.away.1 > now {
            return self.wait(self.away.1, now);
        }
        let Some(token) = &self.token else {
            return if self.logins.1 <= now {
                Step::Login
            } else {
                self.wait(self.logins.1, now)
            };
        };
        if token.doubt == Doubt::Yes {
            return Step::LookUp;
        }
        if token.due.is_some_and(|due| due <= now) {
            match token.next {
                TokenNext::Renew => return Step::RenewToken,
                TokenNext::Login if self.logins.1 <= now => return Step::Login,
                TokenNext::Login => {}
            }
        }
        let due = self.requests.iter().position(|tracked| tracked.due <= now);
        if let Some((at, tracked)) = due.and_then(|at| Some((at, self.requests.get(at)?))) {
            return match &tracked.next {
                Next::Fetch => Step::Fetch(RequestId(at)),
                Next::Renew(lease) => Step::Renew(RequestId(at), lease.clone()),
            };
        }
        let login = token.due.map(|due| match token.next {
            TokenNext::Renew => due,
            TokenNext::Login => due.max(self.logins.1),
        });
        let dues = self.requests.iter().map(|tracked| tracked.due).min();
        let first = login.into_iter().chain(dues).min();
        self.wait(
            first.unwrap_or_else(|| now.saturating_add(self.refresh)),
            now,
        )
    }

    /// Nobody waits longer than the longest wait: the clock was set back.
    fn forget_other_times(&mut self, now: i64) {
        let latest = now.saturating_add(2 * WAIT_MAX);
        for wait in [&mut self.away.1, &mut self.logins.1] {
            if *wait > latest {
                *wait = now;
            }
        }
        let refreshed = now.saturating_add(self.refresh.max(2 * WAIT_MAX));
        for tracked in &mut self.requests {
            let endless = tracked.held.is_none_or(|held| held.end.is_none());
            if endless && tracked.due > refreshed {
                tracked.due = now;
            }
        }
    }

    /// Until `moment`, or until a value or the token ends before it.
    fn wait(&self, moment: i64, now: i64) -> Step {
        let ends = self.requests.iter().filter_map(|tracked| tracked.held?.end);
        let token = self.token.as_ref().and_then(|token| token.end);
        let first = ends.chain(token).chain([moment]).min().unwrap_or(moment);
        Step::Wait(UnixMillis(first.max(now.saturating_add(1))))
    }

    /// A value was taken out of use, as [`Step::Drop`] said.
    pub fn dropped(&mut self, id: RequestId, now: UnixMillis) {
        if let Some(tracked) = self.requests.get_mut(id.0) {
            tracked.held = None;
            tracked.next = Next::Fetch;
            tracked.due = tracked.due.min(now.0);
        }
    }

    /// A sign-in gave a token. Everything that ends with an earlier one is due.
    pub fn logged_in(&mut self, login: &Login, random: &Random, now: UnixMillis) {
        let span = login.span.map(millis);
        self.token = Some(Token {
            end: span.map(|span| now.0.saturating_add(span)),
            first: span,
            next: match login.renewable {
                Renewable::No => TokenNext::Login,
                Renewable::Yes => TokenNext::Renew,
            },
            due: span.map(|span| due(now.0, span, random)),
            doubt: Doubt::No,
        });
        self.logins = (0, now.0);
        self.away = (0, now.0);
        for tracked in &mut self.requests {
            let leased = tracked.held.is_some_and(|held| held.leased == Leased::Yes);
            // What failed may have failed for want of a token.
            if leased || tracked.held.is_none() || tracked.failures > 0 {
                tracked.next = Next::Fetch;
                tracked.due = now.0;
                tracked.failures = 0;
            }
        }
    }

    /// A sign-in failed.
    pub fn login_failed(&mut self, failure: Failure, random: &Random, now: UnixMillis) {
        match failure {
            Failure::Away => self.went_away(random, now),
            Failure::Failed | Failure::Refused => {
                let failures = self.logins.0.saturating_add(1);
                self.logins = (failures, after(failures, random, now));
            }
        }
    }

    /// The token was renewed for so long.
    pub fn token_renewed(&mut self, span: Option<Duration>, random: &Random, now: UnixMillis) {
        self.away = (0, now.0);
        if let Some(token) = &mut self.token {
            let span = span.map(millis);
            let end = span.map(|span| now.0.saturating_add(span));
            if is_short(span, token.first) || !later(end, token.end) {
                token.next = TokenNext::Login;
            }
            token.end = end;
            token.due = span.map(|span| due(now.0, span, random));
        }
    }

    /// The token was not renewed. A refusal makes a sign-in due; the token stays in use until its end.
    pub fn token_renewal_failed(&mut self, failure: Failure, random: &Random, now: UnixMillis) {
        match (failure, &mut self.token) {
            (Failure::Away, _) => self.went_away(random, now),
            (Failure::Failed | Failure::Refused, Some(token)) => {
                token.next = TokenNext::Login;
                token.due = Some(now.0);
                token.doubt = Doubt::Yes;
            }
            (Failure::Failed | Failure::Refused, None) => {}
        }
    }

    /// The token was looked up and stands.
    pub fn token_stands(&mut self) {
        if let Some(token) = &mut self.token {
            token.doubt = Doubt::No;
        }
    }

    /// The token is gone, and every lease with it.
    pub fn token_gone(&mut self, now: UnixMillis) {
        self.token = None;
        self.logins.1 = self.logins.1.min(now.0);
    }

    /// The token could not be looked up.
    pub fn look_up_failed(&mut self, random: &Random, now: UnixMillis) {
        self.went_away(random, now);
    }

    /// A request was answered.
    pub fn fetched(
        &mut self,
        id: RequestId,
        lifetime: &Lifetime,
        random: &Random,
        now: UnixMillis,
    ) {
        self.away = (0, now.0);
        let refresh = self.refresh;
        let Some(tracked) = self.requests.get_mut(id.0) else {
            return;
        };
        tracked.failures = 0;
        tracked.next = Next::Fetch;
        let ending = |span: i64, leased| Held {
            end: Some(now.0.saturating_add(span)),
            first: Some(span),
            leased,
        };
        let endless = Held {
            end: None,
            first: None,
            leased: Leased::No,
        };
        let (held, due_at) = match lifetime {
            Lifetime::Changing(span) => {
                let span = millis(*span).saturating_add(1_000).min(refresh);
                (endless, now.0.saturating_add(span))
            }
            Lifetime::Standing => (endless, now.0.saturating_add(sooner(refresh, random))),
            Lifetime::Until(end) => {
                let span = end.0.saturating_sub(now.0).max(1);
                (ending(span, Leased::No), due(now.0, span, random))
            }
            Lifetime::Leased {
                lease,
                span,
                renewable,
            } => {
                let span = millis(*span);
                if *renewable == Renewable::Yes {
                    tracked.next = Next::Renew(lease.clone());
                }
                (ending(span, Leased::Yes), due(now.0, span, random))
            }
        };
        tracked.held = Some(held);
        tracked.due = due_at;
    }

    /// A lease was renewed for so long.
    pub fn renewed(&mut self, id: RequestId, span: Duration, random: &Random, now: UnixMillis) {
        self.away = (0, now.0);
        let Some(tracked) = self.requests.get_mut(id.0) else {
            return;
        };
        let Some(held) = &mut tracked.held else {
            return;
        };
        let span = millis(span);
        let end = Some(now.0.saturating_add(span));
        if is_short(Some(span), held.first) || !later(end, held.end) {
            tracked.next = Next::Fetch;
        }
        held.end = end;
        tracked.failures = 0;
        tracked.due = due(now.0, span, random);
    }

    /// A request or a lease's renewal failed. The value that is there stays until its end.
    pub fn failed(&mut self, id: RequestId, failure: Failure, random: &Random, now: UnixMillis) {
        if failure == Failure::Away {
            self.went_away(random, now);
            return;
        }
        self.away = (0, now.0);
        if let Some(tracked) = self.requests.get_mut(id.0) {
            match &tracked.next {
                // A lease that is not renewed is got anew, at once.
                Next::Renew(_) => {
                    tracked.next = Next::Fetch;
                    tracked.due = now.0;
                }
                Next::Fetch => {
                    tracked.failures = tracked.failures.saturating_add(1);
                    tracked.due = after(tracked.failures, random, now);
                }
            }
        }
        if let (Failure::Refused, Some(token)) = (failure, &mut self.token) {
            token.doubt = Doubt::Yes;
        }
    }

    fn went_away(&mut self, random: &Random, now: UnixMillis) {
        let failures = self.away.0.saturating_add(1);
        self.away = (failures, after(failures, random, now));
    }
}

fn ended(end: Option<i64>, now: i64) -> bool {
    end.is_some_and(|end| end <= now)
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Whether a renewal gave less than two thirds of what was given first.
fn is_short(span: Option<i64>, first: Option<i64>) -> bool {
    match (span, first) {
        (Some(span), Some(first)) => span < first.saturating_sub(first / 3),
        (Some(_) | None, None) | (None, Some(_)) => false,
    }
}

/// Whether an end lies behind another one. No end lies behind every end.
fn later(end: Option<i64>, than: Option<i64>) -> bool {
    match (end, than) {
        (Some(end), Some(than)) => end > than,
        (None, _) => true,
        (Some(_), None) => false,
    }
}

/// Two thirds of a span from `now`, up to a tenth of the span earlier.
fn due(now: i64, span: i64, random: &Random) -> i64 {
    let two_thirds = span.saturating_sub(span / 3);
    now.saturating_add(two_thirds.saturating_sub(share(span / 10, random)).max(1))
}

/// A span, up to a tenth shorter.
fn sooner(span: i64, random: &Random) -> i64 {
    span.saturating_sub(share(span / 10, random))
}

/// When to try again after so many failures: doubled each time, and up to a quarter longer.
fn after(failures: u32, random: &Random, now: UnixMillis) -> i64 {
    let doubled = 1_i64
        .checked_shl(failures.saturating_sub(1).min(16))
        .unwrap_or(1);
    let wait = WAIT_FIRST.saturating_mul(doubled).min(WAIT_MAX);
    let wait = wait.saturating_add(share(wait / 4, random));
    now.0.saturating_add(wait)
}

/// A random number below `of`.
fn share(of: i64, random: &Random) -> i64 {
    let drawn = i64::from(u32::from_be_bytes(random.bytes()));
    let of = i128::from(of).saturating_mul(i128::from(drawn)) >> 32;
    i64::try_from(of).unwrap_or(0)
}

#[cfg(test)]
mod tests;
