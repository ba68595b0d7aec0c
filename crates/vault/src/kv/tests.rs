use super::*;
use crate::Answer;
use crate::engine;
use crate::kind::EngineKind;
use crate::mounts::Mounts;
use crate::path::RequestPath;
use crate::trial::{Trial, root};
use Operation::{Create, Delete, List, Patch, Read, Update};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn write(trial: &mut Trial, path: &str, data: Json) -> Json {
    trial.data(
        Update,
        &format!("secret/data/{path}"),
        json!({ "data": data }),
    )
}

/// The value of a version, or the status and `data` of the refusal.
fn read(trial: &mut Trial, path: &str) -> Result<Json, VaultError> {
    let answer = trial.call(Read, &format!("secret/data/{path}"), Json::Null)?;
    Ok(answer.data.unwrap()["data"].clone())
}

fn refused(result: Result<Answer, VaultError>) -> VaultError {
    result.err().expect("it must be refused")
}

fn keys(trial: &mut Trial, path: &str) -> Vec<String> {
    let data = trial.data(List, path, Json::Null);
    serde_json::from_value(data["keys"].clone()).unwrap()
}

#[test]
fn a_writing_is_a_version_and_each_stays_readable() {
    let mut trial = Trial::new();
    let first = write(&mut trial, "app", json!({"a": 1}));
    assert_eq!(
        first,
        json!({"created_time": "2027-01-15T08:00:00Z", "custom_metadata": null, "deletion_time": "", "destroyed": false, "version": 1})
    );
    write(&mut trial, "app", json!({"a": 2, "b": [null, {"c": "d"}]}));
    let data = trial.data(Read, "secret/data/app", Json::Null);
    assert_eq!(data["data"], json!({"a": 2, "b": [null, {"c": "d"}]}));
    assert_eq!(data["metadata"]["version"], 2);
    assert_eq!(read(&mut trial, "app?version=1").unwrap(), json!({"a": 1}));
    assert_eq!(read(&mut trial, "app?version=0").unwrap()["a"], 2);
    assert_eq!(read(&mut trial, "app?version=3"), Err(VaultError::NotFound));
    assert_eq!(read(&mut trial, "other"), Err(VaultError::NotFound));
    assert!(matches!(
        read(&mut trial, "app?version=x"),
        Err(VaultError::Invalid(_))
    ));
}

#[test]
fn a_small_value_stands_beside_its_history_and_a_large_one_apart() {
    let mut trial = Trial::new();
    write(&mut trial, "small", json!({"a": "x"}));
    write(
        &mut trial,
        "large",
        json!({"a": "x".repeat(key::BESIDE_BYTES_MAX)}),
    );
    let data = |trial: &Trial| {
        let mut names = trial.stored("mount/");
        names.retain(|name| name.contains("/kv/data/"));
        names.len()
    };
    assert_eq!(
        data(&trial),
        1,
        "the large one alone has an entry of its own"
    );
    assert_eq!(read(&mut trial, "small").unwrap(), json!({"a": "x"}));
    let large = read(&mut trial, "large").unwrap();
    assert_eq!(large["a"].as_str().unwrap().len(), key::BESIDE_BYTES_MAX);
    // What stood beside the history moves out of the way of the next version.
    write(&mut trial, "small", json!({"a": "y"}));
    write(&mut trial, "large", json!({"a": "y"}));
    assert_eq!(data(&trial), 2);
    assert_eq!(
        read(&mut trial, "small?version=1").unwrap(),
        json!({"a": "x"})
    );
    assert_eq!(read(&mut trial, "large").unwrap(), json!({"a": "y"}));
    assert_eq!(read(&mut trial, "large?version=1").unwrap(), large);
}

