//! `cubbyhole/`: what one token keeps for itself, and which ends with it.
//!
//! An entry is `cubbyhole/TOKEN/PATH`, below the keyed hash of the token: no other token can name it, a root token neither. It ends with the token, whose
//! revocation deletes what [`prefix`] names.

use crate::VaultError;
use crate::answer::{Answer, Outcome};
use crate::call::{Call, Cx, Operation};
use crate::entry::EntryName;
use crate::folder::{self, Part};
use crate::token::{TokenId, row};
use crate::work::{Stop, Work};
use serde_json::{Map, Value as Json};

/// What the names of a token's entries begin with; it ends with a slash.
#[must_use]
pub fn prefix(token: &TokenId) -> String {
    format!("cubbyhole/{}/", token.0)
}

/// What the mount does.
///
/// # Errors
/// As the operation says.
pub fn run(call: &Call, work: &mut Work<'_>, cx: &Cx<'_>) -> Result<Outcome, Stop> {
    let path = folder::checked(&call.rest)?;
    let whole = prefix(&call.caller.token()?.id);
    if call.operation == Operation::List {
        let folder = path.trim_end_matches('/');
        let below = if folder.is_empty() {
            whole
        } else {
            format!("{whole}{folder}/")
        };
        let names = folder::names(&below, &Part::of(call)?, work)?;
        return Ok(Answer::keys(names)?.into());
    }
    if call.operation.writes() && path.ends_with('/') {
        return Err(VaultError::invalid("cannot write to a path ending in '/'").into());
    }
    if path.is_empty() || path.ends_with('/') {
        return Err(VaultError::NotFound.into());
    }
    let name = EntryName::stored(&format!("{whole}{path}"));
    match call.operation {
        Operation::Read => {
            let value: Map<String, Json> = work.read(&name)?.ok_or(VaultError::NotFound)?;
            Ok(Answer::data(Json::Object(value)).into())
        }
        Operation::Create | Operation::Update => {
            if call.body.members().is_empty() {
                return Err(VaultError::invalid("missing data fields").into());
            }
            // The token's entry is read, so that nothing is kept for one that ends meanwhile: what it has is looked for once.
            row::under_way(&call.caller.token()?.id, work, cx)?.ok_or(VaultError::Denied)?;
            work.put(&name, call.body.members())?;
            Ok(Answer::nothing().into())
        }
        Operation::Delete => {
            work.delete(&name);
            Ok(Answer::nothing().into())
        }
        Operation::List | Operation::Patch => Err(VaultError::Unsupported.into()),
    }
}

/// Whether the entry is there that a `POST` would write.
///
/// # Errors
/// As [`Work::read`].
pub fn exists(call: &Call, work: &mut Work<'_>) -> Result<bool, Stop> {
    let Ok(held) = call.caller.token() else {
        return Ok(true);
    };
    let name = EntryName::stored(&format!("{}{}", prefix(&held.id), call.rest));
    Ok(work.read::<Map<String, Json>>(&name)?.is_some())
}

#[cfg(test)]
mod tests;
