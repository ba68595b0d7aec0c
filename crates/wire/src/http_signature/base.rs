//! What a signature covers and says of itself, and the base that is signed (RFC 9421 §2.3, §2.5).

use super::component::Component;
use super::{COMPONENTS_MAX, HttpSignatureError, Message, algorithm_name};
use crate::signature_key::SignatureAlgorithm;
use crate::structured_field::{BareItem, InnerList, Item, Parameters};
use countersign_base::UnixTime;

/// Algorithms of the registry that are known here.
const ALGORITHMS: [SignatureAlgorithm; 4] = [
    SignatureAlgorithm::EcdsaP256Sha256,
    SignatureAlgorithm::Ed25519,
    SignatureAlgorithm::HmacSha256,
    SignatureAlgorithm::RsaPssSha512,
];

/// What a signature covers, and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureInput {
    components: Vec<Component>,
    parameters: Parameters,
}

impl SignatureInput {
    /// The components in their order, and the parameters.
    ///
    /// # Errors
    /// When a component stands twice, or there are too many.
    pub(super) fn new(
        components: Vec<Component>,
        parameters: Parameters,
    ) -> Result<Self, HttpSignatureError> {
        if components.len() > COMPONENTS_MAX {
            return Err(HttpSignatureError::TooMany);
        }
        let twice = components
            .iter()
            .enumerate()
            .any(|(index, one)| components.iter().skip(index + 1).any(|other| one.is(other)));
        if twice {
            return Err(HttpSignatureError::Component("it is covered twice"));
        }
        let input = Self {
            components,
            parameters,
        };
        // What is read later is of the right type now.
        let _times = (input.created()?, input.expires()?);
        for name in ["alg", "keyid", "nonce", "tag"] {
            if !matches!(input.parameters.get(name), None | Some(BareItem::String(_))) {
                return Err(HttpSignatureError::Malformed);
            }
        }
        Ok(input)
    }

    pub(super) fn of(list: &InnerList) -> Result<Self, HttpSignatureError> {
        let components = list
            .items
            .iter()
            .map(Component::of)
            .collect::<Result<_, _>>()?;
        Self::new(components, list.parameters.clone())
    }

    /// What is covered.
    #[must_use]
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Whether all of these are covered.
    #[must_use]
    pub fn covers(&self, components: &[Component]) -> bool {
        components
            .iter()
            .all(|demanded| self.components.iter().any(|covered| covered.is(demanded)))
    }

    /// `created`.
    ///
    /// # Errors
    /// When it is no whole number of seconds since the epoch.
    pub fn created(&self) -> Result<Option<UnixTime>, HttpSignatureError> {
        self.time("created")
    }

    /// `expires`.
    ///
    /// # Errors
    /// When it is no whole number of seconds since the epoch.
    pub fn expires(&self) -> Result<Option<UnixTime>, HttpSignatureError> {
        self.time("expires")
    }

    /// `alg`, if it is there.
    ///
    /// # Errors
    /// When it is none that is known here.
    pub fn algorithm(&self) -> Result<Option<SignatureAlgorithm>, HttpSignatureError> {
        let Some(named) = self.text("alg") else {
            return Ok(None);
        };
        ALGORITHMS
            .into_iter()
            .find(|algorithm| algorithm_name(*algorithm) == Some(named))
            .map(Some)
            .ok_or(HttpSignatureError::AlgorithmUnknown)
    }

    /// `keyid`.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.text("keyid")
    }

    /// `nonce`.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.text("nonce")
    }

    /// `tag`.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.text("tag")
    }

    fn text(&self, name: &str) -> Option<&str> {
        match self.parameters.get(name) {
            Some(BareItem::String(text)) => Some(text),
            Some(_) | None => None,
        }
    }

    fn time(&self, name: &str) -> Result<Option<UnixTime>, HttpSignatureError> {
        match self.parameters.get(name) {
            None => Ok(None),
            Some(BareItem::Integer(seconds)) if *seconds >= 0 => Ok(Some(UnixTime(*seconds))),
            Some(_) => Err(HttpSignatureError::Malformed),
        }
    }

    /// Components and parameters as they stand in `Signature-Input`.
    pub(super) fn to_list(&self) -> InnerList {
        InnerList {
            items: self.components.iter().map(Component::item).collect(),
            parameters: self.parameters.clone(),
        }
    }

    /// The bytes that are signed.
    ///
    /// # Errors
    /// When the message has not what is covered.
    pub fn base(&self, message: &Message<'_>) -> Result<Vec<u8>, HttpSignatureError> {
        self.lines(message, &self.to_list())
    }

    /// The same without what names key and algorithm: what two signatures of one message by two keys have in common.
    pub(crate) fn statement(&self, message: &Message<'_>) -> Result<Vec<u8>, HttpSignatureError> {
        let mut list = self.to_list();
        list.parameters = list.parameters.without(&["alg", "keyid"]);
        self.lines(message, &list)
    }

    fn lines(
        &self,
        message: &Message<'_>,
        list: &InnerList,
    ) -> Result<Vec<u8>, HttpSignatureError> {
        let mut base = String::new();
        for component in &self.components {
            let item: Item = component.item();
            base.push_str(&item.to_string());
            base.push_str(": ");
            base.push_str(&component.value(message)?);
            base.push('\n');
        }
        base.push_str("\"@signature-params\": ");
        base.push_str(&list.to_string());
        Ok(base.into_bytes())
    }
}
