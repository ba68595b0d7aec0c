use crate::answer::{Answer, Effect, Form};
use crate::call::Operation::{Delete, List, Read, Update};
use crate::engine;
use crate::entry::EntryName;
use crate::error::VaultError;
use crate::kind::EngineKind;
use crate::trial::Trial;
use crate::work::EffectResult;
use serde_json::{Value as Json, json};

const URL: &str = "postgresql://{{username}}:{{password}}@db.example:5432/app";
const CANARY: &str = "c4n4ry-root-password";

fn trial() -> Trial {
    let mut trial = Trial::new();
    trial.mount("database/", EngineKind::Database);
    trial
}

fn config() -> Json {
    json!({
        "plugin_name": "postgresql-database-plugin", "connection_url": URL, "allowed_roles": "app,fixed",
        "username": "vault", "password": CANARY
    })
}

fn with_connection() -> Trial {
    let mut trial = trial();
    trial
        .call(Update, "database/config/main", config())
        .unwrap();
    trial.happened.clear();
    trial
}

fn with_static_role() -> Trial {
    let mut trial = with_connection();
    let role = json!({ "db_name": "main", "username": "report", "rotation_period": "1h" });
    trial
        .call(Update, "database/static-roles/fixed", role)
        .unwrap();
    trial
}

/// The statements of an effect, first those that are committed by themselves, and the addresses with which it is tried.
fn sql(effect: &Effect) -> (Vec<String>, Vec<String>) {
    let Effect::Sql(effect) = effect else {
        panic!("expected statements")
    };
    let connections = [Some(&effect.connection), effect.otherwise.as_ref()];
    (
        effect
            .before
            .iter()
            .chain(&effect.statements)
            .map(|s| s.expose().clone())
            .collect(),
        connections
            .into_iter()
            .flatten()
            .map(|url| url.expose().clone())
            .collect(),
    )
}

fn statements(trial: &Trial) -> Vec<String> {
    trial
        .happened
        .iter()
        .flat_map(|effect| sql(effect).0)
        .collect()
}

fn is_outside(answer: &Answer) -> bool {
    answer.form == Form::Bare(502)
}

fn creds(trial: &mut Trial) -> Json {
    trial.data(Read, "database/static-creds/fixed", Json::Null)
}

/// The password that a statement `... PASSWORD '...'` sets.
fn password_of(statement: &str) -> String {
    statement.split('\'').nth(1).unwrap().to_owned()
}

#[test]
fn a_connection_is_tried_stored_and_read_without_its_password() {
    let mut trial = trial();
    trial
        .call(Update, "database/config/main", config())
        .unwrap();
    assert_eq!((trial.happened.len(), statements(&trial).len()), (1, 0));
    assert_eq!(
        sql(&trial.happened[0]).1,
        [format!("postgresql://vault:{CANARY}@db.example:5432/app")]
    );
    let shown = trial.data(Read, "database/config/main", Json::Null);
    assert_eq!(shown["allowed_roles"], json!(["app", "fixed"]));
    assert_eq!(shown["connection_details"]["connection_url"], URL);
    assert_eq!(shown["connection_details"]["username"], "vault");
    assert_eq!(shown["plugin_name"], "postgresql-database-plugin");
    assert!(!shown.to_string().contains(CANARY));
    assert!(trial.dump().contains(CANARY), "what is sealed holds it");
    let listed = trial.data(List, "database/config", Json::Null);
    assert_eq!(listed["keys"], json!(["main"]));
    // What is not sent stays.
    trial
        .call(
            Update,
            "database/config/main",
            json!({"allowed_roles": ["app"]}),
        )
        .unwrap();
    assert!(trial.dump().contains(CANARY));
    trial
        .call(Delete, "database/config/main", Json::Null)
        .unwrap();
    let gone = trial
        .call(Read, "database/config/main", Json::Null)
        .err()
        .unwrap();
    assert_eq!(gone, VaultError::NotFound);
}

