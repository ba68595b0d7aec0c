//! What `init` writes is a configuration, as it stands and with every setting in it taken up.

use super::*;
use crate::config;

#[test]
fn the_starter_is_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("new");
    assert_eq!(init(&dir, Output::Text), Ended::Done);
    let config = config::load(&dir).unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!((config.tenants.len(), config.clients.len()), (1, 0));
    assert_eq!(config.listeners, config::listeners::Listeners::default());
    assert_eq!(crate::verb::check::check(&dir, Output::Text), Ended::Done);
    for (name, text) in defaults::POLICIES {
        assert_eq!(
            fs::read_to_string(dir.join("policies").join(name)).unwrap(),
            text
        );
    }
}

#[test]
fn a_configuration_that_is_there_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), "# mine\n").unwrap();
    assert_eq!(init(dir.path(), Output::Text), Ended::Usage);
    assert_eq!(
        fs::read_to_string(dir.path().join(FILE)).unwrap(),
        "# mine\n"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// A setting stands right behind its `#`, prose behind a space: with every setting taken up, the file is still a configuration, and what it says of
/// defaults is true.
#[test]
fn every_commented_setting_is_a_setting() {
    let taken_up: String = STARTER
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => {
                format!("{setting}\n")
            }
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    let config = config::parse(Path::new("/nowhere"), Path::new(FILE), &taken_up)
        .unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(
        (
            config.tenants.len(),
            config.clients.len(),
            config.routes.len()
        ),
        (2, 3, 1)
    );
    let defaults = config::listeners::Listeners::default();
    assert_eq!(config.listeners.identity, defaults.identity);
    assert_eq!(config.listeners.control, defaults.control);
    assert_eq!(
        config.keys.rotate_every,
        config::keys::KeysSection::default().rotate_every
    );
}
