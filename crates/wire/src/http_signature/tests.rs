//! The vectors of RFC 9421: appendix B (keys of B.1, messages and signatures of B.2 to B.4) and the examples of §2.

use super::{
    Component, Expected, HttpSignatureError, KeyAs, LabelledSignature, Message, ResponseView,
    SIGNATURE, SIGNATURE_INPUT, Signing, sign, signatures, verify,
};
use crate::head::HeadView;
use crate::signature_key::{SignatureAlgorithm, SigningKey, VerificationKey};
use countersign_base::{Duration, Secret, UnixTime};
use countersign_crypto::base64;
use countersign_crypto::keypair::{KeyPair, KeyPairAlgorithm, PublicKey};
use proptest::prelude::*;

const RSA_PSS: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----
";
const P256: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
";
const ED25519: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
";
/// The seed in the private key of `test-key-ed25519`.
const ED25519_SEED: &str = "n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=";
const SHARED: &str =
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
const CREATED: UnixTime = UnixTime(1_618_884_473);

const DIGEST: &str = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
const RESPONSE_DIGEST: &str = "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:";

/// `test-request` of appendix B.2.
const REQUEST: [(&str, &str); 5] = [
    ("host", "example.com"),
    ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("content-type", "application/json"),
    ("content-digest", DIGEST),
    ("content-length", "18"),
];
/// `test-response` of appendix B.2.
const RESPONSE: [(&str, &str); 4] = [
    ("date", "Tue, 20 Apr 2021 02:07:56 GMT"),
    ("content-type", "application/json"),
    ("content-digest", RESPONSE_DIGEST),
    ("content-length", "23"),
];

type Fields = Vec<(String, Vec<u8>)>;

fn with(fields: &[(&str, &str)], more: &[(&str, &str)]) -> Fields {
    fields
        .iter()
        .chain(more)
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn view(fields: &Fields) -> Vec<(&str, &[u8])> {
    fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect()
}

fn request<'a>(fields: &'a [(&'a str, &'a [u8])]) -> HeadView<'a> {
    HeadView {
        method: "POST",
        scheme: "https",
        authority: "example.com",
        path_and_query: "/foo?param=Value&Pet=dog",
        fields,
    }
}

fn key(id: &str) -> VerificationKey {
    let public = |algorithm, pem: &str| {
        VerificationKey::public(algorithm, PublicKey::from_pem(pem.as_bytes()).unwrap()).unwrap()
    };
    let key = match id {
        "test-key-rsa-pss" => public(SignatureAlgorithm::RsaPssSha512, RSA_PSS),
        "test-key-ecc-p256" => public(SignatureAlgorithm::EcdsaP256Sha256, P256),
        "test-key-ed25519" => public(SignatureAlgorithm::Ed25519, ED25519),
        _ => VerificationKey::hmac_sha256(&Secret::new(base64::decode(SHARED).unwrap())),
    };
    key.with_id(Some(id.into()))
}

const KEYS: [&str; 4] = [
    "test-key-rsa-pss",
    "test-key-ecc-p256",
    "test-key-ed25519",
    "test-shared-secret",
];

fn expected(components: &[&str]) -> Expected {
    Expected {
        components: components
            .iter()
            .map(|name| name.parse().unwrap())
            .collect(),
        tag: None,
        tolerance: Duration::from_secs(300),
    }
}

fn judged(message: &Message<'_>) -> Result<LabelledSignature, HttpSignatureError> {
    let keys: Vec<_> = KEYS.into_iter().map(key).collect();
    verify(message, &keys, &expected(&[]), CREATED).map(|verified| verified.signature().clone())
}

/// Label, input and signature of the RFC, and the base that it prints.
struct Vector {
    label: &'static str,
    input: &'static str,
    signature: &'static str,
    base: &'static [&'static str],
}

