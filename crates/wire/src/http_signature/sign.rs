//! Signing a message: the two fields that are added to it (RFC 9421 §3.1, §4).

use super::base::SignatureInput;
use super::component::Component;
use super::{HttpSignatureError, Message, SIGNATURES_MAX, algorithm_name};
use crate::signature_key::SigningKey;
use crate::structured_field::{BareItem, Parameters, is_key, is_string};
use countersign_base::UnixTime;
use countersign_crypto::base64;

/// A key and the name by which the receiver knows it.
#[derive(Debug, Clone, Copy)]
pub struct KeyAs<'a> {
    /// `keyid`.
    pub id: &'a str,
    /// The key.
    pub key: &'a SigningKey,
}

/// What a signature says of itself and covers.
#[derive(Debug, Clone)]
pub struct Signing<'a> {
    /// The label; with several keys a number follows it.
    pub label: &'a str,
    /// What is covered, in this order.
    pub components: &'a [Component],
    /// `created`.
    pub created: UnixTime,
    /// `expires`.
    pub expires: Option<UnixTime>,
    /// `nonce`.
    pub nonce: Option<&'a str>,
    /// `tag`.
    pub tag: Option<&'a str>,
}

/// The values of the two fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureFields {
    /// Of `Signature-Input`.
    pub input: String,
    /// Of `Signature`.
    pub signature: String,
}

/// Signs a message with each of the keys; while keys rotate, with the old and the new one. `alg` is left out: it is the key's to say.
///
/// # Errors
/// [`HttpSignatureError`]: the message has not what is to be covered, a text is none of a structured field, there is no key, or one does not sign.
pub fn sign(
    message: &Message<'_>,
    keys: &[KeyAs<'_>],
    signing: &Signing<'_>,
) -> Result<SignatureFields, HttpSignatureError> {
    if keys.is_empty() || keys.len() > SIGNATURES_MAX {
        return Err(HttpSignatureError::Signing("it takes 1 to 10 keys"));
    }
    let (mut inputs, mut signatures) = (Vec::new(), Vec::new());
    for (index, KeyAs { id, key }) in keys.iter().enumerate() {
        if algorithm_name(key.algorithm()).is_none() {
            return Err(HttpSignatureError::AlgorithmUnknown);
        }
        let label = if keys.len() == 1 {
            signing.label.to_owned()
        } else {
            format!("{}{}", signing.label, index + 1)
        };
        if !is_key(&label) {
            return Err(HttpSignatureError::Signing("the label is no key"));
        }
        let input = SignatureInput::new(signing.components.to_vec(), parameters(signing, id)?)?;
        let signature = key
            .signature(&[&input.base(message)?])
            .map_err(|_| HttpSignatureError::Signing("the key does not sign"))?;
        inputs.push(format!("{label}={}", input.to_list()));
        signatures.push(format!("{label}=:{}:", base64::encode(&signature)));
    }
    Ok(SignatureFields {
        input: inputs.join(", "),
        signature: signatures.join(", "),
    })
}

fn parameters(signing: &Signing<'_>, key_id: &str) -> Result<Parameters, HttpSignatureError> {
    let text = |text: &str| {
        if is_string(text) {
            Ok(BareItem::String(text.to_owned()))
        } else {
            Err(HttpSignatureError::Signing("a parameter is not ASCII"))
        }
    };
    let mut parameters =
        Parameters::default().with("created", BareItem::Integer(signing.created.0));
    if let Some(expires) = signing.expires {
        parameters = parameters.with("expires", BareItem::Integer(expires.0));
    }
    parameters = parameters.with("keyid", text(key_id)?);
    if let Some(nonce) = signing.nonce {
        parameters = parameters.with("nonce", text(nonce)?);
    }
    if let Some(tag) = signing.tag {
        parameters = parameters.with("tag", text(tag)?);
    }
    Ok(parameters)
}
