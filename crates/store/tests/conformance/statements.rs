//! Every statement of the catalogue is one that the engine understands.

use crate::behaviours;
use crate::fixture::Fixture;
use countersign_store::catalogue::STATEMENTS;
use sqlx::{Executor as _, SqlSafeStr as _};

behaviours! { every_statement_prepares }

async fn every_statement_prepares(fixture: Fixture) {
    let (sqlite, postgres) = fixture.store.pools();
    for statement in STATEMENTS {
        let name = (statement.table, statement.name);
        if let Some(pool) = &sqlite {
            let mut connection = pool.acquire().await.unwrap();
            let prepared = (*connection).prepare(statement.sqlite.into_sql_str()).await;
            assert!(prepared.is_ok(), "{name:?}: {:?}", prepared.err());
        }
        if let Some(pool) = &postgres {
            let mut connection = pool.acquire().await.unwrap();
            let prepared = (*connection)
                .prepare(statement.postgres.into_sql_str())
                .await;
            assert!(prepared.is_ok(), "{name:?}: {:?}", prepared.err());
        }
    }
}
