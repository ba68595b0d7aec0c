//! Sealed columns in a real PostgreSQL: what the database holds, and what it gives back.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail it by panicking"
)]

use countersign_base::{Clock, Secret, Tenant, UnixMillis};
use countersign_crypto::Random;
use countersign_guard::sealed::{
    BlindIndex, CacheLimits, DataKeyError, DataKeySource, FieldKey, FieldKeys, IndexRoot, KeyId,
    KeyOwner, KeyVersion, Place, RowKey, Sealed, SealedFields, digits,
};
use futures_util::future::{BoxFuture, ready};
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, Row as _};

const CANARY: &str = "4929 1234 5678 9012";

#[derive(SealedFields)]
#[sealed(table = "cards")]
struct Card {
    id: i64,
    #[sealed(
        classification = "restricted",
        blind_index(rows = 1_000_000, normalise = digits)
    )]
    pan: Sealed<CardPan>,
    pan_index: BlindIndex<CardPan>,
    #[sealed(classification = "restricted")]
    track: Option<Sealed<CardTrack>>,
}

impl Card {
    fn read(row: &PgRow) -> Self {
        Self {
            id: row.get("id"),
            pan: row.get("pan"),
            pan_index: row.get("pan_index"),
            track: row.get("track"),
        }
    }
}

struct OneKey;

impl DataKeySource for OneKey {
    fn current(&self, _: &KeyOwner) -> BoxFuture<'static, Result<FieldKey, DataKeyError>> {
        let id = KeyId::from_bytes([1; 8]);
        let key = FieldKey::new(id, KeyVersion(1), Secret::new([2; 32]));
        Box::pin(ready(Ok(key)))
    }

    fn named(
        &self,
        owner: &KeyOwner,
        _: KeyId,
        _: KeyVersion,
    ) -> BoxFuture<'static, Result<FieldKey, DataKeyError>> {
        self.current(owner)
    }

    fn index_root(&self, _: &Tenant) -> BoxFuture<'static, Result<IndexRoot, DataKeyError>> {
        Box::pin(ready(Ok(IndexRoot::new(Secret::new([3; 32])))))
    }
}

/// A connection with a schema of its own, or `None`, and a line that says why.
async fn connect() -> Option<PgConnection> {
    let Ok(server) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
        eprintln!("skipped: COUNTERSIGN_TEST_POSTGRES names no PostgreSQL server");
        return None;
    };
    let mut connection = PgConnection::connect(&server).await.unwrap();
    // Temporary: the table goes with the connection.
    sqlx::raw_sql("CREATE TEMPORARY TABLE cards (id BIGINT PRIMARY KEY, pan BYTEA NOT NULL, pan_index BIGINT NOT NULL, track BYTEA)")
        .execute(&mut connection)
        .await
        .unwrap();
    Some(connection)
}

fn place(row: i64) -> Place<CardPan> {
    Place::in_tenant(Tenant::default_tenant(), RowKey::number(row))
}

#[tokio::test]
async fn a_column_holds_ciphertext_and_is_found_by_its_index() {
    let Some(mut connection) = connect().await else {
        return;
    };
    let clock = Clock::from_fn(|| UnixMillis(1_800_000_000_000));
    let keys = FieldKeys::new(OneKey, CacheLimits::default(), clock, Random::system());
    let tenant = Tenant::default_tenant();
    for (row, pan) in [(1, CANARY), (2, "4111 1111 1111 1111")] {
        let pan = Secret::new(pan.to_owned());
        let sealed = keys.seal(&pan, &place(row)).await.unwrap();
        let index = keys.index::<CardPan>(pan.expose(), &tenant).await.unwrap();
        sqlx::query("INSERT INTO cards VALUES ($1, $2, $3, $4)")
            .bind(row)
            .bind(&sealed)
            .bind(index)
            .bind(None::<Sealed<CardTrack>>)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    // What the database holds: as text, and as the bytes of the column.
    for row in sqlx::query("SELECT cards::text, pan FROM cards")
        .fetch_all(&mut connection)
        .await
        .unwrap()
    {
        let (text, bytes): (String, Vec<u8>) = (row.get(0), row.get(1));
        assert!(!text.contains("9012") && bytes.starts_with(&[0xC5, 1]));
    }
    // What is looked for as somebody else writes it.
    let wanted = "4929-1234-5678-9012".to_owned();
    let index = keys.index::<CardPan>(&wanted, &tenant).await.unwrap();
    let rows = sqlx::query("SELECT id, pan, pan_index, track FROM cards WHERE pan_index = $1")
        .bind(index)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let found: Vec<Card> = rows.iter().map(Card::read).collect();
    let [card] = found.as_slice() else {
        panic!("one card has this index");
    };
    assert!(card.id == 1 && card.track.is_none() && card.pan_index == index);
    // It is the envelope that was sealed: it is of the current key, and of its row.
    assert!(keys.rewrap(&card.pan, &place(1)).await.unwrap().is_none());
    // Plaintext that was left in the column, and an index of another plan, are not taken for what they are not.
    for (statement, column) in [
        ("UPDATE cards SET pan = '4929 1234 5678 9012'::bytea", "pan"),
        ("UPDATE cards SET pan_index = 16384", "pan_index"),
    ] {
        sqlx::raw_sql(statement)
            .execute(&mut connection)
            .await
            .unwrap();
        let row = sqlx::query("SELECT pan, pan_index FROM cards LIMIT 1")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let error = match column {
            "pan" => row.try_get::<Sealed<CardPan>, _>(column).err(),
            _ => row.try_get::<BlindIndex<CardPan>, _>(column).err(),
        };
        let error = error.unwrap().to_string();
        assert!(!error.contains("4929"), "{error}");
    }
}
