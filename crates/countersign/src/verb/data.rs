//! `data`: the classified columns of our own store and of the services whose dictionaries are at hand. Nothing is changed, and no data are read.

use super::{Ended, Output, print_line, say_config_errors};
use crate::classified::{COLUMNS, OwnColumn};
use crate::cli::{DataList, DataVerb};
use crate::config;
use countersign_base::Classification;
use countersign_guard::sealed::{
    DICTIONARY_BYTES_MAX, DataDictionary, EntryName, FieldEntry, KeyScope,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Where our own columns are.
const STORE: &str = "store";

pub(super) fn data(verb: &DataVerb, output: Output) -> Ended {
    match verb {
        DataVerb::List(list) => self::list(list, output),
    }
}

fn list(list: &DataList, output: Output) -> Ended {
    let mut files = match &list.config {
        None => Vec::new(),
        Some(dir) => match config::load(dir) {
            Ok(config) => config.data.files(dir),
            Err(errors) => return say_config_errors(&errors),
        },
    };
    files.extend(list.from.iter().cloned());
    let services = match read_all(&files) {
        Ok(services) => services,
        Err(error) => {
            eprintln!("error: {error}");
            return Ended::Usage;
        }
    };
    match output {
        Output::Json => print_line(to_json(&services)),
        Output::Text => print_line(to_text(&services)),
    }
    Ended::Done
}

type Services = BTreeMap<EntryName, DataDictionary>;

fn read_all(files: &[PathBuf]) -> Result<Services, String> {
    let mut services = Services::new();
    for file in files {
        let named = |error: &dyn std::fmt::Display| format!("`{}`: {error}", file.display());
        let bytes = read(file).map_err(|error| named(&error))?;
        let dictionary = DataDictionary::from_json(&bytes).map_err(|error| named(&error))?;
        let service = dictionary.service().clone();
        // Two exports of one service would say two things, and nobody could tell which is true.
        if services.contains_key(&service) {
            let twice = format!("a second dictionary of `{}`", service.as_str());
            return Err(named(&twice));
        }
        services.insert(service, dictionary);
    }
    Ok(services)
}

/// At most one byte more than a dictionary may have, which its reader then refuses.
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(DICTIONARY_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(file)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

const fn classification(classification: Classification) -> &'static str {
    match classification {
        Classification::Confidential => "confidential",
        Classification::Internal => "internal",
        Classification::Public => "public",
        Classification::Restricted => "restricted",
    }
}

const fn key_scope(scope: KeyScope) -> &'static str {
    match scope {
        KeyScope::Subject => "subject",
        KeyScope::Tenant => "tenant",
    }
}

/// How a service's field goes. A blind index is not under the person's key.
const fn erased(field: &FieldEntry) -> &'static str {
    match (field.key_scope, field.blind_index.is_some()) {
        (KeyScope::Subject, false) => "with the person's key",
        (KeyScope::Subject, true) => "with the person's key; its blind index with the row",
        (KeyScope::Tenant, _) => "with the row",
    }
}

fn to_json(services: &Services) -> Value {
    let own = COLUMNS.iter().map(own_json);
    let theirs = services.iter().flat_map(|(service, dictionary)| {
        let entries = dictionary.entries();
        entries.map(move |field| field_json(service, field))
    });
    json!({ "fields": own.chain(theirs).collect::<Vec<_>>() })
}

fn own_json(own: &OwnColumn) -> Value {
    json!({
        "where": STORE,
        "table": own.table,
        "column": own.column,
        "classification": own.classification,
        "form": own.form.as_str(),
        "key_scope": own.form.key_scope(),
        "holds": own.holds,
        "erased": own.erased,
    })
}

fn field_json(service: &EntryName, field: &FieldEntry) -> Value {
    json!({
        "where": service,
        "table": field.table,
        "column": field.column,
        "classification": field.classification,
        "form": "sealed",
        "key_scope": field.key_scope,
        "purposes": field.purposes,
        "mask": field.mask,
        "blind_index": field.blind_index,
        "erased": erased(field),
    })
}

fn to_text(services: &Services) -> String {
    let own = COLUMNS.iter().map(|own| {
        [
            STORE.to_owned(),
            format!("{}.{}", own.table, own.column),
            classification(own.classification).to_owned(),
            own.form.as_str().replace('_', " "),
            own.form.key_scope().unwrap_or("-").to_owned(),
            own.erased.to_owned(),
        ]
    });
    let theirs = services.iter().flat_map(|(service, dictionary)| {
        dictionary.entries().map(|field| {
            [
                service.as_str().to_owned(),
                format!("{}.{}", field.table.as_str(), field.column.as_str()),
                classification(field.classification).to_owned(),
                "sealed".to_owned(),
                key_scope(field.key_scope).to_owned(),
                erased(field).to_owned(),
            ]
        })
    });
    let head = ["WHERE", "NAME", "CLASSIFICATION", "FORM", "KEY", "ERASED"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(own).chain(theirs).collect();
    aligned(&rows)
}

/// Columns as wide as their widest entry; the last one ends where it ends.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        line.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
