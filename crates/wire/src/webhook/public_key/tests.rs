use super::super::tests::{NOW, Sent, moved, rules};
use super::super::{
    Content, Encoding, FieldRules, KeyError, Scheme, Separator, Source, SourceError, TimePlace,
    WebhookRefusal,
};
use super::{EcdsaEncoding, PublicKeyRules};
use countersign_crypto::base64;
use countersign_crypto::digest::HashAlgorithm;
use countersign_crypto::keypair::{EcdsaForm, KeyPair, KeyPairAlgorithm, SignatureScheme, Signed};

const BODY: &[u8] = br#"{"type":1}"#;
const SIGNATURE: &str = "x-signature-ed25519";
const TIME: &str = "x-signature-timestamp";

/// As Discord signs, and, with `ecdsa` in DER and base64, as `SendGrid` does.
fn scheme(encoding: Encoding, ecdsa: EcdsaEncoding) -> Scheme {
    Scheme::PublicKey(PublicKeyRules {
        fields: FieldRules {
            field: SIGNATURE.parse().unwrap(),
            encoding,
            prefix: String::new(),
            content: Content::Timed {
                separator: Separator::Nothing,
                time: TimePlace::Field(TIME.parse().unwrap()),
            },
        },
        ecdsa,
    })
}

fn sent(scheme: &Scheme, pair: &KeyPair, signed: SignatureScheme) -> Sent {
    let message = [NOW.to_string().as_bytes(), BODY].concat();
    let signature = pair.sign(signed, Signed::Message(&message)).unwrap();
    let Scheme::PublicKey(rules) = scheme else {
        unreachable!("these tests are of public keys")
    };
    let value = match rules.fields.encoding {
        Encoding::Base64 => base64::encode(&signature),
        Encoding::Hex => signature.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    Sent::new(
        build(scheme, pair),
        [(SIGNATURE, value), (TIME, NOW.to_string())],
        BODY,
    )
}

fn build(scheme: &Scheme, pair: &KeyPair) -> Source {
    let pem = pair.public_key().unwrap().to_pem();
    Source::new(rules(scheme.clone(), &[&pem])).unwrap()
}

fn ecdsa(form: EcdsaForm) -> SignatureScheme {
    SignatureScheme::Ecdsa {
        hash: HashAlgorithm::Sha2_256,
        form,
    }
}

#[test]
fn every_forgery_is_refused_and_its_twin_is_not() {
    use WebhookRefusal as Why;
    let ed25519 = KeyPairAlgorithm::Ed25519;
    let p256 = KeyPairAlgorithm::EcdsaP256;
    for (encoding, written, algorithm, signed) in [
        (
            Encoding::Hex,
            EcdsaEncoding::Fixed,
            ed25519,
            SignatureScheme::Ed25519,
        ),
        (
            Encoding::Base64,
            EcdsaEncoding::Asn1,
            p256,
            ecdsa(EcdsaForm::Asn1),
        ),
        (
            Encoding::Base64,
            EcdsaEncoding::Fixed,
            p256,
            ecdsa(EcdsaForm::Fixed),
        ),
    ] {
        let scheme = scheme(encoding, written);
        let pair = algorithm.generate().unwrap();
        let sent = || sent(&scheme, &pair, signed);
        sent().accepted();
        sent()
            .to(build(&scheme, &algorithm.generate().unwrap()))
            .refused(Why::SignatureWrong);
        sent().body(b"{}").refused(Why::SignatureWrong);
        sent()
            .with(TIME, moved(1).to_string())
            .refused(Why::SignatureWrong);
        sent().without(SIGNATURE).refused(Why::SignatureMissing);
        sent().twice(SIGNATURE).refused(Why::SignatureSeveral);
        sent()
            .without(SIGNATURE)
            .with("stripe-signature", "t=1")
            .refused(Why::SchemeOther);
        sent().without(TIME).refused(Why::TimestampMissing);
        sent().at(moved(301)).refused(Why::TimestampOld);
        sent().at(moved(-301)).refused(Why::TimestampFuture);
        sent().with(SIGNATURE, "").refused(Why::SignatureMalformed);
        sent()
            .with(SIGNATURE, "00".repeat(100))
            .refused(Why::SignatureMalformed);
    }
}

#[test]
fn a_signature_in_the_other_form_of_ecdsa_is_wrong() {
    let pair = KeyPairAlgorithm::EcdsaP256.generate().unwrap();
    let asn1 = scheme(Encoding::Hex, EcdsaEncoding::Asn1);
    sent(&asn1, &pair, ecdsa(EcdsaForm::Asn1)).accepted();
    sent(&asn1, &pair, ecdsa(EcdsaForm::Fixed)).refused(WebhookRefusal::SignatureWrong);
}

#[test]
fn two_attempts_with_other_signature_bytes_are_one() {
    let pair = KeyPairAlgorithm::EcdsaP256.generate().unwrap();
    let asn1 = scheme(Encoding::Hex, EcdsaEncoding::Asn1);
    let sent = || sent(&asn1, &pair, ecdsa(EcdsaForm::Asn1));
    let (one, two) = (sent(), sent());
    assert_ne!(one.value(SIGNATURE), two.value(SIGNATURE));
    assert_eq!(one.receipt().attempt(), two.receipt().attempt());
}

#[test]
fn a_key_is_pem_or_jwk_of_a_type_that_signs_so() {
    let scheme = scheme(Encoding::Hex, EcdsaEncoding::Fixed);
    let build = |key: &str| Source::new(rules(scheme.clone(), &[key])).map(|_| ());
    let refused = |error| Err(SourceError::Key { number: 1, error });
    // RFC 8037 appendix A.2.
    let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert_eq!(build(jwk), Ok(()));
    assert_eq!(build("secret"), refused(KeyError::Public));
    assert_eq!(build("{}"), refused(KeyError::Public));
    let rsa = KeyPairAlgorithm::Rsa2048.generate().unwrap();
    assert_eq!(
        build(&rsa.public_key().unwrap().to_pem()),
        refused(KeyError::Type)
    );
}