impl Vector {
    fn fields(&self) -> [(&'static str, String); 2] {
        [
            (SIGNATURE_INPUT, format!("{}={}", self.label, self.input)),
            (SIGNATURE, format!("{}=:{}:", self.label, self.signature)),
        ]
    }

    fn check(
        &self,
        message: impl Fn(&[(&str, &[u8])]) -> Result<LabelledSignature, HttpSignatureError>,
        fields: &[(&str, &str)],
    ) {
        let [input, signature] = self.fields();
        let signed = with(fields, &[(input.0, &input.1), (signature.0, &signature.1)]);
        let verified = message(&view(&signed)).unwrap();
        assert_eq!(verified.label, self.label);
        // The twin: one bit of the signature, and it does not hold.
        let mut bytes = base64::decode(self.signature).unwrap();
        bytes[7] ^= 1;
        let other = format!("{}=:{}:", self.label, base64::encode(&bytes));
        let forged = with(fields, &[(input.0, &input.1), (signature.0, &other)]);
        assert_eq!(message(&view(&forged)), Err(HttpSignatureError::Wrong));
    }
}

const B21: Vector = Vector {
    label: "sig-b21",
    input: r#"();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#,
    signature: "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
    base: &[],
};
const B22: Vector = Vector {
    label: "sig-b22",
    input: r#"("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#,
    signature: "LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
    base: &[
        r#""@authority": example.com"#,
        r#""content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"#,
        r#""@query-param";name="Pet": dog"#,
    ],
};
const B23: Vector = Vector {
    label: "sig-b23",
    input: r#"("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#,
    signature: "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
    base: &[
        r#""date": Tue, 20 Apr 2021 02:07:55 GMT"#,
        r#""@method": POST"#,
        r#""@path": /foo"#,
        r#""@query": ?param=Value&Pet=dog"#,
        r#""@authority": example.com"#,
        r#""content-type": application/json"#,
        r#""content-digest": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"#,
        r#""content-length": 18"#,
    ],
};
const B24: Vector = Vector {
    label: "sig-b24",
    input: r#"("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256""#,
    signature: "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==",
    base: &[
        r#""@status": 200"#,
        r#""content-type": application/json"#,
        r#""content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:"#,
        r#""content-length": 23"#,
    ],
};
const B25: Vector = Vector {
    label: "sig-b25",
    input: r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#,
    signature: "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
    base: &[
        r#""date": Tue, 20 Apr 2021 02:07:55 GMT"#,
        r#""@authority": example.com"#,
        r#""content-type": application/json"#,
    ],
};
const B26: Vector = Vector {
    label: "sig-b26",
    input: r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
    signature: "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    base: &[
        r#""date": Tue, 20 Apr 2021 02:07:55 GMT"#,
        r#""@method": POST"#,
        r#""@path": /foo"#,
        r#""@authority": example.com"#,
        r#""content-type": application/json"#,
        r#""content-length": 18"#,
    ],
};

#[test]
fn the_requests_of_appendix_b2_hold() {
    for vector in [&B21, &B22, &B23, &B25, &B26] {
        vector.check(
            |fields| judged(&Message::Request(request(fields))),
            &REQUEST,
        );
        let [input, signature] = vector.fields();
        let signed = with(
            &REQUEST,
            &[(input.0, &input.1), (signature.0, &signature.1)],
        );
        let signed = view(&signed);
        let message = Message::Request(request(&signed));
        let read = signatures(&message).unwrap();
        let base = String::from_utf8(read[0].input.base(&message).unwrap()).unwrap();
        let params = format!("\"@signature-params\": {}", vector.input);
        let lines: Vec<&str> = vector
            .base
            .iter()
            .copied()
            .chain([params.as_str()])
            .collect();
        assert_eq!(base, lines.join("\n"));
    }
}

#[test]
fn the_response_of_appendix_b24_holds() {
    let response = |fields: &[(&str, &[u8])]| {
        judged(&Message::Response(ResponseView {
            status: 200,
            fields,
            request: None,
        }))
    };
    B24.check(response, &RESPONSE);
    let [input, signature] = B24.fields();
    let signed = with(
        &RESPONSE,
        &[(input.0, &input.1), (signature.0, &signature.1)],
    );
    let signed = view(&signed);
    let message = |status| {
        Message::Response(ResponseView {
            status,
            fields: &signed,
            request: None,
        })
    };
    let base = signatures(&message(200)).unwrap()[0]
        .input
        .base(&message(200))
        .unwrap();
    let base = String::from_utf8(base).unwrap();
    let lines: Vec<&str> = base.lines().collect();
    assert_eq!(lines[..4], *B24.base);
    assert_eq!(judged(&message(201)), Err(HttpSignatureError::Wrong));
}

