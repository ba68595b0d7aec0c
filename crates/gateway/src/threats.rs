//! What the gateway does about attacks that a credential does not stop: where requests come from, what software sends them, what they carry. Each is off
//! until a route asks for it, and a route without any costs one look at an `Option`.

pub mod bots;
pub mod geography;
pub mod network;
pub mod waf;
pub mod work;

use bots::signals;
use countersign_net::Connection;
use countersign_policy::Value;
use countersign_policy::obligation::WorkBits;
use geography::{Geography, Place};
use http::HeaderMap;
use network::{NetworkRefusal, NetworkRules};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use waf::{Outcome, Screen, Screened, WafRefusal};
use work::{WorkRefusal, WorkSet};

/// What one route does. What it asks for must be there: configuration is refused otherwise.
#[derive(Default)]
pub struct RouteThreats {
    /// Addresses and places that may call, or may not.
    pub network: Option<NetworkRules>,
    /// Where addresses are; rules about places need it, and attributes for policies.
    pub geography: Option<Arc<Geography>>,
    /// Whether policies see the fingerprint of the caller's TLS and what does not fit together in what it says of itself.
    pub software: Software,
    /// The firewall.
    pub waf: Option<Screen>,
    /// Whether a policy's challenge is posed here, and with which routes proofs are shared; a policy that asks for one denies elsewhere.
    pub work: Option<WorkSet>,
}

/// Whether the caller's software is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Software {
    /// `context.ja4` and `context.bot_signals`.
    Seen,
    /// Nobody asks.
    #[default]
    Unseen,
}

impl RouteThreats {
    /// Whether it does anything.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.network.is_some()
            || self.geography.is_some()
            || self.software == Software::Seen
            || self.waf.is_some()
            || self.work.is_some()
    }

    /// Whether requests from this address may come, as far as its network and place say.
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let geography = self.geography.as_ref();
        let place = geography.map(|geography| geography.find(address));
        let rules = self.network.as_ref();
        rules.is_none_or(|rules| rules.admit(address, place.as_ref()).is_ok())
    }

    /// Where a request comes from and what sends it.
    pub(crate) fn look(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
    ) -> Result<Signals, ThreatRefusal> {
        let address = connection.remote.ip().to_canonical();
        let place = self
            .geography
            .as_ref()
            .map(|geography| geography.find(address));
        if let Some(rules) = &self.network {
            rules
                .admit(address, place.as_ref())
                .map_err(ThreatRefusal::Network)?;
        }
        let mut found = Signals {
            place,
            ..Signals::default()
        };
        if self.software == Software::Seen {
            found.ja4 = connection.ja4.as_ref().map(|ja4| ja4.as_str().to_owned());
            found.bots = Some(signals(headers));
        }
        Ok(found)
    }
}

/// What was found out about a request, for policies and the record.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    place: Option<Place>,
    ja4: Option<String>,
    bots: Option<Vec<&'static str>>,
    waf: Option<(String, Screened)>,
    work: Option<WorkBits>,
}

impl Signals {
    /// Notes how much work the caller showed.
    pub(crate) fn worked(&mut self, shown: Option<WorkBits>) {
        self.work = shown;
    }

    /// Notes what a firewall found.
    pub(crate) fn screened(&mut self, waf: &str, screened: Screened) {
        self.waf = Some((waf.to_owned(), screened));
    }

    /// Adds the attributes that policies see.
    pub(crate) fn write(&self, context: &mut BTreeMap<String, Value>) {
        let mut put = |name: &str, value: Value| _ = context.insert(name.to_owned(), value);
        if let Some(place) = &self.place {
            put("country", place.country_or_unknown().into());
            if let Some(asn) = place.asn {
                put("asn", i64::from(asn).into());
            }
        }
        if let Some(ja4) = &self.ja4 {
            put("ja4", ja4.as_str().into());
        }
        if let Some(bots) = &self.bots {
            put("bot_signals", Value::strings(bots.iter().copied()));
        }
        if let Some((_, screened)) = &self.waf {
            put("waf_score", i64::from(screened.findings().score).into());
        }
        if let Some(bits) = self.work {
            put("proof_of_work", i64::from(bits.get()).into());
        }
    }

    /// What the record of the decision says: fingerprint, signals, and what a firewall found, never in what.
    pub(crate) fn detail(&self) -> Option<String> {
        let mut text = String::new();
        if let Some((waf, screened)) = &self.waf
            && (screened.outcome() != Outcome::Passed || !screened.findings().rules.is_empty())
        {
            text = waf_detail(waf, screened.outcome(), screened.findings());
        }
        if let Some(ja4) = &self.ja4 {
            // Writing into a String can't fail.
            let _ = write!(text, "{}ja4 {ja4}", separator(&text));
        }
        if let Some(bots) = self.bots.as_ref().filter(|bots| !bots.is_empty()) {
            let _ = write!(text, "{}signals {}", separator(&text), bots.join(" "));
        }
        if let Some(bits) = self.work {
            let _ = write!(text, "{}proof of work {}", separator(&text), bits.get());
        }
        (!text.is_empty()).then_some(text)
    }
}

const fn separator(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "; " }
}

/// Why a request may not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThreatRefusal {
    /// Where it comes from.
    Network(NetworkRefusal),
    /// What it carries.
    Waf {
        /// The firewall's name.
        waf: String,
        /// What it found.
        refusal: WafRefusal,
    },
    /// An answer to a challenge.
    Work(WorkRefusal),
}

impl ThreatRefusal {
    /// The reason as records name it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Network(refusal) => refusal.code(),
            Self::Waf { refusal, .. } => refusal.outcome.code(),
            Self::Work(refusal) => refusal.code(),
        }
    }

    pub(crate) fn detail(&self) -> Option<String> {
        match self {
            Self::Network(_) | Self::Work(_) => None,
            Self::Waf { waf, refusal } => Some(waf_detail(waf, refusal.outcome, &refusal.findings)),
        }
    }
}

impl fmt::Display for ThreatRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// `crs waf_blocked score 15 rules 942100 942190`.
fn waf_detail(waf: &str, outcome: Outcome, findings: &waf::Findings) -> String {
    let mut text = format!("{waf} {} score {}", outcome.code(), findings.score);
    if !findings.rules.is_empty() {
        text.push_str(" rules");
    }
    for rule in &findings.rules {
        let _ = write!(text, " {rule}");
    }
    text
}
