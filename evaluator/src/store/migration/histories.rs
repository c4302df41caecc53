//! What is known of each person, kept beside the log.

use sea_orm_migration::prelude::*;

use super::{column, key, table};

pub(super) struct Histories;

impl MigrationName for Histories {
    fn name(&self) -> &'static str {
        "m0011_histories_of_people"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Histories {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Rows are built from the log on opening.
        let version = column("version").integer().not_null().take();
        let columns = [key("unit"), version, column("payload").text().not_null().take()];
        manager.create_table(table("evaluator_history", columns)).await
    }
}
