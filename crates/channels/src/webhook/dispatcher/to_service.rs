//! Bringing what came in to a service of this installation: its addresses take turns, and where nothing could be sent to one, the next is tried within the same attempt.
//!
//! Once something was sent, nothing else is tried: whether it arrived is not known, and the next attempt says the same under the same key.
//!
//! Not here: when it is tried again, and whether an address is well. A service that fails as a whole rests as every endpoint does.

use super::outgoing::Outgoing;
use super::trust::Service;
use countersign_net::{Answer, DeliveryError, DeliveryPool, Receiver, Refused, Unanswered};
use countersign_wire::webhook::standard::SigningSecret;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A service of this installation.
pub(super) struct ToService {
    pool: DeliveryPool,
    service: Service,
    /// Whose turn it is.
    turn: AtomicUsize,
}

impl ToService {
    pub(super) fn new(pool: &DeliveryPool, service: &Service) -> Self {
        Self {
            pool: pool.clone(),
            service: service.clone(),
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn media_type(&self) -> &str {
        &self.service.media_type
    }

    pub(super) fn signing(&self) -> &[SigningSecret] {
        &self.service.signing
    }

    /// Sends it to the address whose turn it is, or to the first one after it that anything can be sent to.
    pub(super) async fn send(&self, outgoing: &Outgoing) -> Result<Answer, DeliveryError> {
        let addresses = 1 + self.service.also.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % addresses;
        let mut answered = self.send_to(first, outgoing).await;
        for further in 1..addresses {
            match &answered {
                Err(error) if was_not_sent(error) => {}
                Ok(_) | Err(_) => break,
            }
            answered = self.send_to((first + further) % addresses, outgoing).await;
        }
        answered
    }

    async fn send_to(&self, number: usize, outgoing: &Outgoing) -> Result<Answer, DeliveryError> {
        let further = number.checked_sub(1);
        let further = further.and_then(|number| self.service.also.get(number));
        let receiver: &Receiver = further.unwrap_or(&self.service.receiver);
        let (headers, body) = (outgoing.headers.clone(), outgoing.body.clone());
        self.pool.send(receiver, headers, body).await
    }
}

/// Whether nothing of the request can have arrived.
const fn was_not_sent(error: &DeliveryError) -> bool {
    match error {
        DeliveryError::Busy
        | DeliveryError::Refused(Refused::Forbidden(_) | Refused::Url)
        | DeliveryError::Unanswered(Unanswered::Connect(_) | Unanswered::Host(_)) => true,
        DeliveryError::Unanswered(Unanswered::Broken(_) | Unanswered::Timeout) => false,
    }
}

#[cfg(test)]
mod tests;
