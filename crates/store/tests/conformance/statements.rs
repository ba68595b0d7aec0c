//! Every statement of the catalogue is one that the engine understands.

use crate::behaviours;
use crate::fixture::Fixture;
use countersign_store::catalogue::STATEMENTS;

behaviours! { every_statement_prepares }

async fn every_statement_prepares(fixture: Fixture) {
    for statement in STATEMENTS {
        let prepared = fixture.store.prepare(statement).await;
        assert!(
            prepared.is_ok(),
            "{}.{}: {:?}",
            statement.table,
            statement.name,
            prepared.err()
        );
    }
}
