//! Why a webhook was refused: the closed list that audit events and counters use.

use std::fmt;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Why a webhook was refused. For the record: the caller sees a status and a request id, not which of these it was.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum WebhookRefusal {
            $($(#[$doc])* $name,)+
        }

        impl WebhookRefusal {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name in records.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

refusals! {
    /// The signature is of an algorithm, or of a version of its scheme, that none of the source's keys verifies.
    AlgorithmUnknown = "algorithm_unknown",
    /// The source asks to be told its own word, and there is none, or it is too long or of other characters than such words have.
    ChallengeMalformed = "challenge_malformed",
    /// The signature does not cover what the source demands (RFC 9421).
    ComponentsMissing = "components_missing",
    /// There is no digest of the body where one is due (RFC 9530).
    DigestMissing = "digest_missing",
    /// The digest is not the body's.
    DigestWrong = "digest_wrong",
    /// The signature says that its time is over (`expires` of RFC 9421).
    Expired = "expired",
    /// The id of the event is not one: too long, or of other characters than visible ASCII.
    IdMalformed = "id_malformed",
    /// The event has no id where the source has one.
    IdMissing = "id_missing",
    /// The id came with another body before.
    IdReused = "id_reused",
    /// The signature names a key that the source has not.
    KeyUnknown = "key_unknown",
    /// The media type of the body is not one that the source takes.
    MediaType = "media_type",
    /// The very same signed attempt came before.
    Replayed = "replayed",
    /// The scheme's header is missing, and another scheme's is there; or both are there.
    SchemeOther = "scheme_other",
    /// The signature is not written as the scheme writes it.
    SignatureMalformed = "signature_malformed",
    /// There is no signature.
    SignatureMissing = "signature_missing",
    /// The scheme's header is there more than once.
    SignatureSeveral = "signature_several",
    /// The signature holds under none of the source's keys.
    SignatureWrong = "signature_wrong",
    /// The time of the attempt is ahead of ours by more than the source tolerates.
    TimestampFuture = "timestamp_future",
    /// The time of the attempt is not a number of seconds, or stands there twice.
    TimestampMalformed = "timestamp_malformed",
    /// The attempt has no time where the scheme has one.
    TimestampMissing = "timestamp_missing",
    /// The attempt is older than the source tolerates.
    TimestampOld = "timestamp_old",
    /// The body is larger than the source takes.
    TooLarge = "too_large",
}

impl fmt::Display for WebhookRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for WebhookRefusal {}
