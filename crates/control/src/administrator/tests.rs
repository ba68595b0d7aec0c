//! Every way not to be the administrator, each beside the request that is.

use super::*;
use countersign_authn::replay::ReplayLimits;
use countersign_testkit::seeded;
use std::os::unix::fs::PermissionsExt;

const NOW: UnixTime = UnixTime(1_795_219_200);
const PATH: &str = "/admin/v1/tenants/default/users";

struct Setting {
    data: tempfile::TempDir,
    administrator: LocalAdministrator,
    replay: ReplayMemory,
}

fn setting() -> Setting {
    let data = tempfile::tempdir().unwrap();
    let control = "https://localhost:8445".parse().unwrap();
    let administrator =
        LocalAdministrator::issue(data.path(), control, seeded(1), None, NOW).unwrap();
    Setting {
        data,
        administrator,
        replay: ReplayMemory::new(ReplayLimits::default()),
    }
}

impl Setting {
    fn key(&self) -> AdministratorKey {
        AdministratorKey::read(self.data.path(), NOW).unwrap()
    }

    fn headers(&self) -> HeaderMap {
        self.key()
            .prove(&Method::POST, PATH, &Random::system(), NOW)
            .unwrap()
    }

    fn judge(&self, headers: &HeaderMap, path: &str, now: UnixTime) -> Option<NotAdministrator> {
        let call = AdminCall {
            method: &Method::POST,
            path,
            headers,
        };
        self.administrator
            .authenticate(&call, &self.replay, now)
            .err()
    }
}

#[test]
fn the_file_is_private_and_says_where_and_until_when() {
    let setting = setting();
    let path = setting.data.path().join(FILE);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        setting.key().control().as_str(),
        "https://localhost:8445/",
        "what the command line connects to"
    );
    assert!(matches!(
        AdministratorKey::read(setting.data.path(), NOW.plus(LIFETIME)),
        Err(AdministratorError::Expired)
    ));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(
        matches!(
            AdministratorKey::read(setting.data.path(), NOW),
            Err(AdministratorError::Read(RootError::Mode(_)))
        ),
        "a file that others can read is not used"
    );
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(matches!(
        AdministratorKey::read(elsewhere.path(), NOW),
        Err(AdministratorError::Missing(_))
    ));
}

#[test]
fn a_request_with_token_and_proof_is_the_administrators_once() {
    let setting = setting();
    let headers = setting.headers();
    assert_eq!(setting.judge(&headers, PATH, NOW), None);
    assert_eq!(
        setting.judge(&headers, PATH, NOW),
        Some(NotAdministrator::Replayed)
    );
    assert_eq!(setting.judge(&setting.headers(), PATH, NOW), None);
}

#[test]
fn what_is_missing_or_another_is_refused_and_its_twin_accepted() {
    let setting = setting();
    let other = self::setting();
    let changed = |change: fn(&mut HeaderMap, HeaderMap)| {
        let mut headers = setting.headers();
        change(&mut headers, other.headers());
        setting.judge(&headers, PATH, NOW)
    };
    assert_eq!(changed(|_, _| {}), None);
    assert_eq!(
        changed(|headers, _| headers.clear()),
        Some(NotAdministrator::Missing)
    );
    assert_eq!(
        changed(|headers, _| drop(headers.remove("dpop"))),
        Some(NotAdministrator::ProofMissing)
    );
    assert_eq!(
        changed(|headers, others| drop(
            headers.insert("dpop", others.get("dpop").unwrap().clone())
        )),
        Some(NotAdministrator::KeyUnknown)
    );
    // Both settings draw their tokens from the same seed, so a foreign token is made by hand.
    assert_eq!(
        changed(|headers, _| drop(
            headers.insert("authorization", HeaderValue::from_static("DPoP another"))
        )),
        Some(NotAdministrator::TokenUnknown)
    );
    assert_eq!(
        changed(|headers, others| {
            headers.append(
                "authorization",
                others.get("authorization").unwrap().clone(),
            );
        }),
        Some(NotAdministrator::TokenUnknown)
    );
    assert_eq!(
        changed(|headers, _| {
            let bearer = headers.get("authorization").unwrap().to_str().unwrap();
            let bearer = bearer.replacen("DPoP", "Bearer", 1);
            headers.insert("authorization", bearer.parse().unwrap());
        }),
        Some(NotAdministrator::TokenUnknown)
    );
}

#[test]
fn a_proof_is_for_one_method_one_address_and_one_minute() {
    let setting = setting();
    assert_eq!(
        setting.judge(&setting.headers(), "/admin/v1/tenants/other/users", NOW),
        Some(NotAdministrator::Proof(DpopReason::HtuMismatch))
    );
    let get = setting
        .key()
        .prove(&Method::GET, PATH, &Random::system(), NOW)
        .unwrap();
    assert_eq!(
        setting.judge(&get, PATH, NOW),
        Some(NotAdministrator::Proof(DpopReason::HtmMismatch))
    );
    let old = setting.headers();
    assert_eq!(
        setting.judge(&old, PATH, NOW.plus(Duration::from_secs(61))),
        Some(NotAdministrator::Proof(DpopReason::IatTooOld))
    );
    assert_eq!(setting.judge(&old, PATH, NOW), None);
}

#[test]
fn a_credential_ends_with_its_day_and_with_the_next_one() {
    let setting = setting();
    let key = setting.key();
    let at = |now| {
        let headers = key
            .prove(&Method::POST, PATH, &Random::system(), now)
            .unwrap();
        setting.judge(&headers, PATH, now)
    };
    let end = NOW.plus(LIFETIME);
    // Time only moves on here: a memory of used proofs refuses what comes from before the latest time it has seen.
    assert_eq!(at(UnixTime(end.0 - 1)), None);
    assert_eq!(at(end), Some(NotAdministrator::Expired));
    setting.administrator.renew(None, end).unwrap();
    assert_eq!(at(end), Some(NotAdministrator::TokenUnknown));
    let renewed = AdministratorKey::read(setting.data.path(), end)
        .unwrap()
        .prove(&Method::POST, PATH, &Random::system(), end)
        .unwrap();
    assert_eq!(setting.judge(&renewed, PATH, end), None);
}
