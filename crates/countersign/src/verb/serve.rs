//! `countersign serve ROLE`: one role of the fabric in a process of its own, until it is told to end.

use super::up::{self, Signals};
use super::{Ended, Output, print_line, runtime, say_config_errors, say_run_error};
use crate::cli::{ServeVerb, UpArgs};
use crate::run::{self, EgressNode};
use countersign_audit::Code;
use serde_json::json;

pub(super) fn serve(verb: &ServeVerb, output: Output) -> Ended {
    match verb {
        ServeVerb::Egress(args) => egress(args, output),
    }
}

fn egress(args: &UpArgs, output: Output) -> Ended {
    let config = match up::load(args) {
        Ok(config) => config,
        Err(errors) => return say_config_errors(&errors),
    };
    let store = match args.store.as_deref().map(str::parse).transpose() {
        Ok(store) => store,
        Err(error) => {
            eprintln!("error: `--store`: {error}");
            return Ended::Usage;
        }
    };
    up::install_log(&config);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads: {error}");
            return Ended::Failed;
        }
    };
    runtime.block_on(async {
        let Ok(signals) = Signals::install() else {
            eprintln!("error: signals can't be received");
            return Ended::Failed;
        };
        match run::serve_egress(up::options(config, args, store)).await {
            Ok(node) => {
                say_ready(&node, output);
                until_told(node, args, signals).await
            }
            Err(error) => say_run_error(&error),
        }
    })
}

fn say_ready(node: &EgressNode, output: Output) {
    let data = std::path::absolute(node.data()).unwrap_or_else(|_| node.data().to_owned());
    let telemetry = format!("http://127.0.0.1:{}", node.telemetry().port());
    match output {
        Output::Json => print_line(json!({
            "egress": node.url(),
            "telemetry": telemetry,
            "ca": data.join("ca.pem").display().to_string(),
            "data": data.display().to_string(),
        })),
        Output::Text => print_line(format_args!(
            "countersign serves egress\n\n  {:<14} {}\n  {:<14} {telemetry}\n",
            "egress",
            node.url(),
            "telemetry"
        )),
    }
}

/// SIGHUP reloads, SIGTERM and SIGINT drain and end.
async fn until_told(node: EgressNode, args: &UpArgs, mut signals: Signals) -> Ended {
    let mut renewal = tokio::time::interval(up::CERTIFICATES_RENEWED_EVERY);
    renewal.tick().await;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => reload(&node, args),
            _ = renewal.tick() => renew(&node, args),
        }
    }
    eprintln!("  draining");
    node.stop(Code::of("signal")).await;
    Ended::Done
}

/// Takes another configuration up, or keeps the old one whole.
fn reload(node: &EgressNode, args: &UpArgs) {
    let result = match up::load(args) {
        Ok(config) => node
            .reload(&config)
            .map_err(|error| _ = say_run_error(&error)),
        Err(errors) => {
            say_config_errors(&errors);
            Err(())
        }
    };
    match result {
        Ok(()) => eprintln!("  reloaded"),
        Err(()) => {
            tracing::warn!(event = "reload_refused");
            eprintln!("  the reload is refused; the configuration before it stays");
        }
    }
}

fn renew(node: &EgressNode, args: &UpArgs) {
    let renewed =
        up::load(args).is_ok_and(|config| node.renew_certificates(&config.listeners.names).is_ok());
    if !renewed {
        tracing::error!(event = "certificates_not_renewed");
    }
}
