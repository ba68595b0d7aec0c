//! Certificates are verified by rustls-webpki and requests are made by rcgen: neither is what judged the names.

use crate::answer::{Answer, Form, Raw};
use crate::engine;
use crate::kind::EngineKind;
use crate::path::RequestPath;
use crate::trial::Trial;
use crate::{Operation, VaultError};
use Operation::{Delete, List, Read, Update};
use countersign_base::{Duration, UnixTime};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, ServerName};
use serde_json::{Value as Json, json};
use webpki::{
    EndEntityCert, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, anchor_from_trusted_cert,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};

fn mounted() -> Trial {
    let mut trial = Trial::new();
    trial.mount("pki/", EngineKind::Pki);
    trial
}

fn with_root() -> Trial {
    let mut trial = mounted();
    trial.data(
        Update,
        "pki/root/generate/internal",
        json!({"common_name": "Root", "key_type": "ec", "ttl": "87600h"}),
    );
    trial
}

/// A mount with the role `web`: `example.test` and below, EC.
fn with_role(more: Json) -> Trial {
    let mut trial = with_root();
    let mut role = json!({"allowed_domains": "example.test", "allow_subdomains": true, "key_type": "ec", "require_cn": false});
    for (name, value) in more.as_object().unwrap() {
        role[name] = value.clone();
    }
    trial.data(Update, "pki/roles/web", role);
    trial
}

fn raw(trial: &mut Trial, path: &str) -> Raw {
    match trial.call(Read, path, Json::Null).unwrap().form {
        Form::Raw(raw) => *raw,
        form => panic!("{form:?}"),
    }
}

fn der(pem: &Json) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_str().unwrap().as_bytes()).unwrap()
}

/// Verifies a certificate as a client of a server does.
fn verify(
    leaf: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    root: &CertificateDer<'_>,
    list: Option<&[u8]>,
    name: &str,
    now: UnixTime,
) -> Result<(), webpki::Error> {
    let anchors = [anchor_from_trusted_cert(root).unwrap()];
    let leaf = EndEntityCert::try_from(leaf)?;
    let list = list.map(|list| OwnedCertRevocationList::from_der(list).unwrap().into());
    let lists: Vec<&webpki::CertRevocationList<'_>> = list.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&lists)
        .ok()
        .map(|builder| builder.with_depth(RevocationCheckDepth::EndEntity).build());
    let time = Duration::from_secs(u64::try_from(now.0).unwrap());
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        between,
        rustls_pki_types::UnixTime::since_unix_epoch(time),
        KeyUsage::server_auth(),
        revocation,
        None,
    )?;
    leaf.verify_is_valid_for_subject_name(&ServerName::try_from(name).unwrap())
}

fn request(common_name: &str, names: Vec<SanType>) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if !common_name.is_empty() {
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
    }
    params.subject_alt_names = names;
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    params.serialize_request(&key).unwrap().pem().unwrap()
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn refusal(result: Result<Answer, VaultError>) -> String {
    result.err().expect("it must be refused").to_string()
}

#[test]
fn what_is_issued_stands_before_an_independent_verifier() {
    for (kind, label) in [
        ("ec", "-----BEGIN EC PRIVATE KEY-----"),
        ("ed25519", "-----BEGIN PRIVATE KEY-----"),
        ("rsa", "-----BEGIN RSA PRIVATE KEY-----"),
    ] {
        let mut trial = with_role(json!({ "key_type": kind }));
        let issued = trial.data(
            Update,
            "pki/issue/web",
            json!({"common_name": "a.example.test", "alt_names": "b.example.test"}),
        );
        assert_eq!(issued["private_key_type"], kind);
        assert!(issued["private_key"].as_str().unwrap().starts_with(label));
        assert_eq!(issued["ca_chain"], json!([issued["issuing_ca"]]));
        // 72 hours when neither role nor caller says.
        assert_eq!(issued["expiration"], trial.now.0 + 72 * 3_600);
        let (leaf, root) = (der(&issued["certificate"]), der(&issued["issuing_ca"]));
        for name in ["a.example.test", "b.example.test"] {
            verify(&leaf, &[], &root, None, name, trial.now).unwrap();
        }
        assert!(verify(&leaf, &[], &root, None, "c.example.test", trial.now).is_err());
        let after = trial.now.plus(Duration::from_secs(73 * 3_600));
        assert!(verify(&leaf, &[], &root, None, "a.example.test", after).is_err());
        let (_, parsed) = X509Certificate::from_der(&leaf).unwrap();
        assert!(!parsed.is_ca());
        assert_eq!(parsed.raw_serial().len(), 20);
        assert_eq!(parsed.raw_serial_as_string(), issued["serial_number"]);
        let key = KeyPair::from_pem(issued["private_key"].as_str().unwrap());
        if kind != "rsa" {
            assert_eq!(
                key.unwrap().public_key_raw(),
                &*parsed.public_key().subject_public_key.data
            );
        }
    }
}

