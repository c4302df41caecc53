//! A/A simulation: how often the methods find what is not there, and how often their intervals hold the truth.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};
use rayon::prelude::*;

use super::analyse::{Alternative, Comparison, Method, Question, compare};
use super::effect::Difference;
use super::quantile::{self, Quantile};
use super::stratify::{self, Strata};
use crate::metric::statistic::value_with_interval;
use crate::metric::{MetricKind, Moments, Statistic};
use crate::stats::posterior::Beta;
use crate::stats::proportion::{self, Count};
use crate::stats::{Interval, interval, normal};

/// What is simulated.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Experiments.
    pub experiments: u32,
    /// Looks at each.
    pub looks: u32,
    /// Units an arm that arrive between two looks.
    pub units: u32,
    /// Error level.
    pub alpha: f64,
    /// Seed of every draw.
    pub seed: u64,
}

/// One rate with Wilson's interval at 99 %.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// What of: metric, method, event.
    pub name: String,
    /// Whether it is a coverage; otherwise a false-positive rate.
    pub coverage: bool,
    /// The rate.
    pub rate: Interval,
}

/// Outcomes of experiments in which nothing differs, by name of the rate: false positives, or truths held.
pub fn simulate(plan: &Plan) -> Vec<Rate> {
    let mut rates = Vec::new();
    for (name, kind) in
        [("proportion", MetricKind::Proportion), ("mean", MetricKind::Mean), ("ratio", MetricKind::Ratio)]
    {
        let found: Vec<Vec<(&'static str, bool, bool)>> =
            (0..plan.experiments).into_par_iter().map(|index| experiment(plan, kind, index)).collect();
        let Some(first) = found.first() else { continue };
        for (place, (event, coverage, _)) in first.iter().enumerate() {
            let hits = found.iter().filter(|outcomes| outcomes[place].2).count();
            let rate = interval::wilson(hits as f64, found.len() as f64, 0.99);
            let name = format!("{name} {event}");
            rates.extend(rate.map(|rate| Rate { name, coverage: *coverage, rate }));
        }
    }
    rates
}

/// The two arms' sums at one moment, whole and by stratum.
#[derive(Default)]
struct Arms {
    whole: [Moments; 2],
    strata: [Strata; 2],
    /// Of a mean: every outcome, for quantiles.
    outcomes: [Vec<f64>; 2],
}

/// The share below the quantile that is compared.
const QUANTILE: f64 = 0.9;

/// One experiment: each event with whether it is a coverage and whether it came about.
fn experiment(plan: &Plan, kind: MetricKind, index: u32) -> Vec<(&'static str, bool, bool)> {
    let salt = (u64::from(index) << 8) | kind as u64;
    let mut random = StdRng::seed_from_u64(plan.seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let ask = |difference, method| Question { alpha: plan.alpha, ..Question::new(kind, difference, method) };
    let sequential = ask(Difference::Relative, Method::Sequential { tuning: 5_000.0 });
    let fixed = ask(Difference::Relative, Method::Fixed);
    let mut arms = Arms::default();
    let (mut peeked, mut peeked_fixed) = (false, false);
    for _ in 0..plan.looks {
        for arm in 0..2 {
            for _ in 0..plan.units {
                unit(&mut random, kind, arm, &mut arms);
            }
        }
        let [control, treatment] = &arms.whole;
        peeked |= positive(&compare(control, treatment, &sequential), plan.alpha);
        peeked_fixed |= positive(&compare(control, treatment, &fixed), plan.alpha);
    }
    let [control, treatment] = &arms.whole;
    let relative = compare(control, treatment, &fixed);
    let absolute = compare(control, treatment, &ask(Difference::Absolute, Method::Fixed));
    let bayesian = compare(control, treatment, &ask(Difference::Relative, Method::Bayesian { prior: None }));
    let mut found = vec![
        ("FIXED false positives", false, positive(&relative, plan.alpha)),
        ("FIXED false positives of every look (not allowed: for contrast)", false, peeked_fixed),
        ("SEQUENTIAL false positives of every look", false, peeked),
        ("FIXED relative", true, holds(relative.effect, 0.0)),
        ("FIXED absolute", true, holds(absolute.effect, 0.0)),
        ("SEQUENTIAL relative at every look", true, !peeked),
        ("BAYESIAN flat", true, holds(bayesian.effect, 0.0)),
        ("one arm", true, holds(value_with_interval(control, kind, 1.0 - plan.alpha), truth(kind))),
        ("Fieller relative", true, holds(ratio_by_fieller(control, treatment, kind, plan.alpha), 1.0)),
    ];
    let greater = Question { alternative: Alternative::Greater, ..fixed };
    found.push((
        "FIXED one-sided false positives",
        false,
        positive(&compare(control, treatment, &greater), plan.alpha),
    ));
    if kind == MetricKind::Proportion {
        found.extend(of_proportions(control, treatment, plan.alpha));
    }
    if kind == MetricKind::Mean {
        let [a, b] = arms.outcomes.each_mut().map(|outcomes| quantile_of(outcomes));
        found.push(("quantile relative", true, holds(quantile::compare(&a, &b, &fixed).effect, 0.0)));
    }
    let cuped = compare(control, treatment, &Question { cuped: true, ..fixed });
    found.push(("CUPED relative", true, holds(cuped.effect, 0.0)));
    if kind != MetricKind::Ratio {
        let stratified = stratify::compare(&arms.strata[0], &arms.strata[1], &fixed);
        found.push(("post-stratified relative", true, holds(stratified.effect, 0.0)));
    }
    found
}

/// Coverage of the intervals that proportions alone have.
fn of_proportions(control: &Moments, treatment: &Moments, alpha: f64) -> Vec<(&'static str, bool, bool)> {
    let count = |arm: &Moments| Count { successes: arm.sum, trials: arm.units as f64 };
    let (c, t, level) = (count(control), count(treatment), 1.0 - alpha);
    let prior = Beta { alpha: 1.0, beta: 1.0 };
    let question = Question {
        alpha,
        ..Question::new(MetricKind::Proportion, Difference::Relative, Method::Posterior { prior })
    };
    vec![
        ("Newcombe", true, holds(Some(proportion::newcombe(c, t, level)), 0.0)),
        ("score difference", true, holds(Some(proportion::score_difference(c, t, level)), 0.0)),
        ("Agresti-Caffo", true, holds(Some(proportion::agresti_caffo(c, t, level)), 0.0)),
        ("Wald", true, holds(Some(proportion::wald(c, t, level)), 0.0)),
        ("log ratio", true, holds(proportion::katz(c, t, level), 1.0)),
        ("score ratio", true, holds(proportion::score_ratio(c, t, level), 1.0)),
        ("one arm, exact", true, holds(Some(c.clopper_pearson(level)), truth(MetricKind::Proportion))),
        ("one arm, Agresti-Coull", true, holds(Some(c.agresti_coull(level)), truth(MetricKind::Proportion))),
        ("BAYESIAN Beta(1, 1) relative", true, holds(compare(control, treatment, &question).effect, 0.0)),
    ]
}

fn ratio_by_fieller(
    control: &Moments,
    treatment: &Moments,
    kind: MetricKind,
    alpha: f64,
) -> Option<Interval> {
    let [c, t] = [Statistic::of(control, kind)?, Statistic::of(treatment, kind)?];
    let side = |s: Statistic| (s.mean, s.squared_error().sqrt());
    interval::fieller(side(t), side(c), normal::quantile(1.0 - alpha / 2.0), 1.0 - alpha)
}

fn quantile_of(outcomes: &mut [f64]) -> Quantile {
    outcomes.sort_by(f64::total_cmp);
    let [lower, estimate, upper] = crate::metric::quantile::sample(outcomes, QUANTILE);
    let values = outcomes.len() as u64;
    Quantile { level: QUANTILE, values, estimate, lower, upper, bound_values: values, clusters: None }
}

fn positive(found: &Comparison, alpha: f64) -> bool {
    found.effect.is_some() && found.p_value.is_some_and(|p| p < alpha)
}

fn holds(interval: Option<Interval>, truth: f64) -> bool {
    interval.is_some_and(|interval| interval.lower <= truth && truth <= interval.upper)
}

/// The true value in both arms.
fn truth(kind: MetricKind) -> f64 {
    match kind {
        // Half of the units at 5 %, half at 15 %.
        MetricKind::Proportion => 0.1,
        // Log-normal with log-mean ½ or −½ and log-variance 1: e^(½+½) and e^(−½+½) for a half each.
        MetricKind::Mean => 0.5 * (1.0_f64.exp() + 1.0),
        // Three clicks in ten sessions.
        MetricKind::Ratio => 0.3,
    }
}

/// One unit: its stratum, what it did before, what it does.
fn unit(random: &mut StdRng, kind: MetricKind, arm: usize, arms: &mut Arms) {
    let known = random.random_bool(0.5);
    let before: f64 = StandardNormal.sample(random);
    let (outcome, denominator, covariate, covariate_denominator) = match kind {
        MetricKind::Proportion => {
            // What was done before says something of what comes: the chance moves by a third with its sign.
            let chance = if known { 0.15 } else { 0.05 } * (1.0 + before.signum() / 3.0);
            (f64::from(u8::from(random.random_bool(chance))), 1.0, before, 0.0)
        }
        MetricKind::Mean => {
            let other: f64 = StandardNormal.sample(random);
            let log = if known { 0.5 } else { -0.5 } + 0.8 * before + 0.6 * other;
            (log.exp(), 1.0, before, 0.0)
        }
        MetricKind::Ratio => {
            let sessions = random.random_range(1..=9_u8);
            // Each unit has a rate of its own: sessions of one unit are not independent.
            let rate = random.random_range(0.1..0.5);
            let clicks = (0..sessions).filter(|_| random.random_bool(rate)).count();
            let sessions_before = random.random_range(1..=9_u8);
            let clicks_before = (0..sessions_before).filter(|_| random.random_bool(rate)).count();
            (clicks as f64, f64::from(sessions), clicks_before as f64, f64::from(sessions_before))
        }
    };
    let mut one = Moments::default();
    one.add_unit(outcome, denominator);
    one.add_covariate(outcome, denominator, covariate, covariate_denominator);
    arms.whole[arm] = arms.whole[arm].plus(&one);
    if kind == MetricKind::Mean {
        arms.outcomes[arm].push(outcome);
    }
    let stratum = arms.strata[arm].entry(if known { "known" } else { "new" }.to_owned()).or_default();
    *stratum = stratum.plus(&one);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each rate lies within four binomial standard errors of its nominal value; peeking must not raise SEQUENTIAL's above
    /// it.
    #[test]
    fn false_positives_and_coverage_are_nominal() {
        let plan = Plan { experiments: 250, looks: 10, units: 100, alpha: 0.05, seed: 11 };
        let rates = simulate(&plan);
        assert_eq!(rates.len(), 45);
        let band = 4.0 * f64::sqrt(0.05 * 0.95 / 250.0);
        for Rate { name, coverage, rate } in &rates {
            if name.contains("contrast") {
                assert!(rate.lower > 0.05, "looking often at FIXED must show: {rate:?}");
            } else if name.contains("SEQUENTIAL") {
                let kept = if *coverage { rate.upper >= 0.95 } else { rate.lower <= 0.05 };
                assert!(kept, "{name}: {rate:?}");
            } else {
                let nominal = if *coverage { 0.95 } else { 0.05 };
                assert!((rate.estimate - nominal).abs() <= band, "{name}: {rate:?}");
            }
        }
        assert_eq!(simulate(&plan), rates, "the same seed gives the same rates");
    }
}
