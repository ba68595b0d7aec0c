//! `sys/policy/NAME` and `sys/policies/acl/NAME`.

use crate::acl::{self, Policies, Policy, PolicyName};
use crate::answer::Answer;
use crate::call::{Call, Cx, Operation};
use crate::error::VaultError;
use crate::work::{Stop, Work};
use countersign_crypto::base64;
use serde_json::json;

/// All names: `default` always, and `root`, which is no policy that could be read.
pub(super) fn list(work: &mut Work<'_>) -> Result<Answer, Stop> {
    let mut names = Policies::read(work)?.names();
    names.insert("root".to_owned());
    Ok(Answer::data(json!({ "keys": names, "policies": names })))
}

/// One policy. `sys/policy/NAME` tells its text as `rules`, `sys/policies/acl/NAME` as `policy`.
pub(super) fn run(
    below: &[&str],
    call: &Call,
    work: &mut Work<'_>,
    cx: &Cx<'_>,
) -> Result<Answer, Stop> {
    let (name, member) = match (call.rest.starts_with("policy/"), below) {
        (true, [name]) => (name, "rules"),
        (false, ["acl", name]) => (name, "policy"),
        _ => return Err(VaultError::Unsupported.into()),
    };
    match call.operation {
        Operation::Read => {
            let name = spelled(name).map_err(|_| VaultError::NotFound)?;
            let policy = if name.is_root() {
                Policy::default()
            } else {
                acl::read(&name, work)?.ok_or(VaultError::NotFound)?
            };
            let cedar: String = acl::translate(cx.tenant, name.as_str(), &policy)
                .into_iter()
                .map(|(_, text)| text)
                .collect();
            Ok(Answer::data(json!({
                "name": name.as_str(),
                (member): policy.text(),
                "cedar": cedar,
            })))
        }
        Operation::Create | Operation::Update => {
            let name = spelled(name)?;
            acl::write(&name, &given(call)?, work, cx)?;
            Ok(Answer::nothing())
        }
        Operation::Delete => {
            acl::delete(&spelled(name)?, work)?;
            Ok(Answer::nothing())
        }
        Operation::List | Operation::Patch => Err(VaultError::Unsupported.into()),
    }
}

/// The name in a path, in lower case as it is: rules speak of paths, and one that denies `sys/policy/admin` must not be gone around by `sys/policy/ADMIN`.
fn spelled(text: &str) -> Result<PolicyName, VaultError> {
    let name = PolicyName::parse(text)?;
    if name.as_str() == text {
        Ok(name)
    } else {
        Err(VaultError::invalid(
            "the name of a policy is written in lower case in paths",
        ))
    }
}

/// The policy of the body, which may come in base64.
fn given(call: &Call) -> Result<Policy, VaultError> {
    let text = match call.body.text("policy")? {
        Some(text) => Some(text),
        None => call.body.text("rules")?,
    };
    let text = text
        .filter(|text| !text.is_empty())
        .ok_or_else(|| VaultError::invalid("'policy' parameter not supplied or empty"))?;
    // No policy with a rule is base64: it holds spaces or quotation marks.
    let decoded = base64::decode(text.trim()).ok();
    match decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(decoded) => Policy::parse(&decoded),
        None => Policy::parse(&text),
    }
}
