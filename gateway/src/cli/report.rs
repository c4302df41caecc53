//! `bespoke report experiment|attribution|metrics|plan`.

mod plan;

use chassis::client::Channel;
use clap::{Args, Subcommand};
use proto::evaluator::v1::attribution_service_client::AttributionServiceClient;
use proto::evaluator::v1::experiment_service_client::ExperimentServiceClient;
use proto::evaluator::v1::metric_service_client::MetricServiceClient;
use proto::evaluator::v1::{
    AnalyseExperimentRequest, AttributeRequest, AttributionModel, Granularity, MetricRow, QueryMetricsRequest,
};

use super::{Failure, show};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
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
    },
}

pub(super) async fn run(arguments: Arguments, gateway: Channel, json: bool) -> Result<(), Failure> {
    match arguments.what {
        What::Experiment { experiment_id } => experiment(experiment_id, gateway, json).await,
        What::Plan { plan_id } => plan::print(plan_id, gateway, json).await,
        What::Attribution { model, lookback_days } => attribution(&model, lookback_days, gateway, json).await,
        What::Metrics { metrics, by, each } => {
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
                ..QueryMetricsRequest::default()
            };
            let answer = MetricServiceClient::new(gateway).query_metrics(request).await?.into_inner();
            if json {
                return show::json(&answer);
            }
            answer.rows.iter().for_each(metric);
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

async fn attribution(model: &str, lookback_days: u32, gateway: Channel, json: bool) -> Result<(), Failure> {
    let model = AttributionModel::from_str_name(&format!("ATTRIBUTION_MODEL_{}", model.to_uppercase()))
        .ok_or_else(|| Failure::Usage(format!("there is no attribution model {model}")))?;
    let request = AttributeRequest { model: model.into(), lookback_days, ..AttributeRequest::default() };
    let answer = AttributionServiceClient::new(gateway).attribute(request).await?.into_inner();
    if json {
        return show::json(&answer);
    }
    for credit in &answer.credits {
        let conversions = credit.conversions.as_ref().map_or(0.0, |interval| interval.estimate);
        show::line(&format!(
            "{:<24} {conversions:>12.2} conversions {:>14.2} value",
            credit.channel, credit.value
        ));
    }
    Ok(())
}

fn metric(row: &MetricRow) {
    let of: Vec<String> = row.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let value = row.value.unwrap_or_default();
    let value = if row.currency_code.is_empty() {
        show::interval(&value)
    } else {
        let [estimate, lower, upper] =
            [value.estimate, value.lower, value.upper].map(|amount| show::amount(amount, &row.currency_code));
        format!("{estimate} [{lower}, {upper}]")
    };
    show::line(&format!("{:<12} {:<32} {value}  ({} units)", row.metric, of.join(" "), row.units));
}
