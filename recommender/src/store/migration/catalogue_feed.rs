//! Revisions of the catalogue: what replicas follow instead of reading all items again.

use sea_orm_migration::prelude::*;

use super::Item;

pub(super) struct CatalogueFeed;

impl MigrationName for CatalogueFeed {
    fn name(&self) -> &'static str {
        "m0003_catalogue_feed"
    }
}

#[derive(DeriveIden)]
enum Catalogue {
    #[sea_orm(iden = "recommender_catalogue")]
    Table,
    Id,
    Revision,
    Pruned,
}

#[derive(DeriveIden)]
enum Removal {
    #[sea_orm(iden = "recommender_item_removal")]
    Table,
    ItemId,
    Revision,
    RemovedAt,
}

#[derive(DeriveIden)]
enum Request {
    #[sea_orm(iden = "recommender_request")]
    Table,
    Method,
    RequestId,
    Answer,
    AnsweredAt,
}

#[derive(DeriveIden)]
enum Added {
    Revision,
}

#[async_trait::async_trait]
impl MigrationTrait for CatalogueFeed {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let revision = ColumnDef::new(Added::Revision).big_integer().not_null().default(0).to_owned();
        manager.alter_table(Table::alter().table(Item::Table).add_column(revision).to_owned()).await?;
        let changed = Index::create()
            .name("recommender_item_revision")
            .table(Item::Table)
            .col(Added::Revision)
            .to_owned();
        manager.create_index(changed).await?;
        let removal = Table::create()
            .table(Removal::Table)
            .col(ColumnDef::new(Removal::ItemId).string().not_null().primary_key())
            .col(ColumnDef::new(Removal::Revision).big_integer().not_null())
            .col(ColumnDef::new(Removal::RemovedAt).big_integer().not_null())
            .to_owned();
        manager.create_table(removal).await?;
        for (name, column) in [
            ("recommender_item_removal_revision", Removal::Revision),
            ("recommender_item_removal_removed_at", Removal::RemovedAt),
        ] {
            manager
                .create_index(Index::create().name(name).table(Removal::Table).col(column).to_owned())
                .await?;
        }
        let request = Table::create()
            .table(Request::Table)
            .col(ColumnDef::new(Request::Method).string().not_null())
            .col(ColumnDef::new(Request::RequestId).string().not_null())
            .col(ColumnDef::new(Request::Answer).binary().not_null())
            .col(ColumnDef::new(Request::AnsweredAt).big_integer().not_null())
            .primary_key(Index::create().col(Request::Method).col(Request::RequestId))
            .to_owned();
        manager.create_table(request).await?;
        let answered = Index::create()
            .name("recommender_request_answered_at")
            .table(Request::Table)
            .col(Request::AnsweredAt)
            .to_owned();
        manager.create_index(answered).await?;
        let catalogue = Table::create()
            .table(Catalogue::Table)
            .col(ColumnDef::new(Catalogue::Id).integer().not_null().primary_key())
            .col(ColumnDef::new(Catalogue::Revision).big_integer().not_null())
            .col(ColumnDef::new(Catalogue::Pruned).big_integer().not_null())
            .to_owned();
        manager.create_table(catalogue).await?;
        let columns = [Catalogue::Id, Catalogue::Revision, Catalogue::Pruned];
        let mut row = Query::insert();
        row.into_table(Catalogue::Table).columns(columns).values_panic([1.into(), 0.into(), 0.into()]);
        manager.execute(row).await
    }
}
