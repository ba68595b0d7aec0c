//! `[[accepted]]`: a common mistake that is none here, with the reason. `countersign check` prints both; what is accepted and not there any more, it names.

use super::error::Mistakes;
use super::findings::{Acceptance, MISTAKES};
use super::nearest;
use countersign_base::Tenant;
use serde::Deserialize;
use toml::Spanned;

/// Fewer letters are no reason.
const REASON_MIN: usize = 12;

/// One of `[[accepted]]` as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAccepted {
    /// The mistake's name, as `check` prints it.
    mistake: Spanned<String>,
    /// Where, as `check` prints it: `client portal`, `route orders`.
    of: Spanned<String>,
    /// Whose, if not the default tenant's.
    tenant: Option<Tenant>,
    /// Why it is none here.
    because: Spanned<String>,
}

/// One that is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedSection {
    /// The mistake.
    pub mistake: &'static str,
    /// Where.
    pub of: String,
    /// Whose; absent for what belongs to no tenant or to the default one.
    pub tenant: Option<Tenant>,
    /// Why.
    pub because: String,
}

pub(crate) fn check(raw: Vec<RawAccepted>, mistakes: &mut Mistakes<'_>) -> Vec<AcceptedSection> {
    let mut accepted = Vec::new();
    for one in raw {
        let name = one.mistake.get_ref();
        let Some(known) = MISTAKES.iter().find(|mistake| mistake.id == name) else {
            mistakes.at(
                &one.mistake.span(),
                format!("no common mistake `{name}`"),
                nearest(name, MISTAKES.iter().map(|mistake| mistake.id)),
            );
            continue;
        };
        if known.acceptance == Acceptance::Never {
            mistakes.at(
                &one.mistake.span(),
                format!("`{name}` is never right, so no reason can make it so"),
                known.mend,
            );
            continue;
        }
        if one.because.get_ref().trim().len() < REASON_MIN {
            mistakes.at(
                &one.because.span(),
                "that is no reason that somebody else could judge",
                "say in a sentence why it is none here",
            );
        }
        accepted.push(AcceptedSection {
            mistake: known.id,
            of: one.of.into_inner(),
            tenant: one.tenant.filter(|tenant| !tenant.is_default()),
            because: one.because.into_inner(),
        });
    }
    accepted
}
