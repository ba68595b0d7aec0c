use super::*;
use crate::config::{FILE, parse};
use std::path::Path;

const LOGIN: &str = "[agent.login.jwt]\nrole = \"billing\"\nfile = \"token\"\n";

fn section(text: &str) -> Result<AgentSection, Vec<String>> {
    match parse(Path::new("/nowhere"), Path::new(FILE), text) {
        Ok(config) => Ok(config.agent.unwrap()),
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
    }
}

fn agent(rest: &str) -> Result<AgentSection, Vec<String>> {
    section(&format!(
        "[agent]\naddress = \"https://vault.example:8446\"\n{rest}"
    ))
}

#[test]
fn what_is_not_said_is_narrow() {
    let section = agent(&format!(
        "{LOGIN}[[agent.templates]]\nname = \"a\"\ntext = \"x\"\ndestination = \"out/a\"\n"
    ))
    .unwrap();
    let template = &section.templates[0];
    assert_eq!(
        (template.mode, template.owner, template.group),
        (0o600, None, None)
    );
    assert_eq!(
        (template.when_ended, template.when_stopped),
        (AfterUse::Remove, AfterUse::Keep)
    );
    assert_eq!(section.refresh, Duration::from_secs(300));
    assert_eq!(section.login.mount(), "jwt");
}

#[test]
fn each_way_to_sign_in_is_taken_alone() {
    for (login, mount) in [
        (
            "[agent.login.approle]\nrole_id = \"r\"\nsecret_id = { file = \"s\" }\n",
            "approle",
        ),
        (
            "[agent.login.certificate]\ncertificate = \"c\"\nkey = \"k\"\n",
            "cert",
        ),
        ("[agent.login.kubernetes]\nrole = \"app\"\n", "kubernetes"),
        (
            "[agent.login.jwt]\nmount = \"ci/jwt\"\nrole = \"app\"\nfile = \"t\"\n",
            "ci/jwt",
        ),
    ] {
        assert_eq!(agent(login).unwrap().login.mount(), mount);
    }
    let both = format!("{LOGIN}[agent.login.kubernetes]\nrole = \"app\"\n");
    for (login, expected) in [
        (both.as_str(), "in exactly one way"),
        ("[agent.login]\n", "in exactly one way"),
        (
            "[agent.login.jwt]\nmount = \"../sys\"\nrole = \"a\"\nfile = \"t\"\n",
            "no path of an auth method",
        ),
        (
            "[agent.login.approle]\nrole_id = \"r\"\nsecret_id = \"hunter2\"\n",
            "a secret never stands in the configuration itself",
        ),
    ] {
        let errors = agent(login).unwrap_err().join("\n");
        assert!(
            errors.contains(expected) && !errors.contains("hunter2"),
            "{errors}"
        );
    }
}

#[test]
fn mistakes_are_named_with_their_line() {
    let template =
        |rest: &str| format!("{LOGIN}[[agent.templates]]\nname = \"a\"\ntext = \"x\"\n{rest}");
    for (rest, expected) in [
        (template(""), "the template `a` is rendered to nowhere"),
        (template("destination = \"../a\"\n"), "names no file"),
        (
            template("destination = \"a\"\nmode = \"4600\"\n"),
            "no mode of a file",
        ),
        (
            template("destination = \"a\"\nmode = \"0x1\"\n"),
            "no mode of a file",
        ),
        (
            template("destination = \"a\"\ncommand = [\"reload\"]\n"),
            "absolute path of a program",
        ),
        (
            template("destination = \"a\"\ncommand = []\n"),
            "absolute path of a program",
        ),
        (
            template("destination = \"a\"\nsource = \"b\"\n"),
            "in exactly one place",
        ),
        (
            template("destnation = \"a\"\n"),
            "the nearest known key is `destination`",
        ),
        (
            template(
                "destination = \"a\"\n[[agent.templates]]\nname = \"a\"\ntext = \"\"\ndestination = \"a\"\n",
            ),
            "rendered to one file",
        ),
    ] {
        let errors = agent(&rest).unwrap_err().join("\n");
        assert!(
            errors.contains(expected) && errors.contains(".toml:"),
            "{errors}"
        );
    }
    for address in [
        "http://vault.example",
        "https://a:b@vault.example",
        "https://vault.example/v1",
        "vault",
    ] {
        let errors = section(&format!("[agent]\naddress = \"{address}\"\n{LOGIN}")).unwrap_err();
        assert!(
            errors.join("\n").contains("not the address of a vault"),
            "{errors:?}"
        );
    }
}
