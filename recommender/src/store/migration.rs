mod catalogue_feed;
mod identity;
mod signals;

use sea_orm_migration::prelude::*;

use catalogue_feed::CatalogueFeed;
use identity::Identity;
use signals::Signals;

pub(super) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(First),
            Box::new(Second),
            Box::new(CatalogueFeed),
            Box::new(Identity),
            Box::new(Signals),
        ]
    }

    // Services may share one PostgreSQL database while they are small; their migrations are told apart.
    fn migration_table_name() -> DynIden {
        Alias::new("recommender_migrations").into_iden()
    }
}

struct First;

impl MigrationName for First {
    fn name(&self) -> &'static str {
        "m0001_item_event_model"
    }
}

#[derive(DeriveIden)]
enum Item {
    #[sea_orm(iden = "recommender_item")]
    Table,
    ItemId,
    Payload,
    UpdatedAt,
}

#[derive(DeriveIden)]
enum Event {
    #[sea_orm(iden = "recommender_event")]
    Table,
    EventId,
    Person,
    Visitor,
    Kind,
    ItemId,
    OccurredAt,
    Payload,
}

#[derive(DeriveIden)]
enum Model {
    #[sea_orm(iden = "recommender_model")]
    Table,
    ModelId,
    RequestId,
    Algorithm,
    Parameters,
    Metrics,
    CreatedAt,
    Promoted,
}

#[async_trait::async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let item = Table::create()
            .table(Item::Table)
            .col(ColumnDef::new(Item::ItemId).string().not_null().primary_key())
            .col(ColumnDef::new(Item::Payload).binary().not_null())
            .col(ColumnDef::new(Item::UpdatedAt).big_integer().not_null())
            .to_owned();
        manager.create_table(item).await?;
        let event = Table::create()
            .table(Event::Table)
            .col(ColumnDef::new(Event::EventId).string().not_null().primary_key())
            .col(ColumnDef::new(Event::Person).string().not_null())
            .col(ColumnDef::new(Event::Visitor).string().not_null())
            .col(ColumnDef::new(Event::Kind).integer().not_null())
            .col(ColumnDef::new(Event::ItemId).string().not_null())
            .col(ColumnDef::new(Event::OccurredAt).big_integer().not_null())
            .col(ColumnDef::new(Event::Payload).binary().not_null())
            .to_owned();
        manager.create_table(event).await?;
        for (name, column) in
            [("recommender_event_person", Event::Person), ("recommender_event_visitor", Event::Visitor)]
        {
            let index =
                Index::create().name(name).table(Event::Table).col(column).col(Event::OccurredAt).to_owned();
            manager.create_index(index).await?;
        }
        let model = Table::create()
            .table(Model::Table)
            .col(ColumnDef::new(Model::ModelId).string().not_null().primary_key())
            .col(ColumnDef::new(Model::RequestId).string().not_null())
            .col(ColumnDef::new(Model::Algorithm).integer().not_null())
            .col(ColumnDef::new(Model::Parameters).text().not_null())
            .col(ColumnDef::new(Model::Metrics).text().not_null())
            .col(ColumnDef::new(Model::CreatedAt).big_integer().not_null())
            .col(ColumnDef::new(Model::Promoted).boolean().not_null())
            .to_owned();
        manager.create_table(model).await
    }
}

struct Second;

impl MigrationName for Second {
    fn name(&self) -> &'static str {
        "m0002_people"
    }
}

#[derive(DeriveIden)]
enum People {
    #[sea_orm(iden = "recommender_people")]
    Table,
    Version,
    CreatedAt,
    Card,
}

#[async_trait::async_trait]
impl MigrationTrait for Second {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let people = Table::create()
            .table(People::Table)
            .col(ColumnDef::new(People::Version).string().not_null().primary_key())
            .col(ColumnDef::new(People::CreatedAt).big_integer().not_null())
            .col(ColumnDef::new(People::Card).text().not_null())
            .to_owned();
        manager.create_table(people).await
    }
}
