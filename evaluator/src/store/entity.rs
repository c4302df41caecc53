//! The tables. Times are microseconds since 1970; people are pseudonyms.

/// `evaluator_experiment`
pub(super) mod experiment {
    use sea_orm::entity::prelude::*;

    /// An experiment.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_experiment")]
    pub(crate) struct Model {
        /// Its id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) experiment_id: String,
        /// 1 made, 2 running, 3 stopped.
        pub(crate) state: i16,
        /// When it was made.
        pub(crate) created_at: i64,
        /// When it was started.
        pub(crate) started_at: Option<i64>,
        /// When it was stopped.
        pub(crate) stopped_at: Option<i64>,
        /// Its design, JSON.
        pub(crate) design: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_decision`
pub(super) mod decision {
    use sea_orm::entity::prelude::*;

    /// A decision.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_decision")]
    pub struct Model {
        /// Its id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub decision_id: String,
        /// The person; may be empty.
        pub person: String,
        /// The visitor; may be empty.
        pub visitor: String,
        /// When.
        pub decided_at: i64,
        /// The offer; empty: none.
        pub offer_id: String,
        /// Probability of that offer, or of none.
        pub offer_propensity: f64,
        /// Whether the person was held out.
        pub in_holdout: bool,
        /// The encoded message.
        pub payload: Vec<u8>,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_history`
pub(super) mod history {
    use sea_orm::entity::prelude::*;

    /// What is known of a person.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_history")]
    pub(crate) struct Model {
        /// The person, or the visitor where the person is not known.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) unit: String,
        /// Version of the features it was summed up for.
        pub(crate) version: i32,
        /// The history, JSON.
        pub(crate) payload: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_link`
pub(super) mod link {
    use sea_orm::entity::prelude::*;

    /// A visitor who is known to be a user.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_link")]
    pub(crate) struct Model {
        /// The visitor.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) visitor: String,
        /// The user.
        pub(crate) person: String,
        /// When they were linked.
        pub(crate) linked_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_assignment`
pub(super) mod assignment {
    use sea_orm::entity::prelude::*;

    /// A variant a decision was made in.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_assignment")]
    pub(crate) struct Model {
        /// The decision.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) decision_id: String,
        /// The experiment.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) experiment_id: String,
        /// The variant.
        pub(crate) variant_id: String,
        /// The person, or the visitor where the person is not known.
        pub(crate) unit: String,
        /// When.
        pub(crate) decided_at: i64,
        /// Number of the channel.
        pub(crate) channel: i16,
        /// Segment of the unit; empty: not known.
        pub(crate) segment: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_event`
pub(super) mod event {
    use sea_orm::entity::prelude::*;

    /// An event.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_event")]
    pub struct Model {
        /// Its id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: String,
        /// The person; may be empty.
        pub person: String,
        /// The visitor; may be empty.
        pub visitor: String,
        /// Number of its kind.
        pub kind: i16,
        /// When.
        pub occurred_at: i64,
        /// Number of the channel.
        pub channel: i16,
        /// The campaign; may be empty.
        pub campaign_id: String,
        /// The decision; may be empty.
        pub decision_id: String,
        /// The offer; may be empty.
        pub offer_id: String,
        /// Item of an order line; may be empty.
        pub item_id: String,
        /// Pieces of an order line: bought above 0, returned below 0.
        pub quantity: i64,
        /// Order of a purchase or return; may be empty.
        pub order_id: String,
        /// Currency of a purchase or return.
        pub currency: String,
        /// Amount paid for a purchase; of a return the amount paid back, at most 0.
        pub revenue: Option<i64>,
        /// Cost of a purchase; of a return the cost recovered, at most 0.
        pub cost: Option<i64>,
        /// Tax of a purchase; of a return the tax paid back, at most 0.
        pub tax: Option<i64>,
        /// The rating.
        pub rating: Option<f64>,
        /// The encoded message.
        pub payload: Vec<u8>,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_offer`
pub(super) mod offer {
    use sea_orm::entity::prelude::*;

    /// An offer.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_offer")]
    pub struct Model {
        /// Its id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub offer_id: String,
        /// Valid from.
        pub starts_at: Option<i64>,
        /// Valid before.
        pub ends_at: Option<i64>,
        /// When it was deleted; it is kept for the decisions that made it.
        pub deleted_at: Option<i64>,
        /// The encoded message.
        pub payload: Vec<u8>,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_effect_model`
pub(super) mod model {
    use sea_orm::entity::prelude::*;

    /// A trained effect model.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_effect_model")]
    pub(crate) struct Model {
        /// Its id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) model_id: String,
        /// When it was trained.
        pub(crate) created_at: i64,
        /// The model, JSON.
        pub(crate) payload: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_cell`
pub(super) mod cell {
    use sea_orm::entity::prelude::*;

