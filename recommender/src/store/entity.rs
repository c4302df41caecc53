//! The tables.

pub(super) mod item {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_item")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) item_id: String,
        pub(crate) payload: Vec<u8>,
        pub(crate) updated_at: i64,
        /// Revision of the catalogue that last changed the item.
        pub(crate) revision: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod catalogue {
    use sea_orm::entity::prelude::*;

    /// One row: how far the catalogue has come.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_catalogue")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: i32,
        /// Number of the last committed change.
        pub(crate) revision: i64,
        /// Removals up to this revision are forgotten.
        pub(crate) pruned: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod removal {
    use sea_orm::entity::prelude::*;

    /// An item that was removed and not stored again since.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_item_removal")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) item_id: String,
        pub(crate) revision: i64,
        pub(crate) removed_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod request {
    use sea_orm::entity::prelude::*;

    /// The answer to a write that carried a `request_id`.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_request")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) method: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) request_id: String,
        pub(crate) answer: Vec<u8>,
        pub(crate) answered_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod link {
    use sea_orm::entity::prelude::*;

    /// A visitor that was recognised as a user; both are pseudonyms.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_link")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) visitor: String,
        pub(crate) person: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod log {
    use sea_orm::entity::prelude::*;

    /// One row: how far the sender's event log is stored.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_log")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: i32,
        pub(crate) position: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod event {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_event")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) event_id: String,
        /// The one owner of the event: the user, or the visitor while it is linked to none.
        pub(crate) person: String,
        /// The visitor as the event named it.
        pub(crate) visitor: String,
        pub(crate) kind: i32,
        pub(crate) item_id: String,
        pub(crate) occurred_at: i64,
        pub(crate) payload: Vec<u8>,
        /// Value of a RATING.
        pub(crate) rating: Option<f64>,
        /// Order of a PURCHASE or RETURN.
        pub(crate) order_id: String,
        /// Pieces of a PURCHASE or RETURN.
        pub(crate) quantity: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod popularity {
    use sea_orm::entity::prelude::*;

    /// Popularity of an item.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_popularity")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) item_id: String,
        /// Sum of the interest of all people, faded to `at`.
        pub(crate) score: f64,
        /// Seconds since 1970.
        pub(crate) at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod popularity_basis {
    use sea_orm::entity::prelude::*;

    /// One row: the settings the popularity was computed with.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_popularity_basis")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: i32,
        pub(crate) basis: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod model {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_model")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) model_id: String,
        pub(crate) request_id: String,
        pub(crate) algorithm: i32,
        pub(crate) parameters: String,
        pub(crate) metrics: String,
        pub(crate) created_at: i64,
        pub(crate) promoted: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod people {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "recommender_people")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) version: String,
        pub(crate) created_at: i64,
        pub(crate) card: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}
