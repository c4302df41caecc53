//! What is stored of a trained model, and what it predicts.

use std::collections::BTreeMap;

use proto::common::v1::Offer;
use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use super::joint::{Joint, Means, Sale};
use super::later::{Later, Own};
use super::spread::Spread;
use super::study::Blend;
use super::support::Support;
use super::{LEVEL, NONE};
use crate::error::{Error, Result};
use crate::features::VERSION;
use crate::features::scale::model_value;
use crate::stats::{Interval, normal};
use crate::strategy::terms;

/// A mean with its squared standard error.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its squared standard error.
    pub variance: f64,
}

impl Estimate {
    /// Its interval.
    pub fn interval(self) -> Interval {
        let z = normal::quantile(f64::midpoint(1.0, LEVEL));
        Interval::around(self.mean, z * self.variance.max(0.0).sqrt(), LEVEL)
    }

    /// Its standard error.
    pub fn error(self) -> f64 {
        self.variance.max(0.0).sqrt()
    }
}

/// What one treatment was and how much was seen of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The offer, or [`NONE`].
    pub id: String,
    /// Offers of one family differ in depth alone.
    pub family: String,
    /// Depth of the discount: its share of a usual basket.
    pub depth: f64,
    /// Decisions it was learnt from.
    pub rows: usize,
}

/// The probability of an event under every arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chance {
    /// Learnt from all rows.
    pub blend: Blend,
    /// The same without the people of each fold.
    pub by_fold: Vec<Blend>,
    /// What brings the probability without treatment to what was measured.
    pub calibration: Calibration,
    /// How far the probability without treatment may be off.
    pub control_spread: Spread,
    /// By arm from 1: how far the effect may be off.
    pub spreads: Vec<Spread>,
    /// What to expect of a treatment never seen.
    pub unseen: Estimate,
    /// What the rows leave open of the effects: draws from the posterior of the model of all arms.
    pub doubt: Option<Joint>,
}

impl Chance {
    /// The probability without treatment, and every arm's change of it: the control's first and 0.
    fn predict(&self, row: &[f64], arms: &[Vec<f64>], fold: Option<usize>) -> (f64, Vec<Estimate>) {
        let blend = fold.and_then(|fold| self.by_fold.get(fold)).unwrap_or(&self.blend);
        let (control, effects) = blend.predict(row, arms);
        let base = self.calibration.apply(control).clamp(0.0, 1.0);
        let estimate = |(arm, mean): (usize, f64)| match arm.checked_sub(1) {
            None => Estimate::default(),
            Some(place) => Estimate { mean, variance: self.spreads[place].error(mean).powi(2) },
        };
        (base, effects.into_iter().enumerate().map(estimate).collect())
    }
}

/// What a purchase brings: learnt from all purchases, and without the people of each fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sales {
    /// From all.
    pub whole: Sale,
    /// Without each fold.
    pub by_fold: Vec<Sale>,
}

/// A trained model. Purchases, revenue, profit and cost of an offer are one probability of buying and one model of what a
/// purchase brings, so that they agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What is predicted: `click`, `purchase` or `profit`.
    pub target: String,
    /// Currency of amounts; empty where nothing was bought.
    pub currency: String,
    /// Names of the features, in order.
    pub features: Vec<String>,
    /// The arms; the first is the control.
    pub arms: Vec<Arm>,
    /// Descriptions of the arms as the learners take them.
    pub descriptions: Vec<Vec<f64>>,
    /// Of the target's probability.
    pub hit: Chance,
    /// Of the probability to buy, where the target is another event.
    pub bought: Option<Chance>,
    /// What a purchase brings; `None` where nothing was bought.
    pub sales: Option<Sales>,
    /// What an offer changes in the days after it.
    pub later: Later,
    /// Where people have been seen.
    pub support: Support,
    /// A usual basket, minor units: what depths of amounts are measured by.
    pub basket: f64,
    /// The seed of training.
    pub seed: u64,
    /// Folds of people.
    pub folds: usize,
    /// Version of the feature vector it was trained on; 0: before there was one.
    #[serde(default)]
    pub feature_version: u32,
    /// Outcome window it was trained with, microseconds: what happened within it counts for a decision.
    #[serde(default)]
    pub outcome_window: i64,
}

