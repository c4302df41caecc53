//! `evaluator uplift`: what a randomised campaign brought, and whether it can be told whom it moves.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use boost::Objective;
use clap::Args;
use serde_json::{Value, json};

use super::encode::features;
use super::table::Table;
use crate::effect::average::is_proportion;
use crate::effect::joint::Steps;
use crate::effect::panel::{Panel, Target};
use crate::effect::uplift::{Uplift, uplift};
use crate::stats::Interval;

/// What `evaluator uplift` is told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// CSV (plain or .gz) or Parquet, a row a person.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Column that names each person's treatment.
    #[arg(long, value_name = "COLUMN")]
    treatment: String,
    /// Column of the outcome, a number: 0 and 1 are a proportion, all else an amount.
    #[arg(long, value_name = "COLUMN")]
    outcome: String,
    /// Its value for people left alone.
    #[arg(long, value_name = "VALUE")]
    control: String,
    /// Its value for the people treated, each judged against the control. Absent: every other value.
    #[arg(long, value_name = "VALUE")]
    arm: Vec<String>,
    /// Columns known before the treatment. Absent: all but treatment, outcome, propensity and --ignore.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    features: Vec<String>,
    /// Columns that are no features.
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Column with the probability of the treatment each person got. Absent: treatments were drawn with the same
    /// probabilities for all.
    #[arg(long, value_name = "COLUMN")]
    propensity: Option<String>,
    /// Folds; a row of the file is in fold (its number from 0) modulo this.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=100))]
    folds: u32,
    /// Seed of all chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes row, arm, score: the predicted effect of each row beside the mean, out of fold.
    #[arg(long, value_name = "FILE.csv")]
    output: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One arm judged.
struct Judged {
    arm: String,
    rows: Vec<usize>,
    found: Uplift,
}

pub(super) fn print_uplift(arguments: &Arguments) -> anyhow::Result<String> {
    let table = Table::read(&arguments.data)?;
    let treatments = table.texts(&arguments.treatment)?;
    let outcome = table.numbers(&arguments.outcome)?;
    let arms = arms(arguments, treatments)?;
    let propensity =
        arguments.propensity.as_deref().map(|column| propensities(&table, column)).transpose()?;
    let columns = columns(arguments, &table);
    let (features, names) = features(&table, &columns)?;
    ensure!(!names.is_empty(), "there is no column left to learn from");
    let judge = |arm: String| {
        let rows: Vec<usize> = (0..table.rows())
            .filter(|&row| treatments[row] == arm || treatments[row] == arguments.control)
            .collect();
        let action: Vec<usize> = rows.iter().map(|&row| usize::from(treatments[row] == arm)).collect();
        let treated = action.iter().sum::<usize>() as f64 / rows.len() as f64;
        let panel = Panel {
            features: features.select(&rows),
            of_time: 0,
            propensity: rows
                .iter()
                .zip(&action)
                .map(|(&row, &arm)| {
                    propensity.as_ref().map_or(if arm == 1 { treated } else { 1.0 - treated }, |p| p[row])
                })
                .collect(),
            action,
            arms: vec![vec![0.0], vec![1.0]],
            steps: Steps::new(&[arguments.control.clone(), arm.clone()].map(|arm| (arm, 0.0))),
            bought: None,
        };
        let values: Vec<f64> = rows.iter().map(|&row| outcome[row]).collect();
        let folds: Vec<usize> = rows.iter().map(|row| row % arguments.folds as usize).collect();
        let event = event(&values);
        let objective = if is_proportion(&values) { Objective::Logistic } else { Objective::Squared };
        let target = Target { values: &values, objective, event: event.as_deref(), discount: None };
        let found = uplift(&panel, target, &folds, arguments.folds as usize, arguments.seed)
            .with_context(|| format!("{arm} cannot be judged"))?;
        anyhow::Ok(Judged { arm, rows, found })
    };
    let judged: Vec<Judged> = arms.into_iter().map(judge).collect::<anyhow::Result<_>>()?;
    if let Some(file) = &arguments.output {
        write(file, &judged).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(if arguments.json {
        let arms: Vec<Value> = judged.iter().map(object).collect();
        json!({
            "control": arguments.control, "outcome": arguments.outcome, "features": names, "folds": arguments.folds,
            "seed": arguments.seed, "arms": arms,
        })
        .to_string()
    } else {
        judged.iter().flat_map(|judged| lines(judged, arguments)).collect::<Vec<_>>().join("\n")
    })
}

/// The arms asked for, or all but the control.
fn arms(arguments: &Arguments, treatments: &[String]) -> anyhow::Result<Vec<String>> {
    let there: BTreeSet<&String> = treatments.iter().collect();
    let asked = arguments.arm.iter().chain([&arguments.control]);
    for value in asked {
        if !there.contains(value) {
            let known: Vec<String> = there.iter().map(|value| format!("{value:?}")).take(20).collect();
            bail!("{} is never {value:?}; it is {}", arguments.treatment, known.join(", "));
        }
    }
    if arguments.arm.contains(&arguments.control) {
        bail!("--arm and --control are both {:?}", arguments.control);
    }
    if !arguments.arm.is_empty() {
        return Ok(arguments.arm.clone());
    }
    let others: Vec<String> =
        there.into_iter().filter(|value| **value != arguments.control).cloned().collect();
    ensure!(
        !others.is_empty(),
        "{} is {:?} for all rows: nobody is treated",
        arguments.treatment,
        arguments.control
    );
    Ok(others)
}

fn columns(arguments: &Arguments, table: &Table) -> Vec<String> {
    if !arguments.features.is_empty() {
        return arguments.features.clone();
    }
    let taken = [Some(&arguments.treatment), Some(&arguments.outcome), arguments.propensity.as_ref()];
    let free = |name: &&String| !taken.contains(&Some(*name)) && !arguments.ignore.contains(name);
    table.columns().iter().filter(free).cloned().collect()
}

fn propensities(table: &Table, column: &str) -> anyhow::Result<Vec<f64>> {
    let values = table.numbers(column)?;
    if let Some(row) = values.iter().position(|value| !(*value > 0.0 && *value < 1.0)) {
        bail!("{}: {column} must be above 0 and below 1, is {}", table.place(row), values[row]);
    }
    Ok(values)
}

/// Of amounts that are 0 for most: whether anything came.
fn event(values: &[f64]) -> Option<Vec<f64>> {
    let nothing = values.iter().filter(|value| **value == 0.0).count();
    let amounts = !is_proportion(values) && values.iter().all(|value| *value >= 0.0);
    (amounts && 2 * nothing > values.len())
        .then(|| values.iter().map(|value| f64::from(u8::from(*value > 0.0))).collect())
}

fn write(file: &PathBuf, judged: &[Judged]) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(file)?;
    writer.write_record(["row", "arm", "score"])?;
    for Judged { arm, rows, found } in judged {
        for (row, score) in rows.iter().zip(&found.scores) {
            writer.write_record([&row.to_string(), arm, &score.to_string()])?;
        }
    }
    Ok(writer.flush()?)
}

