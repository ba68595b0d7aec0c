//! Passkeys, authenticator apps and recovery codes: the page that lists them, and their making and ending by the person whose they are.
//!
//! What a person has to prove before, and the policy, are the account pages' own. A key of an app is in the store only once a code of it was right; recovery
//! codes are shown in the answer that makes them and never again.

use super::change::write;
use super::overview::View;
use super::{Change, password, show_after, view};
use crate::identity::Identity;
use crate::identity::answer::Failure;
use crate::identity::authorize::shown;
use crate::identity::call::Call;
use crate::identity::cookies;
use crate::identity::record;
use crate::identity::sign_in::passkey;
use crate::identity::sign_in::second_factor::{open_secret, recovery_tag, secret_place};
use crate::identity::sign_in::session::{self, NotBegun};
use crate::identity::ticket::Browser;
use crate::pages;
use crate::pages::account::{
    AccountPage, AddPasskey, AppPage, AppRow, Moment, Note, PasskeyRow, RecoveryCodesPage,
    SecurityPage,
};
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::{AuthenticatorChanged, Verdict};
use countersign_authn::Form;
use countersign_authn::webauthn::{
    Challenge, CredentialId, CredentialKey, RegistrationResponse, RelyingParty,
};
use countersign_base::{Bounded, Secret};
use countersign_crypto::base64url;
use countersign_keys::envelope;
use countersign_oauth::authentication::PasskeyRecord;
use countersign_oauth::authentication::records::PASSKEYS_MAX;
use countersign_oauth::authorize::PageError;
use countersign_oauth::totp::{RECOVERY_CODES, TotpSecret, TypedCode, grouped, recovery_code};
use countersign_oauth::{AuthenticationMethod, Session};
use countersign_store::tables::authenticators;
use countersign_store::{AuthenticatorChange, Constraint, StoreError, Write};
use serde::{Deserialize, Serialize};
use serde_json::json;

const NOT_ADDED: Note = Note::Problem("The passkey was not added. Try again.");
const CODE_DIFFERS: Note = Note::Problem("This code is not right. Wait for the next one.");

/// The key of an app that is not set up yet, sealed for the row that it will stand in.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::identity) struct SealedSecret(String);

impl SealedSecret {
    fn new(identity: &Identity, call: &Call, session: &Session) -> Result<Self, Failure> {
        let fabric = &identity.fabric;
        let secret = Secret::new(fabric.random().bytes::<20>());
        let place = secret_place(call, session.user);
        let keks = fabric.secrets().keks();
        let sealed = envelope::seal(&*keks, &place, secret.expose(), fabric.random())
            .map_err(|_| Failure::Unavailable)?;
        Ok(Self(base64url::encode(sealed.as_bytes())))
    }

    fn bytes(&self) -> Result<Vec<u8>, Failure> {
        base64url::decode(&self.0).map_err(|_| PageError::ForeignForm.into())
    }

    fn open(&self, identity: &Identity, call: &Call, s: &Session) -> Result<TotpSecret, Failure> {
        open_secret(identity, call, s.user, self.bytes()?)
    }
}

