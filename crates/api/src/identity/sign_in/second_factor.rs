//! `/sign-in/code` and `/sign-in/code/passkey`: the factor that policy or the client asks for beyond the first, of somebody who is known by then.
//!
//! Their ticket says who, what they proved and when, and for which session, if there is one already. It is worth nothing in another browser, and nothing without
//! the factor.

use super::super::Identity;
use super::super::answer::Failure;
use super::super::authorize::{self, Purpose, shown};
use super::super::body;
use super::super::call::Call;
use super::super::cookies;
use super::super::record;
use super::super::ticket::{self, Browser, Step, Ticket};
use super::admission::{self, Admission};
use super::session::{self, Factor, NotBegun, Vouched};
use super::throttle::{self, Guarded};
use super::{attempt, code_limit, open, passkey};
use crate::pages::{self, SecondFactorPage};
use axum::response::Response;
use countersign_audit::event::SignInOutcome;
use countersign_authn::webauthn::{Challenge, RelyingParty};
use countersign_authn::{Acr, Form};
use countersign_base::{Secret, SessionId, UnixTime, UserId};
use countersign_crypto::mac::Tag;
use countersign_keys::{Aad, Sealed, envelope};
use countersign_oauth::authorize::PageError;
use countersign_oauth::totp::{TotpSecret, TypedCode};
use countersign_oauth::{AuthenticationMethod, OAuthError, StoredPassword, UserRecord};
use countersign_store::tables::{authenticators, users};
use countersign_store::{AuthenticatorChange, Durability, Write};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

const PROBLEM: &str = "This code is not right, or it was used before. Wait for the next one.";
const APP_EXHAUSTED: &str = "Too many codes were wrong: codes of the app do not count for a week. Use a recovery code or a passkey.";
const RECOVERY_EXHAUSTED: &str =
    "Too many recovery codes were wrong: they do not count for a week. Use your app or a passkey.";
const PASSKEY_PROBLEM: &str = "This passkey did not work. Try again, or use another way.";

/// What was proven so far.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    /// Where the interaction stands.
    pub(super) ticket: Ticket,
    pub(super) user: UserId,
    /// The password that they had: whoever has another by now begins again.
    pub(super) password: Tag,
    pub(super) methods: BTreeSet<AuthenticationMethod>,
    pub(super) auth_time: UnixTime,
    /// The session that the factor is put to; none if it is to begin.
    pub(super) session: Option<SessionId>,
    /// The provider's identity by which it is to begin, if by one.
    pub(super) vouched: Option<Vouched>,
    /// The class that it takes.
    pub(super) wanted: Acr,
    /// Guesses that failed before the first factor was right.
    pub(super) failures: u32,
    /// For a passkey.
    pub(super) challenge: Challenge,
}

/// Shows what they may use; who has nothing that would do is turned away.
pub(super) async fn ask(
    identity: &Identity,
    call: &Call,
    mut pending: Pending,
    problem: Option<&str>,
) -> Result<Response, Failure> {
    let mut connection = identity.fabric.store().read().await?;
    let factors =
        authenticators::factors_of(&mut connection, &call.tenant.name, pending.user).await?;
    drop(connection);
    let ways = factors.leading_to(pending.wanted, &pending.methods);
    if ways.is_empty() {
        let unmet = OAuthError::AuthenticationUnmet;
        return authorize::turn_away(identity, call, &pending.ticket, unmet).await;
    }
    let purpose = authorize::reopen(identity, call, &pending.ticket).await?;
    let browser = Browser::of(identity, call);
    pending.challenge = Challenge::new(identity.fabric.random().bytes());
    let options = if ways.contains(&AuthenticationMethod::Passkey) {
        let mut connection = identity.fabric.store().read().await?;
        let passkeys =
            authenticators::passkeys_of(&mut connection, &call.tenant.name, pending.user).await?;
        RelyingParty::of(&call.tenant.issuer)
            .map(|party| passkey::request_options(&party, &pending.challenge, &passkeys))
    } else {
        None
    };
    let app = ways.contains(&AuthenticationMethod::Totp);
    let recovery = ways.contains(&AuthenticationMethod::RecoveryCode);
    let sealed = ticket::seal(identity, call, &browser.value, Step::SecondFactor, &pending)?;
    let page = SecondFactorPage {
        client: purpose.name(),
        code_action: (app || recovery).then(|| call.path_of("/sign-in/code")),
        app,
        recovery,
        passkey_action: call.path_of("/sign-in/code/passkey"),
        passkey_options: options,
        ticket: &sealed,
        problem,
    };
    let target = purpose.form_target();
    let page = pages::render_with_script(&call.tenant, &page, &target);
    shown(call, &browser, page)
}

