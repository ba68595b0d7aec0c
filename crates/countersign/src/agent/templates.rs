//! The templates of a configuration, read from where they stand.

use crate::config::Config;
use crate::config::agent::{TemplateSection, TemplateText};
use crate::config::error::ConfigError;
use countersign_agent::Template;

/// Judges what a configuration's own check cannot see: the templates' files.
///
/// # Errors
/// Every mistake, with the file and the line.
pub(crate) fn check(config: &Config) -> Result<(), Vec<ConfigError>> {
    let sections = config.agent.iter().flat_map(|agent| &agent.templates);
    let errors: Vec<ConfigError> = sections
        .filter_map(|section| template(config, section).err())
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

pub(super) fn template(
    config: &Config,
    section: &TemplateSection,
) -> Result<Template, ConfigError> {
    let (path, text) = match &section.text {
        TemplateText::Here(text) => (config.dir.join(crate::config::FILE), text.clone()),
        TemplateText::File(path) => {
            let path = config.dir.join(path);
            let text = std::fs::read_to_string(&path).map_err(|error| {
                ConfigError::in_file(&path, format!("cannot be read: {}", error.kind()))
            })?;
            (path, text)
        }
    };
    Template::parse(&text).map_err(|error| match &section.text {
        TemplateText::File(_) => ConfigError::in_line(&path, error.line(), error.fault()),
        TemplateText::Here(_) => {
            ConfigError::in_file(&path, format!("the template `{}`: {error}", section.name))
        }
    })
}