#[test]
fn check_and_set_holds_the_version_that_is_replaced() {
    let mut trial = Trial::new();
    let set = |trial: &mut Trial, cas: Json| {
        let body = json!({"options": {"cas": cas}, "data": {"a": 1}});
        trial.call(Update, "secret/data/app", body).map(|_| ())
    };
    let mismatch = VaultError::invalid("check-and-set parameter did not match the current version");
    assert_eq!(set(&mut trial, json!(1)), Err(mismatch.clone()));
    assert_eq!(set(&mut trial, json!(0)), Ok(()));
    assert_eq!(set(&mut trial, json!(0)), Err(mismatch.clone()));
    assert_eq!(set(&mut trial, json!(-1)), Err(mismatch.clone()));
    assert_eq!(
        set(&mut trial, json!("1")),
        Ok(()),
        "numbers come as texts too"
    );
    assert_eq!(set(&mut trial, Json::Null), Ok(()), "null is absent");
    assert_eq!(set(&mut trial, json!(2)), Err(mismatch));
    assert!(matches!(
        set(&mut trial, json!([])),
        Err(VaultError::Invalid(_))
    ));
    trial
        .call(Update, "secret/config", json!({"cas_required": true}))
        .unwrap();
    let required = VaultError::invalid("check-and-set parameter required for this call");
    assert_eq!(set(&mut trial, Json::Null), Err(required.clone()));
    let bare = json!({"data": {"a": 1}, "options": {}});
    assert_eq!(
        refused(trial.call(Update, "secret/data/app", bare.clone())),
        required
    );
    assert_eq!(
        refused(trial.call(Patch, "secret/data/app", bare)),
        required
    );
    assert_eq!(set(&mut trial, json!(3)), Ok(()));
    // Of one secret alone.
    trial
        .call(Update, "secret/config", json!({"cas_required": false}))
        .unwrap();
    assert_eq!(set(&mut trial, Json::Null), Ok(()));
    trial
        .call(
            Update,
            "secret/metadata/app",
            json!({"cas_required": "true"}),
        )
        .unwrap();
    assert_eq!(set(&mut trial, Json::Null), Err(required));
}

#[test]
fn a_body_without_data_is_refused() {
    let mut trial = Trial::new();
    for body in [
        json!({}),
        json!({"data": null}),
        json!({"options": {"cas": 0}}),
    ] {
        let error = refused(trial.call(Update, "secret/data/app", body));
        assert_eq!(error, VaultError::invalid("no data provided"));
    }
    let error = refused(trial.call(Update, "secret/data/app", json!({"data": "CANARY"})));
    assert!(!error.to_string().contains("CANARY"), "{error}");
    assert_eq!(read(&mut trial, "app"), Err(VaultError::NotFound));
}

#[test]
fn a_merge_patch_changes_what_it_names() {
    let mut trial = Trial::new();
    let patch = |trial: &mut Trial, data: Json| {
        trial.call(Patch, "secret/data/app", json!({ "data": data }))
    };
    assert_eq!(
        refused(patch(&mut trial, json!({"a": 1}))),
        VaultError::NotFound
    );
    write(
        &mut trial,
        "app",
        json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1, 2]}),
    );
    patch(
        &mut trial,
        json!({"a": null, "b": {"c": null, "x": {"y": null}}, "e": [3]}),
    )
    .unwrap();
    assert_eq!(
        read(&mut trial, "app").unwrap(),
        json!({"b": {"d": 3, "x": {}}, "e": [3]})
    );
    assert_eq!(read(&mut trial, "app?version=1").unwrap()["a"], 1);
    let stale = json!({"options": {"cas": 1}, "data": {}});
    let error = refused(trial.call(Patch, "secret/data/app", stale));
    assert!(
        error
            .to_string()
            .starts_with("check-and-set parameter did not")
    );
    trial.call(Delete, "secret/data/app", Json::Null).unwrap();
    let error = refused(patch(&mut trial, json!({"a": 1})));
    assert!(matches!(error, VaultError::NotFoundWith(_)));
}

