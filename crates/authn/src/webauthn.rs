//! Passkeys: the ceremonies of Web Authentication (W3C WebAuthn Level 3, §7.1 and §7.2), judged from what the browser sent.
//!
//! Pure: the challenge, the stored credential and the response come in; what was proven goes out. The challenge is used once by whoever calls.
//!
//! Attestation is not asked for (`attestation: "none"`) and a statement that comes all the same is not looked at: nobody is told which device somebody has.
//! Keys are ES256, `EdDSA` and RS256, the algorithms that browsers offer. No extension is asked for, and none is used.

mod authenticator_data;
mod cbor;
mod client_data;
mod cose;

pub use cose::CredentialKey;

use authenticator_data::{AuthenticatorData, Flags};
use client_data::{Ceremony, ClientData};
use countersign_base::Issuer;
use countersign_crypto::base64url;
use countersign_crypto::digest::{sha256, sha256_parts};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use url::Url;

/// Bytes of a response as the browser's form carries it.
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a credential's id (WebAuthn §5.8.5).
const CREDENTIAL_ID_BYTES_MAX: usize = 1023;

/// Why a response proves nothing. For the log; the person reads one text for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebauthnError {
    /// A key of an algorithm that was not offered.
    #[error("algorithm_unsupported")]
    Algorithm,
    /// The bytes of the authenticator do not have their form.
    #[error("authenticator_data_malformed")]
    AuthenticatorData,
    /// The backup flags contradict each other or what was registered.
    #[error("backup_flags_changed")]
    BackupFlags,
    /// Another challenge than the one that was handed out.
    #[error("challenge_differs")]
    Challenge,
    /// The browser's statement does not have its form.
    #[error("client_data_malformed")]
    ClientData,
    /// Another credential than the one that was looked up.
    #[error("credential_differs")]
    Credential,
    /// The counter did not advance: there are two of this authenticator.
    #[error("counter_went_back")]
    Counter,
    /// The response is not that of a public key, or not in form.
    #[error("response_malformed")]
    Malformed,
    /// Asked for in a page of another origin, or inside one.
    #[error("origin_differs")]
    Origin,
    /// Made for another relying party.
    #[error("relying_party_differs")]
    RelyingParty,
    /// The signature does not hold.
    #[error("signature_invalid")]
    Signature,
    /// The credential is somebody else's.
    #[error("user_differs")]
    User,
    /// Nobody touched the authenticator.
    #[error("user_not_present")]
    UserNotPresent,
    /// The other ceremony's response.
    #[error("wrong_ceremony")]
    WrongCeremony,
}

impl WebauthnError {
    /// The reason as the log names it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Algorithm => "algorithm_unsupported",
            Self::AuthenticatorData => "authenticator_data_malformed",
            Self::BackupFlags => "backup_flags_changed",
            Self::Challenge => "challenge_differs",
            Self::ClientData => "client_data_malformed",
            Self::Credential => "credential_differs",
            Self::Counter => "counter_went_back",
            Self::Malformed => "response_malformed",
            Self::Origin => "origin_differs",
            Self::RelyingParty => "relying_party_differs",
            Self::Signature => "signature_invalid",
            Self::User => "user_differs",
            Self::UserNotPresent => "user_not_present",
            Self::WrongCeremony => "wrong_ceremony",
        }
    }
}

/// Who asks for credentials: the host of the issuer, on its origin alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    id: String,
    origin: String,
}

impl RelyingParty {
    /// The relying party of an issuer; none if its address has no host.
    #[must_use]
    pub fn of(issuer: &Issuer) -> Option<Self> {
        let url = Url::parse(issuer.as_str()).ok()?;
        Some(Self {
            id: url.host_str()?.to_owned(),
            origin: url.origin().ascii_serialization(),
        })
    }

    /// Its id, as the browser is told.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// 32 random bytes that one response answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Challenge([u8; 32]);

impl Challenge {
    /// Takes random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<String> for Challenge {
    type Error = base64url::NotBase64Url;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        base64url::decode_array(&text).map(Self)
    }
}

impl From<Challenge> for String {
    fn from(challenge: Challenge) -> Self {
        base64url::encode(&challenge.0)
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge")
    }
}