#[test]
fn keys_of_authorities_are_in_no_answer_and_exported_is_refused() {
    let mut trial = mounted();
    let body = json!({"common_name": "Root", "key_type": "ec"});
    let text = refusal(trial.call(Update, "pki/root/generate/exported", body.clone()));
    assert!(text.contains("never given out"), "{text}");
    let text = refusal(trial.call(Update, "pki/intermediate/generate/exported", body.clone()));
    assert!(text.contains("never given out"), "{text}");
    let made = trial.data(Update, "pki/root/generate/internal", body.clone());
    assert!(!made.to_string().contains("PRIVATE"));
    assert!(
        trial
            .call(Update, "pki/root/generate/internal", body)
            .is_err(),
        "a second root"
    );
    let narrowed = json!({"common_name": "Root", "permitted_dns_domains": "example.test"});
    trial.call(Delete, "pki/root", Json::Null).unwrap();
    assert!(
        refusal(trial.call(Update, "pki/root/generate/internal", narrowed))
            .contains("not supported")
    );
    assert!(
        !trial.dump().contains("pkcs8"),
        "the key went with the authority"
    );
}

#[test]
fn lifetimes_end_with_the_role_the_mount_and_the_issuer() {
    let mut trial = mounted();
    let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "100h"});
    trial.data(Update, "pki/root/generate/internal", root);
    for (role, asked, hours) in [
        (json!({}), json!(null), 72),
        (json!({}), json!("1h"), 1),
        (json!({"ttl": "2h"}), json!(null), 2),
        (json!({"max_ttl": "3h"}), json!(null), 3),
        (json!({"max_ttl": "3h"}), json!("9h"), 3),
        (json!({"max_ttl": "90h"}), json!("90h"), 90),
        // Beyond the authority's own end nothing is issued.
        (json!({"max_ttl": "9000h"}), json!("9000h"), 100),
        (json!({}), json!("9000h"), 100),
    ] {
        let mut body = json!({"allow_any_name": true, "key_type": "ec"});
        for (name, value) in role.as_object().unwrap() {
            body[name] = value.clone();
        }
        trial.data(Update, "pki/roles/web", body);
        let issued = trial.data(
            Update,
            "pki/issue/web",
            json!({"common_name": "a.test", "ttl": asked}),
        );
        assert_eq!(
            issued["expiration"],
            trial.now.0 + hours * 3_600,
            "{role} {asked}"
        );
    }
    trial.now = trial.now.plus(Duration::from_secs(101 * 3_600));
    let ended = trial.call(Update, "pki/issue/web", json!({"common_name": "a.test"}));
    assert!(refusal(ended).contains("ended"));
}

