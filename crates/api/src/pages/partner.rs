//! The partner's pages: where webhooks go, what became of them, and what can be done about it.
//!
//! Whatever a page shows comes from elsewhere: addresses and descriptions of administrators, event types and payloads of services, reasons of the dispatcher. Templates escape all of it.

pub(crate) use super::account::{Moment, Note};

use askama::Template;

/// The frame of a page.
pub(crate) struct PartnerFrame {
    /// Who is signed in.
    pub(crate) username: String,
    /// The pages that lead here, the first one first.
    pub(crate) trail: Vec<Crumb>,
    /// Where changes are sent.
    pub(crate) action: String,
    /// Where the person's account is.
    pub(crate) account: String,
    /// Where signing out begins.
    pub(crate) sign_out: String,
    /// What became of the last change.
    pub(crate) note: Option<Note>,
}

/// A page that leads to this one.
pub(crate) struct Crumb {
    pub(crate) label: String,
    pub(crate) path: String,
}

/// Whether something is well, as a badge shows it: always with its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Badge {
    pub(crate) word: &'static str,
    /// Of the style sheet.
    pub(crate) class: &'static str,
}

impl Badge {
    pub(crate) const fn good(word: &'static str) -> Self {
        Self {
            word,
            class: "badge",
        }
    }

    pub(crate) const fn quiet(word: &'static str) -> Self {
        Self {
            word,
            class: "badge off",
        }
    }

    pub(crate) const fn bad(word: &'static str) -> Self {
        Self {
            word,
            class: "badge bad",
        }
    }
}

/// The endpoints of a partner.
#[derive(Template)]
#[template(path = "partner/endpoints.html")]
pub(crate) struct EndpointsPage {
    pub(crate) frame: PartnerFrame,
    pub(crate) partner: String,
    pub(crate) endpoints: Vec<EndpointCard>,
    /// Where the next page is.
    pub(crate) next: Option<String>,
}

/// One of them.
pub(crate) struct EndpointCard {
    pub(crate) url: String,
    pub(crate) description: Option<String>,
    pub(crate) path: String,
    pub(crate) badge: Badge,
    /// Why nothing goes there.
    pub(crate) hindrance: Option<String>,
    pub(crate) events: Vec<String>,
    pub(crate) health: Health,
    /// Tells its heading from those of the others.
    pub(crate) number: usize,
}

/// What became of the last deliveries.
pub(crate) struct Health {
    /// One a delivery, the oldest first: a class of the style sheet.
    pub(crate) strip: Vec<&'static str>,
    /// How many of each, in words.
    pub(crate) words: String,
    /// When the newest of them arrived.
    pub(crate) last: Option<Moment>,
}

/// One endpoint.
#[derive(Template)]
#[template(path = "partner/endpoint.html")]
pub(crate) struct EndpointPage {
    pub(crate) frame: PartnerFrame,
    pub(crate) host: String,
    pub(crate) url: String,
    pub(crate) description: Option<String>,
    pub(crate) badge: Badge,
    pub(crate) hindrance: Option<String>,
    pub(crate) events: Vec<String>,
    /// How it is served, as name and words.
    pub(crate) facts: Vec<(&'static str, String)>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) deliveries: Vec<DeliveryRow>,
    /// Where the next page is.
    pub(crate) next: Option<String>,
    pub(crate) secrets: Vec<SecretRow>,
    pub(crate) can: EndpointActions,
}

/// Tickets of what the person may do about an endpoint.
#[derive(Default)]
pub(crate) struct EndpointActions {
    pub(crate) disable: Option<String>,
    pub(crate) enable: Option<String>,
    pub(crate) replay: Option<String>,
    pub(crate) rotate: Option<String>,
    pub(crate) test: Option<String>,
}

/// A way to look at the deliveries.
pub(crate) struct Filter {
    pub(crate) label: &'static str,
    pub(crate) path: String,
    pub(crate) is_current: bool,
}

/// A delivery in a list.
pub(crate) struct DeliveryRow {
    pub(crate) event_type: String,
    pub(crate) message: String,
    pub(crate) path: String,
    pub(crate) badge: Badge,
    pub(crate) accepted: Moment,
    /// What is to be known of it at once.
    pub(crate) words: String,
}

/// That there is a secret.
pub(crate) struct SecretRow {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) created: Moment,
    pub(crate) ends: Option<Moment>,
}

/// One delivery.
#[derive(Template)]
#[template(path = "partner/delivery.html")]
pub(crate) struct DeliveryPage {
    pub(crate) frame: PartnerFrame,
    pub(crate) event_type: String,
    pub(crate) version: String,
    pub(crate) message: String,
    pub(crate) url: String,
    pub(crate) badge: Badge,
    pub(crate) words: String,
    pub(crate) accepted: Moment,
    pub(crate) ended: Option<Moment>,
    pub(crate) due: Option<Moment>,
    pub(crate) attempts: Vec<AttemptRow>,
    /// Attempts before those of the list.
    pub(crate) earlier: u32,
    pub(crate) payload: Payload,
    /// This very page.
    pub(crate) here: String,
    pub(crate) resend: Option<String>,
}

/// One attempt.
pub(crate) struct AttemptRow {
    pub(crate) at: Moment,
    pub(crate) badge: Badge,
    /// The status that was answered, if something was.
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<String>,
    pub(crate) took: String,
}

/// What a delivery says, as far as it is shown.
pub(crate) enum Payload {
    /// It is not kept any more.
    Gone,
    /// Its shape.
    Masked {
        text: String,
        /// Whether there is more of it than is shown.
        cut: Cut,
    },
    /// The endpoint is told ids alone.
    Thin,
}

/// Whether all of something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    No,
    Yes,
}

impl Cut {
    pub(crate) fn is_cut(&self) -> bool {
        *self == Self::Yes
    }
}

/// Shows a new secret, this once.
#[derive(Template)]
#[template(path = "partner/secret.html")]
pub(crate) struct SecretPage {
    pub(crate) frame: PartnerFrame,
    pub(crate) url: String,
    /// `whsec_…`, or `whpk_…`.
    pub(crate) secret: String,
    pub(crate) kind: &'static str,
    /// Until when what was before it signs as well; at once it does not.
    pub(crate) others_end: Option<Moment>,
    pub(crate) back: String,
}

/// Why an attempt failed, in words. A reason that has none is shown as it is.
pub(crate) fn reason_in_words(reason: &str) -> &str {
    match reason {
        "address_forbidden" => "the address may not be reached from here",
        "connect_failed" => "no connection could be made",
        "connections_busy" => "every connection was in use",
        "exchange_broken" => "the connection broke off",
        "gone" => "the receiver says that it is gone for good",
        "host_unknown" => "the host has no address",
        "message_missing" => "the message is not kept any more",
        "redirect" => "a redirect, which is never followed",
        "secret_missing" => "there is no secret to sign with",
        "status" => "not a status of 200 to 299",
        "throttled" => "the receiver asks for less at a time",
        "timeout" => "no answer in time",
        "url" => "the address cannot be used",
        other => other,
    }
}

#[cfg(test)]
mod tests;