#[test]
fn a_connection_over_which_nobody_answers_is_not_stored_unless_it_is_not_asked() {
    let mut trial = trial();
    trial.effects = vec![EffectResult::Failed("refused".to_owned())];
    let refused = trial
        .call(Update, "database/config/main", config())
        .err()
        .unwrap();
    assert_eq!(refused.status(), 400);
    assert!(
        trial
            .call(Read, "database/config/main", Json::Null)
            .is_err()
    );
    let mut unasked = config();
    unasked["verify_connection"] = json!(false);
    trial.happened.clear();
    trial.call(Update, "database/config/main", unasked).unwrap();
    assert!(trial.happened.is_empty());
    assert!(trial.call(Read, "database/config/main", Json::Null).is_ok());
}

#[test]
fn what_is_not_supported_is_refused_and_never_echoed() {
    for (member, value) in [
        ("plugin_name", json!("mysql-database-plugin")),
        ("connection_url", json!("postgres://a:s3cret@db/app")),
        ("username_template", json!("{{.DisplayName}}")),
        ("password_policy", json!("strong")),
        ("password_authentication", json!("md5")),
        ("username", json!("a\nb")),
        ("root_rotation_statements", json!("ALTER ROLE 's3cret")),
    ] {
        let mut trial = trial();
        let mut body = config();
        body[member] = value;
        let refused = trial
            .call(Update, "database/config/main", body)
            .err()
            .unwrap();
        assert_eq!(refused.status(), 400, "{member}");
        assert!(!refused.to_string().contains("s3cret"));
        assert!(trial.happened.is_empty());
    }
    let mut trial = trial();
    for name in ["a'b", "a\"b", ".a", "a.", "a;b", "\u{fc}"] {
        let path = format!("database/config/{name}");
        assert!(trial.call(Update, &path, config()).is_err(), "{name}");
        let path = format!("database/roles/{name}");
        let role = json!({"db_name": "main", "creation_statements": "SELECT 1"});
        assert!(trial.call(Update, &path, role).is_err(), "{name}");
    }
}

#[test]
fn a_role_is_written_read_and_listed() {
    let mut trial = with_connection();
    let role = json!({
        "db_name": "main", "default_ttl": "1h", "max_ttl": 7200,
        "creation_statements": ["CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"]
    });
    trial
        .call(Update, "database/roles/app", role.clone())
        .unwrap();
    let shown = trial.data(Read, "database/roles/app", Json::Null);
    assert_eq!(shown["creation_statements"], role["creation_statements"]);
    assert_eq!(
        (&shown["default_ttl"], &shown["max_ttl"]),
        (&json!(3600), &json!(7200))
    );
    assert_eq!(
        trial.data(List, "database/roles", Json::Null)["keys"],
        json!(["app"])
    );
    let longer = json!({"default_ttl": "3h"});
    assert!(trial.call(Update, "database/roles/app", longer).is_err());
    assert!(
        trial
            .call(Update, "database/roles/b", json!({"db_name": "main"}))
            .is_err()
    );
    assert!(trial.call(List, "database/creds/app", Json::Null).is_err());
}

#[test]
fn a_static_role_gets_its_first_password_at_once_and_others_on_time() {
    let mut trial = with_static_role();
    let first = statements(&trial);
    assert!(
        first[0].starts_with("ALTER ROLE \"report\" WITH PASSWORD '"),
        "{first:?}"
    );
    let shown = creds(&mut trial);
    assert_eq!(shown["password"], password_of(&first[0]));
    assert_eq!(
        (&shown["username"], &shown["ttl"]),
        (&json!("report"), &json!(3600))
    );
    trial.pass(3_599);
    assert_eq!(statements(&trial).len(), 1);
    trial.pass(1);
    let second = statements(&trial);
    assert_eq!(second.len(), 2);
    assert_ne!(password_of(&second[0]), password_of(&second[1]));
    assert_eq!(creds(&mut trial)["password"], password_of(&second[1]));
    trial
        .call(Update, "database/rotate-role/fixed", Json::Null)
        .unwrap();
    assert_eq!(
        creds(&mut trial)["password"],
        password_of(&statements(&trial)[2])
    );
    let role = trial.data(Read, "database/static-roles/fixed", Json::Null);
    assert!(
        !role
            .to_string()
            .contains(&password_of(&statements(&trial)[2]))
    );
    trial
        .call(Delete, "database/static-roles/fixed", Json::Null)
        .unwrap();
    trial.pass(10_000);
    assert_eq!(statements(&trial).len(), 3);
}