#[test]
fn ghsa_g892_p242_8g86_every_name_of_a_request_is_judged_by_the_role() {
    let ip = SanType::IpAddress("10.0.0.1".parse().unwrap());
    let uri = SanType::URI("spiffe://demo/a".try_into().unwrap());
    let mail = SanType::Rfc822Name("a@example.test".try_into().unwrap());
    let other = SanType::OtherName((
        vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3],
        rcgen::OtherNameValue::Utf8String("x".to_owned()),
    ));
    let good = || dns("a.example.test");
    let ips = json!({"allow_ip_sans": true});
    let uris = json!({"allowed_uri_sans": "spiffe://demo/*"});
    for (role, common_name, names, allowed) in [
        (json!({}), "", vec![good()], true),
        (json!({}), "a.example.test", vec![], true),
        (json!({}), "", vec![good(), ip.clone()], false),
        (ips.clone(), "", vec![good(), ip.clone()], true),
        (json!({}), "", vec![good(), uri.clone()], false),
        (uris.clone(), "", vec![good(), uri], true),
        (json!({}), "", vec![good(), mail], false),
        (json!({}), "", vec![good(), other], false),
        (json!({}), "", vec![good(), dns("evil.test")], false),
        (json!({}), "evil.test", vec![good()], false),
        (json!({}), "10.0.0.1", vec![good()], false),
        // What the role does not take from the request is not in the certificate.
        (
            json!({"use_csr_sans": false}),
            "a.example.test",
            vec![dns("evil.test"), ip],
            true,
        ),
        (
            json!({"use_csr_common_name": false}),
            "evil.test",
            vec![good()],
            true,
        ),
    ] {
        let shown = format!("{role} {common_name} {names:?}");
        let mut trial = with_role(role);
        let result = trial.call(
            Update,
            "pki/sign/web",
            json!({"csr": request(common_name, names)}),
        );
        assert_eq!(result.is_ok(), allowed, "{shown}: {:?}", result.err());
        let Ok(answer) = result else { continue };
        let leaf = der(&answer.data.unwrap()["certificate"]);
        let (_, parsed) = X509Certificate::from_der(&leaf).unwrap();
        let whole = format!(
            "{} {:?}",
            parsed.subject(),
            parsed.subject_alternative_name()
        );
        assert!(!whole.contains("evil"), "{whole}");
    }
}

#[test]
fn requests_prove_their_key_and_the_key_has_the_role_s_strength() {
    let mut trial = with_role(json!({}));
    let good = request("a.example.test", vec![]);
    assert!(
        trial
            .call(Update, "pki/sign/web", json!({"csr": good}))
            .is_ok()
    );

    // The same request with another byte in what is signed, or in the signature.
    let (_, pem) = x509_parser::pem::parse_x509_pem(good.as_bytes()).unwrap();
    let name = pem
        .contents
        .windows(9)
        .position(|bytes| bytes == b"a.example")
        .unwrap();
    for place in [name, pem.contents.len() - 1] {
        let mut forged = pem.contents.clone();
        forged[place] ^= 1;
        let csr = countersign_crypto::keypair::pem("CERTIFICATE REQUEST", &forged);
        let result = trial.call(Update, "pki/sign/web", json!({"csr": csr.expose()}));
        assert!(refusal(result).contains("signed"), "byte {place}");
    }
    for csr in [
        "",
        "x",
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(
            trial
                .call(Update, "pki/sign/web", json!({ "csr": csr }))
                .is_err()
        );
    }
    for (role, allowed) in [
        (json!({"key_type": "any"}), true),
        (json!({"key_type": "ec", "key_bits": 256}), true),
        (json!({"key_type": "ec", "key_bits": 384}), false),
        (json!({"key_type": "rsa"}), false),
        (json!({"key_type": "ed25519"}), false),
    ] {
        let mut trial = with_role(role.clone());
        let result = trial.call(Update, "pki/sign/web", json!({"csr": good}));
        assert_eq!(result.is_ok(), allowed, "{role}");
    }
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    assert!(
        refusal(trial.call(Update, "pki/sign/web", json!({ "csr": csr }))).contains("authority")
    );
}