fn object(Judged { arm, found, .. }: &Judged) -> Value {
    let interval =
        |i: &Interval| json!({"estimate": i.estimate, "lower": i.lower, "upper": i.upper, "level": i.level});
    let learners: Vec<Value> = found
        .chosen
        .iter()
        .map(|(name, (folds, weight))| json!({"learner": name, "folds": folds, "weight": weight}))
        .collect();
    let (average, ranking) = (&found.average, &found.ranking);
    json!({
        "arm": arm,
        "treated": {"rows": average.treated.rows, "mean": average.treated.mean},
        "control": {"rows": average.control.rows, "mean": average.control.mean},
        "average_effect": interval(&average.difference),
        "newcombe": average.newcombe.as_ref().map(interval),
        "p_value": average.p_value,
        "qini": interval(&ranking.qini),
        "qini_standard_error": ranking.standard_error,
        "auuc": ranking.auuc,
        "uplift_at_30": ranking.uplift_at_30,
        "learners": learners,
        "folds_with_one_effect_for_all": found.one_effect,
        "tells_people_apart": found.tells_people_apart(),
    })
}

fn lines(Judged { arm, found, .. }: &Judged, arguments: &Arguments) -> Vec<String> {
    let range = |i: &Interval| format!("{:+.6} [{:+.6}, {:+.6}]", i.estimate, i.lower, i.upper);
    let (average, ranking) = (&found.average, &found.ranking);
    let mut lines = vec![format!(
        "{arm} against {}: {} and {} people, {} {:.6} and {:.6} on average",
        arguments.control,
        average.treated.rows,
        average.control.rows,
        arguments.outcome,
        average.treated.mean,
        average.control.mean,
    )];
    lines.push(format!("  average effect  {}, p {:.3e}", range(&average.difference), average.p_value));
    lines.extend(average.newcombe.map(|newcombe| format!("  by Newcombe     {}", range(&newcombe))));
    lines.push(format!(
        "  ranking         Qini {}, standard error {:.4}, out of fold over {} folds",
        range(&ranking.qini),
        ranking.standard_error,
        arguments.folds
    ));
    let auuc = ranking.auuc.map(|auuc| format!("AUUC {auuc:.6}, ")).unwrap_or_default();
    lines.push(format!(
        "                  {auuc}effect on the best three tenths {:+.6}",
        ranking.uplift_at_30
    ));
    for (name, (folds, weight)) in &found.chosen {
        lines.push(format!("  learner         {name}: in {folds} folds, weight {weight:.2}"));
    }
    if found.one_effect > 0 {
        lines.push(format!("  learner         one effect for all: in {} folds", found.one_effect));
    }
    lines.push(if found.tells_people_apart() {
        "  verdict         it moves some more than others: offer it to those ranked first".to_owned()
    } else {
        "  verdict         nothing to learn about whom it moves: the interval of the ranking covers 0. Treat all or \
         none, by the average effect"
            .to_owned()
    });
    lines
}
