//! `/account` and below: what a person sees and changes of their own sign-ins, applications and links (R57).
//!
//! Every visit is a policy decision (`manage_account`; the default policy lets owners see and change what is theirs), and every change an event. What a button does
//! stands in its sealed ticket: made for this person, this session and this browser, so that no other page can press it. A change needs a sign-in that is a few
//! minutes old at most, for factors and passwords as few as the tenant says; to make or end a link, one by the account's own primary factor (A53).

mod change;
mod factors;
mod overview;
mod password;

pub(super) use change::change;

use super::Identity;
use super::answer::{Failure, see_other};
use super::authorize::shown;
use super::call::Call;
use super::cookies;
use super::own_page::{self, Button, Decided, Freshness, OwnPage, owner};
use super::partner;
use super::ticket::{self, Browser, Step};
use crate::access::entity_of;
use crate::pages::account::{AccountPage, Frame, Note};
use axum::response::Response;
use countersign_audit::{Code, Text};
use countersign_authn::webauthn::{Challenge, CredentialId};
use countersign_base::{ClientId, RequestId, SessionId, Tenant, UnixTime};
use countersign_federation::linking::{LinkRefusal, SessionProof};
use countersign_federation::{PrimaryFactor, ProviderName};
use countersign_oauth::authentication::AuthenticationMethod;
use countersign_oauth::authorize::PageError;
use countersign_oauth::{ResolvedUser, Session};
use countersign_policy::{Permitted, Query, Target, vocabulary};
use countersign_store::tables::authenticators;
use countersign_store::{About, Durability, Recordable, Recorded};
use factors::SealedSecret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn sessions(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    page(&identity, &call, AccountPage::Sessions).await
}

pub(super) async fn applications(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    page(&identity, &call, AccountPage::Applications).await
}

pub(super) async fn security(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    page(&identity, &call, AccountPage::Security).await
}

pub(super) async fn app(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    page(&identity, &call, AccountPage::App).await
}

pub(super) async fn password(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    page(&identity, &call, AccountPage::Password).await
}

/// Where password managers look for the page (W3C, "A Well-Known URL for Changing Passwords").
pub(super) async fn change_password(
    _identity: Arc<Identity>,
    call: Call,
) -> Result<Response, Failure> {
    see_other(&call.path_of(AccountPage::Password.path()))
}

pub(super) async fn providers(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    page(&identity, &call, AccountPage::Providers).await
}

/// A page, or the sign-in that leads to it.
async fn page(identity: &Identity, call: &Call, page: AccountPage) -> Result<Response, Failure> {
    let session = cookies::session(identity, call).await?;
    own_page::show(identity, call, OwnPage::Account(page), session).await
}

/// The page of somebody who is signed in. Where a factor is made, the sign-in is fresh.
pub(super) async fn show(
    identity: &Identity,
    call: &Call,
    session: &Session,
    page: AccountPage,
) -> Result<Response, Failure> {
    let needed = match page {
        AccountPage::App | AccountPage::Password => Freshness::Fresh,
        AccountPage::Applications
        | AccountPage::Providers
        | AccountPage::Security
        | AccountPage::Sessions => Freshness::Any,
    };
    if needed.is_missing(call, session, identity.fabric.now()) {
        return ask_again(identity, call, session, page);
    }
    show_after(identity, call, session, page, None).await
}

/// The same, after something was done.
async fn show_after(
    identity: &Identity,
    call: &Call,
    session: &Session,
    page: AccountPage,
    note: Option<Note>,
) -> Result<Response, Failure> {
    let browser = Browser::of(identity, call);
    let view = view(identity, call, session, &browser, page, note).await?;
    let response = view.render(page).await?;
    shown(call, &browser, response)
}

