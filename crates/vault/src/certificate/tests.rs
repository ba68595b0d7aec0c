use crate::answer::Auth;
use crate::call::Operation::{Delete, List, Read, Update};
use crate::caller::Caller;
use crate::error::VaultError;
use crate::kind::EngineKind;
use crate::trial::Trial;
use countersign_base::{Duration, UnixTime};
use countersign_crypto::Random;
use countersign_crypto::keypair::pem;
use countersign_crypto::x509::{
    CertificateAuthority, CertificateRequest, CertificateUsage, PeerCertificate,
};
use serde_json::{Value as Json, json};

const NOW: UnixTime = UnixTime(1_800_000_000);

/// An authority whose certificates all have the same serial number, as an attacker's would.
fn authority() -> CertificateAuthority {
    let random = Random::from_fn(|buffer| buffer.fill(7));
    CertificateAuthority::generate("Test CA", &random, NOW).unwrap()
}

fn issue(authority: &CertificateAuthority, usage: CertificateUsage) -> PeerCertificate {
    let request = CertificateRequest {
        dns: vec!["web.example".to_owned()],
        ips: Vec::new(),
        uris: vec!["spiffe://example/web".to_owned()],
        usage,
        lifetime: Duration::from_secs(3_600),
    };
    let issued = authority.issue(&request, NOW).unwrap();
    PeerCertificate::from_der(issued.chain_der[0].clone()).unwrap()
}

fn client(authority: &CertificateAuthority) -> PeerCertificate {
    issue(authority, CertificateUsage::Client)
}

fn text(certificate: &PeerCertificate) -> String {
    pem("CERTIFICATE", certificate.der()).expose().clone()
}

fn trial(role: Json) -> Trial {
    let mut trial = Trial::new();
    trial.mount("auth/cert/", EngineKind::Cert);
    trial.call(Update, "auth/cert/certs/web", role).unwrap();
    trial
}

fn login(trial: &mut Trial, peer: &PeerCertificate, body: Json) -> Result<Auth, VaultError> {
    trial.peer = Some(peer.clone());
    let answer = trial.call_as(|| Caller::Anonymous, Update, "auth/cert/login", body);
    trial.peer = None;
    Ok(answer?.auth.unwrap())
}

#[test]
fn whoever_holds_a_certificate_of_the_authority_signs_in() {
    let authority = authority();
    let role = json!({"certificate": authority.certificate_pem(), "token_policies": "app", "display_name": "web"});
    let mut trial = trial(role);
    for body in [Json::Null, json!({"name": "web"})] {
        let auth = login(&mut trial, &client(&authority), body).unwrap();
        assert_eq!(auth.policies, ["app", "default"]);
        assert_eq!(auth.metadata["cert_name"], "web");
        assert_eq!(auth.metadata["common_name"], "web.example");
    }
    assert!(login(&mut trial, &client(&authority), json!({"name": "other"})).is_err());
    assert_eq!(
        trial.data(List, "auth/cert/certs", Json::Null)["keys"],
        json!(["web"])
    );
    let shown = trial.data(Read, "auth/cert/certs/web", Json::Null);
    assert_eq!(shown["certificate"], authority.certificate_pem());
    trial
        .call(Delete, "auth/cert/certs/web", Json::Null)
        .unwrap();
    assert!(login(&mut trial, &client(&authority), Json::Null).is_err());
}

/// A trusted certificate that is no authority's, and another of the same authority with the same serial number, names and key identifier of its issuer, but
/// another key: refused, beside the one that is trusted.
#[test]
fn cve_2024_2048_cve_2025_6037_the_same_serial_and_issuer_with_another_key_is_refused() {
    let authority = authority();
    let (trusted, other) = (client(&authority), client(&authority));
    assert_eq!(trusted.subject(), other.subject());
    assert_eq!(trusted.extension("2.5.29.35"), other.extension("2.5.29.35"));
    assert!(trusted.public_jwk() != other.public_jwk());
    let mut trial = trial(json!({ "certificate": text(&trusted) }));
    let before = trial.dump();
    assert_eq!(
        login(&mut trial, &other, Json::Null).err(),
        Some(VaultError::Denied)
    );
    assert_eq!(trial.dump(), before, "CVE-2026-46405: nothing is made");
    assert!(login(&mut trial, &trusted, Json::Null).is_ok());
}

#[test]
fn other_authorities_purposes_and_times_are_refused() {
    let (authority, stranger) = (authority(), authority());
    let mut trial = trial(json!({ "certificate": authority.certificate_pem() }));
    for (what, peer, may) in [
        ("a client's", client(&authority), true),
        (
            "a server's",
            issue(&authority, CertificateUsage::Server),
            false,
        ),
        (
            "another authority's of the same name",
            client(&stranger),
            false,
        ),
    ] {
        assert_eq!(login(&mut trial, &peer, Json::Null).is_ok(), may, "{what}");
    }
    let peer = client(&authority);
    trial.now = NOW.plus(Duration::from_secs(3_601));
    assert_eq!(
        login(&mut trial, &peer, Json::Null).err(),
        Some(VaultError::Denied)
    );
    let leaf = client(&authority);
    trial.now = NOW;
    trial
        .call(
            Update,
            "auth/cert/certs/web",
            json!({ "certificate": text(&leaf) }),
        )
        .unwrap();
    assert!(login(&mut trial, &leaf, Json::Null).is_ok());
    trial.now = NOW.plus(Duration::from_secs(3_601));
    assert!(login(&mut trial, &leaf, Json::Null).is_err());
    let missing = trial.call_as(|| Caller::Anonymous, Update, "auth/cert/login", Json::Null);
    assert_eq!(missing.err().unwrap().status(), 400);
}

