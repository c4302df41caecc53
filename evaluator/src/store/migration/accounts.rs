//! Budget accounts, and the offers made that are owed on them.

use sea_orm_migration::prelude::*;

use super::{column, index, key, number, table, text};

pub(super) struct BudgetAccounts;

impl MigrationName for BudgetAccounts {
    fn name(&self) -> &'static str {
        "m0011_budget_accounts"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for BudgetAccounts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [key("account_id"), text("currency"), number("created_at")];
        manager.create_table(table("evaluator_budget_account", columns)).await?;
        let flag = |name| column(name).boolean().not_null().take();
        let name = "evaluator_offer_made";
        let columns = [
            key("decision_id"),
            text("account_id"),
            text("plan_id"),
            text("offer_id"),
            number("made_at"),
            number("closes_at"),
            flag("redeemed"),
            number("cost"),
            number("worst"),
            flag("inferred"),
        ];
        manager.create_table(table(name, columns)).await?;
        manager.create_index(index(name, ["account_id", "redeemed", "closes_at"])).await
    }
}
