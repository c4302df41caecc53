//! `bespoke train`: live progress, then the model's card.

use std::collections::BTreeMap;

use chassis::client::Channel;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use proto::recommender::v1::{Algorithm, TrainRequest};

use super::{Failure, log, show};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// auto, svd, als, ease, item_knn, transition, popularity or blend.
    #[arg(long, default_value = "auto")]
    algorithm: String,
    /// Set a parameter instead of letting it be chosen, or budget_seconds, how long to search; may be given again.
    #[arg(long = "parameter", value_name = "NAME=NUMBER", value_parser = parameter)]
    parameters: Vec<(String, f64)>,
    /// Keep the model without letting it serve.
    #[arg(long)]
    no_promote: bool,
    /// Seed of all chance in the run.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Train on what the recommender has now, without waiting for the events stored so far.
    #[arg(long)]
    no_wait: bool,
}

fn parameter(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=NUMBER")?;
    Ok((name.to_owned(), value.parse().map_err(|_| format!("{value:?} is not a number"))?))
}

pub(super) async fn run(arguments: Arguments, gateway: Channel, json: bool) -> Result<(), Failure> {
    let name = format!("ALGORITHM_{}", arguments.algorithm.to_uppercase());
    let algorithm = Algorithm::from_str_name(&name)
        .ok_or_else(|| Failure::Usage(format!("there is no algorithm {}", arguments.algorithm)))?;
    let request = TrainRequest {
        algorithm: algorithm.into(),
        parameters: arguments.parameters.into_iter().collect::<BTreeMap<_, _>>(),
        promote: !arguments.no_promote,
        seed: arguments.seed,
        after_position: log::head(&gateway, !arguments.no_wait).await?,
        ..TrainRequest::default()
    };
    let mut steps = RecommenderServiceClient::new(gateway).train(request).await?.into_inner();
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{spinner} train [{bar:30}] {msg} {elapsed}") {
        bar.set_style(style.progress_chars("=> "));
    }
    let mut model = None;
    while let Some(step) = steps.message().await? {
        bar.set_position((step.fraction.clamp(0.0, 1.0) * 1000.0) as u64);
        bar.set_message(format!("{}: {}", step.stage, step.message));
        if json {
            show::json(&step)?;
        }
        model = step.model.or(model);
    }
    let took = bar.elapsed();
    bar.finish_and_clear();
    let model = model.ok_or_else(|| Failure::Refused("training ended without a model".into()))?;
    if !json {
        let serves = if model.promoted { "serves now" } else { "does not serve" };
        show::line(&format!("{} {serves}, trained in {:.1} s", model.model_id, took.as_secs_f64()));
        for (name, value) in model.parameters.iter().chain(&model.metrics) {
            show::line(&format!("  {name:<22} {value:.5}"));
        }
    }
    Ok(())
}
