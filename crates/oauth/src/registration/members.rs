//! Members of a JSON object by name and type. Absent and `null` are the same (RFC 7591 §2.2); the wrong type is a refusal that names the member.

use super::refusal::RegistrationRefusal;
use crate::address::WebAddress;
use crate::redirect::RedirectUri;
use crate::tenant::RegistrationRules;
use countersign_base::Bounded;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Entries of one list.
const ENTRIES_MAX: usize = 16;

pub(super) struct Members<'a>(pub(super) &'a Map<String, Value>);

type Read<T> = Result<Option<T>, RegistrationRefusal>;

impl<'a> Members<'a> {
    fn value(&self, name: &'static str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn typed<T>(&self, name: &'static str, read: impl FnOnce(&'a Value) -> Option<T>) -> Read<T> {
        self.value(name)
            .map(|value| read(value).ok_or(RegistrationRefusal::Metadata(name)))
            .transpose()
    }

    pub(super) fn raw(&self, name: &'static str) -> Option<&'a Value> {
        self.value(name)
    }

    pub(super) fn text(&self, name: &'static str) -> Read<&'a str> {
        self.typed(name, Value::as_str)
    }

    pub(super) fn bounded<const N: usize>(&self, name: &'static str) -> Read<Bounded<N>> {
        self.typed(name, |value| Bounded::parse(value.as_str()?).ok())
    }

    pub(super) fn flag(&self, name: &'static str) -> Read<bool> {
        self.typed(name, Value::as_bool)
    }

    pub(super) fn texts(&self, name: &'static str) -> Read<Vec<&'a str>> {
        self.typed(name, |value| {
            let entries = value.as_array().filter(|list| list.len() <= ENTRIES_MAX)?;
            entries.iter().map(Value::as_str).collect()
        })
    }

    /// An address on a host that the tenant lists.
    pub(super) fn address(
        &self,
        name: &'static str,
        rules: &RegistrationRules,
    ) -> Read<WebAddress> {
        let found: Option<WebAddress> = self.typed(name, |value| value.as_str()?.parse().ok())?;
        match found {
            Some(address) if !rules.admits_host(&address.host()) => Err(RegistrationRefusal::Host),
            found => Ok(found),
        }
    }

    /// Redirect URIs, each of which this kind of client may have, on hosts that the tenant lists.
    pub(super) fn redirect_uris(
        &self,
        name: &'static str,
        application: crate::client::Application,
        rules: &RegistrationRules,
    ) -> Result<BTreeSet<RedirectUri>, RegistrationRefusal> {
        let mut uris = BTreeSet::new();
        for text in self.texts(name)?.unwrap_or_default() {
            let uri: RedirectUri = text.parse()?;
            uri.check(application)?;
            if text.starts_with("https:") && !rules.admits_host(&host(text)) {
                return Err(RegistrationRefusal::Host);
            }
            uris.insert(uri);
        }
        Ok(uris)
    }
}

/// The host of a URI that was parsed before.
pub(super) fn host(uri: &str) -> String {
    url::Url::parse(uri)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_default()
}
