//! Components of a message and their values (RFC 9421 §2.1, §2.2).

use super::{HttpSignatureError, Message};
use crate::head::{FieldName, HeadView};
use crate::structured_field::{self, BareItem, Item, Member, Parameters};
use countersign_crypto::base64;
use std::str::FromStr;

/// The derived components (RFC 9421 §2.2).
pub const DERIVED: [&str; 9] = [
    "@authority",
    "@method",
    "@path",
    "@query",
    "@query-param",
    "@request-target",
    "@scheme",
    "@status",
    "@target-uri",
];

/// Pairs of a query that are looked through.
const QUERY_PAIRS_MAX: usize = 256;

/// One part of a message that a signature can cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    name: String,
    parameters: Parameters,
}

impl Component {
    /// Reads an identifier: a string with parameters, each of them known and fitting.
    pub(super) fn of(item: &Item) -> Result<Self, HttpSignatureError> {
        let BareItem::String(name) = &item.value else {
            return Err(HttpSignatureError::Malformed);
        };
        let component = Self {
            name: name.clone(),
            parameters: item.parameters.clone(),
        };
        component.check()?;
        Ok(component)
    }

    fn check(&self) -> Result<(), HttpSignatureError> {
        let derived = self.name.starts_with('@');
        let known = if derived {
            DERIVED.contains(&self.name.as_str())
        } else {
            FieldName::from_str(&self.name).is_ok_and(|name| name.as_str() == self.name)
        };
        if !known {
            return Err(HttpSignatureError::Component(
                "it is neither a derived component nor a field name in lower case",
            ));
        }
        for (key, value) in self.parameters.iter() {
            let fits = match (key, value) {
                ("bs" | "sf", BareItem::Boolean(true)) | ("key", BareItem::String(_)) => !derived,
                ("name", BareItem::String(_)) => self.name == "@query-param",
                ("req", BareItem::Boolean(true)) => self.name != "@status",
                (_, _) => false,
            };
            if !fits {
                return Err(HttpSignatureError::Component(
                    "it has a parameter that is not known or does not fit it",
                ));
            }
        }
        let has = |key: &str| self.parameters.get(key).is_some();
        if has("bs") && (has("sf") || has("key")) {
            return Err(HttpSignatureError::Component(
                "`bs` does not go with `sf` and `key`",
            ));
        }
        if self.name == "@query-param" && !has("name") {
            return Err(HttpSignatureError::Component(
                "`@query-param` has no `name`",
            ));
        }
        Ok(())
    }

    /// Its name: of a field in lower case, or a derived one.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same component of the request, in an answer.
    #[must_use]
    pub fn of_request(self) -> Self {
        Self {
            parameters: self.parameters.with("req", BareItem::Boolean(true)),
            ..self
        }
    }

    /// Whether both are the same: the order of parameters has no meaning (RFC 9421 §2).
    pub(super) fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.parameters.iter().count() == other.parameters.iter().count()
            && self
                .parameters
                .iter()
                .all(|(key, value)| other.parameters.get(key) == Some(value))
    }

    pub(super) fn item(&self) -> Item {
        Item {
            value: BareItem::String(self.name.clone()),
            parameters: self.parameters.clone(),
        }
    }

    /// Its value in the message.
    pub(super) fn value(&self, message: &Message<'_>) -> Result<String, HttpSignatureError> {
        let request;
        let message = if self.parameters.get("req").is_none() {
            message
        } else {
            let Message::Response(response) = message else {
                return Err(HttpSignatureError::Component("`req` in a request"));
            };
            request = response
                .request
                .map(Message::Request)
                .ok_or(HttpSignatureError::Component("the request is not known"))?;
            &request
        };
        let value = if self.name.starts_with('@') {
            self.derived(message)
        } else {
            self.field(message)
        }?;
        // A line end would begin a line of the base, and what is not ASCII has more than one form.
        if value
            .bytes()
            .all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
        {
            Ok(value)
        } else {
            Err(HttpSignatureError::Component(
                "its value holds something else than visible ASCII",
            ))
        }
    }

    fn derived(&self, message: &Message<'_>) -> Result<String, HttpSignatureError> {
        let head = match message {
            Message::Request(head) => head,
            Message::Response(response) if self.name == "@status" => {
                return Ok(format!("{:03}", response.status));
            }
            Message::Response(_) => {
                return Err(HttpSignatureError::Component("an answer has it not"));
            }
        };
        let (path, query) = match head.path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (head.path_and_query, None),
        };
        Ok(match self.name.as_str() {
            "@authority" => authority(head),
            "@method" => head.method.to_owned(),
            "@path" if path.is_empty() => "/".to_owned(),
            "@path" => path.to_owned(),
            "@query" => format!("?{}", query.unwrap_or_default()),
            "@query-param" => {
                let Some(BareItem::String(name)) = self.parameters.get("name") else {
                    return Err(HttpSignatureError::Malformed);
                };
                query_parameter(query.unwrap_or_default(), name)?
            }
            "@request-target" => head.path_and_query.to_owned(),
            "@scheme" => head.scheme.to_ascii_lowercase(),
            "@target-uri" => format!(
                "{}://{}{}",
                head.scheme.to_ascii_lowercase(),
                authority(head),
                head.path_and_query
            ),
            _ => return Err(HttpSignatureError::Component("a request has it not")),
        })
    }

    fn field(&self, message: &Message<'_>) -> Result<String, HttpSignatureError> {
        let values: Vec<&[u8]> = message.values(&self.name).map(<[u8]>::trim_ascii).collect();
        if values.is_empty() {
            return Err(HttpSignatureError::Component("the field is not there"));
        }
        if self.parameters.get("bs").is_some() {
            let encoded: Vec<String> = values
                .iter()
                .map(|value| format!(":{}:", base64::encode(value)))
                .collect();
            return Ok(encoded.join(", "));
        }
        let text = String::from_utf8(values.join(&b", "[..]))
            .map_err(|_| HttpSignatureError::Component("its value is not text"))?;
        if let Some(BareItem::String(key)) = self.parameters.get("key") {
            let dictionary = structured_field::dictionary(&text).map_err(not_structured)?;
            return match dictionary.get(key) {
                Some(Member::InnerList(list)) => Ok(list.to_string()),
                Some(Member::Item(item)) => Ok(item.to_string()),
                None => Err(HttpSignatureError::Component("the key is not in the field")),
            };
        }
        if self.parameters.get("sf").is_some() {
            return structured(&text);
        }
        Ok(text)
    }
}

