//! Signing in: `/sign-in` takes a username and a password, `/sign-in/passkey` a passkey instead, `/sign-in/code` and `/sign-in/code/passkey` what policy or
//! the client asks for beyond.
//!
//! Half a sign-in is no session. What was proven so far travels in a ticket that is bound to the browser, the tenant, the step and the person (A51 to A53); a
//! session begins when policy permits it, with a new cookie (A61), in the transaction that uses up the factor. Guesses are throttled, hashes run on the bounded
//! pool, and names that nobody has look like all others (CA-16, A56).

pub(super) mod admission;
mod code_limit;
pub(super) mod passkey;
mod renewal;
pub(super) mod second_factor;
pub(super) mod session;
mod throttle;

use super::Identity;
use super::answer::Failure;
use super::authorize::{self, Purpose, shown};
use super::body;
use super::call::Call;
use super::cookies;
use super::record;
use super::ticket::{self, Browser, Step, Ticket};
use super::upstream;
use crate::pages::{self, SignInPage};
use admission::{Admission, Remedied};
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::{SignIn, SignInOutcome};
use countersign_authn::Form;
use countersign_authn::webauthn::{Challenge, RelyingParty};
use countersign_base::{ClientId, Secret, UserId, Username};
use countersign_crypto::mac::Tag;
use countersign_crypto::password::{
    PASSWORD_BYTES_MAX, PasswordDiffers, PasswordMatched, StoredHash,
};
use countersign_oauth::authentication::access::Device;
use countersign_oauth::authorize::PageError;
use countersign_oauth::{AuthenticationMethod, OAuthError, UserRecord};
use countersign_store::Write;
use countersign_store::tables::{authenticators, users};
use second_factor::Pending;
use session::{NotBegun, Vouched};
use std::collections::BTreeSet;
use std::sync::Arc;
use throttle::{Guarded, Guess};

const PROBLEM: &str = "The username or the password is not right.";

/// Somebody who proved who they are by one method.
pub(super) struct Proven {
    pub(super) user: UserRecord,
    pub(super) method: AuthenticationMethod,
    /// How often that failed before.
    pub(super) failures: u32,
    /// The guess that was right, where guesses are counted: it clears the counters only once a session began.
    pub(super) guess: Option<Guess>,
    /// What uses the factor up.
    pub(super) writes: Vec<Write>,
    /// The provider's identity, if one vouches for them.
    pub(super) vouched: Option<Vouched>,
}

pub(super) async fn sign_in(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = body::form(&mut call)
        .await
        .map_err(|_| PageError::Malformed)?;
    let method = AuthenticationMethod::Password;
    let ticket: Ticket = open(&identity, &call, Step::SignIn, method, form.get("ticket"))?;
    let purpose = authorize::reopen(&identity, &call, &ticket).await?;
    if let Some(address) = form.get("username") {
        let sent = upstream::send_by_address(&identity, &call, &purpose, &ticket, address);
        if let Some(page) = sent.await? {
            return Ok(page);
        }
    }
    match check(&identity, &call, &form, purpose.client_id()).await? {
        Checked::Wrong => page(&identity, &call, &purpose, &ticket, Some(PROBLEM)),
        Checked::Right(proven) => match go_on(&identity, &call, ticket, *proven).await? {
            Ok(response) => Ok(response),
            Err(NotBegun::Ended(_) | NotBegun::FactorUsed) => {
                Err(PageError::InteractionOver.into())
            }
        },
    }
}

/// The page that asks who they are; `problem` says what was wrong with the last answer.
pub(super) fn page(
    identity: &Identity,
    call: &Call,
    purpose: &Purpose,
    ticket: &Ticket,
    problem: Option<&str>,
) -> Result<Response, Failure> {
    let browser = Browser::of(identity, call);
    let sealed = ticket::seal(identity, call, &browser.value, Step::SignIn, ticket)?;
    let upstreams = identity.fabric.upstreams().of_tenant(&call.tenant.name);
    let offer = passkey::Offer {
        ticket: ticket.clone(),
        challenge: Challenge::new(identity.fabric.random().bytes()),
    };
    let page = SignInPage {
        client: purpose.name(),
        action: call.path_of("/sign-in"),
        passkey_action: call.path_of("/sign-in/passkey"),
        passkey_ticket: ticket::seal(identity, call, &browser.value, Step::Passkey, &offer)?,
        passkey_options: RelyingParty::of(&call.tenant.issuer)
            .map(|party| passkey::request_options(&party, &offer.challenge, &[])),
        ticket: &sealed,
        problem,
        providers: upstream::offered(call, &upstreams, &sealed),
        by_address: upstreams
            .iter()
            .any(|upstream| !upstream.record().domains.is_empty()),
    };
    let page = pages::render_with_script(&call.tenant, &page, &purpose.form_target());
    shown(call, &browser, page)
}