#[test]
fn a_deleted_version_says_so_and_comes_back_until_it_is_destroyed() {
    let mut trial = Trial::new();
    write(&mut trial, "app", json!({"a": 1}));
    write(&mut trial, "app", json!({"a": 2}));
    trial.call(Delete, "secret/data/app", Json::Null).unwrap();
    let Err(VaultError::NotFoundWith(data)) = read(&mut trial, "app") else {
        panic!("the latest version is deleted");
    };
    assert_eq!(data["data"], Json::Null);
    assert_eq!(data["metadata"]["deletion_time"], "2027-01-15T08:00:00Z");
    assert_eq!(data["metadata"]["version"], 2);
    assert_eq!(read(&mut trial, "app?version=1").unwrap()["a"], 1);
    let versions = |trial: &mut Trial, what: &str, numbers: Json| {
        let path = format!("secret/{what}/app");
        trial
            .call(Update, &path, json!({ "versions": numbers }))
            .unwrap();
    };
    versions(&mut trial, "undelete", json!([2, 7]));
    assert_eq!(read(&mut trial, "app").unwrap()["a"], 2);
    versions(&mut trial, "delete", json!("1,2"));
    assert!(matches!(
        read(&mut trial, "app?version=1"),
        Err(VaultError::NotFoundWith(_))
    ));
    versions(&mut trial, "undelete", json!(["1", 2]));
    versions(&mut trial, "destroy", json!([1, 2]));
    versions(&mut trial, "undelete", json!([1, 2]));
    for path in ["app?version=1", "app?version=2"] {
        let Err(VaultError::NotFoundWith(data)) = read(&mut trial, path) else {
            panic!("{path} is destroyed");
        };
        assert_eq!(data["metadata"]["destroyed"], true);
    }
    assert!(
        !trial.dump().contains("\"a\":"),
        "nothing of the values is left"
    );
    let error = refused(trial.call(Update, "secret/destroy/app", json!({})));
    assert_eq!(error, VaultError::invalid("No version number provided"));
    trial
        .call(Update, "secret/destroy/none", json!({"versions": [1]}))
        .unwrap();
}

#[test]
fn versions_past_those_that_are_kept_go() {
    let mut trial = Trial::new();
    for number in 1..=12 {
        write(&mut trial, "app", json!({ "n": number }));
    }
    assert_eq!(read(&mut trial, "app?version=2"), Err(VaultError::NotFound));
    assert_eq!(read(&mut trial, "app?version=3").unwrap()["n"], 3);
    let metadata = trial.data(Read, "secret/metadata/app", Json::Null);
    assert_eq!(metadata["oldest_version"], 3);
    assert_eq!(metadata["current_version"], 12);
    assert_eq!(metadata["versions"].as_object().unwrap().len(), 10);
    trial
        .call(Update, "secret/config", json!({"max_versions": 5}))
        .unwrap();
    trial
        .call(Update, "secret/metadata/app", json!({"max_versions": 2}))
        .unwrap();
    write(&mut trial, "app", json!({"n": 13}));
    let data: Vec<_> = trial.stored("mount/");
    assert_eq!(
        data.iter()
            .filter(|name| name.contains("/kv/data/"))
            .count(),
        1
    );
    assert_eq!(read(&mut trial, "app?version=12").unwrap()["n"], 12);
    let error = refused(trial.call(Update, "secret/config", json!({"max_versions": 1001})));
    assert!(matches!(error, VaultError::Invalid(_)));
    trial
        .call(Update, "secret/config", json!({"max_versions": 1000}))
        .unwrap();
}

#[test]
fn versions_delete_themselves_after_the_shorter_time() {
    let mut trial = Trial::new();
    trial
        .call(
            Update,
            "secret/config",
            json!({"delete_version_after": "1h"}),
        )
        .unwrap();
    trial
        .call(
            Update,
            "secret/metadata/app",
            json!({"delete_version_after": "90s"}),
        )
        .unwrap();
    write(&mut trial, "app", json!({"a": 1}));
    write(&mut trial, "other", json!({"a": 1}));
    let data = trial.data(Read, "secret/data/app", Json::Null);
    assert_eq!(data["metadata"]["deletion_time"], "2027-01-15T08:01:30Z");
    trial.pass(89);
    read(&mut trial, "app").unwrap();
    trial.pass(1);
    assert!(matches!(
        read(&mut trial, "app"),
        Err(VaultError::NotFoundWith(_))
    ));
    read(&mut trial, "other").unwrap();
    trial
        .call(Update, "secret/undelete/app", json!({"versions": [1]}))
        .unwrap();
    read(&mut trial, "app").unwrap();
    assert_eq!(
        trial.data(Read, "secret/config", Json::Null),
        json!({"max_versions": 0, "cas_required": false, "delete_version_after": "1h0m0s"})
    );
}