#[test]
fn a_rotation_of_which_nobody_knows_the_end_runs_again_with_the_same_password() {
    let mut trial = with_static_role();
    let before = creds(&mut trial)["password"].clone();
    trial.happened.clear();
    trial.effects = vec![EffectResult::Failed("timeout".to_owned()); 2];
    let answer = trial
        .call(Update, "database/rotate-role/fixed", Json::Null)
        .unwrap();
    assert!(is_outside(&answer));
    assert_eq!(creds(&mut trial)["password"], before);
    trial.pass(60);
    assert_eq!(creds(&mut trial)["password"], before);
    trial.pass(60);
    let tried = statements(&trial);
    assert_eq!(tried.len(), 3);
    assert!(tried.iter().all(|statement| *statement == tried[0]));
    assert_eq!(creds(&mut trial)["password"], password_of(&tried[0]));
    assert_ne!(creds(&mut trial)["password"], before);
}

/// The process ends after the commit that begins the rotation, before or after the statement: the entry knows both passwords, and nothing else begins meanwhile.
#[test]
fn a_rotation_that_a_crash_cut_off_ends_with_the_password_that_was_committed() {
    let mut trial = with_static_role();
    let before = creds(&mut trial)["password"].clone();
    let entry = trial
        .stored("mount/")
        .into_iter()
        .find(|name| name.contains("/static-role/"));
    let entry = EntryName::stored(&entry.unwrap());
    drop(
        trial
            .step(|work, cx| engine::due(&entry, work, cx))
            .unwrap(),
    );
    trial.happened.clear();
    assert_eq!(creds(&mut trial)["password"], before);
    let busy = trial
        .call(Update, "database/rotate-role/fixed", Json::Null)
        .err()
        .unwrap();
    assert!(busy.to_string().contains("under way"));
    let committed = trial.dump();
    trial.pass(60);
    let after = creds(&mut trial)["password"].as_str().unwrap().to_owned();
    assert_eq!(password_of(&statements(&trial)[0]), after);
    assert!(
        committed.contains(&after),
        "it was committed before the crash"
    );
}

#[test]
fn the_own_password_is_rotated_in_two_phases_and_either_is_tried_in_between() {
    let mut trial = with_connection();
    trial.effects = vec![EffectResult::Failed("nobody knows".to_owned())];
    let answer = trial
        .call(Update, "database/rotate-root/main", Json::Null)
        .unwrap();
    assert!(is_outside(&answer));
    let (set, with) = sql(&trial.happened[0]);
    let new = password_of(&set[0]);
    assert_eq!(set, [format!("ALTER ROLE \"vault\" WITH PASSWORD '{new}'")]);
    let url = |password: &str| format!("postgresql://vault:{password}@db.example:5432/app");
    assert_eq!(with, [url(CANARY), url(&new)]);
    // A connection whose password nobody knows is not overwritten, and works with either.
    assert!(
        trial
            .call(Update, "database/config/main", config())
            .is_err()
    );
    let role = json!({ "db_name": "main", "username": "report", "rotation_period": "1h" });
    trial
        .call(Update, "database/static-roles/fixed", role)
        .unwrap();
    assert_eq!(sql(&trial.happened[1]).1, [url(CANARY), url(&new)]);
    trial.pass(60);
    assert_eq!(sql(&trial.happened[2]).0, set);
    assert!(!trial.dump().contains(CANARY), "the old one is forgotten");
    trial
        .call(Update, "database/rotate-role/fixed", Json::Null)
        .unwrap();
    assert_eq!(sql(&trial.happened[3]).1, [url(&new)]);
    trial.pass(100);
    assert_eq!(trial.happened.len(), 4);
}

