//! `webhook`: webhooks that go out, and a receiver for the developer's own machine.

use super::WebhookAdminVerb;
use clap::{Args, Subcommand};
use countersign_base::ReceiverUrl;
use std::path::PathBuf;

const LISTEN: &str = "Examples:
  countersign webhook listen --port 8787 --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
  countersign webhook listen --secret-file endpoint.secret --count 1 --json
  countersign webhook listen --secret-file endpoint.secret --status 503 --retry-after 30
  countersign webhook listen --secret whpk_... --url https://tunnel.example/hook

It listens on this machine alone. Put a tunnel with an https address before it, and name that address as the endpoint's.
Standard Webhooks (v1, v1a) and HTTP Message Signatures (RFC 9421) are verified, each by its own fields. The latter cover the
address that was called: name that of the tunnel with `--url`.
Each webhook is verified and printed; one that does not verify is answered 401, whatever `--status` says.
A secret on the command line can be seen by others on this machine: prefer `--secret-file`.";

/// `webhook`
#[derive(Debug, Subcommand)]
pub enum WebhookVerb {
    /// What a running process does.
    #[command(flatten)]
    Admin(WebhookAdminVerb),
    /// Receive webhooks on this machine, verify them and print them
    #[command(after_help = LISTEN)]
    Listen(WebhookListen),
}

/// `webhook listen`
#[derive(Debug, Args)]
pub struct WebhookListen {
    /// The port to listen on, of 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 8787)]
    pub port: u16,
    /// A secret of the endpoint: `whsec_...`, or `whpk_...` where it signs with Ed25519 or by RFC 9421. Several may be in rotation.
    #[arg(long = "secret", value_name = "SECRET")]
    pub secrets: Vec<String>,
    /// A file with a secret of the endpoint.
    #[arg(long = "secret-file", value_name = "FILE")]
    pub secret_files: Vec<PathBuf>,
    /// The address that the endpoint has, if it is not this machine's own: what HTTP Message Signatures cover.
    #[arg(long, value_name = "URL")]
    pub url: Option<ReceiverUrl>,
    /// The status to answer with.
    #[arg(long, default_value_t = 204, value_parser = clap::value_parser!(u16).range(200..=599))]
    pub status: u16,
    /// Seconds to answer in `Retry-After`.
    #[arg(long, value_name = "SECONDS")]
    pub retry_after: Option<u32>,
    /// End after so many webhooks.
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
}
