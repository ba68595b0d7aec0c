//! Certificates by template: what an authority of a caller of the vault signs with a key that is one of its mount's (RFC 5280).
//!
//! A template says everything that the certificate will hold; nothing is taken over from a request by itself. Who may have which names is not decided here.
//!
//! Not here: path validation, and reading of requests ([`super::SigningRequest`]).

use super::{AlternativeNames, X509Error};
use crate::keypair::{KeyPair, KeyPairAlgorithm, PublicKey, pem};
use crate::random::Random;
use countersign_base::{Duration, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, SubjectPublicKeyInfo,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use std::fmt;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// 9999-12-31T23:59:59Z, the last instant of X.509 (RFC 5280 §4.1.2.5).
const TIME_MAX: i64 = 253_402_300_799;
/// `id-pe-authorityInfoAccess` (RFC 5280 §4.2.2.1).
const AUTHORITY_INFO_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
/// `id-ad-caIssuers` and `id-ad-ocsp`, as DER.
const CA_ISSUERS: &[u8] = &[0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
const OCSP: &[u8] = &[0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 0x30, 1];

/// A serial number: 20 octets, the longest there is, of which 158 bits are random (RFC 5280 §4.1.2.2). Written in hex with colons between octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 20]);

impl Serial {
    /// Draws one.
    #[must_use]
    pub fn new(random: &Random) -> Self {
        let mut octets: [u8; 20] = random.bytes();
        if let Some(first) = octets.first_mut() {
            // Positive, never zero, and of one length.
            *first = *first & 0x7f | 0x40;
        }
        Self(octets)
    }

    /// The number of a certificate in DER, if it is one of this form.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        parsed.raw_serial().try_into().ok().map(Self)
    }

    /// Reads one as it is written, in either case, with colons or hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut octets = [0; 20];
        let mut parts = text.split([':', '-']);
        for octet in &mut octets {
            let part = parts.next()?;
            let hex = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            *octet = u8::from_str_radix(part, 16).ok().filter(|_| hex)?;
        }
        parts.next().is_none().then_some(Self(octets))
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, octet) in self.0.iter().enumerate() {
            let colon = if place == 0 { "" } else { ":" };
            write!(f, "{colon}{octet:02x}")?;
        }
        Ok(())
    }
}

/// The subject of a certificate. Each attribute at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// `CN`.
    pub common_name: Option<String>,
    /// `C`.
    pub country: Option<String>,
    /// `L`.
    pub locality: Option<String>,
    /// `O`.
    pub organization: Option<String>,
    /// `OU`.
    pub organizational_unit: Option<String>,
    /// `ST`.
    pub province: Option<String>,
}

/// What the key may be used for (RFC 5280 §4.2.1.3). What authorities do is not among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub enum LeafKeyUsage {
    /// `contentCommitment`.
    ContentCommitment,
    /// `dataEncipherment`.
    DataEncipherment,
    /// `digitalSignature`.
    DigitalSignature,
    /// `keyAgreement`.
    KeyAgreement,
    /// `keyEncipherment`.
    KeyEncipherment,
}

/// What the certificate is for (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub enum Purpose {
    /// `clientAuth`.
    ClientAuth,
    /// `codeSigning`.
    CodeSigning,
    /// `emailProtection`.
    EmailProtection,
    /// `serverAuth`.
    ServerAuth,
}

/// Whether the certificate signs others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// An authority, with at most so many authorities below it.
    Authority(Option<u8>),
    /// No authority.
    Leaf {
        /// For what the key may be used; nothing said when it is empty.
        key_usages: Vec<LeafKeyUsage>,
        /// What it is for; nothing said when it is empty.
        purposes: Vec<Purpose>,
    },
}

/// Where to find out more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locations {
    /// Revocation lists.
    pub revocation_lists: Vec<String>,
    /// The issuer's certificate.
    pub issuers: Vec<String>,
    /// OCSP responders.
    pub responders: Vec<String>,
}

/// All that a certificate is to say.
#[derive(Debug, Clone)]
pub struct Template {
    /// Its number.
    pub serial: Serial,
    /// Whose it is.
    pub subject: Subject,
    /// Its names.
    pub names: AlternativeNames,
    /// Whether it signs others, else what it is for.
    pub standing: Standing,
    /// When it begins.
    pub not_before: UnixTime,
    /// When it ends.
    pub not_after: UnixTime,
    /// Where to find out more.
    pub locations: Locations,
}

/// A certificate that is no longer to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Its number.
    pub serial: Serial,
    /// Since when.
    pub since: UnixTime,
}

/// An authority with its key.
pub struct IssuingAuthority {
    issuer: Issuer<'static, rcgen::KeyPair>,
    key_id: Option<Vec<u8>>,
    not_after: UnixTime,
    path_length: Option<u32>,
}

impl IssuingAuthority {
    /// The self-signed certificate of a new root, in DER.
    ///
    /// # Errors
    /// When the template says what X.509 cannot, or signing fails.
    pub fn self_signed(key: &KeyPair, template: &Template) -> Result<Vec<u8>, X509Error> {
        let certificate = params(template)?
            .self_signed(&signing(key)?)
            .map_err(|_| X509Error::Signing)?;
        Ok(certificate.der().to_vec())
    }

