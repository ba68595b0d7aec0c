//! The types of authorization details that a tenant knows (RFC 9396 §5, §6): each with a schema, words for the consent page, and the audiences it is for.
//!
//! A type that is not registered, or that the client may not ask for, refuses the request; so does an object that its schema does not permit. Nothing is
//! ignored. A grant's details may afterwards only be narrowed (§6, R39), and each access token carries those that are for its audience.
//!
//! Not here: compiling schemas. JSON Schema's implementation keeps hash maps with ambient randomness, so the shell compiles ([`DetailTypes::compile`]); a type
//! without its compiled schema refuses everything.

use crate::client::ClientRecord;
use crate::error::OAuthError;
use countersign_authn::Form;
use countersign_authn::access_token::{AuthorizationDetail, AuthorizationDetails, DetailType};
use countersign_base::{Audience, Bounded};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The types that a tenant knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DetailTypes(BTreeMap<DetailType, RegisteredType>);

/// One type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredType {
    /// The JSON Schema of its objects.
    pub schema: Value,
    /// What the person reads: "Start a payment".
    pub words: Bounded<128>,
    /// The audiences whose tokens carry it; empty for every audience of the grant.
    #[serde(default)]
    pub audiences: BTreeSet<Audience>,
    #[serde(skip)]
    compiled: Option<CompiledSchema>,
}

impl RegisteredType {
    /// A type whose schema is still to be compiled.
    #[must_use]
    pub const fn new(schema: Value, words: Bounded<128>, audiences: BTreeSet<Audience>) -> Self {
        Self {
            schema,
            words,
            audiences,
            compiled: None,
        }
    }
}

/// A compiled schema: says whether an object fits. Two are equal, because their schemas are compared.
#[derive(Clone)]
pub struct CompiledSchema(Arc<dyn Fn(&Value) -> Fit + Send + Sync>);

/// Whether an object fits its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Fits,
    /// It does not.
    Unfit,
}

impl CompiledSchema {
    /// Takes what the shell compiled.
    pub fn new(check: impl Fn(&Value) -> Fit + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }
}

impl PartialEq for CompiledSchema {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for CompiledSchema {}

impl fmt::Debug for CompiledSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompiledSchema")
    }
}

impl DetailTypes {
    /// No types.
    #[must_use]
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Registers a type.
    pub fn register(&mut self, kind: DetailType, registered: RegisteredType) {
        self.0.insert(kind, registered);
    }

    /// The names, for metadata (RFC 9396 §10).
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(DetailType::as_str)
    }

    /// The type of this name.
    #[must_use]
    pub fn find(&self, kind: &DetailType) -> Option<&RegisteredType> {
        self.0.get(kind)
    }

    /// Compiles every schema with the shell's compiler. A schema that does not compile leaves its type refusing everything; its name is answered.
    pub fn compile<E>(
        &mut self,
        mut compiler: impl FnMut(&Value) -> Result<CompiledSchema, E>,
    ) -> Vec<(DetailType, E)> {
        let mut broken = Vec::new();
        for (kind, registered) in &mut self.0 {
            match compiler(&registered.schema) {
                Ok(compiled) => registered.compiled = Some(compiled),
                Err(error) => broken.push((kind.clone(), error)),
            }
        }
        broken
    }

    /// Reads the parameter `authorization_details` of a form; absent means none.
    ///
    /// # Errors
    /// Malformed, of a type that is not registered or not the client's, outside its schema, or at a location that the client has no access to.
    pub fn requested(
        &self,
        form: &Form,
        client: &ClientRecord,
    ) -> Result<AuthorizationDetails, OAuthError> {
        let Some(text) = form.get("authorization_details") else {
            return Ok(AuthorizationDetails::none());
        };
        let details = AuthorizationDetails::parse(text)
            .map_err(|_| OAuthError::AuthorizationDetailsMalformed)?;
        self.check(&details, client)?;
        Ok(details)
    }

    /// Whether every detail is of a type that is registered and the client's, and fits its schema: asked again when what was stored is used.
    ///
    /// # Errors
    /// The first one that is not.
    pub fn check(
        &self,
        details: &AuthorizationDetails,
        client: &ClientRecord,
    ) -> Result<(), OAuthError> {
        details
            .iter()
            .try_for_each(|detail| self.check_one(detail, client))
    }

    fn check_one(
        &self,
        detail: &AuthorizationDetail,
        client: &ClientRecord,
    ) -> Result<(), OAuthError> {
        let registered = self
            .find(detail.kind())
            .filter(|_| client.token_rules.detail_types.contains(detail.kind()))
            .ok_or(OAuthError::AuthorizationDetailsType)?;
        let compiled = registered
            .compiled
            .as_ref()
            .ok_or(OAuthError::AuthorizationDetailsType)?;
        match (compiled.0)(&Value::Object(detail.members().clone())) {
            Fit::Fits => {}
            Fit::Unfit => return Err(OAuthError::AuthorizationDetailsSchema),
        }
        let known = |location: &str| {
            client
                .audiences
                .iter()
                .any(|audience| audience.as_str() == location)
        };
        if detail.texts("locations").all(known) {
            Ok(())
        } else {
            Err(OAuthError::AuthorizationDetailsLocation)
        }
    }

    /// Those that a token for `audience` carries: by their `locations` (§2.2) and by the audiences of their type.
    #[must_use]
    pub fn for_audience(
        &self,
        details: &AuthorizationDetails,
        audience: &Audience,
    ) -> AuthorizationDetails {
        details.filtered(|detail| {
            let mut locations = detail.texts("locations").peekable();
            let here = locations.peek().is_none()
                || locations.any(|location| location == audience.as_str());
            let of_type = self.find(detail.kind()).is_some_and(|registered| {
                registered.audiences.is_empty() || registered.audiences.contains(audience)
            });
            here && of_type
        })
    }

    /// What a token request makes of its grant's details: all of them, or those that it names if it names nothing wider (§6, R39).
    ///
    /// # Errors
    /// Something is named that the grant does not hold.
    pub fn narrowed(
        asked: &AuthorizationDetails,
        granted: &AuthorizationDetails,
    ) -> Result<AuthorizationDetails, OAuthError> {
        if asked.is_empty() {
            Ok(granted.clone())
        } else if asked.is_within(granted) {
            Ok(asked.clone())
        } else {
            Err(OAuthError::AuthorizationDetailsWider)
        }
    }
}

/// The parameter of a token request, read but not judged.
pub(crate) fn parameter(form: &Form) -> Result<AuthorizationDetails, OAuthError> {
    form.get("authorization_details")
        .map_or(Ok(AuthorizationDetails::none()), |text| {
            AuthorizationDetails::parse(text).map_err(|_| OAuthError::AuthorizationDetailsMalformed)
        })
}

#[cfg(test)]
mod tests;