#[test]
fn what_is_revoked_is_on_the_list_and_no_longer_believed() {
    let mut trial = with_role(json!({}));
    let mut issue =
        |name: &str| trial.data(Update, "pki/issue/web", json!({ "common_name": name }));
    let (kept, gone) = (issue("kept.example.test"), issue("gone.example.test"));
    let serial = gone["serial_number"].as_str().unwrap().to_owned();
    let list = raw(&mut trial, "pki/crl");
    assert_eq!(list.content_type, "application/pkix-crl");
    let root = der(&gone["issuing_ca"]);
    let check = |issued: &Json, list: &[u8], name: &str, now| {
        verify(
            &der(&issued["certificate"]),
            &[],
            &root,
            Some(list),
            name,
            now,
        )
    };
    check(&gone, &list.body, "gone.example.test", trial.now).unwrap();

    let again = serial.to_uppercase().replace(':', "-");
    let revoked = trial.data(Update, "pki/revoke", json!({ "serial_number": serial }));
    assert_eq!(revoked["revocation_time"], trial.now.0);
    let now = trial.now;
    trial.now = now.plus(Duration::from_secs(60));
    let revoked = trial.data(Update, "pki/revoke", json!({ "serial_number": again }));
    assert_eq!(revoked["revocation_time"], now.0, "since the first time");
    let list = raw(&mut trial, "pki/crl").body;
    assert_eq!(
        check(&gone, &list, "gone.example.test", trial.now).unwrap_err(),
        webpki::Error::CertRevoked
    );
    check(&kept, &list, "kept.example.test", trial.now).unwrap();
    let pem = raw(&mut trial, "pki/crl/pem").body;
    assert_eq!(
        &*CertificateRevocationListDer::from_pem_slice(&pem).unwrap(),
        list.as_slice()
    );

    let read = trial.data(Read, &format!("pki/cert/{serial}"), Json::Null);
    assert_eq!(read["certificate"], gone["certificate"]);
    assert_eq!(read["revocation_time"], now.0);
    let kept_path = format!("pki/cert/{}", kept["serial_number"].as_str().unwrap());
    assert_eq!(
        trial.data(Read, &kept_path, Json::Null)["revocation_time"],
        0
    );
    assert_eq!(
        trial.data(List, "pki/certs", Json::Null)["keys"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    for serial in ["00", "", "zz", &serial.replace(':', "::")] {
        assert!(
            trial
                .call(Update, "pki/revoke", json!({ "serial_number": serial }))
                .is_err()
        );
    }
}

#[test]
fn what_has_ended_leaves_the_list_and_is_tidied_away() {
    let mut trial = with_role(json!({}));
    for name in ["a.example.test", "b.example.test"] {
        let issued = trial.data(Update, "pki/issue/web", json!({ "common_name": name }));
        let body = json!({ "serial_number": issued["serial_number"] });
        trial.data(Update, "pki/revoke", body);
    }
    let listed = |trial: &mut Trial| {
        let list = raw(trial, "pki/crl").body;
        let (_, list) = x509_parser::parse_x509_crl(&list).unwrap();
        list.iter_revoked_certificates().count()
    };
    assert_eq!(listed(&mut trial), 2);
    trial.now = trial.now.plus(Duration::from_secs(80 * 3_600));
    assert_eq!(listed(&mut trial), 0);
    let tidied = trial.data(Update, "pki/tidy", json!({}));
    assert_eq!(
        (&tidied["cert_store_deleted_count"], &tidied["done"]),
        (&json!(0), &json!(true))
    );
    let tidied = trial.data(Update, "pki/tidy", json!({"safety_buffer": "1h"}));
    assert_eq!(tidied["cert_store_deleted_count"], 2);
    assert!(trial.call(List, "pki/certs", Json::Null).is_err());
}

#[test]
fn a_role_that_does_not_store_leaves_nothing_behind() {
    let mut trial = with_role(json!({"no_store": true}));
    let before = trial.stored("mount/").len();
    let issued = trial.data(
        Update,
        "pki/issue/web",
        json!({"common_name": "a.example.test"}),
    );
    assert_eq!(trial.stored("mount/").len(), before);
    let path = format!("pki/cert/{}", issued["serial_number"].as_str().unwrap());
    assert_eq!(
        trial.call(Read, &path, Json::Null).err(),
        Some(VaultError::NotFound)
    );
}

#[test]
fn an_intermediate_is_signed_by_the_root_of_another_mount() {
    let mut trial = with_role(json!({}));
    trial.mount("below/", EngineKind::Pki);
    let body = json!({"common_name": "Below", "key_type": "ec"});
    let csr = trial.data(Update, "below/intermediate/generate/internal", body)["csr"].clone();
    let body = json!({"csr": csr, "common_name": "Below", "max_path_length": 0, "ttl": "87600h"});
    let signed = trial.data(Update, "pki/root/sign-intermediate", body);
    let root = der(&signed["issuing_ca"]);
    let chain = [
        signed["certificate"].as_str().unwrap(),
        signed["issuing_ca"].as_str().unwrap(),
    ]
    .concat();

    let leaf = trial.data(
        Update,
        "pki/issue/web",
        json!({"common_name": "a.example.test"}),
    );
    let reversed = [
        signed["issuing_ca"].as_str().unwrap(),
        signed["certificate"].as_str().unwrap(),
    ]
    .concat();
    let unlinked = [
        signed["certificate"].as_str().unwrap(),
        leaf["certificate"].as_str().unwrap(),
    ]
    .concat();
    for wrong in [
        leaf["certificate"].as_str().unwrap(),
        &reversed,
        &unlinked,
        "x",
    ] {
        let result = trial.call(
            Update,
            "below/intermediate/set-signed",
            json!({ "certificate": wrong }),
        );
        assert!(result.is_err());
    }
    trial.data(
        Update,
        "below/intermediate/set-signed",
        json!({ "certificate": chain }),
    );
    trial.data(
        Update,
        "below/roles/web",
        json!({"allow_any_name": true, "key_type": "ec"}),
    );
    let issued = trial.data(Update, "below/issue/web", json!({"common_name": "a.test"}));
    assert_eq!(issued["ca_chain"].as_array().unwrap().len(), 2);
    let between = der(&issued["issuing_ca"]);
    verify(
        &der(&issued["certificate"]),
        &[between],
        &root,
        None,
        "a.test",
        trial.now,
    )
    .unwrap();
    // A path length of zero: no authority below.
    let csr = request("Deeper", vec![]);
    let deeper = trial.call(
        Update,
        "below/root/sign-intermediate",
        json!({"csr": csr, "common_name": "Deeper"}),
    );
    assert!(refusal(deeper).contains("no authority below"));
}

#[test]
fn certificates_say_where_lists_and_issuers_are() {
    let mut trial = with_role(json!({}));
    let urls = json!({"crl_distribution_points": "http://pki.example.test/crl", "issuing_certificates": ["http://pki.example.test/ca"], "ocsp_servers": []});
    trial.data(Update, "pki/config/urls", urls);
    let read = trial.data(Read, "pki/config/urls", Json::Null);
    assert_eq!(
        read["crl_distribution_points"],
        json!(["http://pki.example.test/crl"])
    );
    let issued = trial.data(
        Update,
        "pki/issue/web",
        json!({"common_name": "a.example.test"}),
    );
    let leaf = der(&issued["certificate"]);
    let text = String::from_utf8_lossy(&leaf).into_owned();
    assert!(text.contains("http://pki.example.test/crl"));
    let (_, parsed) = X509Certificate::from_der(&leaf).unwrap();
    let access =
        parsed
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                x509_parser::extensions::ParsedExtension::AuthorityInfoAccess(access) => {
                    Some(format!("{access:?}"))
                }
                _ => None,
            });
    assert!(access.unwrap().contains("http://pki.example.test/ca"));
    for url in ["javascript:x", "http://a b", "ldap://x"] {
        assert!(
            trial
                .call(Update, "pki/config/urls", json!({ "ocsp_servers": url }))
                .is_err()
        );
    }
}

