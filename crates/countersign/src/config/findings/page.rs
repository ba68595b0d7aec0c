//! `docs/common-mistakes.md`, made of the registry. A test holds the file to it.

use super::{Acceptance, MISTAKES, Mistake};

/// Where the page is, for whoever reads a finding.
pub(crate) const PAGE: &str = "docs/common-mistakes.md";

const HEAD: &str = "# Common mistakes

`countersign check DIR` finds these in a configuration, each with its line, and says what to do. It ends with 0 if nothing bad is left, with 1 if a `high` one is there without a reason, and with 2 if the configuration is
refused. `--json` gives the same to machines: `findings` and `accepted`, each with `mistake`, `severity`, `subject`, `file`, `line`, `wrong`, `why`, `mend` and `because`.

What is right here although it is mostly wrong gets a reason, which `check` prints with it:

```toml
[[accepted]]
mistake = \"static-secret\"
of = \"client batch\"                      # as `check` prints it
because = \"the vendor's program can do nothing else; the secret changes each month\"
```

Some are never right, and a reason that nothing needs any more is a mistake itself. What no configuration should say at all is refused and not listed here: a secret in the configuration itself, `*` as an origin of pages, access tokens of more than an
hour, plain HTTP to an upstream or of the metrics beyond loopback, the grants `password` and `implicit`, a route that trusts every audience.

";

const FOOT: &str = "\nThis page is made of the registry in `crates/countersign/src/config/findings.rs`; a test holds it to that.\n";

/// The page.
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the test that holds the page to it calls it")
)]
pub(super) fn page() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("| mistake | severity | what is wrong |\n|---|---|---|\n");
    for mistake in MISTAKES {
        text.push_str(&format!(
            "| [`{0}`](#{0}) | {1} | {2} |\n",
            mistake.id,
            mistake.severity.as_str(),
            mistake.wrong
        ));
    }
    for mistake in MISTAKES {
        text.push_str(&entry(mistake));
    }
    text.push_str(FOOT);
    text
}

fn entry(mistake: &Mistake) -> String {
    let acceptance = match mistake.acceptance {
        Acceptance::ByReason => "A reason can make it right.",
        Acceptance::Never => "No reason makes it right.",
    };
    let (before, wrong) = (mistake.example.before, mistake.example.wrong);
    let right = mistake.example.right;
    let shown = |lines: &str, otherwise: &str| {
        let lines = lines.trim();
        if lines.is_empty() {
            format!("# {otherwise}\n")
        } else {
            format!("{lines}\n")
        }
    };
    format!(
        "\n## {}\n\n{}. {} Severity: {}. {acceptance}\n\nTo mend it, {}.\n\n```toml\n{before}{}\n# instead:\n{}```\n",
        mistake.id,
        mistake.wrong,
        mistake.why,
        mistake.severity.as_str(),
        mistake.mend,
        shown(wrong, "and nothing else"),
        shown(right, "leave it out"),
    )
}
