//! The `claims` parameter (OpenID Connect Core §5.5): single claims about the person, for the ID token or for userinfo.
//!
//! A client may ask for the claims of the scopes that it is registered for, and for no others; those, and those that we do not know, are left out, as §5.5
//! asks for. What is left is what the person is asked about and what they release: nothing else is ever told.
//!
//! Not here: `claims_locales` and claims in other languages (`name#de`), which we do not have.

use crate::client::ClientRecord;
use crate::profile::Claim;
use countersign_authn::Acr;
use countersign_base::{Bounded, Scopes};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Bytes of the parameter that are read.
pub const CLAIMS_BYTES_MAX: usize = 4 * 1024;
/// Authentication classes that one request may name.
const CLASSES_MAX: usize = 8;

/// What the parameter asks for, as far as the client may ask for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimsRequest {
    /// For the ID token.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub id_token: BTreeSet<Claim>,
    /// For userinfo.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub userinfo: BTreeSet<Claim>,
    /// The `sub` that the ID token must have: another person's sign-in is no answer (§5.5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<Bounded<255>>,
    /// The authentication classes of which one must be reached, if the request calls `acr` essential (§5.5.1.1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acr_essential: Vec<Bounded<128>>,
    /// The authentication classes that are wished for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acr_voluntary: Vec<Bounded<128>>,
}

impl ClaimsRequest {
    /// Reads the parameter.
    ///
    /// # Errors
    /// It is no JSON object of the form of §5.5, or past a limit.
    pub fn parse(text: &str, client: &ClientRecord) -> Result<Self, ClaimsBroken> {
        if text.len() > CLAIMS_BYTES_MAX {
            return Err(ClaimsBroken);
        }
        let members: Map<String, Value> = serde_json::from_str(text).map_err(|_| ClaimsBroken)?;
        let mut request = Self::default();
        if let Some(wanted) = section(&members, "id_token")? {
            for (name, value) in wanted {
                request.want_in_id_token(name, &Wish::read(value)?, client)?;
            }
        }
        if let Some(wanted) = section(&members, "userinfo")? {
            for (name, value) in wanted {
                let _well_formed = Wish::read(value)?;
                request.userinfo.extend(allowed(name, client));
            }
        }
        Ok(request)
    }

    fn want_in_id_token(
        &mut self,
        name: &str,
        wish: &Wish<'_>,
        client: &ClientRecord,
    ) -> Result<(), ClaimsBroken> {
        match name {
            "sub" => {
                // Of several subjects one would do; nobody asks so, and it is refused rather than half understood.
                self.sub = match wish.values.as_slice() {
                    [] => None,
                    [one] => Some(bounded(one)?),
                    _ => return Err(ClaimsBroken),
                };
            }
            "acr" => {
                if wish.values.len() > CLASSES_MAX {
                    return Err(ClaimsBroken);
                }
                let classes = wish.values.iter().map(|value| bounded(value));
                let classes = classes.collect::<Result<Vec<_>, _>>()?;
                match wish.need {
                    Need::Essential => self.acr_essential = classes,
                    Need::Voluntary => self.acr_voluntary = classes,
                }
            }
            _ => self.id_token.extend(allowed(name, client)),
        }
        Ok(())
    }

    /// The claims about the person that it asks for, wherever they go.
    #[must_use]
    pub fn of_the_person(&self) -> BTreeSet<Claim> {
        self.id_token.union(&self.userinfo).copied().collect()
    }

    /// The weakest class that satisfies an essential `acr`. Names that are not known here cannot be reached and do not count.
    #[must_use]
    pub fn acr_essential(&self) -> Option<Acr> {
        let classes = self.acr_essential.iter();
        classes.filter_map(|name| name.as_str().parse().ok()).min()
    }

    /// Whether an essential `acr` names nothing but classes that nobody reaches here.
    #[must_use]
    pub fn acr_is_out_of_reach(&self) -> bool {
        !self.acr_essential.is_empty() && self.acr_essential().is_none()
    }

    /// Whether this `sub` is the one that is asked for, if one is.
    #[must_use]
    pub fn admits(&self, sub: &str) -> bool {
        self.sub
            .as_ref()
            .is_none_or(|wanted| wanted.as_str() == sub)
    }
}

/// The claims that scopes ask for (§5.4).
#[must_use]
pub fn of_scopes(scopes: &Scopes) -> BTreeSet<Claim> {
    Claim::ALL
        .iter()
        .copied()
        .filter(|claim| has_scope(scopes, *claim))
        .collect()
}

fn has_scope(scopes: &Scopes, claim: Claim) -> bool {
    scopes.iter().any(|scope| scope.as_str() == claim.scope())
}

fn allowed(name: &str, client: &ClientRecord) -> Option<Claim> {
    Claim::named(name).filter(|claim| has_scope(&client.scopes, *claim))
}

fn section<'a>(
    members: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, ClaimsBroken> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(members)) => Ok(Some(members)),
        Some(_) => Err(ClaimsBroken),
    }
}

#[derive(Clone, Copy)]
enum Need {
    Essential,
    Voluntary,
}

/// How one claim is asked for.
struct Wish<'a> {
    need: Need,
    values: Vec<&'a Value>,
}

impl<'a> Wish<'a> {
    /// `null`, or an object with `essential`, `value` and `values`; other members are left alone, as §5.5.1 asks for.
    fn read(value: &'a Value) -> Result<Self, ClaimsBroken> {
        let members = match value {
            Value::Null => {
                return Ok(Self {
                    need: Need::Voluntary,
                    values: Vec::new(),
                });
            }
            Value::Object(members) => members,
            _ => return Err(ClaimsBroken),
        };
        let need = match members.get("essential") {
            Some(Value::Bool(true)) => Need::Essential,
            None | Some(Value::Bool(false)) => Need::Voluntary,
            Some(_) => return Err(ClaimsBroken),
        };
        let values = match (members.get("value"), members.get("values")) {
            (None, None) => Vec::new(),
            (Some(value), None) => vec![value],
            (None, Some(Value::Array(values))) => values.iter().collect(),
            (_, Some(_)) => return Err(ClaimsBroken),
        };
        Ok(Self { need, values })
    }
}

fn bounded<const N: usize>(value: &Value) -> Result<Bounded<N>, ClaimsBroken> {
    let text = value.as_str().ok_or(ClaimsBroken)?;
    Bounded::parse(text).map_err(|_| ClaimsBroken)
}

/// The parameter does not have the form of OpenID Connect Core §5.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the claims parameter is not a JSON object of the form of OpenID Connect Core §5.5")]
pub struct ClaimsBroken;

#[cfg(test)]
mod tests;
