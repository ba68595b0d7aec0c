//! What other gateways and services ask the decision point: one question, a batch, searches, and the `input` of an OPA client. What is read is described by
//! the schema without a panic, and never in another tenant than the caller's.

use crate::{Target, Verdict};
use countersign_base::Tenant;
use countersign_policy::authzen::{
    Batch, Described, EVALUATIONS_MAX, Evaluation, PAGE_MAX, Search, Sought, input,
};
use countersign_policy::{PolicySet, defaults};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[Target {
    name: "access-request",
    about: "a question to the decision point: AuthZEN, OPA",
    run: request,
    words: WORDS,
}];

/// Fragments of questions.
pub(crate) const WORDS: &[&str] = &[
    "\"subject\":",
    "\"action\":",
    "\"resource\":",
    "\"context\":{}",
    "\"properties\":",
    "\"evaluations\":[]",
    "\"options\":{\"evaluations_semantic\":\"deny_on_first_deny\"}",
    "\"page\":{\"limit\":1}",
    "\"type\":\"route\"",
    "\"tenant\":\"other\"",
    "\"roles\":[\"administrator\"]",
    "\"input\":",
    "\"id\":",
    "null",
];

static POLICIES: LazyLock<Option<PolicySet>> =
    LazyLock::new(|| PolicySet::load(defaults::SCHEMA, &defaults::POLICIES).ok());

pub(crate) fn request(bytes: &[u8]) -> Verdict {
    let one = Evaluation::parse(bytes);
    if let Ok(evaluation) = &one {
        look(evaluation);
    }
    let batch = Batch::parse(bytes);
    if let Ok(Batch::Many(_, questions)) = &batch {
        assert!(questions.len() <= EVALUATIONS_MAX, "a batch is bounded");
        questions.iter().flatten().for_each(look);
    }
    let mut verdict = Verdict::of(&one).or(Verdict::of(&batch));
    for sought in [Sought::Subject, Sought::Resource, Sought::Action] {
        let search = Search::parse(sought, bytes);
        if let Ok(search) = &search {
            assert!((1..=PAGE_MAX).contains(&search.limit), "a page is bounded");
        }
        verdict = verdict.or(Verdict::of(&search));
    }
    match input(bytes) {
        Ok(Some(input)) => verdict.or(Verdict::of(&Evaluation::of(&input))),
        Ok(None) | Err(_) => verdict,
    }
}

fn look(evaluation: &Evaluation) {
    let Some(policies) = &*POLICIES else {
        return;
    };
    describe(policies, &evaluation.subject);
    describe(policies, &evaluation.resource);
    let own = BTreeMap::from([("time".to_owned(), 7_i64.into())]);
    if let Ok(context) = policies.context(&evaluation.action, &evaluation.context, &own)
        && let Some(time) = context.get("time")
    {
        assert!(*time == 7_i64.into(), "the time is ours");
    }
}

fn describe(policies: &PolicySet, described: &Described) {
    let here = Tenant::default_tenant();
    let mut elsewhere = described.clone();
    elsewhere
        .properties
        .insert("tenant".to_owned(), "other".into());
    let (one, other) = (
        policies.describe(described, &here),
        policies.describe(&elsewhere, &here),
    );
    assert!(one == other, "nobody says of which tenant something is");
}
