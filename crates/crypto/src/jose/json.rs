//! JSON objects from strangers, read strictly: no member twice, bounded depth, nothing behind the object.
//!
//! A member that two parsers read differently is how a token means one thing to the gateway and another to the service.

use super::JoseError;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// How deep objects and arrays may be nested, the outermost included.
const DEPTH_MAX: u8 = 16;

/// Reads one JSON object.
///
/// # Errors
/// When `bytes` hold anything else, one member twice, or more nesting than [`DEPTH_MAX`].
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, JoseError> {
    match value(bytes)? {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(JoseError::Json("it is another value"))
        }
    }
}

fn value(bytes: &[u8]) -> Result<Value, JoseError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict {
        depth_left: DEPTH_MAX,
    }
    .deserialize(&mut deserializer)
    .map_err(|error| refusal(&error))?;
    deserializer
        .end()
        .map_err(|_| JoseError::Json("something follows it"))?;
    Ok(value)
}

const TWICE: &str = "a member stands twice";
const TOO_DEEP: &str = "it is nested too deep";

/// The parser's own texts can quote what was sent, so they go no further than here.
fn refusal(error: &serde_json::Error) -> JoseError {
    let text = error.to_string();
    if text.starts_with(TWICE) {
        JoseError::Json(TWICE)
    } else if text.starts_with(TOO_DEEP) {
        JoseError::Json(TOO_DEEP)
    } else {
        JoseError::Json("it is not JSON")
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth_left: u8,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        self.depth_left
            .checked_sub(1)
            .map(|depth_left| Self { depth_left })
            .ok_or_else(|| E::custom(TOO_DEEP))
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests;
