//! The question whether a policy permits an issuance: the actions `issue` and `exchange` of the schema.

use super::{Issuance, Manner, TokenSubject};
use crate::binding::Binding;
use countersign_authn::{AttributeValue, SubjectId};
use countersign_base::{Audience, Issuer};
use countersign_policy::{Entity, Query, Target, Value, vocabulary};
use std::collections::BTreeMap;

impl Target for Issuance {
    fn query(&self) -> Query {
        let mut context = BTreeMap::from([
            (
                "client".to_owned(),
                vocabulary::client_id(&self.client).into(),
            ),
            ("registered".to_owned(), self.registered()),
            ("scopes".to_owned(), vocabulary::scope_set(&self.scopes)),
            ("binding".to_owned(), binding(&self.binding).into()),
            ("time".to_owned(), self.issued.0.into()),
        ]);
        if !self.authorization_details.is_empty() {
            context.extend(self.details());
        }
        context.extend(vocabulary::calendar(self.issued));
        context.extend(self.authentication());
        let action = match &self.exchanged {
            None => {
                context.insert("grant_type".to_owned(), self.grant_type.as_str().into());
                "issue"
            }
            Some(from) => {
                context.insert("subject_token_type".to_owned(), from.kind.as_str().into());
                context.insert(
                    "subject_scopes".to_owned(),
                    vocabulary::scope_set(&from.scopes),
                );
                context.insert("subject_audience".to_owned(), from.audience.as_str().into());
                let actors = self
                    .actor
                    .iter()
                    .flat_map(|act| act.actors())
                    .map(|actor| actor.sub.as_str());
                context.insert("actors".to_owned(), Value::strings(actors));
                let uris = match from.manner {
                    Manner::Assertion => Some(("servers", self.servers())),
                    Manner::Transaction => Some(("trust_domains", self.trust_domains())),
                    Manner::Delegation | Manner::DelegationByPolicy | Manner::Impersonation => None,
                };
                context.extend(uris.map(|(name, uris)| (name.to_owned(), uris)));
                match from.manner {
                    Manner::Assertion => "assert_identity",
                    Manner::Delegation => "exchange",
                    Manner::DelegationByPolicy => "delegate",
                    Manner::Impersonation => "impersonate",
                    Manner::Transaction => "begin_transaction",
                }
            }
        };
        Query {
            principal: self.principal(),
            action: action.to_owned(),
            resource: vocabulary::audience(&self.audience, &self.tenant),
            context,
            others: vec![vocabulary::client(&self.client, &self.tenant)],
        }
    }
}

impl Issuance {
    fn principal(&self) -> Entity {
        match &self.subject {
            TokenSubject::Client(client) => vocabulary::client(client, &self.tenant),
            TokenSubject::User(user) => {
                let text = |value: &countersign_base::Bounded<256>| {
                    AttributeValue::Text(value.as_str().to_owned())
                };
                let attributes = user
                    .attributes
                    .iter()
                    .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                    .collect();
                vocabulary::user(
                    user.id,
                    &self.tenant,
                    &user.roles,
                    &user.groups,
                    &attributes,
                )
            }
        }
    }

    /// What policies see of authorization details: their types, and their actions as `TYPE ACTION`.
    fn details(&self) -> [(String, Value); 2] {
        let kinds = self.authorization_details.kinds();
        let actions: Vec<String> = self
            .authorization_details
            .iter()
            .flat_map(|detail| {
                detail
                    .texts("actions")
                    .map(move |action| format!("{} {action}", detail.kind()))
            })
            .collect();
        [
            (
                "detail_types".to_owned(),
                Value::strings(kinds.into_iter().map(|kind| kind.as_str())),
            ),
            (
                "detail_actions".to_owned(),
                Value::strings(actions.iter().map(String::as_str)),
            ),
        ]
    }

    fn servers(&self) -> Value {
        Value::strings(self.registered.servers.iter().map(Issuer::as_str))
    }

    fn trust_domains(&self) -> Value {
        Value::strings(self.registered.trust_domains.iter().map(Audience::as_str))
    }

    /// How the person signed in, as far as it is known.
    fn authentication(&self) -> impl Iterator<Item = (String, Value)> {
        let user = match &self.subject {
            TokenSubject::Client(_) => None,
            TokenSubject::User(user) => Some(&user.authentication),
        };
        let class = user.and_then(|authentication| authentication.acr);
        let time = user.map(|authentication| authentication.time);
        let age =
            time.map(|time| i64::try_from(self.issued.since(time).as_secs()).unwrap_or(i64::MAX));
        [
            ("acr", class.map(|acr| Value::from(acr.as_str()))),
            ("level", class.map(|acr| Value::from(acr.level()))),
            ("auth_time", time.map(|time| Value::from(time.0))),
            ("age", age.map(Value::from)),
            ("source", self.source.map(Value::from)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    }

    /// `Registration` of the schema.
    fn registered(&self) -> Value {
        let audiences = || {
            Value::strings(
                self.registered
                    .audiences
                    .iter()
                    .map(countersign_base::Audience::as_str),
            )
        };
        Value::Record(BTreeMap::from([
            (
                "scopes".to_owned(),
                vocabulary::scope_set(&self.registered.scopes),
            ),
            ("audiences".to_owned(), audiences()),
            (
                "grant_types".to_owned(),
                Value::strings(self.registered.grants.iter().map(|grant| grant.as_str())),
            ),
            ("exchange_audiences".to_owned(), audiences()),
        ]))
    }

    /// The `sub` of the access token.
    #[must_use]
    pub fn subject_id(&self) -> SubjectId {
        self.subject.id()
    }
}

const fn binding(binding: &Binding) -> &'static str {
    match binding {
        Binding::Bearer => "none",
        Binding::Certificate(_) => "certificate",
        Binding::Dpop(_) => "dpop",
    }
}

#[cfg(test)]
mod tests;
