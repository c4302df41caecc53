//! What a plan brought by intention to treat: people who might get its offers beside those held out, over everything they
//! bought, with a decision's token or without.

use std::collections::{BTreeMap, HashMap};

use crate::effect::LEVEL;
use crate::stats::proportion::{Count, newcombe};
use crate::stats::{Interval, student};

/// Fewest people of either kind for an estimate.
pub const MIN_PEOPLE: usize = 30;

/// How a person met the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exposure {
    /// Whether a decision held the person out.
    pub held_out: bool,
    /// Whether a decision did not.
    pub treated: bool,
}

/// The people a plan decided for, and when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Met {
    /// By pseudonym.
    pub people: HashMap<String, Exposure>,
    /// First and last decision, microseconds since 1970; `None` where there was none.
    pub span: Option<(i64, i64)>,
}

/// What a person bought in one currency, returns taken off; minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bought {
    /// Revenue.
    pub revenue: i64,
    /// Revenue less tax and cost.
    pub profit: i64,
    /// Whether the cost of something is unknown, and with it the profit.
    pub cost_unknown: bool,
}

/// What people bought, by person and currency.
pub type Sales = HashMap<String, BTreeMap<String, Bought>>;

/// A mean of each group, and how they differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// Mean of those who were not held out.
    pub treated: f64,
    /// Mean of those who were.
    pub held_out: f64,
    /// Difference a person.
    pub per_person: Interval,
    /// The same over all who were not held out.
    pub total: Interval,
}

/// Amounts in one currency, minor units.
#[derive(Debug, Clone, PartialEq)]
pub struct Amounts {
    /// The currency.
    pub currency: String,
    /// Revenue a person.
    pub revenue: Contrast,
    /// Profit a person; `None` where too few people's is known.
    pub profit: Option<Contrast>,
    /// People left out of profit since the cost of something they bought is unknown.
    pub cost_unknown: u64,
}

/// The comparison.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Holdout {
    /// People who might get offers.
    pub treated: u64,
    /// People held out.
    pub held_out: u64,
    /// People who were both, and are in neither group.
    pub mixed: u64,
    /// Share of people who bought; `None` where there are too few people.
    pub conversion: Option<Contrast>,
    /// By currency.
    pub amounts: Vec<Amounts>,
}

/// Compares the people `met` by what they bought.
pub fn compare(met: &Met, sales: &Sales) -> Holdout {
    let mixed = met.people.values().filter(|exposure| exposure.held_out && exposure.treated).count();
    let of = |held_out: bool| {
        let exposed = met
            .people
            .iter()
            .filter(move |(_, exposure)| exposure.held_out == held_out && exposure.treated != held_out);
        exposed.map(|(unit, _)| sales.get(unit)).collect::<Vec<_>>()
    };
    let (treated, held_out) = (of(false), of(true));
    let mut found = Holdout {
        treated: treated.len() as u64,
        held_out: held_out.len() as u64,
        mixed: mixed as u64,
        ..Holdout::default()
    };
    if treated.len().min(held_out.len()) < MIN_PEOPLE {
        return found;
    }
    let buyers = |people: &[Option<&BTreeMap<String, Bought>>]| Count {
        successes: people.iter().flatten().count() as f64,
        trials: people.len() as f64,
    };
    let (bought, would) = (buyers(&treated), buyers(&held_out));
    let conversion = newcombe(would, bought, LEVEL);
    found.conversion = Some(Contrast {
        treated: bought.successes / bought.trials,
        held_out: would.successes / would.trials,
        per_person: conversion,
        total: conversion.scaled(bought.trials),
    });
    let currencies: std::collections::BTreeSet<&String> =
        treated.iter().chain(&held_out).flatten().flat_map(|sales| sales.keys()).collect();
    for currency in currencies {
        let amounts = |people: &[Option<&BTreeMap<String, Bought>>]| {
            let of_person = |sales: Option<&BTreeMap<String, Bought>>| {
                sales.and_then(|sales| sales.get(currency)).copied().unwrap_or_default()
            };
            people.iter().copied().map(of_person).collect::<Vec<Bought>>()
        };
        let (with, without) = (amounts(&treated), amounts(&held_out));
        let revenue = |all: &[Bought]| all.iter().map(|one| one.revenue as f64).collect::<Vec<_>>();
        let profit = |all: &[Bought]| {
            let known = all.iter().filter(|one| !one.cost_unknown);
            known.map(|one| one.profit as f64).collect::<Vec<_>>()
        };
        let unknown = with.iter().chain(&without).filter(|one| one.cost_unknown).count();
        let (gained, would) = (profit(&with), profit(&without));
        // Where no cost is known there is nothing but people who bought nothing.
        let known = with.iter().chain(&without).any(|one| !one.cost_unknown && *one != Bought::default());
        let enough = known && gained.len().min(would.len()) >= MIN_PEOPLE;
        found.amounts.push(Amounts {
            currency: currency.clone(),
            revenue: contrast(&revenue(&with), &revenue(&without), treated.len()),
            profit: enough.then(|| contrast(&gained, &would, treated.len())),
            cost_unknown: unknown as u64,
        });
    }
    found
}