/// An identifier as it stands in `Signature-Input`: `"@method"`, `"content-digest";req`. Names alone go without quotes.
impl FromStr for Component {
    type Err = HttpSignatureError;

    fn from_str(text: &str) -> Result<Self, HttpSignatureError> {
        if text.starts_with('"') {
            return structured_field::item(text)
                .map_err(|_| HttpSignatureError::Malformed)
                .and_then(|item| Self::of(&item));
        }
        Self::of(&Item {
            value: BareItem::String(text.to_owned()),
            parameters: Parameters::default(),
        })
    }
}

/// Host and port in lower case, without the port that the scheme has anyway (RFC 9421 §2.2.3).
fn authority(head: &HeadView<'_>) -> String {
    let authority = head.authority.to_ascii_lowercase();
    let default = match head.scheme {
        "http" => ":80",
        _ => ":443",
    };
    authority
        .strip_suffix(default)
        .map_or(authority.clone(), str::to_owned)
}

/// The one form of a structured field. What reads as a dictionary and as a list is written alike, so that its type need not be known.
fn structured(text: &str) -> Result<String, HttpSignatureError> {
    if let Ok(dictionary) = structured_field::dictionary(text) {
        return Ok(dictionary.to_string());
    }
    if let Ok(list) = structured_field::list(text) {
        return Ok(list.to_string());
    }
    structured_field::item(text)
        .map(|item| item.to_string())
        .map_err(not_structured)
}

const fn not_structured(_error: structured_field::FieldError) -> HttpSignatureError {
    HttpSignatureError::Component("its value is not a structured field")
}

/// The value of the one parameter of that name, decoded as a form and encoded again (RFC 9421 §2.2.8). A name that stands twice cannot be covered.
fn query_parameter(query: &str, name: &str) -> Result<String, HttpSignatureError> {
    let mut found = None;
    for (count, pair) in query.split('&').enumerate() {
        if count >= QUERY_PAIRS_MAX {
            return Err(HttpSignatureError::TooMany);
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if encoded(&decoded(key)) != name {
            continue;
        }
        if found.is_some() {
            return Err(HttpSignatureError::Component(
                "the parameter stands twice in the query",
            ));
        }
        found = Some(encoded(&decoded(value)));
    }
    found.ok_or(HttpSignatureError::Component(
        "the parameter is not in the query",
    ))
}

/// A name or a value of a form (`application/x-www-form-urlencoded`, URL Standard §5.1).
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16))
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        match (first, digit(rest.first()), digit(rest.get(1))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                bytes = rest.get(2..).unwrap_or_default();
            }
            (b'+', _, _) => decoded.push(b' '),
            (other, _, _) => decoded.push(*other),
        }
    }
    decoded
}

/// Percent-encoded but for what a form leaves as it is (URL Standard §1.3); spaces too.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'-' | b'.' | b'_') {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
