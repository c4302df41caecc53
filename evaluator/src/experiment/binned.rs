//! What the bins of an experiment's sums tell beyond moments: quantiles, and where outcomes are winsorised.

use std::collections::BTreeMap;

use super::cells::Cells;
use super::quantile::Quantile;
use crate::error::Result;
use crate::metric::definition::{Cap, Definition};
use crate::metric::{Metric, bin, quantile};

/// Where outcomes are winsorised: those in greater bins are taken for `value`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) bin: i32,
    /// The greatest value of that bin.
    pub(super) value: i64,
}

impl Cells {
    /// Where the outcomes of `metric` are winsorised; `None` where they are not. The quantile is that of all units of
    /// all `variants`, so that no arm is cut by another rule than the others; who has no cell has an outcome of 0.
    pub(super) fn winsorised_at(&self, metric: &Metric, variants: &[String]) -> Option<Most> {
        let Metric::Own(own) = metric else { return None };
        let Definition { cap: Some(Cap::Quantile(share)), .. } = **own else { return None };
        let units: u64 = self.units_of(variants).iter().sum();
        let mut counts: BTreeMap<i32, i128> = BTreeMap::new();
        for (key, sums) in self.of_metric(metric.name()).filter(|(key, _)| variants.contains(&key.variant)) {
            *counts.entry(key.bin).or_default() += sums.denominator();
        }
        let absent = i128::from(units) - counts.values().sum::<i128>();
        *counts.entry(0).or_default() += absent;
        let wanted = share * units as f64;
        let mut below = 0;
        let bin = counts.into_iter().find_map(|(bin, count)| {
            below += count;
            (below as f64 >= wanted).then_some(bin)
        })?;
        Some(Most { bin, value: bin::greatest(bin) })
    }

    /// The quantile of `metric` at the share `level` in each of `variants`, over the units that have a value. A value is
    /// known to within half a thousandth. Refused where money was earned in several currencies.
    pub fn quantiles(&self, metric: &Metric, level: f64, variants: &[String]) -> Result<Vec<Quantile>> {
        self.currency(metric)?;
        let arm = |variant: &String| {
            // Of each bin: units, and the sum of their outcomes.
            let mut bins: BTreeMap<i32, (i128, i128)> = BTreeMap::new();
            for (key, sums) in self.of_metric(metric.name()).filter(|(key, _)| key.variant == *variant) {
                let (count, total) = bins.entry(key.bin).or_default();
                (*count, *total) = (*count + sums.denominator(), *total + sums.outcome());
            }
            let values: i128 = bins.values().map(|(count, _)| count).sum();
            let at = |place: i128| {
                let mut below = 0;
                let holds = |(count, total): &(i128, i128)| {
                    below += count;
                    (below > place).then(|| *total as f64 / *count as f64)
                };
                bins.values().find_map(holds).unwrap_or(0.0) / metric.scale()
            };
            let [lower, estimate, upper] = quantile::shares(level, values as f64).map(|share| {
                let place = share * (values - 1).max(0) as f64;
                let (here, next) = (at(place.floor() as i128), at(place.ceil() as i128));
                here + (next - here) * place.fract()
            });
            let values = u64::try_from(values).unwrap_or(0);
            Quantile { level, values, estimate, lower, upper, bound_values: values, clusters: None }
        };
        Ok(variants.iter().map(arm).collect())
    }
}
