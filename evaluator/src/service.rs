//! The contract's services: messages to domain and back, no more.

mod activation;
pub mod analysis;
pub mod attribution;
mod bookings;
mod choosing;
mod clock;
mod cohorts;
mod convert;
mod deciding;
mod decisions;
mod definitions;
mod effects;
mod experiments;
mod explaining;
mod exploring;
mod export;
mod features;
mod funds;
mod holdout;
mod inference;
mod intake;
mod metrics;
mod offers;
mod optimising;
mod page;
mod plans;
mod reports;
mod requests;
mod size;
mod snapshot;
mod status;
mod strategies;
mod training;
mod waiting;

use std::sync::Arc;

use chassis::auth::Pseudonymiser;
use chassis::calendar::Calendar;
use chrono::Utc;

use crate::config::StrategyConfig;
use crate::error::Result;
use crate::pool::Pool;
use crate::store::Store;

pub(crate) use attribution::Attributions;
pub(crate) use clock::Clock;
pub(crate) use deciding::Deciding;
pub(crate) use decisions::Decisions;
pub(crate) use effects::Effects;
pub(crate) use experiments::Experiments;
pub(crate) use metrics::Metrics;
pub(crate) use plans::watch;
pub(crate) use snapshot::Snapshots;
pub(crate) use strategies::Strategies;

/// What the services stand on.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) names: Pseudonymiser,
    pub(crate) pool: Pool,
    pub(crate) snapshots: Snapshots,
    pub(crate) deciding: Deciding,
    pub(crate) strategy: StrategyConfig,
    /// The moment that is decided for.
    pub(crate) clock: Clock,
    /// The shop's calendar.
    pub(crate) calendar: Calendar,
}

impl Shared {
    /// Returns the unit that stands for the person or visitor `id`: a pseudonym, the user's where the visitor is linked
    /// to one.
    async fn unit(&self, id: &str) -> Result<String> {
        self.store.linked_user(self.names.pseudonym(id)).await
    }
}

/// A handle on what the services share.
pub(crate) type Base = Arc<Shared>;

/// The server's clock, microseconds since 1970.
fn now() -> i64 {
    Utc::now().timestamp_micros()
}
