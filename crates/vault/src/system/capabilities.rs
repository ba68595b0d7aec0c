//! `sys/capabilities` and its like: what a token's policies grant at paths. Policies of the configuration are not asked: they may forbid more.

use crate::acl;
use crate::answer::Answer;
use crate::call::{Call, Cx};
use crate::error::VaultError;
use crate::token;
use crate::work::{Stop, Work};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// Paths in one request.
const PATHS_MAX: usize = 1_000;

/// `sys/capabilities-self`.
pub(super) fn of_self(call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let policies = &call.caller.token()?.policies;
    told(policies, call, work)
}

/// `sys/capabilities` of the token, and `sys/capabilities-accessor` of the one with the accessor, in the body.
pub(super) fn of_another(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Answer, Stop> {
    let policies = token::policies_of(call, work, cx)?;
    let policies = policies.ok_or_else(|| VaultError::invalid("invalid token"))?;
    told(&policies, call, work)
}

fn told(policies: &BTreeSet<String>, call: &Call, work: &mut Work<'_>) -> Result<Answer, Stop> {
    let paths = match call.body.texts("paths")? {
        Some(paths) => Some(paths),
        None => call.body.texts("path")?,
    };
    let paths = paths.unwrap_or_default();
    if paths.is_empty() || paths.len() > PATHS_MAX {
        return Err(VaultError::invalid("`paths` must be a list of 1 to 1000 paths").into());
    }
    let mut told = Map::new();
    for path in &paths {
        let granted = acl::capabilities(policies, path, work)?;
        if paths.len() == 1 {
            told.insert("capabilities".to_owned(), json!(granted));
        }
        told.insert(path.clone(), json!(granted));
    }
    Ok(Answer::data(Json::Object(told)))
}