#[test]
fn metadata_says_all_that_clients_ask_for() {
    let mut trial = Trial::new();
    let error = refused(trial.call(Read, "secret/metadata/app", Json::Null));
    assert_eq!(error, VaultError::NotFound);
    let body = json!({"custom_metadata": {"owner": "a", "team": "b"}, "max_versions": null});
    trial.call(Update, "secret/metadata/app", body).unwrap();
    assert_eq!(read(&mut trial, "app"), Err(VaultError::NotFound));
    write(&mut trial, "app", json!({"a": 1}));
    let body = json!({"custom_metadata": {"owner": null, "x": "y"}});
    trial.call(Patch, "secret/metadata/app", body).unwrap();
    trial.now = countersign_base::UnixTime(trial.now.0 + 60);
    write(&mut trial, "app", json!({"a": 2}));
    assert_eq!(
        trial.data(Read, "secret/metadata/app", Json::Null),
        json!({
            "cas_required": false,
            "created_time": "2027-01-15T08:00:00Z",
            "current_version": 2,
            "custom_metadata": {"team": "b", "x": "y"},
            "delete_version_after": "0s",
            "max_versions": 0,
            "oldest_version": 0,
            "updated_time": "2027-01-15T08:01:00Z",
            "versions": {
                "1": {"created_time": "2027-01-15T08:00:00Z", "deletion_time": "", "destroyed": false},
                "2": {"created_time": "2027-01-15T08:01:00Z", "deletion_time": "", "destroyed": false},
            },
        })
    );
    let data = trial.data(Read, "secret/data/app", Json::Null);
    assert_eq!(data["metadata"]["custom_metadata"]["team"], "b");
}

#[test]
fn custom_metadata_has_vaults_limits() {
    let mut trial = Trial::new();
    let many = |count: usize| -> serde_json::Map<String, Json> {
        (0..count).map(|n| (n.to_string(), json!("v"))).collect()
    };
    for (custom, taken) in [
        (Json::Object(many(64)), true),
        (Json::Object(many(65)), false),
        (json!({"k".repeat(128): "v"}), true),
        (json!({"k".repeat(129): "v"}), false),
        (json!({"k": "v".repeat(512)}), true),
        (json!({"k": "v".repeat(513)}), false),
        (json!({"k": ""}), false),
        (json!({"": "v"}), false),
        (json!({"k": "a\nb"}), false),
        (json!({"k": 1}), false),
    ] {
        let body = json!({ "custom_metadata": custom });
        let answer = trial.call(Update, "secret/metadata/app", body);
        assert_eq!(answer.is_ok(), taken, "{custom}");
    }
    // What a patch adds counts with what is there.
    let body = json!({"custom_metadata": Json::Object(many(64))});
    trial.call(Update, "secret/metadata/app", body).unwrap();
    let one_more = json!({"custom_metadata": {"more": "v"}});
    assert!(trial.call(Patch, "secret/metadata/app", one_more).is_err());
}

#[test]
fn folders_and_secrets_of_one_name_are_both_listed() {
    let mut trial = Trial::new();
    for path in ["a", "a/b", "a/b/c", "a/1/2", "a!", "z/1", "z/1/2/3"] {
        write(&mut trial, path, json!({"of": path}));
        write(&mut trial, path, json!({"of": path}));
    }
    assert_eq!(keys(&mut trial, "secret/metadata"), ["a", "a!", "a/", "z/"]);
    assert_eq!(
        keys(&mut trial, "secret/metadata/"),
        ["a", "a!", "a/", "z/"]
    );
    assert_eq!(keys(&mut trial, "secret/metadata/a"), ["1/", "b", "b/"]);
    assert_eq!(keys(&mut trial, "secret/metadata/a/"), ["1/", "b", "b/"]);
    assert_eq!(keys(&mut trial, "secret/metadata/z/1"), ["2/"]);
    assert_eq!(keys(&mut trial, "secret/metadata?limit=2"), ["a", "a!"]);
    assert_eq!(keys(&mut trial, "secret/metadata?after=a!&limit=1"), ["a/"]);
    assert_eq!(keys(&mut trial, "secret/metadata?after=a/"), ["z/"]);
    let none = refused(trial.call(List, "secret/metadata/none", Json::Null));
    assert_eq!(none, VaultError::NotFound);
    // The path `z/1` with its first version is not `z` with a version `1`.
    assert_eq!(read(&mut trial, "z"), Err(VaultError::NotFound));
    for path in ["a", "a/b", "z/1"] {
        assert_eq!(
            read(&mut trial, &format!("{path}?version=1")).unwrap()["of"],
            path
        );
    }
}