#[test]
fn scram_verifiers_go_to_the_database_instead_of_passwords() {
    let mut trial = with_connection();
    let scram = json!({"password_authentication": "scram-sha-256"});
    trial.call(Update, "database/config/main", scram).unwrap();
    let role = json!({ "db_name": "main", "username": "report", "rotation_period": "1h" });
    trial
        .call(Update, "database/static-roles/fixed", role)
        .unwrap();
    let sent = statements(&trial).concat();
    let password = creds(&mut trial)["password"].as_str().unwrap().to_owned();
    assert!(sent.contains("PASSWORD 'SCRAM-SHA-256$4096:"), "{sent}");
    assert!(!sent.contains(&password));
}

/// Twice the same calls: a name with quotes stays one identifier, and the plain one is written as it is.
#[test]
fn cve_2026_39946_names_of_others_are_quoted_in_rotations() {
    for (name, written) in [
        ("report", "\"report\""),
        (
            "re\"port; DROP TABLE t; --",
            "\"re\"\"port; DROP TABLE t; --\"",
        ),
        ("r'\u{e9}port", "\"r'\u{e9}port\""),
    ] {
        let mut trial = with_connection();
        let role = json!({ "db_name": "main", "username": name, "rotation_period": "1h" });
        trial
            .call(Update, "database/static-roles/fixed", role)
            .unwrap();
        let sent = statements(&trial);
        assert_eq!(sent.len(), 1);
        assert!(sent[0].starts_with(&format!("ALTER ROLE {written} WITH PASSWORD '")));
    }
    for (statement, taken) in [
        (
            "DO $$ BEGIN EXECUTE 'ALTER ROLE \"{{name}}\"'; END $$",
            false,
        ),
        ("ALTER ROLE \"{{name}}\" PASSWORD '{{password}}'", true),
    ] {
        let mut trial = with_connection();
        let role = json!({
            "db_name": "main", "username": "r\"; DROP", "rotation_period": "1h", "rotation_statements": statement
        });
        let answer = trial.call(Update, "database/static-roles/fixed", role);
        assert_eq!(answer.is_ok(), taken);
        assert_eq!(trial.happened.len(), usize::from(taken));
    }
}

#[test]
fn only_allowed_roles_use_a_connection() {
    let mut trial = with_connection();
    let role = json!({ "db_name": "main", "username": "report", "rotation_period": "1h" });
    let refused = trial.call(Update, "database/static-roles/other", role.clone());
    assert_eq!(refused.err().unwrap().status(), 400);
    assert!(trial.happened.is_empty());
    trial
        .call(Update, "database/static-roles/fixed", role)
        .unwrap();
    // What was allowed before is asked for again at each reading.
    trial
        .call(
            Update,
            "database/config/main",
            json!({"allowed_roles": "app"}),
        )
        .unwrap();
    assert!(
        trial
            .call(Read, "database/static-creds/fixed", Json::Null)
            .is_err()
    );
    assert!(
        trial
            .call(Update, "database/rotate-role/fixed", Json::Null)
            .is_err()
    );
}

#[test]
fn a_static_role_keeps_its_user_and_a_rotation_that_cannot_begin_rests() {
    let mut trial = with_static_role();
    for change in [
        json!({"username": "other"}),
        json!({"db_name": "other"}),
        json!({"rotation_period": 1}),
    ] {
        assert!(
            trial
                .call(Update, "database/static-roles/fixed", change)
                .is_err()
        );
    }
    trial
        .call(
            Update,
            "database/static-roles/fixed",
            json!({"rotation_period": 60}),
        )
        .unwrap();
    assert_eq!(creds(&mut trial)["ttl"], 60);
    // A statement that cannot be written: `{{expiration}}` has no value in a rotation.
    let odd =
        json!({"rotation_statements": "ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}'"});
    trial
        .call(Update, "database/static-roles/fixed", odd)
        .unwrap();
    trial.happened.clear();
    trial.pass(60);
    assert!(trial.happened.is_empty());
    let before = creds(&mut trial)["password"].clone();
    trial
        .call(
            Update,
            "database/static-roles/fixed",
            json!({"rotation_statements": []}),
        )
        .unwrap();
    trial.pass(3_600);
    assert_ne!(creds(&mut trial)["password"], before);
}