/// What a model says of one person.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Forecast {
    /// Probability of the target without treatment.
    pub base: f64,
    /// Profit without treatment, minor units.
    pub profit: f64,
    /// Every arm, the control first.
    pub arms: Vec<Prediction>,
    /// By arm: what a purchase brings.
    sales: Vec<Means>,
}

/// What one treatment will bring to one person.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Prediction {
    /// Change of the target's probability.
    pub uplift: Estimate,
    /// Change of the profit, minor units, that of the next days included.
    pub profit: Estimate,
    /// Of it, the change of the profit of the next days.
    pub later: f64,
    /// Change of the revenue, minor units.
    pub revenue: Estimate,
    /// Discount expected to be given, minor units.
    pub spend: Estimate,
    /// Whether the treatment was among those learnt from.
    pub seen: bool,
}

impl Model {
    /// Refuses a model that was trained on another version of the features than is served.
    ///
    /// # Errors
    /// `EFFECT_MODEL_OTHER_FEATURES`, with `id` as the model's name.
    pub fn served(self, id: &str) -> Result<Self> {
        if self.feature_version == VERSION {
            return Ok(self);
        }
        let text = format!(
            "{id} was trained on version {} of the features, version {VERSION} is served: TrainEffectModel makes it anew",
            self.feature_version
        );
        Err(Error::precondition("EFFECT_MODEL_OTHER_FEATURES", text))
    }

    /// A person's features in the model's order; those not given are missing.
    pub fn row(&self, given: &BTreeMap<String, f64>) -> Vec<f64> {
        self.features.iter().map(|name| value(given, name)).collect()
    }

    /// Probability of the target without treatment.
    pub fn base(&self, row: &[f64]) -> Estimate {
        let mean = self.hit.predict(row, &self.descriptions, None).0;
        Estimate { mean, variance: self.hit.control_spread.error(mean).powi(2) }
    }

    /// Index of an arm by the offer's id, or [`NONE`].
    pub fn arm(&self, id: &str) -> Option<usize> {
        self.arms.iter().position(|arm| arm.id == id)
    }

    /// What every arm will bring to a person: the control's first and 0. Within a family the change of the target's
    /// probability never falls as the discount grows.
    pub fn predict_all(&self, row: &[f64]) -> Vec<Prediction> {
        self.forecast(row).arms
    }

    /// The same with what is expected without an offer.
    pub fn forecast(&self, row: &[f64]) -> Forecast {
        self.forecast_by(row, None)
    }

    /// The same by models that have never seen `unit`, should it be one that was learnt from.
    pub fn forecast_unseen(&self, row: &[f64], unit: &str) -> Forecast {
        self.forecast_by(row, Some(fold(unit, self.seed, self.folds)))
    }

    fn forecast_by(&self, row: &[f64], fold: Option<usize>) -> Forecast {
        let (base, mut uplift) = self.hit.predict(row, &self.descriptions, fold);
        self.order_by_depth(&mut uplift);
        let (buys, bought) = match &self.bought {
            None => (base, uplift.clone()),
            Some(chance) => {
                let (buys, mut bought) = chance.predict(row, &self.descriptions, fold);
                self.order_by_depth(&mut bought);
                (buys, bought)
            }
        };
        let sale = self.sales.as_ref().map(|sales| fold.map_or(&sales.whole, |fold| &sales.by_fold[fold]));
        let sales = sale.map_or_else(|| vec![Means::default(); self.arms.len()], |sale| sale.means(row));
        let control = sales[0];
        let of_arm = |arm: usize| {
            if arm == 0 {
                return Prediction { seen: true, ..Prediction::default() };
            }
            let (sale, effect) = (sales[arm], bought[arm]);
            let with = (buys + effect.mean).clamp(0.0, 1.0);
            let spend =
                Estimate { mean: with * sale.discount, variance: effect.variance * sale.discount.powi(2) };
            let before = with * (sale.profit + sale.discount) - buys * control.profit;
            let own = Own { profit: before, discount: spend.mean };
            let (later, later_variance) = self.later.change(row, own);
            // Who buys either way brings the same but for the discount: only what differs is unsure.
            let unsure = with * sale.error - buys * control.error;
            Prediction {
                uplift: uplift[arm],
                profit: Estimate {
                    mean: before - spend.mean + later,
                    variance: effect.variance * sale.profit.powi(2) + unsure.powi(2) + later_variance,
                },
                later,
                revenue: Estimate {
                    mean: with * sale.revenue - buys * control.revenue,
                    variance: effect.variance * sale.revenue.powi(2),
                },
                spend,
                seen: true,
            }
        };
        let arms = (0..self.arms.len()).map(of_arm).collect();
        Forecast { base, profit: buys * control.profit, arms, sales }
    }

