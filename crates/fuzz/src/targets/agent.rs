//! Templates of the agent.

use crate::{Target, Verdict};
use countersign_agent::{Answer, Template};

/// The targets of this file.
pub(super) const TARGETS: &[Target] = &[Target {
    name: "agent-template",
    about: "a template of the agent",
    run: template,
    words: WORDS,
}];

/// Pieces of templates.
pub(crate) const WORDS: &[&str] = &[
    "{{",
    "}}",
    "secret",
    "issue",
    "\"secret/data/app\"",
    "\"x\"",
    "common_name=",
    "|",
    "env",
    "json",
    "toml",
    "base64",
    "base64_decode",
    "\\\"",
    "\\\\",
];

/// One secret for everything that is asked for.
const ANSWER: &[u8] = br#"{"data":{"x":"a\"$\\`\n","username":"u","password":"p","certificate":"c","private_key":"k","y":"AAEC"}}"#;

pub(crate) fn template(input: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(input) else {
        return Verdict::Refused;
    };
    let parsed = Template::parse(text);
    match &parsed {
        Ok(template) => {
            for request in template.requests() {
                let path = request.path();
                assert!(
                    !path.starts_with("sys/") && !path.starts_with("auth/"),
                    "secrets alone"
                );
                assert!(
                    !path.split('/').any(|part| matches!(part, "" | "." | "..")),
                    "no way up"
                );
            }
            if let Ok(answer) = Answer::parse(ANSWER) {
                let _ = template.render(|_| Some(&answer));
            }
        }
        Err(error) => assert!(
            (1..=text.split('\n').count()).contains(&error.line()),
            "a line of the template"
        ),
    }
    Verdict::of(&parsed)
}