#[test]
fn hmac_and_ed25519_give_the_very_signatures_of_the_rfc() {
    let shared = SigningKey::hmac_sha256(&Secret::new(base64::decode(SHARED).unwrap()));
    let seed: [u8; 32] = base64::decode(ED25519_SEED).unwrap().try_into().unwrap();
    let pair = KeyPair::from_ed25519_seed(&Secret::new(seed)).unwrap();
    let ed25519 = SigningKey::pair(SignatureAlgorithm::Ed25519, pair).unwrap();
    let fields = with(&REQUEST, &[]);
    let fields = view(&fields);
    for (vector, id, key, components) in [
        (
            &B25,
            "test-shared-secret",
            &shared,
            &["date", "@authority", "content-type"][..],
        ),
        (
            &B26,
            "test-key-ed25519",
            &ed25519,
            &[
                "date",
                "@method",
                "@path",
                "@authority",
                "content-type",
                "content-length",
            ],
        ),
    ] {
        let components = expected(components).components;
        let signed = sign(
            &Message::Request(request(&fields)),
            &[KeyAs { id, key }],
            &Signing {
                label: vector.label,
                components: &components,
                created: CREATED,
                expires: None,
                nonce: None,
                tag: None,
            },
        )
        .unwrap();
        let [input, signature] = vector.fields();
        assert_eq!(signed.input, input.1);
        assert_eq!(signed.signature, signature.1);
    }
}

/// Appendix B.3: a proxy that ended TLS signs with the certificate that it saw.
#[test]
fn the_proxy_of_appendix_b3_holds() {
    const CERTIFICATE: &str = ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:";
    let vector = Vector {
        label: "ttrp",
        input: r#"("@path" "@query" "@method" "@authority" "client-cert");created=1618884473;keyid="test-key-ecc-p256""#,
        signature: "xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==",
        base: &[],
    };
    vector.check(
        |fields| {
            judged(&Message::Request(HeadView {
                authority: "service.internal.example",
                ..request(fields)
            }))
        },
        &[("client-cert", CERTIFICATE)],
    );
}

/// Appendix B.4: what proxies may do to a message, and what breaks its signature.
#[test]
fn the_transformations_of_appendix_b4_hold_and_break_as_stated() {
    let input = r#"transform=("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519""#;
    let signature = "transform=:ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==:";
    let transformed = |method, authority, target, fields: &[(&str, &str)]| {
        let signed = with(fields, &[(SIGNATURE_INPUT, input), (SIGNATURE, signature)]);
        judged(&Message::Request(HeadView {
            method,
            scheme: "https",
            authority,
            path_and_query: target,
            fields: &view(&signed),
        }))
        .map(|_| ())
    };
    let accept = ("accept", "application/json, */*");
    let host = "example.org";
    let target = "/demo?name1=Value1&Name2=value2";
    let wrong = Err(HttpSignatureError::Wrong);
    assert_eq!(transformed("GET", host, target, &[accept]), Ok(()));
    assert_eq!(
        transformed(
            "GET",
            "EXAMPLE.org:443",
            "/demo?name1=Value1&Name2=value2&param=added",
            &[("accept-language", "en-US,en;q=0.5"), accept],
        ),
        Ok(())
    );
    let two_lines = [("accept", "application/json"), ("accept", " */* ")];
    assert_eq!(transformed("GET", host, target, &two_lines), Ok(()));
    assert_eq!(transformed("POST", host, target, &[accept]), wrong);
    assert_eq!(transformed("GET", "example.com", target, &[accept]), wrong);
    let reordered = [("accept", "*/*"), ("accept", "application/json")];
    assert_eq!(transformed("GET", host, target, &reordered), wrong);
    assert_eq!(
        transformed("GET", host, target, &[]),
        Err(HttpSignatureError::Component("the field is not there"))
    );
}

