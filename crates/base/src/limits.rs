//! The limits that more than one crate keeps. A limit of one crate alone stands in that crate.
//!
//! Past a limit the answer is a clear refusal, never a truncation.

use crate::Duration;

/// Scopes in one request or grant.
pub const SCOPES_MAX: usize = 64;
/// Bytes of a compact JWS or JWE that is looked at at all.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a form that the token, PAR, introspection and revocation endpoints read.
pub const FORM_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one canonical audit record.
pub const AUDIT_RECORD_BYTES_MAX: usize = 4 * 1024;
/// Clock skew allowed when a token of a trusted issuer is checked.
pub const TOKEN_LEEWAY: Duration = Duration::from_secs(30);
/// How far ahead `iat` and `nbf` of a client's own JWT may lie (FAPI 2.0 §5.3.2.1).
pub const CLIENT_SKEW_AHEAD: Duration = Duration::from_secs(10);
/// How old a DPoP proof may be.
pub const DPOP_PROOF_AGE_MAX: Duration = Duration::from_secs(60);
/// Lifetime of an authorization code.
pub const CODE_LIFETIME: Duration = Duration::from_secs(60);
/// Lifetime of a pushed authorization request (RFC 9126 §2.2).
pub const REQUEST_URI_LIFETIME: Duration = Duration::from_secs(60);
/// Lifetime of an access token unless the client says shorter.
pub const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(300);
/// Depth of nested `act` claims (RFC 8693 §4.1).
pub const ACTORS_MAX: usize = 4;
