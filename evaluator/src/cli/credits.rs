//! `evaluator attribute`.

mod blocks;
mod delimited;
mod journeys;
mod parquet;
mod rows;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use proto::evaluator::v1::{AttributeResponse, MeasuredLift};
use serde_json::{Value, json};

use crate::attribution::analysis::{Question, answer};
use crate::attribution::calibrate::Lift;
use crate::attribution::credit::Model;
use crate::attribution::{Repeats, Window};
use crate::service::attribution::respond;

/// What `evaluator attribute` is told.
#[derive(Debug, Args)]
pub struct Arguments {
    /// CSV (plain or .gz), Parquet, JSON or JSON Lines with path ("a > b > c"), conversions, value and nulls, and
    /// perhaps ages_days ("9.5 > 2 > 0"); JSON may give touches as a list instead of a path.
    #[arg(long, value_name = "FILE")]
    journeys: PathBuf,
    /// How credit is shared.
    #[arg(long, value_enum, ignore_case = true, default_value = "last-touch")]
    model: ModelName,
    /// Of markov: steps of memory.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    order: u32,
    /// Days before the end of a journey that count; needs ages_days.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
    lookback_days: Option<u32>,
    /// The last so many touches count.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    lookback_steps: Option<u32>,
    /// What becomes of a channel touched again.
    #[arg(long, value_enum, ignore_case = true, default_value = "keep")]
    repeats: RepeatName,
    /// Of time-decay: days, or steps where there is no ages_days, after which a touch earns half.
    #[arg(long)]
    half_life: Option<f64>,
    /// Draws for intervals.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=2000))]
    bootstrap: u32,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Value is in whole minor units of this currency, and so shall be the credits.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// JSON list of {"channel", "conversions", "standard_error"}: measured lift the credits are set to.
    #[arg(long, value_name = "FILE")]
    measured_lifts: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A model's name on the command line; underscores are taken too.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModelName {
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

/// A rule for repeats on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RepeatName {
    /// Every touch counts.
    Keep,
    /// Touches in a row count once.
    Collapse,
    /// A channel's first touch counts.
    First,
    /// A channel's last touch counts.
    Last,
}

pub(super) fn print_credits(arguments: Arguments) -> anyhow::Result<String> {
    let question = question(&arguments)?;
    let journeys = journeys::read(&arguments.journeys)?;
    let found = answer(journeys, &question)?;
    let answer = respond(found, question.seed, arguments.currency.unwrap_or_default(), 0);
    Ok(if arguments.json { object(&answer, question.samples > 0).to_string() } else { table(&answer) })
}

fn question(arguments: &Arguments) -> anyhow::Result<Question> {
    if let Some(half_life) = arguments.half_life {
        anyhow::ensure!(
            half_life.is_finite() && half_life > 0.0,
            "--half-life must be above 0, is {half_life}"
        );
    }
    if let Some(code) = &arguments.currency {
        let sound = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        anyhow::ensure!(sound, "--currency must be an ISO 4217 code such as CNY, is {code:?}");
    }
    let model = match arguments.model {
        ModelName::LastTouch => Model::LastTouch,
        ModelName::FirstTouch => Model::FirstTouch,
        ModelName::Linear => Model::Linear,
        ModelName::TimeDecay => Model::TimeDecay { half_life: arguments.half_life },
        ModelName::Position => Model::Position,
        ModelName::Markov => Model::Markov { order: arguments.order as usize },
        ModelName::Shapley => Model::Shapley,
    };
    let repeats = match arguments.repeats {
        RepeatName::Keep => Repeats::Keep,
        RepeatName::Collapse => Repeats::Collapse,
        RepeatName::First => Repeats::First,
        RepeatName::Last => Repeats::Last,
    };
    Ok(Question {
        model,
        window: Window {
            days: arguments.lookback_days.map(f64::from),
            steps: arguments.lookback_steps.map(|steps| steps as usize),
            repeats,
        },
        samples: arguments.bootstrap,
        seed: arguments.seed,
        whole_value: arguments.currency.is_some(),
        lifts: arguments.measured_lifts.as_ref().map(lifts).transpose()?.unwrap_or_default(),
    })
}

fn lifts(file: &PathBuf) -> anyhow::Result<Vec<Lift>> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    let given: Vec<MeasuredLift> =
        serde_json::from_str(&text).with_context(|| format!("{name} is no list of measured lifts"))?;
    let lift = |lift: MeasuredLift| Lift {
        channel: lift.channel,
        conversions: lift.conversions,
        standard_error: lift.standard_error,
    };
    Ok(given.into_iter().map(lift).collect())
}

/// The answer as one flat object; intervals stand beside the figures they belong to.
fn object(answer: &AttributeResponse, intervals: bool) -> Value {
    let credit = |credit: &proto::evaluator::v1::ChannelCredit| {
        let mut line = json!({
            "channel": credit.channel,
            "conversions": credit.conversions.as_ref().map(|interval| interval.estimate),
            "value": credit.value,
            "removal_effect": credit.removal_effect,
        });
        if intervals {
            line["conversions_interval"] = json!(credit.conversions);
            line["value_interval"] = json!(credit.value_interval);
            line["removal_interval"] = json!(credit.removal_interval);
        }
        line
    };
    let mut whole = json!({
        "credits": answer.credits.iter().map(credit).collect::<Vec<_>>(),
        "conversion_probability": answer.conversion_probability,
        "total_conversions": answer.total_conversions,
        "total_value": answer.total_value,
    });
    if intervals {
        whole["seed"] = json!(answer.seed);
    }
    if !answer.disagreements.is_empty() {
        whole["disagreements"] = json!(answer.disagreements);
    }
    whole
}

fn table(answer: &AttributeResponse) -> String {
    let mut text = format!(
        "{:<24} {:>14} {:>28} {:>16} {:>10}",
        "channel", "conversions", "interval", "value", "removal"
    );
    for credit in &answer.credits {
        let conversions = credit.conversions.unwrap_or_default();
        let interval = if conversions.level > 0.0 {
            format!("[{:.2}, {:.2}]", conversions.lower, conversions.upper)
        } else {
            "-".to_owned()
        };
        let removal = credit.removal_effect.map_or_else(|| "-".to_owned(), |effect| format!("{effect:.4}"));
        let _ = write!(
            text,
            "\n{:<24} {:>14.2} {interval:>28} {:>16.2} {removal:>10}",
            credit.channel, conversions.estimate, credit.value
        );
    }
    for told in &answer.disagreements {
        let _ = write!(
            text,
            "\n{}: {:.1} by the model, {:.1} ± {:.1} measured (z {:+.1}, p {:.4})",
            told.channel, told.attributed, told.measured, told.standard_error, told.z, told.p_value
        );
    }
    text
}
