//! `countersign demo`: the practice exercise, its checklist, and then the addresses to open.

use super::up::Addresses;
use super::{Ended, Output, runtime};
use crate::cli::DemoArgs;
use crate::demo::report::{Checklist, Colour, Status};
use crate::demo::{Stage, StageError, play};
use countersign_control::fabric::Progress;
use std::io::IsTerminal;

pub(super) fn demo(args: &DemoArgs, output: Output) -> Ended {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads: {error}");
            return Ended::Failed;
        }
    };
    runtime.block_on(async {
        eprintln!("countersign demo: the practice exercise, on loopback, over TLS");
        let stage = match Stage::set(
            args.data.as_deref(),
            args.postgres.as_ref(),
            Box::new(say_progress),
        )
        .await
        {
            Ok(stage) => stage,
            Err(error) => return say_stage_error(&error),
        };
        let list = play(&stage, |check| {
            let state = match check.status {
                Status::Held => "held",
                Status::Failed => "FAILED",
                Status::NotYet => return,
            };
            eprintln!("  {:>7}  {state}", check.id);
        })
        .await;
        say(&list, output);
        if !args.exit {
            eprint!("{}", Addresses::of(stage.running()).table());
            eprintln!(
                "alice, bob and carol sign in with the passwords in {}",
                stage.passwords_directory().display()
            );
            eprintln!("press Ctrl-C to end");
            // Without signals there is nothing to wait for.
            let _ = tokio::signal::ctrl_c().await;
        }
        stage.strike().await;
        if list.failed() == 0 {
            Ended::Done
        } else {
            Ended::Failed
        }
    })
}

fn say(list: &Checklist, output: Output) {
    let colour = if std::io::stdout().is_terminal() {
        Colour::Ansi
    } else {
        Colour::Plain
    };
    match output {
        Output::Json => println!("{}", list.json()),
        Output::Text => print!("{}", list.text(colour)),
    }
}

fn say_progress(progress: Progress) {
    if let Progress::MakingKey(tenant) = progress {
        eprintln!("  making a signing key for tenant {tenant}");
    }
}

fn say_stage_error(error: &StageError) -> Ended {
    eprintln!("error: {error}");
    match error {
        StageError::NotEmpty(_) => Ended::Usage,
        StageError::Client(_) | StageError::File { .. } | StageError::Run(_) => Ended::Failed,
    }
}
