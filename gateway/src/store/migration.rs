//! The schema, step by step. A step that has been released is never changed.

mod links_and_leases;
mod popular_changes;

use sea_orm_migration::prelude::*;

pub(super) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(First),
            Box::new(links_and_leases::LinksAndLeases),
            Box::new(popular_changes::PopularChanges),
        ]
    }

    // Services may share one PostgreSQL database while they are small; their migrations are told apart.
    fn migration_table_name() -> DynIden {
        Alias::new("gateway_migrations").into_iden()
    }
}

struct First;

impl MigrationName for First {
    fn name(&self) -> &'static str {
        "m0001_outbox_consents_popular"
    }
}

#[derive(DeriveIden)]
enum Outbox {
    #[sea_orm(iden = "gateway_outbox")]
    Table,
    Sequence,
    Id,
    Kind,
    Person,
    Payload,
    StoredAt,
}

#[derive(DeriveIden)]
enum Cursor {
    #[sea_orm(iden = "gateway_cursor")]
    Table,
    Destination,
    Sequence,
}

#[derive(DeriveIden)]
enum Consent {
    #[sea_orm(iden = "gateway_consent")]
    Table,
    Person,
    Purposes,
    Since,
}

#[derive(DeriveIden)]
enum Popular {
    #[sea_orm(iden = "gateway_popular")]
    Table,
    ItemId,
    Rank,
    Payload,
}

#[async_trait::async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let outbox = Table::create()
            .table(Outbox::Table)
            .col(ColumnDef::new(Outbox::Sequence).big_integer().not_null().auto_increment().primary_key())
            .col(ColumnDef::new(Outbox::Id).string().not_null().unique_key())
            .col(ColumnDef::new(Outbox::Kind).small_integer().not_null())
            .col(ColumnDef::new(Outbox::Person).string().not_null())
            .col(ColumnDef::new(Outbox::Payload).binary().not_null())
            .col(ColumnDef::new(Outbox::StoredAt).big_integer().not_null())
            .to_owned();
        manager.create_table(outbox).await?;
        let by_person =
            Index::create().name("gateway_outbox_person").table(Outbox::Table).col(Outbox::Person).to_owned();
        manager.create_index(by_person).await?;
        let cursor = Table::create()
            .table(Cursor::Table)
            .col(ColumnDef::new(Cursor::Destination).string().not_null().primary_key())
            .col(ColumnDef::new(Cursor::Sequence).big_integer().not_null())
            .to_owned();
        manager.create_table(cursor).await?;
        let consent = Table::create()
            .table(Consent::Table)
            .col(ColumnDef::new(Consent::Person).string().not_null().primary_key())
            .col(ColumnDef::new(Consent::Purposes).string().not_null())
            .col(ColumnDef::new(Consent::Since).big_integer().not_null())
            .to_owned();
        manager.create_table(consent).await?;
        let popular = Table::create()
            .table(Popular::Table)
            .col(ColumnDef::new(Popular::ItemId).string().not_null().primary_key())
            .col(ColumnDef::new(Popular::Rank).integer().not_null())
            .col(ColumnDef::new(Popular::Payload).binary().not_null())
            .to_owned();
        manager.create_table(popular).await
    }
}
