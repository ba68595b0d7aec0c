//! The types of the columns, without a database; what a database gives back is tested in `tests/postgres.rs`.

use crate::sealed::fixtures::{CANARY, CardPan, Rows, keys, tenant};
use crate::sealed::{BlindIndex, Place, RowKey, Sealed, Secret};
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, Postgres, Type};

#[tokio::test]
async fn an_envelope_is_bytea_and_an_index_is_bigint() {
    let (keys, ..) = keys(&Rows::default());
    let place = Place::in_tenant(tenant("demo"), RowKey::number(1));
    let value = Secret::new(CANARY.to_owned());
    let sealed: Sealed<CardPan> = keys.seal(&value, &place).await.unwrap();
    let index = keys
        .index::<CardPan>(value.expose(), &tenant("demo"))
        .await
        .unwrap();
    assert_eq!(
        <Sealed<CardPan> as Type<Postgres>>::type_info().to_string(),
        "BYTEA"
    );
    assert_eq!(
        <BlindIndex<CardPan> as Type<Postgres>>::type_info().to_string(),
        "INT8"
    );
    let mut arguments = PgArguments::default();
    arguments.add(&sealed).unwrap();
    arguments.add(index).unwrap();
    assert_eq!(arguments.len(), 2);
}
