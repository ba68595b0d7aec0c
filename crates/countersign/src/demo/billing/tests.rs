use super::card::rules;
use super::{CardExpiry, CardHolder, CardPan, Refused, keys};
use crate::demo::database::fixtures::Tried;
use axum::http::StatusCode;
use countersign_guard::sealed::{
    DataDictionary, DataKeyError, EntryName, KeyId, KeyOwner, KeyRow, KeyVersion, OpenError,
    SealedFields, WrappedKey,
};
use sqlx::{Connection as _, Executor as _, PgConnection};

fn key_of(id: u8, version: u32) -> WrappedKey {
    WrappedKey {
        id: KeyId::from_bytes([id; 8]),
        version: KeyVersion(version),
        wrapped: format!("vault:v1:{id}-{version}"),
    }
}

fn key(version: u32) -> WrappedKey {
    key_of(1, version)
}

fn other_key(version: u32) -> WrappedKey {
    key_of(2, version)
}

/// A table of keys, without the vault that wraps them.
async fn table(tried: &Tried) -> PgConnection {
    tried.ledger.prepare().await.unwrap();
    tried.set_password("known").await;
    let mut connection = tried.sign_in("known").await.unwrap();
    connection.execute(keys::TABLE).await.unwrap();
    connection
}

async fn erasure_stays(tried: Tried) {
    let mut connection = table(&tried).await;
    let owner = |person: &str| {
        let subject = countersign_guard::sealed::DataSubject::parse(person).unwrap();
        KeyOwner::Subject("demo".parse().unwrap(), subject)
    };
    let (leaves, stays, never_came) = (owner("leaves"), owner("stays"), owner("never-came"));
    for who in [&leaves, &stays] {
        for version in [1, 2] {
            keys::add(&mut connection, who, &key(version))
                .await
                .unwrap();
        }
        // Another node's key of that version came first, and stays.
        let late = other_key(2);
        let newest = keys::add(&mut connection, who, &late).await.unwrap();
        assert_eq!(newest, KeyRow::Key(key(2)));
    }
    for who in [&leaves, &never_came] {
        keys::erase(&mut connection, who).await.unwrap();
        // Once more changes nothing.
        keys::erase(&mut connection, who).await.unwrap();
        assert_eq!(
            keys::newest(&mut connection, who).await.unwrap(),
            KeyRow::Erased
        );
        let again = keys::add(&mut connection, who, &key(3)).await.unwrap();
        assert_eq!(again, KeyRow::Erased, "no key is ever made again");
        let first = key(1);
        let named = keys::named(&mut connection, who, first.id, first.version).await;
        assert_eq!(named.unwrap(), KeyRow::Erased);
    }
    let first = key(1);
    let named = keys::named(&mut connection, &stays, first.id, first.version).await;
    assert_eq!(named.unwrap(), KeyRow::Key(first.clone()));
    let other = other_key(1);
    let named = keys::named(&mut connection, &stays, other.id, first.version).await;
    assert_eq!(named.unwrap(), KeyRow::Absent);
    connection.close().await.unwrap();
    tried.ledger.remove().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_customer_stays_erased_and_others_do_not() {
    erasure_stays(Tried::own()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_customer_stays_erased_on_postgresql() {
    if let Some(tried) = Tried::real() {
        erasure_stays(tried).await;
    }
}

#[test]
fn what_is_answered_tells_erased_from_denied_and_from_broken() {
    for (error, status) in [
        (OpenError::Erased, StatusCode::GONE),
        (OpenError::Unavailable, StatusCode::SERVICE_UNAVAILABLE),
        (OpenError::Elsewhere, StatusCode::INTERNAL_SERVER_ERROR),
        (OpenError::from(DataKeyError::Erased), StatusCode::GONE),
    ] {
        assert_eq!(Refused::from(error).0, status);
    }
}

#[test]
fn each_field_is_under_its_customers_key_and_opens_for_one_purpose() {
    assert!(rules().is_ok());
    let dictionary = DataDictionary::new(EntryName::try_from("billing".to_owned()).unwrap());
    let dictionary = dictionary.with::<super::Card>().unwrap();
    let json: serde_json::Value = serde_json::from_str(&dictionary.to_json().unwrap()).unwrap();
    let fields = json["fields"].as_array().unwrap();
    assert_eq!(fields.len(), <super::Card as SealedFields>::entries().len());
    for (column, purpose) in [
        ("pan", "charge"),
        ("holder", "statement"),
        ("expiry", "statement"),
    ] {
        let field = fields
            .iter()
            .find(|field| field["column"] == column)
            .unwrap();
        assert_eq!(field["key_scope"], "subject", "{column}");
        assert_eq!(field["purposes"], serde_json::json!([purpose]), "{column}");
    }
    let names = [
        CardPan::CHARGE.name(),
        CardHolder::STATEMENT.name(),
        CardExpiry::STATEMENT.name(),
    ];
    assert_eq!(names, ["charge", "statement", "statement"]);
}
