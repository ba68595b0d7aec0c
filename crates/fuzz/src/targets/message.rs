//! Messages between partners, their receipts and their private keys.

use super::requests;
use crate::examples::{Example, Failed};
use crate::{Target, Verdict};
use countersign_base::{Kid, Secret, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::jose::{
    Algorithm, ContentForm, JwkSet, KeyManagement, PrivateJwk, sign_jwt,
};
use countersign_crypto::random::Random;
use countersign_crypto::signing::{MessageReceipt, PartnerMessage, Purpose, SigningKey};
use countersign_wire::message::{
    AnswerMark, Digests, Draft, LIFETIME, Message, Occasion, Party, Receiving, Sent, danger, open,
    seal, sign, verify, verify_detached, verify_receipt,
};
use serde_json::json;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "message-signed",
        about: "a signed message between partners, verified",
        run: signed,
        words: WORDS,
    },
    Target {
        name: "message-sealed",
        about: "a sealed message between partners, opened and verified",
        run: sealed,
        words: WORDS,
    },
    Target {
        name: "message-receipt",
        about: "a receipt of a message, verified",
        run: receipt,
        words: WORDS,
    },
    Target {
        name: "private-jwk",
        about: "a private key or a set of them in JSON (RFC 7517)",
        run: private_jwk,
        words: super::crypto::JOSE_WORDS,
    },
];

pub(crate) const WORDS: &[&str] = &[
    "message+jws",
    "message+jwe",
    "receipt+jwt",
    "answer_to",
    "content_sha256",
    "message_sha256",
    "ES256",
    "crit",
    "zip",
    "..",
];

const CONTENT: &[u8] = b"{\"order\":1}";
/// The name of a message that an answer is due to.
const ASKED: &str = "asked-1";

/// The key of the other seeds, for every role. It guards nothing.
fn key<P: Purpose>() -> Option<SigningKey<P>> {
    let pkcs8 = Secret::new(requests::pkcs8()?);
    let kid: Kid = "fuzz-1".parse().ok()?;
    SigningKey::from_pkcs8(Algorithm::Es256, kid, &pkcs8).ok()
}

struct World {
    alice: Party,
    bob: Party,
    keys: JwkSet,
}

impl World {
    fn new() -> Option<Self> {
        Some(Self {
            alice: "https://alice.example".parse().ok()?,
            bob: "https://bob.example".parse().ok()?,
            keys: JwkSet::single(key::<PartnerMessage>()?.verifying_key().ok()?),
        })
    }

    fn receiving<'a>(&'a self, occasion: &'a Occasion) -> Receiving<'a> {
        Receiving {
            issuer: &self.alice,
            keys: &self.keys,
            audience: &self.bob,
            occasion,
        }
    }

    fn sent(&self) -> Option<Sent> {
        Some(Sent {
            issuer: self.alice.clone(),
            audience: self.bob.clone(),
            id: "m".parse().ok()?,
            digests: Digests {
                message: [1; 32],
                content: [2; 32],
            },
        })
    }
}

fn judge(message: &Message) {
    assert!(
        message.issued < message.expires && !message.content().is_empty(),
        "a message has a time and a content"
    );
}

