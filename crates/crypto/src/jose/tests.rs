//! Tokens against the RFCs' vectors, against another implementation, and against the attacks on JWTs.

use super::{Algorithm, JoseError, JwkSet, Jws, PublicJwk, VerifyingKey, sign_jwt};
use crate::base64url;
use crate::signing::{AccessToken, DpopProof, SigningKey, generate_pkcs8};
use base64::Engine as _;
use countersign_base::{Secret, limits};
use proptest::prelude::*;
use serde_json::{Value, json};

struct Pair {
    pkcs8: Secret<Vec<u8>>,
    signing: SigningKey<AccessToken>,
    verifying: VerifyingKey,
}

fn pair(algorithm: Algorithm) -> Pair {
    let pkcs8 = generate_pkcs8(algorithm).unwrap();
    let signing =
        SigningKey::<AccessToken>::from_pkcs8(algorithm, "k1".parse().unwrap(), &pkcs8).unwrap();
    let verifying = signing.verifying_key().unwrap();
    Pair {
        pkcs8,
        signing,
        verifying,
    }
}

/// A token with any header at all, signed by `signing`.
fn forge(header: &Value, claims: &Value, signing: &SigningKey<AccessToken>) -> String {
    let part = |value: &Value| base64url::encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = signing.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", base64url::encode(&signature))
}

fn verify(token: &str, key: &VerifyingKey) -> Result<Value, JoseError> {
    Jws::parse(token)?
        .verify(key)
        .map(|claims| Value::Object(claims.raw().clone()))
}

const RFC7515_A3_PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// RFC 7515 appendix A.3.
#[test]
fn rfc7515_a3_es256() {
    let jwk = PublicJwk::parse(&json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }))
    .unwrap();
    let key = VerifyingKey::new(&jwk, Algorithm::Es256, None).unwrap();
    let token = format!(
        "eyJhbGciOiJFUzI1NiJ9.{RFC7515_A3_PAYLOAD}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    let claims = Jws::parse(&token).unwrap().verify(&key).unwrap();
    assert_eq!(claims.text("iss").unwrap(), Some("joe"));
    assert_eq!(claims.time("exp").unwrap().unwrap().0, 1_300_819_380);
    assert_eq!(
        verify(&token.replace("DtEh", "DtEi"), &key),
        Err(JoseError::Signature)
    );
}

/// RFC 7515 appendix A.2.
#[test]
fn rfc7515_a2_rs256() {
    let jwk = PublicJwk::parse(&json!({
        "kty": "RSA", "e": "AQAB",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    }))
    .unwrap();
    let key = VerifyingKey::new(&jwk, Algorithm::Rs256, None).unwrap();
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let token = format!("eyJhbGciOiJSUzI1NiJ9.{RFC7515_A3_PAYLOAD}.{signature}");
    assert_eq!(verify(&token, &key).unwrap()["iss"], "joe");
    assert_eq!(
        verify(&token.replace("cC4h", "cC4i"), &key),
        Err(JoseError::Signature)
    );
}

