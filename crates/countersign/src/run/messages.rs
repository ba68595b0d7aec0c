//! From partners' files to what the gateway asks of their messages: keys in files are read here, and looked at once; sets at addresses are followed.

use super::foreign;
use crate::config::Config;
use crate::config::key_places::KeyPlace;
use crate::config::partners::{
    MessageForm, MessagesSection, PartnerRouteSection, PartnerSection, Receipts,
};
use crate::config::span::SecretReference;
use countersign_base::RouteId;
use countersign_control::{FollowedKeys, ForeignKeys};
use countersign_crypto::jose::{DecryptionKey, PrivateJwk};
use countersign_gateway::Routes;
use countersign_gateway::messages::{Answered, MessageRules, PartnerKeySet, PartnerKeys, Taken};
use countersign_wire::message::SIGNATURES;
use std::path::Path;
use std::sync::Arc;

const NOT_SEALABLE: &str =
    "its keys hold none that messages can be sealed to: one with `kid` and `use` `enc`";

/// The routes, to which the configuration's partners write.
///
/// # Errors
/// A key that cannot be read, and what the configuration's own check cannot see.
pub(super) fn add(
    config: &Config,
    foreign: &ForeignKeys,
    routes: Routes,
) -> Result<Routes, String> {
    let mut rules = Vec::new();
    for partner in &config.partners {
        let named = |message: String| format!("partner `{}`: {message}", partner.name);
        let keys = keys_of(config, foreign, partner).map_err(named)?;
        for route in &partner.routes {
            let made = of_route(config, partner, &keys, route).map_err(named)?;
            rules.push((route.route.clone(), made));
        }
    }
    routes
        .with_messages(rules)
        .map_err(|error| error.to_string())
}

/// The public keys of a partner. A set at an address need not be there yet: until it is, the partner's messages are refused.
fn keys_of(
    config: &Config,
    foreign: &ForeignKeys,
    partner: &PartnerSection,
) -> Result<PartnerKeys, String> {
    let path = match (&partner.keys, foreign::of_partner(partner)) {
        (_, Some((of, _))) => {
            let made = |bytes: &[u8]| PartnerKeySet::parse(bytes).ok();
            let followed = FollowedKeys::new(foreign.clone(), of, made);
            return Ok(PartnerKeys::Followed(Arc::new(followed)));
        }
        (KeyPlace::File(path), None) => config.dir.join(path),
        (KeyPlace::Url(url), None) => return Err(format!("`{url}` is not followed")),
    };
    let wrong = |message: String| format!("`{}`: {message}", path.display());
    let bytes =
        std::fs::read(&path).map_err(|error| wrong(format!("cannot be read: {}", error.kind())))?;
    let keys = PartnerKeySet::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
    let usable = keys
        .signatures()
        .iter()
        .any(|key| key.kid().is_some() && SIGNATURES.contains(&key.algorithm()));
    if !usable {
        return Err(wrong(
            "no key with a `kid` that signs messages: EdDSA, ES256 or PS256".to_owned(),
        ));
    }
    Ok(PartnerKeys::Pinned(Arc::new(keys)))
}

fn of_route(
    config: &Config,
    partner: &PartnerSection,
    keys: &PartnerKeys,
    route: &PartnerRouteSection,
) -> Result<MessageRules, String> {
    let own = config.messages.as_ref();
    let own = own.ok_or("`[messages]` is missing")?;
    let dir = &config.dir;
    let taken = match route.request {
        MessageForm::Detached => Taken::Detached,
        MessageForm::Plain => Taken::Plain,
        MessageForm::Sealed => Taken::Sealed(opening(dir, own)?),
        MessageForm::Signed => Taken::Signed,
    };
    let signing = || signing(dir, own, &route.route);
    let answered = match route.answer {
        MessageForm::Detached => Answered::Detached(of_key(&signing()?)?),
        MessageForm::Plain => Answered::Plain,
        MessageForm::Sealed => {
            let sealable = match keys {
                PartnerKeys::Followed(_) => true,
                PartnerKeys::Pinned(keys) => keys.receiver().is_some(),
            };
            if !sealable {
                return Err(NOT_SEALABLE.to_owned());
            }
            Answered::Sealed(of_key(&signing()?)?)
        }
        MessageForm::Signed => Answered::Signed(of_key(&signing()?)?),
    };
    let receipts = match route.receipt {
        Receipts::Given => Some(of_key(&signing()?)?),
        Receipts::None => None,
    };
    Ok(MessageRules {
        partner: partner.name.clone(),
        tenant: partner.tenant.clone(),
        party: partner.party.clone(),
        own: own.party.clone(),
        keys: keys.clone(),
        taken,
        answered,
        mark: route.answer_to,
        receipts,
    })
}

fn of_key<P: countersign_crypto::signing::Purpose>(
    key: &PrivateJwk,
) -> Result<countersign_crypto::signing::SigningKey<P>, String> {
    let signing = key.signing_key().map_err(|error| error.to_string())?;
    if SIGNATURES.contains(&signing.algorithm()) {
        Ok(signing)
    } else {
        Err("`signing_key`: expected a key for EdDSA, ES256 or PS256".to_owned())
    }
}

fn signing(dir: &Path, own: &MessagesSection, route: &RouteId) -> Result<PrivateJwk, String> {
    let reference = own.signing_key.as_ref();
    let reference =
        reference.ok_or_else(|| format!("route `{route}` needs `signing_key` in `[messages]`"))?;
    let mut keys = private(dir, reference)?;
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        (_, _) => Err(format!("{reference}: expected one private key")),
    }
}

fn opening(dir: &Path, own: &MessagesSection) -> Result<Vec<DecryptionKey>, String> {
    let reference = own.opening_keys.as_ref();
    let reference = reference.ok_or("`opening_keys` is missing in `[messages]`")?;
    private(dir, reference)?
        .iter()
        .map(|key| {
            let opening = key.decryption_key();
            opening.map_err(|error| format!("{reference}: {error}"))
        })
        .collect()
}

fn private(dir: &Path, reference: &SecretReference) -> Result<Vec<PrivateJwk>, String> {
    let text = reference.read(dir)?;
    PrivateJwk::parse_set(text.expose().as_bytes()).map_err(|error| format!("{reference}: {error}"))
}
