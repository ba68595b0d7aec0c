//! A client of its own: it reads the directory, spends nonces and signs, and knows nothing of how entries stand.

use crate::answer::{Answer, Effect, Form, Raw};
use crate::call::Guarded;
use crate::caller::Caller;
use crate::engine;
use crate::kind::EngineKind;
use crate::path::RequestPath;
use crate::trial::Trial;
use crate::work::EffectResult;
use crate::{Operation, VaultError};
use Operation::{Read, Update};
use countersign_base::Duration;
use countersign_crypto::base64url::{decode, encode};
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::hmac::HmacKey;
use countersign_crypto::jose::PublicJwk;
use countersign_crypto::keypair::{EcdsaForm, KeyPair, KeyPairAlgorithm, SignatureScheme, Signed};
use rcgen::{CertificateParams, DnType, SanType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value as Json, json};

const ROOT: &str = "https://vault.test/v1/";

fn server(role: Json, config: Json) -> Trial {
    let mut trial = Trial::new();
    trial.mount("pki/", EngineKind::Pki);
    let root = json!({"common_name": "Root", "key_type": "ec"});
    trial.data(Update, "pki/root/generate/internal", root);
    let mut body =
        json!({"allowed_domains": "example.test", "allow_subdomains": true, "key_type": "ec"});
    for (name, value) in role.as_object().unwrap() {
        body[name] = value.clone();
    }
    trial.data(Update, "pki/roles/web", body);
    let path = json!({"path": format!("{ROOT}pki")});
    trial.data(Update, "pki/config/cluster", path);
    let mut body =
        json!({"enabled": true, "allowed_roles": "web", "default_directory_policy": "role:web"});
    for (name, value) in config.as_object().unwrap() {
        body[name] = value.clone();
    }
    trial.data(Update, "pki/config/acme", body);
    trial
}

fn open() -> Trial {
    server(json!({}), json!({"eab_policy": "not-required"}))
}

struct Client {
    key: KeyPair,
    kid: Option<String>,
    base: String,
}

/// What a message says of itself; tests bend it.
struct Shown {
    url: String,
    nonce: String,
    with_jwk: bool,
}

impl Client {
    fn new() -> Self {
        Self {
            key: KeyPairAlgorithm::EcdsaP256.generate().unwrap(),
            kid: None,
            base: format!("{ROOT}pki/acme"),
        }
    }

    /// With an account.
    fn known(trial: &mut Trial) -> Self {
        let mut client = Self::new();
        let made = client.send(trial, "new-account", json!({}));
        assert_eq!(made.status, 201, "{}", body(&made));
        client.kid = Some(header(&made, "location"));
        client
    }

    fn jwk(&self) -> Json {
        let spki = self.key.public_key().unwrap().spki().to_vec();
        let (_, point) = spki.split_at(spki.len() - 64);
        json!({"crv": "P-256", "kty": "EC", "x": encode(&point[..32]), "y": encode(&point[32..])})
    }

    fn sign(&self, header: &Json, payload: &str) -> Json {
        let (protected, payload) = (
            encode(header.to_string().as_bytes()),
            encode(payload.as_bytes()),
        );
        let scheme = SignatureScheme::Ecdsa {
            hash: HashAlgorithm::Sha2_256,
            form: EcdsaForm::Fixed,
        };
        let signed = format!("{protected}.{payload}");
        let signature = self
            .key
            .sign(scheme, Signed::Message(signed.as_bytes()))
            .unwrap();
        json!({"protected": protected, "payload": payload, "signature": encode(&signature)})
    }

    fn message(&self, shown: &Shown, payload: &str) -> Json {
        let mut header = json!({"alg": "ES256", "nonce": shown.nonce, "url": shown.url});
        match &self.kid {
            Some(kid) if !shown.with_jwk => header["kid"] = kid.clone().into(),
            _ => header["jwk"] = self.jwk(),
        }
        self.sign(&header, payload)
    }