#[test]
fn long_listings_come_in_pages_and_deep_folders_are_stepped_over() {
    let mut trial = Trial::new();
    trial
        .step(|work, cx| {
            let mounts = Mounts::read(work)?;
            let mount = mounts.get("secret/").unwrap();
            let key = Key::new(cx.now, config::Settings::default());
            for n in 0..2_500 {
                work.put(
                    &mount.entry(&["kv", "meta", "deep", &format!("{n:04}")]),
                    &key,
                )?;
                work.put(&mount.entry(&["kv", "meta", &format!("k{n:04}")]), &key)?;
            }
            Ok(())
        })
        .unwrap();
    let names = keys(&mut trial, "secret/metadata");
    assert_eq!(names.len(), 2_501);
    assert_eq!(names[0], "deep/");
    assert_eq!(names[2_500], "k2499");
    assert_eq!(keys(&mut trial, "secret/metadata/deep").len(), 2_500);
}

#[test]
fn deleting_metadata_leaves_nothing() {
    let mut trial = Trial::new();
    for number in 0..9 {
        write(&mut trial, "app", json!({ "n": number }));
    }
    write(&mut trial, "app/x", json!({"a": 1}));
    trial
        .call(Delete, "secret/metadata/app", Json::Null)
        .unwrap();
    trial
        .call(Delete, "secret/metadata/app", Json::Null)
        .unwrap();
    assert_eq!(read(&mut trial, "app"), Err(VaultError::NotFound));
    read(&mut trial, "app/x").unwrap();
    trial
        .call(Delete, "secret/metadata/app/x", Json::Null)
        .unwrap();
    assert!(trial.stored("mount/").is_empty());
    assert_eq!(write(&mut trial, "app", json!({}))["version"], 1);
}

#[test]
fn subkeys_show_names_alone() {
    let mut trial = Trial::new();
    write(
        &mut trial,
        "app",
        json!({"a": "CANARY", "b": {"c": {"d": "CANARY"}, "e": []}}),
    );
    let data = trial.data(Read, "secret/subkeys/app", Json::Null);
    assert_eq!(
        data["subkeys"],
        json!({"a": null, "b": {"c": {"d": null}, "e": null}})
    );
    assert!(!data.to_string().contains("CANARY"));
    let data = trial.data(Read, "secret/subkeys/app?depth=1", Json::Null);
    assert_eq!(data["subkeys"], json!({"a": null, "b": null}));
}

#[test]
fn what_is_no_place_is_refused() {
    let mut trial = Trial::new();
    let data = json!({"data": {}});
    for (operation, path, error) in [
        (Read, "secret/data", VaultError::NotFound),
        (Read, "secret/data/a/", VaultError::NotFound),
        (Read, "secret/nothing/a", VaultError::NotFound),
        (Update, "secret/data", VaultError::NotFound),
        (
            Update,
            "secret/data/a/",
            VaultError::invalid("cannot write to a path ending in '/'"),
        ),
        (Read, "secret/destroy/a", VaultError::Unsupported),
        (List, "secret/data/a", VaultError::Unsupported),
        (Patch, "secret/config", VaultError::Unsupported),
        (
            Update,
            "secret/data/\u{10FFFF}",
            VaultError::invalid("the path holds a code point that is no character"),
        ),
    ] {
        assert_eq!(
            refused(trial.call(operation, path, data.clone())),
            error,
            "{path}"
        );
    }
    trial.call(Update, "secret/data/a", data).unwrap();
}

#[test]
fn what_is_not_there_is_created_and_else_updated() {
    let mut trial = Trial::new();
    let is_there = |trial: &mut Trial, path: &str| {
        let path = RequestPath::parse(path).unwrap();
        trial
            .step(|work, _| {
                let mounts = Mounts::read(work)?;
                let (at, mount, rest) = mounts.route(&path)?;
                let call = Call {
                    operation: Update,
                    path: path.clone(),
                    at: at.to_owned(),
                    mount: mount.clone(),
                    rest: rest.to_owned(),
                    query: Default::default(),
                    body: Default::default(),
                    caller: root(),
                    shown: None,
                    peer: None,
                    from: None,
                    request: countersign_base::RequestId::from_bytes([1; 16]),
                    wrap_ttl: None,
                };
                engine::exists(&call, work)
            })
            .unwrap()
    };
    for path in ["secret/data/app", "secret/metadata/app"] {
        assert!(!is_there(&mut trial, path), "{path}");
    }
    assert!(is_there(&mut trial, "secret/destroy/app"));
    trial
        .call(Create, "secret/data/app", json!({"data": {}}))
        .unwrap();
    trial.call(Delete, "secret/data/app", Json::Null).unwrap();
    for path in ["secret/data/app", "secret/metadata/app"] {
        assert!(is_there(&mut trial, path), "{path}");
    }
}

