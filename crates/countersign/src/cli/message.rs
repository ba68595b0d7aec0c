//! `message`: messages between partners, in files and pipes.

use clap::{Args, Subcommand, ValueEnum};
use countersign_base::Kid;
use countersign_crypto::jose::KeyManagement;
use countersign_wire::message::{AnswerMark, MediaType, MessageId, Occasion, Party};
use std::path::PathBuf;

const KEY: &str = "Examples:
  countersign message key --alg EdDSA --out alice-sign.jwk > alice-sign.jwks
  countersign message key --alg ECDH-P256 --kid bob-2026 --out bob-seal.jwk > bob-seal.jwks

The private half goes to the new file, the public half as a JWK set to standard output: that is what the partner gets.";
const SIGN: &str = "Examples:
  countersign message sign order.json --key alice-sign.jwk --from https://alice.example --to https://bob.example --type application/json > order.jws
  countersign message sign order.pdf --detached --key alice-sign.jwk --from https://alice.example --to https://bob.example --type application/pdf --keep order.sent > order.jws";
const VERIFY: &str = "Examples:
  countersign message verify order.jws --keys alice-sign.jwks --from https://alice.example --to https://bob.example --seen seen.txt > order.json
  countersign message verify order.jws --content order.pdf --keys alice-sign.jwks --from https://alice.example --to https://bob.example --seen seen.txt --receipt-key bob-sign.jwk --receipt order.receipt

Exits 1 if the message is refused, and says why on standard error.";
const SEAL: &str = "Example:
  countersign message seal order.json --key alice-sign.jwk --receiver bob-seal.jwks --from https://alice.example --to https://bob.example --type application/json --keep order.sent > order.jwe";
const OPEN: &str = "Example:
  countersign message open order.jwe --key bob-seal.jwk --keys alice-sign.jwks --from https://alice.example --to https://bob.example --seen seen.txt > order.json

Exits 1 if the message is refused, and says why on standard error.";
const RECEIPT: &str = "Example:
  countersign message receipt order.receipt --sent order.sent --keys bob-sign.jwks

Exits 1 if the receipt is not one of that message by that partner.";

/// `message`
#[derive(Debug, Subcommand)]
pub enum MessageVerb {
    /// Make a key pair: the private half in a new file, the public half on standard output
    #[command(after_help = KEY)]
    Key(MessageKey),
    /// Open a sealed message with your private key, and verify the signature inside
    #[command(after_help = OPEN)]
    Open(MessageOpen),
    /// Check the receipt that a partner gave of a message
    #[command(after_help = RECEIPT)]
    Receipt(MessageReceiptCheck),
    /// Sign a content and encrypt it for its receiver
    #[command(after_help = SEAL)]
    Seal(MessageSeal),
    /// Sign a content for its receiver
    #[command(after_help = SIGN)]
    Sign(MessageSign),
    /// Verify a signed message
    #[command(after_help = VERIFY)]
    Verify(MessageVerify),
}

/// What a new key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MessageAlgorithm {
    /// Sealing to it by agreement on P-256.
    #[value(name = "ECDH-P256")]
    EcdhP256,
    /// Sealing to it by agreement on Curve25519.
    #[value(name = "ECDH-X25519")]
    EcdhX25519,
    /// Signing with Ed25519.
    #[value(name = "EdDSA")]
    EdDsa,
    /// Signing with ECDSA on P-256.
    #[value(name = "ES256")]
    Es256,
    /// Signing with RSA-PSS.
    #[value(name = "PS256")]
    Ps256,
    /// Sealing to it with RSA-OAEP and SHA-256.
    #[value(name = "RSA-OAEP-256")]
    RsaOaep256,
}

/// `message key`
#[derive(Debug, Args)]
pub struct MessageKey {
    /// What the key is for.
    #[arg(long)]
    pub alg: MessageAlgorithm,
    /// Its name; without it, its thumbprint.
    #[arg(long)]
    pub kid: Option<Kid>,
    /// The file for the private half. It must not be there yet.
    #[arg(long)]
    pub out: PathBuf,
}

/// Whether a message answers a request. Without either, it stands for itself.
#[derive(Debug, Args)]
pub struct Answering {
    /// It answers the message of this name.
    #[arg(long, value_name = "ID", conflicts_with = "answer")]
    pub answer_to: Option<MessageId>,
    /// It answers a request that was no message.
    #[arg(long)]
    pub answer: bool,
}

impl Answering {
    /// As messages state it.
    #[must_use]
    pub fn occasion(&self) -> Occasion {
        match &self.answer_to {
            Some(message) => Occasion::AnswerTo(message.clone()),
            None if self.answer => Occasion::AnswerToPlain,
            None => Occasion::Own,
        }
    }
}

/// How an answer is made.
#[derive(Debug, Args)]
pub struct AnswerDraft {
    /// Whether it answers a request.
    #[command(flatten)]
    pub answering: Answering,
    /// For a reader who does not know `answer_to`, and would refuse it: let it be ignored. Such a reader takes the answer for a request, and for any other answer.
    #[arg(long, requires = "Answering")]
    pub ignorable: bool,
}

