//! `bespoke report experiment|attribution|metrics|plan`.

mod holdout;
mod next;
mod plan;

use chassis::client::Channel;
use clap::{Args, Subcommand};
use proto::evaluator::v1::attribution_service_client::AttributionServiceClient;
use proto::evaluator::v1::experiment_service_client::ExperimentServiceClient;
use proto::evaluator::v1::metric_service_client::MetricServiceClient;
use proto::evaluator::v1::{
    AnalyseExperimentRequest, AttributeRequest, AttributeResponse, AttributionModel, ExperimentExposures,
    Granularity, MetricRow, QueryMetricsRequest,
};

use super::{Failure, log, show};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Report what the evaluator has now, without waiting for the events stored so far.
    #[arg(long, global = true)]
    no_wait: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Effects of an experiment's variants, and its health.
    Experiment {
        /// The experiment.
        experiment_id: String,
    },
    /// Credit of each channel.
    Attribution {
        /// last_touch, first_touch, linear, time_decay, position, markov or shapley.
        #[arg(long, default_value = "last_touch")]
        model: String,
        /// Days before a conversion that count.
        #[arg(long, default_value_t = 30)]
        lookback_days: u32,
    },
    /// What a plan is, what it promised and what it has brought.
    Plan {
        /// The plan; without it, the one that decides.
        #[arg(default_value = "")]
        plan_id: String,
    },
    /// Metrics by dimension and time.
    Metrics {
        /// Names, separated by commas.
        #[arg(long, default_value = "CTR,CR,AOV,REVENUE", value_delimiter = ',')]
        metrics: Vec<String>,
        /// Dimensions, separated by commas: channel, offer, experiment:ID.
        #[arg(long, value_delimiter = ',')]
        by: Vec<String>,
        /// day, week or month; without it, the whole time.
        #[arg(long)]
        each: Option<String>,
        /// IANA time zone of days, weeks and months; without it, the shop's.
        #[arg(long, default_value = "")]
        time_zone: String,
    },
}

pub(super) async fn run(arguments: Arguments, gateway: Channel, json: bool) -> Result<(), Failure> {
    match arguments.what {
        What::Experiment { experiment_id } => experiment(experiment_id, gateway, json).await,
        What::Plan { plan_id } => plan::print(plan_id, gateway, json).await,
        What::Attribution { model, lookback_days } => {
            let after_position = log::head(&gateway, !arguments.no_wait).await?;
            attribution(&model, lookback_days, after_position, gateway, json).await
        }
        What::Metrics { metrics, by, each, time_zone } => {
            let granularity = each.map_or(Some(Granularity::Unspecified), |each| {
                Granularity::from_str_name(&format!("GRANULARITY_{}", each.to_uppercase()))
            });
            let granularity =
                granularity.ok_or_else(|| Failure::Usage("--each: day, week or month".into()))?;
            let asked = metrics.clone();
            let request = QueryMetricsRequest {
                metrics,
                dimensions: by,
                granularity: granularity.into(),
                time_zone,
                after_position: log::head(&gateway, !arguments.no_wait).await?,
                ..QueryMetricsRequest::default()
            };
            let answer = MetricServiceClient::new(gateway).query_metrics(request).await?.into_inner();
            if json {
                return show::json(&answer);
            }
            answer.rows.iter().for_each(metric);
            answer.experiments.iter().for_each(exposures);
            for name in asked.iter().filter(|name| answer.rows.iter().all(|row| row.metric != **name)) {
                show::line(&format!("{name:<12} nothing to divide by yet"));
            }
            Ok(())
        }
    }
}

async fn experiment(experiment_id: String, gateway: Channel, json: bool) -> Result<(), Failure> {
    let request = AnalyseExperimentRequest { experiment_id, ..AnalyseExperimentRequest::default() };
    let answer = ExperimentServiceClient::new(gateway).analyse_experiment(request).await?.into_inner();
    if json {
        return show::json(&answer);
    }
    for result in &answer.results {
        let effect = result.effect.as_ref().map(show::interval).unwrap_or_default();
        let p = result.p_value.map(|p| format!("  p {p:.4}")).unwrap_or_default();
        show::line(&format!("{:<12} {:<16} {effect}{p}", result.metric, result.variant_id));
        result.warnings.iter().for_each(|warning| show::line(&format!("  {warning}")));
    }
    if let Some(health) = &answer.health {
        if let Some(p) = health.srm_p_value {
            show::line(&format!("sample ratio: p {p:.4}"));
        }
        health.warnings.iter().for_each(|warning| show::line(&format!("  {warning}")));
    }
    if let Some(decision) = &answer.decision {
        show::json(decision)?;
    }
    Ok(())
}