#[test]
fn names_and_extensions_are_bound_by_patterns() {
    let authority = authority();
    let peer = client(&authority);
    let usage = peer.extension("2.5.29.37").unwrap();
    let usage: String = usage.iter().map(|byte| format!("{byte:02x}")).collect();
    for (rule, may) in [
        (json!({"allowed_common_names": "web.example"}), true),
        (json!({"allowed_common_names": "*.example"}), true),
        (json!({"allowed_common_names": "example"}), false),
        (json!({"allowed_dns_sans": ["other", "web.*"]}), true),
        (json!({"allowed_dns_sans": "db.*"}), false),
        (json!({"allowed_names": "web.example"}), true),
        (json!({"allowed_names": "spiffe://*"}), false),
        (json!({"allowed_uri_sans": "spiffe://example/*"}), true),
        (json!({"allowed_uri_sans": "spiffe://other/*"}), false),
        (json!({"allowed_email_sans": "*"}), false),
        (json!({"allowed_organizational_units": "*"}), false),
        (
            json!({"required_extensions": format!("hex:2.5.29.37:{usage}")}),
            true,
        ),
        (json!({"required_extensions": "hex:2.5.29.37:00*"}), false),
        (json!({"required_extensions": "1.2.3.4:*"}), false),
        (
            json!({"allowed_dns_sans": "web.*", "allowed_uri_sans": "spiffe://other/*"}),
            false,
        ),
    ] {
        let mut role = rule.clone();
        role["certificate"] = json!(authority.certificate_pem());
        let mut trial = trial(role);
        assert_eq!(login(&mut trial, &peer, Json::Null).is_ok(), may, "{rule}");
    }
}

#[test]
fn what_is_no_certificate_or_rule_is_refused() {
    let authority = authority();
    let pem = authority.certificate_pem();
    for refused in [
        json!({}),
        json!({"certificate": "canary"}),
        json!({"certificate": format!("{pem}{pem}")}),
        json!({"certificate": pem, "required_extensions": "name:x"}),
        json!({"certificate": pem, "required_extensions": "1.2.3"}),
        json!({"certificate": pem, "ocsp_enabled": true}),
        json!({"certificate": pem, "token_policies": "root"}),
    ] {
        let mut trial = Trial::new();
        trial.mount("auth/cert/", EngineKind::Cert);
        let error = trial
            .call(Update, "auth/cert/certs/web", refused.clone())
            .err()
            .unwrap();
        assert_eq!(error.status(), 400, "{refused}");
        assert!(
            trial
                .call(Update, "auth/cert/certs/web", json!({ "certificate": pem }))
                .is_ok()
        );
    }
}

/// Renewed over another certificate that would sign in as well: refused; over the one it was made with: renewed.
#[test]
fn cve_2026_39388_a_token_is_renewed_over_its_own_certificate_alone() {
    let authority = authority();
    let mut trial = trial(json!({ "certificate": authority.certificate_pem() }));
    let (own, other) = (client(&authority), client(&authority));
    let auth = login(&mut trial, &own, Json::Null).unwrap();
    assert!(login(&mut trial, &other, Json::Null).is_ok());
    let token = auth.client_token.expose().clone();
    for (peer, may) in [(Some(other), false), (None, false), (Some(own), true)] {
        trial.peer = peer;
        let renewed = trial.call(Update, "auth/token/renew", json!({ "token": token }));
        assert_eq!(renewed.is_ok(), may);
    }
}

/// The role has come to trust another authority, or is gone: a token that was made before is not stretched, over its own certificate either.
#[test]
fn cve_2026_39388_a_certificate_that_its_role_no_longer_trusts_renews_nothing() {
    let authority = authority();
    let trusted = json!({ "certificate": authority.certificate_pem() });
    let other = json!({ "certificate": self::authority().certificate_pem() });
    let mut trial = trial(trusted.clone());
    let own = client(&authority);
    let auth = login(&mut trial, &own, Json::Null).unwrap();
    let renew = json!({ "token": auth.client_token.expose() });
    trial.peer = Some(own);
    for (role, renewed) in [
        (Some(trusted.clone()), true),
        (Some(other), false),
        (Some(trusted.clone()), true),
        (None, false),
        (Some(trusted), true),
    ] {
        match role {
            Some(role) => trial.call(Update, "auth/cert/certs/web", role).unwrap(),
            None => trial
                .call(Delete, "auth/cert/certs/web", Json::Null)
                .unwrap(),
        };
        let answer = trial.call(Update, "auth/token/renew", renew.clone());
        assert_eq!(answer.is_ok(), renewed);
    }
    trial.now = NOW.plus(Duration::from_secs(3_601));
    let late = trial.call(Update, "auth/token/renew", renew).err();
    assert_eq!(late, Some(VaultError::Denied), "the certificate has ended");
}

#[test]
fn texts_of_extensions_are_read_and_nothing_else_is() {
    for (der, expected) in [
        (&b"\x0c\x03abc"[..], Some("abc")),
        (b"\x16\x01a", Some("a")),
        (b"\x13\x00", Some("")),
        (b"\x0c\x02abc", None),
        (b"\x0c\x04abc", None),
        (b"\x04\x03abc", None),
        (b"\x0c\x81\x03abc", None),
        (b"\x0c\x01\xff", None),
        (b"\x0c", None),
        (b"", None),
    ] {
        assert_eq!(super::role::text(der), expected, "{der:?}");
    }
}
