//! A weighted sum of models, each in units of its own spread over the catalogue; the weights come from ensemble
//! selection on validation data (Caruana and others 2004).

use std::collections::BTreeMap;

use ndarray::{Array1, ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::{
    Cause, FitError, Histories, Model, NotAModel, Past, Settings, Share, Tensors, fit as fit_one, merged,
};
use crate::factorise::Watch;

/// One model of a blend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// How much it counts, above 0.
    pub weight: f64,
    /// What it is fitted with.
    #[serde(flatten)]
    pub settings: Settings,
}

/// The parts of a blend.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BlendSettings {
    /// At least one; none of them a blend.
    pub parts: Vec<Part>,
}

impl BlendSettings {
    pub(super) fn check(&self) -> Result<(), FitError> {
        if self.parts.is_empty() {
            return Err(FitError::Setting { field: "parts".into(), value: 0.0, range: "1 and above".into() });
        }
        for part in &self.parts {
            if !(part.weight.is_finite() && part.weight > 0.0) {
                let range = "above 0".to_owned();
                return Err(FitError::Setting { field: "weight".into(), value: part.weight, range });
            }
            if let Settings::Blend(_) = part.settings {
                let range = "algorithms other than a blend".to_owned();
                return Err(FitError::Setting { field: "parts".into(), value: 0.0, range });
            }
            part.settings.check()?;
        }
        Ok(())
    }

    pub(super) fn parameters(&self) -> BTreeMap<String, f64> {
        let mut all = BTreeMap::new();
        for (place, part) in (1..).zip(&self.parts) {
            let name = |parameter: &str| format!("{place}-{}.{parameter}", part.settings.algorithm());
            all.insert(name("weight"), part.weight);
            all.extend(part.settings.parameters().into_iter().map(|(key, value)| (name(&key), value)));
        }
        all
    }
}

/// A fitted blend.
#[derive(Debug)]
pub struct Blend {
    parts: Vec<(f64, Box<dyn Model>)>,
}

pub(super) fn fit(histories: &Histories, settings: &BlendSettings, watch: Watch) -> Result<Blend, FitError> {
    let count = settings.parts.len() as f64;
    let parts = settings.parts.iter().enumerate().map(|(place, part)| {
        let report = |share: f64| (watch.report)((place as f64 + share) / count);
        let watch = Watch { report: &report, cancelled: watch.cancelled };
        Ok((part.weight, fit_one(&part.settings, histories, watch)?))
    });
    Ok(Blend { parts: parts.collect::<Result<_, FitError>>()? })
}

impl Blend {
    /// The model that was stored.
    pub(super) fn read(parts: Vec<(f64, Box<dyn Model>)>) -> Result<Self, NotAModel> {
        let items = parts.first().map_or(0, |(_, model)| model.items());
        if parts.iter().any(|(_, model)| model.items() != items) {
            return Err(NotAModel::of("the parts of the blend know different numbers of items"));
        }
        Ok(Self { parts })
    }

    /// The part whose factors are the blend's, and what its score of an item is worth where it speaks for all parts.
    fn factored(&self, past: &[Past]) -> Option<(f32, &dyn Model)> {
        let (_, model) = self.parts.iter().find(|(_, model)| model.factors().is_some())?;
        let mut scores = vec![0.0; model.items()];
        model.score_into(past, &mut scores);
        let all: f64 = self.parts.iter().map(|(weight, _)| weight).sum();
        Some(((all * unit(model.as_ref(), past, &scores)) as f32, model.as_ref()))
    }
}

/// What a part's scores of a past are multiplied by: 1 over their spread. Where the past holds dislikes, the spread is
/// that of the scores without them, so that a dislike lowers scores and does not stretch those that are left.
fn unit(model: &dyn Model, past: &[Past], scores: &[f32]) -> f64 {
    if past.iter().all(|one| one.weight > 0.0) {
        return inverse_spread(scores);
    }
    let liked: Vec<Past> = past.iter().filter(|one| one.weight > 0.0).copied().collect();
    let mut scores = vec![0.0; scores.len()];
    model.score_into(&liked, &mut scores);
    inverse_spread(&scores)
}

/// 1 over the standard deviation of the scores, 0 where they are all the same.
pub(crate) fn inverse_spread(scores: &[f32]) -> f64 {
    let count = scores.len().max(1) as f64;
    let mean = scores.iter().map(|&score| f64::from(score)).sum::<f64>() / count;
    let variance = scores.iter().map(|&score| (f64::from(score) - mean).powi(2)).sum::<f64>() / count;
    // The rounding of a sum of many equal numbers is no spread.
    if variance > mean * mean * 1e-12 && variance > 0.0 { 1.0 / variance.sqrt() } else { 0.0 }
}

impl Model for Blend {
    fn settings(&self) -> Settings {
        let part =
            |(weight, model): &(f64, Box<dyn Model>)| Part { weight: *weight, settings: model.settings() };
        Settings::Blend(BlendSettings { parts: self.parts.iter().map(part).collect() })
    }

    fn popularity(&self) -> &[f32] {
        self.parts.first().map_or(&[], |(_, model)| model.popularity())
    }

    fn score_into(&self, past: &[Past], out: &mut [f32]) {
        let mut one = vec![0.0; out.len()];
        out.fill(0.0);
        for (weight, model) in &self.parts {
            model.score_into(past, &mut one);
            let scale = (weight * unit(model.as_ref(), past, &one)) as f32;
            out.iter_mut().zip(&one).for_each(|(sum, score)| *sum += scale * score);
        }
    }

    fn shares(&self, past: &[Past], items: &[u32]) -> Vec<Vec<Share>> {
        let mut scores = vec![0.0; self.items()];
        let mut all: Vec<Vec<Share>> = vec![Vec::new(); items.len()];
        for (weight, model) in &self.parts {
            model.score_into(past, &mut scores);
            let scale = (weight * unit(model.as_ref(), past, &scores)) as f32;
            for (sums, shares) in all.iter_mut().zip(model.shares(past, items)) {
                let scaled = |Share { cause, value }| Share { cause, value: scale * value };
                sums.extend(shares.into_iter().map(scaled));
            }
        }
        // A part without a word for an item must not leave a share of nothing behind.
        let told = |share: &Share| share.value != 0.0 || matches!(share.cause, Cause::Item(_));
        all.into_iter().map(|shares| merged(shares.into_iter().filter(told))).collect()
    }

    fn factors(&self) -> Option<ArrayView2<'_, f32>> {
        self.parts.iter().find_map(|(_, model)| model.factors())
    }

    fn person_factors(&self, past: &[Past]) -> Option<Array1<f32>> {
        let (scale, model) = self.factored(past)?;
        Some(model.person_factors(past)? * scale)
    }

    fn shares_of_row(&self, past: &[Past], row: ArrayView1<f32>) -> Vec<Share> {
        let Some((scale, model)) = self.factored(past) else { return Vec::new() };
        let scaled = |share: Share| Share { value: scale * share.value, ..share };
        model.shares_of_row(past, row).into_iter().map(scaled).collect()
    }

    fn with_recency(&self, recency: f64) -> Box<dyn Model> {
        Box::new(Self {
            parts: self.parts.iter().map(|(weight, x)| (*weight, x.with_recency(recency))).collect(),
        })
    }

    fn store(&self, tensors: &mut Tensors) {
        for (place, (_, model)) in self.parts.iter().enumerate() {
            tensors.part(place, |tensors| model.store(tensors));
        }
    }
}
