//! A card as its table has it: an id, whose it is, and envelopes.

use countersign_base::ParseError;
use countersign_guard::sealed::{
    BlindIndex, DataSubject, Disclosure, Reach, Sealed, SealedFields, digits,
};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// What the service makes at its first start.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS cards
    (card BIGINT PRIMARY KEY, owner TEXT NOT NULL, pan BYTEA NOT NULL, pan_index BIGINT, holder BYTEA NOT NULL, expiry BYTEA NOT NULL)";

/// One row.
#[derive(SealedFields)]
#[sealed(table = "cards")]
pub(super) struct Card {
    pub(super) id: i64,
    /// The number.
    #[sealed(
        classification = "restricted",
        key = "subject",
        mask = "last4",
        blind_index(rows = 1_000_000, normalise = digits),
        purposes("charge")
    )]
    pub(super) pan: Sealed<CardPan>,
    /// What the row is found by.
    pub(super) pan_index: BlindIndex<CardPan>,
    /// Whose name stands on it.
    #[sealed(
        classification = "confidential",
        key = "subject",
        purposes("statement")
    )]
    pub(super) holder: Sealed<CardHolder>,
    /// Month and year.
    #[sealed(
        classification = "confidential",
        key = "subject",
        purposes("statement")
    )]
    pub(super) expiry: Sealed<CardExpiry>,
}

/// Who opens what, and for what. Everybody opens their own, and what is not here is denied.
pub(super) fn rules() -> Result<Disclosure, ParseError> {
    let (charge, read) = ("billing.charge".parse()?, "cards.read");
    Ok(Disclosure::new()
        .allow(CardPan::CHARGE, Reach::CallerAlone, charge)
        .allow_mask::<CardPan>(Reach::CallerAlone, read.parse()?)
        .allow(CardHolder::STATEMENT, Reach::CallerAlone, read.parse()?)
        .allow(CardExpiry::STATEMENT, Reach::CallerAlone, read.parse()?))
}

/// A row as it is read: one whose owner was erased has no index.
pub(super) struct Found {
    pub(super) id: i64,
    pub(super) pan: Sealed<CardPan>,
    pub(super) holder: Sealed<CardHolder>,
    pub(super) expiry: Sealed<CardExpiry>,
}

fn read(row: &PgRow) -> Result<Found, sqlx::Error> {
    Ok(Found {
        id: row.try_get("card")?,
        pan: row.try_get("pan")?,
        holder: row.try_get("holder")?,
        expiry: row.try_get("expiry")?,
    })
}

fn all(rows: &[PgRow]) -> Result<Vec<Found>, sqlx::Error> {
    rows.iter().map(read).collect()
}

impl Card {
    pub(super) async fn insert(
        &self,
        owner: &DataSubject,
        connection: &mut PgConnection,
    ) -> Result<(), sqlx::Error> {
        let query = sqlx::query(
            "INSERT INTO cards (card, owner, pan, pan_index, holder, expiry) VALUES ($1, $2, $3, $4, $5, $6)",
        );
        let query = query
            .bind(self.id)
            .bind(owner.as_str())
            .bind(&self.pan)
            .bind(self.pan_index)
            .bind(&self.holder)
            .bind(&self.expiry);
        query.execute(connection).await.map(|_| ())
    }

    pub(super) async fn of_owner(
        owner: &DataSubject,
        connection: &mut PgConnection,
    ) -> Result<Vec<Found>, sqlx::Error> {
        let query = sqlx::query(
            "SELECT card, pan, holder, expiry FROM cards WHERE owner = $1 ORDER BY card LIMIT 100",
        );
        let rows = query.bind(owner.as_str()).fetch_all(connection).await?;
        all(&rows)
    }

    pub(super) async fn of_index(
        owner: &DataSubject,
        index: BlindIndex<CardPan>,
        connection: &mut PgConnection,
    ) -> Result<Vec<Found>, sqlx::Error> {
        let query = sqlx::query(
            "SELECT card, pan, holder, expiry FROM cards WHERE owner = $1 AND pan_index = $2 ORDER BY card LIMIT 100",
        );
        let query = query.bind(owner.as_str()).bind(index);
        all(&query.fetch_all(connection).await?)
    }

    pub(super) async fn find(
        owner: &DataSubject,
        card: i64,
        connection: &mut PgConnection,
    ) -> Result<Option<Found>, sqlx::Error> {
        let query = sqlx::query(
            "SELECT card, pan, holder, expiry FROM cards WHERE owner = $1 AND card = $2",
        );
        let query = query.bind(owner.as_str()).bind(card);
        let row = query.fetch_optional(connection).await?;
        row.as_ref().map(read).transpose()
    }

    /// Blind indexes are not under a person's key; how many rows had one.
    pub(super) async fn forget_indexes(
        owner: &DataSubject,
        connection: &mut PgConnection,
    ) -> Result<u64, sqlx::Error> {
        let query = sqlx::query("UPDATE cards SET pan_index = NULL WHERE owner = $1");
        let done = query.bind(owner.as_str()).execute(connection).await?;
        Ok(done.rows_affected())
    }
}
