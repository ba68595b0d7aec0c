//! How many codes may be wrong at all (A62, V6.3): a count in the store that outlives restarts and waiting, beside the counters that make guesses slow.
//!
//! Six digits can be guessed by whoever has the password and the patience: at the pace that waiting leaves, within months. After a hundred wrong codes of one
//! kind no other of that kind is judged, until a week passed or the person, by two factors, chose another password. Their other factors work as before, and so
//! does a browser in which they proved a second factor before: it has a count of its own. One that they merely signed in with has none: the password buys any
//! number of those.

use super::super::Identity;
use super::super::answer::Failure;
use super::super::call::Call;
use super::super::record;
use super::proven_browser;
use countersign_audit::Code;
use countersign_audit::event::{AuthenticatorChanged, Verdict};
use countersign_base::{Duration, UserId};
use countersign_control::wrong_codes::GuessedCode;
use countersign_crypto::mac::Tag;
use countersign_oauth::totp::TypedCode;
use countersign_store::Write;
use countersign_store::tables::throttle::{self, Allowance};

/// Wrong codes of one kind.
const WRONG_MAX: i64 = 100;
/// How long after the last of them they are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// What was typed, as it is counted.
pub(super) const fn guessed(typed: &TypedCode) -> GuessedCode {
    match typed {
        TypedCode::App(_) => GuessedCode::App,
        TypedCode::Recovery(_) => GuessedCode::Recovery,
    }
}

/// A guess that may be judged, counted as wrong already.
#[must_use]
pub(super) struct Counted {
    kind: GuessedCode,
    user: UserId,
    number: i64,
    place: Tag,
}

impl Counted {
    /// It was right: belongs into the unit that uses the code.
    pub(super) fn forgiven(&self) -> Write {
        Write::ClearFailures(self.place.clone())
    }

    /// It was wrong. The last one that may be is an event of its own.
    pub(super) async fn failed(self, identity: &Identity, call: &Call) -> Result<(), Failure> {
        if self.number < WRONG_MAX {
            return Ok(());
        }
        let event = AuthenticatorChanged {
            change: Code::of("suspended"),
            decision: Verdict::Allowed,
            kind: Code::of(self.kind.name()),
            reason: Some(Code::of("too_many_codes")),
            user: self.user,
        };
        record::happened(identity, call, event).await
    }
}

/// Counts a guess before it is judged; none if as many were wrong as may be.
pub(super) async fn begin(
    identity: &Identity,
    call: &Call,
    user: UserId,
    kind: GuessedCode,
) -> Result<Option<Counted>, Failure> {
    let fabric = &identity.fabric;
    let browser = proven_browser(identity, call, user).await?;
    let place = kind.place(fabric.secrets(), &call.tenant.name, user, browser.as_ref());
    let (tenant, source, now) = (call.tenant.name.clone(), place.clone(), fabric.now());
    let counted = fabric.store().write(move |tx| {
        let guess = async move {
            throttle::begin(tx, &tenant, &source, WRONG_MAX, FORGOTTEN_AFTER, now).await
        };
        Box::pin(guess)
    });
    Ok(match counted.await? {
        Allowance::Left(number) => Some(Counted {
            kind,
            user,
            number,
            place,
        }),
        Allowance::Spent => None,
    })
}