    fn shown(&self, trial: &mut Trial, rest: &str) -> Shown {
        Shown {
            url: format!("{}/{rest}", self.base),
            nonce: nonce(trial, &self.base),
            with_jwk: false,
        }
    }

    fn send_text(&self, trial: &mut Trial, rest: &str, payload: &str) -> Raw {
        let shown = self.shown(trial, rest);
        post(trial, &shown.url, self.message(&shown, payload))
    }

    fn send(&self, trial: &mut Trial, rest: &str, payload: Json) -> Raw {
        self.send_text(trial, rest, &payload.to_string())
    }

    fn read(&self, trial: &mut Trial, rest: &str) -> Json {
        body(&self.send_text(trial, rest, ""))
    }

    /// What follows the directory's address.
    fn rest(&self, url: &Json) -> String {
        let url = url.as_str().unwrap();
        url.strip_prefix(&format!("{}/", self.base))
            .unwrap()
            .to_owned()
    }

    /// Orders names and proves them all; where the order is, and what it says.
    fn proven(&self, trial: &mut Trial, names: &[&str]) -> (String, Json) {
        let (at, order) = self.ordered(trial, names);
        for authorization in order["authorizations"].as_array().unwrap() {
            let authorization = self.read(trial, &self.rest(authorization));
            let challenge = self.rest(&authorization["challenges"][0]["url"]);
            let done = body(&self.send(trial, &challenge, json!({})));
            assert_eq!(done["status"], "valid");
        }
        let order = self.read(trial, &at);
        assert_eq!(order["status"], "ready");
        (at, order)
    }

    fn ordered(&self, trial: &mut Trial, names: &[&str]) -> (String, Json) {
        let made = self.send(trial, "new-order", identifiers(names));
        assert_eq!(made.status, 201, "{}", body(&made));
        (self.rest(&header(&made, "location").into()), body(&made))
    }
}

fn identifiers(names: &[&str]) -> Json {
    let one = |name: &&str| {
        let kind = if name.parse::<std::net::IpAddr>().is_ok() {
            "ip"
        } else {
            "dns"
        };
        json!({"type": kind, "value": name})
    };
    json!({"identifiers": names.iter().map(one).collect::<Vec<_>>()})
}

fn raw(answer: Answer) -> Raw {
    match answer.form {
        Form::Raw(raw) => *raw,
        form => panic!("{form:?}"),
    }
}

fn body(raw: &Raw) -> Json {
    serde_json::from_slice(&raw.body).unwrap_or(Json::Null)
}

fn header(raw: &Raw, name: &str) -> String {
    let found = raw.headers.iter().find(|(header, _)| *header == name);
    found.unwrap().1.clone()
}

fn kind(raw: &Raw) -> String {
    assert!(raw.status >= 400, "{}", String::from_utf8_lossy(&raw.body));
    assert_eq!(raw.content_type, "application/problem+json");
    assert!(!header(raw, "replay-nonce").is_empty());
    let kind = body(raw)["type"].as_str().unwrap().to_owned();
    kind.strip_prefix("urn:ietf:params:acme:error:")
        .unwrap()
        .to_owned()
}

fn nonce(trial: &mut Trial, base: &str) -> String {
    let path = format!("{}/new-nonce", base.strip_prefix(ROOT).unwrap());
    header(
        &raw(trial
            .call_as(|| Caller::Anonymous, Read, &path, Json::Null)
            .unwrap()),
        "replay-nonce",
    )
}

fn post(trial: &mut Trial, url: &str, message: Json) -> Raw {
    let path = url.strip_prefix(ROOT).unwrap();
    raw(trial
        .call_as(|| Caller::Anonymous, Update, path, message)
        .unwrap())
}

