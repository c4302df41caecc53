//! What is stored of a trained model, and what it predicts.

use std::collections::BTreeMap;

use proto::common::v1::Offer;
use serde::{Deserialize, Serialize};

use super::calibrate::Calibration;
use super::joint::Joint;
use super::response::Response;
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
    /// Standard error of its mean cost.
    pub spend_error: f64,
}

/// Effects on one outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Without treatment.
    pub control: Response,
    /// How far that may be off.
    pub control_spread: Spread,
    /// By arm from 1: the effect and how far it may be off.
    pub effects: Vec<(Blend, Spread)>,
    /// What to expect of a treatment never seen.
    pub unseen: Estimate,
    /// What the rows leave open of the effects: draws from the posterior of the model of all arms.
    pub doubt: Option<Joint>,
}

/// A trained model.
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
    pub hit: Outcome,
    /// What brings the probability without treatment to what was measured.
    pub calibration: Calibration,
    /// What arms cost: the discount given, which is nothing where it is not redeemed. `None` where nothing was bought.
    pub costs: Option<Joint>,
    /// Of the profit, minor units; discounts are paid from it.
    pub profit: Outcome,
    /// Of the revenue, minor units.
    pub revenue: Outcome,
    /// Where people have been seen.
    pub support: Support,
    /// A usual basket, minor units: what depths of amounts are measured by.
    pub basket: f64,
    /// The seed of training.
    pub seed: u64,
    /// Version of the feature vector it was trained on; 0: before there was one.
    #[serde(default)]
    pub feature_version: u32,
    /// Outcome window it was trained with, microseconds: what happened within it counts for a decision.
    #[serde(default)]
    pub outcome_window: i64,
}

/// What one treatment will bring to one person.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Prediction {
    /// Change of the target's probability.
    pub uplift: Estimate,
    /// Change of the profit, minor units.
    pub profit: Estimate,
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
        let mean = self.calibration.apply(self.hit.control.predict(row)).clamp(0.0, 1.0);
        Estimate { mean, variance: self.hit.control_spread.error(mean).powi(2) }
    }

    /// Index of an arm by the offer's id, or [`NONE`].
    pub fn arm(&self, id: &str) -> Option<usize> {
        self.arms.iter().position(|arm| arm.id == id)
    }

    /// What every arm will bring to a person: the control's first and 0. Within a family the change of the target's
    /// probability never falls as the discount grows.
    pub fn predict_all(&self, row: &[f64]) -> Vec<Prediction> {
        let of = |outcome: &Outcome, arm: usize| {
            let (blend, spread) = &outcome.effects[arm - 1];
            let mean = blend.effect(row, arm, &self.descriptions);
            Estimate { mean, variance: spread.error(mean).powi(2) }
        };
        let costs = self.costs.as_ref().map_or_else(|| vec![0.0; self.arms.len()], |costs| costs.means(row));
        let mut all = vec![Prediction { seen: true, ..Prediction::default() }];
        for (arm, (of_arm, cost)) in self.arms.iter().zip(costs).enumerate().skip(1) {
            let spend = Estimate { mean: cost.max(0.0), variance: of_arm.spend_error * of_arm.spend_error };
            all.push(Prediction {
                uplift: of(&self.hit, arm),
                profit: of(&self.profit, arm),
                revenue: of(&self.revenue, arm),
                spend,
                seen: true,
            });
        }
        self.order_by_depth(&mut all);
        all
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
            return Prediction {
                uplift: self.hit.unseen,
                profit: self.profit.unseen,
                revenue: self.revenue.unseen,
                spend: Estimate { mean: depth * self.basket * self.base_rate(), variance: 0.0 },
                seen: false,
            };
        };
        let (low, high) = (self.arms[*below].depth, self.arms[*above].depth);
        let share = if high > low { ((depth - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        let between = |a: Estimate, b: Estimate, unseen: Estimate| Estimate {
            mean: a.mean + share * (b.mean - a.mean),
            variance: a.variance.max(b.variance) + unseen.variance,
        };
        let (a, b) = (all[*below], all[*above]);
        Prediction {
            uplift: between(a.uplift, b.uplift, self.hit.unseen),
            profit: between(a.profit, b.profit, self.profit.unseen),
            revenue: between(a.revenue, b.revenue, self.revenue.unseen),
            spend: between(a.spend, b.spend, Estimate::default()),
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
        let effect = |row: &[f64]| self.hit.effects[arm - 1].0.effect(row, arm, &self.descriptions);
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
    fn order_by_depth(&self, all: &mut [Prediction]) {
        let mut families: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for arm in (1..self.arms.len()).filter(|&arm| self.arms[arm].id != NONE) {
            families.entry(&self.arms[arm].family).or_default().push(arm);
        }
        for kin in families.values_mut().filter(|kin| kin.len() > 1) {
            kin.sort_by(|&a, &b| self.arms[a].depth.total_cmp(&self.arms[b].depth));
            let given: Vec<(f64, f64)> = kin
                .iter()
                .map(|&arm| (all[arm].uplift.mean, all[arm].uplift.variance.max(1e-18).recip()))
                .collect();
            for (arm, mean) in kin.iter().zip(isotonic(&given)) {
                all[*arm].uplift.mean = mean;
            }
        }
    }
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
