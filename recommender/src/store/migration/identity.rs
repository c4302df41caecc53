//! One owner of each event, links of visitors to users, and how far the sender's log is stored.

use sea_orm_migration::prelude::*;

use super::Event;

pub(super) struct Identity;

impl MigrationName for Identity {
    fn name(&self) -> &'static str {
        "m0004_identity"
    }
}

#[derive(DeriveIden)]
enum Link {
    #[sea_orm(iden = "recommender_link")]
    Table,
    Visitor,
    Person,
}

#[derive(DeriveIden)]
enum Log {
    #[sea_orm(iden = "recommender_log")]
    Table,
    Id,
    Position,
}

#[async_trait::async_trait]
impl MigrationTrait for Identity {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let link = Table::create()
            .table(Link::Table)
            .col(ColumnDef::new(Link::Visitor).string().not_null().primary_key())
            .col(ColumnDef::new(Link::Person).string().not_null())
            .to_owned();
        manager.create_table(link).await?;
        let of_person =
            Index::create().name("recommender_link_person").table(Link::Table).col(Link::Person).to_owned();
        manager.create_index(of_person).await?;
        let log = Table::create()
            .table(Log::Table)
            .col(ColumnDef::new(Log::Id).integer().not_null().primary_key())
            .col(ColumnDef::new(Log::Position).big_integer().not_null())
            .to_owned();
        manager.create_table(log).await?;
        let mut row = Query::insert();
        row.into_table(Log::Table).columns([Log::Id, Log::Position]).values_panic([1.into(), 0.into()]);
        manager.execute(row).await?;
        // From here on `person` is the one owner of an event: the user, or the visitor who is linked to none.
        let mut owned = Query::update();
        owned
            .table(Event::Table)
            .value(Event::Person, Expr::col(Event::Visitor))
            .and_where(Expr::col(Event::Person).eq(""));
        manager.execute(owned).await?;
        let by_visitor = Index::drop().name("recommender_event_visitor").table(Event::Table).to_owned();
        manager.drop_index(by_visitor).await
    }
}