    /// One sum of an experiment, kept beside the log.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_cell")]
    pub(crate) struct Model {
        /// The experiment.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) experiment_id: String,
        /// The metric.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) metric: String,
        /// The currency of money; empty otherwise.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) currency: String,
        /// The variant; empty: units seen in several.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) variant_id: String,
        /// Number of the channel of the units' first decision.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) channel: i16,
        /// Segment at the units' first decision; empty: not known.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) segment: String,
        /// Whether the units were seen in a visit before that of their first exposure.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) returning_visitor: bool,
        /// Day of the units' first exposure, days since 1970.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) day: i32,
        /// Bin of the units' outcome, of metrics whose distribution is told; otherwise 0.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) bin: i32,
        /// The sums, whole numbers apart by spaces.
        pub(crate) sums: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_plan`
pub(super) mod plan {
    use sea_orm::entity::prelude::*;

    /// A plan.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_plan")]
    pub(crate) struct Model {
        /// Its id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) plan_id: String,
        /// When it was made.
        pub(crate) created_at: i64,
        /// 1 proposed, 2 active, 3 ended, 4 fallen back.
        pub(crate) state: i16,
        /// The plan, JSON.
        pub(crate) payload: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_cost`
pub(super) mod cost {
    use sea_orm::entity::prelude::*;

    /// What the redemption of one decision's offer has cost, or what a decision used of a plan's limit.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_cost")]
    pub(crate) struct Model {
        /// The decision; for a limit with the limit's number.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) decision_id: String,
        /// The budget account, or a plan's account of a limit.
        pub(crate) plan_id: String,
        /// Minor units, or a count.
        pub(crate) cost: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_offer_made`
pub(super) mod offer_made {
    use sea_orm::entity::prelude::*;

    /// An offer that a plan made to somebody: owed until it is redeemed or ends. Names nobody.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_offer_made")]
    pub struct Model {
        /// The decision.
        #[sea_orm(primary_key, auto_increment = false)]
        pub decision_id: String,
        /// The budget account.
        pub account_id: String,
        /// The plan.
        pub plan_id: String,
        /// The offer.
        pub offer_id: String,
        /// When it was made.
        pub made_at: i64,
        /// When it was redeemed; while it is not, when it ends.
        pub closes_at: i64,
        /// Whether it was redeemed.
        pub redeemed: bool,
        /// What that cost, minor units.
        pub cost: i64,
        /// What it may cost at most, minor units.
        pub worst: i64,
        /// Whether the cost was inferred and not reported.
        pub inferred: bool,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_budget_account`
pub(super) mod account {
    use sea_orm::entity::prelude::*;

    /// A budget account that plans share.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_budget_account")]
    pub(crate) struct Model {
        /// Its id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) account_id: String,
        /// Its currency.
        pub(crate) currency: String,
        /// When the first plan was made on it.
        pub(crate) created_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_grant`
pub(super) mod grant {
    use sea_orm::entity::prelude::*;

    /// What one replica may have redeemed of a plan's budget.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_grant")]
    pub(crate) struct Model {
        /// The plan.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) plan_id: String,
        /// The replica.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) holder: String,
        /// Minor units.
        pub(crate) amount: i64,
        /// Then all of it has been redeemed or never will be, microseconds since 1970.
        pub(crate) until: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_metric`
pub(super) mod metric {
    use sea_orm::entity::prelude::*;

    /// A metric somebody defined.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_metric")]
    pub(crate) struct Model {
        /// Its name.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) name: String,
        /// When it was defined.
        pub(crate) created_at: i64,
        /// The definition, JSON.
        pub(crate) definition: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_position`
pub(super) mod position {
    use sea_orm::entity::prelude::*;

    /// How far the sender's log is stored.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_position")]
    pub(crate) struct Model {
        /// Name of the log.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) log: String,
        /// Largest position stored.
        pub(crate) position: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// `evaluator_request`
pub(super) mod request {
    use sea_orm::entity::prelude::*;

    /// Answer to a request that carried a `request_id`.
    #[derive(Clone, Debug, DeriveEntityModel)]
    #[sea_orm(table_name = "evaluator_request")]
    pub(crate) struct Model {
        /// The rpc.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) method: String,
        /// The caller's id of the request.
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) request_id: String,
        /// When it was answered.
        pub(crate) answered_at: i64,
        /// The answer, as the rpc stores it.
        pub(crate) answer: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}