#[test]
fn unknown_paths_are_not_there() {
    let mut trial = with_connection();
    trial
        .call(Update, "database/reset/main", Json::Null)
        .unwrap();
    for path in [
        "database/reset/other",
        "database/rotate-root/other",
        "database/rotate-role/other",
    ] {
        assert!(trial.call(Update, path, Json::Null).is_err(), "{path}");
    }
    for path in ["database/nothing", "database/creds", "database/config/a/b"] {
        let refused = trial.call(Read, path, Json::Null).err().unwrap();
        assert_eq!(refused, VaultError::NotFound, "{path}");
    }
}

fn with_role(more: Json) -> Trial {
    let mut trial = with_connection();
    let mut role = json!({
        "db_name": "main", "default_ttl": "1h", "max_ttl": "2h",
        "creation_statements": "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'; GRANT r TO \"{{name}}\""
    });
    for (name, value) in more.as_object().unwrap() {
        role[name] = value.clone();
    }
    trial.call(Update, "database/roles/app", role).unwrap();
    trial
}

#[test]
fn credentials_come_with_a_lease_that_renews_them_and_takes_them_back() {
    let mut trial = with_role(json!({}));
    let answer = trial.call(Read, "database/creds/app", Json::Null).unwrap();
    let (data, lease) = (answer.data.unwrap(), answer.lease.unwrap());
    assert!(lease.id.starts_with("database/creds/app/") && lease.renewable);
    assert_eq!(lease.lasts.as_secs(), 3_600);
    let (name, password) = (
        data["username"].as_str().unwrap(),
        data["password"].as_str().unwrap(),
    );
    assert!(name.starts_with("v-root-app-"), "{name}");
    assert_eq!(
        statements(&trial),
        [
            format!(
                "CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}' VALID UNTIL '2027-01-15 09:00:00+0000'"
            ),
            format!(" GRANT r TO \"{name}\"")
        ]
    );
    assert!(
        !trial.dump().contains(password),
        "it is shown once and kept nowhere"
    );
    trial.happened.clear();
    trial.pass(1_800);
    assert!(trial.happened.is_empty());
    let renewal = json!({"lease_id": lease.id, "increment": 3600});
    trial.call(Update, "sys/leases/renew", renewal).unwrap();
    assert_eq!(
        statements(&trial),
        [format!(
            "ALTER ROLE \"{name}\" VALID UNTIL '2027-01-15 09:30:00+0000'"
        )]
    );
    trial.pass(3_599);
    assert_eq!(trial.happened.len(), 1);
    trial.pass(1);
    let taken = statements(&trial);
    assert_eq!(taken.len(), 4);
    assert!(taken[3].starts_with("DO $countersign$") && taken[3].contains(&format!("'{name}'")));
    assert!(taken[3].contains("DROP ROLE"));
    assert!(trial.stored("lease/").is_empty());
}

#[test]
fn a_role_takes_back_by_its_own_statements() {
    let mut trial = with_role(
        json!({"revocation_statements": ["DROP OWNED BY \"{{name}}\"", "DROP ROLE \"{{name}}\""]}),
    );
    let data = trial.data(Read, "database/creds/app", Json::Null);
    let name = data["username"].as_str().unwrap().to_owned();
    trial.happened.clear();
    trial.pass(3_600);
    assert_eq!(
        statements(&trial)[2..],
        [
            format!("DROP OWNED BY \"{name}\""),
            format!("DROP ROLE \"{name}\"")
        ]
    );
}

/// Whatever takes the user back may fail: what shuts its role is committed before, and its sessions end after that.
#[test]
fn a_role_is_shut_by_itself_before_it_is_taken_back() {
    for more in [
        json!({}),
        json!({"revocation_statements": "DROP ROLE \"{{name}}\""}),
    ] {
        let mut trial = with_role(more);
        let data = trial.data(Read, "database/creds/app", Json::Null);
        let name = format!("'{}'", data["username"].as_str().unwrap());
        let [Effect::Sql(made)] = &trial.happened[..] else {
            panic!("one list of statements");
        };
        assert!(made.before.is_empty(), "nothing to shut");
        trial.happened.clear();
        trial.pass(3_600);
        let [Effect::Sql(effect)] = &trial.happened[..] else {
            panic!("one list of statements");
        };
        let [shut] = &effect.before[..] else {
            panic!("one statement");
        };
        let shut = shut.expose();
        assert!(shut.contains("NOLOGIN PASSWORD NULL") && shut.contains(&name));
        assert!(!shut.contains("DROP"), "{shut}");
        let [ended, dropped] = &effect.statements[..] else {
            panic!("two statements");
        };
        let ended = ended.expose();
        assert!(ended.contains("pg_terminate_backend") && ended.contains(&name));
        assert!(dropped.expose().contains("DROP ROLE"));
    }
}

