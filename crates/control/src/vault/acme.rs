//! Looks at `http-01` challenges of ACME (RFC 8555 §8.3), through the guard for addresses that somebody else named.
//!
//! Port 80 of the name that is to be proven, plain HTTP, no redirect; public addresses, and the networks that the mount lists. What the operator excepted for
//! other things is not excepted here: whoever orders a certificate chooses the name.

use countersign_net::{GuardedClient, Prefix};
use countersign_vault::answer::HttpChallenge;
use countersign_vault::work::EffectResult;

/// Whether the host answers as it has to.
pub(super) async fn look(outside: &GuardedClient, challenge: &HttpChallenge) -> EffectResult {
    let networks: Result<Vec<Prefix>, _> = challenge
        .networks
        .iter()
        .map(|network| network.parse())
        .collect();
    let Ok(networks) = networks else {
        return EffectResult::Failed("a network of the mount cannot be read".to_owned());
    };
    let answer = outside.fetch_plain(&challenge.host, &challenge.path, &networks);
    match answer.await {
        Ok(body) if body.trim_ascii_end() == challenge.expected.as_bytes() => EffectResult::Done,
        Ok(_) => EffectResult::Failed("the answer is not the key authorization".to_owned()),
        Err(error) => {
            tracing::info!(event = "acme_challenge_failed", reason = error.reason());
            EffectResult::Failed(error.reason().to_owned())
        }
    }
}

#[cfg(test)]
mod tests;