/// What comes with the answer to the page, and whose it is.
struct Answer {
    form: Form,
    pending: Pending,
    user: UserRecord,
}

impl Answer {
    /// Reads it, if it is of this browser and of somebody who may still sign in.
    async fn read(
        identity: &Identity,
        call: &mut Call,
        method: AuthenticationMethod,
    ) -> Result<Self, Failure> {
        let form = body::form(call).await.map_err(|_| PageError::Malformed)?;
        let step = Step::SecondFactor;
        let pending: Pending = open(identity, call, step, method, form.get("ticket"))?;
        let user = person(identity, call, &pending, method).await?;
        Ok(Self {
            form,
            pending,
            user,
        })
    }
}

pub(in super::super) async fn code(
    identity: Arc<Identity>,
    mut call: Call,
) -> Result<Response, Failure> {
    let method = AuthenticationMethod::Totp;
    let answer = Answer::read(&identity, &mut call, method).await?;
    let (pending, user) = (answer.pending, answer.user);
    let client = pending.ticket.client.as_ref();
    let guarded = Guarded::SecondFactor(user.id);
    let guess = throttle::begin(&identity, &call, guarded, Some(user.id), client).await?;
    let Some(typed) = answer.form.get("code").and_then(TypedCode::read) else {
        return wrong(&identity, &call, pending, method).await;
    };
    let kind = code_limit::guessed(&typed);
    let Some(counted) = code_limit::begin(&identity, &call, user.id, kind).await? else {
        guess.abandoned(&identity);
        return exhausted(&identity, &call, pending, &typed).await;
    };
    let method = method_of(&typed);
    let Some(mut factor) = judge_code(&identity, &call, typed, user.id).await? else {
        counted.failed(&identity, &call).await?;
        return wrong(&identity, &call, pending, method).await;
    };
    factor.writes.push(counted.forgiven());
    match go_on(&identity, &call, &pending, &user, factor).await? {
        Ok(response) => {
            guess.succeeded(&identity);
            Ok(response)
        }
        Err(not) => {
            counted.failed(&identity, &call).await?;
            not_begun(&identity, &call, pending, method, not).await
        }
    }
}

pub(in super::super) async fn with_passkey(
    identity: Arc<Identity>,
    mut call: Call,
) -> Result<Response, Failure> {
    let method = AuthenticationMethod::Passkey;
    let answer = Answer::read(&identity, &mut call, method).await?;
    let (pending, user) = (answer.pending, answer.user);
    let shown = passkey::judge(&identity, &call, &answer.form, &pending.challenge).await?;
    let Some(shown) = shown.ok().filter(|shown| shown.user == user.id) else {
        return wrong(&identity, &call, pending, method).await;
    };
    let factor = Factor {
        method: shown.method(),
        writes: shown.writes,
        vouched: None,
    };
    match go_on(&identity, &call, &pending, &user, factor).await? {
        Ok(response) => Ok(response),
        Err(not) => not_begun(&identity, &call, pending, method, not).await,
    }
}

/// The factor was right and came to nothing: somebody was first with it, or what it was for has ended.
async fn not_begun(
    identity: &Identity,
    call: &Call,
    pending: Pending,
    method: AuthenticationMethod,
    not: NotBegun,
) -> Result<Response, Failure> {
    match not {
        NotBegun::FactorUsed => wrong(identity, call, pending, method).await,
        NotBegun::Ended(_) => Err(PageError::InteractionOver.into()),
    }
}

