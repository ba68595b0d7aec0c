//! The seal's PKCS#11 token, talked to from a process of its own.
//!
//! The vendor's library is foreign code: it may crash, hang, start threads and keep a PIN. So this program calls itself once a question ([`ask`]), gives PIN and bytes over standard input, reads
//! the answer from standard output, and ends what does not answer in time. Nothing of the library stays in the process that has the root key.
//!
//! Not here: making keys. The token's AES key is found by its label, and an operator has made it.

mod library;

use base64url::{decode, encode};
use countersign_base::Secret;
use countersign_control::seal::source::{Token, TokenError};
use countersign_crypto::base64url;
use countersign_crypto::random::Random;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use zeroize::Zeroize;

/// The verb by which the program calls itself; no command line of a person has it.
pub const VERB: &str = "pkcs11-answer";
/// How long a token may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a question or an answer.
const MESSAGE_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of a nonce of AES-GCM.
const NONCE_BYTES: usize = 12;

/// What a token is asked. It holds a PIN: no `Debug`.
#[derive(Serialize, Deserialize)]
struct Question {
    library: PathBuf,
    token_label: String,
    key_label: String,
    pin: String,
    /// For wrapping: drawn by who asks, and first in what is stored.
    nonce: Option<String>,
    /// What is wrapped, or was.
    bytes: String,
}

impl Drop for Question {
    fn drop(&mut self) {
        self.pin.zeroize();
        self.bytes.zeroize();
    }
}

/// What comes back.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// The bytes.
    Bytes(String),
    /// No key of the label.
    KeyMissing(String),
    /// Several of them, or another one.
    KeyUnusable(String),
    /// The PIN.
    Pin(String),
    /// Something else.
    Unavailable(String),
}

/// A key on a token.
pub struct Pkcs11Token {
    /// The program to call: this one.
    pub program: PathBuf,
    /// The vendor's library.
    pub library: PathBuf,
    /// The token's label.
    pub token_label: String,
    /// The key's label.
    pub key_label: String,
    /// The user's PIN.
    pub pin: Secret<String>,
    /// For nonces.
    pub random: Random,
}

impl Token for Pkcs11Token {
    fn wrap(&self, key: &Secret<[u8; 32]>) -> Result<Vec<u8>, TokenError> {
        let nonce = self.random.bytes::<NONCE_BYTES>();
        let sealed = self.ask(Some(encode(&nonce)), key.expose())?;
        Ok([nonce.as_slice(), sealed.expose()].concat())
    }

    fn unwrap(&self, wrapped: &[u8]) -> Result<Secret<[u8; 32]>, TokenError> {
        let opened = self.ask(None, wrapped)?;
        let bytes = opened.expose().as_slice().try_into().map(Secret::new);
        bytes.map_err(|_| unavailable("the token gave something that is no key"))
    }
}

fn unavailable(text: impl Into<String>) -> TokenError {
    TokenError::Unavailable(text.into())
}

impl Pkcs11Token {
    fn ask(&self, nonce: Option<String>, bytes: &[u8]) -> Result<Secret<Vec<u8>>, TokenError> {
        let question = Question {
            library: self.library.clone(),
            token_label: self.token_label.clone(),
            key_label: self.key_label.clone(),
            pin: self.pin.expose().clone(),
            nonce,
            bytes: encode(bytes),
        };
        let mut text = serde_json::to_vec(&question)
            .map_err(|_| unavailable("the question cannot be written"))?;
        let child = Command::new(&self.program)
            .arg(VERB)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child
            .map_err(|error| unavailable(format!("the process for it does not start: {error}")))?;
        let answered = exchange(&mut child, &text);
        text.zeroize();
        // It has answered or is not going to; a library that hangs at its end is ended too.
        let _ended = child.kill();
        let status = child.wait();
        let answer = match (answered, status) {
            (Some(answer), _) => answer,
            (None, Ok(status)) => {
                return Err(unavailable(format!(
                    "the library gave no answer within {} s; its process ended with {status}",
                    PATIENCE.as_secs()
                )));
            }
            (None, Err(error)) => return Err(unavailable(error.to_string())),
        };
        match answer {
            Answer::Bytes(text) => decode(&text)
                .map(Secret::new)
                .map_err(|_| unavailable("the answer cannot be read")),
            Answer::KeyMissing(text) => Err(TokenError::KeyMissing(text)),
            Answer::KeyUnusable(text) => Err(TokenError::KeyUnusable(text)),
            Answer::Pin(text) => Err(TokenError::Pin(text)),
            Answer::Unavailable(text) => Err(TokenError::Unavailable(text)),
        }
    }
}

/// Gives the question, and waits for the answer.
fn exchange(child: &mut Child, question: &[u8]) -> Option<Answer> {
    let mut input = child.stdin.take()?;
    let output = child.stdout.take()?;
    // A process that ended already does not take it: then there is no answer either.
    let _written = input.write_all(question);
    drop(input);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = output.take(MESSAGE_BYTES_MAX).read_to_end(&mut text);
        let answer = read.ok().and_then(|_| serde_json::from_slice(&text).ok());
        text.zeroize();
        let _gone = tell.send(answer);
    });
    told.recv_timeout(PATIENCE).ok().flatten()
}

/// The other side: reads a question, asks the token, writes the answer.
#[must_use]
pub fn answer() -> ExitCode {
    let mut text = Vec::new();
    let read = std::io::stdin()
        .take(MESSAGE_BYTES_MAX)
        .read_to_end(&mut text);
    let question: Option<Question> = read.ok().and_then(|_| serde_json::from_slice(&text).ok());
    text.zeroize();
    let Some(question) = question else {
        eprintln!("error: this verb is not for people");
        return ExitCode::from(2);
    };
    let answer = match answered(&question) {
        Ok(bytes) => Answer::Bytes(encode(bytes.expose())),
        Err(TokenError::KeyMissing(text)) => Answer::KeyMissing(text),
        Err(TokenError::KeyUnusable(text)) => Answer::KeyUnusable(text),
        Err(TokenError::Pin(text)) => Answer::Pin(text),
        Err(TokenError::Unavailable(text)) => Answer::Unavailable(text),
    };
    let Ok(mut text) = serde_json::to_vec(&answer) else {
        return ExitCode::FAILURE;
    };
    let written = std::io::stdout().write_all(&text);
    text.zeroize();
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answered(question: &Question) -> Result<Secret<Vec<u8>>, TokenError> {
    let bytes = decode(&question.bytes).map_err(|_| unavailable("the question cannot be read"))?;
    let bytes = Secret::new(bytes);
    let key = library::Key::find(question)?;
    match &question.nonce {
        Some(nonce) => {
            let nonce = decode(nonce).map_err(|_| unavailable("the question cannot be read"))?;
            key.seal(nonce, bytes.expose())
        }
        None => {
            let (nonce, sealed) = bytes
                .expose()
                .split_at_checked(NONCE_BYTES)
                .ok_or_else(|| unavailable("what was stored is no wrapped key"))?;
            key.open(nonce.to_vec(), sealed)
        }
    }
}

#[cfg(test)]
mod tests;
