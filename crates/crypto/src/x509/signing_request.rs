//! Certificate signing requests (PKCS#10, RFC 2986): read, with their own signature checked.
//!
//! What a request says is a wish. All names in it are given out, so that somebody can judge every one of them; a request that holds a name of a kind that cannot
//! be given out is refused as a whole, because what nobody judged must not be signed.

use super::{AlternativeNames, Subject};
use crate::digest::HashAlgorithm;
use crate::keypair::{EcdsaForm, KeyPairAlgorithm, PublicKey, SignatureScheme, Signed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The longest request that is read.
const DER_BYTES_MAX: usize = 32 * 1024;
/// Names in one request.
const NAMES_MAX: usize = 256;

/// A request whose sender holds the key in it.
#[derive(Debug, Clone)]
pub struct SigningRequest {
    key: PublicKey,
    subject: Subject,
    names: AlternativeNames,
}

/// Why a request is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningRequestFlaw {
    /// It asks to become an authority.
    #[error("the request asks for the certificate of an authority")]
    Authority,
    /// Its key is of a kind or size that is not certified.
    #[error(
        "the key of the request is not EC (P-256, P-384, P-521), Ed25519 or RSA of 2048, 3072 or 4096 bits"
    )]
    Key,
    /// It is no request.
    #[error("the certificate signing request cannot be read")]
    Malformed,
    /// It asks for a name of a kind that is not issued, or for too many.
    #[error("the request holds a name of a kind that is not issued, or too many names")]
    Name,
    /// It is not signed with its own key.
    #[error("the request is not signed with the key that it holds")]
    Signature,
}

impl SigningRequest {
    /// Reads a request in PEM.
    ///
    /// # Errors
    /// [`SigningRequestFlaw`] says what is wrong with it.
    pub fn from_pem(text: &str) -> Result<Self, SigningRequestFlaw> {
        if text.len() > 2 * DER_BYTES_MAX {
            return Err(SigningRequestFlaw::Malformed);
        }
        let (_, pem) = x509_parser::pem::parse_x509_pem(text.trim_start().as_bytes())
            .map_err(|_| SigningRequestFlaw::Malformed)?;
        match pem.label.as_str() {
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Self::from_der(&pem.contents),
            _ => Err(SigningRequestFlaw::Malformed),
        }
    }

    /// Reads a request in DER.
    ///
    /// # Errors
    /// As [`Self::from_pem`].
    pub fn from_der(der: &[u8]) -> Result<Self, SigningRequestFlaw> {
        if der.len() > DER_BYTES_MAX {
            return Err(SigningRequestFlaw::Malformed);
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| SigningRequestFlaw::Malformed)?;
        if !rest.is_empty() {
            return Err(SigningRequestFlaw::Malformed);
        }
        let info = &request.certification_request_info;
        let spki = info.subject_pki.raw;
        let key = KeyPairAlgorithm::ALL
            .into_iter()
            .find_map(|algorithm| PublicKey::from_spki(algorithm, spki).ok())
            .ok_or(SigningRequestFlaw::Key)?;
        let scheme = scheme(&request.signature_algorithm.algorithm.to_id_string())
            .ok_or(SigningRequestFlaw::Signature)?;
        let _matches = key
            .verify(
                scheme,
                Signed::Message(info.raw),
                &request.signature_value.data,
            )
            .map_err(|_| SigningRequestFlaw::Signature)?;
        Ok(Self {
            key,
            subject: subject(&info.subject)?,
            names: names(&request)?,
        })
    }

    /// The key, which the sender holds.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The subject that is asked for.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Every name that is asked for, beside the subject.
    #[must_use]
    pub const fn names(&self) -> &AlternativeNames {
        &self.names
    }
}

/// SHA-1 and MD5 are not among them, nor PSS, which no client asks with.
fn scheme(oid: &str) -> Option<SignatureScheme> {
    let ecdsa = |hash| SignatureScheme::Ecdsa {
        hash,
        form: EcdsaForm::Asn1,
    };
    let rsa = |hash| SignatureScheme::RsaPkcs1v15 { hash };
    Some(match oid {
        "1.2.840.10045.4.3.2" => ecdsa(HashAlgorithm::Sha2_256),
        "1.2.840.10045.4.3.3" => ecdsa(HashAlgorithm::Sha2_384),
        "1.2.840.10045.4.3.4" => ecdsa(HashAlgorithm::Sha2_512),
        "1.2.840.113549.1.1.11" => rsa(HashAlgorithm::Sha2_256),
        "1.2.840.113549.1.1.12" => rsa(HashAlgorithm::Sha2_384),
        "1.2.840.113549.1.1.13" => rsa(HashAlgorithm::Sha2_512),
        "1.3.101.112" => SignatureScheme::Ed25519,
        _ => return None,
    })
}

fn subject(name: &X509Name<'_>) -> Result<Subject, SigningRequestFlaw> {
    fn first<'a>(
        mut values: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
    ) -> Result<Option<String>, SigningRequestFlaw> {
        let text = values
            .next()
            .map(|value| value.as_str().map(str::to_owned))
            .transpose()
            .map_err(|_| SigningRequestFlaw::Name)?;
        Ok(text.filter(|text| !text.is_empty()))
    }
    // Two common names are one that is judged and one that is not.
    if name.iter_common_name().count() > 1 {
        return Err(SigningRequestFlaw::Name);
    }
    Ok(Subject {
        common_name: first(name.iter_common_name())?,
        country: first(name.iter_country())?,
        locality: first(name.iter_locality())?,
        organization: first(name.iter_organization())?,
        organizational_unit: first(name.iter_organizational_unit())?,
        province: first(name.iter_state_or_province())?,
    })
}

fn names(request: &X509CertificationRequest<'_>) -> Result<AlternativeNames, SigningRequestFlaw> {
    let mut found = AlternativeNames::default();
    let mut count = 0usize;
    for attribute in request.certification_request_info.iter_attributes() {
        let ParsedCriAttribute::ExtensionRequest(requested) = attribute.parsed_attribute() else {
            continue;
        };
        for extension in &requested.extensions {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(constraints) if constraints.ca => {
                    return Err(SigningRequestFlaw::Authority);
                }
                ParsedExtension::ParseError { .. } => return Err(SigningRequestFlaw::Malformed),
                ParsedExtension::SubjectAlternativeName(names) => {
                    count = count.saturating_add(names.general_names.len());
                    if count > NAMES_MAX {
                        return Err(SigningRequestFlaw::Name);
                    }
                    for name in &names.general_names {
                        take(name, &mut found)?;
                    }
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

fn take(name: &GeneralName<'_>, found: &mut AlternativeNames) -> Result<(), SigningRequestFlaw> {
    match name {
        GeneralName::DNSName(name) => found.dns.push((*name).to_owned()),
        GeneralName::IPAddress(octets) => found.ips.push(address(octets)?),
        GeneralName::RFC822Name(name) => found.emails.push((*name).to_owned()),
        GeneralName::URI(name) => found.uris.push((*name).to_owned()),
        _ => return Err(SigningRequestFlaw::Name),
    }
    Ok(())
}

fn address(octets: &[u8]) -> Result<IpAddr, SigningRequestFlaw> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    let v6 = <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into());
    v4.or(v6).map_err(|_| SigningRequestFlaw::Name)
}
