//! `check`: judges a configuration without starting it: what `up` would refuse, and what it accepts although somebody should look at it.

use super::{Ended, Output, print_line, say_config_errors};
use crate::config::advice::{Advice, advice};
use crate::config::error::ConfigError;
use crate::config::{self, Config};
use crate::run;
use serde_json::{Value, json};
use std::path::Path;

pub(super) fn check(dir: &Path, output: Output) -> Ended {
    let judged = judge(dir);
    match output {
        Output::Json => print_line(to_json(&judged)),
        Output::Text => {}
    }
    match judged {
        Ok((config, advice)) => {
            if output == Output::Text {
                advice
                    .iter()
                    .for_each(|advice| print_line(format_args!("look at  {advice}")));
                print_line(summary(&config));
            }
            Ended::Done
        }
        Err(errors) => say_config_errors(&errors),
    }
}

fn judge(dir: &Path) -> Result<(Config, Vec<Advice>), Vec<ConfigError>> {
    let config = config::load(dir)?;
    run::check(&config)?;
    let advice = advice(&config);
    Ok((config, advice))
}

fn summary(config: &Config) -> String {
    format!(
        "`{}` holds: {} tenants, {} clients, {} people, {} routes",
        config.dir.display(),
        config.tenants.len(),
        config.clients.len(),
        config.users.len(),
        config.routes.len(),
    )
}

fn to_json(judged: &Result<(Config, Vec<Advice>), Vec<ConfigError>>) -> Value {
    match judged {
        Ok((_, advice)) => {
            let advice: Vec<String> = advice.iter().map(ToString::to_string).collect();
            json!({ "holds": true, "errors": [], "look_at": advice })
        }
        Err(errors) => {
            let errors: Vec<Value> = errors.iter().map(error_json).collect();
            json!({ "holds": false, "errors": errors, "look_at": [] })
        }
    }
}

fn error_json(error: &ConfigError) -> Value {
    json!({
        "file": error.file().display().to_string(),
        "line": error.line(),
        "message": error.message(),
        "help": error.help(),
    })
}
