//! `message`: signs, seals, verifies and opens messages between partners, and checks receipts. It works on files alone; no process is asked.
//!
//! A message that is refused is written nowhere, and nothing is remembered of it. One that is taken is remembered before its content is given out.

mod files;
mod seen;

use super::{Ended, Output, print_line};
use crate::cli::{
    MessageAlgorithm, MessageDraft, MessageKey, MessageOpen, MessageReceiptCheck, MessageSeal,
    MessageSign, MessageVerb, MessageVerify, Reading,
};
use crate::run::system_clock;
use countersign_base::Duration;
use countersign_crypto::base64url;
use countersign_crypto::jose::{
    Algorithm, ContentForm, EncryptionKey, EncryptionKeySet, EncryptionKeyType, JoseError, JwkSet,
    KeyAlgorithm, KeyManagement, PrivateJwk,
};
use countersign_crypto::random::Random;
use countersign_wire::message::{
    Draft, Made, Message, MessageRefusal, Occasion, Receiving, Sent, Unspent, issue_receipt, open,
    seal, sign, verify, verify_detached, verify_receipt,
};
use files::Problem;
use serde_json::{Value, json};
use std::path::Path;

/// Runs the verb.
pub(super) fn message(verb: &MessageVerb, output: Output) -> Ended {
    let done = match verb {
        MessageVerb::Key(args) => key(args),
        MessageVerb::Open(args) => opened(args, output),
        MessageVerb::Receipt(args) => receipt(args, output),
        MessageVerb::Seal(args) => sealed(args, output),
        MessageVerb::Sign(args) => signed(args, output),
        MessageVerb::Verify(args) => verified(args, output),
    };
    match done {
        Ok(()) => Ended::Done,
        Err(Problem::Refused(reason)) => {
            if output == Output::Json {
                print_line(json!({ "refused": reason.as_str() }));
            }
            eprintln!("refused: {reason}");
            Ended::Failed
        }
        Err(Problem::Replayed) => {
            if output == Output::Json {
                print_line(json!({ "refused": "replayed" }));
            }
            eprintln!("refused: it came before");
            Ended::Failed
        }
        Err(Problem::Failed(why)) => {
            eprintln!("error: {why}");
            Ended::Failed
        }
        Err(Problem::Usage(why)) => {
            eprintln!("error: {why}");
            Ended::Usage
        }
    }
}

fn key(args: &MessageKey) -> Result<(), Problem> {
    let algorithm = match args.alg {
        MessageAlgorithm::EcdhP256 => KeyAlgorithm::Encryption(EncryptionKeyType::P256),
        MessageAlgorithm::EcdhX25519 => KeyAlgorithm::Encryption(EncryptionKeyType::X25519),
        MessageAlgorithm::EdDsa => KeyAlgorithm::Signature(Algorithm::EdDsa),
        MessageAlgorithm::Es256 => KeyAlgorithm::Signature(Algorithm::Es256),
        MessageAlgorithm::Ps256 => KeyAlgorithm::Signature(Algorithm::Ps256),
        MessageAlgorithm::RsaOaep256 => KeyAlgorithm::Encryption(EncryptionKeyType::Rsa),
    };
    let key = PrivateJwk::generate(algorithm, args.kid.clone()).map_err(failed)?;
    let private = key.to_private_json().map_err(failed)?;
    files::write_new_private(&args.out, private.expose().as_bytes())?;
    print_line(json!({ "keys": [key.public()] }));
    Ok(())
}

fn signed(args: &MessageSign, output: Output) -> Result<(), Problem> {
    let form = if args.detached {
        ContentForm::Detached
    } else {
        ContentForm::Attached
    };
    let (draft, key, content) = drafted(&args.draft)?;
    let signing = key.signing_key().map_err(usage(&args.draft.key))?;
    let now = system_clock().now();
    let made = sign(&signing, &draft, &content, form, &Random::system(), now).map_err(not_made)?;
    deliver(&args.draft, &made, output)
}