/// A ticket of this browser for this step; anything else is recorded as a failed attempt.
fn open<T: for<'de> serde::Deserialize<'de>>(
    identity: &Identity,
    call: &Call,
    step: Step,
    method: AuthenticationMethod,
    text: Option<&str>,
) -> Result<T, Failure> {
    ticket::open(identity, call, step, text).map_err(|error| {
        let event = attempt(
            None,
            method,
            SignInOutcome::Failed,
            Some("foreign_form"),
            None,
        );
        match record::refused(identity, call, event) {
            Ok(()) => error.into(),
            Err(failure) => failure,
        }
    })
}

/// After the first factor: a session, another factor, or a refusal, as policy says.
pub(super) async fn go_on(
    identity: &Identity,
    call: &Call,
    ticket: Ticket,
    mut proven: Proven,
) -> Result<Result<Response, NotBegun>, Failure> {
    let now = identity.fabric.now();
    let methods = BTreeSet::from([proven.method]);
    let claim = admission::Claim {
        user: &proven.user,
        client: ticket.client.as_ref(),
        methods: &methods,
        failures: proven.failures,
        auth_time: now,
    };
    let durability = countersign_store::Durability::Durable;
    let admission = admission::judge(identity, call, claim, durability).await?;
    if !matches!(admission, Admission::Admitted(_))
        && let Some(guess) = proven.guess.take()
    {
        // Policy weighs what failed before; the same password again finds it as it was.
        guess.abandoned(identity);
    }
    match admission {
        Admission::Admitted(admitted) => {
            let factor = session::Factor {
                method: proven.method,
                writes: proven.writes,
                vouched: proven.vouched,
            };
            let begun = session::begin(identity, call, &ticket, admitted, factor).await?;
            match (proven.guess, &begun) {
                (Some(guess), Ok(_)) => guess.succeeded(identity),
                (Some(guess), Err(_)) => guess.abandoned(identity),
                (None, _) => {}
            }
            Ok(begun)
        }
        Admission::Refused => {
            let refused = authorize::turn_away(identity, call, &ticket, OAuthError::PolicyDenied);
            refused.await.map(Ok)
        }
        // Nobody signed in later than now.
        Admission::Needs(Remedied::Again) => {
            let refused = authorize::turn_away(identity, call, &ticket, OAuthError::PolicyDenied);
            refused.await.map(Ok)
        }
        Admission::Needs(Remedied::Class(wanted)) => {
            let pending = Pending {
                ticket,
                password: second_factor::password_tag(identity, call, &proven.user),
                user: proven.user.id,
                methods,
                auth_time: now,
                session: None,
                vouched: proven.vouched,
                wanted,
                failures: proven.failures,
                challenge: Challenge::new(identity.fabric.random().bytes()),
            };
            let asked = second_factor::ask(identity, call, pending, None);
            asked.await.map(Ok)
        }
    }
}

enum Checked {
    Right(Box<Proven>),
    Wrong,
}

async fn check(
    identity: &Identity,
    call: &Call,
    form: &Form,
    client: Option<&ClientId>,
) -> Result<Checked, Failure> {
    let (Some(username), Some(password)) = (form.get("username"), form.get("password")) else {
        return Ok(Checked::Wrong);
    };
    if password.len() > PASSWORD_BYTES_MAX {
        return Ok(Checked::Wrong);
    }
    let user = find(identity, call, username).await?;
    let id = user.as_ref().map(|user| user.id);
    let guess = throttle::begin(identity, call, Guarded::Password(username), id, client).await?;
    let matched = match compare(identity, user.as_ref(), Secret::new(password.to_owned())).await {
        Ok(matched) => matched,
        Err(busy) => {
            guess.abandoned(identity);
            return Err(busy);
        }
    };
    let reason = match (matched, user) {
        (Ok(matched), Some(user)) if user.enabled => {
            let failures = guess.failures();
            let typed = Secret::new(password.to_owned());
            let user = renewal::renewed(identity, call, user, matched, typed).await;
            return Ok(Checked::Right(Box::new(Proven {
                user,
                method: AuthenticationMethod::Password,
                failures,
                guess: Some(guess),
                writes: Vec::new(),
                vouched: None,
            })));
        }
        (Ok(_), _) => "user_disabled",
        (Err(PasswordDiffers), Some(_)) => "password_differs",
        (Err(PasswordDiffers), None) => "user_unknown",
    };
    let event = attempt(
        client,
        AuthenticationMethod::Password,
        SignInOutcome::Failed,
        Some(reason),
        id,
    );
    record::refused(identity, call, event)?;
    Ok(Checked::Wrong)
}

