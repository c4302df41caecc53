//! The feature vector of a person as decisions, predictions and training take it.

use std::collections::BTreeMap;

use chassis::calendar::Calendar;
use proto::common::v1::Channel;

use super::Shared;
use crate::effect::log::Decided;
use crate::error::Result;
use crate::features::replay::Replay;
use crate::features::vector::{is_own, vector};
use crate::features::{Features, VERSION};

/// Returns the vector of a unit as of `at`: the caller's features, and the person's and the moment's beside them.
pub(super) async fn of_unit(
    base: &Shared,
    unit: &str,
    given: impl IntoIterator<Item = (String, f64)>,
    channel: Channel,
    at: i64,
) -> Result<Features> {
    let history = base.store.history(unit, at).await?;
    Ok(vector(given.into_iter().collect(), &history, channel, base.calendar, at))
}

/// Logs of those about whom a decision does not hold this version's vector.
pub(super) async fn replays(base: &Shared, decided: &[Decided]) -> Result<BTreeMap<String, Replay>> {
    let mut units: Vec<&str> =
        decided.iter().filter(|row| row.feature_version != VERSION).map(|row| row.unit.as_str()).collect();
    units.sort_unstable();
    units.dedup();
    base.store.replays(&units).await
}

/// Gives each decision, in order of time, the vector it was made by: the one logged with it, or, where that is of another
/// version or there is none, the one that this version would have computed then.
pub(super) fn complete(decided: &mut [Decided], replays: &mut BTreeMap<String, Replay>, calendar: Calendar) {
    let none = &mut Replay::default();
    for row in decided.iter_mut().filter(|row| row.feature_version != VERSION) {
        let mut given = std::mem::take(&mut row.features);
        if row.feature_version > 0 {
            given.retain(|name, _| !is_own(name));
        }
        let history = replays.get_mut(&row.unit).unwrap_or(none).before(row.at);
        row.features = vector(given, history, row.channel, calendar, row.at);
        row.feature_version = VERSION;
    }
}