fn csr(common_name: Option<&str>, names: &[&str]) -> String {
    let mut params = CertificateParams::new(
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    )
    .unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(name) = common_name {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    encode(params.serialize_request(&key).unwrap().der())
}

#[test]
fn an_account_proves_its_names_and_has_its_certificate() {
    let mut trial = open();
    let directory = raw(trial
        .call_as(|| Caller::Anonymous, Read, "pki/acme/directory", Json::Null)
        .unwrap());
    assert_eq!(
        body(&directory)["newOrder"],
        format!("{ROOT}pki/acme/new-order")
    );
    let client = Client::known(&mut trial);
    let names = ["a.example.test", "b.example.test"];
    let (at, order) = client.proven(&mut trial, &names);
    let thumbprint = PublicJwk::parse(&client.jwk()).unwrap().thumbprint();
    for (effect, name) in trial.happened.iter().zip(names) {
        let Effect::HttpChallenge(challenge) = effect else {
            panic!("another effect")
        };
        assert_eq!(challenge.host, name);
        let token = challenge
            .path
            .strip_prefix("/.well-known/acme-challenge/")
            .unwrap();
        assert!(decode(token).unwrap().len() >= 16);
        assert_eq!(challenge.expected, format!("{token}.{thumbprint}"));
        assert!(challenge.networks.is_empty());
    }
    let finalize = client.rest(&order["finalize"]);
    let done = body(&client.send(&mut trial, &finalize, json!({"csr": csr(None, &names)})));
    assert_eq!(done["status"], "valid");
    let chain = client.send_text(&mut trial, &client.rest(&done["certificate"]), "");
    assert_eq!(chain.content_type, "application/pem-certificate-chain");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain.body)
        .map(Result::unwrap)
        .collect();
    assert_eq!(chain.len(), 2);
    let anchors = [webpki::anchor_from_trusted_cert(&chain[1]).unwrap()];
    let leaf = webpki::EndEntityCert::try_from(&chain[0]).unwrap();
    let time = std::time::Duration::from_secs(u64::try_from(trial.now.0).unwrap());
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &[],
        rustls_pki_types::UnixTime::since_unix_epoch(time),
        webpki::KeyUsage::server_auth(),
        None,
        None,
    )
    .unwrap();
    assert_eq!(leaf.valid_dns_names().collect::<Vec<_>>(), names);
    assert_eq!(client.read(&mut trial, &at)["status"], "valid");
    // Once more is refused: an order has one certificate.
    let again = client.send(&mut trial, &finalize, json!({"csr": csr(None, &names)}));
    assert_eq!(kind(&again), "orderNotReady");
}

#[test]
fn a_nonce_is_spent_once_and_by_whoever_signed() {
    let mut trial = open();
    let client = Client::known(&mut trial);
    let send = |trial: &mut Trial, nonce: &str| {
        let shown = Shown {
            nonce: nonce.to_owned(),
            ..client.shown(trial, "new-order")
        };
        let message = client.message(&shown, &identifiers(&["a.example.test"]).to_string());
        post(trial, &shown.url, message)
    };
    let fresh = nonce(&mut trial, &client.base);
    assert_eq!(send(&mut trial, &fresh).status, 201);
    assert_eq!(kind(&send(&mut trial, &fresh)), "badNonce");
    // The nonce of a refusal is as good as any.
    let refusal = send(&mut trial, &fresh);
    assert_eq!(
        send(&mut trial, &header(&refusal, "replay-nonce")).status,
        201
    );
    // A refused message has spent its nonce too.
    let fresh = nonce(&mut trial, &client.base);
    let shown = Shown {
        nonce: fresh.clone(),
        ..client.shown(&mut trial, "new-order")
    };
    let message = client.message(&shown, &identifiers(&["evil.test"]).to_string());
    assert_eq!(
        kind(&post(&mut trial, &shown.url, message)),
        "rejectedIdentifier"
    );
    assert_eq!(kind(&send(&mut trial, &fresh)), "badNonce");
    // Nothing that nobody of ours made, and nothing old.
    let mut forged = decode(&fresh).unwrap();
    forged[10] ^= 1;
    assert_eq!(kind(&send(&mut trial, &encode(&forged))), "badNonce");
    assert_eq!(kind(&send(&mut trial, "")), "badNonce");
    let fresh = nonce(&mut trial, &client.base);
    trial.pass(601);
    assert_eq!(kind(&send(&mut trial, &fresh)), "badNonce");
    let nonces = |trial: &Trial| {
        trial
            .stored("mount/")
            .iter()
            .filter(|name| name.contains("acme-nonce"))
            .count()
    };
    assert_eq!(nonces(&trial), 0, "what is too old anyway is forgotten");
}

