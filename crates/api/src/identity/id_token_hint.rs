//! `id_token_hint`: whom an ID token of ours is about. It may have expired long ago; it opens nothing (OpenID Connect Core §3.1.2.1, CIBA Core §7.1).

use super::Identity;
use super::answer::Failure;
use super::call::Call;
use countersign_base::{ClientId, GrantId, UserId};
use countersign_crypto::jose::Jws;
use countersign_oauth::subject_identifier::SubjectOrder;
use countersign_oauth::{ClientRecord, GrantRecord};
use countersign_store::tables::grants;

/// The person, if this client got the token here.
pub(super) async fn user(
    identity: &Identity,
    call: &Call,
    token: &str,
    client: &ClientRecord,
) -> Result<Option<UserId>, Failure> {
    match read(identity, call, token, &client.id) {
        None => Ok(None),
        Some(Named::User(user)) => Ok(Some(user)),
        Some(Named::Grant(id, subject)) => Ok(grant(identity, call, client, id, &subject)
            .await?
            .map(|grant| grant.user)),
    }
}

/// The grant of an ID token that names its person by a pairwise subject: this client's own, about the very person that the subject stands for.
pub(super) async fn grant(
    identity: &Identity,
    call: &Call,
    client: &ClientRecord,
    grant: GrantId,
    subject: &str,
) -> Result<Option<GrantRecord>, Failure> {
    let (fabric, tenant) = (&identity.fabric, &call.tenant.name);
    let mut connection = fabric.store().read().await?;
    let found = grants::find(&mut connection, tenant, grant).await?;
    Ok(found.filter(|found| {
        let known =
            SubjectOrder::of(found.user, client).derive(&fabric.keys().pairwise_key(tenant));
        found.client == client.id && known.to_string() == subject
    }))
}

/// How a token names its person.
enum Named {
    /// By a pairwise subject, which says nothing by itself; the grant that the token was made for does.
    Grant(GrantId, String),
    User(UserId),
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
    let subject = claims.text("sub").ok()??;
    match subject.parse() {
        Ok(user) => Some(Named::User(user)),
        Err(_) => {
            let grant = claims.text("grant_id").ok()??.parse().ok()?;
            Some(Named::Grant(grant, subject.to_owned()))
        }
    }
}