/// The name of a credential, chosen by its authenticator.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    fn new(bytes: Vec<u8>) -> Result<Self, WebauthnError> {
        if bytes.is_empty() || bytes.len() > CREDENTIAL_ID_BYTES_MAX {
            return Err(WebauthnError::Malformed);
        }
        Ok(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<String> for CredentialId {
    type Error = WebauthnError;

    fn try_from(text: String) -> Result<Self, WebauthnError> {
        Self::new(base64url::decode(&text).map_err(|_| WebauthnError::Malformed)?)
    }
}

impl From<CredentialId> for String {
    fn from(id: CredentialId) -> Self {
        base64url::encode(&id.0)
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialId({self})")
    }
}

/// Whether the authenticator checked who touched it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserVerification {
    /// It only felt a touch.
    Present,
    /// By a PIN or a body part.
    Verified,
}

/// What is kept of a credential: all that a later assertion is judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Its name.
    pub id: CredentialId,
    /// Its public key.
    pub key: CredentialKey,
    /// How often it signed, if it counts.
    pub counter: u32,
    /// Whether it may be copied to the person's other devices.
    pub backup_eligible: bool,
    /// Whether it was.
    pub backed_up: bool,
}

/// A response of `navigator.credentials.create()`, as `PublicKeyCredential.toJSON()` writes it.
#[derive(Debug, Clone)]
pub struct RegistrationResponse {
    id: CredentialId,
    client_data: Vec<u8>,
    attestation: Vec<u8>,
}