/// §2.4: an answer that is bound to its request.
#[test]
fn the_answer_of_section_2_4_is_bound_to_its_request() {
    const ANSWER: [(&str, &str); 4] = [
        ("date", "Tue, 20 Apr 2021 02:07:56 GMT"),
        ("content-type", "application/json"),
        ("content-length", "62"),
        (
            "content-digest",
            "sha-512=:0Y6iCBzGg5rZtoXS95Ijz03mslf6KAMCloESHObfwnHJDbkkWWQz6PhhU9kxsTbARtY2PTBOzq24uJFpHsMuAg==:",
        ),
    ];
    let vector = Vector {
        label: "reqres",
        input: r#"("@status" "content-digest" "content-type" "@authority";req "@method";req "@path";req "content-digest";req);created=1618884479;keyid="test-key-ecc-p256""#,
        signature: "dMT/A/76ehrdBTD/2Xx8QuKV6FoyzEP/I9hdzKN8LQJLNgzU4W767HK05rx1i8meNQQgQPgQp8wq2ive3tV5Ag==",
        base: &[],
    };
    let asked = with(&REQUEST, &[]);
    let asked = view(&asked);
    let other = with(&[("content-digest", RESPONSE_DIGEST)], &[]);
    let other = view(&other);
    let answered = |fields: &[(&str, &[u8])], request| {
        judged(&Message::Response(ResponseView {
            status: 503,
            fields,
            request,
        }))
    };
    vector.check(|fields| answered(fields, Some(request(&asked))), &ANSWER);
    let [input, signature] = vector.fields();
    let signed = with(&ANSWER, &[(input.0, &input.1), (signature.0, &signature.1)]);
    let signed = view(&signed);
    assert_eq!(
        answered(&signed, Some(request(&other))),
        Err(HttpSignatureError::Wrong)
    );
    assert_eq!(
        answered(&signed, None),
        Err(HttpSignatureError::Component("the request is not known"))
    );
}

#[track_caller]
fn value(head: &HeadView<'_>, component: &str) -> Result<String, HttpSignatureError> {
    component
        .parse::<Component>()
        .and_then(|component| component.value(&Message::Request(*head)))
}

/// The examples of §2.1 (fields) and §2.2 (derived components).
#[test]
fn components_have_the_values_of_section_2() {
    let fields = with(
        &[
            ("host", "www.example.com"),
            ("x-ows-header", "  Leading and trailing whitespace.   "),
            ("cache-control", "max-age=60"),
            ("cache-control", "   must-revalidate"),
            ("example-dict", " a=1,    b=2;x=1;y=2,   c=(a   b   c), d"),
            ("x-empty-header", ""),
            ("example-header", "value, with, lots"),
            ("example-header", "of, commas"),
        ],
        &[],
    );
    let fields = view(&fields);
    let head = HeadView {
        method: "GET",
        scheme: "HTTPS",
        authority: "WWW.example.com:443",
        path_and_query: "/path?param=value&foo=bar&baz=bat%2Dman",
        fields: &fields,
    };
    for (component, expected) in [
        ("x-ows-header", "Leading and trailing whitespace."),
        ("cache-control", "max-age=60, must-revalidate"),
        (
            "\"example-dict\"",
            "a=1,    b=2;x=1;y=2,   c=(a   b   c), d",
        ),
        ("\"example-dict\";sf", "a=1, b=2;x=1;y=2, c=(a b c), d"),
        ("\"example-dict\";key=\"a\"", "1"),
        ("\"example-dict\";key=\"d\"", "?1"),
        ("\"example-dict\";key=\"b\"", "2;x=1;y=2"),
        ("\"example-dict\";key=\"c\"", "(a b c)"),
        ("x-empty-header", ""),
        ("example-header", "value, with, lots, of, commas"),
        (
            "\"example-header\";bs",
            ":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:",
        ),
        ("@method", "GET"),
        (
            "@target-uri",
            "https://www.example.com/path?param=value&foo=bar&baz=bat%2Dman",
        ),
        ("@authority", "www.example.com"),
        ("@scheme", "https"),
        ("@request-target", "/path?param=value&foo=bar&baz=bat%2Dman"),
        ("@path", "/path"),
        ("@query", "?param=value&foo=bar&baz=bat%2Dman"),
        ("\"@query-param\";name=\"baz\"", "bat-man"),
        ("\"@query-param\";name=\"param\"", "value"),
    ] {
        assert_eq!(
            value(&head, component).as_deref(),
            Ok(expected),
            "{component}"
        );
    }
}

