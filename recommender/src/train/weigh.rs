//! How much each kind of event should tell, learnt: multiples of the configured weights are tried on what half of the
//! validation people took next, and kept only where the other half is found more of as well.
//!
//! The singular value decomposition stands for all algorithms here: it is the quickest to fit again for other weights.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proto::common::v1::EventKind;

use super::holdout::split;
use super::{Numbered, READ, Run};
use crate::algorithm::{Algorithm, FitError, Settings};
use crate::search::{Question, measure};
use crate::signals::Signals;

/// Multiples of a weight that are tried, one kind after the other.
const MULTIPLES: [f32; 3] = [0.1, 0.3, 3.0];
/// Fewest people in each half: fewer tell chance from a better weight no more.
const LEAST: usize = 50;
/// Share of the whole search's time that this may take.
const SHARE: f64 = 0.2;

/// NDCG to a depth of a hundred of what people took next.
#[derive(Clone, Copy)]
struct Halves {
    /// Of those on whom weights are chosen.
    chosen: f64,
    /// Of those on whom the choice is confirmed.
    confirmed: f64,
}

impl Run<'_> {
    /// Leaves `deeds` with the weights that find most; the answer says whether they are other than configured.
    pub(super) fn weigh(&self, deeds: &mut Numbered, budget: Duration, seed: u64) -> Result<bool, FitError> {
        let until = Instant::now() + budget.mul_f64(SHARE);
        let kinds = kinds(deeds);
        let people = split(deeds.people(), deeds.items()).validation.len();
        if kinds.is_empty() || people < 2 * LEAST {
            return Ok(false);
        }
        let configured = deeds.signals().clone();
        let base = self.trial(deeds, &configured, seed)?;
        let (mut best, mut most) = (configured.clone(), base);
        for kind in kinds {
            let plain = best.clone();
            for multiple in MULTIPLES {
                if Instant::now() > until {
                    break;
                }
                let mut next = plain.clone();
                let Some(weight) = next.weight_mut(kind) else { continue };
                *weight *= multiple;
                let found = self.trial(deeds, &next, seed)?;
                let name = kind.as_str_name().trim_start_matches("EVENT_KIND_").to_lowercase();
                let (now, before) = (found.chosen, base.chosen);
                let told = format!("{name} × {multiple}: NDCG@100 {now:.4}, as configured {before:.4}");
                (self.progress)("weigh", READ, told);
                if found.chosen > most.chosen {
                    (best, most) = (next, found);
                }
            }
        }
        let better = most.confirmed > base.confirmed;
        deeds.reweigh(if better { best } else { configured });
        Ok(better)
    }

    /// What each half is found of, with `signals` for weights.
    fn trial(&self, deeds: &mut Numbered, signals: &Signals, seed: u64) -> Result<Halves, FitError> {
        deeds.reweigh(signals.clone());
        let halves = split(deeds.people(), deeds.items());
        let settings = Settings::of(Algorithm::Svd, seed);
        let model = self.fit(&halves.kept, &settings, READ..READ)?;
        let of = |first: usize| {
            let asked: Vec<Question> = halves.validation.iter().skip(first).step_by(2).cloned().collect();
            measure(model.as_ref(), &asked, true).steady
        };
        Ok(Halves { chosen: of(0), confirmed: of(1) })
    }
}

/// The kinds whose weights are free, the most frequent first: all but the one that tells most, which is the unit.
fn kinds(deeds: &Numbered) -> Vec<EventKind> {
    let mut counts = BTreeMap::new();
    for deed in deeds.people().iter().flatten() {
        *counts.entry(deed.kind).or_insert(0_usize) += 1;
    }
    let weight = |kind: &EventKind| deeds.signals().weight(*kind);
    let unit = counts.keys().copied().max_by(|a, b| weight(a).total_cmp(&weight(b)));
    let mut kinds: Vec<(EventKind, usize)> = counts.into_iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    kinds.into_iter().map(|(kind, _)| kind).filter(|kind| Some(*kind) != unit).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::store::Deed;

    const DAY: i64 = 86_400;

    /// People who buy goods of their own half of the shop, and look at anything.
    fn shop(signals: Signals, looks: usize) -> Numbered {
        let mut random = StdRng::seed_from_u64(7);
        let mut deeds = Vec::new();
        for person in 0..300_u32 {
            let mut deed = |kind, item: u32, at| {
                let (person, item_id) = (format!("p{person}"), format!("i{item}"));
                deeds.push(Deed::new(person, kind, item_id, at));
            };
            for day in 0..6 {
                let own = person % 2 * 40 + random.random_range(0..40);
                deed(EventKind::Purchase, own, day * DAY);
                for look in 0..looks {
                    deed(EventKind::View, random.random_range(0..80), day * DAY + 60 * (look as i64 + 1));
                }
            }
            deed(EventKind::Purchase, person % 2 * 40 + random.random_range(0..40), 7 * DAY);
        }
        deeds.sort_by_key(|deed| deed.at);
        let mut numbered = Numbered::new(signals);
        numbered.extend(deeds);
        numbered.settle();
        numbered
    }

    fn learn(deeds: &mut Numbered) -> bool {
        let progress: super::super::Progress = Arc::new(|_, _, _| {});
        let run = Run { progress: &progress, cancelled: &|| false };
        run.weigh(deeds, Duration::from_secs(600), 1).expect("fits")
    }

    #[test]
    fn looks_that_tell_nothing_come_to_weigh_less() {
        let configured = Signals { view: 1.0, ..Signals::default() };
        let mut deeds = shop(configured, 6);
        assert!(learn(&mut deeds));
        assert!(deeds.signals().view < 0.5, "{:?}", deeds.signals());
        assert!((deeds.signals().purchase - 1.0).abs() < f32::EPSILON, "the unit");
        let looks = deeds.people().iter().flatten().filter(|deed| deed.kind == EventKind::View);
        assert!(looks.map(|deed| deed.weight).all(|weight| weight < 0.5), "the deeds weigh what was learnt");
    }

    #[test]
    fn one_kind_alone_is_the_unit() {
        let mut deeds = shop(Signals::default(), 0);
        assert!(!learn(&mut deeds));
        assert_eq!(deeds.signals(), &Signals::default());
    }
}
