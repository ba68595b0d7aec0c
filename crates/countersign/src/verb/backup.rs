//! `backup` and `restore`: a data directory in one encrypted file, and a data directory made of it.

use super::{Ended, Output, print_line};
use crate::backup::{BackupError, BackupKeySource, BackupOptions, Epochs, RestoreOptions};
use crate::backup::{backup as make, restore as bring_back};
use crate::cli::{BackupArgs, RestoreArgs};
use crate::run::system_clock;
use countersign_base::Secret;
use countersign_crypto::Random;
use countersign_crypto::base64url;
use countersign_crypto::password::Cost;
use serde_json::json;
use std::io::{self, Read};

/// Bytes of standard input that are looked at: more than any passphrase may have.
const INPUT_BYTES_MAX: u64 = 4096;

pub(super) fn backup(args: &BackupArgs, output: Output) -> Ended {
    let key = match source(args.passphrase_stdin, io::stdin()) {
        Ok(key) => key,
        Err(ended) => return ended,
    };
    let options = BackupOptions {
        data: args.data.clone(),
        to: args.file.clone(),
        key,
        cost: Cost::passphrase(),
        random: Random::system(),
        now: system_clock().now(),
        progress: Box::new(|step| eprintln!("  {step}")),
    };
    let Ok(runtime) = super::runtime() else {
        eprintln!("error: no threads");
        return Ended::Failed;
    };
    let made = match runtime.block_on(make(options)) {
        Ok(made) => made,
        Err(error) => return say(&error),
    };
    match output {
        Output::Json => print_line(json!({
            "file": args.file.display().to_string(),
            "made": made.manifest.made,
            "entries": made.manifest.entries,
            "bytes": made.manifest.bytes,
            "digest": base64url::encode(&made.digest),
            "verified": true,
        })),
        Output::Text => {
            let (entries, bytes) = (made.manifest.entries, made.manifest.bytes);
            let file = args.file.display();
            print_line(format_args!(
                "{file}: {entries} files of {bytes} bytes, encrypted and read again"
            ));
            print_line(
                "keys/ is not in it: keep root.key and epochs apart from it, and of epochs the newest copy alone",
            );
        }
    }
    Ended::Done
}

pub(super) fn restore(args: &RestoreArgs, output: Output) -> Ended {
    let key = match source(args.passphrase_stdin, io::stdin()) {
        Ok(key) => key,
        Err(ended) => return ended,
    };
    let options = RestoreOptions {
        from: args.file.clone(),
        data: args.data.clone(),
        keys: args.keys.clone(),
        key,
        random: Random::system(),
        now: system_clock().millis(),
        progress: Box::new(|step| eprintln!("  {step}")),
    };
    let Ok(runtime) = super::runtime() else {
        eprintln!("error: no threads");
        return Ended::Failed;
    };
    let restored = match runtime.block_on(bring_back(options)) {
        Ok(restored) => restored,
        Err(error) => return say(&error),
    };
    let names: Vec<&str> = restored
        .logs
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    match output {
        Output::Json => print_line(json!({
            "data": args.data.display().to_string(),
            "made": restored.made,
            "entries": restored.entries,
            "logs": names,
            "epochs": restored.epochs == Epochs::There,
        })),
        Output::Text => {
            for (name, report) in &restored.logs {
                print_line(format_args!("{name} extends the checkpoint of the backup"));
                let _ = super::print(report);
            }
            print_line(format_args!("restored into {}", args.data.display()));
            if restored.epochs == Epochs::Missing {
                print_line("put root.key and epochs into its directory keys/ before it starts");
            }
        }
    }
    Ended::Done
}

fn source(passphrase: bool, input: impl Read) -> Result<BackupKeySource, Ended> {
    if !passphrase {
        return Ok(BackupKeySource::Installation);
    }
    let mut text = String::new();
    let read = input.take(INPUT_BYTES_MAX).read_to_string(&mut text);
    let text = Secret::new(text);
    let line = text.expose().trim_end_matches(['\r', '\n']);
    match read {
        Ok(_) if !line.is_empty() && !line.contains('\n') => {
            Ok(BackupKeySource::Passphrase(Secret::new(line.to_owned())))
        }
        Ok(_) | Err(_) => {
            eprintln!("error: expected one line with a passphrase on standard input");
            Err(Ended::Usage)
        }
    }
}

fn say(error: &BackupError) -> Ended {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    eprintln!("error: {text}");
    Ended::Failed
}