/// Difference of two means with Welch's interval; `people` is what it is summed over.
fn contrast(treated: &[f64], held_out: &[f64], people: usize) -> Contrast {
    let moments = |values: &[f64]| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n, n - 1.0)
    };
    let ((with, with_error, with_dof), (without, error, dof)) = (moments(treated), moments(held_out));
    let variance = with_error + error;
    let per_person = if variance > 0.0 {
        // Welch–Satterthwaite.
        let freedom = variance.powi(2) / (with_error.powi(2) / with_dof + error.powi(2) / dof);
        let t = student::quantile(f64::midpoint(1.0, LEVEL), freedom);
        Interval::around(with - without, t * variance.sqrt(), LEVEL)
    } else {
        Interval::around(with - without, 0.0, LEVEL)
    };
    Contrast { treated: with, held_out: without, per_person, total: per_person.scaled(people as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(treated: u32, held_out: u32) -> Met {
        let person = |of: &str, n: u32, held_out: bool| {
            (format!("{of}{n}"), Exposure { held_out, treated: !held_out })
        };
        let people = (0..treated).map(|n| person("t", n, false));
        Met {
            people: people.chain((0..held_out).map(|n| person("h", n, true))).collect(),
            span: Some((0, 9)),
        }
    }

    fn sale(revenue: i64, profit: i64) -> BTreeMap<String, Bought> {
        [("EUR".to_owned(), Bought { revenue, profit, cost_unknown: false })].into()
    }

    /// By hand: of 20 × 900 and 20 × 0 beside 10 × 500 and 30 × 0 the standard error is 79.964 with 56.14 degrees of freedom,
    /// at which t is 2.0032.
    #[test]
    fn welchs_interval_of_revenue_counts_people_who_bought_nothing() {
        let mut sales: Sales = (0..20).map(|n| (format!("t{n}"), sale(900, 300))).collect();
        sales.extend((0..10).map(|n| (format!("h{n}"), sale(500, 200))));
        let found = compare(&met(40, 40), &sales);
        let revenue = found.amounts[0].revenue;
        assert!((revenue.treated - 450.0).abs() < 1e-9 && (revenue.held_out - 125.0).abs() < 1e-9);
        assert!((revenue.per_person.lower - 164.82).abs() < 0.02, "{revenue:?}");
        assert!((revenue.total.estimate - 40.0 * 325.0).abs() < 1e-6);
        let conversion = found.conversion.expect("an estimate");
        assert!((conversion.per_person.estimate - 0.25).abs() < 1e-9 && conversion.per_person.lower > 0.0);
        assert_eq!((found.treated, found.held_out, found.mixed), (40, 40, 0));
    }

    #[test]
    fn people_of_both_groups_are_in_neither_and_few_people_give_no_estimate() {
        let mut both = met(40, 29);
        both.people.insert("x".into(), Exposure { held_out: true, treated: true });
        let found = compare(&both, &Sales::new());
        assert_eq!((found.held_out, found.mixed, found.conversion), (29, 1, None));
    }

    #[test]
    fn unknown_costs_leave_profit_out_and_currencies_stay_apart() {
        let mut sales: Sales = (0..15).map(|n| (format!("t{n}"), sale(900, 300))).collect();
        let unknown = Bought { revenue: 700, profit: 0, cost_unknown: true };
        sales.insert("t20".into(), [("EUR".to_owned(), unknown)].into());
        sales.insert("h1".into(), [("USD".to_owned(), Bought { revenue: 5, ..unknown })].into());
        let found = compare(&met(40, 40), &sales);
        let [eur, usd] = &found.amounts[..] else { panic!("{found:?}") };
        assert_eq!((eur.currency.as_str(), eur.cost_unknown, usd.cost_unknown), ("EUR", 1, 1));
        let profit = eur.profit.expect("most are known");
        assert!((profit.treated - 15.0 * 300.0 / 39.0).abs() < 1e-9);
        assert_eq!(usd.profit, None, "no cost in dollars is known");
    }
}
