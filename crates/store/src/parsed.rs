//! Client records by the text they are stored as: one that has not changed is not parsed again.
//!
//! The text is read each time, so that nothing old is ever acted on; a memory of what a text means cannot be out of date.

use crate::StoreError;
use crate::tables::decode;
use countersign_base::{ClientId, Tenant};
use countersign_oauth::ClientRecord;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Clients that are kept parsed; past it all are forgotten and parsed again.
const CLIENTS_MAX: usize = 10_000;

/// Parsed client records.
#[derive(Default)]
pub(crate) struct ParsedClients(RwLock<HashMap<(Tenant, ClientId), Parsed>>);

struct Parsed {
    text: Box<str>,
    record: Arc<ClientRecord>,
}

impl ParsedClients {
    /// The record that `text` is, which stands in the row of this client.
    pub(crate) fn read(
        &self,
        tenant: &Tenant,
        client: &ClientId,
        text: String,
    ) -> Result<Arc<ClientRecord>, StoreError> {
        let key = (tenant.clone(), client.clone());
        if let Some(parsed) = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            && *parsed.text == *text
        {
            return Ok(Arc::clone(&parsed.record));
        }
        let record: Arc<ClientRecord> = Arc::new(decode("clients", &text)?);
        let parsed = Parsed {
            text: text.into_boxed_str(),
            record: Arc::clone(&record),
        };
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= CLIENTS_MAX {
            kept.clear();
        }
        kept.insert(key, parsed);
        Ok(record)
    }
}
