//! Whose credentials a route takes, and what they have to be.

use crate::config::Config;
use crate::config::routes::{self, KeyField, OwnTokens, Proof, RouteSection};
use crate::config::tenants::TenantSection;
use countersign_authn::api_key::ApiKeyField;
use countersign_authn::{Anonymous, Binding, OtherIssuer, ResourceRules, TrustedIssuer};
use countersign_crypto::jose::Algorithm;
use std::sync::Arc;

/// What a credential has to be.
pub(super) fn of(
    config: &Config,
    section: &RouteSection,
    tenant: &TenantSection,
    base: &str,
) -> Result<ResourceRules, String> {
    let others = others(config, section, base)?;
    let trusted = TrustedIssuer {
        issuer: tenant.issuer(base).map_err(|error| error.to_string())?,
        tenant: tenant.name.clone(),
        algorithms: Algorithm::ALL.to_vec(),
    };
    let binding = match section.proof {
        Proof::Any => Binding::Any,
        Proof::Bound => Binding::Required,
    };
    let anonymous = match section.anonymous {
        routes::Anonymous::Allowed => Anonymous::Allowed,
        routes::Anonymous::Refused => Anonymous::Refused,
    };
    let own = match section.issuers.own {
        OwnTokens::Refused => Vec::new(),
        OwnTokens::Taken => vec![trusted],
    };
    let rules = ResourceRules::new(section.audience.clone(), own, binding, anonymous);
    let rules = if others.is_empty() {
        rules
    } else {
        rules.trusting(section.tenant.clone(), others)
    };
    Ok(match section.api_keys.as_ref().map(|keys| keys.field) {
        None => rules,
        Some(KeyField::Authorization) => rules.taking_api_keys(ApiKeyField::Authorization),
        Some(KeyField::XApiKey) => rules.taking_api_keys(ApiKeyField::ApiKey),
    })
}

/// Whose tokens are taken beside the tenant's own. None of our own tenants' issuers is among them: its keys are in this process, and its name is not somebody else's
/// to use.
fn others(
    config: &Config,
    section: &RouteSection,
    base: &str,
) -> Result<Vec<Arc<OtherIssuer>>, String> {
    let named = config.gateway.issuers.iter();
    let named = named.filter(|issuer| section.issuers.others.contains(issuer.name()));
    let mut others = Vec::new();
    for issuer in named {
        for tenant in &config.tenants {
            let own = tenant.issuer(base).map_err(|error| error.to_string())?;
            if own == *issuer.issuer.issuer() {
                return Err(format!(
                    "issuer `{}`: `{own}` is the issuer of our own tenant `{}`: write `own` in its routes",
                    issuer.name(),
                    tenant.name
                ));
            }
        }
        others.push(Arc::clone(&issuer.issuer));
    }
    Ok(others)
}