impl View<'_> {
    /// How the person signs in.
    pub(super) async fn security(self) -> Result<Response, Failure> {
        let (tenant, user) = (&self.call.tenant.name, self.session.user);
        let mut connection = self.identity.fabric.store().read().await?;
        let passkeys = authenticators::passkeys_of(&mut connection, tenant, user).await?;
        let app = authenticators::totp(&mut connection, tenant, user).await?;
        let codes = authenticators::recovery_codes_of(&mut connection, tenant, user).await?;
        drop(connection);
        let rows = passkeys.iter().enumerate().map(|(number, passkey)| {
            let id = &passkey.credential.id;
            Ok(PasskeyRow {
                name: passkey.name.to_string(),
                created: passkey.created.into(),
                last_used: passkey.last_used.map(Moment::from),
                synced: passkey.credential.backed_up,
                rename: self.ticket(Change::RenamePasskey(id.clone()))?,
                remove: self.ticket(Change::RemovePasskey(id.clone()))?,
                number,
            })
        });
        let app = app.map(|app| {
            Ok::<_, Failure>(AppRow {
                since: app.created.into(),
                remove: self.ticket(Change::RemoveApp)?,
            })
        });
        let page = SecurityPage {
            password: self.owner.user.password.is_some(),
            password_path: password::is_theirs(&self.owner)
                .then(|| self.call.path_of(AccountPage::Password.path())),
            passkeys: rows.collect::<Result<_, Failure>>()?,
            add: self.add(&passkeys)?,
            app: app.transpose()?,
            app_path: self.call.path_of(AccountPage::App.path()),
            codes: u16::try_from(codes.len()).unwrap_or(u16::MAX),
            new_codes: self.ticket(Change::NewRecoveryCodes)?,
            frame: self.frame,
        };
        Ok(pages::render_with_script(&self.call.tenant, &page, ""))
    }

    /// What adds a passkey: the browser is told of those that are there, so that an authenticator holds one at most.
    fn add(&self, passkeys: &[PasskeyRecord]) -> Result<Option<AddPasskey>, Failure> {
        let party = RelyingParty::of(&self.call.tenant.issuer);
        let Some(party) = party.filter(|_| passkeys.len() < usize::from(PASSKEYS_MAX)) else {
            return Ok(None);
        };
        let challenge = Challenge::new(self.identity.fabric.random().bytes());
        let name = self.owner.user.username.as_str();
        let known: Vec<_> = passkeys
            .iter()
            .map(|passkey| json!({"type": "public-key", "id": passkey.credential.id.to_string()}))
            .collect();
        let algorithms: Vec<_> = CredentialKey::ALGORITHMS
            .iter()
            .map(|number| json!({"type": "public-key", "alg": number}))
            .collect();
        let options = json!({
            "challenge": challenge.to_string(),
            "rp": {"id": party.id(), "name": pages::Brand::of(Some(&self.call.tenant)).name},
            "user": {"id": base64url::encode(self.session.user.as_bytes()), "name": name, "displayName": name},
            "pubKeyCredParams": algorithms,
            "excludeCredentials": known,
            "authenticatorSelection": {"residentKey": "required", "requireResidentKey": true, "userVerification": "preferred"},
            "attestation": "none",
            "timeout": passkey::TIMEOUT.as_secs() * 1000,
        });
        let device = self.call.device();
        Ok(Some(AddPasskey {
            options: options.to_string(),
            name: device.map_or_else(|| "My passkey".to_owned(), |device| device.to_string()),
            ticket: self.ticket(Change::AddPasskey(challenge))?,
        }))
    }

    /// The key of a new app, or of the one whose code was wrong.
    pub(super) fn app(self, sealed: Option<SealedSecret>) -> Result<Response, Failure> {
        let sealed = match sealed {
            Some(sealed) => sealed,
            None => SealedSecret::new(self.identity, self.call, self.session)?,
        };
        let secret = sealed.open(self.identity, self.call, self.session)?;
        let issuer = pages::Brand::of(Some(&self.call.tenant)).name;
        let username = self.owner.user.username.as_str();
        let address = secret.provisioning_uri(&issuer, username).expose().clone();
        let page = AppPage {
            secret: grouped(secret.to_base32().expose()).replace('-', " "),
            picture: AppPage::picture_of(&address),
            address,
            ticket: self.ticket(Change::ConfirmApp(sealed))?,
            back: self.call.path_of(AccountPage::Security.path()),
            frame: self.frame,
        };
        Ok(pages::render(&self.call.tenant, &page, ""))
    }
}

/// A passkey more.
pub(super) async fn add_passkey(
    identity: &Identity,
    call: &Call,
    session: &Session,
    challenge: &Challenge,
    form: &Form,
) -> Result<Note, Failure> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let registered = RelyingParty::of(&call.tenant.issuer)
        .ok_or("relying_party_differs")
        .and_then(|party| {
            let response = RegistrationResponse::parse(form.get("credential").unwrap_or_default());
            let verified = response.and_then(|response| response.verify(&party, challenge));
            verified.map_err(|error| error.reason())
        });
    let credential = match registered {
        Ok((credential, _verification)) => credential,
        Err(reason) => return refused(identity, call, session, reason, NOT_ADDED),
    };
    let mut connection = fabric.store().read().await?;
    let passkeys = authenticators::passkeys_of(&mut connection, tenant, session.user).await?;
    drop(connection);
    if passkeys.len() >= usize::from(PASSKEYS_MAX) {
        return refused(identity, call, session, "too_many_passkeys", NOT_ADDED);
    }
    let Some(name) = name(form) else {
        return refused(identity, call, session, "name_malformed", NOT_ADDED);
    };
    let record = PasskeyRecord {
        tenant: tenant.clone(),
        user: session.user,
        credential,
        name,
        created: fabric.now(),
        last_used: None,
    };
    let writes = vec![
        passkey::spend(identity, call, challenge)?,
        Write::Authenticator(AuthenticatorChange::AddPasskey(Box::new(record))),
    ];
    let event = changed(session, "added", "passkey");
    let event = fabric.recorder().about_event(tenant, Some(call.id), event);
    match fabric
        .store()
        .change(tenant, writes, event, fabric.now())
        .await
    {
        Ok(_receipt) => {
            call.was_recorded();
            Ok(Note::Done("The passkey is added."))
        }
        Err(StoreError::Conflict(Constraint::Unique, _)) => {
            refused(identity, call, session, "passkey_known", NOT_ADDED)
        }
        Err(error) => Err(error.into()),
    }
}

/// Another name for a passkey.
pub(super) async fn rename_passkey(
    identity: &Identity,
    call: &Call,
    session: &Session,
    id: CredentialId,
    form: &Form,
) -> Result<Note, Failure> {
    let Some(name) = name(form) else {
        return Ok(Note::Problem(
            "A name has one letter at least, and 64 bytes at most.",
        ));
    };
    let renamed = AuthenticatorChange::RenamePasskey(session.user, id, name);
    let event = changed(session, "renamed", "passkey");
    write(identity, call, vec![Write::Authenticator(renamed)], event).await?;
    Ok(Note::Done("The passkey has its new name."))
}

