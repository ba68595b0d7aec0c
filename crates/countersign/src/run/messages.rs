//! From partners' files to what the gateway asks of their messages: keys are read here, and looked at once.

use crate::config::Config;
use crate::config::partners::{
    MessageForm, MessagesSection, PartnerRouteSection, PartnerSection, Receipts,
};
use crate::config::span::SecretReference;
use countersign_base::RouteId;
use countersign_crypto::jose::{
    DecryptionKey, EncryptionKey, EncryptionKeySet, JwkSet, KeyManagement, PrivateJwk,
};
use countersign_gateway::Routes;
use countersign_gateway::messages::{Answered, MessageRules, Taken};
use countersign_wire::message::SIGNATURES;
use std::path::Path;

/// The routes, to which the configuration's partners write.
///
/// # Errors
/// A key that cannot be read, and what the configuration's own check cannot see.
pub(super) fn add(config: &Config, routes: Routes) -> Result<Routes, String> {
    let mut rules = Vec::new();
    for partner in &config.partners {
        let named = |message: String| format!("partner `{}`: {message}", partner.name);
        let keys = PartnerKeys::read(config, partner).map_err(named)?;
        for route in &partner.routes {
            let made = of_route(config, partner, &keys, route).map_err(named)?;
            rules.push((route.route.clone(), made));
        }
    }
    routes
        .with_messages(rules)
        .map_err(|error| error.to_string())
}

/// The public keys of a partner.
struct PartnerKeys {
    signatures: JwkSet,
    encryption: EncryptionKeySet,
}

impl PartnerKeys {
    fn read(config: &Config, partner: &PartnerSection) -> Result<Self, String> {
        let path = config.dir.join(&partner.jwks);
        let wrong = |message: String| format!("`{}`: {message}", path.display());
        let bytes = std::fs::read(&path)
            .map_err(|error| wrong(format!("cannot be read: {}", error.kind())))?;
        let (signatures, _) = JwkSet::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
        let usable = signatures
            .iter()
            .any(|key| key.kid().is_some() && SIGNATURES.contains(&key.algorithm()));
        if !usable {
            return Err(wrong(
                "no key with a `kid` that signs messages: EdDSA, ES256 or PS256".to_owned(),
            ));
        }
        let (encryption, _) =
            EncryptionKeySet::parse_usable(&bytes).map_err(|error| wrong(error.to_string()))?;
        Ok(Self {
            signatures,
            encryption,
        })
    }

    /// The first key that messages can be sealed to, and how: a wrapped key before an agreed one.
    fn receiver(&self) -> Option<(EncryptionKey, KeyManagement)> {
        let ways = [
            KeyManagement::EcdhEsA256Kw,
            KeyManagement::RsaOaep256,
            KeyManagement::EcdhEs,
        ];
        self.encryption.iter().find_map(|key| {
            let named = key.kid().is_some();
            let way = ways.into_iter().find(|way| named && key.fits(*way));
            way.map(|way| (key.clone(), way))
        })
    }
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
            let (receiver, way) = keys.receiver().ok_or(
                "its keys hold none that messages can be sealed to: one with `kid` and `use` `enc`",
            )?;
            Answered::Sealed(of_key(&signing()?)?, receiver, way)
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
        keys: keys.signatures.clone(),
        taken,
        answered,
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