/// What a page is made of, for whoever policy lets see it.
async fn view<'a>(
    identity: &'a Identity,
    call: &'a Call,
    session: &'a Session,
    browser: &'a Browser,
    page: AccountPage,
    note: Option<Note>,
) -> Result<overview::View<'a>, Failure> {
    let owner = owner(identity, call, session).await?;
    let permitted = permit(identity, call, &owner, "see", Durability::Queued).await?;
    let owner = permitted.into_target().owner;
    let username = owner.user.username.to_string();
    let webhooks = partner::path_for(identity, call, session, &owner);
    let frame = Frame::new(username, page, note, |path| call.path_of(path));
    Ok(overview::View {
        identity,
        call,
        session,
        browser,
        owner,
        frame: Frame { webhooks, ..frame },
    })
}

/// Asks who they are once more, and leads back to the page.
fn ask_again(
    identity: &Identity,
    call: &Call,
    session: &Session,
    page: AccountPage,
) -> Result<Response, Failure> {
    own_page::ask_again(identity, call, session, OwnPage::Account(page))
}

/// Whether the account has a factor of its own to begin with: then nobody adds another by a provider's word alone (A53).
async fn has_primary_factor(
    identity: &Identity,
    call: &Call,
    owner: &ResolvedUser,
) -> Result<bool, Failure> {
    if owner.user.password.is_some() {
        return Ok(true);
    }
    let mut connection = identity.fabric.store().read().await?;
    let passkeys =
        authenticators::passkeys_of(&mut connection, &call.tenant.name, owner.user.id).await?;
    Ok(!passkeys.is_empty())
}

/// Evidence of a primary factor, as linking asks for it: this account's password or passkey, not somebody else's word and no second factor alone.
pub(super) fn primary_factor(
    session: &Session,
    now: UnixTime,
) -> Result<PrimaryFactor, LinkRefusal> {
    let proof = proof(session);
    PrimaryFactor::of_session(session.user, proof, session.auth_time, now)
}

/// By what kind of thing a session's person proved who they are.
fn proof(session: &Session) -> SessionProof {
    let primary = session.methods.iter().any(|method| match method {
        AuthenticationMethod::Password | AuthenticationMethod::PasskeyUserVerified => true,
        AuthenticationMethod::Federated
        | AuthenticationMethod::Passkey
        | AuthenticationMethod::RecoveryCode
        | AuthenticationMethod::Totp => false,
    });
    if primary {
        SessionProof::Primary
    } else {
        SessionProof::Other
    }
}

/// What a person wants on their own pages.
pub(super) struct AccountRequest {
    tenant: Tenant,
    owner: ResolvedUser,
    operation: &'static str,
    request: RequestId,
    now: UnixTime,
}

impl Target for AccountRequest {
    fn query(&self) -> Query {
        let user = self.owner.user.id;
        Query {
            principal: entity_of(&self.owner, &self.tenant),
            action: "manage_account".to_owned(),
            resource: vocabulary::account(user, &self.tenant),
            context: BTreeMap::from([
                ("operation".to_owned(), self.operation.into()),
                ("time".to_owned(), self.now.0.into()),
            ]),
            others: Vec::new(),
        }
    }
}

impl Recordable for AccountRequest {
    fn about(&self) -> About {
        About {
            request: Some(self.request),
            user: Some(self.owner.user.id),
            action: Text::of(&format!("manage_account.{}", self.operation)),
            resource: Text::of("Account"),
            ..About::new(self.tenant.clone(), Code::of("account"))
        }
    }
}

/// Decides and records.
async fn permit(
    identity: &Identity,
    call: &Call,
    owner: &ResolvedUser,
    operation: &'static str,
    durability: Durability,
) -> Result<Recorded<Permitted<AccountRequest>>, Failure> {
    let target = AccountRequest {
        tenant: call.tenant.name.clone(),
        owner: owner.clone(),
        operation,
        request: call.id,
        now: identity.fabric.now(),
    };
    match own_page::decided(identity, call, target, "account", durability).await? {
        Decided::Permitted(permitted) => Ok(permitted),
        Decided::Denied => Err(PageError::AccountDenied.into()),
    }
}

