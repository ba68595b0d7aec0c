//! `/sign-in`: a username and a password, throttled, hashed on the bounded pool, and the same for names that nobody has (CA-16, A56).

use super::Identity;
use super::answer::{Failure, see_other};
use super::authorize;
use super::body;
use super::call::Call;
use super::cookies;
use super::record;
use super::ticket::{self, Step, Ticket};
use super::upstream;
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::{SignIn, SignInOutcome};
use countersign_authn::Form;
use countersign_base::{ClientId, Secret, UserId, Username};
use countersign_crypto::password::{PasswordDiffers, PasswordHash, PasswordMatched};
use countersign_oauth::authorize::PageError;
use countersign_oauth::throttle::{Attempt, SignInThrottle};
use countersign_oauth::{AuthenticationMethod, Session, UserRecord};
use countersign_store::Write;
use countersign_store::tables::users;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a password that are hashed.
const PASSWORD_BYTES_MAX: usize = 1024;
const PROBLEM: &str = "The username or the password is not right.";

pub(super) async fn sign_in(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = body::form(&mut call)
        .await
        .map_err(|_| PageError::Malformed)?;
    let ticket: Ticket = match ticket::open(&identity, &call, Step::SignIn, form.get("ticket")) {
        Ok(ticket) => ticket,
        Err(error) => {
            record::refused(
                &identity,
                &call,
                attempt(None, SignInOutcome::Failed, Some("foreign_form"), None),
            )?;
            return Err(error.into());
        }
    };
    let purpose = authorize::reopen(&identity, &call, &ticket).await?;
    if let Some(address) = form.get("username")
        && let Some(page) = upstream::send_by_address(&identity, &call, &ticket, address).await?
    {
        return Ok(page);
    }
    match check(&identity, &call, &form, purpose.client_id()).await? {
        Checked::Wrong => {
            authorize::sign_in_page(&identity, &call, &purpose, &ticket, Some(PROBLEM))
        }
        Checked::Right(user) => begin_session(&identity, &call, &ticket, *user).await,
    }
}

enum Checked {
    Right(Box<UserRecord>),
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
    let (by_name, by_source) = throttled(identity, call, username, client)?;
    let user = find(identity, call, username).await?;
    let matched = compare(identity, user.as_ref(), Secret::new(password.to_owned())).await;
    let matched = match matched {
        Ok(matched) => matched,
        Err(busy) => {
            lock(&identity.by_username).abandoned(by_name);
            lock(&identity.by_source).abandoned(by_source);
            return Err(busy);
        }
    };
    let id = user.as_ref().map(|user| user.id);
    match (matched, user) {
        (Ok(_), Some(user)) if user.enabled => {
            lock(&identity.by_username).succeeded(by_name);
            lock(&identity.by_source).abandoned(by_source);
            Ok(Checked::Right(Box::new(user)))
        }
        (Ok(_), _) => {
            record::refused(
                identity,
                call,
                attempt(client, SignInOutcome::Failed, Some("user_disabled"), id),
            )?;
            Ok(Checked::Wrong)
        }
        (Err(PasswordDiffers), _) => {
            let reason = if id.is_some() {
                "password_differs"
            } else {
                "user_unknown"
            };
            record::refused(
                identity,
                call,
                attempt(client, SignInOutcome::Failed, Some(reason), id),
            )?;
            Ok(Checked::Wrong)
        }
    }
}

/// Counts the attempt for the name and for the source before it is judged.
fn throttled(
    identity: &Identity,
    call: &Call,
    username: &str,
    client: Option<&ClientId>,
) -> Result<(Attempt, Attempt), Failure> {
    let key = identity
        .fabric
        .secrets()
        .tenant_mac_key(&call.tenant.name, "sign-in-throttle");
    let now = identity.fabric.now();
    let name = key.tag("username", &[username.as_bytes()]);
    let source = key.tag("source", &[call.source().to_string().as_bytes()]);
    let begun = lock(&identity.by_username)
        .begin(name.as_bytes(), now)
        .and_then(|by_name| {
            let by_source = lock(&identity.by_source).begin_of_many(source.as_bytes(), now)?;
            Ok((by_name, by_source))
        });
    begun.map_err(|wait| {
        let event = attempt(
            client,
            SignInOutcome::Throttled,
            Some("too_many_attempts"),
            None,
        );
        match record::refused(identity, call, event) {
            Ok(()) => Failure::Throttled(wait.after),
            Err(failure) => failure,
        }
    })
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
        .and_then(|stored| PasswordHash::parse(stored.phc()).ok());
    let compared = match stored {
        Some(hash) => pool.verify(hash, password).await,
        None => pool.dummy(password).await.map(Err),
    };
    compared.map_err(|_| PageError::Unavailable.into())
}

/// A new session with a new cookie at every sign-in (A61), and back to where the interaction stands.
async fn begin_session(
    identity: &Identity,
    call: &Call,
    ticket: &Ticket,
    user: UserRecord,
) -> Result<Response, Failure> {
    let fabric = &identity.fabric;
    let (now, cookie) = (fabric.now(), fabric.random().token());
    let session = Session::begin(
        fabric.random().session_id(),
        call.tenant.name.clone(),
        user.id,
        [AuthenticationMethod::Password].into(),
        now,
    )
    .on(call.device());
    let mut event = attempt(
        ticket.client.as_ref(),
        SignInOutcome::SignedIn,
        None,
        Some(user.id),
    );
    event.session = Some(session.id);
    let event = fabric
        .recorder()
        .about_event(&call.tenant.name, Some(call.id), event);
    let handle = cookies::session_handle(identity, &call.tenant.name, &cookie);
    let write = Write::AddSession(handle, Box::new(session));
    let _receipt = fabric
        .store()
        .change(&call.tenant.name, vec![write], event, now)
        .await?;
    let browser = cookies::browser(call).ok_or(PageError::ForeignForm)?;
    let sealed = ticket::seal(identity, call, &browser, Step::Resume, ticket)?;
    let mut response = see_other(&format!(
        "{}?ticket={sealed}",
        call.path_of("/authorize/resume")
    ))?;
    cookies::set_session(&mut response, &call.tenant.name, &cookie)?;
    Ok(response)
}

fn attempt(
    client: Option<&ClientId>,
    outcome: SignInOutcome,
    reason: Option<&'static str>,
    user: Option<UserId>,
) -> SignIn {
    SignIn {
        client: client.cloned(),
        method: Code::of("password"),
        outcome,
        reason: reason.map(Code::of),
        session: None,
        user,
    }
}

fn lock(throttle: &Mutex<SignInThrottle>) -> std::sync::MutexGuard<'_, SignInThrottle> {
    throttle.lock().unwrap_or_else(PoisonError::into_inner)
}