#[test]
fn cve_2023_0665_only_reading_what_is_published_is_public() {
    let guarded = |path: &str, operation, engine| {
        let path = RequestPath::parse(path).unwrap();
        let rest = path.below("pki/").unwrap_or_default().to_owned();
        engine::guarded(&path, operation, Some((engine, rest.as_str())))
    };
    for path in [
        "pki/ca",
        "pki/ca/pem",
        "pki/ca_chain",
        "pki/crl",
        "pki/crl/pem",
        "pki/cert/ca",
        "pki/cert/crl",
        "pki/cert/ca_chain",
    ] {
        assert_eq!(
            guarded(path, Read, EngineKind::Pki),
            crate::call::Guarded::Public,
            "{path}"
        );
        assert_eq!(
            guarded(path, Update, EngineKind::Pki),
            crate::call::Guarded::Token,
            "{path}"
        );
        assert_eq!(
            guarded(path, Delete, EngineKind::Pki),
            crate::call::Guarded::Token,
            "{path}"
        );
        assert_eq!(
            guarded(path, Read, EngineKind::Kv),
            crate::call::Guarded::Token,
            "{path}"
        );
    }
    for path in [
        "pki/certs",
        "pki/cert/01:02",
        "pki/roles/web",
        "pki/root",
        "pki/issue/web",
        "pki/revoke",
        "pki/config/urls",
        "pki/root/generate/internal",
        "pki/ca/x",
        "pki/crl/rotate",
    ] {
        for operation in [Read, Update, Delete, List] {
            let ends_authority = path == "pki/root" && operation == Delete;
            let expected = if ends_authority {
                crate::call::Guarded::Sudo
            } else {
                crate::call::Guarded::Token
            };
            assert_eq!(
                guarded(path, operation, EngineKind::Pki),
                expected,
                "{path}"
            );
        }
    }
}

