//! When a signing key is made, signs, is kept for verifiers, and goes: a machine without clock or storage.
//!
//! The rows of one plan are the keys of one tenant and one algorithm. Three things always hold:
//! a key signs only after it stood in the published set for `publish_ahead`, or in every set that was ever published (so a new installation,
//! which publishes its first two keys together, can rotate at once);
//! a retired key stays published until the last token that it signed has expired; and once there was a current key, there is always exactly one.

use countersign_base::{Duration, Kid, UnixTime};
use serde::{Deserialize, Serialize};

/// Where a signing key is in its life. The order is the order of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigningKeyState {
    /// Published, so that verifiers know it before it signs.
    Next,
    /// Published and signing.
    Current,
    /// Published and no longer signing.
    Retired,
    /// No longer published; its private part is erased.
    Gone,
}

impl SigningKeyState {
    /// Whether a key in this state stands in the published set.
    #[must_use]
    pub const fn is_published(self) -> bool {
        match self {
            Self::Next | Self::Current | Self::Retired => true,
            Self::Gone => false,
        }
    }
}

/// What the plan needs to know of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyRow {
    /// Its name.
    pub kid: Kid,
    /// Where it is in its life.
    pub state: SigningKeyState,
    /// When it entered the published set.
    pub published_at: UnixTime,
    /// When it entered its present state.
    pub state_since: UnixTime,
}

/// The times of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationPolicy {
    publish_ahead: Duration,
    rotate_every: Duration,
    retire_after: Duration,
}

impl RotationPolicy {
    /// Checks the times: `publish_ahead` is how long verifiers may keep a set of keys without looking, `rotate_every` how long a key
    /// signs, `retire_after` how long it stays published afterwards.
    ///
    /// # Errors
    /// When a key would be replaced before its successor may sign, or would go before a token of `token_lifetime_max` that it signed has expired.
    pub fn new(
        publish_ahead: Duration,
        rotate_every: Duration,
        retire_after: Duration,
        token_lifetime_max: Duration,
    ) -> Result<Self, RotationPolicyError> {
        if rotate_every.is_zero() || publish_ahead > rotate_every {
            return Err(RotationPolicyError::PublishAhead);
        }
        if retire_after < token_lifetime_max {
            return Err(RotationPolicyError::RetireAfter);
        }
        Ok(Self {
            publish_ahead,
            rotate_every,
            retire_after,
        })
    }

    /// How long a key is published before it signs.
    #[must_use]
    pub const fn publish_ahead(&self) -> Duration {
        self.publish_ahead
    }
}

/// Why the times do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RotationPolicyError {
    /// A key would be due for replacement before its successor may sign.
    #[error(
        "keys must sign at least as long as their successors are published ahead, and longer than not at all"
    )]
    PublishAhead,
    /// A key would leave the published set before its tokens have expired.
    #[error(
        "retired keys must stay published at least as long as the longest token lives, leeway included"
    )]
    RetireAfter,
}

/// One change to make. Each is one transaction: what it says of two keys happens at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationStep {
    /// Make the first key of all; it signs at once.
    Establish,
    /// Make a key and publish it as the next one.
    Publish,
    /// Erase the private part of a retired key and publish it no more.
    Remove {
        /// The retired key.
        kid: Kid,
    },
    /// Let the next key sign and retire the current one.
    Rotate {
        /// The key that becomes the current one.
        next: Kid,
        /// The key that retires.
        current: Kid,
    },
}

/// What is due at `now`. Carrying it out and planning again at the same instant gives nothing more than a [`RotationStep::Publish`].
#[must_use]
pub fn plan(rows: &[SigningKeyRow], policy: &RotationPolicy, now: UnixTime) -> Vec<RotationStep> {
    let mut steps = removals(rows, policy, now);
    let (current, next) = (
        in_state(rows, SigningKeyState::Current),
        in_state(rows, SigningKeyState::Next),
    );
    match (current, next) {
        (None, _) => steps.push(RotationStep::Establish),
        (Some(_), None) => steps.push(RotationStep::Publish),
        (Some(current), Some(next)) => {
            let due = now.since(current.state_since) >= policy.rotate_every;
            if due && may_sign(next, rows, policy, now) {
                steps.push(RotationStep::Rotate {
                    next: next.kid.clone(),
                    current: current.kid.clone(),
                });
            }
        }
    }
    steps
}

