//! What a page remembers between two requests of one interaction: carried by the browser, kept nowhere, worth nothing in another browser.
//!
//! A ticket is `base64url(json) "." base64url(mac)`. The MAC is over the tenant, the browser's cookie and the purpose, so that a ticket of one step, tenant or browser
//! is none of another (A51, A52).

use super::Identity;
use super::call::Call;
use super::cookies;
use super::own_page::OwnPage;
use countersign_base::{ClientId, Secret, SessionId, UnixTime};
use countersign_crypto::base64url;
use countersign_crypto::mac::{MacKey, Tag};
use countersign_oauth::AuthorizationRequest;
use countersign_oauth::authorize::{Beginning, PageError};
use countersign_oauth::par::INTERACTION_LIFETIME;
use serde::{Deserialize, Serialize};

/// Bytes of a ticket that are looked at.
const TICKET_BYTES_MAX: usize = 12 * 1024;

/// An interaction under way.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Ticket {
    /// Who sent the browser. Nobody: a page of this server asks itself.
    pub(super) client: Option<ClientId>,
    /// What it asks for.
    pub(super) source: Source,
    /// How it began.
    pub(super) beginning: Beginning,
    /// The session that the page was made for: an answer counts for no other.
    pub(super) session: Option<SessionId>,
}

/// Where the request of an interaction is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// In the ticket itself.
    Here(Box<AuthorizationRequest>),
    /// There is none: the person wants a page of this server.
    Page(OwnPage),
    /// Pushed, under this handle.
    Pushed(String),
}

/// For which step a ticket is.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Account,
    Answer,
    Consent,
    Partner,
    Passkey,
    Resume,
    SecondFactor,
    SignIn,
    SignOut,
    UserCode,
}

impl Step {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Account => b"account",
            Self::Answer => b"answer",
            Self::Consent => b"consent",
            Self::Partner => b"partner",
            Self::Passkey => b"passkey",
            Self::Resume => b"resume",
            Self::SecondFactor => b"second factor",
            Self::SignIn => b"sign in",
            Self::SignOut => b"sign out",
            Self::UserCode => b"user code",
        }
    }
}

/// The name of a browser, known or new.
pub(super) struct Browser {
    pub(super) value: Secret<String>,
    pub(super) known: Known,
}

/// Whether a browser has a name already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Already,
    New,
}

impl Browser {
    /// The browser of a call.
    pub(super) fn of(identity: &Identity, call: &Call) -> Self {
        match cookies::browser(call) {
            Some(value) => Self {
                value,
                known: Known::Already,
            },
            None => Self {
                value: identity.fabric.random().token(),
                known: Known::New,
            },
        }
    }
}

/// Writes a ticket for one step in one browser.
pub(super) fn seal<T: Serialize>(
    identity: &Identity,
    call: &Call,
    browser: &Secret<String>,
    step: Step,
    content: &T,
) -> Result<String, PageError> {
    let json = serde_json::to_vec(content).map_err(|_| PageError::Unavailable)?;
    let tag = mac(identity, call).tag("page ticket", &parts(browser, step, &json));
    Ok(format!(
        "{}.{}",
        base64url::encode(&json),
        base64url::encode(tag.as_bytes())
    ))
}

/// Reads a ticket that this browser brings back to this step.
pub(super) fn open<T: for<'de> Deserialize<'de>>(
    identity: &Identity,
    call: &Call,
    step: Step,
    text: Option<&str>,
) -> Result<T, PageError> {
    let text = text
        .filter(|text| text.len() <= TICKET_BYTES_MAX)
        .ok_or(PageError::ForeignForm)?;
    let browser = cookies::browser(call).ok_or(PageError::ForeignForm)?;
    let (json, tag) = text.split_once('.').ok_or(PageError::ForeignForm)?;
    let json = base64url::decode(json).map_err(|_| PageError::ForeignForm)?;
    let tag = base64url::decode_array::<32>(tag).map_err(|_| PageError::ForeignForm)?;
    let key = mac(identity, call);
    let _ours = key
        .verify(
            "page ticket",
            &parts(&browser, step, &json),
            &Tag::from_bytes(tag),
        )
        .map_err(|_| PageError::ForeignForm)?;
    serde_json::from_slice(&json).map_err(|_| PageError::ForeignForm)
}

impl Ticket {
    /// Whether the person took too long.
    pub(super) fn check_age(&self, now: UnixTime) -> Result<(), PageError> {
        if now < self.beginning.at.plus(INTERACTION_LIFETIME) {
            Ok(())
        } else {
            Err(PageError::InteractionOver)
        }
    }
}

fn mac(identity: &Identity, call: &Call) -> MacKey {
    identity
        .fabric
        .secrets()
        .tenant_mac_key(&call.tenant.name, "page-ticket")
}

fn parts<'a>(browser: &'a Secret<String>, step: Step, json: &'a [u8]) -> [&'a [u8]; 3] {
    [step.name(), browser.expose().as_bytes(), json]
}
