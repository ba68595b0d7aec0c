//! Who may call what is dangerous: a short list of files for each name, and nobody else.
//!
//! The check is textual and errs towards refusing: any mention of a listed name in production code, also in a `use`, counts as a call.

use super::Check;
use crate::tree::{self, SourceFile};
use crate::verb::Problem;

/// The check.
pub(crate) const CHECK: Check = Check {
    name: "callers",
    findings,
};

/// How a dangerous name is recognised.
enum Mark {
    /// As a whole word anywhere in the code of a line.
    Word(&'static str),
    /// As a method call, `.name(`.
    Method(&'static str),
    /// As a path, `Type::function`.
    Path(&'static str),
}

/// A dangerous name and who may use it.
struct Guarded {
    mark: Mark,
    why: &'static str,
    /// Files, or folders ending in `/`, relative to the root.
    allowed: &'static [&'static str],
}

const GUARDED: &[Guarded] = &[
    Guarded {
        mark: Mark::Word("danger"),
        why: "takes evidence apart or makes it up; only the step that owns the next check may",
        allowed: &[
            "crates/authn/src/",
            "crates/policy/src/",
            // The gateway of this process acts as the client that a route's configuration names.
            "crates/control/src/exchange.rs",
            "crates/store/src/record.rs",
            "crates/store/src/replay.rs",
            "crates/store/src/issue.rs",
            "crates/store/src/spend.rs",
            // What lies under the keyed hash of an opaque token is that token's.
            "crates/store/src/tables/access_tokens.rs",
            // And under the id and the keyed hash of an API key that key's.
            "crates/store/src/tables/api_keys.rs",
            // The evidence of messages between partners stands in a module of that name.
            "crates/wire/src/message.rs",
            "crates/wire/src/message/unspent.rs",
            // Which messages the command line took, in a file.
            "crates/countersign/src/verb/message/seen.rs",
            // rustls keeps the traits of its certificate verifiers in a module of that name.
            "crates/net/src/tls.rs",
            "crates/net/src/tls/pins.rs",
        ],
    },
    Guarded {
        mark: Mark::Word("danger_unspent"),
        why: "looks at a message that may be a replay; only to decide about it before it is spent",
        allowed: &[
            "crates/wire/src/message/unspent.rs",
            "crates/gateway/src/pipeline/messages.rs",
        ],
    },
    Guarded {
        mark: Mark::Word("danger_unverified_claims"),
        why: "reads claims before the signature is checked; only to learn whose key is due",
        allowed: &[
            "crates/authn/src/",
            "crates/crypto/src/jose/",
            "crates/crypto/src/jose.rs",
        ],
    },
    Guarded {
        mark: Mark::Method("sign"),
        why: "a signature is the product's word; only minting and the log's checkpoints give it",
        allowed: &[
            "crates/crypto/src/",
            "crates/audit/src/",
            // Policy bundles, by an operator's own key at the command line.
            "crates/policy/src/bundle.rs",
            "crates/store/src/audit/sequencer.rs",
            // By a caller's own key, of another type: its owner's word and not the product's.
            "crates/vault/src/transit/sign.rs",
            // What goes out to a receiver, by its endpoint's own key, which signs nothing else.
            "crates/wire/src/signature_key/signing.rs",
        ],
    },
    Guarded {
        mark: Mark::Word("sign_jwt"),
        why: "a signed token is the product's word; only minting gives it, and a client for its own proofs",
        allowed: &[
            "crates/crypto/src/",
            "crates/control/src/mint.rs",
            "crates/control/src/mint/",
            // The exercise plays the client's part: its own assertions and proofs of possession.
            "crates/countersign/src/demo/",
            // The command line's own proofs, by the key of `admin.json`.
            "crates/control/src/administrator.rs",
            // Our own assertions at the identity providers that we sign people in by.
            "crates/control/src/upstream.rs",
            // Receipts of partners' messages, of evidence that the message was verified.
            "crates/wire/src/message/receipt.rs",
        ],
    },
    Guarded {
        mark: Mark::Word("sign_content"),
        why: "signs any content; only a message between partners is one, with its statements about both",
        allowed: &["crates/crypto/src/", "crates/wire/src/message/outgoing.rs"],
    },
    Guarded {
        mark: Mark::Path("TcpStream::connect"),
        why: "what opens a connection passes the egress guard, which judges every address first",
        allowed: &[
            "crates/net/src/egress.rs",
            // The operator's own upstreams, and nobody else's.
            "crates/gateway/src/upstream/pool.rs",
        ],
    },
    Guarded {
        mark: Mark::Word("TcpSocket"),
        why: "what opens a connection passes the egress guard, which judges every address first",
        allowed: &[],
    },
    Guarded {
        mark: Mark::Word("lookup_host"),
        why: "a name is looked up once, by the egress guard, and what is connected to is what it judged",
        allowed: &["crates/net/src/egress.rs"],
    },
    Guarded {
        mark: Mark::Path("HttpClient::new"),
        why: "reaches what an operator named; what somebody else named is fetched by the guarded client",
        allowed: &[
            // The collector of traces.
            "crates/control/src/traces/export.rs",
            // Sources of attributes, by the address in the configuration.
            "crates/gateway/src/attributes.rs",
            // The control API, asked by the command line.
            "crates/countersign/src/verb/control.rs",
            // The vault, by the address in the agent's own configuration.
            "crates/countersign/src/agent/vault.rs",
            // The practice exercise plays its own callers.
            "crates/countersign/src/demo/",
            // Keys of a trusted issuer, and a provider of identities: by the address in the configuration.
            "crates/countersign/src/run/foreign.rs",
            "crates/countersign/src/run/identity_providers.rs",
            // The tenant's own issuer, by its address in the configuration.
            "crates/countersign/src/run/browser_sessions.rs",
        ],
    },
    Guarded {
        mark: Mark::Path("GuardedClient::new"),
        why: "there is one guarded client, made of `[egress]`",
        allowed: &["crates/countersign/src/run/egress.rs"],
    },
    Guarded {
        mark: Mark::Path("DeliveryPool::new"),
        why: "there is one pool for receivers that somebody else named and one for the operator's services, both made of the configuration",
        allowed: &["crates/countersign/src/run/egress.rs"],
    },
    Guarded {
        mark: Mark::Path("EgressPolicy::public_only"),
        why: "says what may be reached beyond public addresses; each maker of a policy has its purpose here",
        allowed: &[
            "crates/net/src/egress.rs",
            "crates/control/src/traces/export.rs",
            "crates/gateway/src/attributes.rs",
            "crates/countersign/src/agent/vault.rs",
            "crates/countersign/src/verb/control.rs",
            "crates/countersign/src/demo/",
            "crates/countersign/src/run/egress.rs",
            "crates/countersign/src/run/foreign.rs",
            "crates/countersign/src/run/identity_providers.rs",
            "crates/countersign/src/run/browser_sessions.rs",
        ],
    },
];

/// Crates whose code is never part of what is shipped.
const TOOLS: &[&str] = &[
    "crates/bench/",
    "crates/fuzz/",
    "crates/testkit/",
    "crates/xtask/",
];

fn findings() -> Result<Vec<String>, Problem> {
    let files = tree::rust_files()?;
    let shipped = files
        .iter()
        .filter(|file| !file.is_test() && !TOOLS.iter().any(|tool| file.path.starts_with(tool)));
    Ok(shipped.flat_map(of_file).collect())
}

fn of_file(file: &SourceFile) -> Vec<String> {
    let mut findings = Vec::new();
    for guarded in GUARDED {
        if guarded.allowed.iter().any(|allowed| {
            file.path == *allowed || (allowed.ends_with('/') && file.path.starts_with(allowed))
        }) {
            continue;
        }
        for (number, line) in file.production_lines() {
            if let Some(name) = guarded.mark.found_in(tree::code_of(line)) {
                findings.push(format!(
                    "{}:{number}: may not use `{name}`: {}",
                    file.path, guarded.why
                ));
            }
        }
    }
    findings
}

impl Mark {
    fn found_in(&self, code: &str) -> Option<&'static str> {
        match self {
            Self::Method(name) => code.contains(&format!(".{name}(")).then_some(*name),
            Self::Path(name) => code.contains(name).then_some(*name),
            Self::Word(name) => tree::words(code).any(|word| word == *name).then_some(*name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::of_file;
    use crate::tree::SourceFile;

    fn findings(path: &str, text: &str) -> usize {
        of_file(&SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        })
        .len()
    }

    #[test]
    fn a_stranger_may_not_sign_or_unwrap_evidence() {
        assert_eq!(
            findings("crates/api/src/x.rs", "let s = key.sign(&bytes);\n"),
            1
        );
        assert_eq!(
            findings(
                "crates/api/src/x.rs",
                "use countersign_authn::danger::spent;\n"
            ),
            1
        );
        assert_eq!(
            findings(
                "crates/api/src/x.rs",
                "let s = signer.signature();\n// danger\n"
            ),
            0
        );
        assert_eq!(
            findings("crates/control/src/mint.rs", "sign_jwt(&key, &claims)\n"),
            0
        );
        let connects = "let stream = tokio::net::TcpStream::connect(address).await?;\n";
        assert_eq!(findings("crates/control/src/mint.rs", connects), 1);
        assert_eq!(findings("crates/net/src/egress.rs", connects), 0);
    }
}