/// Compares what somebody who is signed in typed with their password, guessed at as on the sign-in page.
pub(super) async fn current_password(
    identity: &Identity,
    call: &Call,
    user: &UserRecord,
    typed: &str,
) -> Result<Result<PasswordMatched, PasswordDiffers>, Failure> {
    if typed.len() > PASSWORD_BYTES_MAX {
        return Ok(Err(PasswordDiffers));
    }
    let guarded = Guarded::Password(user.username.as_str());
    let guess = throttle::begin(identity, call, guarded, Some(user.id), None).await?;
    match compare(identity, Some(user), Secret::new(typed.to_owned())).await {
        Ok(Ok(matched)) => {
            guess.succeeded(identity);
            Ok(Ok(matched))
        }
        Ok(Err(differs)) => Ok(Err(differs)),
        Err(busy) => {
            guess.abandoned(identity);
            Err(busy)
        }
    }
}

async fn find(
    identity: &Identity,
    call: &Call,
    username: &str,
) -> Result<Option<UserRecord>, Failure> {
    let Ok(username) = username.parse::<Username>() else {
        return Ok(None);
    };
    let mut connection = identity.fabric.store().read().await?;
    Ok(users::find_by_name(&mut connection, &call.tenant.name, &username).await?)
}

/// Hashes once, whoever it is, so that time does not tell which names exist.
async fn compare(
    identity: &Identity,
    user: Option<&UserRecord>,
    password: Secret<String>,
) -> Result<Result<PasswordMatched, PasswordDiffers>, Failure> {
    let pool = identity.fabric.passwords();
    let stored = user
        .and_then(|user| user.password.as_ref())
        .and_then(|stored| StoredHash::parse(stored.phc()).ok());
    let compared = match stored {
        Some(hash) => pool.verify(hash, password).await,
        None => pool.dummy(password).await.map(Err),
    };
    compared.map_err(|_| PageError::Unavailable.into())
}

/// Whether somebody signed in with this browser before.
async fn device(identity: &Identity, call: &Call, user: UserId) -> Result<Device, Failure> {
    let browser = cookies::browser_tag(identity, call);
    let known = known(identity, call, user, browser).await?;
    Ok(known.map_or(Device::New, |_| Device::Known))
}

/// The keyed hash of this browser, if this person proved a second factor in it before. Whoever has their password alone has any number of browsers that are
/// merely known.
async fn proven_browser(
    identity: &Identity,
    call: &Call,
    user: UserId,
) -> Result<Option<Tag>, Failure> {
    let browser = cookies::proven_browser_tag(identity, call);
    known(identity, call, user, browser).await
}

/// What it is given, if the store has it of this person.
async fn known(
    identity: &Identity,
    call: &Call,
    user: UserId,
    browser: Option<Tag>,
) -> Result<Option<Tag>, Failure> {
    let Some(browser) = browser else {
        return Ok(None);
    };
    let fabric = &identity.fabric;
    let (tenant, now) = (&call.tenant.name, fabric.now());
    let mut connection = fabric.store().read().await?;
    let known = authenticators::is_known(&mut connection, tenant, user, &browser, now).await?;
    Ok(known.then_some(browser))
}

fn attempt(
    client: Option<&ClientId>,
    method: AuthenticationMethod,
    outcome: SignInOutcome,
    reason: Option<&'static str>,
    user: Option<UserId>,
) -> SignIn {
    SignIn {
        client: client.cloned(),
        method: Code::of(method.as_str()),
        outcome,
        reason: reason.map(Code::of),
        session: None,
        user,
    }
}