/// RFC 8037 appendices A.1 to A.5: the payload there is not JSON, so it is verified as bytes.
#[test]
fn rfc8037_a4_eddsa() {
    let jwk = PublicJwk::parse(&json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })).unwrap();
    assert_eq!(
        jwk.thumbprint().to_string(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    let key = VerifyingKey::new(&jwk, Algorithm::EdDsa, None).unwrap();
    let signature = base64url::decode(
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    )
    .unwrap();
    assert!(
        key.verify(
            b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            &signature
        )
        .is_ok()
    );
    assert!(
        key.verify(
            b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmd",
            &signature
        )
        .is_err()
    );
}

/// RFC 9864 §2.2: a token may call the same algorithm `Ed25519`; it is held to the same key and the same signature.
#[test]
fn rfc9864_ed25519_is_eddsa() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let x = base64url::encode(pair.public_key().as_ref());
    let jwk = PublicJwk::parse(&json!({ "kty": "OKP", "crv": "Ed25519", "x": x })).unwrap();
    let key = VerifyingKey::new(&jwk, Algorithm::EdDsa, None).unwrap();
    let token = |alg: &str| {
        let header = base64url::encode(json!({ "alg": alg }).to_string().as_bytes());
        let signed = format!("{header}.{}", base64url::encode(br#"{"iss":"joe"}"#));
        let signature = base64url::encode(pair.sign(signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    };
    for alg in ["EdDSA", "Ed25519"] {
        assert_eq!(verify(&token(alg), &key).unwrap()["iss"], "joe", "{alg}");
    }
    for alg in ["ed25519", "Ed448"] {
        assert_eq!(verify(&token(alg), &key), Err(JoseError::AlgorithmUnknown));
    }
    let renamed = token("EdDSA").replacen(
        &base64url::encode(br#"{"alg":"EdDSA"}"#),
        &base64url::encode(br#"{"alg":"Ed25519"}"#),
        1,
    );
    assert_eq!(verify(&renamed, &key), Err(JoseError::Signature));
}

fn oracle(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
    }
}

/// What we sign, another implementation verifies, and the other way round; each with a twin that was tampered with.
fn agrees_with_the_oracle(algorithm: Algorithm) {
    use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
    let ours = pair(algorithm);
    let claims = json!({ "iss": "https://as.example", "exp": 4_000_000_000_i64, "aud": "https://api.example" });

    let jwk = serde_json::from_value(
        ours.signing
            .public_jwk()
            .to_published_json(ours.signing.kid(), algorithm),
    )
    .unwrap();
    let theirs = DecodingKey::from_jwk(&jwk).unwrap();
    let mut validation = Validation::new(oracle(algorithm));
    validation.set_audience(&["https://api.example"]);
    let token = sign_jwt(&ours.signing, &claims).unwrap();
    let decoded = jsonwebtoken::decode::<Value>(&token, &theirs, &validation).unwrap();
    assert_eq!(decoded.claims, claims);
    assert_eq!(decoded.header.typ.as_deref(), Some("at+jwt"));
    assert_eq!(decoded.header.kid.as_deref(), Some("k1"));
    assert!(jsonwebtoken::decode::<Value>(&tampered(&token), &theirs, &validation).is_err());

    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        base64::engine::general_purpose::STANDARD.encode(ours.pkcs8.expose())
    );
    let theirs = match algorithm {
        Algorithm::EdDsa => EncodingKey::from_ed_der(ours.pkcs8.expose()),
        Algorithm::Es256 => EncodingKey::from_ec_pem(pem.as_bytes()).unwrap(),
        Algorithm::Ps256 | Algorithm::Rs256 => EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap(),
    };
    let token = jsonwebtoken::encode(&Header::new(oracle(algorithm)), &claims, &theirs).unwrap();
    assert_eq!(verify(&token, &ours.verifying).unwrap(), claims);
    assert!(verify(&tampered(&token), &ours.verifying).is_err());
}

/// The same token with another payload under the old signature.
fn tampered(token: &str) -> String {
    let (header, rest) = token.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let payload = json!({ "iss": "https://as.example", "exp": 4_000_000_001_i64, "aud": "https://api.example" });
    format!(
        "{header}.{}.{signature}",
        base64url::encode(payload.to_string().as_bytes())
    )
}

#[test]
fn oracle_eddsa() {
    agrees_with_the_oracle(Algorithm::EdDsa);
}

#[test]
fn oracle_es256() {
    agrees_with_the_oracle(Algorithm::Es256);
}

#[test]
fn oracle_ps256() {
    agrees_with_the_oracle(Algorithm::Ps256);
}

#[test]
fn oracle_rs256() {
    agrees_with_the_oracle(Algorithm::Rs256);
}

/// JWT-1: `none` in every spelling, with and without a signature. The twin has the key's algorithm.
#[test]
fn r48_jwt_1_a72_alg_none_is_refused() {
    let key = pair(Algorithm::Es256);
    let claims = json!({ "sub": "a" });
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let token = forge(&json!({ "alg": none }), &claims, &key.signing);
        assert_eq!(
            verify(&token, &key.verifying),
            Err(JoseError::AlgorithmUnknown),
            "{none}"
        );
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        assert_eq!(
            verify(&format!("{unsigned}."), &key.verifying),
            Err(JoseError::AlgorithmUnknown),
            "{none}"
        );
    }
    let token = forge(&json!({ "alg": "ES256" }), &claims, &key.signing);
    assert_eq!(verify(&token, &key.verifying).unwrap(), claims);
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    assert_eq!(
        verify(&format!("{unsigned}."), &key.verifying),
        Err(JoseError::Signature)
    );
}

/// JWT-2: the public key used as an HMAC secret. There is no HMAC, and a symmetric key is not read.
#[test]
fn r48_jwt_2_a72_a67_hmac_with_the_public_key_is_refused() {
    let key = pair(Algorithm::Rs256);
    let public = key.signing.public_jwk().to_json().to_string();
    let signed = format!(
        "{}.{}",
        base64url::encode(br#"{"alg":"HS256"}"#),
        base64url::encode(b"{}")
    );
    let mac = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes()),
        signed.as_bytes(),
    );
    let token = format!("{signed}.{}", base64url::encode(mac.as_ref()));
    assert_eq!(
        verify(&token, &key.verifying),
        Err(JoseError::AlgorithmUnknown)
    );
    assert!(matches!(
        PublicJwk::parse(&json!({ "kty": "oct", "k": "AAAA" })),
        Err(JoseError::Key(_))
    ));
    assert!(
        verify(
            &forge(&json!({ "alg": "RS256" }), &json!({}), &key.signing),
            &key.verifying
        )
        .is_ok()
    );
}

/// One key never verifies two algorithms, not even two of its own type.
#[test]
fn r48_a67_the_algorithm_is_the_keys() {
    let key = pair(Algorithm::Ps256);
    let rs256 = VerifyingKey::new(key.signing.public_jwk(), Algorithm::Rs256, None).unwrap();
    let token = forge(&json!({ "alg": "PS256" }), &json!({}), &key.signing);
    assert!(verify(&token, &key.verifying).is_ok());
    assert_eq!(verify(&token, &rs256), Err(JoseError::AlgorithmDiffers));
    let relabelled = forge(&json!({ "alg": "RS256" }), &json!({}), &key.signing);
    assert_eq!(verify(&relabelled, &rs256), Err(JoseError::Signature));
    assert_eq!(
        VerifyingKey::new(key.signing.public_jwk(), Algorithm::Es256, None).unwrap_err(),
        JoseError::AlgorithmDiffers
    );
}

/// JWT-3: a `kid` that would be a path or a statement. It is only ever compared; what is not a name of a key is refused.
#[test]
fn tok_3_jwt_3_a73_kid_is_a_name_and_nothing_else() {
    let key = pair(Algorithm::Es256);
    for kid in [
        "'; DROP TABLE keys; --",
        "k1\0",
        "%2e%2e%2f",
        "",
        "k 1",
        &"k".repeat(129),
    ] {
        let token = forge(
            &json!({ "alg": "ES256", "kid": kid }),
            &json!({}),
            &key.signing,
        );
        assert_eq!(
            verify(&token, &key.verifying),
            Err(JoseError::Header("kid")),
            "{kid:?}"
        );
    }
    // A path is a possible name, but of no key that anyone has.
    let token = forge(
        &json!({ "alg": "ES256", "kid": "../../dev/null" }),
        &json!({}),
        &key.signing,
    );
    let set = JwkSet::single(key.verifying.clone());
    let jws = Jws::parse(&token).unwrap();
    assert!(
        set.find(jws.header().kid().unwrap(), Algorithm::Es256)
            .is_none()
    );
    assert_eq!(
        jws.verify(&key.verifying).unwrap_err(),
        JoseError::Header("kid")
    );
    let token = forge(
        &json!({ "alg": "ES256", "kid": 1 }),
        &json!({}),
        &key.signing,
    );
    assert_eq!(
        verify(&token, &key.verifying),
        Err(JoseError::Header("kid"))
    );
    let token = forge(
        &json!({ "alg": "ES256", "kid": "k1" }),
        &json!({}),
        &key.signing,
    );
    assert!(verify(&token, &key.verifying).is_ok());
}

/// JWT-4 and JWT-5: keys and addresses that the token brings along are not used. The twin brings the same and is signed by the right key.
#[test]
fn r49_jwt_4_jwt_5_a74_keys_in_the_header_are_ignored() {
    let (right, attacker) = (pair(Algorithm::Es256), pair(Algorithm::Es256));
    let header = json!({
        "alg": "ES256", "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5u", "x5c": ["AAAA"],
        "jwk": attacker.signing.public_jwk().to_json(),
    });
    assert_eq!(
        verify(
            &forge(&header, &json!({}), &attacker.signing),
            &right.verifying
        ),
        Err(JoseError::Signature)
    );
    assert!(
        verify(
            &forge(&header, &json!({}), &right.signing),
            &right.verifying
        )
        .is_ok()
    );
    let broken = json!({ "alg": "ES256", "jwk": "nonsense" });
    assert!(
        verify(
            &forge(&broken, &json!({}), &right.signing),
            &right.verifying
        )
        .is_ok()
    );
}

/// JWT-8: the algorithm has to stand in the protected header of the compact form; the forms that have another header are not read.
#[test]
fn jwt_8_a68_alg_comes_from_the_protected_header() {
    let key = pair(Algorithm::Es256);
    let without = forge(&json!({ "typ": "at+jwt" }), &json!({}), &key.signing);
    assert_eq!(
        verify(&without, &key.verifying),
        Err(JoseError::AlgorithmUnknown)
    );
    let good = forge(&json!({ "alg": "ES256" }), &json!({}), &key.signing);
    let [protected, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let flattened = json!({ "protected": protected, "header": { "alg": "ES256" }, "payload": payload, "signature": signature });
    assert!(verify(&flattened.to_string(), &key.verifying).is_err());
    for alg in [json!(["ES256"]), json!(null), json!({ "alg": "ES256" })] {
        assert_eq!(
            verify(
                &forge(&json!({ "alg": alg }), &json!({}), &key.signing),
                &key.verifying
            ),
            Err(JoseError::AlgorithmUnknown)
        );
    }
    assert!(verify(&good, &key.verifying).is_ok());
}

/// JWT-9 to JWT-11: encrypted, compressed and many-headed tokens are refused before anything is computed.
#[test]
fn r52_jwt_9_jwt_10_jwt_11_a69_a70_a71_encrypted_and_compressed_tokens_are_refused() {
    let key = pair(Algorithm::Es256);
    let pbes2 = base64url::encode(
        br#"{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":1000000000,"p2s":"AAAA"}"#,
    );
    assert_eq!(
        verify(&format!("{pbes2}.AAAA.AAAA.AAAA.AAAA"), &key.verifying),
        Err(JoseError::Parts)
    );
    assert_eq!(
        verify(&format!("{pbes2}.AAAA.AAAA"), &key.verifying),
        Err(JoseError::AlgorithmUnknown)
    );
    let zipped = forge(
        &json!({ "alg": "ES256", "zip": "DEF" }),
        &json!({}),
        &key.signing,
    );
    assert_eq!(
        verify(&zipped, &key.verifying),
        Err(JoseError::Extension("zip"))
    );
    let good = forge(&json!({ "alg": "ES256" }), &json!({}), &key.signing);
    for bad in [
        format!("{good}.AAAA.AAAA"),
        format!("{good}."),
        format!(".{good}"),
        format!("{{}}{good}"),
        format!("{good}\n"),
        format!(" {good}"),
    ] {
        assert!(verify(&bad, &key.verifying).is_err(), "{bad}");
    }
    assert!(verify(&good, &key.verifying).is_ok());
}

/// A token that names no key is tried with eight keys at most, however many the set has.
#[test]
fn jwt_11_a71_the_work_for_one_token_is_bounded() {
    let key = pair(Algorithm::Es256);
    let others: Vec<_> = (0..8).map(|_| pair(Algorithm::Es256).verifying).collect();
    let token = forge(&json!({ "alg": "ES256" }), &json!({}), &key.signing);
    let tried = |keys: Vec<VerifyingKey>| {
        Jws::parse(&token)
            .unwrap()
            .verify_with_any(&keys)
            .map(|_| ())
    };
    assert_eq!(
        tried([others[..7].to_vec(), vec![key.verifying.clone()]].concat()),
        Ok(())
    );
    assert_eq!(
        tried([others, vec![key.verifying.clone()]].concat()),
        Err(JoseError::Signature)
    );
}

#[test]
fn tok_7_critical_extensions_are_refused() {
    let key = pair(Algorithm::Es256);
    for (name, header) in [
        ("crit", json!({ "alg": "ES256", "crit": ["exp"], "exp": 1 })),
        ("crit", json!({ "alg": "ES256", "crit": [] })),
        ("b64", json!({ "alg": "ES256", "b64": false })),
        ("b64", json!({ "alg": "ES256", "b64": true })),
    ] {
        assert_eq!(
            verify(&forge(&header, &json!({}), &key.signing), &key.verifying),
            Err(JoseError::Extension(name))
        );
    }
    assert!(
        verify(
            &forge(
                &json!({ "alg": "ES256", "unknown": 1 }),
                &json!({}),
                &key.signing
            ),
            &key.verifying
        )
        .is_ok()
    );
}

#[test]
fn tok_8_members_that_stand_twice_are_refused() {
    let key = pair(Algorithm::Es256);
    let signed = |header: &[u8], claims: &[u8]| {
        let signed = format!(
            "{}.{}",
            base64url::encode(header),
            base64url::encode(claims)
        );
        let signature = base64url::encode(&key.signing.sign(signed.as_bytes()).unwrap());
        verify(&format!("{signed}.{signature}"), &key.verifying)
    };
    let twice = Err(JoseError::Json("a member stands twice"));
    assert_eq!(signed(br#"{"alg":"ES256","alg":"ES256"}"#, b"{}"), twice);
    assert_eq!(
        signed(br#"{"alg":"ES256"}"#, br#"{"aud":"a","aud":"b"}"#),
        twice
    );
    assert_eq!(
        signed(br#"{"alg":"ES256"}"#, br#"{"aud":"a","\u0061ud":"b"}"#),
        twice
    );
    assert!(signed(br#"{"alg":"ES256"}"#, br#"{"aud":"a"}"#).is_ok());
    assert!(matches!(
        signed(br#"{"alg":"ES256"}"#, b"[]"),
        Err(JoseError::Json(_))
    ));
    assert!(matches!(
        signed(br#"{"alg":"ES256"}"#, b""),
        Err(JoseError::Json(_))
    ));
}

#[test]
fn a_token_has_a_greatest_length() {
    let key = pair(Algorithm::Es256);
    let sized = |filler: usize| {
        forge(
            &json!({ "alg": "ES256" }),
            &json!({ "a": "x".repeat(filler) }),
            &key.signing,
        )
    };
    let overhead = sized(0).len();
    let fitting = (limits::TOKEN_BYTES_MAX - overhead) / 4 * 3 - 3;
    assert!(verify(&sized(fitting), &key.verifying).is_ok());
    assert_eq!(
        verify(&sized(fitting + 100), &key.verifying),
        Err(JoseError::TooLong)
    );
}

#[test]
fn r50_typ_is_compared_as_a_media_type() {
    let key = pair(Algorithm::Es256);
    let check = |typ: Value, expected: bool| {
        let token = forge(
            &json!({ "alg": "ES256", "typ": typ }),
            &json!({}),
            &key.signing,
        );
        assert_eq!(
            Jws::parse(&token).unwrap().header().is_typ("at+jwt"),
            expected,
            "{typ}"
        );
    };
    check(json!("at+jwt"), true);
    check(json!("AT+JWT"), true);
    check(json!("application/at+jwt"), true);
    check(json!("Application/at+jwt"), true);
    check(json!("JWT"), false);
    check(json!("application/application/at+jwt"), false);
    check(json!("text/at+jwt"), false);
    check(json!("at+jwt "), false);
    let token = forge(
        &json!({ "alg": "ES256", "typ": 1 }),
        &json!({}),
        &key.signing,
    );
    assert_eq!(Jws::parse(&token).unwrap_err(), JoseError::Header("typ"));
    let token = forge(&json!({ "alg": "ES256" }), &json!({}), &key.signing);
    assert!(!Jws::parse(&token).unwrap().header().is_typ("at+jwt"));
}

#[test]
fn a_dpop_proof_holds_its_key() {
    let pkcs8 = generate_pkcs8(Algorithm::Es256).unwrap();
    let key =
        SigningKey::<DpopProof>::from_pkcs8(Algorithm::Es256, "unused".parse().unwrap(), &pkcs8)
            .unwrap();
    let jws = Jws::parse(&sign_jwt(&key, &json!({ "jti": "1" })).unwrap()).unwrap();
    assert!(jws.header().is_typ("dpop+jwt"));
    assert_eq!(jws.header().kid(), None);
    let jwk = jws.header().jwk().unwrap().unwrap();
    assert_eq!(jwk.thumbprint(), key.public_jwk().thumbprint());
    let verifying = VerifyingKey::new(&jwk, jws.header().algorithm(), None).unwrap();
    assert_eq!(
        jws.verify(&verifying).unwrap().text("jti").unwrap(),
        Some("1")
    );
}

#[test]
fn only_objects_are_signed() {
    let key = pair(Algorithm::EdDsa);
    assert!(sign_jwt(&key.signing, &json!([1])).is_err());
    assert!(sign_jwt(&key.signing, &"text").is_err());
    assert!(sign_jwt(&key.signing, &json!({})).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn parsing_never_panics(text in "(eyJhbGciOiJFUzI1NiJ9|[A-Za-z0-9_=-]{0,20})(\\.(e30|[A-Za-z0-9_-]{0,20})){0,5}|\\PC{0,60}") {
        let _ = Jws::parse(&text);
    }

    #[test]
    fn parsing_json_in_base64url_never_panics(header in "[{\":a-z,}0-9\\[\\]]{0,40}", payload in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = Jws::parse(&format!("{}.{}.AA", base64url::encode(header.as_bytes()), base64url::encode(&payload)));
    }
}

/// Every byte of a token matters: change any one, and it is refused.
#[test]
fn tampering_any_byte_fails() {
    let key = pair(Algorithm::EdDsa);
    let token = sign_jwt(&key.signing, &json!({ "sub": "a", "n": 1 })).unwrap();
    assert!(verify(&token, &key.verifying).is_ok());
    for position in 0..token.len() {
        for replacement in [b'A', b'b', b'9', b'-', b'.', b'=', b' '] {
            let mut bytes = token.clone().into_bytes();
            if bytes[position] == replacement {
                continue;
            }
            bytes[position] = replacement;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(
                verify(&changed, &key.verifying).is_err(),
                "{position} {}",
                char::from(replacement)
            );
        }
    }
}