/// §2.2.6 and §2.2.7 for what is absent, and §2.2.8.
#[test]
fn paths_and_queries_have_the_values_of_section_2() {
    let head = request(&[]);
    let empty = HeadView {
        path_and_query: "",
        ..head
    };
    assert_eq!(value(&empty, "@path").as_deref(), Ok("/"));
    assert_eq!(value(&empty, "@query").as_deref(), Ok("?"));
    let encoded = HeadView {
        path_and_query: "/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something&qux=",
        ..head
    };
    for (name, expected) in [
        ("var", "this%20is%20a%20big%0Amultiline%20value"),
        ("bar", "with%20plus%20whitespace"),
        ("fa%C3%A7ade%22%3A%20", "something"),
        ("qux", ""),
    ] {
        let component = format!("\"@query-param\";name=\"{name}\"");
        assert_eq!(value(&encoded, &component).as_deref(), Ok(expected));
    }
}

#[test]
fn what_cannot_be_covered_is_refused() {
    let fields = with(
        &[
            ("dict", "a=1"),
            ("dict", "a=2"),
            ("utf8", "caf\u{e9}"),
            ("free", "a b"),
        ],
        &[],
    );
    let mut fields = view(&fields);
    fields.push(("line", b"one\n\"@method\": GET"));
    let head = HeadView {
        path_and_query: "/?a=1&a=2",
        ..request(&fields)
    };
    for component in [
        "@status",
        "@query-param",
        "\"@query-param\";name=\"a\"",
        "\"@query-param\";name=\"b\"",
        "@signature-params",
        "@other",
        "Dict",
        "missing",
        "\"dict\";key=\"a\"",
        "\"dict\";sf",
        "\"dict\";key=\"b\"",
        "\"free\";sf",
        "\"free\";tr",
        "\"free\";req",
        "\"free\";bs;sf",
        "\"free\";bs;key=\"a\"",
        "\"free\";bs=?0",
        "\"free\";name=\"a\"",
        "\"@method\";sf",
        "\"@method\";name=\"a\"",
        "utf8",
        "line",
    ] {
        assert!(
            matches!(
                value(&head, component),
                Err(HttpSignatureError::Component(_))
            ),
            "{component}: {:?}",
            value(&head, component)
        );
    }
    assert_eq!(value(&head, "dict").as_deref(), Ok("a=1, a=2"));
    assert!(value(&head, "\"line\";bs").is_ok());
    assert!(value(&head, "\"utf8\";bs").is_ok());
}

/// Everything about B.2.5 but what the case changes.
fn changed(input: &str, signature: &str) -> Result<(), HttpSignatureError> {
    let signed = with(
        &REQUEST,
        &[(SIGNATURE_INPUT, input), (SIGNATURE, signature)],
    );
    judged(&Message::Request(request(&view(&signed)))).map(|_| ())
}

