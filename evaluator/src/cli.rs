//! Batch tools that need no server. Exit codes: 0 done, 1 refused, 2 usage.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use proto::evaluator::v1::AnalyseExperimentRequest;
use serde_json::{Value, json};

use crate::attribution::credit::Model;
use crate::attribution::{Attribution, Journeys, attribute};
use crate::experiment::bucket::{HashVersion, bucket};
use crate::policy::{Logged, evaluate};

/// A batch tool.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// Print the bucket of a unit, in [0, 1).
    Bucket {
        /// Recipe of the hash.
        #[arg(long, value_parser = clap::value_parser!(i32).range(1..=2))]
        hash_version: i32,
        /// Seed of the bucketing.
        #[arg(long)]
        seed: String,
        /// The unit.
        #[arg(long)]
        unit: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Share the conversions of journeys among channels.
    Attribute {
        /// CSV with the columns path ("a > b > c"), conversions, value and nulls.
        #[arg(long, value_name = "FILE")]
        journeys: PathBuf,
        /// How credit is shared.
        #[arg(long, value_enum, default_value = "last-touch")]
        model: ModelName,
        /// Of markov: steps of memory.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4))]
        order: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare the arms of an experiment with the control.
    Analyse {
        /// JSON of an AnalyseExperiment request with arms.
        #[arg(long, value_name = "FILE")]
        arms: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what a policy would have brought, from a log.
    Policy {
        /// CSV with the columns action, propensity and reward.
        #[arg(long, value_name = "FILE")]
        log: PathBuf,
        /// The policy as JSON, such as {"push": 0.7, "none": 0.3}. Absent: every logged action alike.
        #[arg(long, value_name = "JSON")]
        target: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A model's name on the command line; underscores are taken too.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ModelName {
    /// All to the last touch.
    #[value(alias = "last_touch", alias = "last")]
    LastTouch,
    /// All to the first touch.
    #[value(alias = "first_touch", alias = "first")]
    FirstTouch,
    /// Equal shares.
    Linear,
    /// The later, the more.
    #[value(alias = "time_decay")]
    TimeDecay,
    /// Two fifths to the first and the last.
    Position,
    /// By removal from a Markov chain.
    Markov,
    /// By the Shapley value.
    Shapley,
}

/// Runs a tool.
pub fn run(tool: Tool) -> ExitCode {
    let done = match tool {
        Tool::Bucket { hash_version, seed, unit, json } => print_bucket(hash_version, &seed, &unit, json),
        Tool::Attribute { journeys, model, order, json } => {
            print_credits(&journeys, model, order as usize, json)
        }
        Tool::Analyse { arms, json } => print_analysis(&arms, json),
        Tool::Policy { log, target, json } => print_policy(&log, target.as_deref(), json),
    };
    match done {
        Ok(text) => match writeln!(std::io::stdout(), "{text}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_bucket(version: i32, seed: &str, unit: &str, json: bool) -> anyhow::Result<String> {
    let version = HashVersion::from_number(version).context("--hash-version must be 1 or 2")?;
    let bucket = bucket(version, seed, unit);
    Ok(if json { json!({ "bucket": bucket }).to_string() } else { bucket.to_string() })
}

fn print_credits(file: &Path, model: ModelName, order: usize, json: bool) -> anyhow::Result<String> {
    let model = match model {
        ModelName::LastTouch => Model::LastTouch,
        ModelName::FirstTouch => Model::FirstTouch,
        ModelName::Linear => Model::Linear,
        ModelName::TimeDecay => Model::TimeDecay,
        ModelName::Position => Model::Position,
        ModelName::Markov => Model::Markov { order },
        ModelName::Shapley => Model::Shapley,
    };
    let found = attribute(&read_journeys(file)?, model);
    if json { Ok(credits_json(&found).to_string()) } else { Ok(credits_table(&found)) }
}

/// A CSV file, gzipped where it ends in `.gz`.
fn open_csv(file: &Path) -> anyhow::Result<csv::Reader<Box<dyn std::io::Read>>> {
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let source: Box<dyn std::io::Read> = if file.extension().is_some_and(|e| e == "gz") {
        Box::new(flate2::read::MultiGzDecoder::new(opened))
    } else {
        Box::new(opened)
    };
    Ok(csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(source))
}

fn read_journeys(file: &Path) -> anyhow::Result<Journeys> {
    let name = file.display();
    let mut reader = open_csv(file)?;
    let headers = reader.headers().with_context(|| format!("{name} is no CSV"))?.clone();
    let column = |wanted: &str| headers.iter().position(|header| header == wanted);
    let path = column("path").with_context(|| format!("{name} has no column path"))?;
    let numbers = ["conversions", "value", "nulls"].map(|wanted| (wanted, column(wanted)));
    if numbers[0].1.is_none() {
        bail!("{name} has no column conversions");
    }
    let mut journeys = Journeys::new();
    for (index, record) in reader.records().enumerate() {
        let row = index + 2;
        let record = record.with_context(|| format!("{name}, line {row}"))?;
        let mut counts = [0.0_f64; 3];
        for (count, (wanted, at)) in counts.iter_mut().zip(numbers) {
            let text = at.and_then(|at| record.get(at)).unwrap_or_default();
            if !text.is_empty() {
                *count = text
                    .parse()
                    .with_context(|| format!("{name}, line {row}: {wanted} {text:?} is no number"))?;
            }
        }
        let touches =
            record.get(path).unwrap_or_default().split('>').map(str::trim).filter(|t| !t.is_empty());
        journeys.push(&format!("line {row}"), touches, (counts[0], counts[1], counts[2]))?;
    }
    Ok(journeys)
}

fn credits_json(found: &Attribution) -> Value {
    let credits: Vec<Value> = found
        .credits
        .iter()
        .map(|credit| {
            json!({
                "channel": credit.channel,
                "conversions": credit.conversions,
                "value": credit.value,
                "removal_effect": credit.removal_effect,
            })
        })
        .collect();
    json!({
        "credits": credits,
        "conversion_probability": found.conversion_probability,
        "total_conversions": found.total_conversions,
        "total_value": found.total_value,
    })
}

fn credits_table(found: &Attribution) -> String {
    let mut text = format!("{:<24} {:>14} {:>16} {:>10}", "channel", "conversions", "value", "removal");
    for credit in &found.credits {
        let removal = credit.removal_effect.map_or_else(|| "-".to_owned(), |effect| format!("{effect:.4}"));
        text += &format!(
            "\n{:<24} {:>14.2} {:>16.2} {removal:>10}",
            credit.channel, credit.conversions, credit.value
        );
    }
    text
}

fn print_analysis(file: &Path, json: bool) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let request: AnalyseExperimentRequest = serde_json::from_str(&text)
        .with_context(|| format!("{} is no AnalyseExperiment request", file.display()))?;
    let found = crate::service::analysis::inline(&request)
        .map_err(|status| anyhow::anyhow!("{}", status.message()))?;
    if json {
        return Ok(serde_json::to_string(&found)?);
    }
    let mut lines = vec![format!("{:<20} {:>12} {:>26} {:>10}", "variant", "effect", "interval", "p")];
    for result in &found.results {
        let (effect, range) = result.effect.as_ref().map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |e| (format!("{:+.5}", e.estimate), format!("[{:+.5}, {:+.5}]", e.lower, e.upper)),
        );
        let p = result.p_value.map_or_else(|| "-".to_owned(), |p| format!("{p:.4}"));
        lines.push(format!("{:<20} {effect:>12} {range:>26} {p:>10}", result.variant_id));
    }
    lines.extend(found.decision.iter().map(|decision| decision.verdict().as_str_name().to_owned()));
    Ok(lines.join("\n"))
}

#[derive(serde::Deserialize)]
struct LogRow {
    action: String,
    propensity: f64,
    reward: f64,
}

fn print_policy(file: &Path, target: Option<&str>, json: bool) -> anyhow::Result<String> {
    let name = file.display();
    let mut log = Vec::new();
    for (index, row) in open_csv(file)?.deserialize().enumerate() {
        let LogRow { action, propensity, reward } =
            row.with_context(|| format!("{name}, line {}", index + 2))?;
        if !(propensity > 0.0 && propensity <= 1.0 && reward.is_finite()) {
            bail!("{name}, line {}: propensity must be above 0 and at most 1, reward finite", index + 2);
        }
        log.push(Logged { action, propensity, reward });
    }
    if log.is_empty() {
        bail!("{name} holds no decision");
    }
    let policy: BTreeMap<String, f64> = if let Some(text) = target {
        serde_json::from_str(text).context("--target is no JSON object of probabilities")?
    } else {
        let actions: BTreeSet<&String> = log.iter().map(|row| &row.action).collect();
        actions.iter().map(|action| ((*action).clone(), 1.0 / actions.len() as f64)).collect()
    };
    let sum: f64 = policy.values().sum();
    if policy.values().any(|share| !(0.0..=1.0).contains(share)) || !((sum - 1.0).abs() <= 1e-6) {
        bail!("--target must hold probabilities that sum to 1; they sum to {sum}");
    }
    let found = evaluate(&log, &policy);
    let named = [("IPS", found.ips), ("SNIPS", found.snips), ("DM", found.dm), ("DR", found.dr)];
    if json {
        let estimates: Vec<Value> = named
            .iter()
            .map(|(estimator, v)| {
                json!({
                    "estimator": format!("POLICY_ESTIMATOR_{estimator}"),
                    "value": {"estimate": v.estimate, "lower": v.lower, "upper": v.upper, "level": v.level},
                })
            })
            .collect();
        let answer = json!({
            "estimates": estimates,
            "effective_sample_size": found.effective_sample_size,
            "max_weight": found.max_weight,
            "refused": found.why.is_some(),
            "why": found.why.unwrap_or_default(),
        });
        return Ok(answer.to_string());
    }
    let mut lines: Vec<String> = named
        .iter()
        .map(|(estimator, v)| format!("{estimator:<6} {:>12.6} [{:.6}, {:.6}]", v.estimate, v.lower, v.upper))
        .collect();
    lines.push(format!(
        "effective sample size {:.1}, largest weight {:.2}",
        found.effective_sample_size, found.max_weight
    ));
    lines.extend(found.why.map(|why| format!("refused: {why}")));
    Ok(lines.join("\n"))
}
