//! Pinned keys: a server's certificate has to verify as any other, and its key has to be one of these besides (RFC 7469 §2.4, without its header field).
//!
//! A pin is the SHA-256 of the leaf's `SubjectPublicKeyInfo`. Only the leaf is looked at: what else a server sends beside it nobody has verified. There is no
//! pin that lets anything through when none fits: a key that is lost ends the connection, so that a second pin, of a key that is kept elsewhere, belongs to each.

use super::{CLIENT_SESSIONS_MAX, PROVIDER, TlsClient, TlsError, TrustRoots, VERSIONS};
use countersign_crypto::digest::sha256;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, Resumption, WebPkiServerVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// SHA-256 of a key as certificates carry it, written `sha256/BASE64` with 44 characters of Base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpkiPin([u8; 32]);

/// Why a text is no [`SpkiPin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `sha256/` and 44 characters of Base64")]
pub struct PinError;

const PREFIX: &str = "sha256/";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl SpkiPin {
    /// The pin of a certificate's key; nothing if it is no certificate.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let certificate = CertificateDer::from(der);
        let parsed = ParsedCertificate::try_from(&certificate).ok()?;
        Some(Self(sha256(parsed.subject_public_key_info().as_ref())))
    }
}

impl FromStr for SpkiPin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let digits = text.strip_prefix(PREFIX).ok_or(PinError)?;
        let digits = digits.strip_suffix('=').ok_or(PinError)?;
        if digits.len() != 43 {
            return Err(PinError);
        }
        let mut bytes = [0; 32];
        let mut out = bytes.iter_mut();
        let (mut held, mut bits) = (0_u32, 0_u32);
        for digit in digits.bytes() {
            let value = BASE64.iter().position(|known| *known == digit);
            let value = value.and_then(|value| u32::try_from(value).ok());
            held = (held << 6) | value.ok_or(PinError)?;
            bits += 6;
            if bits >= 8 {
                bits -= 8;
                let byte = u8::try_from((held >> bits) & 0xff).map_err(|_| PinError)?;
                *out.next().ok_or(PinError)? = byte;
                held &= (1 << bits) - 1;
            }
        }
        // 43 digits are 258 bits: the last two are no part of it and one text has one meaning.
        if held != 0 {
            return Err(PinError);
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        for three in self.0.chunks(3) {
            let held = three
                .iter()
                .fold(0_u32, |held, byte| (held << 8) | u32::from(*byte))
                << (8 * (3 - three.len()));
            for place in 0..=three.len() {
                let index = usize::try_from((held >> (18 - 6 * place)) & 0x3f).unwrap_or(0);
                let digit = BASE64.get(index).copied().unwrap_or(b'A');
                write!(f, "{}", char::from(digit))?;
            }
        }
        f.write_str("=")
    }
}

impl fmt::Debug for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One pin or more: the key of the server has to be one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins(Vec<SpkiPin>);

impl Pins {
    /// These; nothing if there is none, which would pin nothing.
    #[must_use]
    pub fn new(pins: Vec<SpkiPin>) -> Option<Self> {
        (!pins.is_empty()).then_some(Self(pins))
    }
}

impl TlsClient {
    /// TLS (HTTP/1.1) that trusts `roots` alone, and of their servers only those whose key is pinned.
    ///
    /// # Errors
    /// When rustls refuses the roots.
    pub fn pinned(roots: &TrustRoots, pins: Pins) -> Result<Self, TlsError> {
        let inner = WebPkiServerVerifier::builder_with_provider(
            Arc::clone(&roots.0),
            Arc::clone(&PROVIDER),
        )
        .build()
        .map_err(|_| TlsError::Roots)?;
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
            .with_protocol_versions(VERSIONS)
            .map_err(TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PinnedVerifier { inner, pins }))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Sessions are this client's own: none that is resumed began without the pins.
        config.resumption =
            Resumption::store(Arc::new(ClientSessionMemoryCache::new(CLIENT_SESSIONS_MAX)));
        Ok(Self(Arc::new(config)))
    }
}

/// The usual verifier, and the pins after it.
#[derive(Debug)]
struct PinnedVerifier {
    inner: Arc<WebPkiServerVerifier>,
    pins: Pins,
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        let pin = SpkiPin::of_certificate(end_entity);
        if pin.is_some_and(|pin| self.pins.0.contains(&pin)) {
            Ok(verified)
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