/// What holds its content; the same text is also read as one whose content is beside it, and as a request as well as an answer.
pub(crate) fn signed(input: &[u8]) -> Verdict {
    let (Ok(text), Some(world), Ok(asked)) =
        (std::str::from_utf8(input), World::new(), ASKED.parse())
    else {
        return Verdict::Refused;
    };
    let now = requests::NOW;
    let mut taken = 0;
    for occasion in [
        Occasion::Own,
        Occasion::AnswerToPlain,
        Occasion::AnswerTo(asked),
    ] {
        let receiving = world.receiving(&occasion);
        let attached = verify(text, &receiving, now).map(danger::spent);
        let detached = verify_detached(text, CONTENT, &receiving, now).map(danger::spent);
        for message in attached.iter().chain(&detached) {
            judge(message);
            taken += 1;
        }
    }
    assert!(taken < 2, "a message has one form and one occasion");
    if taken == 1 {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}

pub(crate) fn sealed(input: &[u8]) -> Verdict {
    let (Ok(text), Some(world), Some(key)) = (
        std::str::from_utf8(input),
        World::new(),
        requests::decryption_key(),
    ) else {
        return Verdict::Refused;
    };
    let receiving = world.receiving(&Occasion::Own);
    let opened = open(text, [&key], &receiving, requests::NOW).map(danger::spent);
    if let Ok(message) = &opened {
        judge(message);
    }
    Verdict::of(&opened)
}

pub(crate) fn receipt(input: &[u8]) -> Verdict {
    let (Ok(text), Some(world)) = (std::str::from_utf8(input), World::new()) else {
        return Verdict::Refused;
    };
    let Some(sent) = world.sent() else {
        return Verdict::Refused;
    };
    Verdict::of(&verify_receipt(text, &world.keys, &sent, requests::NOW))
}

pub(crate) fn private_jwk(input: &[u8]) -> Verdict {
    let keys = PrivateJwk::parse_set(input);
    for key in keys.iter().flatten() {
        let written = key.to_private_json().map(|text| {
            PrivateJwk::parse(text.expose().as_bytes()).map(|again| again.public().clone())
        });
        assert!(
            matches!(written, Ok(Ok(public)) if public == *key.public()),
            "a key is read as it was written"
        );
    }
    Verdict::of(&keys)
}

/// Valid inputs.
pub(crate) fn examples() -> Result<Vec<Example>, Failed> {
    let world = World::new().ok_or("the key of the seeds")?;
    let signing = key::<PartnerMessage>().ok_or("the key of the seeds")?;
    let receiver = requests::decryption_key().ok_or("the key of the seeds")?;
    let (random, now): (_, UnixTime) = (Random::system(), requests::NOW);
    let draft = Draft {
        issuer: world.alice.clone(),
        audience: world.bob.clone(),
        occasion: Occasion::Own,
        mark: AnswerMark::Critical,
        content_type: "application/json".parse()?,
        lifetime: LIFETIME,
    };
    let made = |form| sign(&signing, &draft, CONTENT, form, &random, now);
    let answer = Draft {
        occasion: Occasion::AnswerTo(ASKED.parse()?),
        ..draft.clone()
    };
    let answer = sign(
        &signing,
        &answer,
        CONTENT,
        ContentForm::Attached,
        &random,
        now,
    )?;
    let to = (receiver.public(), KeyManagement::EcdhEsA256Kw);
    let sealed = seal(&signing, &draft, CONTENT, to, &random, now)?;
    let digests = world.sent().ok_or("the message of the seeds")?.digests;
    let (message, content) = (
        base64url::encode(&digests.message),
        base64url::encode(&digests.content),
    );
    let claims = json!({
        "iss": "https://bob.example", "aud": "https://alice.example", "jti": "r", "iat": now.0,
        "message": { "jti": "m", "message_sha256": message, "content_sha256": content },
    });
    let receipt = sign_jwt(
        &key::<MessageReceipt>().ok_or("the key of the seeds")?,
        &claims,
    )?;
    // RFC 8037 appendix A.1.
    let private = json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    Ok(vec![
        (
            "message-signed",
            "attached",
            made(ContentForm::Attached)?.text.into_bytes(),
        ),
        (
            "message-signed",
            "detached",
            made(ContentForm::Detached)?.text.into_bytes(),
        ),
        ("message-signed", "answer", answer.text.into_bytes()),
        ("message-sealed", "seed", sealed.text.into_bytes()),
        ("message-receipt", "seed", receipt.into_bytes()),
        ("private-jwk", "one", private.to_string().into_bytes()),
        (
            "private-jwk",
            "set",
            json!({ "keys": [private] }).to_string().into_bytes(),
        ),
    ])
}
