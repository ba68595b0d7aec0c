//! `id_token_hint`: whom an ID token of ours is about. It may have expired long ago; it opens nothing (OpenID Connect Core §3.1.2.1, CIBA Core §7.1).

use super::Identity;
use super::answer::Failure;
use super::call::Call;
use countersign_base::{ClientId, SessionId, UserId};
use countersign_crypto::jose::Jws;
use countersign_store::tables::sessions;

/// The person, if this client got the token here.
pub(super) async fn user(
    identity: &Identity,
    call: &Call,
    token: &str,
    client: &ClientId,
) -> Result<Option<UserId>, Failure> {
    match read(identity, call, token, client) {
        None => Ok(None),
        Some(Named::User(user)) => Ok(Some(user)),
        Some(Named::Session(session)) => {
            let mut connection = identity.fabric.store().read().await?;
            let session = sessions::find(&mut connection, &call.tenant.name, session).await?;
            Ok(session.map(|session| session.user))
        }
    }
}

/// How a token names its person.
enum Named {
    User(UserId),
    /// A pairwise subject says nothing by itself; the session it was made in does.
    Session(SessionId),
}

fn read(identity: &Identity, call: &Call, token: &str, client: &ClientId) -> Option<Named> {
    let jws = Jws::parse(token).ok()?;
    // Nothing else that is signed here passes for an ID token: access tokens have a type of their own.
    if !jws.header().is_typ("JWT") {
        return None;
    }
    let published = identity.fabric.keys().jwks(&call.tenant.name)?;
    let key = published
        .set
        .find(jws.header().kid()?, jws.header().algorithm())?
        .clone();
    let claims = jws.verify(&key).ok()?;
    let audience = claims.strings("aud").ok()??;
    if claims.text("iss").ok()?? != call.tenant.issuer.as_str()
        || audience.as_slice() != [client.as_str()]
    {
        return None;
    }
    match claims.text("sub").ok()??.parse() {
        Ok(user) => Some(Named::User(user)),
        Err(_) => claims.text("sid").ok()??.parse().ok().map(Named::Session),
    }
}
