use sea_orm_migration::prelude::*;

pub(super) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(First), Box::new(Clicks)]
    }

    // Services may share one PostgreSQL database while they are small; their migrations are told apart.
    fn migration_table_name() -> DynIden {
        Alias::new("generator_migrations").into_iden()
    }
}

struct First;

impl MigrationName for First {
    fn name(&self) -> &'static str {
        "m0001_copy"
    }
}

#[derive(DeriveIden)]
enum Copy {
    #[sea_orm(iden = "generator_copy")]
    Table,
    Key,
    ModelId,
    Headline,
    Body,
    Cut,
    WrittenAt,
    WordsVersion,
    PredictedClick,
}

#[async_trait::async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let copy = Table::create()
            .table(Copy::Table)
            .col(ColumnDef::new(Copy::Key).string().not_null().primary_key())
            .col(ColumnDef::new(Copy::ModelId).string().not_null())
            .col(ColumnDef::new(Copy::Headline).text().not_null())
            .col(ColumnDef::new(Copy::Body).text().not_null())
            .col(ColumnDef::new(Copy::Cut).boolean().not_null())
            .col(ColumnDef::new(Copy::WrittenAt).big_integer().not_null())
            .to_owned();
        manager.create_table(copy).await?;
        let by_age =
            Index::create().name("generator_copy_age").table(Copy::Table).col(Copy::WrittenAt).to_owned();
        manager.create_index(by_age).await
    }
}

/// What the model of words thought of each text.
struct Clicks;

impl MigrationName for Clicks {
    fn name(&self) -> &'static str {
        "m0002_predicted_click"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Clicks {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            ColumnDef::new(Copy::WordsVersion).string().null().to_owned(),
            ColumnDef::new(Copy::PredictedClick).double().null().to_owned(),
        ];
        for column in columns {
            // SQLite adds one column a statement.
            let table = Table::alter().table(Copy::Table).add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
