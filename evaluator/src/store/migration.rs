mod accounts;
mod histories;
mod lines;

use sea_orm_migration::prelude::*;

pub(super) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(First),
            Box::new(Second),
            Box::new(Cells),
            Box::new(Plans),
            Box::new(Ledgers),
            Box::new(Metrics),
            Box::new(Links),
            Box::new(Dimensions),
            Box::new(lines::OrderLines),
            Box::new(lines::Requests),
            Box::new(accounts::BudgetAccounts),
            Box::new(histories::Histories),
        ]
    }

    // Services may share one PostgreSQL database while they are small; their migrations are told apart.
    fn migration_table_name() -> DynIden {
        Alias::new("evaluator_migrations").into_iden()
    }
}

struct First;

impl MigrationName for First {
    fn name(&self) -> &'static str {
        "m0001_experiments_decisions_events_offers"
    }
}

fn column(name: &str) -> ColumnDef {
    ColumnDef::new(Alias::new(name))
}

fn text(name: &str) -> ColumnDef {
    column(name).string().not_null().take()
}

fn number(name: &str) -> ColumnDef {
    column(name).big_integer().not_null().take()
}

fn optional_number(name: &str) -> ColumnDef {
    column(name).big_integer().null().take()
}

fn bytes(name: &str) -> ColumnDef {
    column(name).binary().not_null().take()
}

fn key(name: &str) -> ColumnDef {
    column(name).string().not_null().primary_key().take()
}

fn table<const N: usize>(name: &str, columns: [ColumnDef; N]) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(Alias::new(name));
    for column in columns {
        table.col(column);
    }
    table
}

fn index<const N: usize>(table: &str, columns: [&str; N]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("{table}_{}", columns.join("_"))).table(Alias::new(table));
    for column in columns {
        index.col(Alias::new(column));
    }
    index
}

