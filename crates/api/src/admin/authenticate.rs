//! Who calls the admin API: the holder of the local administrator's key, proven in the TLS handshake.

use countersign_base::{Conditional, UnixTime};
use countersign_crypto::x509::CertificateThumbprint;
use countersign_net::Peer;

/// The one certificate that administers, until it expires or the process starts anew.
#[derive(Debug, Clone)]
pub struct AdministratorCredential {
    /// Its SHA-256 thumbprint.
    pub thumbprint: CertificateThumbprint,
    /// When it stops being accepted, whatever TLS thinks of it.
    pub not_after: UnixTime,
}

/// Evidence that the caller holds the administrator's key. Only [`AdministratorCredential::authenticate`] makes one.
#[derive(Debug)]
#[must_use]
pub(crate) struct Administrator(());

/// Why a caller is not the administrator. Absent, another one, and the right one too late are three cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAdministrator {
    /// The connection shows no certificate.
    Absent,
    /// The certificate is of another key.
    Differs,
    /// The certificate was the administrator's, and is over.
    Expired,
}

impl NotAdministrator {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "certificate_missing",
            Self::Differs => "certificate_unknown",
            Self::Expired => "certificate_expired",
        }
    }
}

impl AdministratorCredential {
    /// Compares the certificate that the peer proved with the administrator's.
    pub(crate) fn authenticate(
        &self,
        peer: &Peer,
        now: UnixTime,
    ) -> Result<Administrator, NotAdministrator> {
        let Conditional::Present(certificate) = peer else {
            return Err(NotAdministrator::Absent);
        };
        if certificate.thumbprint() != self.thumbprint {
            return Err(NotAdministrator::Differs);
        }
        if now >= self.not_after {
            return Err(NotAdministrator::Expired);
        }
        Ok(Administrator(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_base::{Duration, NoTls};
    use countersign_crypto::x509::PeerCertificate;
    use countersign_testkit::TestAuthority;

    #[test]
    fn only_the_administrators_own_certificate_administers() {
        let now = UnixTime(1_795_219_200);
        let authority = TestAuthority::new(now);
        let peer = |issued: &countersign_crypto::x509::IssuedCertificate| {
            Conditional::Present(PeerCertificate::from_der(issued.chain_der[0].clone()).unwrap())
        };
        let (own, other) = (
            peer(&authority.client("urn:countersign:administrator")),
            peer(&authority.client("urn:countersign:administrator")),
        );
        let Conditional::Present(certificate) = &own else {
            unreachable!()
        };
        let credential = AdministratorCredential {
            thumbprint: certificate.thumbprint(),
            not_after: now.plus(Duration::from_secs(60)),
        };

        assert!(credential.authenticate(&own, now).is_ok());
        assert_eq!(
            credential.authenticate(&other, now).unwrap_err(),
            NotAdministrator::Differs
        );
        assert_eq!(
            credential
                .authenticate(&Conditional::Absent(NoTls::NoCertificate), now)
                .unwrap_err(),
            NotAdministrator::Absent
        );
        assert_eq!(
            credential
                .authenticate(&own, now.plus(Duration::from_secs(60)))
                .unwrap_err(),
            NotAdministrator::Expired
        );
    }
}
