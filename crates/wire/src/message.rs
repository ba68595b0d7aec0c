//! Messages between partners across intermediaries: signed (JWS), or signed and then encrypted (JWE around JWS), and the receiver's receipts.
//!
//! A message is any content with statements in the protected header of its signature (RFC 7515): who wrote it (`iss`), for whom (`aud`), its name (`jti`), when
//! (`iat`, `exp`), what it is (`cty`) and the SHA-256 of it (`content_sha256`). They stand in the header because the payload is the content itself, which so
//! can also travel beside its signature (appendix F). Sealed, that whole stands inside a JWE (RFC 7516). The three types are ours:
//!
//! - [`SIGNED_TYP`] rather than `JWT`, because the payload is no claims set, and so that a token or another signature by the same key is never taken for one;
//! - [`SEALED_TYP`] with `cty` [`SIGNED_TYP`]: a sealed message without a signature inside is refused, since anyone could have written it;
//! - [`RECEIPT_TYP`] for the receiver's signed word that a message arrived, which is a JWT (RFC 7519).
//!
//! An answer to a request says in its header which one it answers ([`Occasion`]): it is never taken for a request, nor for another's answer. That is all that `crit` may name.
//!
//! The algorithms are few and fixed: EdDSA, ES256, PS256; ECDH-ES, ECDH-ES+A256KW, RSA-OAEP-256; A256GCM. The key decides which, the message has to agree.
//! There is no `zip`, no other `crit`, no RSA1_5, no PBES2, no key in the header.
//!
//! What is verified comes out as [`Unspent`]: its `jti` has to be marked as used before the content can be had. Not here: that memory, where a partner's keys come
//! from, and transport.

mod names;
mod occasion;
mod open;
mod outgoing;
mod receipt;
mod refusal;
mod unspent;
mod verify;

pub use names::{MediaType, MessageId, NotAName, Party};
pub use occasion::{AnswerMark, Occasion};
pub use open::open;
pub use outgoing::{Draft, Made, Sent, seal, sign};
pub use receipt::{Receipt, issue_receipt, verify_receipt};
pub use refusal::MessageRefusal;
pub use unspent::{OneTime, Unspent, danger};
pub use verify::{Digests, Message, Receiving, verify, verify_detached};

use countersign_base::{Duration, limits};
use countersign_crypto::jose::{Algorithm, ContentEncryption, KeyManagement};

/// `typ` of a signed message.
pub const SIGNED_TYP: &str = "message+jws";
/// `typ` of a signed and encrypted message.
pub const SEALED_TYP: &str = "message+jwe";
/// `typ` of a receipt.
pub const RECEIPT_TYP: &str = "receipt+jwt";

/// Bytes of a content.
pub const CONTENT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a message as text: a content in base64url twice, and its headers.
pub const TEXT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a message may be taken at most, which is how long its `jti` is remembered.
pub const LIFETIME_MAX: Duration = Duration::from_hours(24);
/// How long a message may be taken unless its writer says otherwise.
pub const LIFETIME: Duration = Duration::from_mins(5);
/// By how much both clocks may differ.
pub const LEEWAY: Duration = limits::TOKEN_LEEWAY;

/// The algorithms of signatures. RS256 is known to the key sets and not accepted here.
pub const SIGNATURES: [Algorithm; 3] = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Ps256];
/// The algorithms that bring the content's key to the receiver.
pub const KEY_MANAGEMENT: [KeyManagement; 3] = KeyManagement::ALL;
/// The one encryption of contents.
pub const CONTENT_ENCRYPTION: ContentEncryption = ContentEncryption::A256Gcm;

#[cfg(test)]
mod tests;
