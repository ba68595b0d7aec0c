//! One record of the log, and its one canonical form.
//!
//! The canonical form is JSON by RFC 8785 (JCS): no white space, members in the order of their names. Fields are declared in that order and
//! hold neither floats nor integers beyond 2^53, so the ordinary serializer already writes the canonical form; a property test compares it
//! with the general one in [`crate::canonical_json`].

use crate::event::Event;
use countersign_base::limits::AUDIT_RECORD_BYTES_MAX;
use countersign_base::{EventId, RequestId, Tenant, UnixMillis};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize};

/// The version of the record's form that this program writes.
const VERSION: u32 = 1;
/// The largest integer that canonical JSON holds exactly; no clock reaches it.
const INTEGER_MAX: i64 = (1 << 53) - 1;

/// How a record's space is accounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It changes who may do what; a share of every queue is kept for it.
    Control,
    /// It reports on traffic.
    Data,
}

/// One thing that happened, when, to whom, in which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its identity: what a receipt names.
    pub id: EventId,
    /// When it happened.
    pub time: UnixMillis,
    /// In which tenant.
    pub tenant: Tenant,
    /// In which request, if one caused it.
    pub request: Option<RequestId>,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// The canonical bytes: never more than [`AUDIT_RECORD_BYTES_MAX`], because every field has a largest size.
    #[must_use]
    pub fn encode(&self) -> CanonicalRecord {
        let mut bytes = Vec::with_capacity(512);
        let written = serde_json::to_writer(&mut bytes, self);
        debug_assert!(written.is_ok(), "records hold nothing that JSON cannot say");
        debug_assert!(
            bytes.len() <= AUDIT_RECORD_BYTES_MAX,
            "every field of a record is bounded"
        );
        CanonicalRecord { id: self.id, bytes }
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// When `bytes` are no record, of an unknown kind or version, or not in the canonical form.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > AUDIT_RECORD_BYTES_MAX {
            return Err(RecordError::TooLong {
                length: bytes.len(),
            });
        }
        let record: Self = serde_json::from_slice(bytes).map_err(RecordError::Form)?;
        if record.encode().bytes != bytes {
            return Err(RecordError::NotCanonical);
        }
        Ok(record)
    }
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not the JSON of a record.
    #[error("not an audit record: {0}")]
    Form(#[source] serde_json::Error),
    /// A record, but not written canonically.
    #[error("the record is not in its canonical form (RFC 8785)")]
    NotCanonical,
    /// Longer than any record.
    #[error("the record has {length} bytes, more than {AUDIT_RECORD_BYTES_MAX}")]
    TooLong {
        /// How many bytes.
        length: usize,
    },
}

/// The canonical bytes of a record, with its id at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalRecord {
    id: EventId,
    bytes: Vec<u8>,
}

impl CanonicalRecord {
    /// Checks that `bytes` are the canonical form of a record.
    ///
    /// # Errors
    /// As [`Record::decode`].
    pub fn parse(bytes: Vec<u8>) -> Result<Self, RecordError> {
        let id = Record::decode(&bytes)?.id;
        Ok(Self { id, bytes })
    }

    /// The record's id.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// The bytes: what is hashed into the log.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, without the id.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Serialize for Record {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("detail", &self.event)?;
        map.serialize_entry("id", &Hex(self.id))?;
        map.serialize_entry("kind", self.event.kind())?;
        if let Some(request) = &self.request {
            map.serialize_entry("request", request)?;
        }
        map.serialize_entry("tenant", self.tenant.as_str())?;
        map.serialize_entry("time", &self.time.0.clamp(-INTEGER_MAX, INTEGER_MAX))?;
        map.serialize_entry("v", &VERSION)?;
        map.end()
    }
}

struct Hex(EventId);

impl Serialize for Hex {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRecord<'a> {
    #[serde(borrow)]
    detail: &'a serde_json::value::RawValue,
    id: EventId,
    kind: &'a str,
    request: Option<RequestId>,
    tenant: Tenant,
    time: UnixMillis,
    v: u32,
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let raw = RawRecord::deserialize(deserializer)?;
        if raw.v != VERSION {
            return Err(D::Error::custom("unknown version of the record's form"));
        }
        let event = Event::from_parts(raw.kind, raw.detail).map_err(D::Error::custom)?;
        Ok(Self {
            id: raw.id,
            time: raw.time,
            tenant: raw.tenant,
            request: raw.request,
            event,
        })
    }
}

#[cfg(test)]
mod tests;
