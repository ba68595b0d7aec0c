//! Rules of the Core Rule Set that are left out, with the reason that `countersign check` tells.

/// A range of rules and why they do not run here.
struct Gap {
    from: u32,
    to: u32,
    reason: &'static str,
}

const GAPS: [Gap; 9] = [
    Gap {
        from: 901_350,
        to: 901_350,
        reason: "reads every body as a form; bodies are read as what they say they are",
    },
    Gap {
        from: 901_410,
        to: 901_450,
        reason: "sampling: every request is inspected",
    },
    Gap {
        from: 901_500,
        to: 901_500,
        reason: "checks levels that the configuration sets",
    },
    Gap {
        from: 905_100,
        to: 905_110,
        reason: "lets Apache's own requests past the rules",
    },
    Gap {
        from: 910_000,
        to: 910_999,
        reason: "reputation: needs the network and counts over requests; use `networks`",
    },
    Gap {
        from: 912_000,
        to: 912_999,
        reason: "counts over requests; use `limits`",
    },
    Gap {
        from: 920_410,
        to: 920_410,
        reason: "the size of all files; `body_bytes` bounds them",
    },
    Gap {
        from: 949_100,
        to: 949_100,
        reason: "reputation: counts over requests",
    },
    Gap {
        from: 9_001_000,
        to: 9_006_999,
        reason: "exclusions for one web application; use `exclude`",
    },
];

/// Why a rule is left out, if it is.
pub(super) fn reason(rule: u32) -> Option<&'static str> {
    let gap = GAPS
        .iter()
        .find(|gap| (gap.from..=gap.to).contains(&rule))?;
    Some(gap.reason)
}