async fn attribution(
    model: &str,
    lookback_days: u32,
    after_position: u64,
    gateway: Channel,
    json: bool,
) -> Result<(), Failure> {
    let model = AttributionModel::from_str_name(&format!("ATTRIBUTION_MODEL_{}", model.to_uppercase()))
        .ok_or_else(|| Failure::Usage(format!("there is no attribution model {model}")))?;
    let model = model.into();
    let request = AttributeRequest { model, lookback_days, after_position, ..AttributeRequest::default() };
    let answer = AttributionServiceClient::new(gateway).attribute(request).await?.into_inner();
    if json {
        return show::json(&answer);
    }
    show::line(&credits(&answer).join("\n"));
    Ok(())
}

/// The credits and their totals, line by line.
fn credits(answer: &AttributeResponse) -> Vec<String> {
    let amount = |value: f64| {
        if answer.currency_code.is_empty() {
            format!("{value:.2} value")
        } else {
            show::amount(value, &answer.currency_code)
        }
    };
    let line = |name: &str, conversions: f64, value: f64| {
        format!("{name:<24} {conversions:>12.2} conversions {:>18}", amount(value))
    };
    let mut lines: Vec<String> = answer
        .credits
        .iter()
        .map(|credit| {
            let conversions = credit.conversions.as_ref().map_or(0.0, |interval| interval.estimate);
            line(&credit.channel, conversions, credit.value)
        })
        .collect();
    lines.push(line("total", answer.total_conversions, answer.total_value));
    if answer.censored_journeys > 0 {
        lines.push(format!("left out: {} journeys that had no time to convert", answer.censored_journeys));
    }
    lines
}

/// Units of an experiment by variant, and whether their ratio is the one that was planned.
fn exposures(found: &ExperimentExposures) {
    let units: Vec<String> =
        found.units.iter().map(|(variant, units)| format!("{variant} {units}")).collect();
    let ratio = found.srm_p_value.map_or_else(String::new, |p| format!("; sample ratio: p {p:.4}"));
    let several = match found.multiple_exposures {
        0 => String::new(),
        count => format!("; {count} units in several variants are left out"),
    };
    let (id, units) = (&found.experiment_id, units.join(", "));
    show::line(&format!("experiment {id}: exposed {units}{ratio}{several}"));
}

fn metric(row: &MetricRow) {
    let of: Vec<String> = row.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let value = if let Some(value) = row.value.filter(|_| row.currency_code.is_empty()) {
        show::interval(&value)
    } else if let Some(value) = row.value {
        let [estimate, lower, upper] =
            [value.estimate, value.lower, value.upper].map(|amount| show::amount(amount, &row.currency_code));
        format!("{estimate} [{lower}, {upper}]")
    } else {
        "not known".to_owned()
    };
    let warnings =
        if row.warnings.is_empty() { String::new() } else { format!("  ! {}", row.warnings.join(", ")) };
    show::line(&format!("{:<12} {:<32} {value}  ({} units){warnings}", row.metric, of.join(" "), row.units));
}

#[cfg(test)]
mod tests {
    use proto::common::v1::Interval;
    use proto::evaluator::v1::ChannelCredit;

    use super::*;

    #[test]
    fn credited_amounts_are_printed_in_their_currency() {
        let conversions = Some(Interval { estimate: 2.0, ..Interval::default() });
        let credit = ChannelCredit {
            channel: "email".into(),
            conversions,
            value: 387_261_236.0,
            ..ChannelCredit::default()
        };
        let mut answer = AttributeResponse {
            credits: vec![credit],
            total_value: 387_261_236.0,
            total_conversions: 2.0,
            currency_code: "USD".into(),
            ..AttributeResponse::default()
        };
        assert!(credits(&answer)[0].ends_with("USD 3872612.36"), "{:?}", credits(&answer));
        answer.currency_code = "JPY".into();
        assert!(credits(&answer)[1].ends_with("JPY 387261236"), "{:?}", credits(&answer));
    }
}