/// What a rotation on demand does at `now`.
///
/// # Errors
/// When the next key has not been published for long enough: it says when it will be.
pub fn plan_on_demand(
    rows: &[SigningKeyRow],
    policy: &RotationPolicy,
    now: UnixTime,
) -> Result<Vec<RotationStep>, NotYet> {
    let mut steps = plan(rows, policy, now);
    let planned =
        |step: &RotationStep| matches!(step, RotationStep::Establish | RotationStep::Rotate { .. });
    if steps.iter().any(planned) {
        return Ok(steps);
    }
    match (
        in_state(rows, SigningKeyState::Current),
        in_state(rows, SigningKeyState::Next),
    ) {
        (Some(current), Some(next)) if may_sign(next, rows, policy, now) => {
            steps.push(RotationStep::Rotate {
                next: next.kid.clone(),
                current: current.kid.clone(),
            });
            Ok(steps)
        }
        (Some(_), Some(next)) => Err(NotYet {
            at: next.published_at.plus(policy.publish_ahead),
        }),
        (Some(_) | None, _) => Err(NotYet {
            at: now.plus(policy.publish_ahead),
        }),
    }
}

/// The next key has to be published for longer before it may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("verifiers may not know the next key yet; it may sign from {at} on")]
pub struct NotYet {
    /// When a rotation is possible.
    pub at: UnixTime,
}

/// The rows after `step`, with `new` as the name of the key that the step makes, if it makes one.
#[must_use]
pub fn apply(
    mut rows: Vec<SigningKeyRow>,
    step: &RotationStep,
    new: &Kid,
    now: UnixTime,
) -> Vec<SigningKeyRow> {
    let row = |state| SigningKeyRow {
        kid: new.clone(),
        state,
        published_at: now,
        state_since: now,
    };
    match step {
        RotationStep::Establish => rows.push(row(SigningKeyState::Current)),
        RotationStep::Publish => rows.push(row(SigningKeyState::Next)),
        RotationStep::Remove { kid } => enter(&mut rows, kid, SigningKeyState::Gone, now),
        RotationStep::Rotate { next, current } => {
            enter(&mut rows, current, SigningKeyState::Retired, now);
            enter(&mut rows, next, SigningKeyState::Current, now);
        }
    }
    rows
}

fn enter(rows: &mut [SigningKeyRow], kid: &Kid, state: SigningKeyState, now: UnixTime) {
    for row in rows.iter_mut().filter(|row| row.kid == *kid) {
        row.state = state;
        row.state_since = now;
    }
}

fn removals(rows: &[SigningKeyRow], policy: &RotationPolicy, now: UnixTime) -> Vec<RotationStep> {
    let over = |row: &&SigningKeyRow| {
        row.state == SigningKeyState::Retired && now.since(row.state_since) > policy.retire_after
    };
    rows.iter()
        .filter(over)
        .map(|row| RotationStep::Remove {
            kid: row.kid.clone(),
        })
        .collect()
}

fn in_state(rows: &[SigningKeyRow], state: SigningKeyState) -> Option<&SigningKeyRow> {
    rows.iter().find(|row| row.state == state)
}

fn may_sign(
    next: &SigningKeyRow,
    rows: &[SigningKeyRow],
    policy: &RotationPolicy,
    now: UnixTime,
) -> bool {
    // While nothing has rotated yet, a next key as old as the current one stood in every set that was ever published: whoever has
    // fetched one knows it.
    let in_every_set = rows.iter().all(|row| {
        let never_rotated = matches!(row.state, SigningKeyState::Current | SigningKeyState::Next);
        never_rotated && row.published_at >= next.published_at
    });
    let wait = if in_every_set {
        Duration::ZERO
    } else {
        policy.publish_ahead
    };
    // A clock that was set back shows as no time at all, and the key waits.
    now >= next.published_at.plus(wait)
}

#[cfg(test)]
mod tests;
