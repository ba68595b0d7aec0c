//! One message or many: `batch_input` and `batch_results`, read and answered in one way for every operation.
//!
//! With `batch_input`, the members beside it that describe a message are ignored. Results stand in the order of the items, each with the item's `reference`. When
//! an item fails, the others are done and the status is 400 (500 if nobody's input is to blame), or `partial_failure_response_code` if some were done.

use crate::answer::{Answer, Form};
use crate::{Call, VaultError};
use countersign_crypto::base64;
use serde_json::{Map, Value as Json};

/// Items of one batch.
pub const ITEMS_MAX: usize = 4096;
/// Items of one batch that need the private key of RSA, whose operations take milliseconds.
pub const PRIVATE_RSA_ITEMS_MAX: usize = 256;
/// Bytes of one input.
pub const INPUT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one context, and of one item's associated data.
pub const CONTEXT_BYTES_MAX: usize = 64 * 1024;

/// What came of one item: members of its result.
pub type Done = Result<Map<String, Json>, VaultError>;

/// One item: its members.
#[derive(Clone, Copy)]
pub struct Item<'a>(&'a Map<String, Json>);

/// The messages of a call.
pub enum Input<'a> {
    /// `batch_input`.
    Batch(Vec<Item<'a>>),
    /// The call itself.
    One(Item<'a>),
}

impl<'a> Input<'a> {
    /// The messages of a call.
    ///
    /// # Errors
    /// When `batch_input` is no list of objects, is empty, or has more than [`ITEMS_MAX`].
    pub fn of(call: &'a Call) -> Result<Self, VaultError> {
        let Some(batch) = call.body.value("batch_input") else {
            return Ok(Self::One(Item(call.body.members())));
        };
        let refused =
            || VaultError::invalid("failed to parse batch input: expected a list of maps");
        let items = batch.as_array().ok_or_else(refused)?;
        if items.is_empty() {
            return Err(VaultError::invalid("missing batch input to process"));
        }
        if items.len() > ITEMS_MAX {
            return Err(VaultError::invalid(format!(
                "a batch has at most {ITEMS_MAX} items"
            )));
        }
        items
            .iter()
            .map(|item| item.as_object().map(Item).ok_or_else(refused))
            .collect::<Result<_, _>>()
            .map(Self::Batch)
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[Item<'a>] {
        match self {
            Self::Batch(items) => items,
            Self::One(item) => std::slice::from_ref(item),
        }
    }

    /// Refuses batches that would use a private key of RSA too often.
    ///
    /// # Errors
    /// When there are more than [`PRIVATE_RSA_ITEMS_MAX`].
    pub fn bound_private_rsa(&self, key_type: super::kind::KeyType) -> Result<(), VaultError> {
        if key_type.is_rsa() && self.items().len() > PRIVATE_RSA_ITEMS_MAX {
            return Err(VaultError::invalid(format!(
                "a batch for a private RSA key has at most {PRIVATE_RSA_ITEMS_MAX} items"
            )));
        }
        Ok(())
    }

    /// Refuses a batch in which some items have a context and others none.
    ///
    /// # Errors
    /// [`VaultError::Invalid`] with the text that clients know.
    pub fn contexts(&self) -> Result<Contexts, VaultError> {
        let with = self.items().iter().filter(|item| item.has("context"));
        match with.count() {
            0 => Ok(Contexts::None),
            count if count == self.items().len() => Ok(Contexts::All),
            _ => Err(VaultError::invalid(
                "context should be set either in all the request blocks or in none",
            )),
        }
    }

    /// The answer that the results make.
    ///
    /// # Errors
    /// The error of the one message, if there is no batch.
    pub fn answer(&self, call: &Call, results: Vec<Done>) -> Result<Answer, VaultError> {
        let items = match self {
            Self::One(_) => {
                let done = results.into_iter().next().ok_or(VaultError::Corrupt)?;
                return done.map(|members| Answer::data(Json::Object(members)));
            }
            Self::Batch(items) => items,
        };
        let (mut done, mut blamed, mut failed) = (0_usize, 0_usize, 0_usize);
        let mut written = Vec::with_capacity(results.len());
        for (item, result) in items.iter().zip(results) {
            let mut members = match result {
                Ok(members) => {
                    done += 1;
                    members
                }
                Err(error) => {
                    match error.status() {
                        500.. => failed += 1,
                        _ => blamed += 1,
                    }
                    Map::from_iter([("error".to_owned(), Json::String(error.to_string()))])
                }
            };
            let reference = item.text("reference").unwrap_or_default();
            members.insert("reference".to_owned(), Json::String(reference.to_owned()));
            written.push(Json::Object(members));
        }
        let data = Map::from_iter([("batch_results".to_owned(), Json::Array(written))]);
        let mut answer = Answer::data(Json::Object(data));
        if blamed + failed > 0 {
            let status = if blamed > 0 { 400 } else { 500 };
            answer.form = Form::EnvelopeWith(status);
            if done > 0 {
                return partial(call, answer);
            }
        }
        Ok(answer)
    }
}

/// Lets `partial_failure_response_code` be the status.
fn partial(call: &Call, mut answer: Answer) -> Result<Answer, VaultError> {
    match call.body.integer("partial_failure_response_code")? {
        None | Some(0) => Ok(answer),
        Some(code) => match u16::try_from(code) {
            // Codes below 200 are no answers, and one that says that there is no body would lose it.
            Ok(code @ 200..=599) if code != 204 && code != 304 => {
                answer.form = Form::EnvelopeWith(code);
                Ok(answer)
            }
            Ok(_) | Err(_) => Ok(answer
                .warning("invalid HTTP response code override from partial_failure_response_code")),
        },
    }
}

/// Whether the items have contexts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contexts {
    /// Every one.
    All,
    /// None.
    None,
}

impl<'a> Item<'a> {
    /// Whether a member is there and not empty.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.0
            .get(name)
            .is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// A text; none when it is absent or `null`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(self, name: &'static str) -> Result<&'a str, VaultError> {
        self.given(name).map(Option::unwrap_or_default)
    }

    /// A text that may be absent, which an empty one is not.
    ///
    /// # Errors
    /// When it is something else.
    pub fn given(self, name: &'static str) -> Result<Option<&'a str>, VaultError> {
        match self.0.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(VaultError::invalid(format!("`{name}` must be a string"))),
        }
    }

    /// The bytes that a member has in base64; none when it is absent.
    ///
    /// # Errors
    /// When it is no base64, or longer than `bytes_max`.
    pub fn bytes(self, name: &'static str, bytes_max: usize) -> Result<Vec<u8>, VaultError> {
        let bytes = base64::decode(self.text(name)?)
            .map_err(|_| VaultError::invalid(format!("failed to base64-decode {name}")))?;
        if bytes.len() > bytes_max {
            return Err(VaultError::invalid(format!(
                "`{name}` has more than {bytes_max} bytes"
            )));
        }
        Ok(bytes)
    }

    /// The context.
    ///
    /// # Errors
    /// As [`Item::bytes`].
    pub fn context(self) -> Result<Vec<u8>, VaultError> {
        self.bytes("context", CONTEXT_BYTES_MAX)
    }

    /// The version that is asked for; 0 for none.
    ///
    /// # Errors
    /// When it is no integer.
    pub fn key_version(self) -> Result<i64, VaultError> {
        let refused = || VaultError::invalid("`key_version` must be an integer");
        match self.0.get("key_version") {
            None | Some(Json::Null) => Ok(0),
            Some(Json::Number(number)) => number.as_i64().ok_or_else(refused),
            Some(Json::String(text)) if text.is_empty() => Ok(0),
            Some(Json::String(text)) => text.trim().parse().map_err(|_| refused()),
            Some(_) => Err(refused()),
        }
    }
}
