use super::*;
use crate::trial::Trial;

pub(super) fn made(trial: &mut Trial, new: &NewToken) -> Auth {
    trial.step(|work, cx| issue(new.clone(), work, cx)).unwrap()
}

pub(super) fn used(trial: &mut Trial, shown: &Secret<String>) -> Option<Held> {
    trial.step(|work, cx| take_use(shown, work, cx)).unwrap()
}

fn signed_in() -> NewToken {
    NewToken {
        policies: BTreeSet::from(["App".to_owned()]),
        display_name: "approle".to_owned(),
        path: "auth/approle/login".to_owned(),
        ..NewToken::default()
    }
}

#[test]
fn a_token_is_shown_once_and_kept_as_its_hash() {
    let mut trial = Trial::new();
    let auth = made(&mut trial, &signed_in());
    let shown = auth.client_token.expose();
    assert!(shown.starts_with("hvs.") && shown.len() == 47, "{shown}");
    assert_eq!(auth.policies, ["app", "default"]);
    assert_eq!(auth.lasts, Duration::from_secs(768 * 3_600));
    assert!(auth.orphan && auth.renewable && auth.uses == 0);
    let random = shown.trim_start_matches("hvs.");
    assert!(!trial.dump().contains(random), "it is stored nowhere");
    let held = used(&mut trial, &auth.client_token).unwrap();
    assert_eq!(held.accessor, auth.accessor);
    assert_eq!(held.display_name, "approle");
    assert!(!held.is_root());
    // Nothing but the very token is it.
    for other in [
        format!("{shown}A"),
        format!("hvb.{random}"),
        random.to_owned(),
        shown.to_lowercase(),
        String::new(),
        auth.accessor.clone(),
    ] {
        assert!(used(&mut trial, &Secret::new(other)).is_none());
    }
}