#[test]
fn a_value_past_the_limit_is_refused_and_the_old_one_stays() {
    let mut trial = Trial::new();
    write(&mut trial, "app", json!({"a": 1}));
    let long = "x".repeat(crate::entry::VALUE_BYTES_MAX);
    let error = refused(trial.call(Update, "secret/data/app", json!({"data": {"a": long}})));
    assert_eq!(error, VaultError::TooLarge);
    assert_eq!(read(&mut trial, "app").unwrap(), json!({"a": 1}));
}

#[test]
fn two_mounts_share_nothing() {
    let mut trial = Trial::new();
    trial.mount("other/", EngineKind::Kv);
    write(&mut trial, "app", json!({"a": 1}));
    assert!(trial.call(Read, "other/data/app", Json::Null).is_err());
    trial
        .call(Update, "other/data/app", json!({"data": {"a": 2}}))
        .unwrap();
    assert_eq!(read(&mut trial, "app").unwrap(), json!({"a": 1}));
}

/// What happens to a secret.
#[derive(Debug, Clone)]
enum Step {
    Delete(u64),
    Destroy(u64),
    DeleteLatest,
    Remove,
    Undelete(u64),
    Write(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = 1..8u64;
    let step = prop_oneof![
        number.clone().prop_map(Step::Delete),
        number.clone().prop_map(Step::Destroy),
        Just(Step::DeleteLatest),
        Just(Step::Remove),
        number.prop_map(Step::Undelete),
        prop_oneof![Just(1usize), Just(9_000)].prop_map(Step::Write),
        prop_oneof![Just(1usize), Just(9_000)].prop_map(Step::Write),
        prop_oneof![Just(1usize), Just(9_000)].prop_map(Step::Write),
    ];
    proptest::collection::vec(step, 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against a plain list of versions: what can be read is the same, and no more values are stored than can be read or brought back.
    #[test]
    fn histories_are_as_a_plain_list_has_them(steps in steps()) {
        let mut trial = Trial::new();
        trial.call(Update, "secret/config", json!({"max_versions": 3})).unwrap();
        // (number, length, deleted, destroyed)
        let mut model: Vec<(u64, usize, bool, bool)> = Vec::new();
        let mut last = 0;
        for step in steps {
            let numbers = |number: u64| json!({"versions": [number]});
            match step {
                Step::Delete(number) => {
                    trial.call(Update, "secret/delete/app", numbers(number)).unwrap();
                    for version in &mut model { version.2 |= version.0 == number; }
                }
                Step::Destroy(number) => {
                    trial.call(Update, "secret/destroy/app", numbers(number)).unwrap();
                    for version in &mut model { version.3 |= version.0 == number; }
                }
                Step::DeleteLatest => {
                    trial.call(Delete, "secret/data/app", Json::Null).unwrap();
                    if let Some(version) = model.last_mut() { version.2 = true; }
                }
                Step::Remove => {
                    trial.call(Delete, "secret/metadata/app", Json::Null).unwrap();
                    model.clear();
                    last = 0;
                }
                Step::Undelete(number) => {
                    trial.call(Update, "secret/undelete/app", numbers(number)).unwrap();
                    for version in &mut model { version.2 &= version.0 != number; }
                }
                Step::Write(length) => {
                    write(&mut trial, "app", json!({"v": "x".repeat(length)}));
                    last += 1;
                    model.push((last, length, false, false));
                    if model.len() > 3 { model.remove(0); }
                }
            }
            for number in 1..=last {
                let found = read(&mut trial, &format!("app?version={number}"));
                match model.iter().find(|version| version.0 == number) {
                    None => prop_assert_eq!(found, Err(VaultError::NotFound)),
                    Some((_, length, false, false)) => {
                        prop_assert_eq!(found.unwrap()["v"].as_str().unwrap().len(), *length);
                    }
                    Some(_) => prop_assert!(matches!(found, Err(VaultError::NotFoundWith(_)))),
                }
            }
            let kept = model.iter().filter(|version| !version.3).count();
            let stored = trial.dump().matches("{\"v\":").count();
            prop_assert_eq!(stored, kept);
        }
    }
}
