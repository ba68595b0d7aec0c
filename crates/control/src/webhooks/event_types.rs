//! Event types: the schemas that payloads fit, compiled once a schema.
//!
//! Nothing is ever fetched: a `$ref` to another document is refused. What judging a payload costs is bounded by its size: patterns run on the engine without backtracking, and a schema
//! that doubles or never ends is none ([`bounds`]).

mod bounds;

use super::publication::{Fitting, Publication};
use countersign_base::Tenant;
use countersign_crypto::digest::sha256_parts;
use countersign_store::tables::webhook_event_types::{self, EventTypeRecord, EventTypeRow};
use countersign_store::{Connection, StoreError};
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a schema.
const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// Bytes that a pattern may take compiled.
const PATTERN_SIZE_MAX: usize = 256 * 1024;
/// Compiled schemas that are kept.
const SCHEMAS_MAX: usize = 1_000;

/// A schema that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaRefused(String);

/// Why a publication does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFitting {
    /// There is no such type or version.
    #[error("no such event type or version")]
    Unknown,
    /// Nothing of this version is published any more.
    #[error("this version of the event type is retired")]
    Retired,
    /// The payload: the keyword that it breaks and where, never a value.
    #[error("the payload does not fit the event type's schema: {0}")]
    Payload(String),
    /// The stored schema cannot be used any more.
    #[error("the event type's schema cannot be used")]
    Schema,
}

/// The compiled schemas of event types, by their digests. One for the process.
#[derive(Debug, Default)]
struct Schemas(Mutex<BTreeMap<[u8; 32], Arc<Validator>>>);

impl Schemas {
    fn of(&self, schema: &Value) -> Result<Arc<Validator>, SchemaRefused> {
        let text = schema.to_string();
        let digest = sha256_parts(&[text.as_bytes()]);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = known.get(&digest) {
            return Ok(Arc::clone(validator));
        }
        drop(known);
        let validator = Arc::new(compiled(schema, text.len())?);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SCHEMAS_MAX {
            known.clear();
        }
        known.insert(digest, Arc::clone(&validator));
        Ok(validator)
    }
}

fn compiled(schema: &Value, bytes: usize) -> Result<Validator, SchemaRefused> {
    if bytes > SCHEMA_BYTES_MAX {
        return Err(SchemaRefused("the schema is longer than 64 KiB".to_owned()));
    }
    if !schema.is_object() {
        return Err(SchemaRefused("the schema is no JSON object".to_owned()));
    }
    if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
        let at = error.instance_path().as_str().to_owned();
        let keyword = error.kind().keyword().to_owned();
        return Err(SchemaRefused(format!(
            "no JSON schema at `{at}`: {keyword}"
        )));
    }
    bounds::bounded(schema).map_err(SchemaRefused)?;
    let patterns = PatternOptions::regex()
        .size_limit(PATTERN_SIZE_MAX)
        .dfa_size_limit(PATTERN_SIZE_MAX);
    jsonschema::options()
        .offline()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .build(schema)
        .map_err(|error| {
            let path = error.schema_path().as_str().to_owned();
            SchemaRefused(format!("the schema cannot be used at `{path}`"))
        })
}

/// The event types of tenants.
#[derive(Debug, Clone, Default)]
pub struct EventTypes {
    schemas: Arc<Schemas>,
}

impl EventTypes {
    /// Checks what a new version of an event type says: its schema compiles, and its example fits it.
    ///
    /// # Errors
    /// [`SchemaRefused`].
    pub fn check_record(&self, record: EventTypeRecord) -> Result<CheckedEventType, SchemaRefused> {
        if let Some(schema) = &record.schema {
            let validator = self.schemas.of(schema)?;
            if let Some(example) = &record.example
                && let Err(error) = validator.validate(example)
            {
                let at = error.instance_path().as_str().to_owned();
                let keyword = error.kind().keyword().to_owned();
                return Err(SchemaRefused(format!(
                    "the example does not fit the schema: `{keyword}` at `{at}`"
                )));
            }
        }
        Ok(CheckedEventType(record))
    }

    /// Checks that what is to be published is of a known type, and fits its schema: the version that it names, or the newest. Of a retired
    /// one nothing is published, and no older one takes its place: what fits that may not be what its receivers expect by now.
    ///
    /// # Errors
    /// [`StoreError`] when the database failed; the inner error is why it does not fit.
    pub async fn check(
        &self,
        connection: &mut Connection,
        tenant: &Tenant,
        publication: Publication,
    ) -> Result<Result<Fitting, NotFitting>, StoreError> {
        let name = &publication.event_type;
        let row = match publication.version {
            Some(version) => webhook_event_types::find(connection, tenant, name, version).await?,
            None => webhook_event_types::newest(connection, tenant, name).await?,
        };
        let Some(row) = row else {
            return Ok(Err(NotFitting::Unknown));
        };
        Ok(self.fits(&row, publication))
    }

    fn fits(&self, row: &EventTypeRow, publication: Publication) -> Result<Fitting, NotFitting> {
        if row.record.retired {
            return Err(NotFitting::Retired);
        }
        let payload = &publication.payload;
        if let Some(schema) = &row.record.schema {
            let validator = self.schemas.of(schema).map_err(|_| NotFitting::Schema)?;
            validator.validate(payload).map_err(|error| {
                let at = error.instance_path().as_str().to_owned();
                let keyword = error.kind().keyword().to_owned();
                NotFitting::Payload(format!("`{keyword}` at `{at}`"))
            })?;
        }
        Ok(Fitting::new(publication, row.version))
    }
}

/// What a version of an event type may say: only [`EventTypes::check_record`] makes one.
#[derive(Debug, Clone)]
pub struct CheckedEventType(EventTypeRecord);

impl CheckedEventType {
    /// What is stored.
    #[must_use]
    pub fn into_record(self) -> EventTypeRecord {
        self.0
    }
}
