//! Certificates for tests: one authority, and what it issues.

use crate::seeded;
use countersign_base::{Duration, UnixTime};
use countersign_crypto::x509::{
    CertificateAuthority, CertificateRequest, CertificateUsage, IssuedCertificate,
};
use std::net::{IpAddr, Ipv4Addr};

/// An authority that a test trusts.
pub struct TestAuthority {
    authority: CertificateAuthority,
    now: UnixTime,
}

impl TestAuthority {
    /// A new authority whose certificates are valid around `now`.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a test without certificates has nothing to test"
    )]
    pub fn new(now: UnixTime) -> Self {
        let authority =
            CertificateAuthority::generate("countersign test authority", &seeded(1), now)
                .expect("an authority");
        Self { authority, now }
    }

    /// The certificate to trust, in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        self.authority.certificate_pem()
    }

    /// A server's certificate for `localhost` and 127.0.0.1.
    #[must_use]
    pub fn server(&self) -> IssuedCertificate {
        self.issue(&["localhost"], &[], CertificateUsage::Server)
    }

    /// A server's certificate for these names.
    #[must_use]
    pub fn server_for(&self, names: &[&str]) -> IssuedCertificate {
        self.issue(names, &[], CertificateUsage::Server)
    }

    /// A client's certificate that carries `uri`.
    #[must_use]
    pub fn client(&self, uri: &str) -> IssuedCertificate {
        self.issue(&[], &[uri], CertificateUsage::Client)
    }

    #[expect(
        clippy::expect_used,
        reason = "a test without certificates has nothing to test"
    )]
    fn issue(&self, dns: &[&str], uris: &[&str], usage: CertificateUsage) -> IssuedCertificate {
        let ips = if dns.is_empty() {
            Vec::new()
        } else {
            vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]
        };
        let request = CertificateRequest {
            dns: dns.iter().map(|name| (*name).to_owned()).collect(),
            ips,
            uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
            usage,
            lifetime: Duration::from_secs(86_400),
        };
        self.authority
            .issue(&request, self.now)
            .expect("a certificate")
    }
}