/// The person of the ticket, if they may still sign in and the interaction still stands.
async fn person(
    identity: &Identity,
    call: &Call,
    pending: &Pending,
    method: AuthenticationMethod,
) -> Result<UserRecord, Failure> {
    let _stands: Purpose = authorize::reopen(identity, call, &pending.ticket).await?;
    let mut connection = identity.fabric.store().read().await?;
    let user = users::find(&mut connection, &call.tenant.name, pending.user).await?;
    let still = |user: &UserRecord| {
        let password = password_tag(identity, call, user);
        user.enabled && pending.password.verify_same(&password).is_ok()
    };
    if let Some(user) = user.filter(still) {
        return Ok(user);
    }
    let (client, method) = (pending.ticket.client.as_ref(), method);
    let reason = Some("first_factor_ended");
    let event = attempt(
        client,
        method,
        SignInOutcome::Failed,
        reason,
        Some(pending.user),
    );
    record::refused(identity, call, event)?;
    Err(PageError::InteractionOver.into())
}

/// A keyed hash of somebody's password as it is stored: another password, another hash.
pub(super) fn password_tag(identity: &Identity, call: &Call, user: &UserRecord) -> Tag {
    let secrets = identity.fabric.secrets();
    let key = secrets.tenant_mac_key(&call.tenant.name, "pending-sign-in");
    let password = user.password.as_ref().map_or("", StoredPassword::phc);
    key.tag("password", &[user.id.as_bytes(), password.as_bytes()])
}

const fn method_of(typed: &TypedCode) -> AuthenticationMethod {
    match typed {
        TypedCode::App(_) => AuthenticationMethod::Totp,
        TypedCode::Recovery(_) => AuthenticationMethod::RecoveryCode,
    }
}

/// Compares what was typed with the person's app or recovery codes. What uses it up comes back, to be written with what it allows.
async fn judge_code(
    identity: &Identity,
    call: &Call,
    typed: TypedCode,
    user: UserId,
) -> Result<Option<Factor>, Failure> {
    let method = method_of(&typed);
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let mut connection = fabric.store().read().await?;
    let spent = match typed {
        TypedCode::App(code) => {
            let Some(kept) = authenticators::totp(&mut connection, tenant, user).await? else {
                return Ok(None);
            };
            drop(connection);
            let secret = open_secret(identity, call, user, kept.sealed)?;
            let Ok(step) = secret.check(&code, Some(kept.last_step), fabric.now()) else {
                return Ok(None);
            };
            AuthenticatorChange::SpendTotpStep(user, step)
        }
        TypedCode::Recovery(code) => {
            let tag = recovery_tag(identity, call, user, &code);
            let left = authenticators::recovery_codes_of(&mut connection, tenant, user).await?;
            let Some(kept) = left.into_iter().find(|kept| kept.verify_same(&tag).is_ok()) else {
                return Ok(None);
            };
            AuthenticatorChange::SpendRecoveryCode(user, kept)
        }
    };
    Ok(Some(Factor {
        method,
        writes: vec![Write::Authenticator(spent)],
        vouched: None,
    }))
}

/// The keyed hash under which a recovery code is kept.
pub(in super::super) fn recovery_tag(
    identity: &Identity,
    call: &Call,
    user: UserId,
    code: &str,
) -> Tag {
    let secrets = identity.fabric.secrets();
    let key = secrets.tenant_mac_key(&call.tenant.name, "recovery-code");
    key.tag("recovery code", &[user.as_bytes(), code.as_bytes()])
}

/// Where an app's secret belongs: it opens in no other row.
pub(in super::super) fn secret_place(call: &Call, user: UserId) -> Aad {
    Aad::row(&call.tenant.name, "totp_secrets", "sealed", user.as_bytes())
}

