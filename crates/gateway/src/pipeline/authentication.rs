//! Who sent a request: the credential that it shows, the proof that the credential demands, and the one-time values that go with it.

use super::{Flow, Step};
use crate::answer::Denial;
use crate::canonical::CanonicalTarget;
use crate::planes::Planes;
use crate::request::Caller;
use crate::routes::Matched;
use crate::verdicts::Key as VerdictKey;
use countersign_authn::{
    Demand, Found, NoncePolicy, Proven, ResourceRequest, Subject, TokenDemand, demand, prove,
};
use countersign_base::Conditional;
use countersign_net::Connection;
use std::sync::Arc;

impl<P: Planes> Flow<'_, P> {
    /// Who sent it: the credential, what it demands, the proof, and its one-time values.
    pub(super) async fn authenticate(
        &self,
        connection: &Connection,
        head: &http::request::Parts,
        target: &CanonicalTarget,
        matched: &Matched,
    ) -> Step<Caller> {
        let target_uri = target.target_uri();
        let request = ResourceRequest {
            method: target.method(),
            target_uri: &target_uri,
            query: target.query(),
            headers: &head.headers,
            peer: match &connection.peer {
                Conditional::Absent(reason) => Conditional::Absent(*reason),
                Conditional::Present(certificate) => Conditional::Present(certificate),
            },
            remote: Some(connection.remote.ip()),
        };
        if let Some(session) = &matched.route.session {
            let caller = self.by_session(session, head, target, matched, &request);
            if let Some(caller) = Box::pin(caller).await? {
                return Ok(caller);
            }
        }
        let token = match demand(&request, &matched.route.rules).map_err(Denial::Credential)? {
            Demand::Anonymous(reason) => return Ok(Caller::Anonymous(reason)),
            Demand::Token(token) => token,
        };
        let subject = self.prove(token).await?;
        let held = subject
            .require_scopes(&matched.operation().scopes)
            .map_err(Denial::Credential)?;
        Ok(Caller::Subject(subject, held))
    }

    /// Judges a token with a verdict that is known, or a key that is fetched, and spends its one-time values.
    pub(super) async fn prove(&self, token: TokenDemand) -> Step<Subject> {
        let (planes, verdicts) = (self.core.planes(), self.core.verdicts());
        let key = VerdictKey::of(&token, planes, self.now);
        let nonces = planes.nonces().policy(self.now);
        let Proven { subject, .. } = match verdicts.verified(&key) {
            Some(verdict) => prove(
                token,
                Found::Verdict(verdict),
                planes.revocations(),
                nonces,
                self.now,
            )
            .map_err(Denial::Credential)?,
            None => Box::pin(self.prove_anew(token, key, nonces)).await?,
        };
        let spent = planes.replay().spend_replay(subject, self.now);
        Ok(spent.map_err(|replayed| Denial::Credential(replayed.into()))?)
    }

    async fn prove_anew(
        &self,
        token: TokenDemand,
        key: VerdictKey,
        nonces: NoncePolicy<'_>,
    ) -> Step<Proven> {
        let (planes, verdicts) = (self.core.planes(), self.core.verdicts());
        if let Some(refusal) = verdicts.refused(&key) {
            return Err(Denial::Credential(refusal).into());
        }
        let found = match token.opaque() {
            Some(opaque) => Found::Stored(planes.stored(opaque, token.issuers()).await),
            None => {
                let needed = token.key().map_err(Denial::Credential)?;
                let answer = planes.key(&needed, self.now).await;
                Found::Key(needed, answer)
            }
        };
        match prove(token, found, planes.revocations(), nonces, self.now) {
            Ok(proven) => {
                verdicts.keep_verified(key, Arc::clone(&proven.verdict));
                Ok(proven)
            }
            Err(refusal) => {
                verdicts.keep_refused(key, &refusal);
                Err(Denial::Credential(refusal).into())
            }
        }
    }
}
