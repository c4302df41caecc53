//! Links of visitors to users, leases of background work, the version of the popularity list, and an index for a
//! person's undelivered events.

use sea_orm_migration::prelude::*;

use super::Outbox;

pub(super) struct LinksAndLeases;

impl MigrationName for LinksAndLeases {
    fn name(&self) -> &'static str {
        "m0002_links_leases"
    }
}

#[derive(DeriveIden)]
enum Link {
    #[sea_orm(iden = "gateway_link")]
    Table,
    Visitor,
    Person,
    Sequence,
    Since,
}

#[derive(DeriveIden)]
enum Lease {
    #[sea_orm(iden = "gateway_lease")]
    Table,
    Work,
    Holder,
    ExpiresAt,
}

#[derive(DeriveIden)]
enum PopularVersion {
    #[sea_orm(iden = "gateway_popular_version")]
    Table,
    Id,
    Version,
}

#[async_trait::async_trait]
impl MigrationTrait for LinksAndLeases {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let link = Table::create()
            .table(Link::Table)
            .col(ColumnDef::new(Link::Visitor).string().not_null().primary_key())
            .col(ColumnDef::new(Link::Person).string().not_null())
            .col(ColumnDef::new(Link::Sequence).big_integer().not_null())
            .col(ColumnDef::new(Link::Since).big_integer().not_null())
            .to_owned();
        manager.create_table(link).await?;
        let by_person =
            Index::create().name("gateway_link_person").table(Link::Table).col(Link::Person).to_owned();
        manager.create_index(by_person).await?;
        let lease = Table::create()
            .table(Lease::Table)
            .col(ColumnDef::new(Lease::Work).string().not_null().primary_key())
            .col(ColumnDef::new(Lease::Holder).string().not_null())
            .col(ColumnDef::new(Lease::ExpiresAt).big_integer().not_null())
            .to_owned();
        manager.create_table(lease).await?;
        let version = Table::create()
            .table(PopularVersion::Table)
            .col(ColumnDef::new(PopularVersion::Id).integer().not_null().primary_key())
            .col(ColumnDef::new(PopularVersion::Version).big_integer().not_null())
            .to_owned();
        manager.create_table(version).await?;
        let first = Query::insert()
            .into_table(PopularVersion::Table)
            .columns([PopularVersion::Id, PopularVersion::Version])
            .values_panic([1.into(), 1_i64.into()])
            .to_owned();
        manager.exec_stmt(first).await?;
        // Lists kept so far were other people's answers; they are fetched anew.
        manager.exec_stmt(Query::delete().from_table(Alias::new("gateway_popular")).to_owned()).await?;
        let undelivered = Index::create()
            .name("gateway_outbox_person_sequence")
            .table(Outbox::Table)
            .col(Outbox::Person)
            .col(Outbox::Sequence)
            .to_owned();
        manager.create_index(undelivered).await?;
        let by_person = Index::drop().name("gateway_outbox_person").table(Outbox::Table).to_owned();
        manager.drop_index(by_person).await
    }
}