impl AnswerDraft {
    /// What becomes of it at a reader who does not know that answers say so.
    #[must_use]
    pub const fn mark(&self) -> AnswerMark {
        if self.ignorable {
            AnswerMark::Ignorable
        } else {
            AnswerMark::Critical
        }
    }
}

/// What is stated about a content.
#[derive(Debug, Args)]
pub struct MessageDraft {
    /// The content; standard input without it.
    pub file: Option<PathBuf>,
    /// Your private key for signatures, as a JWK.
    #[arg(long)]
    pub key: PathBuf,
    /// Who writes: your name, as the receiver expects it.
    #[arg(long)]
    pub from: Party,
    /// For whom: the receiver's name.
    #[arg(long)]
    pub to: Party,
    /// Whether and how it answers a request.
    #[command(flatten)]
    pub answer: AnswerDraft,
    /// The media type of the content.
    #[arg(long = "type", default_value = "application/octet-stream")]
    pub content_type: MediaType,
    /// For how many seconds it may be taken.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub lifetime: u64,
    /// A new file for what has to be kept of it to check its receipt.
    #[arg(long)]
    pub keep: Option<PathBuf>,
    /// The file to write; standard output without it.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// `message sign`
#[derive(Debug, Args)]
pub struct MessageSign {
    /// What is stated.
    #[command(flatten)]
    pub draft: MessageDraft,
    /// Leave the content out: it travels beside the signature.
    #[arg(long)]
    pub detached: bool,
}

/// `message seal`
#[derive(Debug, Args)]
pub struct MessageSeal {
    /// What is stated.
    #[command(flatten)]
    pub draft: MessageDraft,
    /// The receiver's public keys, as a JWK set.
    #[arg(long)]
    pub receiver: PathBuf,
    /// How the content's key gets to the receiver; without it, as the receiver's first key is for.
    #[arg(long)]
    pub alg: Option<SealAlgorithm>,
}

/// A value of `alg` of an encrypted message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SealAlgorithm {
    /// Agreement on the content's key itself.
    #[value(name = "ECDH-ES")]
    EcdhEs,
    /// Agreement on a key that wraps the content's key.
    #[value(name = "ECDH-ES+A256KW")]
    EcdhEsA256Kw,
    /// RSA-OAEP with SHA-256.
    #[value(name = "RSA-OAEP-256")]
    RsaOaep256,
}

impl From<SealAlgorithm> for KeyManagement {
    fn from(algorithm: SealAlgorithm) -> Self {
        match algorithm {
            SealAlgorithm::EcdhEs => Self::EcdhEs,
            SealAlgorithm::EcdhEsA256Kw => Self::EcdhEsA256Kw,
            SealAlgorithm::RsaOaep256 => Self::RsaOaep256,
        }
    }
}

/// What a receiver expects, and what becomes of the message.
#[derive(Debug, Args)]
pub struct Reading {
    /// The message; standard input without it.
    pub file: Option<PathBuf>,
    /// The partner's public keys, as a JWK set.
    #[arg(long)]
    pub keys: PathBuf,
    /// Who wrote: the partner's name.
    #[arg(long)]
    pub from: Party,
    /// For whom: your own name.
    #[arg(long)]
    pub to: Party,
    /// Whether the answer to a request is due.
    #[command(flatten)]
    pub answering: Answering,
    /// The file that remembers which messages were taken; a message that came before is refused.
    #[arg(long, required_unless_present = "again")]
    pub seen: Option<PathBuf>,
    /// Take a message though it may have come before, and remember nothing.
    #[arg(long, conflicts_with_all = ["seen", "receipt"])]
    pub again: bool,
    /// The file for the content; standard output without it, or a member of the JSON.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Your private key for signatures, to give a receipt.
    #[arg(long, requires = "receipt")]
    pub receipt_key: Option<PathBuf>,
    /// A new file for the receipt.
    #[arg(long, requires = "receipt_key")]
    pub receipt: Option<PathBuf>,
}

/// `message verify`
#[derive(Debug, Args)]
pub struct MessageVerify {
    /// What is expected.
    #[command(flatten)]
    pub reading: Reading,
    /// The content, of a message whose content travelled beside it.
    #[arg(long)]
    pub content: Option<PathBuf>,
}

/// `message open`
#[derive(Debug, Args)]
pub struct MessageOpen {
    /// What is expected.
    #[command(flatten)]
    pub reading: Reading,
    /// Your private keys for opening, as a JWK or a set of them.
    #[arg(long)]
    pub key: PathBuf,
}

/// `message receipt`
#[derive(Debug, Args)]
pub struct MessageReceiptCheck {
    /// The receipt; standard input without it.
    pub file: Option<PathBuf>,
    /// What was kept of the message when it was sent.
    #[arg(long)]
    pub sent: PathBuf,
    /// The partner's public keys, as a JWK set.
    #[arg(long)]
    pub keys: PathBuf,
}
