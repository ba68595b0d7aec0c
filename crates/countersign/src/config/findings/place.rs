//! On which line of `countersign.toml` something stands. Sections keep what they say and not where, so the text is read once more for it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The lines of a file's sections.
pub(super) struct Places<'t> {
    text: &'t str,
    root: Option<Spanned<DeTable<'t>>>,
}

impl<'t> Places<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self {
            text,
            root: DeTable::parse(text).ok(),
        }
    }

    /// The line of `key` in the section of this kind and name; without the key, where the section's name stands.
    pub(super) fn line(&self, kind: &str, name: &str, key: &str) -> Option<usize> {
        let root = self.root.as_ref()?.get_ref();
        let (table, named_by) = match kind {
            "client" => ("clients", "id"),
            "egress rule" => ("egress.rules", "name"),
            "egress workload" => ("egress.workloads", "name"),
            "identity provider" => ("identity_providers", "name"),
            "issuer" => ("gateway.issuers", "name"),
            "proxy" => ("forward_auth", "name"),
            "route" => ("routes", "name"),
            "tenant" => ("tenants", "name"),
            "upstream" => ("upstreams", "name"),
            "webhook source" => ("webhook_sources", "name"),
            "acceptance" => ("accepted", "of"),
            _ => (name, ""),
        };
        let (outer, inner) = table.split_once('.').unwrap_or((table, ""));
        let (_, mut section) = root.iter().find(|(name, _)| name.get_ref() == outer)?;
        if !inner.is_empty() {
            let within = section.get_ref().as_table()?;
            (_, section) = within.iter().find(|(name, _)| name.get_ref() == inner)?;
        }
        let offset = match section.get_ref() {
            DeValue::Array(entries) => {
                let entry = entries
                    .iter()
                    .filter_map(|entry| entry.get_ref().as_table())
                    .find(|entry| text_of(entry, named_by) == Some(name))?;
                key_of(entry, key).or_else(|| key_of(entry, named_by))?
            }
            DeValue::Table(entry) => key_of(entry, key).unwrap_or(section.span().start),
            _ => section.span().start,
        };
        let before = self.text.bytes().take(offset);
        Some(before.filter(|byte| *byte == b'\n').count() + 1)
    }
}

fn text_of<'a>(table: &'a DeTable<'_>, wanted: &str) -> Option<&'a str> {
    let (_, value) = table.iter().find(|(name, _)| name.get_ref() == wanted)?;
    value.get_ref().as_str()
}

fn key_of(table: &DeTable<'_>, wanted: &str) -> Option<usize> {
    let (name, _) = table.iter().find(|(name, _)| name.get_ref() == wanted)?;
    Some(name.span().start)
}