fn sealed(args: &MessageSeal, output: Output) -> Result<(), Problem> {
    let (draft, key, content) = drafted(&args.draft)?;
    let signing = key.signing_key().map_err(usage(&args.draft.key))?;
    let (set, _) = EncryptionKeySet::parse_usable(&files::key_set(&args.receiver)?)
        .map_err(usage(&args.receiver))?;
    let (receiver, management) = receiver(&set, args.alg.map(Into::into)).ok_or_else(|| {
        Problem::Usage(format!(
            "`{}` holds no key that messages can be sealed to in that way: one with `use` `enc`",
            args.receiver.display()
        ))
    })?;
    let now = system_clock().now();
    let to = (receiver, management);
    let made = seal(&signing, &draft, &content, to, &Random::system(), now).map_err(not_made)?;
    deliver(&args.draft, &made, output)
}

/// The key and the way: those that were asked for, or the first key's own.
fn receiver(
    set: &EncryptionKeySet,
    asked: Option<KeyManagement>,
) -> Option<(&EncryptionKey, KeyManagement)> {
    // A wrapped key before an agreed one: then the content's key is drawn and not derived.
    let ways = [
        KeyManagement::EcdhEsA256Kw,
        KeyManagement::RsaOaep256,
        KeyManagement::EcdhEs,
    ];
    set.iter().find_map(|key| {
        ways.into_iter()
            .filter(|way| asked.is_none_or(|asked| asked == *way))
            .find(|way| key.fits(*way))
            .map(|way| (key, way))
    })
}

fn drafted(args: &MessageDraft) -> Result<(Draft, PrivateJwk, Vec<u8>), Problem> {
    let key = files::private_key(&args.key)?;
    let content = files::input(args.file.as_deref())?;
    let draft = Draft {
        issuer: args.from.clone(),
        audience: args.to.clone(),
        occasion: args.answer.answering.occasion(),
        mark: args.answer.mark(),
        content_type: args.content_type.clone(),
        lifetime: Duration::from_secs(args.lifetime),
    };
    Ok((draft, key, content))
}

fn deliver(args: &MessageDraft, made: &Made, output: Output) -> Result<(), Problem> {
    let sent = serde_json::to_value(&made.sent)
        .map_err(|_| Problem::Failed("what was sent cannot be written".to_owned()))?;
    if let Some(keep) = &args.keep {
        files::write_new(keep, format!("{sent}\n").as_bytes())?;
    }
    if let Some(out) = &args.out {
        files::write(out, made.text.as_bytes())?;
    }
    match (output, &args.out) {
        (Output::Json, None) => print_line(with(sent, "message", made.text.as_str().into())),
        (Output::Json, Some(_)) => print_line(sent),
        (Output::Text, None) => print_line(&made.text),
        (Output::Text, Some(_)) => {}
    }
    Ok(())
}

fn verified(args: &MessageVerify, output: Output) -> Result<(), Problem> {
    let keys = files::verifying_keys(&args.reading.keys)?;
    let text = files::message(args.reading.file.as_deref())?;
    let occasion = args.reading.answering.occasion();
    let receiving = receiving(&args.reading, &keys, &occasion);
    let now = system_clock().now();
    let unspent = match &args.content {
        None => verify(&text, &receiving, now),
        Some(content) => verify_detached(&text, &files::input(Some(content))?, &receiving, now),
    };
    take(&args.reading, unspent, output)
}

fn opened(args: &MessageOpen, output: Output) -> Result<(), Problem> {
    let keys = files::verifying_keys(&args.reading.keys)?;
    let private = files::private_keys(&args.key)?;
    let private: Vec<_> = private
        .iter()
        .filter_map(|key| key.decryption_key().ok())
        .collect();
    if private.is_empty() {
        return Err(Problem::Usage(format!(
            "`{}` holds no private key that opens messages: one with `use` `enc`",
            args.key.display()
        )));
    }
    let text = files::message(args.reading.file.as_deref())?;
    let occasion = args.reading.answering.occasion();
    let receiving = receiving(&args.reading, &keys, &occasion);
    let unspent = open(&text, &private, &receiving, system_clock().now());
    take(&args.reading, unspent, output)
}

const fn receiving<'a>(
    args: &'a Reading,
    keys: &'a JwkSet,
    occasion: &'a Occasion,
) -> Receiving<'a> {
    Receiving {
        issuer: &args.from,
        keys,
        audience: &args.to,
        occasion,
    }
}