    /// A request for the certificate of an authority that another one signs, in PEM (RFC 2986).
    ///
    /// # Errors
    /// As [`Self::self_signed`].
    pub fn request(key: &KeyPair, subject: &Subject) -> Result<String, X509Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(subject);
        params
            .serialize_request(&signing(key)?)
            .and_then(|request| request.pem())
            .map_err(|_| X509Error::Signing)
    }

    /// Takes up an authority: its certificate in DER and its key.
    ///
    /// # Errors
    /// [`X509Error::Certificate`] when it is no certificate of an authority that may sign others; [`X509Error::Key`] when the key is another's.
    pub fn open(certificate: &[u8], key: &KeyPair) -> Result<Self, X509Error> {
        let (rest, parsed) =
            X509Certificate::from_der(certificate).map_err(|_| X509Error::Certificate)?;
        let may_sign = parsed.key_usage().is_ok_and(|usage| {
            usage.is_some_and(|usage| usage.value.key_cert_sign() && usage.value.crl_sign())
        });
        if !rest.is_empty() || !parsed.is_ca() || !may_sign {
            return Err(X509Error::Certificate);
        }
        let own = key.public_key().map_err(|_| X509Error::Key)?;
        if parsed.public_key().raw != own.spki() {
            return Err(X509Error::Key);
        }
        let key_id =
            parsed
                .iter_extensions()
                .find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                    _ => None,
                });
        let path_length = parsed
            .basic_constraints()
            .ok()
            .flatten()
            .and_then(|constraints| constraints.value.path_len_constraint);
        let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(certificate), signing(key)?)
            .map_err(|_| X509Error::Certificate)?;
        Ok(Self {
            issuer,
            key_id,
            not_after: UnixTime(parsed.validity().not_after.timestamp()),
            path_length,
        })
    }

    /// When its own certificate ends.
    #[must_use]
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// How many authorities may stand between it and a leaf, if that is bounded.
    #[must_use]
    pub const fn path_length(&self) -> Option<u32> {
        self.path_length
    }

    /// Signs a certificate for a key; DER.
    ///
    /// # Errors
    /// [`X509Error::Lifetime`] also when it would outlive the authority's own; else as [`Self::self_signed`].
    pub fn issue(&self, template: &Template, key: &PublicKey) -> Result<Vec<u8>, X509Error> {
        if template.not_after > self.not_after {
            return Err(X509Error::Lifetime);
        }
        let mut params = params(template)?;
        params.use_authority_key_identifier_extension = true;
        let key = SubjectPublicKeyInfo::from_der(key.spki()).map_err(|_| X509Error::Key)?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|_| X509Error::Signing)?;
        Ok(certificate.der().to_vec())
    }

    /// Signs a revocation list (RFC 5280 §5); DER.
    ///
    /// # Errors
    /// As [`Self::self_signed`].
    pub fn revocation_list(
        &self,
        number: u64,
        revoked: &[Revoked],
        lasts: Duration,
        now: UnixTime,
    ) -> Result<Vec<u8>, X509Error> {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let revoked_certs = revoked
            .iter()
            .map(|one| {
                Ok(RevokedCertParams {
                    serial_number: SerialNumber::from_slice(&one.serial.0),
                    revocation_time: epoch + elapsed(one.since)?,
                    reason_code: None,
                    invalidity_date: None,
                })
            })
            .collect::<Result<_, X509Error>>()?;
        let list = CertificateRevocationListParams {
            this_update: epoch + elapsed(now)?,
            next_update: epoch + elapsed(now.plus(lasts))?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: self
                .key_id
                .clone()
                .map_or(KeyIdMethod::Sha256, KeyIdMethod::PreSpecified),
        };
        let signed = list
            .signed_by(&self.issuer)
            .map_err(|_| X509Error::Signing)?;
        Ok(signed.der().to_vec())
    }
}

impl fmt::Debug for IssuingAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuingAuthority")
    }
}

/// A certificate in PEM.
#[must_use]
pub fn certificate_pem(der: &[u8]) -> String {
    pem("CERTIFICATE", der).expose().clone()
}

/// A revocation list in PEM.
#[must_use]
pub fn revocation_list_pem(der: &[u8]) -> String {
    pem("X509 CRL", der).expose().clone()
}

fn params(template: &Template) -> Result<CertificateParams, X509Error> {
    if template.not_after <= template.not_before {
        return Err(X509Error::Lifetime);
    }
    let mut params = CertificateParams::default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + elapsed(template.not_before)?;
    params.not_after = epoch + elapsed(template.not_after)?;
    params.serial_number = Some(SerialNumber::from_slice(&template.serial.0));
    params.distinguished_name = named(&template.subject);
    params.subject_alt_names = alternative_names(&template.names)?;
    match &template.standing {
        Standing::Authority(length) => {
            params.is_ca = IsCa::Ca(match length {
                Some(length) => BasicConstraints::Constrained(*length),
                None => BasicConstraints::Unconstrained,
            });
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }
        Standing::Leaf {
            key_usages,
            purposes,
        } => {
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = key_usages.iter().copied().map(key_usage).collect();
            params.extended_key_usages = purposes.iter().copied().map(purpose).collect();
        }
    }
    let locations = &template.locations;
    if !locations.revocation_lists.is_empty() {
        params.crl_distribution_points = vec![CrlDistributionPoint {
            uris: locations.revocation_lists.clone(),
        }];
    }
    params
        .custom_extensions
        .extend(information_access(locations)?);
    Ok(params)
}