#[test]
fn a_message_is_its_sender_s_for_this_address_alone() {
    let mut trial = open();
    let client = Client::known(&mut trial);
    let other = Client::known(&mut trial);
    let payload = identifiers(&["a.example.test"]).to_string();
    let good = |trial: &mut Trial| client.shown(trial, "new-order");
    let url = format!("{}/new-order", client.base);

    let shown = good(&mut trial);
    assert_eq!(
        post(&mut trial, &url, client.message(&shown, &payload)).status,
        201
    );
    let elsewhere = Shown {
        url: format!("{}/new-account", client.base),
        ..good(&mut trial)
    };
    let message = client.message(&elsewhere, &payload);
    assert_eq!(kind(&post(&mut trial, &url, message)), "unauthorized");
    let shown = Shown {
        with_jwk: true,
        ..good(&mut trial)
    };
    let message = client.message(&shown, &payload);
    assert_eq!(
        kind(&post(&mut trial, &url, message)),
        "malformed",
        "an order needs an account"
    );
    // Another's `kid` with one's own signature.
    let forger = Client {
        key: KeyPairAlgorithm::EcdsaP256.generate().unwrap(),
        kid: other.kid.clone(),
        base: client.base.clone(),
    };
    let shown = good(&mut trial);
    let message = forger.message(&shown, &payload);
    assert_eq!(kind(&post(&mut trial, &url, message)), "malformed");
    let forger = Client {
        kid: Some(format!("{}/account/{}", client.base, encode(&[0; 16]))),
        ..forger
    };
    let message = forger.message(&good(&mut trial), &payload);
    assert_eq!(
        kind(&post(&mut trial, &url, message)),
        "accountDoesNotExist"
    );

    for (bend, expected) in [
        (json!({"alg": "none"}), "badSignatureAlgorithm"),
        (json!({"alg": "HS256"}), "badSignatureAlgorithm"),
        (json!({"alg": "RS256"}), "malformed"),
        (json!({"crit": ["x"]}), "malformed"),
        (json!({"jwk": client.jwk()}), "malformed"),
    ] {
        let mut header = json!({"alg": "ES256", "nonce": nonce(&mut trial, &client.base), "url": url, "kid": client.kid});
        for (name, value) in bend.as_object().unwrap() {
            header[name] = value.clone();
        }
        let message = client.sign(&header, &payload);
        assert_eq!(kind(&post(&mut trial, &url, message)), expected, "{bend}");
    }
    // What stands beside the three members is signed by nobody.
    let mut message = client.message(&good(&mut trial), &payload);
    message["ttl"] = json!("9000h");
    assert_eq!(kind(&post(&mut trial, &url, message)), "malformed");
    let mut message = client.message(&good(&mut trial), &payload);
    message["payload"] = encode(identifiers(&["b.example.test"]).to_string().as_bytes()).into();
    assert_eq!(kind(&post(&mut trial, &url, message)), "malformed");
}