    /// Draws from what is not known of effects on the target's probability, or on what purchases bring: by draw, then arm,
    /// how far its effect lies from what is predicted.
    pub fn doubts(&self, row: &[f64], forecast: &Forecast, of: Doubted) -> Vec<Vec<f64>> {
        let chance = match of {
            Doubted::Target => &self.hit,
            Doubted::Profit | Doubted::Revenue => self.bought.as_ref().unwrap_or(&self.hit),
        };
        let Some(doubt) = &chance.doubt else { return Vec::new() };
        let scaled = |(deviation, sale): (f64, &Means)| match of {
            Doubted::Target => deviation,
            Doubted::Profit => deviation * sale.profit,
            Doubted::Revenue => deviation * sale.revenue,
        };
        let draw = |draw: Vec<f64>| draw.into_iter().zip(&forecast.sales).map(scaled).collect();
        doubt.deviations(row).into_iter().map(draw).collect()
    }

    /// The arm whose effects are most like the offer's: its own, or its family's nearest in depth.
    pub fn nearest(&self, offer: &Offer) -> Option<usize> {
        let (family, depth) = (terms::family(offer), terms::depth(offer, self.basket));
        let far = |arm: &usize| (self.arms[*arm].depth - depth).abs();
        let kin = (1..self.arms.len()).filter(|arm| self.arms[*arm].family == family);
        self.arm(&offer.offer_id).or_else(|| kin.min_by(|a, b| far(a).total_cmp(&far(b))))
    }

    /// What `offer` (`None`: no offer) will bring. One never seen is placed between its family's by depth, or expected
    /// to be like all others.
    pub fn predict(&self, row: &[f64], offer: Option<&Offer>) -> Prediction {
        self.among(&self.predict_all(row), offer)
    }