#[test]
fn fields_that_do_not_agree_are_refused() {
    use HttpSignatureError as Why;
    let [(_, input), (_, signature)] = B25.fields();
    assert_eq!(changed(&input, &signature), Ok(()));
    let other = input.replace("sig-b25=", "other=");
    assert_eq!(changed(&other, &signature), Err(Why::Labels));
    let both = format!("{input}, {other}");
    assert_eq!(changed(&both, &signature), Err(Why::Labels));
    let twice = format!("{input}, {input}");
    assert_eq!(changed(&twice, &signature), Err(Why::LabelTwice));
    assert_eq!(
        changed(&input, &format!("{signature}, {signature}")),
        Err(Why::LabelTwice)
    );
    assert_eq!(changed("sig-b25=1", &signature), Err(Why::Malformed));
    assert_eq!(changed(&input, "sig-b25=abc"), Err(Why::Malformed));
    assert_eq!(changed("(", &signature), Err(Why::Malformed));
    let repeated = input.replace("(\"date\"", "(\"date\" \"date\"");
    assert_eq!(
        changed(&repeated, &signature),
        Err(Why::Component("it is covered twice"))
    );
    let none = with(&REQUEST, &[]);
    assert_eq!(
        judged(&Message::Request(request(&view(&none)))).map(|_| ()),
        Err(Why::Missing)
    );
    let stripped = with(&REQUEST, &[(SIGNATURE_INPUT, &input)]);
    assert_eq!(
        judged(&Message::Request(request(&view(&stripped)))).map(|_| ()),
        Err(Why::Labels)
    );
}

#[test]
fn parameters_that_do_not_agree_are_refused() {
    use HttpSignatureError as Why;
    let [(_, input), (_, signature)] = B25.fields();
    let with = |more: &str| changed(&format!("{input}{more}"), &signature);
    assert_eq!(with(";alg=\"hmac-sha256\""), Err(Why::Wrong));
    assert_eq!(with(";alg=\"hmac-sha512\""), Err(Why::AlgorithmUnknown));
    assert_eq!(with(";alg=\"rsa-v1_5-sha256\""), Err(Why::AlgorithmUnknown));
    assert_eq!(with(";alg=hmac-sha256"), Err(Why::Malformed));
    assert_eq!(with(";expires=1618884472"), Err(Why::Expired));
    assert_eq!(with(";expires=-1"), Err(Why::Malformed));
    assert_eq!(with(";expires=\"never\""), Err(Why::Malformed));
    assert_eq!(with(";nonce=1"), Err(Why::Malformed));
    let other = |from: &str, to: &str| changed(&input.replace(from, to), &signature);
    assert_eq!(other("test-shared-secret", "unknown"), Err(Why::KeyUnknown));
    assert_eq!(other(";created=1618884473", ""), Err(Why::CreatedMissing));
    assert_eq!(other("1618884473", "1618884172"), Err(Why::Created));
    assert_eq!(other("1618884473", "1618884774"), Err(Why::Created));
    assert_eq!(other("1618884473", "1618884474"), Err(Why::Wrong));
    // A key whose algorithm the signature does not name.
    assert_eq!(
        other(
            "keyid=\"test-shared-secret\"",
            "keyid=\"test-shared-secret\";alg=\"ed25519\""
        ),
        Err(Why::KeyUnknown)
    );
}

#[test]
fn what_has_to_be_covered_is_demanded_and_other_tags_are_passed_over() {
    let [(_, input), (_, signature)] = B25.fields();
    let signed = with(
        &REQUEST,
        &[(SIGNATURE_INPUT, &input), (SIGNATURE, &signature)],
    );
    let signed = view(&signed);
    let judge = |expected: Expected| {
        verify(
            &Message::Request(request(&signed)),
            &[key("test-shared-secret")],
            &expected,
            CREATED,
        )
        .map(|_| ())
    };
    assert_eq!(judge(expected(&["@authority", "date"])), Ok(()));
    assert_eq!(
        judge(expected(&["@authority", "content-digest"])),
        Err(HttpSignatureError::ComponentsMissing)
    );
    assert_eq!(
        judge(expected(&["\"date\";bs"])),
        Err(HttpSignatureError::ComponentsMissing)
    );
    let mut tagged = expected(&[]);
    tagged.tag = Some("webhook".to_owned());
    assert_eq!(judge(tagged), Err(HttpSignatureError::Missing));
}

