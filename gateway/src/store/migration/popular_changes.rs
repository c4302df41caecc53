//! The version of the popularity list in which each of its rows was changed, so that a list fetched before does not undo
//! the change.

use sea_orm_migration::prelude::*;

use super::Popular;

pub(super) struct PopularChanges;

impl MigrationName for PopularChanges {
    fn name(&self) -> &'static str {
        "m0003_popular_changes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PopularChanges {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let changed_in = ColumnDef::new(Alias::new("changed_in")).big_integer().not_null().default(0).take();
        manager.alter_table(Table::alter().table(Popular::Table).add_column(changed_in).to_owned()).await
    }
}
