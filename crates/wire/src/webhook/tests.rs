//! One request, changed in one place at a time: what every scheme's tests are written with.

mod properties;

use super::{
    KeyError, KeyText, Looked, OtherSchemes, Receipt, Scheme, Source, SourceError, SourceRules,
    TOLERANCE_DEFAULT, TOLERANCE_MAX, Verified, WebhookRefusal,
};
use crate::HeadView;
use countersign_base::{Duration, Secret, UnixTime};

/// When the requests of these tests are sent.
pub(super) const NOW: UnixTime = UnixTime(1_700_000_000);

/// A request to a source.
pub(super) struct Sent {
    pub(super) source: Source,
    pub(super) fields: Vec<(&'static str, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) now: UnixTime,
    pub(super) path: &'static str,
}

impl Sent {
    pub(super) fn new(
        source: Source,
        fields: impl IntoIterator<Item = (&'static str, String)>,
        body: &[u8],
    ) -> Self {
        Self {
            source,
            fields: fields
                .into_iter()
                .map(|(name, value)| (name, value.into_bytes()))
                .collect(),
            body: body.to_vec(),
            now: NOW,
            path: "/hooks?from=tests",
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Vec<u8>>) -> Self {
        self.fields.retain(|(field, _)| *field != name);
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn without(mut self, name: &'static str) -> Self {
        let before = self.fields.len();
        self.fields.retain(|(field, _)| *field != name);
        assert!(self.fields.len() < before, "no `{name}` to take away");
        self
    }

    pub(super) fn twice(mut self, name: &'static str) -> Self {
        let value = self.value(name).to_owned().into_bytes();
        self.fields.push((name, value));
        self
    }

    pub(super) fn value(&self, name: &str) -> &str {
        let (_, value) = self
            .fields
            .iter()
            .find(|(field, _)| *field == name)
            .unwrap();
        std::str::from_utf8(value).unwrap()
    }

    pub(super) fn body(mut self, body: &[u8]) -> Self {
        assert_ne!(self.body, body);
        self.body = body.to_vec();
        self
    }

    pub(super) fn at(mut self, now: UnixTime) -> Self {
        self.now = now;
        self
    }

    pub(super) fn to(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    pub(super) fn judged(&self) -> Result<Receipt, WebhookRefusal> {
        let looked = self.looked()?;
        self.source.verify(looked, &self.body, self.now)
    }

    /// As [`Sent::judged`], challenges too.
    pub(super) fn heard(&self) -> Result<Verified, WebhookRefusal> {
        let looked = self.looked()?;
        self.source.hear(looked, &self.body, self.now)
    }

    fn looked(&self) -> Result<Looked, WebhookRefusal> {
        let fields: Vec<(&str, &[u8])> = self
            .fields
            .iter()
            .map(|(name, value)| (*name, value.as_slice()))
            .collect();
        let head = HeadView {
            method: "POST",
            scheme: "https",
            authority: "hooks.example.com",
            path_and_query: self.path,
            fields: &fields,
        };
        self.source.look(&head, self.now)
    }

    #[track_caller]
    pub(super) fn accepted(&self) {
        let _receipt = self.receipt();
    }

    #[track_caller]
    pub(super) fn receipt(&self) -> Receipt {
        self.judged().unwrap_or_else(|why| panic!("refused: {why}"))
    }

    #[track_caller]
    pub(super) fn refused(&self, why: WebhookRefusal) {
        assert_eq!(
            self.judged().map(|receipt| receipt.event_id().to_owned()),
            Err(why)
        );
    }
}

pub(super) fn text(key: &str) -> KeyText {
    KeyText {
        id: None,
        text: Secret::new(key.to_owned()),
    }
}

pub(super) fn rules(scheme: Scheme, keys: &[&str]) -> SourceRules {
    SourceRules {
        event_id: scheme.event_id_default(),
        scheme,
        keys: keys.iter().map(|key| text(key)).collect(),
        tolerance: TOLERANCE_DEFAULT,
        others: OtherSchemes::Refused,
    }
}

#[track_caller]
pub(super) fn source(scheme: Scheme, keys: &[&str]) -> Source {
    Source::new(rules(scheme, keys)).unwrap()
}

pub(super) fn moved(seconds: i64) -> UnixTime {
    UnixTime(NOW.0 + seconds)
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn a_source_has_keys_and_a_tolerance() {
    let build = |keys: &[&str], tolerance| {
        let mut rules = rules(Scheme::StandardWebhooks, keys);
        rules.tolerance = tolerance;
        Source::new(rules).map(|source| source.tolerance())
    };
    assert_eq!(build(&[], TOLERANCE_DEFAULT), Err(SourceError::Keys));
    assert_eq!(
        build(&[SECRET; 11], TOLERANCE_DEFAULT),
        Err(SourceError::Keys)
    );
    assert_eq!(build(&[SECRET; 10], TOLERANCE_MAX), Ok(TOLERANCE_MAX));
    assert_eq!(
        build(&[SECRET], Duration::ZERO),
        Err(SourceError::Tolerance)
    );
    assert_eq!(
        build(&[SECRET], TOLERANCE_MAX + Duration::from_secs(1)),
        Err(SourceError::Tolerance)
    );
}

#[test]
fn a_secret_is_used_as_it_stands_so_white_space_around_it_is_an_error() {
    for (key, error) in [
        ("", KeyError::Empty),
        ("secret\n", KeyError::Space),
        (" secret", KeyError::Space),
    ] {
        let refused = Source::new(rules(Scheme::GitHub, &["secret", key])).map(|_| ());
        assert_eq!(refused, Err(SourceError::Key { number: 2, error }));
    }
}

#[test]
fn an_error_in_a_key_says_which_one_and_what_to_do() {
    let error = Source::new(rules(
        Scheme::StandardWebhooks,
        &[SECRET, "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    ))
    .map(|_| ())
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "key 2: the secret begins with `v1,`, which is no part of it: leave that away, so that it begins with `whsec_`, `whsk_` or `whpk_`"
    );
}

#[test]
fn every_scheme_without_rules_is_found_by_its_name() {
    for name in [
        "github",
        "shopify",
        "slack",
        "standard-webhooks",
        "stripe",
        "svix",
    ] {
        assert_eq!(Scheme::from_name(name).unwrap().name(), name);
    }
    assert_eq!(Scheme::from_name("GitHub"), None);
}

#[test]
fn every_refusal_has_one_name() {
    let names: std::collections::BTreeSet<_> =
        WebhookRefusal::ALL.iter().map(|why| why.as_str()).collect();
    assert_eq!(names.len(), WebhookRefusal::ALL.len());
    assert_eq!(names.len(), 22);
}