/// The end of a passkey.
pub(super) async fn remove_passkey(
    identity: &Identity,
    call: &Call,
    session: &Session,
    id: CredentialId,
) -> Result<Note, Failure> {
    let removed = AuthenticatorChange::RemovePasskey(session.user, id);
    let event = changed(session, "removed", "passkey");
    write(identity, call, vec![Write::Authenticator(removed)], event).await?;
    Ok(Note::Done("The passkey signs nobody in any more."))
}

/// The code of an app that is being set up. It proves the app, and the session rises with it.
pub(super) async fn confirm_app(
    identity: &Identity,
    call: &Call,
    session: &Session,
    sealed: SealedSecret,
    form: &Form,
) -> Result<Response, Failure> {
    let secret = sealed.open(identity, call, session)?;
    let step = match form.get("code").and_then(TypedCode::read) {
        Some(TypedCode::App(code)) => secret.check(&code, None, identity.fabric.now()).ok(),
        Some(TypedCode::Recovery(_)) | None => None,
    };
    let Some(step) = step else {
        let note = Some(refused(
            identity,
            call,
            session,
            "factor_differs",
            CODE_DIFFERS,
        )?);
        let browser = Browser::of(identity, call);
        let view = view(identity, call, session, &browser, AccountPage::App, note).await?;
        return shown(call, &browser, view.app(Some(sealed))?);
    };
    let put = AuthenticatorChange::PutTotp(session.user, sealed.bytes()?, step);
    let raised = session.raised(AuthenticationMethod::Totp);
    let event = changed(session, "added", "totp");
    let writes = vec![Write::Authenticator(put)];
    let cookie = match session::rise(identity, call, raised.clone(), writes, event).await? {
        Ok(cookie) => cookie,
        Err(NotBegun::Ended(_) | NotBegun::FactorUsed) => {
            return Err(PageError::InteractionOver.into());
        }
    };
    let note = Note::Done("The app is set up. Make recovery codes, for the day when you lose it.");
    let page = AccountPage::Security;
    let mut response = show_after(identity, call, &raised, page, Some(note)).await?;
    cookies::set_session(&mut response, &call.tenant.name, &cookie)?;
    Ok(response)
}

/// The end of an app.
pub(super) async fn remove_app(
    identity: &Identity,
    call: &Call,
    session: &Session,
) -> Result<Note, Failure> {
    let removed = AuthenticatorChange::RemoveTotp(session.user);
    let event = changed(session, "removed", "totp");
    write(identity, call, vec![Write::Authenticator(removed)], event).await?;
    Ok(Note::Done("The app's codes sign nobody in any more."))
}

/// New recovery codes in the place of all before, and the page that shows them this once.
pub(super) async fn new_recovery_codes(
    identity: &Identity,
    call: &Call,
    session: &Session,
) -> Result<Response, Failure> {
    let random = identity.fabric.random();
    let codes: Vec<Secret<String>> = (0..RECOVERY_CODES)
        .map(|_| recovery_code(&random.bytes::<10>()))
        .collect();
    let tags = codes
        .iter()
        .map(|code| recovery_tag(identity, call, session.user, code.expose()))
        .collect();
    let put = AuthenticatorChange::PutRecoveryCodes(session.user, tags);
    let event = changed(session, "added", "recovery_codes");
    write(identity, call, vec![Write::Authenticator(put)], event).await?;
    let browser = Browser::of(identity, call);
    let page = AccountPage::Security;
    let view = view(identity, call, session, &browser, page, None).await?;
    let page = RecoveryCodesPage {
        codes: codes.iter().map(|code| grouped(code.expose())).collect(),
        back: call.path_of(page.path()),
        frame: view.frame,
    };
    shown(call, &browser, pages::render(&call.tenant, &page, ""))
}

fn name(form: &Form) -> Option<Bounded<64>> {
    let name = form.get("name").map(str::trim).unwrap_or_default();
    Bounded::parse(name).ok().filter(|_| !name.is_empty())
}

pub(super) fn changed(
    session: &Session,
    change: &'static str,
    kind: &'static str,
) -> AuthenticatorChanged {
    AuthenticatorChanged {
        change: Code::of(change),
        decision: Verdict::Allowed,
        kind: Code::of(kind),
        reason: None,
        user: session.user,
    }
}

/// Records that a factor was not added.
fn refused(
    identity: &Identity,
    call: &Call,
    session: &Session,
    reason: &'static str,
    note: Note,
) -> Result<Note, Failure> {
    let kind = match reason {
        "factor_differs" => "totp",
        _ => "passkey",
    };
    let event = AuthenticatorChanged {
        decision: Verdict::Denied,
        reason: Some(Code::of(reason)),
        ..changed(session, "added", kind)
    };
    record::refused(identity, call, event)?;
    Ok(note)
}
