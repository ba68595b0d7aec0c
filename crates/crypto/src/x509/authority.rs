//! The development CA: ECDSA on P-256, short-lived certificates with DNS, IP and URI names (RFC 5280).

use super::X509Error;
use crate::random::Random;
use countersign_base::{Duration, Secret, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use std::fmt;
use std::net::IpAddr;

/// How long the CA's own certificate lives.
const CA_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How far before `now` validity begins, so that a peer whose clock lags accepts the certificate.
const SKEW: Duration = Duration::from_secs(5 * 60);
/// 9999-12-31T23:59:59Z, the last instant of X.509 (RFC 5280 §4.1.2.5).
const TIME_MAX: i64 = 253_402_300_799;

/// A certificate authority with its key.
pub struct CertificateAuthority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    random: Random,
}

/// What a certificate is for (RFC 5280 §4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateUsage {
    /// Server and client.
    Both,
    /// `clientAuth`.
    Client,
    /// `serverAuth`.
    Server,
}

/// What a new certificate shall say.
#[derive(Debug, Clone)]
pub struct CertificateRequest {
    /// DNS names.
    pub dns: Vec<String>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
    /// URIs: a SPIFFE id, for one.
    pub uris: Vec<String>,
    /// What it is for.
    pub usage: CertificateUsage,
    /// How long it is valid from now on.
    pub lifetime: Duration,
}

/// A certificate with its key.
pub struct IssuedCertificate {
    /// The certificate, in DER; the CA's is what the peer has.
    pub chain_der: Vec<Vec<u8>>,
    /// Its private key, PKCS#8 in DER.
    pub key_der: Secret<Vec<u8>>,
    /// When it expires.
    pub not_after: UnixTime,
}

impl CertificateAuthority {
    /// Makes a new CA with a self-signed certificate of ten years.
    ///
    /// # Errors
    /// When aws-lc cannot make a key, or `now` lies outside the years 1970 to 9989.
    pub fn generate(common_name: &str, random: &Random, now: UnixTime) -> Result<Self, X509Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| X509Error::Key)?;
        let mut params = CertificateParams::default();
        set_validity(&mut params, CA_LIFETIME, now)?;
        params.serial_number = Some(serial(random));
        params.distinguished_name = named(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params
            .self_signed(&key)
            .map_err(|_| X509Error::Signing)?
            .pem();
        Ok(Self {
            certificate_pem,
            issuer: Issuer::new(params, key),
            random: random.clone(),
        })
    }

    /// Takes up a CA that was stored: its certificate and its private key (PKCS#8), both in PEM.
    ///
    /// # Errors
    /// When one of them cannot be read, or the key is not the certificate's.
    pub fn from_pem(
        certificate_pem: &str,
        private_key_pem: &Secret<String>,
        random: &Random,
    ) -> Result<Self, X509Error> {
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(
            private_key_pem.expose(),
            &PKCS_ECDSA_P256_SHA256,
        )
        .map_err(|_| X509Error::Key)?;
        let (_, pem) = x509_parser::pem::parse_x509_pem(certificate_pem.as_bytes())
            .map_err(|_| X509Error::Certificate)?;
        let certificate = pem.parse_x509().map_err(|_| X509Error::Certificate)?;
        if *certificate.public_key().subject_public_key.data != *key.public_key_raw() {
            return Err(X509Error::Key);
        }
        let issuer =
            Issuer::from_ca_cert_pem(certificate_pem, key).map_err(|_| X509Error::Certificate)?;
        Ok(Self {
            certificate_pem: certificate_pem.to_owned(),
            issuer,
            random: random.clone(),
        })
    }

    /// The CA's certificate, in PEM: what peers are told to trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA's private key, PKCS#8 in PEM, for sealing.
    #[must_use]
    pub fn private_key_pem(&self) -> Secret<String> {
        Secret::new(self.issuer.key().serialize_pem())
    }

    /// Issues a certificate on a new key.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate, the lifetime is outside what X.509 can say, or aws-lc fails.
    pub fn issue(
        &self,
        request: &CertificateRequest,
        now: UnixTime,
    ) -> Result<IssuedCertificate, X509Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| X509Error::Key)?;
        let mut params = CertificateParams::default();
        let not_after = set_validity(&mut params, request.lifetime, now)?;
        params.serial_number = Some(serial(&self.random));
        params.distinguished_name = request
            .dns
            .first()
            .map_or_else(DistinguishedName::new, |name| named(name));
        params.subject_alt_names = alternative_names(request)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match request.usage {
            CertificateUsage::Both => vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            CertificateUsage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            CertificateUsage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        };
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|_| X509Error::Signing)?;
        Ok(IssuedCertificate {
            chain_der: vec![certificate.der().to_vec()],
            key_der: Secret::new(key.serialize_der()),
            not_after,
        })
    }
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateAuthority")
    }
}

impl fmt::Debug for IssuedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedCertificate")
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

fn set_validity(
    params: &mut CertificateParams,
    lifetime: Duration,
    now: UnixTime,
) -> Result<UnixTime, X509Error> {
    let not_after = now.plus(lifetime);
    if now.0 < 0 || not_after.0 <= now.0 || not_after.0 > TIME_MAX {
        return Err(X509Error::Lifetime);
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.minus(SKEW).since(UnixTime(0));
    params.not_after = epoch + not_after.since(UnixTime(0));
    Ok(not_after)
}

fn serial(random: &Random) -> SerialNumber {
    // 127 random bits: positive, never zero, and of fixed length (RFC 5280 §4.1.2.2).
    let number = u128::from_be_bytes(random.bytes()) >> 1 | 1 << 126;
    SerialNumber::from_slice(&number.to_be_bytes())
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn alternative_names(request: &CertificateRequest) -> Result<Vec<SanType>, X509Error> {
    let text = |name: &String| {
        name.as_str()
            .try_into()
            .map_err(|_| X509Error::Name(name.clone()))
    };
    let dns = request
        .dns
        .iter()
        .map(|name| text(name).map(SanType::DnsName));
    let uris = request.uris.iter().map(|name| text(name).map(SanType::URI));
    dns.chain(uris)
        .chain(request.ips.iter().map(|ip| Ok(SanType::IpAddress(*ip))))
        .collect()
}