/// With the authority everything below it loses its trust: only who has `sudo` there ends one.
#[test]
fn ending_an_authority_asks_for_sudo() {
    for (path, engine, expected) in [
        ("pki/root", EngineKind::Pki, crate::call::Guarded::Sudo),
        ("pki/root/", EngineKind::Pki, crate::call::Guarded::Sudo),
        ("secret/root", EngineKind::Kv, crate::call::Guarded::Token),
    ] {
        let parsed = RequestPath::parse(path).unwrap();
        let (_, rest) = path.split_once('/').unwrap();
        let guarded = engine::guarded(&parsed, Delete, Some((engine, rest)));
        assert_eq!(guarded, expected, "{path}");
    }
}

#[test]
fn answers_have_the_forms_that_clients_ask_for() {
    let mut trial = with_role(json!({}));
    let name = "a.example.test";
    let bundle = trial.data(
        Update,
        "pki/issue/web",
        json!({"common_name": name, "format": "pem_bundle", "private_key_format": "pkcs8"}),
    );
    let text = bundle["certificate"].as_str().unwrap();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2);
    let plain = trial.data(
        Update,
        "pki/issue/web",
        json!({"common_name": name, "format": "der"}),
    );
    let bytes = countersign_crypto::base64::decode(plain["certificate"].as_str().unwrap()).unwrap();
    assert!(X509Certificate::from_der(&bytes).is_ok());
    for body in [
        json!({"common_name": name, "format": "x"}),
        json!({"common_name": name, "other_sans": "1.2.3;UTF8:x"}),
        json!({"common_name": name, "ip_sans": "x"}),
    ] {
        assert!(trial.call(Update, "pki/issue/web", body).is_err());
    }
    let pem = raw(&mut trial, "pki/ca/pem").body;
    let ca = raw(&mut trial, "pki/ca");
    assert_eq!(ca.content_type, "application/pkix-cert");
    assert_eq!(
        &*CertificateDer::from_pem_slice(&pem).unwrap(),
        ca.body.as_slice()
    );
    assert_eq!(raw(&mut trial, "pki/ca_chain").body, pem);
    assert!(refusal(mounted().call(Read, "pki/ca", Json::Null)).contains("no default issuer"));
    assert!(refusal(trial.call(Update, "pki/issue/none", json!({}))).contains("unknown role"));
}
