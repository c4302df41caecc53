//! Compares what a training run learnt of people with what serves, on people that neither was fitted to.

use std::collections::BTreeMap;

use ndarray::Array2;

use super::{People, Person};
use crate::intent::person::Act;
use crate::segment::{MEASURES, Segments, measures};

/// Loss of silhouette that still counts as no worse: about what another sample of the same people changes it by.
const SILHOUETTE_TOLERANCE: f64 = 0.02;

/// Outcome of the comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Comparison {
    /// The measures compared, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Why parts are worse than what serves; empty: none is.
    pub worse: Vec<String>,
}

impl People {
    /// Compares these with the `serving` ones on the held-out people of `past`; `now` is when these were learnt, and
    /// `seed` the run's. Runs on the calling thread and rayon's.
    pub fn compare(&self, serving: &Self, past: &[Person], now: i64, seed: u64) -> Comparison {
        let mut found = Comparison::default();
        self.compare_segments(serving, past, now, seed, &mut found);
        self.compare_intent(serving, past, seed, &mut found);
        found
    }

    fn compare_segments(&self, serving: &Self, past: &[Person], now: i64, seed: u64, found: &mut Comparison) {
        let Some(old) = &serving.segments else { return };
        if self.segments.is_none() {
            found.worse.push(self.absent("segments"));
            return;
        }
        let rows = |held_out: bool| {
            let people = past.iter().filter(|one| one.held_out == held_out && !one.acts.is_empty());
            let values: Vec<f64> = people.flat_map(|one| measures(&one.acts, now - self.lag)).collect();
            Array2::from_shape_vec((values.len() / MEASURES.len(), MEASURES.len()), values)
        };
        let (Ok(fitted), Ok(held_out)) = (rows(false), rows(true)) else { return };
        // Fitted again to the others alone: the segments that would serve were fitted to everyone.
        let Ok(new) = Segments::of(&fitted, seed) else { return };
        let (after, before) = (new.silhouette_of(&new, &held_out), new.silhouette_of(old, &held_out));
        found.metrics.insert("held-out silhouette".into(), after);
        found.metrics.insert("promoted held-out silhouette".into(), before);
        if after < before - SILHOUETTE_TOLERANCE {
            found.worse.push(format!(
                "segments: silhouette {after:.3} on held-out people, of those that serve {before:.3}"
            ));
        }
    }

    fn compare_intent(&self, serving: &Self, past: &[Person], seed: u64, found: &mut Comparison) {
        let Some(old) = &serving.buying else { return };
        let Some(new) = &self.buying else {
            found.worse.push(self.absent("intent"));
            return;
        };
        // A model of an earlier version was fitted to everyone: on people it was fitted to it would win unfairly.
        if !(self.holds_out && serving.holds_out) {
            return;
        }
        let held_out: Vec<Vec<Act>> =
            past.iter().filter(|one| one.held_out).map(|one| one.acts.clone()).collect();
        let Some(losses) = new.compare(old, &held_out, seed) else { return };
        found.metrics.insert("held-out intent log-loss".into(), losses.log_loss);
        found.metrics.insert("promoted held-out intent log-loss".into(), losses.other_log_loss);
        if losses.is_worse {
            let (after, before) = (losses.log_loss, losses.other_log_loss);
            found.worse.push(format!(
                "intent: log-loss {after:.4} on held-out people, of the model that serves {before:.4}"
            ));
        }
    }

    /// Why a part that serves now was not learnt anew.
    fn absent(&self, part: &str) -> String {
        let reason = self.missing.iter().find(|reason| reason.starts_with(part));
        reason.cloned().unwrap_or_else(|| format!("{part}: not learnt"))
    }
}
