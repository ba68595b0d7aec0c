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
use countersign_crypto::mac::Tag;
use countersign_oauth::totp::TypedCode;
use countersign_store::Write;
use countersign_store::tables::throttle::{self, Allowance};

/// Wrong codes of one kind.
const WRONG_MAX: i64 = 100;
/// How long after the last of them they are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// What is guessed.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A code of an app.
    App,
    /// A recovery code.
    Recovery,
}

impl Kind {
    pub(super) const fn of(typed: &TypedCode) -> Self {
        match typed {
            TypedCode::App(_) => Self::App,
            TypedCode::Recovery(_) => Self::Recovery,
        }
    }

    /// As records name the factor.
    const fn name(self) -> &'static str {
        match self {
            Self::App => "totp",
            Self::Recovery => "recovery_codes",
        }
    }
}

/// A guess that may be judged, counted as wrong already.
#[must_use]
pub(super) struct Counted {
    kind: Kind,
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
    kind: Kind,
) -> Result<Option<Counted>, Failure> {
    let place = match proven_browser(identity, call, user).await? {
        Some(browser) => place(identity, call, user, kind, browser.as_bytes()),
        None => place(identity, call, user, kind, b""),
    };
    let fabric = &identity.fabric;
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

/// What is forgotten with a password: nobody who guessed with the old one gets this far with it again. That is not for whoever proved the password alone: a
/// change of it would buy them as many guesses again.
pub(in super::super) fn forgotten(identity: &Identity, call: &Call, user: UserId) -> Vec<Write> {
    let kinds = [Kind::App, Kind::Recovery].into_iter();
    kinds
        .map(|kind| Write::ClearFailures(place(identity, call, user, kind, b"")))
        .collect()
}

fn place(identity: &Identity, call: &Call, user: UserId, kind: Kind, browser: &[u8]) -> Tag {
    let secrets = identity.fabric.secrets();
    let key = secrets.tenant_mac_key(&call.tenant.name, "wrong-codes");
    key.tag(kind.name(), &[user.as_bytes(), browser])
}