    /// The same from what [`Self::predict_all`] said.
    pub fn among(&self, all: &[Prediction], offer: Option<&Offer>) -> Prediction {
        let Some(offer) = offer else { return all[0] };
        if let Some(arm) = self.arm(&offer.offer_id) {
            return all[arm];
        }
        let (family, depth) = (terms::family(offer), terms::depth(offer, self.basket));
        let mut kin: Vec<usize> =
            (1..self.arms.len()).filter(|&arm| self.arms[arm].family == family).collect();
        kin.sort_by(|&a, &b| self.arms[a].depth.total_cmp(&self.arms[b].depth));
        let (Some(below), Some(above)) = (
            kin.iter().rev().find(|&&arm| self.arms[arm].depth <= depth).or(kin.first()),
            kin.iter().find(|&&arm| self.arms[arm].depth >= depth).or(kin.last()),
        ) else {
            return self.like_all(all, depth);
        };
        let (low, high) = (self.arms[*below].depth, self.arms[*above].depth);
        let share = if high > low { ((depth - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        // What is not known of an arm never seen is as large as what tells arms apart.
        let between = |a: Estimate, b: Estimate, unseen: Estimate| Estimate {
            mean: a.mean + share * (b.mean - a.mean),
            variance: a.variance.max(b.variance) + unseen.variance,
        };
        let (a, b) = (all[*below], all[*above]);
        let unseen = self.like_all(all, depth);
        Prediction {
            uplift: between(a.uplift, b.uplift, unseen.uplift),
            profit: between(a.profit, b.profit, unseen.profit),
            later: a.later + share * (b.later - a.later),
            revenue: between(a.revenue, b.revenue, unseen.revenue),
            spend: between(a.spend, b.spend, Estimate::default()),
            seen: false,
        }
    }

    /// A treatment never seen, expected to be like those that were.
    fn like_all(&self, all: &[Prediction], depth: f64) -> Prediction {
        let like = |of: fn(&Prediction) -> Estimate| {
            let count = (all.len() - 1).max(1) as f64;
            let mean = all[1..].iter().map(|arm| of(arm).mean).sum::<f64>() / count;
            let spread = all[1..].iter().map(|arm| (of(arm).mean - mean).powi(2)).sum::<f64>() / count;
            let own = all[1..].iter().map(|arm| of(arm).variance).fold(0.0, f64::max);
            Estimate { mean, variance: spread + own }
        };
        let uplift = Estimate { variance: self.hit.unseen.variance, ..self.hit.unseen };
        Prediction {
            uplift,
            profit: like(|arm| arm.profit),
            later: all[1..].iter().map(|arm| arm.later).sum::<f64>() / (all.len() - 1).max(1) as f64,
            revenue: like(|arm| arm.revenue),
            spend: Estimate { mean: depth * self.basket * self.base_rate(), variance: 0.0 },
            seen: false,
        }
    }

    fn base_rate(&self) -> f64 {
        let bins = &self.hit.control_spread.bins;
        bins.iter().map(|(_, measured)| measured).sum::<f64>() / bins.len().max(1) as f64
    }

    /// What each feature of the person adds to the change of the target's probability, the largest first: the effect less the effect
    /// with that feature at its mean.
    pub fn drivers(&self, row: &[f64], arm: usize) -> Vec<(String, f64)> {
        if arm == 0 {
            return Vec::new();
        }
        let effect = |row: &[f64]| self.hit.blend.predict(row, &self.descriptions).1[arm];
        let whole = effect(row);
        let usual = self.support.means().iter().enumerate();
        let mut found: Vec<(String, f64)> = usual
            .filter(|(feature, _)| !row[*feature].is_nan())
            .map(|(feature, mean)| {
                let mut usual = row.to_vec();
                usual[feature] = *mean;
                (self.features[feature].clone(), whole - effect(&usual))
            })
            .collect();
        found.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        found
    }

    /// Pools neighbours that lie the wrong way round (isotonic regression, Barlow et al. 1972), weighted by precision.
    fn order_by_depth(&self, all: &mut [Estimate]) {
        let mut families: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for arm in (1..self.arms.len()).filter(|&arm| self.arms[arm].id != NONE) {
            families.entry(&self.arms[arm].family).or_default().push(arm);
        }
        for kin in families.values_mut().filter(|kin| kin.len() > 1) {
            kin.sort_by(|&a, &b| self.arms[a].depth.total_cmp(&self.arms[b].depth));
            let given: Vec<(f64, f64)> =
                kin.iter().map(|&arm| (all[arm].mean, all[arm].variance.max(1e-18).recip())).collect();
            for (arm, mean) in kin.iter().zip(isotonic(&given)) {
                all[*arm].mean = mean;
            }
        }
    }
}

/// What is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubted {
    /// The target's probability.
    Target,
    /// Profit.
    Profit,
    /// Revenue.
    Revenue,
}

/// The fold of a person: all decisions for a person lie in one, for a model that has seen the person would flatter itself.
pub fn fold(unit: &str, seed: u64, folds: usize) -> usize {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = unit.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    ((hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) as usize % folds.max(1)
}

/// A feature's value on the models' scale. A channel or the like that is not named is another one, not a missing one.
pub(crate) fn value(given: &BTreeMap<String, f64>, name: &str) -> f64 {
    let raw = given.get(name).copied();
    if let Some(scaled) = model_value(name, raw) {
        return scaled;
    }
    raw.unwrap_or(if name.contains(':') { 0.0 } else { f64::NAN })
}

/// The ascending sequence closest to `(value, weight)` pairs, by pooling adjacent violators.
pub fn isotonic(given: &[(f64, f64)]) -> Vec<f64> {
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for &(value, weight) in given {
        blocks.push((value, weight, 1));
        while let [.., (a, wa, na), (b, wb, nb)] = blocks[..]
            && a > b
        {
            blocks.truncate(blocks.len() - 2);
            blocks.push(((a * wa + b * wb) / (wa + wb), wa + wb, na + nb));
        }
    }
    blocks.into_iter().flat_map(|(value, _, count)| std::iter::repeat_n(value, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn's IsotonicRegression documentation states the algorithm; these are by hand.
    #[test]
    fn violators_are_pooled_by_weight() {
        assert_eq!(isotonic(&[(1.0, 1.0), (3.0, 1.0), (2.0, 1.0), (4.0, 1.0)]), [1.0, 2.5, 2.5, 4.0]);
        assert_eq!(isotonic(&[(3.0, 3.0), (1.0, 1.0)]), [2.5, 2.5]);
        assert_eq!(isotonic(&[(3.0, 1.0), (2.0, 1.0), (1.0, 1.0)]), [2.0, 2.0, 2.0]);
        assert!(isotonic(&[]).is_empty());
    }
}
