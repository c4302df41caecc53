//! What the recommender bears: latency at given rates and at saturation, and how soon a click is felt.

mod load;
mod shop;

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser as _;
use proto::common::v1::EventKind;
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use proto::recommender::v1::{IngestEventsRequest, RecommendRequest};
use serde_json::json;
use tonic::transport::{Channel, Endpoint};

use crate::processes::Process;
use load::{Latencies, at_rate, saturated};

type Client = RecommenderServiceClient<Channel>;

/// Trials of a click.
const CLICKS: usize = 100;

/// How much of everything.
#[derive(Debug, Clone, clap::Parser)]
#[command(about = "Load on Recommend over gRPC, on 127.0.0.1; prints one JSON object")]
struct Arguments {
    /// Items in the catalogue.
    #[arg(long, default_value_t = 50_000)]
    items: u32,
    /// People with a past.
    #[arg(long, default_value_t = 20_000)]
    people: u32,
    /// Events of each.
    #[arg(long, default_value_t = 20)]
    events: u32,
    /// Requests a second.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000])]
    rates: Vec<u32>,
    /// Calls under way at saturation.
    #[arg(long, default_value_t = 64)]
    parallel: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Items of an answer.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Seed of the shop and of the order of calls.
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

/// Does what the command line asks.
///
/// # Errors
/// What kept it from being done.
///
/// # Panics
/// The machine gives no threads to run on.
#[tokio::main]
pub async fn main() -> anyhow::Result<()> {
    Arguments::parse().run().await
}

impl Arguments {
    /// Starts a recommender, fills and trains it, measures, and ends it.
    ///
    /// # Errors
    /// It does not start, or refuses a call.
    async fn run(self) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let settings = [
            "server.listen=127.0.0.1:0".to_owned(),
            format!("store.url=sqlite://{}/recommender.db?mode=rwc", folder.path().display()),
            format!("models.folder={}", folder.path().join("models").display()),
        ];
        let service = Process::start("recommender", &settings, &folder.path().join("log")).await?;
        let endpoint = Endpoint::from_shared(service.uri())?;
        let mut client = Client::new(endpoint.connect().await?);
        let started = Instant::now();
        shop::fill(&mut client, &self).await?;
        let filled = started.elapsed();
        let model = shop::train(&mut client, self.seed).await?;
        let trained = started.elapsed().saturating_sub(filled);
        eprintln!(
            "filled in {:.1} s, trained in {:.1} s ({model})",
            filled.as_secs_f64(),
            trained.as_secs_f64()
        );
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(Client::new(endpoint.connect().await?));
        }
        let mut told = Vec::new();
        for rate in &self.rates {
            let found = at_rate(&clients, &self, *rate).await?;
            told.push(found.told(&format!("{rate} requests/s")));
        }
        told.push(saturated(&clients, &self).await?.told("saturation"));
        let (felt, slowest) = self.clicks(&mut client).await?;
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "{}",
            json!({
                "items": self.items, "people": self.people, "seed": self.seed, "model": model,
                "fill_seconds": filled.as_secs_f64(), "train_seconds": trained.as_secs_f64(),
                "loads": told, "click_felt_ms_p50": felt, "click_felt_ms_max": slowest,
            })
        )?;
        drop(out);
        service.stop().await
    }

    /// Milliseconds from sending a click to having an answer that is another for it: the median and the most.
    async fn clicks(&self, client: &mut Client) -> anyhow::Result<(f64, f64)> {
        let mut felt = Latencies::default();
        for trial in 0..CLICKS {
            let person = shop::person(trial as u32 % self.people);
            let before = client.recommend(self.request(&person)).await?.into_inner();
            let clicked = before.recommendations.last().context("an answer")?.item_id.clone();
            let began = Instant::now();
            let event = shop::event(&format!("click-{trial}"), &person, EventKind::Click, &clicked);
            client
                .ingest_events(tokio_stream::iter([IngestEventsRequest {
                    event: Some(event),
                    log_position: 0,
                }]))
                .await?;
            let after = client.recommend(self.request(&person)).await?.into_inner();
            felt.add(began.elapsed());
            let ids = |answer: &proto::recommender::v1::RecommendResponse| {
                answer.recommendations.iter().map(|pick| pick.item_id.clone()).collect::<Vec<_>>()
            };
            anyhow::ensure!(ids(&before) != ids(&after), "the click on {clicked} changed nothing");
        }
        Ok((felt.quantile(0.5), felt.quantile(1.0)))
    }

    fn request(&self, person: &str) -> RecommendRequest {
        RecommendRequest {
            user_id: person.to_owned(),
            limit: self.limit,
            explain: true,
            ..RecommendRequest::default()
        }
    }

    fn span(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
