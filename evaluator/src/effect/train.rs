//! From the decision log to a model.

use std::collections::{BTreeMap, BTreeSet};

use boost::Matrix;
use proto::common::v1::{Channel, Offer};
use rayon::prelude::*;

use super::NONE;
use super::calibrate::{Calibration, Seen};
use super::fitting::EVENT;
use super::joint::{self, Sale, Sold, Steps};
use super::later::{Later, Own};
use super::model::{Arm, Chance, Estimate, Model, Sales, fold, value};
use super::moment::is_of_time;
use super::panel::{Bought, LEAST_ROWS, Panel, Target};
use super::pool::pool;
use super::spread::Spread;
use super::study::{ArmStudy, Study, study};
use super::support::Support;
use crate::error::{Error, Result};
use crate::features::VERSION;
use crate::stop::Stop;
use crate::strategy::terms;

/// One logged decision and what came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// The offer, or [`NONE`].
    pub action: String,
    /// Probability with which it was chosen, above 0.
    pub propensity: f64,
    /// What was known when it was decided.
    pub features: BTreeMap<String, f64>,
    /// Pseudonym of the person.
    pub unit: String,
    /// When, microseconds since 1970.
    pub at: i64,
    /// Where.
    pub channel: Channel,
    /// Which side was shown.
    pub angle: String,
    /// The plan that decided.
    pub plan_id: String,
    /// The offers it chose among; empty: there were none, or they are not told.
    pub available: Vec<String>,
    /// Whether the target came about: 0 or 1.
    pub hit: f64,
    /// Whether anything was bought: 0 or 1.
    pub bought: f64,
    /// Revenue it brought, minor units.
    pub revenue: f64,
    /// Profit it brought, minor units: of the order lines whose cost is known.
    pub profit: f64,
    /// Whether the cost of something bought, and with it the profit, is not known.
    pub cost_unknown: bool,
    /// Whether its outcome window is still open: what it brings is not known yet.
    pub open: bool,
    /// Discount it cost, minor units.
    pub spend: f64,
}

impl Outcome {
    /// Whether there was a choice: without an offer that could be made, no offer is certain and says nothing of a plan.
    pub fn was_chosen(&self) -> bool {
        self.action != NONE || self.propensity < 1.0
    }

    /// Whether `offer_id` could have been given.
    pub fn could_give(&self, offer_id: &str) -> bool {
        self.available.is_empty() || self.available.iter().any(|id| id == offer_id)
    }
}

/// What training is to do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Order {
    /// What is predicted: `click`, `purchase` or `profit`.
    pub target: String,
    /// Currency of amounts.
    pub currency: String,
    /// Features to learn from; empty: all that were logged.
    pub features: Vec<String>,
    /// The seed of all chance.
    pub seed: u64,
    /// Time after a decision in which what happens counts for it, microseconds.
    pub outcome_window: i64,
}

/// A model and how it did on decisions it had not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model.
    pub model: Model,
    /// Figures by name.
    pub metrics: BTreeMap<String, f64>,
    /// Whether it predicts unseen decisions better than one rate for all.
    pub better: bool,
}

/// Rarer choices weigh no more than this: responses are modelled, so what that leaves out is the bias of a bias.
const LEAST_PROPENSITY: f64 = 0.04;
/// Folds of the comparison.
const FOLDS: usize = 4;
/// Most decisions learnt from.
pub const MOST_ROWS: usize = 400_000;
/// A decision made with a larger probability was hardly a choice, and teaches little of the other arms.
const CHOICE: f64 = 0.5;
/// Most features.
const MOST_FEATURES: usize = 100;

