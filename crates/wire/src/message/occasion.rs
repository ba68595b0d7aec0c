//! Whether a message stands for itself or answers a request: the member `answer_to` of its protected header.
//!
//! Without that, whoever carries messages could hand a writer's answer in as a request of the same writer, or one answer in the place of another: both are by the
//! same key, for the same reader, and hold. `crit` names the member (RFC 7515 §4.1.11), so that a reader who knows of no such thing refuses an answer and does not take
//! it for a request; to partners whose libraries cannot be told, answers go without that ([`AnswerMark::Ignorable`]).
//!
//! Not here: which request is waiting for its answer. Whoever reads says so.

use super::verify::required;
use super::{MessageId, MessageRefusal};
use countersign_crypto::jose::Claims;
use serde::Deserialize;

/// The member of the header.
pub(super) const MEMBER: &str = "answer_to";

/// On what occasion a message was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// It answers the message of this name.
    AnswerTo(MessageId),
    /// It answers a request that was no message.
    AnswerToPlain,
    /// It stands for itself: the member is not there.
    Own,
}

/// What becomes of an answer at a reader who does not know the member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerMark {
    /// It is refused.
    #[default]
    Critical,
    /// It is taken, for a message that stands for itself.
    Ignorable,
}

impl Occasion {
    /// The value of the member; an empty one is the name of no message.
    #[must_use]
    pub fn stated(&self) -> Option<&str> {
        match self {
            Self::AnswerTo(message) => Some(message.as_str()),
            Self::AnswerToPlain => Some(""),
            Self::Own => None,
        }
    }

    fn of(statements: &Claims) -> Result<Self, MessageRefusal> {
        if !statements.raw().contains_key(MEMBER) {
            return Ok(Self::Own);
        }
        match required(statements, MEMBER)? {
            "" => Ok(Self::AnswerToPlain),
            name => name
                .parse()
                .map(Self::AnswerTo)
                .map_err(|_| MessageRefusal::StatementMalformed),
        }
    }

    /// What a message says of its occasion, if that is the expected one.
    pub(super) fn expected(statements: &Claims, expected: &Self) -> Result<Self, MessageRefusal> {
        let stated = Self::of(statements)?;
        if stated == *expected {
            return Ok(stated);
        }
        Err(match (stated, expected) {
            (Self::Own, _) => MessageRefusal::AnswerMissing,
            (Self::AnswerTo(_) | Self::AnswerToPlain, Self::Own) => MessageRefusal::AnswerUnasked,
            (Self::AnswerTo(_) | Self::AnswerToPlain, _) => MessageRefusal::AnswerOther,
        })
    }
}
