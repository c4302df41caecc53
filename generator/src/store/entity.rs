//! The tables.

pub(super) mod copy {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "generator_copy")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) key: String,
        pub(crate) model_id: String,
        pub(crate) headline: String,
        pub(crate) body: String,
        pub(crate) cut: bool,
        pub(crate) words_version: Option<String>,
        pub(crate) predicted_click: Option<f64>,
        pub(crate) written_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}