/// Trains on `outcomes`, in order of time. `offers` are what is known of their terms.
pub fn train(order: &Order, outcomes: &[Outcome], offers: &[Offer]) -> Result<Trained> {
    let outcomes = &telling(outcomes);
    let ids = arms(outcomes)?;
    let index: BTreeMap<&str, usize> = ids.iter().enumerate().map(|(arm, id)| (id.as_str(), arm)).collect();
    let rows: Vec<(&Outcome, usize)> =
        outcomes.iter().filter_map(|row| index.get(row.action.as_str()).map(|arm| (*row, *arm))).collect();
    let names = names(order, &rows);
    let of_time = names.iter().filter(|name| is_of_time(name)).count();
    let values =
        rows.iter().flat_map(|(row, _)| names.iter().map(|name| value(&row.features, name))).collect();
    let features = Matrix::new(values, rows.len(), names.len())
        .map_err(|error| Error::invalid("features", "NOT_FINITE", error.to_string()))?;
    let column = |of: fn(&Outcome) -> f64| rows.iter().map(|(row, _)| of(row)).collect::<Vec<f64>>();
    let (hit, bought) = (column(|row| row.hit), column(|row| row.bought));
    let basket = column(|r| r.revenue + r.spend).iter().sum::<f64>() / bought.iter().sum::<f64>().max(1.0);
    let by_id: BTreeMap<&str, &Offer> = offers.iter().map(|offer| (offer.offer_id.as_str(), offer)).collect();
    let described: Vec<(String, f64)> = ids
        .iter()
        .map(|id| match by_id.get(id.as_str()) {
            Some(offer) => (terms::family(offer), terms::depth(offer, basket)),
            // Offers whose terms are not known are each a family of their own.
            None => (format!("offer|{id}"), 0.0),
        })
        .collect();
    let panel = Panel {
        features,
        of_time,
        action: rows.iter().map(|(_, arm)| *arm).collect(),
        // A decision in a hundred would otherwise weigh as much as all others together.
        propensity: column(|row| row.propensity.max(LEAST_PROPENSITY)),
        arms: described.iter().map(|(_, depth)| vec![*depth]).collect(),
        steps: Steps::new(&described),
        bought: Some(Bought {
            worth: column(|row| row.revenue + row.spend),
            offers: ids.iter().map(|id| by_id.get(id.as_str()).copied().cloned()).collect(),
        }),
    };
    let folds: Vec<usize> = rows.iter().map(|(row, _)| fold(&row.unit, order.seed, FOLDS)).collect();
    let stop = Stop::current();
    let chance = |values: &[f64]| {
        stop.check()?;
        let target = Target { values, objective: EVENT, event: None, discount: None };
        stop.scope(|| study(&panel, target, &folds, FOLDS, order.seed))
    };
    let (profit, revenue, spend) =
        (column(|row| row.profit), column(|row| row.revenue), column(|row| row.spend));
    let sold = Sold { bought: &bought, revenue: &revenue, profit: &profit, discount: &spend };
    let (hits, (purchases, sales)) = rayon::join(
        || chance(&hit),
        || {
            // Where the target is no purchase, whether anything is bought is learnt beside it.
            let purchases = || if hit == bought { Ok(None) } else { chance(&bought).map(Some) };
            rayon::join(purchases, || self::sales(&panel, sold, &folds, order.seed))
        },
    );
    let (mut hits, purchases, sales) = (hits?, purchases?, sales?);
    let calibration = calibrate(&panel, &hit, &mut hits, &folds);
    let (metrics, better) = metrics(&panel, &hit, &hits, rows.len());
    let counts = panel.counts();
    let arm = |((id, (family, depth)), rows): ((&String, (String, f64)), usize)| Arm {
        id: id.clone(),
        family,
        depth,
        rows,
    };
    let mut model = Model {
        target: order.target.clone(),
        currency: order.currency.clone(),
        support: Support::new(&panel.features, names.len() - of_time),
        features: names,
        arms: ids.iter().zip(described).zip(counts).map(arm).collect(),
        descriptions: panel.arms.clone(),
        hit: self::chance(hits, calibration),
        bought: purchases.map(|mut study| {
            let calibration = calibrate(&panel, &bought, &mut study, &folds);
            self::chance(study, calibration)
        }),
        sales,
        later: Later::default(),
        basket,
        seed: order.seed,
        folds: FOLDS,
        feature_version: VERSION,
        outcome_window: order.outcome_window,
    };
    stop.check()?;
    let own = own(&model, &panel, &rows);
    let outcomes: Vec<&Outcome> = rows.iter().map(|(row, _)| *row).collect();
    model.later = Later::fit(&outcomes, &panel.features, &own)?;
    Ok(Trained { model, metrics, better })
}

