//! The vendor's library: a session on the token of a label, and an AES key of a label in it.
//!
//! Not here: anything that changes a token. The session is read-only.

use super::{Question, unavailable};
use countersign_base::Secret;
use countersign_control::seal::source::TokenError;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

/// What a wrapped unseal key is bound to: nothing else that the token's key may seal opens as one.
const CONTEXT: &[u8] = b"countersign unseal key";
/// Bits of the tag.
const TAG_BITS: u64 = 128;

/// The key, and the session it is used in.
pub(super) struct Key {
    session: Session,
    handle: ObjectHandle,
}

impl Key {
    /// Opens a session and finds the key.
    pub(super) fn find(question: &Question) -> Result<Self, TokenError> {
        let library = Pkcs11::new(&question.library).map_err(|error| {
            unavailable(format!(
                "the library `{}` cannot be loaded: {error}",
                question.library.display()
            ))
        })?;
        library
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .map_err(failed("the library does not start"))?;
        let session = session(&library, question)?;
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Label(question.key_label.clone().into_bytes()),
        ];
        let found = session.find_objects(&template);
        let found = found.map_err(failed("its keys cannot be listed"))?;
        match found.as_slice() {
            [handle] => Ok(Self {
                session,
                handle: *handle,
            }),
            [] => Err(TokenError::KeyMissing(format!(
                "there is no AES key `{}` on the token `{}`; none is made: an operator makes it, and keeps it",
                question.key_label, question.token_label
            ))),
            _ => Err(TokenError::KeyUnusable(format!(
                "there are several AES keys `{}` on the token `{}`",
                question.key_label, question.token_label
            ))),
        }
    }

    /// AES-GCM (`CKM_AES_GCM`); the tag is last.
    pub(super) fn seal(
        &self,
        mut nonce: Vec<u8>,
        bytes: &[u8],
    ) -> Result<Secret<Vec<u8>>, TokenError> {
        let parameters = GcmParams::new(&mut nonce, CONTEXT, TAG_BITS.into());
        let parameters = parameters.map_err(failed("the parameters"))?;
        let sealed = self
            .session
            .encrypt(&Mechanism::AesGcm(parameters), self.handle, bytes);
        sealed
            .map(Secret::new)
            .map_err(failed("the key does not seal (`CKM_AES_GCM`)"))
    }

    /// The other way.
    pub(super) fn open(
        &self,
        mut nonce: Vec<u8>,
        sealed: &[u8],
    ) -> Result<Secret<Vec<u8>>, TokenError> {
        let parameters = GcmParams::new(&mut nonce, CONTEXT, TAG_BITS.into());
        let parameters = parameters.map_err(failed("the parameters"))?;
        let opened = self
            .session
            .decrypt(&Mechanism::AesGcm(parameters), self.handle, sealed);
        opened.map(Secret::new).map_err(|error| match &error {
            // Another key of the same label: asking again does not help.
            Error::Pkcs11(
                RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange
                | RvError::GeneralError,
                _,
            ) => TokenError::KeyUnusable(format!(
                "the key does not open the seal; it is another one, or the seal is damaged: {error}"
            )),
            _ => failed("the key does not open (`CKM_AES_GCM`)")(error),
        })
    }
}

fn session(library: &Pkcs11, question: &Question) -> Result<Session, TokenError> {
    let slots = library.get_slots_with_initialized_token();
    let slots = slots.map_err(failed("its slots cannot be listed"))?;
    let mut labelled = slots.into_iter().filter(|slot| {
        let label = library.get_token_info(*slot);
        label.is_ok_and(|info| info.label().trim_end() == question.token_label)
    });
    let slot = match (labelled.next(), labelled.next()) {
        (Some(slot), None) => slot,
        (None, _) => {
            return Err(unavailable(format!(
                "there is no token `{}`",
                question.token_label
            )));
        }
        (Some(_), Some(_)) => {
            return Err(TokenError::KeyUnusable(format!(
                "there are several tokens `{}`",
                question.token_label
            )));
        }
    };
    let session = library.open_ro_session(slot);
    let session = session.map_err(failed("no session"))?;
    let pin = AuthPin::from(question.pin.clone());
    session
        .login(UserType::User, Some(&pin))
        .map_err(|error| match &error {
            Error::Pkcs11(
                RvError::PinIncorrect
                | RvError::PinLocked
                | RvError::PinExpired
                | RvError::PinInvalid
                | RvError::PinLenRange,
                _,
            ) => TokenError::Pin(format!(
                "the PIN of the token `{}` is refused: {error}; it is not tried again by itself, since tokens lock after a few",
                question.token_label
            )),
            _ => failed("no session for the user")(error),
        })?;
    Ok(session)
}

fn failed(what: &'static str) -> impl Fn(Error) -> TokenError {
    move |error| unavailable(format!("{what}: {error}"))
}