#[async_trait::async_trait]
impl MigrationTrait for First {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let small = |name| column(name).small_integer().not_null().take();
        let tables = [
            table(
                "evaluator_experiment",
                [
                    key("experiment_id"),
                    small("state"),
                    number("created_at"),
                    optional_number("started_at"),
                    optional_number("stopped_at"),
                    column("design").text().not_null().take(),
                ],
            ),
            table(
                "evaluator_decision",
                [
                    key("decision_id"),
                    text("person"),
                    text("visitor"),
                    number("decided_at"),
                    text("offer_id"),
                    column("offer_propensity").double().not_null().take(),
                    column("in_holdout").boolean().not_null().take(),
                    bytes("payload"),
                ],
            ),
            table(
                "evaluator_assignment",
                [
                    text("decision_id"),
                    text("experiment_id"),
                    text("variant_id"),
                    text("unit"),
                    number("decided_at"),
                ],
            )
            .primary_key(Index::create().col(Alias::new("decision_id")).col(Alias::new("experiment_id")))
            .take(),
            table(
                "evaluator_event",
                [
                    key("event_id"),
                    text("person"),
                    text("visitor"),
                    small("kind"),
                    number("occurred_at"),
                    small("channel"),
                    text("campaign_id"),
                    text("decision_id"),
                    text("offer_id"),
                    text("order_id"),
                    text("currency"),
                    optional_number("revenue"),
                    optional_number("cost"),
                    optional_number("tax"),
                    column("rating").double().null().take(),
                    bytes("payload"),
                ],
            ),
            table(
                "evaluator_offer",
                [key("offer_id"), optional_number("starts_at"), optional_number("ends_at"), bytes("payload")],
            ),
        ];
        for table in tables {
            manager.create_table(table).await?;
        }
        for index in [
            index("evaluator_experiment", ["created_at"]),
            index("evaluator_decision", ["person"]),
            index("evaluator_decision", ["visitor"]),
            index("evaluator_decision", ["decided_at"]),
            index("evaluator_assignment", ["experiment_id", "unit"]),
            index("evaluator_assignment", ["unit"]),
            index("evaluator_event", ["person"]),
            index("evaluator_event", ["visitor"]),
            index("evaluator_event", ["occurred_at"]),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

struct Second;

impl MigrationName for Second {
    fn name(&self) -> &'static str {
        "m0002_effect_models"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Second {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let name = "evaluator_effect_model";
        let columns = [key("model_id"), number("created_at"), column("payload").text().not_null().take()];
        manager.create_table(table(name, columns)).await?;
        manager.create_index(index(name, ["created_at"])).await
    }
}

struct Cells;

impl MigrationName for Cells {
    fn name(&self) -> &'static str {
        "m0003_cells_of_experiments"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Cells {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            text("experiment_id"),
            text("metric"),
            text("currency"),
            text("variant_id"),
            column("channel").small_integer().not_null().take(),
            column("day").integer().not_null().take(),
            column("sums").text().not_null().take(),
        ];
        let mut key = Index::create();
        for name in ["experiment_id", "metric", "currency", "variant_id", "channel", "day"] {
            key.col(Alias::new(name));
        }
        manager.create_table(table("evaluator_cell", columns).primary_key(&mut key).take()).await?;
        let channel = column("channel").small_integer().not_null().default(0).take();
        let assignment = Table::alter().table(Alias::new("evaluator_assignment")).add_column(channel).take();
        manager.alter_table(assignment).await?;
        manager.create_index(index("evaluator_event", ["decision_id"])).await
    }
}

struct Plans;

impl MigrationName for Plans {
    fn name(&self) -> &'static str {
        "m0004_plans"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Plans {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let name = "evaluator_plan";
        let state = column("state").small_integer().not_null().take();
        let columns =
            [key("plan_id"), number("created_at"), state, column("payload").text().not_null().take()];
        manager.create_table(table(name, columns)).await?;
        manager.create_index(index(name, ["state"])).await
    }
}

struct Ledgers;

impl MigrationName for Ledgers {
    fn name(&self) -> &'static str {
        "m0005_ledgers"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Ledgers {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let cost = table("evaluator_cost", [key("decision_id"), text("plan_id"), number("cost")]);
        manager.create_table(cost).await?;
        manager.create_index(index("evaluator_cost", ["plan_id"])).await?;
        let columns = [text("plan_id"), text("holder"), number("amount"), number("until")];
        let mut both = Index::create();
        both.col(Alias::new("plan_id")).col(Alias::new("holder"));
        manager.create_table(table("evaluator_grant", columns).primary_key(&mut both).take()).await
    }
}

struct Metrics;

impl MigrationName for Metrics {
    fn name(&self) -> &'static str {
        "m0006_metrics_of_ones_own"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Metrics {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [key("name"), number("created_at"), column("definition").text().not_null().take()];
        manager.create_table(table("evaluator_metric", columns)).await?;
        // The key of cells grows, which neither database can do in place. They are made anew from the log on opening.
        manager.drop_table(Table::drop().table(Alias::new("evaluator_cell")).take()).await?;
        let whole = |name| column(name).integer().not_null().take();
        let columns = [
            text("experiment_id"),
            text("metric"),
            text("currency"),
            text("variant_id"),
            column("channel").small_integer().not_null().take(),
            whole("day"),
            whole("bin"),
            column("sums").text().not_null().take(),
        ];
        let mut key = Index::create();
        for name in ["experiment_id", "metric", "currency", "variant_id", "channel", "day", "bin"] {
            key.col(Alias::new(name));
        }
        manager.create_table(table("evaluator_cell", columns).primary_key(&mut key).take()).await
    }
}

struct Links;

impl MigrationName for Links {
    fn name(&self) -> &'static str {
        "m0007_links_of_visitors"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Links {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let name = "evaluator_link";
        let columns = [key("visitor"), text("person"), number("linked_at")];
        manager.create_table(table(name, columns)).await?;
        manager.create_index(index(name, ["person"])).await
    }
}

struct Dimensions;

impl MigrationName for Dimensions {
    fn name(&self) -> &'static str {
        "m0008_dimensions_of_experiments"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Dimensions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let segment = column("segment").string().not_null().default("").take();
        let assignment = Table::alter().table(Alias::new("evaluator_assignment")).add_column(segment).take();
        manager.alter_table(assignment).await?;
        // The key of cells grows, which neither database can do in place. They are rebuilt from the log on opening.
        manager.drop_table(Table::drop().table(Alias::new("evaluator_cell")).take()).await?;
        let whole = |name| column(name).integer().not_null().take();
        let columns = [
            text("experiment_id"),
            text("metric"),
            text("currency"),
            text("variant_id"),
            column("channel").small_integer().not_null().take(),
            text("segment"),
            column("returning_visitor").boolean().not_null().take(),
            whole("day"),
            whole("bin"),
            column("sums").text().not_null().take(),
        ];
        let mut key = Index::create();
        for name in [
            "experiment_id",
            "metric",
            "currency",
            "variant_id",
            "channel",
            "segment",
            "returning_visitor",
            "day",
            "bin",
        ] {
            key.col(Alias::new(name));
        }
        manager.create_table(table("evaluator_cell", columns).primary_key(&mut key).take()).await
    }
}
