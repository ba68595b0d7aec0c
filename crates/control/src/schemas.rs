//! JSON Schemas of authorization details (RFC 9396), compiled once. Nothing is ever fetched: a `$ref` to another document does not compile.

use countersign_oauth::authorization_details::{CompiledSchema, Fit};
use serde_json::Value;

/// Bytes of a schema.
const SCHEMA_BYTES_MAX: usize = 64 * 1024;

/// A schema that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(String);

/// Compiles a schema.
///
/// # Errors
/// It is no JSON Schema, refers to another document, or is too long.
pub fn compile(schema: &Value) -> Result<CompiledSchema, SchemaError> {
    if schema.to_string().len() > SCHEMA_BYTES_MAX {
        return Err(SchemaError("the schema is longer than 64 KiB".to_owned()));
    }
    let validator =
        jsonschema::validator_for(schema).map_err(|error| SchemaError(error.to_string()))?;
    Ok(CompiledSchema::new(move |value| {
        if validator.is_valid(value) {
            Fit::Fits
        } else {
            Fit::Unfit
        }
    }))
}

#[cfg(test)]
mod tests;