const fn key_usage(usage: LeafKeyUsage) -> KeyUsagePurpose {
    match usage {
        LeafKeyUsage::ContentCommitment => KeyUsagePurpose::ContentCommitment,
        LeafKeyUsage::DataEncipherment => KeyUsagePurpose::DataEncipherment,
        LeafKeyUsage::DigitalSignature => KeyUsagePurpose::DigitalSignature,
        LeafKeyUsage::KeyAgreement => KeyUsagePurpose::KeyAgreement,
        LeafKeyUsage::KeyEncipherment => KeyUsagePurpose::KeyEncipherment,
    }
}

const fn purpose(purpose: Purpose) -> ExtendedKeyUsagePurpose {
    match purpose {
        Purpose::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
        Purpose::CodeSigning => ExtendedKeyUsagePurpose::CodeSigning,
        Purpose::EmailProtection => ExtendedKeyUsagePurpose::EmailProtection,
        Purpose::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
    }
}

fn named(subject: &Subject) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    let attributes = [
        (DnType::CountryName, &subject.country),
        (DnType::StateOrProvinceName, &subject.province),
        (DnType::LocalityName, &subject.locality),
        (DnType::OrganizationName, &subject.organization),
        (DnType::OrganizationalUnitName, &subject.organizational_unit),
        (DnType::CommonName, &subject.common_name),
    ];
    for (attribute, value) in attributes {
        if let Some(value) = value {
            name.push(attribute, value.as_str());
        }
    }
    name
}

fn alternative_names(names: &AlternativeNames) -> Result<Vec<SanType>, X509Error> {
    let text = |name: &String| {
        name.as_str()
            .try_into()
            .map_err(|_| X509Error::Name(name.clone()))
    };
    let dns = names
        .dns
        .iter()
        .map(|name| text(name).map(SanType::DnsName));
    let emails = names
        .emails
        .iter()
        .map(|name| text(name).map(SanType::Rfc822Name));
    let uris = names.uris.iter().map(|name| text(name).map(SanType::URI));
    let ips = names.ips.iter().map(|ip| Ok(SanType::IpAddress(*ip)));
    dns.chain(emails).chain(uris).chain(ips).collect()
}

/// What has passed since 1970, if X.509 can say the instant.
fn elapsed(time: UnixTime) -> Result<Duration, X509Error> {
    if time.0 < 0 || time.0 > TIME_MAX {
        return Err(X509Error::Lifetime);
    }
    Ok(time.since(UnixTime(0)))
}

fn information_access(locations: &Locations) -> Result<Option<CustomExtension>, X509Error> {
    let mut body = Vec::new();
    let kinds = [
        (OCSP, &locations.responders),
        (CA_ISSUERS, &locations.issuers),
    ];
    for (method, uris) in kinds {
        for uri in uris {
            let place = element(0x86, uri.as_bytes())?;
            body.extend(element(0x30, &[method, &place].concat())?);
        }
    }
    if body.is_empty() {
        return Ok(None);
    }
    let content = element(0x30, &body)?;
    Ok(Some(CustomExtension::from_oid_content(
        AUTHORITY_INFO_ACCESS,
        content,
    )))
}

/// One element of DER (X.690 §8.1) of less than 64 KiB.
fn element(tag: u8, content: &[u8]) -> Result<Vec<u8>, X509Error> {
    let length = u16::try_from(content.len()).map_err(|_| X509Error::Signing)?;
    let [high, low] = length.to_be_bytes();
    let mut der = vec![tag];
    match (high, low) {
        (0, 0..=0x7f) => der.push(low),
        (0, _) => der.extend([0x81, low]),
        (_, _) => der.extend([0x82, high, low]),
    }
    der.extend_from_slice(content);
    Ok(der)
}

fn signing(key: &KeyPair) -> Result<rcgen::KeyPair, X509Error> {
    let algorithm = match key.algorithm() {
        KeyPairAlgorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyPairAlgorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyPairAlgorithm::EcdsaP521 => &rcgen::PKCS_ECDSA_P521_SHA512,
        KeyPairAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
        KeyPairAlgorithm::Rsa2048 | KeyPairAlgorithm::Rsa3072 | KeyPairAlgorithm::Rsa4096 => {
            &rcgen::PKCS_RSA_SHA256
        }
    };
    let pkcs8 = key.to_pkcs8().map_err(|_| X509Error::Key)?;
    let der = PrivatePkcs8KeyDer::from(pkcs8.expose().as_slice());
    rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, algorithm).map_err(|_| X509Error::Key)
}
