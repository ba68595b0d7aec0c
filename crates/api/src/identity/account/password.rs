//! `/account/security/password`: people choose their password, by the rules of their tenant.
//!
//! Whoever has a password types it once more, unless the session proved a passkey that checked its user. The old one is gone with everything that it opened
//! elsewhere: every other session with its tokens, every sign-in that waits for a second factor, and every other browser that was known. What the configuration declares is not theirs to change.

use super::factors::changed;
use super::overview::View;
use super::{Change, show_after, view};
use crate::identity::Identity;
use crate::identity::answer::Failure;
use crate::identity::authorize::shown;
use crate::identity::call::Call;
use crate::identity::sign_in;
use crate::identity::sign_in::session::{self, NotBegun};
use crate::identity::ticket::Browser;
use crate::identity::{cookies, record};
use crate::pages;
use crate::pages::account::{AccountPage, Note, PasswordForm, PasswordPage, PasswordProblem};
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::{AuthenticatorChanged, Verdict};
use countersign_authn::{Acr, Form};
use countersign_base::Secret;
use countersign_control::wrong_codes;
use countersign_oauth::authorize::PageError;
use countersign_oauth::client::Origin;
use countersign_oauth::{AuthenticationMethod, ResolvedUser, Session, StoredPassword};
use countersign_store::tables::users::NewPassword;
use countersign_store::{AuthenticatorChange, Write};

/// A choice that is not taken: what the page says, and what the log keeps.
struct Refused {
    problem: PasswordProblem,
    reason: &'static str,
}

impl Refused {
    const CURRENT: Self = Self {
        problem: PasswordProblem::Current("This is not your password."),
        reason: "password_differs",
    };

    fn new(text: &str, reason: &'static str) -> Self {
        Self {
            problem: PasswordProblem::New(text.to_owned()),
            reason,
        }
    }
}

/// Whether the password is the person's own to choose.
pub(super) fn is_theirs(owner: &ResolvedUser) -> bool {
    match owner.user.origin {
        Origin::Configuration => false,
        Origin::Document | Origin::Registered | Origin::Script => true,
    }
}

/// Whether the one before is asked for.
fn asks_current(owner: &ResolvedUser, session: &Session) -> bool {
    let methods = &session.methods;
    owner.user.password.is_some() && !methods.contains(&AuthenticationMethod::PasskeyUserVerified)
}

impl View<'_> {
    /// The form, and what was wrong with the last answer.
    pub(super) fn password(self, problem: Option<PasswordProblem>) -> Result<Response, Failure> {
        let rules = self.call.tenant.authentication.passwords();
        let form = is_theirs(&self.owner).then(|| {
            Ok::<_, Failure>(PasswordForm {
                ticket: self.ticket(Change::SetPassword)?,
                replaces: self.owner.user.password.is_some(),
                asks_current: asks_current(&self.owner, self.session),
                length_min: rules.length_min(),
                problem,
            })
        });
        let page = PasswordPage {
            form: form.transpose()?,
            back: self.call.path_of(AccountPage::Security.path()),
            frame: self.frame,
        };
        Ok(pages::render(&self.call.tenant, &page, ""))
    }
}

/// Another password.
pub(super) async fn set(
    identity: &Identity,
    call: &Call,
    session: &Session,
    owner: &ResolvedUser,
    form: &Form,
) -> Result<Response, Failure> {
    let after = match choose(identity, call, session, owner, form).await? {
        Ok(after) => after,
        Err(refused) => return again(identity, call, session, refused).await,
    };
    let new = NewPassword {
        user: session.user,
        before: owner.user.password.clone(),
        after,
        session: session.id,
    };
    // This browser is remembered again by what keeps the session.
    let forgotten = AuthenticatorChange::ForgetBrowsers(session.user);
    let mut writes = vec![
        Write::SetPassword(Box::new(new)),
        Write::Authenticator(forgotten),
    ];
    if session.acr() >= Some(Acr::TwoFactors) {
        // Not for whoever proved the password alone: a change of it would buy them as many guesses again.
        let (secrets, tenant) = (identity.fabric.secrets(), &call.tenant.name);
        writes.extend(wrong_codes::forgotten(secrets, tenant, session.user));
    }
    let event = changed(session, "changed", "password");
    let risen = session::rise(identity, call, session.clone(), writes, event).await?;
    let cookie = risen.map_err(|not| match not {
        NotBegun::Ended(_) | NotBegun::FactorUsed => PageError::InteractionOver,
    })?;
    let fabric = &identity.fabric;
    let now = fabric.now();
    fabric.revocations().refresh(fabric.store(), now).await?;
    let note = Note::Done("Your password is changed. Everywhere else you are signed out.");
    let page = AccountPage::Security;
    let mut response = show_after(identity, call, session, page, Some(note)).await?;
    cookies::set_session(&mut response, &call.tenant.name, &cookie)?;
    Ok(response)
}

/// The password that was chosen, if it may be and whoever chose it knows the one before.
async fn choose(
    identity: &Identity,
    call: &Call,
    session: &Session,
    owner: &ResolvedUser,
    form: &Form,
) -> Result<Result<StoredPassword, Refused>, Failure> {
    if !is_theirs(owner) {
        return Ok(Err(Refused::new("It is not yours to change.", "declared")));
    }
    let field = |name| form.get(name).unwrap_or_default();
    let (current, new) = (field("current"), field("new"));
    if asks_current(owner, session) {
        let compared = sign_in::current_password(identity, call, &owner.user, current).await?;
        let Ok(_matched) = compared else {
            return Ok(Err(Refused::CURRENT));
        };
        if current == new {
            let text = "This is the password that you have. Choose another.";
            return Ok(Err(Refused::new(text, "password_same")));
        }
    }
    if new != field("again") {
        let text = "The two do not agree. Type the new password twice.";
        return Ok(Err(Refused::new(text, "password_mistyped")));
    }
    let rules = call.tenant.authentication.passwords();
    let passwords = identity.fabric.passwords();
    let chosen = passwords.judge(Secret::new(new.to_owned()), &owner.user.username, rules);
    let chosen = match chosen {
        Ok(chosen) => chosen,
        Err(refused) => {
            let text = format!("Not taken: {refused}.");
            return Ok(Err(Refused::new(&text, refused.reason())));
        }
    };
    let hashed = passwords.create(chosen).await;
    let hash = hashed
        .map_err(|_| PageError::Unavailable)?
        .map_err(|_| PageError::Unavailable)?;
    Ok(Ok(StoredPassword::new(hash.to_string())))
}

/// The page once more, with what was wrong.
async fn again(
    identity: &Identity,
    call: &Call,
    session: &Session,
    refused: Refused,
) -> Result<Response, Failure> {
    let event = AuthenticatorChanged {
        decision: Verdict::Denied,
        reason: Some(Code::of(refused.reason)),
        ..changed(session, "changed", "password")
    };
    record::refused(identity, call, event)?;
    let browser = Browser::of(identity, call);
    let page = AccountPage::Password;
    let view = view(identity, call, session, &browser, page, None).await?;
    shown(call, &browser, view.password(Some(refused.problem))?)
}
