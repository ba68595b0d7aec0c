//! How people prove who they are (RFC 8176, `amr`).

use serde::{Deserialize, Serialize};

/// One way of proving who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationMethod {
    /// Another provider vouched for them.
    Federated,
    /// A passkey that was touched, without its checking by whom.
    Passkey,
    /// A passkey that checked its user by a PIN or a body part.
    PasskeyUserVerified,
    /// A password.
    Password,
    /// One of the codes for the day when the others are lost.
    RecoveryCode,
    /// A code of an authenticator app (RFC 6238).
    Totp,
}
