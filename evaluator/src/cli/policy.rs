//! `evaluator policy`: what a policy would have brought, from a log with propensities.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::encode::features;
use super::table::Table;
use crate::policy::{Evaluation, Log, Logged, Policy, evaluate};
use crate::stats::Interval;

/// What `evaluator policy` is told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// CSV (plain or .gz) or Parquet, a row a decision.
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// Column of what was done.
    #[arg(long, value_name = "COLUMN", default_value = "action")]
    action: String,
    /// Column of the probability with which it was done.
    #[arg(long, value_name = "COLUMN", default_value = "propensity")]
    propensity: String,
    /// Column of what it brought.
    #[arg(long, value_name = "COLUMN", default_value = "reward")]
    reward: String,
    /// Columns known at the decision, for the model of rewards.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    context: Vec<String>,
    /// The policy as JSON, such as {"push": 0.7, "none": 0.3}. Without it and --policy: every logged action alike.
    #[arg(long, value_name = "JSON", conflicts_with = "policy")]
    target: Option<String>,
    /// The policy as a table: the action's column, probability, and the columns of the log it looks at, by whose values
    /// it is looked up.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Seed of the folds the model of rewards is fitted with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Name of the column of probabilities in a policy's table.
const PROBABILITY: &str = "probability";

pub(super) fn print_policy(arguments: &Arguments) -> anyhow::Result<String> {
    let table = Table::read(&arguments.log)?;
    let actions = table.texts(&arguments.action)?;
    let propensities = table.numbers(&arguments.propensity)?;
    let rewards = table.numbers(&arguments.reward)?;
    let mut rows = Vec::with_capacity(table.rows());
    for ((action, propensity), reward) in actions.iter().zip(propensities).zip(rewards) {
        ensure!(
            propensity > 0.0 && propensity <= 1.0,
            "{}: {} must be above 0 and at most 1, is {propensity}",
            table.place(rows.len()),
            arguments.propensity
        );
        ensure!(!action.is_empty(), "{}: {} is empty", table.place(rows.len()), arguments.action);
        rows.push(Logged { action: action.clone(), propensity, reward });
    }
    let policy = match (&arguments.policy, &arguments.target) {
        (Some(file), _) => looked_up(file, &table, &arguments.action)?,
        (None, Some(text)) => {
            let shares = serde_json::from_str(text).context("--target is no JSON object of probabilities")?;
            Policy::everywhere(sound(shares, "--target")?)
        }
        (None, None) => {
            let names: BTreeSet<&String> = actions.iter().collect();
            let share = 1.0 / names.len() as f64;
            Policy::everywhere(names.into_iter().map(|name| (name.clone(), share)).collect())
        }
    };
    let (context, _) = features(&table, &arguments.context)?;
    let found = evaluate(&Log { rows, context }, &policy, arguments.seed)?;
    Ok(if arguments.json { object(&found).to_string() } else { text(&found) })
}

/// A policy's table, looked up for every row of the log.
fn looked_up(file: &Path, log: &Table, action: &str) -> anyhow::Result<Policy> {
    let table = Table::read(file)?;
    let (names, shares) = (table.texts(action)?, table.numbers(PROBABILITY)?);
    let by: Vec<&String> =
        table.columns().iter().filter(|name| *name != action && *name != PROBABILITY).collect();
    let keys = |of: &Table, row: usize| -> anyhow::Result<Vec<String>> {
        by.iter().map(|column| Ok(of.texts(column)?[row].clone())).collect()
    };
    let mut found: BTreeMap<Vec<String>, BTreeMap<String, f64>> = BTreeMap::new();
    for row in 0..table.rows() {
        let distribution = found.entry(keys(&table, row)?).or_default();
        if distribution.insert(names[row].clone(), shares[row]).is_some() {
            bail!("{}: {} stands there twice", table.place(row), names[row]);
        }
    }
    let place: HashMap<&Vec<String>, usize> = found.keys().zip(0..).collect();
    let of = (0..log.rows())
        .map(|row| {
            let key = keys(log, row)?;
            place.get(&key).copied().with_context(|| {
                format!("{}: {} says nothing of {}", log.place(row), file.display(), key.join(", "))
            })
        })
        .collect::<anyhow::Result<_>>()?;
    let distributions = found
        .iter()
        .map(|(key, shares)| sound(shares.clone(), &format!("{} for {key:?}", file.display())))
        .collect::<anyhow::Result<_>>()?;
    Ok(Policy::by_row(distributions, of))
}

/// Probabilities, if that is what they are.
fn sound(shares: BTreeMap<String, f64>, source: &str) -> anyhow::Result<BTreeMap<String, f64>> {
    if let Some((name, share)) = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(*share)) {
        bail!("{source}: the probability of {name} must be 0 to 1, is {share}");
    }
    let sum: f64 = shares.values().sum();
    ensure!((sum - 1.0).abs() <= 1e-6, "{source}: probabilities must sum to 1, sum to {sum}");
    Ok(shares)
}

fn named(found: &Evaluation) -> [(&'static str, Interval); 5] {
    let by = &found.estimates;
    [
        ("IPS", by.ips),
        ("SNIPS", by.snips),
        ("DM", found.believed.direct),
        ("DR", by.dr),
        ("SWITCH_DR", found.believed.switch_dr),
    ]
}

fn object(found: &Evaluation) -> Value {
    let estimate = |(estimator, v): (&str, Interval)| {
        json!({
            "estimator": format!("POLICY_ESTIMATOR_{estimator}"),
            "value": {"estimate": v.estimate, "lower": v.lower, "upper": v.upper, "level": v.level},
        })
    };
    let by = &found.estimates;
    json!({
        "estimates": named(found).map(estimate),
        "effective_sample_size": by.effective_sample_size,
        "max_weight": by.max_weight,
        "mean_weight": by.mean_weight.0,
        "switch_at": found.believed.switch_at.is_finite().then_some(found.believed.switch_at),
        "reward_model": found.model,
        "refused": found.why.is_some(),
        "reason": found.why.clone().unwrap_or_default(),
    })
}

fn text(found: &Evaluation) -> String {
    let line = |(name, v): (&str, Interval)| {
        format!("{name:<10} {:>12.6} [{:.6}, {:.6}]", v.estimate, v.lower, v.upper)
    };
    let by = &found.estimates;
    let mut lines: Vec<String> = named(found).map(line).to_vec();
    lines.push(format!(
        "effective sample size {:.1}, largest weight {:.2}, mean weight {:.3}",
        by.effective_sample_size, by.max_weight, by.mean_weight.0
    ));
    lines.push(format!("rewards modelled by {}", found.model));
    lines.extend(found.why.as_ref().map(|why| format!("refused: {why}")));
    lines.join("\n")
}