/// What every row's offer did at its own decision, as predicted without having seen the person.
fn own(model: &Model, panel: &Panel, rows: &[(&Outcome, usize)]) -> Vec<Option<Own>> {
    let of = |(at, (row, arm)): (usize, &(&Outcome, usize))| {
        (*arm > 0).then(|| {
            let found = model.forecast_unseen(panel.features.row(at), &row.unit).arms[*arm];
            Own { profit: found.profit.mean + found.spend.mean, discount: found.spend.mean }
        })
    };
    rows.par_iter().enumerate().map(of).collect()
}

/// Of more decisions than are learnt from those that tell most, in order of time: real choices before foregone ones,
/// the latest first. Responses are learnt given features and arm, so it does no harm to leave out by either.
fn telling(outcomes: &[Outcome]) -> Vec<&Outcome> {
    if outcomes.len() <= MOST_ROWS {
        return outcomes.iter().collect();
    }
    let chosen = outcomes.iter().rev().filter(|row| row.propensity <= CHOICE).take(MOST_ROWS).count();
    // At least a quarter is what is usual now: responses drift.
    let foregone = (MOST_ROWS - chosen).max(MOST_ROWS / 4);
    let (mut chosen, mut foregone) = (MOST_ROWS - foregone, foregone);
    let mut kept: Vec<&Outcome> = outcomes
        .iter()
        .rev()
        .filter(|row| {
            let left = if row.propensity <= CHOICE { &mut chosen } else { &mut foregone };
            let keep = *left > 0;
            *left = left.saturating_sub(1);
            keep
        })
        .collect();
    kept.reverse();
    kept
}

/// The control and every offer with enough decisions.
fn arms(outcomes: &[&Outcome]) -> Result<Vec<String>> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in outcomes {
        *counts.entry(&row.action).or_default() += 1;
    }
    let control = counts.remove(NONE).unwrap_or(0);
    let most = counts.values().copied().max().unwrap_or(0);
    if control < LEAST_ROWS {
        let text = format!("{control} decisions without an offer are stored, {LEAST_ROWS} are needed");
        return Err(Error::precondition("NO_CONTROL_UNITS", text));
    }
    if most < LEAST_ROWS {
        let text = format!("{most} decisions with one offer are stored, {LEAST_ROWS} are needed");
        return Err(Error::precondition("NO_TREATED_UNITS", text));
    }
    let treated = counts.into_iter().filter(|(_, rows)| *rows >= LEAST_ROWS).map(|(id, _)| id.to_owned());
    Ok(std::iter::once(NONE.to_owned()).chain(treated).collect())
}