#[test]
fn orders_proofs_and_certificates_are_their_account_s() {
    let mut trial = open();
    let client = Client::known(&mut trial);
    let other = Client::known(&mut trial);
    let (at, order) = client.proven(&mut trial, &["a.example.test"]);
    let finalize = client.rest(&order["finalize"]);
    let authorization = client.rest(&order["authorizations"][0]);
    let challenge = authorization.replace("authorization", "challenge") + "/http-01";
    let csr = json!({"csr": csr(None, &["a.example.test"])});
    for (rest, payload) in [
        (&at, ""),
        (&finalize, csr.to_string().as_str()),
        (&authorization, ""),
        (&authorization, r#"{"status":"deactivated"}"#),
        (&challenge, "{}"),
        (&format!("{at}/cert"), ""),
    ] {
        let refused = other.send_text(&mut trial, rest, payload);
        assert_eq!(
            (refused.status, kind(&refused).as_str()),
            (404, "malformed"),
            "{rest}"
        );
    }
    let done = body(&client.send(&mut trial, &finalize, csr));
    let chain = client
        .send_text(&mut trial, &client.rest(&done["certificate"]), "")
        .body;
    let leaf = CertificateDer::from_pem_slice(&chain).unwrap();
    let payload = json!({"certificate": encode(&leaf)});
    assert_eq!(
        kind(&other.send(&mut trial, "revoke-cert", payload.clone())),
        "unauthorized"
    );
    let keyed = Client::new();
    assert_eq!(
        kind(&keyed.send(&mut trial, "revoke-cert", payload.clone())),
        "unauthorized"
    );
    let revoked = client.send(&mut trial, "revoke-cert", payload.clone());
    assert_eq!(revoked.status, 200);
    assert_eq!(
        kind(&client.send(&mut trial, "revoke-cert", payload)),
        "alreadyRevoked"
    );
    let crl = raw(trial.call(Read, "pki/crl", Json::Null).unwrap()).body;
    let (_, crl) = x509_parser::parse_x509_crl(&crl).unwrap();
    assert_eq!(crl.iter_revoked_certificates().count(), 1);
    let foreign = rcgen::generate_simple_self_signed(vec!["a.example.test".to_owned()]).unwrap();
    let payload = json!({"certificate": encode(foreign.cert.der())});
    assert_eq!(client.send(&mut trial, "revoke-cert", payload).status, 404);
}

#[test]
fn a_request_is_for_the_names_of_the_order_and_no_other() {
    let two = ["a.example.test", "b.example.test"];
    for (common_name, names, issued) in [
        (None, &two[..], true),
        (Some("a.example.test"), &two[..], true),
        (Some("a.example.test"), &two[1..], true),
        (None, &two[..1], false),
        (
            None,
            &["a.example.test", "b.example.test", "c.example.test"][..],
            false,
        ),
        (Some("c.example.test"), &two[..], false),
        (Some("A title"), &two[..], false),
        (
            None,
            &["a.example.test", "b.example.test", "10.0.0.1"][..],
            false,
        ),
    ] {
        let mut trial = open();
        let client = Client::known(&mut trial);
        let (at, order) = client.proven(&mut trial, &two);
        let sent = client.send(
            &mut trial,
            &client.rest(&order["finalize"]),
            json!({"csr": csr(common_name, names)}),
        );
        if issued {
            assert_eq!(sent.status, 200, "{common_name:?} {names:?}");
        } else {
            assert_eq!(kind(&sent), "badCSR", "{common_name:?} {names:?}");
            // Nothing was kept, and the order can still be finalized.
            assert_eq!(client.read(&mut trial, &at)["status"], "ready");
            assert!(
                trial
                    .call(Operation::List, "pki/certs", Json::Null)
                    .is_err()
            );
        }
    }
    let mut params = CertificateParams::new(vec!["a.example.test".to_owned()]).unwrap();
    params
        .subject_alt_names
        .push(SanType::URI("spiffe://demo/a".try_into().unwrap()));
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let with_uri = encode(params.serialize_request(&key).unwrap().der());
    let mut trial = open();
    let client = Client::known(&mut trial);
    let (_, order) = client.proven(&mut trial, &["a.example.test"]);
    let finalize = client.rest(&order["finalize"]);
    assert_eq!(
        kind(&client.send(&mut trial, &finalize, json!({"csr": with_uri}))),
        "badCSR"
    );
}

#[test]
fn names_are_judged_by_the_role_before_they_are_asked_and_again_before_they_are_issued() {
    let mut trial = open();
    let client = Client::known(&mut trial);
    for (name, expected) in [
        ("evil.test", "rejectedIdentifier"),
        ("example.test", "rejectedIdentifier"),
        ("*.example.test", "rejectedIdentifier"),
        ("10.0.0.1", "rejectedIdentifier"),
        ("localhost", "rejectedIdentifier"),
        ("", "rejectedIdentifier"),
    ] {
        let refused = client.send(
            &mut trial,
            "new-order",
            identifiers(&["a.example.test", name]),
        );
        assert_eq!(kind(&refused), expected, "{name}");
    }
    for payload in [
        json!({}),
        json!({"identifiers": []}),
        json!({"identifiers": [{"type": "dns"}]}),
        json!({"identifiers": [{"type": "dns", "value": "a.example.test"}], "notAfter": "2030-01-01T00:00:00Z"}),
    ] {
        assert_eq!(
            kind(&client.send(&mut trial, "new-order", payload)),
            "malformed"
        );
    }
    let (_, order) = client.proven(&mut trial, &["a.example.test"]);
    let narrow =
        json!({"allowed_domains": "other.test", "allow_subdomains": true, "key_type": "ec"});
    trial.data(Update, "pki/roles/web", narrow);
    let finalize = client.rest(&order["finalize"]);
    let refused = client.send(
        &mut trial,
        &finalize,
        json!({"csr": csr(None, &["a.example.test"])}),
    );
    assert_eq!(refused.status, 400);
    assert!(
        trial
            .call(Operation::List, "pki/certs", Json::Null)
            .is_err()
    );
}

#[test]
fn a_proof_that_fails_ends_its_order_and_says_nothing_of_what_was_met() {
    let mut trial = open();
    let client = Client::known(&mut trial);
    let (at, order) = client.ordered(&mut trial, &["a.example.test", "b.example.test"]);
    assert_eq!(order["status"], "pending");
    let finalize = client.rest(&order["finalize"]);
    let csr = json!({"csr": csr(None, &["a.example.test", "b.example.test"])});
    assert_eq!(
        kind(&client.send(&mut trial, &finalize, csr.clone())),
        "orderNotReady"
    );
    trial.effects = vec![EffectResult::Failed(
        "169.254.169.254 said: canary".to_owned(),
    )];
    let authorization = client.rest(&order["authorizations"][0]);
    let challenge = authorization.replace("authorization", "challenge") + "/http-01";
    let failed = client.send(&mut trial, &challenge, json!({}));
    assert_eq!(body(&failed)["status"], "invalid");
    assert!(!String::from_utf8_lossy(&failed.body).contains("canary"));
    assert!(!trial.dump().contains("canary"));
    assert_eq!(trial.happened.len(), 1);
    // One look decides: asked again, nobody looks.
    let again = client.send(&mut trial, &challenge, json!({}));
    assert_eq!(
        (body(&again)["status"].as_str(), trial.happened.len()),
        (Some("invalid"), 1)
    );
    assert_eq!(client.read(&mut trial, &at)["status"], "invalid");
    assert_eq!(
        kind(&client.send(&mut trial, &finalize, csr)),
        "orderNotReady"
    );
}

#[test]
fn what_was_proven_can_be_given_up_and_ends_with_its_time() {
    let mut trial = open();
    let client = Client::known(&mut trial);
    let (at, order) = client.proven(&mut trial, &["a.example.test"]);
    let authorization = client.rest(&order["authorizations"][0]);
    let given_up = client.send(&mut trial, &authorization, json!({"status": "deactivated"}));
    assert_eq!(body(&given_up)["status"], "deactivated");
    assert_eq!(client.read(&mut trial, &at)["status"], "invalid");

    let (at, order) = client.proven(&mut trial, &["a.example.test"]);
    trial.now = trial.now.plus(Duration::from_secs(25 * 3_600));
    let finalize = client.rest(&order["finalize"]);
    let late = client.send(
        &mut trial,
        &finalize,
        json!({"csr": csr(None, &["a.example.test"])}),
    );
    assert_eq!(kind(&late), "orderNotReady");
    trial.pass(1);
    assert_eq!(client.send_text(&mut trial, &at, "").status, 404);
    assert!(
        !trial
            .stored("mount/")
            .iter()
            .any(|name| name.contains("/order/") || name.contains("/authorization/"))
    );
}

#[test]
fn an_account_is_bound_once_to_whoever_was_given_the_binding() {
    let mut trial = server(json!({}), json!({}));
    let directory = raw(trial
        .call_as(|| Caller::Anonymous, Read, "pki/acme/directory", Json::Null)
        .unwrap());
    assert_eq!(body(&directory)["meta"]["externalAccountRequired"], true);
    let client = Client::new();
    assert_eq!(
        kind(&client.send(&mut trial, "new-account", json!({}))),
        "externalAccountRequired"
    );
    let given = trial.data(Update, "pki/acme/new-eab", json!({}));
    let key = decode(given["key"].as_str().unwrap()).unwrap();
    let url = format!("{}/new-account", client.base);
    let bind = |url: &str, jwk: Json, key: &[u8]| {
        let header = json!({"alg": "HS256", "kid": given["id"], "url": url});
        let (protected, payload) = (
            encode(header.to_string().as_bytes()),
            encode(jwk.to_string().as_bytes()),
        );
        let tag = HmacKey::new(HashAlgorithm::Sha2_256, key)
            .tag(&[format!("{protected}.{payload}").as_bytes()]);
        json!({"externalAccountBinding": {"protected": protected, "payload": payload, "signature": encode(&tag)}})
    };
    for wrong in [
        bind(&url, client.jwk(), b"another key"),
        bind(&url, Client::new().jwk(), &key),
        bind(
            &format!("{ROOT}pki/roles/web/acme/new-account"),
            client.jwk(),
            &key,
        ),
    ] {
        assert_eq!(
            kind(&client.send(&mut trial, "new-account", wrong)),
            "unauthorized"
        );
    }
    let made = client.send(&mut trial, "new-account", bind(&url, client.jwk(), &key));
    assert_eq!(made.status, 201, "{}", body(&made));
    // The same key again is the same account; another key cannot use the binding.
    let same = client.send(
        &mut trial,
        "new-account",
        json!({"onlyReturnExisting": true}),
    );
    assert_eq!(
        (same.status, header(&same, "location")),
        (200, header(&made, "location"))
    );
    let second = Client::new();
    let reused = second.send(&mut trial, "new-account", bind(&url, second.jwk(), &key));
    assert_eq!(kind(&reused), "unauthorized");
    assert_eq!(
        kind(&second.send(
            &mut trial,
            "new-account",
            json!({"onlyReturnExisting": true})
        )),
        "accountDoesNotExist"
    );
}

#[test]
fn an_account_that_was_deactivated_does_nothing_more() {
    let mut trial = open();
    let client = Client::known(&mut trial);
    let at = client.rest(&client.kid.clone().unwrap().into());
    let other = Client::known(&mut trial);
    assert_eq!(
        kind(&other.send(&mut trial, &at, json!({"status": "deactivated"}))),
        "unauthorized"
    );
    let contact = json!({"contact": ["mailto:a@example.test"]});
    assert_eq!(
        body(&client.send(&mut trial, &at, contact.clone()))["contact"],
        contact["contact"]
    );
    assert_eq!(
        kind(&client.send(&mut trial, &at, json!({"contact": ["tel:1"]}))),
        "unsupportedContact"
    );
    let ended = client.send(&mut trial, &at, json!({"status": "deactivated"}));
    assert_eq!(body(&ended)["status"], "deactivated");
    assert_eq!(
        kind(&client.send(&mut trial, "new-order", identifiers(&["a.example.test"]))),
        "unauthorized"
    );
    let renewed = Client {
        kid: None,
        ..client
    };
    assert_eq!(
        kind(&renewed.send(&mut trial, "new-account", json!({}))),
        "unauthorized"
    );
}

#[test]
fn directories_are_apart_and_off_until_they_are_configured() {
    let mut trial = open();
    let client = Client::known(&mut trial);
    // The same account under the directory of the role is unknown.
    let moved = Client {
        base: format!("{ROOT}pki/roles/web/acme"),
        ..client
    };
    assert_eq!(
        kind(&moved.send(&mut trial, "new-order", identifiers(&["a.example.test"]))),
        "accountDoesNotExist"
    );
    let own = Client { kid: None, ..moved };
    assert_eq!(own.send(&mut trial, "new-account", json!({})).status, 201);
    trial.data(Update, "pki/roles/other", json!({"allow_any_name": true}));
    let found = |trial: &mut Trial, path: &str| trial.call(Read, path, Json::Null).is_ok();
    assert!(
        !found(&mut trial, "pki/roles/other/acme/directory"),
        "not listed"
    );
    assert!(!found(&mut trial, "pki/roles/none/acme/directory"));
    for (config, default, role) in [
        (
            json!({"enabled": false, "allowed_roles": "web", "default_directory_policy": "role:web"}),
            false,
            false,
        ),
        (json!({"enabled": true}), false, false),
        (
            json!({"enabled": true, "allowed_roles": "web"}),
            false,
            true,
        ),
        (
            json!({"enabled": true, "allowed_roles": "*", "default_directory_policy": "role:web"}),
            true,
            true,
        ),
    ] {
        trial.data(Update, "pki/config/acme", config.clone());
        assert_eq!(found(&mut trial, "pki/acme/directory"), default, "{config}");
        assert_eq!(
            found(&mut trial, "pki/roles/web/acme/directory"),
            role,
            "{config}"
        );
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let mut trial = open();
    for config in [
        json!({"default_directory_policy": "sign-verbatim"}),
        json!({"eab_policy": "sometimes"}),
        json!({"challenge_networks": "10.0.0.0"}),
        json!({"challenge_networks": "10.0.0.0/33"}),
        json!({"dns_resolver": "1.1.1.1:53"}),
    ] {
        assert!(
            trial
                .call(Update, "pki/config/acme", config.clone())
                .is_err(),
            "{config}"
        );
    }
    for path in [
        "http://vault.test/v1/pki",
        "https://vault.test",
        "https://vault.test/v1/pki?x",
        "https://vault.test/v1/<x>",
    ] {
        assert!(
            trial
                .call(Update, "pki/config/cluster", json!({ "path": path }))
                .is_err(),
            "{path}"
        );
    }
    let mut trial = Trial::new();
    trial.mount("pki/", EngineKind::Pki);
    assert!(matches!(
        trial.call(Update, "pki/config/acme", json!({"enabled": true})),
        Err(VaultError::Invalid(_))
    ));
}

#[test]
fn cve_2023_0665_messages_are_public_and_the_making_of_bindings_is_not() {
    let guarded = |rest: &str, operation| {
        let path = RequestPath::parse(&format!("pki/{rest}")).unwrap();
        engine::guarded(&path, operation, Some((EngineKind::Pki, rest)))
    };
    for scope in ["acme", "roles/web/acme"] {
        for (rest, operation, expected) in [
            ("directory", Read, Guarded::Public),
            ("new-nonce", Read, Guarded::Public),
            ("new-account", Update, Guarded::Public),
            ("order/x/finalize", Update, Guarded::Public),
            ("challenge/x/http-01", Update, Guarded::Public),
            ("directory", Update, Guarded::Token),
            ("new-account", Read, Guarded::Token),
            ("new-eab", Update, Guarded::Token),
            ("new-eab/x", Update, Guarded::Token),
            ("order", Update, Guarded::Token),
            ("", Update, Guarded::Token),
        ] {
            assert_eq!(
                guarded(&format!("{scope}/{rest}"), operation),
                expected,
                "{scope}/{rest}"
            );
        }
    }
    assert_eq!(guarded("config/acme", Read), Guarded::Token);
    assert_eq!(guarded("roles/acme", Read), Guarded::Token);
    assert_eq!(guarded("roles/acme/x", Update), Guarded::Token);
}
