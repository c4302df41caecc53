//! Post-stratification: the difference weighed over groups of units that treatment cannot have changed.

use std::collections::BTreeMap;

use super::analyse::{Comparison, Question, blank, conclude};
use super::effect::{Effect, Obstacle, Side, between, pooled_theta, side};
use crate::metric::{MetricKind, Moments, Statistic};

/// One arm's sums by stratum.
pub type Strata = BTreeMap<String, Moments>;

/// Fewest units of a stratum in each arm; smaller strata are put together.
const FEWEST: u64 = 2;

/// Compares `treatment` with `control`, both stratified.
///
/// An arm's value is Σ w_s·mean_s with the strata's shares w_s of both arms together, its squared error
/// Σ w_s²·variance_s/n_s (Miratrix, Sekhon & Yu 2013, JRSS B 75, eq. 3 and 7). The control's and variant's values told
/// are the stratified ones. Not for ratios: [`Obstacle::NoValue`].
pub fn compare(control: &Strata, treatment: &Strata, question: &Question) -> Comparison {
    let (whole_control, whole_treatment) = (whole(control), whole(treatment));
    let mut answer = blank(&whole_control, &whole_treatment, question);
    let found = effect(control, treatment, question);
    if let Ok(effect) = &found {
        answer.control_value = Some(effect.control);
        answer.variant_value = Some(effect.treatment);
    }
    conclude(found, question, &mut answer);
    answer
}

/// The sums of all strata.
pub fn whole(strata: &Strata) -> Moments {
    strata.values().fold(Moments::default(), |sum, stratum| sum.plus(stratum))
}

fn effect(control: &Strata, treatment: &Strata, question: &Question) -> Result<Effect, Obstacle> {
    if question.kind == MetricKind::Ratio {
        return Err(Obstacle::NoValue);
    }
    let pairs = pairs(control, treatment);
    let total: u64 = pairs.iter().map(|(a, b)| a.units + b.units).sum();
    let theta =
        if question.cuped { pooled_theta(&whole(control), &whole(treatment), question.kind) } else { None };
    let mut sides = [empty(whole(control).units), empty(whole(treatment).units)];
    for (a, b) in &pairs {
        let share = (a.units + b.units) as f64 / total as f64;
        for (arm, stratum) in sides.iter_mut().zip([a, b]) {
            if stratum.units < FEWEST {
                return Err(Obstacle::NoValue);
            }
            let part = side(stratum, question.kind, theta).ok_or(Obstacle::NoValue)?;
            add(&mut arm.raw, &part.raw, share);
            add(&mut arm.adjusted, &part.adjusted, share);
        }
    }
    let [a, b] = sides;
    between(a, b, question.difference, theta)
}

fn empty(units: u64) -> Side {
    let nothing = Statistic { units: units as f64, mean: 0.0, variance: 0.0 };
    Side { raw: nothing, adjusted: nothing }
}

/// Adds a stratum's value and, scaled to the whole arm's units, its squared error.
fn add(arm: &mut Statistic, stratum: &Statistic, share: f64) {
    arm.mean += share * stratum.mean;
    arm.variance += share * share * stratum.squared_error() * arm.units;
}

/// The strata of both arms; those too small in either are put together into one, and where that is still too small,
/// into the largest.
fn pairs(control: &Strata, treatment: &Strata) -> Vec<(Moments, Moments)> {
    let names: std::collections::BTreeSet<&String> = control.keys().chain(treatment.keys()).collect();
    let of = |strata: &Strata, name: &str| strata.get(name).copied().unwrap_or_default();
    let small = |(a, b): &(Moments, Moments)| a.units.min(b.units) < FEWEST;
    let (few, mut kept): (Vec<_>, Vec<_>) =
        names.into_iter().map(|name| (of(control, name), of(treatment, name))).partition(small);
    let rest = few.into_iter().fold((Moments::default(), Moments::default()), |sum, pair| {
        (sum.0.plus(&pair.0), sum.1.plus(&pair.1))
    });
    if rest.0.units + rest.1.units > 0 {
        match kept.iter_mut().max_by_key(|(a, b)| a.units + b.units) {
            Some(largest) if small(&rest) => *largest = (largest.0.plus(&rest.0), largest.1.plus(&rest.1)),
            _ => kept.push(rest),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::analyse::Method;
    use crate::experiment::effect::Difference;

    fn strata(parts: &[(&str, u64, f64)]) -> Strata {
        parts.iter().map(|(name, n, x)| ((*name).to_owned(), Moments::proportion(*n, *x))).collect()
    }

    /// By hand: shares ½ and ½; .15 against .20; Σ ¼·p(1−p)/n = ¼·(.1·.9/300 + .2·.8/100) and
    /// ¼·(.12·.88/100 + .28·.72/300).
    #[test]
    fn an_imbalance_of_strata_is_weighed_away() {
        let control = strata(&[("known", 300, 30.0), ("new", 100, 20.0)]);
        let treatment = strata(&[("known", 100, 12.0), ("new", 300, 84.0)]);
        let question = Question::new(MetricKind::Proportion, Difference::Absolute, Method::Fixed);
        let found = compare(&control, &treatment, &question);
        assert!((found.effect.expect("an effect").estimate - 0.05).abs() < 1e-12, "{found:?}");
        let variance = 0.25 * (0.09 / 300.0 + 0.16 / 100.0 + 0.1056 / 100.0 + 0.2016 / 300.0);
        assert!((found.standard_error - f64::sqrt(variance)).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn strata_too_small_for_an_error_join_others() {
        let control = strata(&[("known", 300, 30.0), ("odd", 1, 1.0)]);
        let treatment = strata(&[("known", 300, 40.0)]);
        let question = Question::new(MetricKind::Proportion, Difference::Relative, Method::Fixed);
        let found = compare(&control, &treatment, &question);
        assert!((found.control_value.expect("a value") - 31.0 / 301.0).abs() < 1e-12);
        let ratio = Question { kind: MetricKind::Ratio, ..question };
        assert_eq!(compare(&control, &treatment, &ratio).effect, None);
    }
}
