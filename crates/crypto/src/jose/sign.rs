//! Signing tokens in the compact form.

use super::JoseError;
use crate::base64url;
use crate::signing::{JwtPurpose, SigningKey};
use serde::Serialize;

/// Signs `claims` as a token of the kind that the key is for: `typ` comes from the purpose, and the header names the key
/// (or, for a DPoP proof, holds it).
///
/// # Errors
/// When `claims` are not written as a JSON object, or signing fails.
pub fn sign_jwt<P: JwtPurpose>(
    key: &SigningKey<P>,
    claims: &impl Serialize,
) -> Result<String, JoseError> {
    let payload = serde_json::to_vec(claims)
        .map_err(|_| JoseError::Signing("the claims cannot be written as JSON"))?;
    if payload.first() != Some(&b'{') {
        return Err(JoseError::Signing("the claims are not a JSON object"));
    }
    let header = key.header();
    let mut token = String::with_capacity(header.len() + payload.len().div_ceil(3) * 4 + 2 + 700);
    token.push_str(header);
    token.push('.');
    base64url::append(&payload, &mut token);
    let signature = key
        .sign(token.as_bytes())
        .map_err(|_| JoseError::Signing("the key does not sign"))?;
    token.push('.');
    base64url::append(&signature, &mut token);
    Ok(token)
}