/// Remembers a verified message, then gives a receipt if one was asked for, and then the content.
fn take(
    args: &Reading,
    unspent: Result<Unspent<Message>, MessageRefusal>,
    output: Output,
) -> Result<(), Problem> {
    // What could keep the receipt from being written is looked for before the message counts as taken.
    let receipt_key = match &args.receipt_key {
        None => None,
        Some(path) => Some(
            files::private_key(path)?
                .signing_key()
                .map_err(usage(path))?,
        ),
    };
    let now = system_clock().now();
    let message = match &args.seen {
        Some(seen) => seen::spend(seen, unspent?, now)?,
        None => seen::unremembered(unspent?),
    };
    if let (Some(key), Some(out)) = (receipt_key, &args.receipt) {
        let receipt = issue_receipt(&key, &message, &Random::system(), now).map_err(failed)?;
        files::write_new(out, receipt.as_bytes())?;
    }
    if let Some(out) = &args.out {
        files::write(out, message.content())?;
    }
    let facts = facts(&message);
    match (output, &args.out) {
        (Output::Json, None) => {
            let content = base64url::encode(message.content());
            print_line(with(facts, "content_base64url", content.into()));
        }
        (Output::Json, Some(_)) => print_line(facts),
        (Output::Text, None) => {
            say(&message);
            files::print(message.content())?;
        }
        (Output::Text, Some(_)) => say(&message),
    }
    Ok(())
}

fn facts(message: &Message) -> Value {
    json!({
        "issuer": message.issuer,
        "audience": message.audience,
        "id": message.id,
        "answer_to": message.occasion.stated(),
        "issued": message.issued.0,
        "expires": message.expires.0,
        "content_type": message.content_type,
        "key": message.kid,
        "algorithm": message.algorithm.name(),
        "message_sha256": base64url::encode(&message.digests.message),
        "content_sha256": base64url::encode(&message.digests.content),
    })
}

fn say(message: &Message) {
    eprintln!(
        "verified: message {} from {}, {} of {} bytes, signed with {} ({})",
        message.id,
        message.issuer,
        message.content_type,
        message.content().len(),
        message.kid,
        message.algorithm
    );
}

fn receipt(args: &MessageReceiptCheck, output: Output) -> Result<(), Problem> {
    let keys = files::verifying_keys(&args.keys)?;
    let sent: Sent = serde_json::from_slice(&files::input(Some(&args.sent))?).map_err(|_| {
        Problem::Usage(format!(
            "`{}` is not what `--keep` wrote",
            args.sent.display()
        ))
    })?;
    let text = files::message(args.file.as_deref())?;
    let receipt = verify_receipt(&text, &keys, &sent, system_clock().now())?;
    match output {
        Output::Json => print_line(json!({
            "issuer": receipt.issuer,
            "id": receipt.id,
            "issued": receipt.issued.0,
            "message": receipt.message,
            "key": receipt.kid,
            "receipt_sha256": base64url::encode(&receipt.digest),
        })),
        Output::Text => print_line(format_args!(
            "{} received message {}, says its receipt {} of {}, signed with {}",
            receipt.issuer, receipt.message, receipt.id, receipt.issued, receipt.kid
        )),
    }
    Ok(())
}

fn with(mut facts: Value, name: &str, value: Value) -> Value {
    if let Value::Object(members) = &mut facts {
        members.insert(name.to_owned(), value);
    }
    facts
}

/// The command's own mistake.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it maps errors, which come by value"
)]
fn failed(error: JoseError) -> Problem {
    Problem::Failed(error.to_string())
}

/// What the caller gave cannot become a message.
fn not_made(error: JoseError) -> Problem {
    Problem::Usage(match error {
        JoseError::TooLong => "the content is longer than 1 MiB".to_owned(),
        JoseError::AlgorithmDiffers => {
            "the key signs with an algorithm that is not for messages: EdDSA, ES256 and PS256 are"
                .to_owned()
        }
        error => error.to_string(),
    })
}

/// A file is not what it should be.
fn usage(path: &Path) -> impl Fn(JoseError) -> Problem {
    move |error| Problem::Usage(format!("`{}`: {error}", path.display()))
}
