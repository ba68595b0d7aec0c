//! From rules to Cedar: one policy a rule. Identifiers are written with every character escaped that is not plain, so that no pattern can end its text.

use super::pattern::Pattern;
use super::policy::{Capabilities, Capability, Policy};
use super::{SUDO, policy_entity};
use countersign_base::Tenant;
use countersign_policy::EntityId;
use std::fmt::Write as _;

/// A policy as Cedar: pairs of a file name and its text, none if it has no rule. `name` is the policy's ([`super::PolicyName`]).
#[must_use]
pub fn translate(tenant: &Tenant, name: &str, policy: &Policy) -> Vec<(String, String)> {
    let principal = entity(&policy_entity(tenant, name));
    let text: String = policy
        .rules()
        .filter_map(|(pattern, capabilities)| rule(&principal, pattern, capabilities))
        .collect();
    if text.is_empty() {
        Vec::new()
    } else {
        vec![(format!("vault/{}/{name}.acl", tenant.as_str()), text)]
    }
}

fn rule(principal: &str, pattern: &Pattern, capabilities: &Capabilities) -> Option<String> {
    let denies = capabilities.contains(&Capability::Deny);
    let actions: Vec<String> = Capability::ALL
        .into_iter()
        .filter(|capability| denies || capabilities.contains(capability))
        .filter_map(Capability::operation)
        .map(|operation| entity(&EntityId::new("Action", operation.action())))
        .collect();
    if actions.is_empty() {
        return None;
    }
    let resource = entity(&EntityId::new("VaultRule", pattern.as_str()));
    let effect = if denies { "forbid" } else { "permit" };
    let condition = if denies {
        String::new()
    } else {
        let sudo = entity(&EntityId::new("VaultRule", SUDO));
        format!("\nwhen {{ !context.sudo || resource in {sudo} }}")
    };
    Some(format!(
        "@id({})\n{effect} (\n  principal in {principal},\n  action in [{}],\n  resource in {resource}\n){condition};\n",
        quoted(pattern.as_str()),
        actions.join(", "),
    ))
}

fn entity(id: &EntityId) -> String {
    format!("{}::{}", id.kind(), quoted(id.id()))
}

/// A text of Cedar's grammar.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(character);
            }
            ' '..='~' => quoted.push(character),
            other => {
                // Writing to a text cannot fail.
                let _ = write!(quoted, "\\u{{{:x}}}", u32::from(other));
            }
        }
    }
    quoted.push('"');
    quoted
}
