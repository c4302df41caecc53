//! What a training run learns of people: their segments, what each segment takes, and who buys when.

mod compare;

use std::collections::{BTreeMap, HashMap};

pub use compare::Comparison;
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::intent::horizon::{Buying, Prediction};
use crate::intent::person::Act;
use crate::intent::{Compared, IntentError};
use crate::segment::{MEASURES, SegmentError, Segments, measures};

/// Items remembered of each segment.
const TAKEN: usize = 500;
/// One person in so many is held out of the intent model, the same in every run, so that models can be compared.
const HELD_OUT_SHARE: u64 = 5;
/// Fewest people with whom any are held out: of fewer, the model needs all and a comparison would tell little.
const MIN_PEOPLE_TO_HOLD_OUT: usize = 200;

/// Whether the person of this pseudonym is held out of what is learnt of people; the same in every run (FNV-1a).
pub fn is_held_out(pseudonym: &str) -> bool {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = pseudonym.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    ((hash >> 32) ^ hash) % HELD_OUT_SHARE == 0
}

/// One person's acts and items, as training reads them.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// Everything done, in order of time once [`People::learn`] has it.
    pub acts: Vec<Act>,
    /// Items taken, as places in a list of items.
    pub items: Vec<u32>,
    /// Whether the person is held out, as [`is_held_out`] says of the pseudonym.
    pub held_out: bool,
}

/// What was learnt; immutable, and serves as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct People {
    /// Its id.
    pub version: String,
    /// Seconds the last event lay behind when this was learnt. A shop whose events come in late is looked at as of
    /// then, not as if everyone had just fallen silent.
    pub lag: i64,
    /// The segments, where there are enough people.
    pub segments: Option<Segments>,
    /// Of each segment, items with the share of its people who took them, the most taken first.
    pub taken: Vec<Vec<(String, f64)>>,
    /// Who buys when, where there are enough purchases.
    pub buying: Option<Buying>,
    /// Why something is absent.
    pub missing: Vec<String>,
    /// How good it is, by metric.
    pub metrics: BTreeMap<String, f64>,
    /// Whether the intent model was fitted without the held-out people; artefacts of earlier versions were not.
    #[serde(default)]
    pub holds_out: bool,
}

impl People {
    /// Learns from everyone's `past` and the names of their items. Runs on the calling thread and rayon's.
    ///
    /// What cannot be learnt from so little is left out and said in [`People::missing`]. `told` hears of each learner
    /// tried and answers whether to go on.
    ///
    /// # Errors
    /// `told` said no.
    pub fn learn(
        version: String,
        past: &mut Vec<Person>,
        items: &[String],
        now: i64,
        seed: u64,
        told: &(dyn Fn(&Compared) -> bool + Sync),
    ) -> Result<Self, IntentError> {
        for one in past.iter_mut() {
            one.acts.sort_by_key(|act| act.at);
        }
        past.retain(|one| !one.acts.is_empty());
        let last = past.iter().filter_map(|one| one.acts.last()).map(|act| act.at).max().unwrap_or(now);
        let lag = (now - last).max(0);
        let (mut missing, mut metrics) = (Vec::new(), BTreeMap::new());
        let rows: Vec<f64> = past.iter().flat_map(|one| measures(&one.acts, now - lag)).collect();
        let rows = Array2::from_shape_vec((past.len(), MEASURES.len()), rows);
        let segments = rows
            .map_err(|cause| SegmentError::Clustering(cause.to_string()))
            .and_then(|rows| Segments::of(&rows, seed));
        let segments = segments.map_err(|cause| missing.push(format!("segments: {cause}"))).ok();
        let taken =
            segments.as_ref().map(|segments| taken(segments, past, items, now - lag)).unwrap_or_default();
        if let Some(segments) = &segments {
            metrics.insert("silhouette".into(), segments.silhouette);
            metrics.insert("segments".into(), segments.segments.len() as f64);
        }
        let holds_out = past.len() >= MIN_PEOPLE_TO_HOLD_OUT;
        let fitted = past.iter().filter(|one| !(holds_out && one.held_out));
        let acts: Vec<Vec<Act>> = fitted.map(|one| one.acts.clone()).collect();
        let buying = match Buying::learn(&acts, seed, told) {
            Ok((buying, report)) => {
                metrics.insert("intent AUC".into(), report.calibrated.auc);
                metrics.insert("intent log-loss".into(), report.calibrated.log_loss);
                metrics.insert("intent base log-loss".into(), report.base_log_loss);
                metrics.insert("intent calibration error".into(), report.calibrated.calibration_error);
                Some(buying)
            }
            Err(IntentError::Cancelled) => return Err(IntentError::Cancelled),
            Err(cause) => {
                missing.push(format!("intent: {cause}"));
                None
            }
        };
        Ok(Self { version, lag, segments, taken, buying, missing, metrics, holds_out })
    }

    /// The moment people are looked at when it is `now`: late events count as if they had just come in.
    fn moment(&self, acts: &[Act], now: i64) -> i64 {
        acts.last().map_or(now - self.lag, |act| (now - self.lag).max(act.at))
    }

    /// Place of the segment of a person with these `acts`, the oldest first; none without acts or segments.
    pub fn segment_of(&self, acts: &[Act], now: i64) -> Option<usize> {
        let segments = self.segments.as_ref().filter(|_| !acts.is_empty())?;
        segments.assign(&measures(acts, self.moment(acts, now)))
    }

    /// The probability of a purchase within `days`; none where that was not learnt.
    pub fn predict(&self, acts: &[Act], now: i64, days: u32) -> Option<Prediction> {
        Some(self.buying.as_ref()?.predict(acts, self.moment(acts, now), days))
    }
}

fn taken(segments: &Segments, past: &[Person], items: &[String], now: i64) -> Vec<Vec<(String, f64)>> {
    let groups = segments.segments.len();
    let (mut counts, mut people) = (vec![HashMap::<u32, f64>::new(); groups], vec![0.0_f64; groups]);
    for one in past {
        let Some(group) = segments.assign(&measures(&one.acts, now)) else { continue };
        people[group] += 1.0;
        let mut own = one.items.clone();
        own.sort_unstable();
        own.dedup();
        for item in own {
            *counts[group].entry(item).or_default() += 1.0;
        }
    }
    let most = |(counts, people): (HashMap<u32, f64>, f64)| {
        let mut all: Vec<(u32, f64)> = counts.into_iter().collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.truncate(TAKEN);
        all.into_iter().map(|(item, count)| (items[item as usize].clone(), count / people)).collect()
    };
    counts.into_iter().zip(people).map(most).collect()
}
