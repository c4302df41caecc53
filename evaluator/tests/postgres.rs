//! The same journey on PostgreSQL at 127.0.0.1:5432, in a database of its own. Fails where there is none.

use sea_orm::{ConnectionTrait as _, Database};

use crate::support;

const SERVER: &str = "postgres://postgres@127.0.0.1:5432";

#[tokio::test(flavor = "multi_thread")]
async fn postgres_bears_the_same_journey() {
    let name = format!("evaluator_test_{}", uuid::Uuid::new_v4().simple());
    let admin = Database::connect(format!("{SERVER}/postgres")).await.expect("PostgreSQL at 127.0.0.1:5432");
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database");
    let url = format!("{SERVER}/{name}");
    let journey = tokio::spawn(async move {
        let mut served = support::served_on(&url, tempfile::tempdir().expect("a folder")).await;
        support::experiment_journey(&mut served).await;
    });
    let outcome = journey.await;
    admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
    outcome.expect("the journey");
}