/// A response of `navigator.credentials.get()`.
#[derive(Debug, Clone)]
pub struct AssertionResponse {
    id: CredentialId,
    client_data: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
    user_handle: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct RawResponse<T> {
    id: CredentialId,
    #[serde(rename = "type")]
    kind: String,
    response: T,
}

#[derive(Deserialize)]
struct RawAttestation {
    #[serde(rename = "clientDataJSON")]
    client_data: Base64Url,
    #[serde(rename = "attestationObject")]
    attestation: Base64Url,
}

#[derive(Deserialize)]
struct RawAssertion {
    #[serde(rename = "clientDataJSON")]
    client_data: Base64Url,
    #[serde(rename = "authenticatorData")]
    authenticator_data: Base64Url,
    signature: Base64Url,
    #[serde(rename = "userHandle")]
    user_handle: Option<Base64Url>,
}

struct Base64Url(Vec<u8>);

impl<'de> Deserialize<'de> for Base64Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64url::decode(&text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<RawResponse<T>, WebauthnError> {
    if text.len() > RESPONSE_BYTES_MAX {
        return Err(WebauthnError::Malformed);
    }
    let raw: RawResponse<T> = serde_json::from_str(text).map_err(|_| WebauthnError::Malformed)?;
    if raw.kind == "public-key" {
        Ok(raw)
    } else {
        Err(WebauthnError::Malformed)
    }
}

impl RegistrationResponse {
    /// Reads what the browser's form carries.
    ///
    /// # Errors
    /// It is too long or not in form.
    pub fn parse(text: &str) -> Result<Self, WebauthnError> {
        let raw: RawResponse<RawAttestation> = read(text)?;
        Ok(Self {
            id: raw.id,
            client_data: raw.response.client_data.0,
            attestation: raw.response.attestation.0,
        })
    }

    /// Judges the response to `challenge` (WebAuthn §7.1).
    ///
    /// # Errors
    /// It proves nothing.
    pub fn verify(
        &self,
        party: &RelyingParty,
        challenge: &Challenge,
    ) -> Result<(Credential, UserVerification), WebauthnError> {
        ClientData::parse(&self.client_data)?.check(Ceremony::Create, party, challenge)?;
        let bytes = cbor::member_bytes(&self.attestation, "authData")
            .ok_or(WebauthnError::AuthenticatorData)?;
        let data = AuthenticatorData::parse(bytes)?;
        let flags = checked(&data, party)?;
        let attested = data.attested.ok_or(WebauthnError::AuthenticatorData)?;
        let id = CredentialId::new(attested.id.to_vec())?;
        if id != self.id {
            return Err(WebauthnError::Credential);
        }
        let credential = Credential {
            id,
            key: CredentialKey::from_cose(&attested.key)?,
            counter: data.counter,
            backup_eligible: flags.backup_eligible,
            backed_up: flags.backed_up,
        };
        Ok((credential, flags.verification()))
    }
}

impl AssertionResponse {
    /// Reads what the browser's form carries.
    ///
    /// # Errors
    /// It is too long or not in form.
    pub fn parse(text: &str) -> Result<Self, WebauthnError> {
        let raw: RawResponse<RawAssertion> = read(text)?;
        Ok(Self {
            id: raw.id,
            client_data: raw.response.client_data.0,
            authenticator_data: raw.response.authenticator_data.0,
            signature: raw.response.signature.0,
            user_handle: raw.response.user_handle.map(|handle| handle.0),
        })
    }

    /// Which credential it claims to be of.
    #[must_use]
    pub const fn credential(&self) -> &CredentialId {
        &self.id
    }

    /// The challenge that it answers, as it says itself: to be checked by [`AssertionResponse::verify`].
    ///
    /// # Errors
    /// The browser's statement is not in form.
    pub fn claimed_challenge(&self) -> Result<Challenge, WebauthnError> {
        ClientData::parse(&self.client_data)?.challenge()
    }

    /// Judges the response to `challenge` by the key of `credential`, which belongs to the person with `user_handle` (WebAuthn §7.2).
    ///
    /// # Errors
    /// It proves nothing.
    pub fn verify(
        &self,
        party: &RelyingParty,
        challenge: &Challenge,
        credential: &Credential,
        user_handle: &[u8],
    ) -> Result<Asserted, WebauthnError> {
        if self.id != credential.id {
            return Err(WebauthnError::Credential);
        }
        if self
            .user_handle
            .as_deref()
            .is_some_and(|handle| handle != user_handle)
        {
            return Err(WebauthnError::User);
        }
        ClientData::parse(&self.client_data)?.check(Ceremony::Get, party, challenge)?;
        let data = AuthenticatorData::parse(&self.authenticator_data)?;
        let flags = checked(&data, party)?;
        if flags.backup_eligible != credential.backup_eligible {
            return Err(WebauthnError::BackupFlags);
        }
        let mut message = self.authenticator_data.clone();
        message.extend_from_slice(&sha256(&self.client_data));
        let _holds = credential.key.verify(&message, &self.signature)?;
        // An authenticator that does not count says zero for ever.
        if (credential.counter, data.counter) != (0, 0) && data.counter <= credential.counter {
            return Err(WebauthnError::Counter);
        }
        Ok(Asserted {
            credential: credential.id.clone(),
            counter: data.counter,
            backed_up: flags.backed_up,
            verification: flags.verification(),
        })
    }
}

/// What every ceremony checks of the authenticator's data.
fn checked(data: &AuthenticatorData<'_>, party: &RelyingParty) -> Result<Flags, WebauthnError> {
    if *data.party_hash != sha256_parts(&[party.id.as_bytes()]) {
        return Err(WebauthnError::RelyingParty);
    }
    if !data.flags.user_present {
        return Err(WebauthnError::UserNotPresent);
    }
    if data.flags.backed_up && !data.flags.backup_eligible {
        return Err(WebauthnError::BackupFlags);
    }
    Ok(data.flags)
}

/// Evidence that somebody has the private key of a credential.
#[derive(Debug, Clone)]
#[must_use]
pub struct Asserted {
    credential: CredentialId,
    counter: u32,
    backed_up: bool,
    verification: UserVerification,
}

impl Asserted {
    /// Of which credential.
    #[must_use]
    pub const fn credential(&self) -> &CredentialId {
        &self.credential
    }

    /// The counter to keep.
    #[must_use]
    pub const fn counter(&self) -> u32 {
        self.counter
    }

    /// Whether the credential is on other devices by now.
    #[must_use]
    pub const fn is_backed_up(&self) -> bool {
        self.backed_up
    }

    /// Whether the authenticator checked who touched it.
    #[must_use]
    pub const fn verification(&self) -> UserVerification {
        self.verification
    }
}

#[cfg(test)]
mod tests;
