//! `/logout`: a person signs out of this server. It asks first, so that no link signs anybody out, and redirects nowhere else (R58).
//!
//! Not here: logout begun by a client (`post_logout_redirect_uri`), which does not exist yet.

use super::Identity;
use super::answer::{Failure, see_other};
use super::body;
use super::call::Call;
use super::cookies;
use super::record;
use super::ticket::{self, Browser, Known, Step};
use crate::pages::{self, SignOutPage, SignedOutPage};
use axum::response::Response;
use countersign_audit::Code;
use countersign_audit::event::SignOut;
use countersign_base::SessionId;
use countersign_oauth::authorize::PageError;
use countersign_store::Write;
use std::sync::Arc;

pub(super) async fn page(identity: Arc<Identity>, call: Call) -> Result<Response, Failure> {
    let Some(session) = cookies::session(&identity, &call).await? else {
        return Ok(pages::render(&call.tenant, &SignedOutPage {}, ""));
    };
    let browser = Browser::of(&identity, &call);
    let sealed = ticket::seal(&identity, &call, &browser.value, Step::SignOut, &session.id)?;
    let mut response = pages::render(
        &call.tenant,
        &SignOutPage {
            action: call.path_of("/logout/confirm"),
            ticket: &sealed,
        },
        "",
    );
    if browser.known == Known::New {
        cookies::name_browser(&mut response, &call.tenant.name, &browser.value)?;
    }
    Ok(response)
}

pub(super) async fn sign_out(identity: Arc<Identity>, mut call: Call) -> Result<Response, Failure> {
    let form = body::form(&mut call)
        .await
        .map_err(|_| PageError::Malformed)?;
    let named: SessionId = match ticket::open(&identity, &call, Step::SignOut, form.get("ticket")) {
        Ok(named) => named,
        Err(error) => {
            record::authorization_refused(&identity, &call, None, "error_page", "foreign_form")?;
            return Err(error.into());
        }
    };
    let fabric = &identity.fabric;
    let session = cookies::session(&identity, &call)
        .await?
        .filter(|session| session.id == named);
    if let Some(session) = session {
        let now = fabric.now();
        let event = SignOut {
            reason: Code::of("user"),
            session: session.id,
            user: session.user,
        };
        let event = fabric
            .recorder()
            .about_event(&call.tenant.name, Some(call.id), event);
        let _receipt = fabric
            .store()
            .change(
                &call.tenant.name,
                vec![Write::EndSession(session.id)],
                event,
                now,
            )
            .await?;
        fabric.revocations().refresh(fabric.store(), now).await?;
    }
    let mut response = see_other(&call.path_of("/logout"))?;
    cookies::clear_session(&mut response, &call.tenant.name)?;
    Ok(response)
}
