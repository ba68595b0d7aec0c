use super::*;
use countersign_base::Duration;
use countersign_crypto::Random;
use countersign_crypto::x509::{CertificateAuthority, CertificateRequest, CertificateUsage};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn certificate(dns: &[&str], ips: &[&str], uris: &[&str]) -> PeerCertificate {
    let authority = CertificateAuthority::generate("test", &Random::system(), NOW).unwrap();
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let request = CertificateRequest {
        dns: owned(dns),
        ips: ips.iter().map(|address| address.parse().unwrap()).collect(),
        uris: owned(uris),
        usage: CertificateUsage::Client,
        lifetime: Duration::from_secs(3_600),
    };
    let issued = authority.issue(&request, NOW).unwrap();
    PeerCertificate::from_der(issued.chain_der.into_iter().next().unwrap()).unwrap()
}

fn subject(text: &str) -> TlsSubject {
    text.parse().unwrap()
}

#[test]
fn g39_a_name_of_one_type_is_none_of_another() {
    const SPIFFE: &str = "spiffe://example/billing";
    let uri = TlsSubject::Uri(Bounded::parse("billing.example").unwrap());
    let email = TlsSubject::Email(Bounded::parse("billing.example").unwrap());
    let dns_of_uri = TlsSubject::Dns(Bounded::parse(SPIFFE).unwrap());
    let dns_of_ip = TlsSubject::Dns(Bounded::parse("192.0.2.1").unwrap());
    let uri_of_ip = TlsSubject::Uri(Bounded::parse("192.0.2.1").unwrap());
    let by_dns = certificate(&["billing.example"], &[], &[]);
    let by_uri = certificate(&[], &[], &[SPIFFE]);
    let by_ip = certificate(&[], &["192.0.2.1"], &[]);
    for (wrong, right, certificate) in [
        (uri, subject("dns:billing.example"), &by_dns),
        (email, subject("dns:Billing.Example"), &by_dns),
        (
            subject("dn:CN=192.0.2.1"),
            subject("dns:billing.example"),
            &by_dns,
        ),
        (dns_of_uri, subject("uri:spiffe://example/billing"), &by_uri),
        (
            subject("uri:spiffe://example/Billing"),
            subject("uri:spiffe://example/billing"),
            &by_uri,
        ),
        (dns_of_ip, subject("ip:192.0.2.1"), &by_ip),
        (uri_of_ip, subject("ip:192.0.2.1"), &by_ip),
        (subject("ip:192.0.2.2"), subject("ip:192.0.2.1"), &by_ip),
    ] {
        assert!(!wrong.is_of(certificate), "{wrong:?}");
        assert!(right.is_of(certificate), "{right:?}");
    }
    // A name in the certificate is a name, not a pattern.
    let wildcard = certificate(&["*.example"], &[], &[]);
    assert!(!subject("dns:billing.example").is_of(&wildcard));
    assert!(subject("dns:*.example").is_of(&wildcard));
}
