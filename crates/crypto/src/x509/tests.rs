use super::{
    CertificateAuthority, CertificateRequest, CertificateUsage, PeerCertificate, X509Error,
};
use crate::random::Random;
use countersign_base::{Duration, Secret, UnixTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};

const NOW: UnixTime = UnixTime(1_780_000_000);

fn authority() -> CertificateAuthority {
    CertificateAuthority::generate("Countersign development CA", &Random::system(), NOW).unwrap()
}

fn request() -> CertificateRequest {
    CertificateRequest {
        dns: vec!["localhost".to_owned(), "*.example.test".to_owned()],
        ips: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        uris: vec!["spiffe://demo/billing".to_owned()],
        usage: CertificateUsage::Both,
        lifetime: Duration::from_secs(3600),
    }
}

fn ca_der(authority: &CertificateAuthority) -> Vec<u8> {
    x509_parser::pem::parse_x509_pem(authority.certificate_pem().as_bytes())
        .unwrap()
        .1
        .contents
}

#[test]
fn a_certificate_says_what_was_asked() {
    let authority = authority();
    let issued = authority.issue(&request(), NOW).unwrap();
    assert_eq!(issued.not_after, UnixTime(NOW.0 + 3600));
    assert_eq!(issued.chain_der.len(), 1);
    let (_, leaf) = X509Certificate::from_der(&issued.chain_der[0]).unwrap();
    let ca = ca_der(&authority);
    let (_, ca) = X509Certificate::from_der(&ca).unwrap();
    leaf.verify_signature(Some(ca.public_key())).unwrap();
    assert_eq!(leaf.issuer(), ca.subject());
    assert_eq!(leaf.validity().not_before.timestamp(), NOW.0 - 300);
    assert_eq!(leaf.validity().not_after.timestamp(), NOW.0 + 3600);
    let usage = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.server_auth && usage.client_auth);
    assert!(!leaf.is_ca() && ca.is_ca());
    assert_eq!(
        leaf.subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names
            .len(),
        5
    );

    let peer = PeerCertificate::from_der(issued.chain_der[0].clone()).unwrap();
    assert_eq!(peer.dns_sans(), ["localhost", "*.example.test"]);
    assert_eq!(peer.uri_sans(), ["spiffe://demo/billing"]);
    assert_eq!(
        peer.thumbprint().as_bytes(),
        &crate::digest::sha256(&issued.chain_der[0])
    );
}

#[test]
fn usage_is_not_wider_than_asked() {
    let check = |usage, server: bool, client: bool| {
        let issued = authority()
            .issue(&CertificateRequest { usage, ..request() }, NOW)
            .unwrap();
        let (_, leaf) = X509Certificate::from_der(&issued.chain_der[0]).unwrap();
        let usage = leaf.extended_key_usage().unwrap().unwrap().value;
        assert_eq!((usage.server_auth, usage.client_auth), (server, client));
    };
    check(CertificateUsage::Client, false, true);
    check(CertificateUsage::Server, true, false);
}

#[test]
fn serials_differ_and_are_positive() {
    let authority = authority();
    let serial = || {
        let issued = authority.issue(&request(), NOW).unwrap();
        let (_, leaf) = X509Certificate::from_der(&issued.chain_der[0]).unwrap();
        leaf.raw_serial().to_vec()
    };
    let (one, two) = (serial(), serial());
    assert_ne!(one, two);
    assert!(one.len() == 16 && one[0] & 0x80 == 0 && one[0] & 0x40 != 0);
}

#[test]
fn a_stored_authority_goes_on() {
    let first = authority();
    let again = CertificateAuthority::from_pem(
        first.certificate_pem(),
        &first.private_key_pem(),
        &Random::system(),
    )
    .unwrap();
    assert_eq!(again.certificate_pem(), first.certificate_pem());
    let issued = again.issue(&request(), NOW).unwrap();
    let (_, leaf) = X509Certificate::from_der(&issued.chain_der[0]).unwrap();
    let ca = ca_der(&first);
    let (_, ca) = X509Certificate::from_der(&ca).unwrap();
    leaf.verify_signature(Some(ca.public_key())).unwrap();
    assert_eq!(leaf.issuer(), ca.subject());
    let other = authority();
    let refused = |certificate: &str, key: &Secret<String>| {
        CertificateAuthority::from_pem(certificate, key, &Random::system()).unwrap_err()
    };
    assert_eq!(
        refused(first.certificate_pem(), &other.private_key_pem()),
        X509Error::Key
    );
    assert_eq!(
        refused("nonsense", &first.private_key_pem()),
        X509Error::Certificate
    );
    assert_eq!(
        refused(first.certificate_pem(), &Secret::new("nonsense".to_owned())),
        X509Error::Key
    );
}

#[test]
fn what_a_certificate_cannot_say_is_refused() {
    let authority = authority();
    let refused = |request: CertificateRequest, now| authority.issue(&request, now).unwrap_err();
    let bad_name = CertificateRequest {
        dns: vec!["büro.example".to_owned()],
        ..request()
    };
    assert_eq!(
        refused(bad_name, NOW),
        X509Error::Name("büro.example".to_owned())
    );
    let endless = CertificateRequest {
        lifetime: Duration::MAX,
        ..request()
    };
    assert_eq!(refused(endless, NOW), X509Error::Lifetime);
    let nothing = CertificateRequest {
        lifetime: Duration::ZERO,
        ..request()
    };
    assert_eq!(refused(nothing, NOW), X509Error::Lifetime);
    assert_eq!(refused(request(), UnixTime(-1)), X509Error::Lifetime);
    assert!(authority.issue(&request(), NOW).is_ok());
    assert!(
        authority
            .issue(
                &CertificateRequest {
                    dns: vec![],
                    ..request()
                },
                UnixTime(0)
            )
            .is_ok()
    );
}

#[test]
fn what_is_no_certificate_is_refused() {
    let der = authority()
        .issue(&request(), NOW)
        .unwrap()
        .chain_der
        .remove(0);
    assert!(PeerCertificate::from_der(der.clone()).is_ok());
    assert!(PeerCertificate::from_der([der.as_slice(), &[0]].concat()).is_err());
    assert!(PeerCertificate::from_der(der[..der.len() - 1].to_vec()).is_err());
    assert!(PeerCertificate::from_der(vec![]).is_err());
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", authority()), "CertificateAuthority");
    let issued = authority().issue(&request(), NOW).unwrap();
    assert_eq!(
        format!("{issued:?}"),
        format!(
            "IssuedCertificate {{ not_after: UnixTime({}), .. }}",
            NOW.0 + 3600
        )
    );
}