/// Opens an app's secret.
pub(in super::super) fn open_secret(
    identity: &Identity,
    call: &Call,
    user: UserId,
    sealed: Vec<u8>,
) -> Result<TotpSecret, Failure> {
    let keks = identity.fabric.secrets().keks();
    let opened = envelope::open(
        &*keks,
        &secret_place(call, user),
        &Sealed::from_bytes(sealed),
    )
    .map_err(|_| Failure::Unavailable)?;
    let bytes = opened
        .expose()
        .as_slice()
        .try_into()
        .map_err(|_| Failure::Unavailable)?;
    Ok(TotpSecret::new(Secret::new(bytes)))
}

/// The factor held: policy is asked again, and the session begins or rises.
async fn go_on(
    identity: &Identity,
    call: &Call,
    pending: &Pending,
    user: &UserRecord,
    factor: Factor,
) -> Result<Result<Response, NotBegun>, Failure> {
    let mut methods = pending.methods.clone();
    methods.insert(factor.method);
    let claim = admission::Claim {
        user,
        client: pending.ticket.client.as_ref(),
        methods: &methods,
        failures: pending.failures,
        auth_time: pending.auth_time,
    };
    let ticket = &pending.ticket;
    match admission::judge(identity, call, claim, Durability::Durable).await? {
        Admission::Refused => {
            let refused = authorize::turn_away(identity, call, ticket, OAuthError::PolicyDenied);
            refused.await.map(Ok)
        }
        // Two of one kind reach no higher: nothing that could still be asked for would do.
        Admission::Needs(_) => {
            let unmet = OAuthError::AuthenticationUnmet;
            let refused = authorize::turn_away(identity, call, ticket, unmet);
            refused.await.map(Ok)
        }
        Admission::Admitted(admitted) => match pending.session {
            None => {
                let factor = Factor {
                    vouched: pending.vouched.clone(),
                    ..factor
                };
                let begun = session::begin(identity, call, ticket, admitted, factor).await?;
                if begun.is_ok() {
                    throttle::forgive(identity, call, user.username.as_str());
                }
                Ok(begun)
            }
            Some(expected) => {
                let current = cookies::session(identity, call)
                    .await?
                    .filter(|session| session.id == expected && session.user == admitted.user())
                    .ok_or(PageError::InteractionOver)?;
                session::raise(identity, call, ticket, &current, factor).await
            }
        },
    }
}

/// Codes of this kind are not judged any more: the page says so, and offers what else there is.
async fn exhausted(
    identity: &Identity,
    call: &Call,
    pending: Pending,
    typed: &TypedCode,
) -> Result<Response, Failure> {
    let (method, problem) = match typed {
        TypedCode::App(_) => (AuthenticationMethod::Totp, APP_EXHAUSTED),
        TypedCode::Recovery(_) => (AuthenticationMethod::RecoveryCode, RECOVERY_EXHAUSTED),
    };
    let event = attempt(
        pending.ticket.client.as_ref(),
        method,
        SignInOutcome::Throttled,
        Some("too_many_codes"),
        Some(pending.user),
    );
    record::refused(identity, call, event)?;
    let mut page = ask(identity, call, pending, Some(problem)).await?;
    if page.status() == StatusCode::OK {
        *page.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    }
    Ok(page)
}

async fn wrong(
    identity: &Identity,
    call: &Call,
    pending: Pending,
    method: AuthenticationMethod,
) -> Result<Response, Failure> {
    let problem = match method {
        AuthenticationMethod::Passkey | AuthenticationMethod::PasskeyUserVerified => {
            PASSKEY_PROBLEM
        }
        AuthenticationMethod::Federated
        | AuthenticationMethod::Password
        | AuthenticationMethod::RecoveryCode
        | AuthenticationMethod::Totp => PROBLEM,
    };
    let event = attempt(
        pending.ticket.client.as_ref(),
        method,
        SignInOutcome::Failed,
        Some("factor_differs"),
        Some(pending.user),
    );
    record::refused(identity, call, event)?;
    ask(identity, call, pending, Some(problem)).await
}