/// One change.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// A passkey more, in answer to this challenge; the form brings it and its name.
    AddPasskey(Challenge),
    /// The app that has this sealed key; the form brings its code.
    ConfirmApp(SealedSecret),
    /// The end of every session.
    EndEverySession,
    /// The end of one session.
    EndSession(SessionId),
    /// A link to this provider.
    Link(ProviderName),
    /// Recovery codes in the place of those before.
    NewRecoveryCodes,
    /// The end of what this application may.
    RemoveAccess(ClientId),
    /// The end of the app.
    RemoveApp,
    /// The end of this passkey.
    RemovePasskey(CredentialId),
    /// Another name for this passkey; the form brings it.
    RenamePasskey(CredentialId),
    /// Another password; the form brings it, and the one before.
    SetPassword,
    /// The end of the links to this provider.
    Unlink(ProviderName),
}

impl Change {
    /// Whether it gives a factor that signs in, or stands beside one that does.
    const fn adds_a_factor(&self) -> bool {
        match self {
            Self::AddPasskey(_)
            | Self::ConfirmApp(_)
            | Self::NewRecoveryCodes
            | Self::SetPassword => true,
            Self::EndEverySession
            | Self::EndSession(_)
            | Self::Link(_)
            | Self::RemoveAccess(_)
            | Self::RemoveApp
            | Self::RemovePasskey(_)
            | Self::RenamePasskey(_)
            | Self::Unlink(_) => false,
        }
    }

    /// How old the sign-in may be.
    const fn freshness(&self) -> Freshness {
        match self {
            Self::AddPasskey(_)
            | Self::ConfirmApp(_)
            | Self::NewRecoveryCodes
            | Self::RemoveApp
            | Self::RemovePasskey(_)
            | Self::RenamePasskey(_)
            | Self::SetPassword => Freshness::Fresh,
            Self::EndEverySession
            | Self::EndSession(_)
            | Self::Link(_)
            | Self::RemoveAccess(_)
            | Self::Unlink(_) => Freshness::Recent,
        }
    }

    /// As policies name it.
    const fn operation(&self) -> &'static str {
        match self {
            Self::AddPasskey(_) => "add_passkey",
            Self::ConfirmApp(_) => "add_app",
            Self::EndEverySession => "end_every_session",
            Self::EndSession(_) => "end_session",
            Self::Link(_) => "link",
            Self::NewRecoveryCodes => "new_recovery_codes",
            Self::RemoveAccess(_) => "remove_access",
            Self::RemoveApp => "remove_app",
            Self::RemovePasskey(_) => "remove_passkey",
            Self::RenamePasskey(_) => "rename_passkey",
            Self::SetPassword => "set_password",
            Self::Unlink(_) => "unlink",
        }
    }

    /// Where its button is.
    const fn page(&self) -> AccountPage {
        match self {
            Self::EndEverySession | Self::EndSession(_) => AccountPage::Sessions,
            Self::Link(_) | Self::Unlink(_) => AccountPage::Providers,
            Self::RemoveAccess(_) => AccountPage::Applications,
            Self::ConfirmApp(_) => AccountPage::App,
            Self::SetPassword => AccountPage::Password,
            Self::AddPasskey(_)
            | Self::NewRecoveryCodes
            | Self::RemoveApp
            | Self::RemovePasskey(_)
            | Self::RenamePasskey(_) => AccountPage::Security,
        }
    }
}

fn seal(
    identity: &Identity,
    call: &Call,
    browser: &Browser,
    session: &Session,
    change: Change,
) -> Result<String, Failure> {
    let button = Button {
        session: session.id,
        change,
    };
    Ok(ticket::seal(
        identity,
        call,
        &browser.value,
        Step::Account,
        &button,
    )?)
}