#[test]
fn limits_hold() {
    let [(_, input), (_, signature)] = B25.fields();
    let many = |count: usize| {
        let inputs: Vec<String> = (0..count)
            .map(|index| input.replace("sig-b25", &format!("s{index}")))
            .collect();
        let signatures: Vec<String> = (0..count)
            .map(|index| signature.replace("sig-b25", &format!("s{index}")))
            .collect();
        changed(&inputs.join(", "), &signatures.join(", "))
    };
    assert_eq!(many(10), Ok(()));
    assert_eq!(many(11), Err(HttpSignatureError::TooMany));
    let covered = |count: usize| {
        let names: Vec<String> = (0..count).map(|index| format!("\"f{index}\"")).collect();
        changed(
            &format!("sig-b25=({});created=1618884473", names.join(" ")),
            &signature,
        )
    };
    assert_eq!(covered(33), Err(HttpSignatureError::TooMany));
    assert!(matches!(covered(32), Err(HttpSignatureError::Component(_))));
}

fn pair(algorithm: KeyPairAlgorithm) -> SigningKey {
    let signs = match algorithm {
        KeyPairAlgorithm::Ed25519 => SignatureAlgorithm::Ed25519,
        KeyPairAlgorithm::EcdsaP256 => SignatureAlgorithm::EcdsaP256Sha256,
        _ => SignatureAlgorithm::RsaPssSha512,
    };
    SigningKey::pair(signs, algorithm.generate().unwrap()).unwrap()
}

#[test]
fn each_algorithm_signs_what_it_verifies_and_several_keys_sign_at_once() {
    let fields = with(&REQUEST, &[]);
    let fields = view(&fields);
    let components = expected(&["@method", "@target-uri", "content-digest"]).components;
    let keys = [
        pair(KeyPairAlgorithm::Ed25519),
        pair(KeyPairAlgorithm::EcdsaP256),
        pair(KeyPairAlgorithm::Rsa2048),
    ];
    let named: Vec<KeyAs<'_>> = keys.iter().map(|key| KeyAs { id: "k", key }).collect();
    let signed = sign(
        &Message::Request(request(&fields)),
        &named,
        &Signing {
            label: "sig",
            components: &components,
            created: CREATED,
            expires: Some(UnixTime(CREATED.0 + 60)),
            nonce: Some("n"),
            tag: Some("webhook"),
        },
    )
    .unwrap();
    let all = with(
        &REQUEST,
        &[
            (SIGNATURE_INPUT, &signed.input),
            (SIGNATURE, &signed.signature),
        ],
    );
    let all = view(&all);
    for key in &keys {
        let judge = |message: HeadView<'_>, now| {
            verify(
                &Message::Request(message),
                &[key.public().unwrap()],
                &expected(&["content-digest"]),
                now,
            )
            .map(|_| ())
        };
        assert_eq!(judge(request(&all), CREATED), Ok(()));
        assert_eq!(
            judge(request(&all), UnixTime(CREATED.0 + 61)),
            Err(HttpSignatureError::Expired)
        );
        let other = HeadView {
            method: "PUT",
            ..request(&all)
        };
        assert!(judge(other, CREATED).is_err());
    }
}

proptest! {
    #[test]
    fn any_change_of_what_is_covered_refuses(
        value in "[a-z]{1,20}",
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let key = SigningKey::hmac_sha256(&Secret::new(vec![7; 32]));
        let components = expected(&["@method", "@path", "x-value"]).components;
        let mut fields = with(&[("x-value", &value)], &[]);
        let signed = sign(
            &Message::Request(request(&view(&fields))),
            &[KeyAs { id: "k", key: &key }],
            &Signing { label: "s", components: &components, created: CREATED, expires: None, nonce: None, tag: None },
        ).unwrap();
        fields.extend(with(&[(SIGNATURE_INPUT, &signed.input), (SIGNATURE, &signed.signature)], &[]));
        let judge = |fields: &Fields| {
            let key = VerificationKey::hmac_sha256(&Secret::new(vec![7; 32]));
            verify(&Message::Request(request(&view(fields))), &[key], &expected(&[]), CREATED).map(|_| ())
        };
        prop_assert_eq!(judge(&fields), Ok(()));
        let before = fields[0].1.clone();
        let index = at.index(before.len());
        fields[0].1[index] ^= 1 << bit;
        prop_assume!(fields[0].1.trim_ascii() != before);
        prop_assert!(judge(&fields).is_err());
    }
}