/// Names of the features, those most often logged where there are too many; those of time stand last.
fn names(order: &Order, rows: &[(&Outcome, usize)]) -> Vec<String> {
    if !order.features.is_empty() {
        let asked: BTreeSet<&String> = order.features.iter().collect();
        return of_time_last(asked.into_iter().cloned().collect());
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (row, _) in rows {
        for name in row.features.keys() {
            *counts.entry(name).or_default() += 1;
        }
    }
    let mut names: Vec<(&str, usize)> = counts.into_iter().collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    // What is the same for everybody tells nobody from anybody.
    let varies = |name: &str| {
        let of_row = |row: &(&Outcome, usize)| value(&row.0.features, name).to_bits();
        rows.first().is_some_and(|first| rows.iter().any(|row| of_row(row) != of_row(first)))
    };
    names.retain(|(name, _)| varies(name));
    names.truncate(MOST_FEATURES);
    of_time_last(names.into_iter().map(|(name, _)| name.to_owned()).collect())
}

fn of_time_last(mut names: Vec<String>) -> Vec<String> {
    names.sort_by(|a, b| is_of_time(a).cmp(&is_of_time(b)).then_with(|| a.cmp(b)));
    names
}

/// What purchases bring, from all of them and without the people of each fold. `None` where nothing was bought.
fn sales(panel: &Panel, sold: Sold<'_>, folds: &[usize], seed: u64) -> Result<Option<Sales>> {
    if sold.bought.iter().sum::<f64>() < 1.0 {
        return Ok(None);
    }
    let fit = |without: usize| {
        let rows: Vec<usize> =
            (0..panel.rows()).filter(|&row| folds[row] != without && sold.bought[row] > 0.0).collect();
        let pick = |from: &[f64]| rows.iter().map(|&row| from[row]).collect::<Vec<f64>>();
        let features = panel.features.select(&rows);
        let action: Vec<usize> = rows.iter().map(|&row| panel.action[row]).collect();
        let purchases = panel.bought.as_ref().map(|bought| bought.select(&rows));
        let (bought, revenue) = (pick(sold.bought), pick(sold.revenue));
        let (profit, discount) = (pick(sold.profit), pick(sold.discount));
        let lesson = joint::Lesson {
            features: &features,
            of_time: panel.of_time,
            action: &action,
            steps: &panel.steps,
            values: &profit,
            objective: boost::Objective::Squared,
            seed,
        };
        let sold = Sold { bought: &bought, revenue: &revenue, profit: &profit, discount: &discount };
        Sale::fit(lesson, sold, purchases.as_ref().map(Bought::purchases))
    };
    let mut all = (0..=FOLDS).into_par_iter().map(fit).collect::<Result<Vec<_>>>()?;
    Ok(all.pop().map(|whole| Sales { whole, by_fold: all }))
}

fn chance(study: Study, calibration: Calibration) -> Chance {
    let averages: Vec<Estimate> = study
        .arms
        .iter()
        .map(|arm| Estimate { mean: arm.average.0, variance: arm.average.1.powi(2) })
        .collect();
    let (_, unseen) = pool(&averages);
    Chance {
        blend: study.blend,
        by_fold: study.by_fold,
        calibration,
        control_spread: study.control_spread,
        spreads: study.arms.into_iter().map(|ArmStudy { spread, .. }| spread).collect(),
        unseen,
        doubt: study.doubt,
    }
}

/// Calibrates the probability without treatment on decisions without an offer, and what the study says of it.
fn calibrate(panel: &Panel, hit: &[f64], hits: &mut Study, folds: &[usize]) -> Calibration {
    let control: Vec<usize> = (0..panel.rows()).filter(|&row| panel.action[row] == 0).collect();
    let seen: Vec<Seen> = control
        .iter()
        .map(|&row| (hits.control_unseen[row], hit[row], panel.propensity[row].recip()))
        .collect();
    let of_control: Vec<usize> = control.iter().map(|&row| folds[row]).collect();
    let calibration = Calibration::choose(&seen, &of_control, FOLDS);
    hits.control_unseen.iter_mut().for_each(|guess| *guess = calibration.apply(*guess));
    hits.control_spread = Spread::of_control(panel, hit, &hits.control_unseen);
    calibration
}

/// How the models did on decisions they had not seen.
fn metrics(panel: &Panel, hit: &[f64], hits: &Study, rows: usize) -> (BTreeMap<String, f64>, bool) {
    let total: f64 = panel.propensity.iter().map(|p| p.recip()).sum();
    let rate = hit.iter().zip(&panel.propensity).map(|(hit, p)| hit / p).sum::<f64>() / total;
    let error = |guess: &dyn Fn(usize) -> f64| {
        (0..rows).map(|row| (hit[row] - guess(row)).powi(2) / panel.propensity[row]).sum::<f64>() / total
    };
    let ours = error(&|row| {
        let arm = panel.action[row];
        hits.control_unseen[row] + if arm == 0 { 0.0 } else { hits.arms[arm - 1].unseen[row] }
    });
    let one_rate = error(&|_| rate);
    let mean = |study: &Study, of: fn(&ArmStudy) -> f64| {
        study.arms.iter().map(of).sum::<f64>() / study.arms.len() as f64
    };
    let calibration = hits.arms.iter().map(|arm| arm.spread.calibration_error()).fold(0.0, f64::max);
    let metrics = [
        ("squared_error", ours),
        ("squared_error_of_one_rate", one_rate),
        ("treatments", panel.arms.len() as f64 - 1.0),
        ("decisions", rows as f64),
        ("dr_loss", mean(hits, |arm| arm.dr_loss)),
        ("dr_loss_of_one_effect", mean(hits, |arm| arm.constant_loss)),
        ("calibration_error", calibration),
        ("control_calibration_error", hits.control_spread.calibration_error()),
    ];
    (metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), ours < one_rate)
}
