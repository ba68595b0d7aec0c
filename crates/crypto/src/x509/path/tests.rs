//! Each flaw beside the path without it. Certificates come from `rcgen`, so that authorities can be made that we would not make.

use super::{PeerCertificate, TrustAnchors};
use countersign_base::{Duration, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};

const NOW: UnixTime = UnixTime(1_780_000_000);
const HOUR: u64 = 3600;

struct Authority {
    pem: String,
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

fn times(params: &mut CertificateParams, from: UnixTime, until: UnixTime) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + from.since(UnixTime(0));
    params.not_after = epoch + until.since(UnixTime(0));
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let day = Duration::from_secs(24 * HOUR);
    times(&mut params, NOW.minus(day), NOW.plus(day));
    params
}

fn root(name: &str) -> Authority {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let params = authority_params(name);
    let certificate = params.self_signed(&key).unwrap();
    Authority {
        pem: certificate.pem(),
        der: certificate.der().to_vec(),
        issuer: Issuer::new(params, key),
    }
}

/// An authority under another, with a change.
fn below(above: &Authority, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Authority {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = authority_params(name);
    change(&mut params);
    let certificate = params.signed_by(&key, &above.issuer).unwrap();
    Authority {
        pem: certificate.pem(),
        der: certificate.der().to_vec(),
        issuer: Issuer::new(params, key),
    }
}

/// A client's certificate under an authority, with a change; its DER.
fn leaf(above: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::new(vec!["billing.example".to_owned()]).unwrap();
    params.is_ca = IsCa::ExplicitNoCa;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let hour = Duration::from_secs(HOUR);
    times(&mut params, NOW.minus(hour), NOW.plus(hour));
    change(&mut params);
    let certificate = params.signed_by(&key, &above.issuer).unwrap();
    certificate.der().to_vec()
}

fn trusting(authority: &Authority) -> TrustAnchors {
    TrustAnchors::from_pem(authority.pem.as_bytes()).unwrap()
}

fn trusted_at(
    anchors: &TrustAnchors,
    leaf: Vec<u8>,
    intermediates: &[&Authority],
    now: UnixTime,
) -> bool {
    let sent = intermediates.iter().map(|between| between.der.clone());
    let certificate = PeerCertificate::from_chain(leaf, sent.collect()).unwrap();
    anchors.verify(&certificate, now).is_ok()
}

fn trusted(anchors: &TrustAnchors, leaf: Vec<u8>, intermediates: &[&Authority]) -> bool {
    trusted_at(anchors, leaf, intermediates, NOW)
}

#[test]
fn a_path_leads_to_an_authority_that_is_trusted_and_to_no_other() {
    let (ours, theirs) = (root("ours"), root("theirs"));
    let certificate = leaf(&ours, |_| {});
    assert!(trusted(&trusting(&ours), certificate.clone(), &[]));
    assert!(!trusted(&trusting(&theirs), certificate.clone(), &[]));
    assert!(!trusted(&TrustAnchors::default(), certificate.clone(), &[]));
    // One of several, whichever comes first.
    let both = format!("{}{}", theirs.pem, ours.pem);
    let both = TrustAnchors::from_pem(both.as_bytes()).unwrap();
    assert!(trusted(&both, certificate, &[]));
    // The name of our authority under another key is another authority.
    let impostor = root("ours");
    assert!(!trusted(&trusting(&ours), leaf(&impostor, |_| {}), &[]));
}

#[test]
fn intermediates_are_believed_for_what_their_authority_says() {
    let ours = root("ours");
    let anchors = trusting(&ours);
    let between = below(&ours, "between", |_| {});
    let certificate = leaf(&between, |_| {});
    assert!(trusted(&anchors, certificate.clone(), &[&between]));
    assert!(!trusted(&anchors, certificate, &[]), "it was not sent");
    type Change = fn(&mut CertificateParams);
    let flaws: [(&str, Change); 4] = [
        ("no authority", |params| params.is_ca = IsCa::ExplicitNoCa),
        ("may not sign certificates", |params| {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        }),
        ("over", |params| {
            let hour = Duration::from_secs(HOUR);
            times(params, NOW.minus(hour), NOW.minus(Duration::from_secs(1)));
        }),
        ("for another domain", |params| {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName("other.example".to_owned())],
                excluded_subtrees: Vec::new(),
            });
        }),
    ];
    for (flaw, change) in flaws {
        let between = below(&ours, "between", change);
        let certificate = leaf(&between, |_| {});
        assert!(!trusted(&anchors, certificate, &[&between]), "{flaw}");
    }
    let limited = below(&ours, "limited", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    assert!(trusted(&anchors, leaf(&limited, |_| {}), &[&limited]));
    let further = below(&limited, "further", |_| {});
    let too_long = leaf(&further, |_| {});
    assert!(!trusted(&anchors, too_long, &[&further, &limited]));
    // A client that signs for others with its own certificate.
    let client = below(&ours, "client", |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    assert!(!trusted(&anchors, leaf(&client, |_| {}), &[&client]));
}

#[test]
fn a_certificate_is_for_clients_and_for_now() {
    let ours = root("ours");
    let anchors = trusting(&ours);
    let server = leaf(&ours, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert!(!trusted(&anchors, server, &[]));
    let both = leaf(&ours, |params| {
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
    });
    assert!(trusted(&anchors, both, &[]));
    let certificate = leaf(&ours, |_| {});
    let hour = Duration::from_secs(HOUR);
    let second = Duration::from_secs(1);
    let cases = [
        (NOW.minus(hour), true),
        (NOW.minus(hour).minus(second), false),
        (NOW.plus(hour), true),
        (NOW.plus(hour).plus(second), false),
        (UnixTime(-1), false),
    ];
    for (now, expected) in cases {
        let found = trusted_at(&anchors, certificate.clone(), &[], now);
        assert_eq!(found, expected, "{now:?}");
    }
}

#[test]
fn a_changed_certificate_is_nobodys() {
    let ours = root("ours");
    let anchors = trusting(&ours);
    let certificate = leaf(&ours, |_| {});
    assert!(trusted(&anchors, certificate.clone(), &[]));
    // The host name, in a certificate that still reads well.
    let name = b"billing.example";
    let at = certificate
        .windows(name.len())
        .position(|window| window == name)
        .unwrap();
    let mut changed = certificate;
    changed[at] = b'B';
    assert!(!trusted(&anchors, changed, &[]));
}

#[test]
fn authorities_are_read_whole_or_not_at_all() {
    let ours = root("ours");
    assert!(TrustAnchors::from_pem(b"").is_err());
    assert!(TrustAnchors::from_pem(b"no certificate").is_err());
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    assert!(TrustAnchors::from_pem(format!("{}{broken}", ours.pem).as_bytes()).is_err());
    assert!(!trusting(&ours).is_empty());
    assert!(TrustAnchors::default().is_empty());
}