/// Its twin is the test above: only the failure differs.
#[test]
fn a_user_of_which_nobody_knows_whether_it_was_made_is_taken_back_and_never_answered() {
    let mut trial = with_role(json!({}));
    trial.effects = vec![EffectResult::Failed("timeout".to_owned())];
    let answer = trial.call(Read, "database/creds/app", Json::Null).unwrap();
    assert!(is_outside(&answer) && answer.lease.is_none());
    trial.happened.clear();
    trial.pass(1);
    assert!(statements(&trial)[0].starts_with("DO $countersign$"));
    trial.pass(200);
    assert!(trial.stored("lease/").is_empty());
}

/// The process ends after the lease was committed: whether the statements ran or not, the lease takes back.
#[test]
fn a_crash_between_the_lease_and_its_answer_leaves_nothing_behind() {
    let mut trial = with_role(json!({}));
    drop(trial.begin(Read, "database/creds/app", Json::Null).unwrap());
    assert_eq!(trial.stored("lease/").len(), 1);
    trial.happened.clear();
    trial.pass(3_600);
    assert!(statements(&trial)[0].starts_with("DO $countersign$"));
    assert!(trial.stored("lease/").is_empty());
}

#[test]
fn credentials_need_a_role_that_the_connection_allows_and_a_token_that_lives() {
    for allowed in ["app", "other"] {
        let mut trial = with_role(json!({}));
        trial
            .call(
                Update,
                "database/config/main",
                json!({"allowed_roles": allowed}),
            )
            .unwrap();
        let answer = trial.call(Read, "database/creds/app", Json::Null);
        assert_eq!(answer.is_ok(), allowed == "app");
        assert_eq!(trial.stored("lease/").len(), usize::from(allowed == "app"));
    }
    let mut trial = with_role(json!({}));
    let refused = trial.call_as(
        || crate::caller::Caller::Anonymous,
        Read,
        "database/creds/app",
        Json::Null,
    );
    assert_eq!(refused.err(), Some(VaultError::Denied));
    assert!(
        trial
            .call(Read, "database/creds/other", Json::Null)
            .is_err()
    );
}

/// Who may write a connection and not read its password would otherwise have it sent to a server of their own.
#[test]
fn the_stored_password_is_not_sent_to_another_address() {
    let elsewhere = "postgresql://{{username}}:{{password}}@evil.example:5432/app";
    for change in [
        json!({ "connection_url": elsewhere }),
        json!({ "username": "other" }),
        json!({ "tls_ca": "another authority" }),
    ] {
        for verify in [true, false] {
            let mut trial = with_connection();
            let before = trial.dump();
            let mut body = change.clone();
            body["verify_connection"] = json!(verify);
            let path = "database/config/main";
            let refused = trial.call(Update, path, body.clone()).err().unwrap();
            assert_eq!(refused.status(), 400, "{body}");
            assert!(refused.to_string().contains("`password`"), "{refused}");
            assert!(trial.happened.is_empty(), "nothing is sent");
            assert_eq!(trial.dump(), before);
            body["password"] = json!("fresh");
            trial.call(Update, path, body).unwrap();
            assert!(!trial.dump().contains(CANARY));
        }
    }
    // What stays as it is takes no password, also where it is sent again.
    let mut trial = with_connection();
    let same = json!({ "connection_url": URL, "username": "vault", "max_open_connections": 2 });
    trial.call(Update, "database/config/main", same).unwrap();
    assert!(trial.dump().contains(CANARY));
}
