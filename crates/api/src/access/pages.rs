//! Where the page of a search begins, as its caller holds it: sealed, so that it tells nothing of whom the page before ended with, and bound to the search, so that it
//! names a page of no other. The key is this process's own; a token of before its start names no page.

use super::answer::Failure;
use super::caller::Asker;
use countersign_crypto::aead::AeadKey;
use countersign_crypto::base64url;
use countersign_crypto::digest::sha256;
use countersign_crypto::random::Random;
use countersign_policy::authzen::{Described, Search, Sought};
use serde_json::{Value, json};

const NONCE_BYTES: usize = 12;
/// Bytes of a token: far more than an id takes.
const TOKEN_BYTES_MAX: usize = 1024;

/// The key of the tokens.
pub(super) struct Pages(AeadKey);

/// What a page belongs to: who asks what. How many results it may hold is not part of it.
pub(super) struct PageOf([u8; 32]);

impl PageOf {
    pub(super) fn new(asker: &Asker, sought: Sought, search: &Search) -> Self {
        let entity = |one: &Described| json!([one.kind, one.id, one.properties]);
        let sought = match sought {
            Sought::Action => "action",
            Sought::Resource => "resource",
            Sought::Subject => "subject",
        };
        let of: Value = json!([
            asker.tenant(),
            asker.client(),
            sought,
            entity(&search.subject),
            search.action,
            entity(&search.resource),
            search.context,
        ]);
        Self(sha256(of.to_string().as_bytes()))
    }
}

impl Pages {
    pub(super) fn new(random: &Random) -> Self {
        Self(AeadKey::new(&random.secret()))
    }

    /// The token of the page behind `last`.
    pub(super) fn after(
        &self,
        of: &PageOf,
        last: &str,
        random: &Random,
    ) -> Result<String, Failure> {
        let nonce: [u8; NONCE_BYTES] = random.bytes();
        let mut token = nonce.to_vec();
        self.0
            .seal_into(nonce, &of.0, last.as_bytes(), &mut token)
            .map_err(|_| Failure::Unavailable)?;
        Ok(base64url::encode(&token))
    }

    /// Whom the page before ended with.
    pub(super) fn last(&self, of: &PageOf, token: &str) -> Result<String, Failure> {
        let read = || {
            let token = Some(token).filter(|token| token.len() <= TOKEN_BYTES_MAX)?;
            let bytes = base64url::decode(token).ok()?;
            let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
            let last = self.0.open(*nonce, &of.0, sealed).ok()?;
            String::from_utf8(last.expose().clone()).ok()
        };
        read().ok_or(Failure::PageUnknown)
    }
}
