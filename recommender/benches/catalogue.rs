//! The catalogue feed at size: start to ready, one changed row, and how soon each replica shows it. Two replicas of the
//! recommender run in this process on one database; prints one JSON object.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::client::{Channel, ClientConfig, connect};
use chassis::config::Secret;
use clap::Parser as _;
use proto::common::v1::{Item, Money};
use proto::recommender::v1::recommender_service_client::RecommenderServiceClient;
use proto::recommender::v1::{ItemUpdate, RecommendRequest, Rules, UpdateItemsRequest, UpsertItemsRequest};
use recommender::Config;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

type Client = RecommenderServiceClient<Channel>;

/// Sizes of the measurement.
#[derive(Debug, clap::Parser)]
struct Arguments {
    /// Items in the catalogue.
    #[arg(long, default_value_t = 1_000_000)]
    items: u32,
    /// Changes measured.
    #[arg(long, default_value_t = 200)]
    changes: u32,
    /// Database; a SQLite file of its own where it is not given.
    #[arg(long)]
    url: Option<String>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A running replica.
struct Replica {
    client: Client,
    channel: Channel,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Replica {
    async fn start(url: &str, folder: &Path) -> anyhow::Result<Self> {
        let mut config = Config::default();
        config.store.url = Secret::new(url);
        config.models.folder = folder.join("models");
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let channel = connect(&ClientConfig::to(format!("http://{}", listener.local_addr()?)))?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(recommender::run(config, listener, stop.clone()));
        Ok(Self { client: Client::new(channel.clone()), channel, stop, task })
    }

    /// Seconds until a probe was answered and until it was answered SERVING, from `began` on.
    async fn ready(&self, began: Instant) -> anyhow::Result<(f64, f64)> {
        let mut health = HealthClient::new(self.channel.clone());
        let mut answered = None;
        loop {
            if let Ok(status) = health.check(HealthCheckRequest::default()).await {
                let seconds = *answered.get_or_insert_with(|| began.elapsed().as_secs_f64());
                if status.into_inner().status() == ServingStatus::Serving {
                    return Ok((seconds, began.elapsed().as_secs_f64()));
                }
            }
            anyhow::ensure!(!self.task.is_finished(), "the service has ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        drop((self.client, self.channel));
        self.task.await?
    }
}

fn item(n: u32, minor_units: i64) -> Item {
    Item {
        item_id: format!("item-{n}"),
        title: format!("Thing {n} of a large shop"),
        description: "A thing that is sold, described in a sentence of ordinary length for its page.".into(),
        categories: vec![format!("Department {}", n % 20), format!("Shelf {}", n % 1_000)],
        brand: format!("Brand {}", n % 500),
        price: Some(Money { currency_code: "EUR".into(), minor_units }),
        stock: Some(i64::from(n % 50) + 1),
        ..Item::default()
    }
}

/// The price at which this item is shown.
async fn shown(client: &mut Client, n: u32) -> anyhow::Result<i64> {
    let rules = Rules { only_item_ids: vec![format!("item-{n}")], ..Rules::default() };
    let request = RecommendRequest { limit: 1, rules: Some(rules), ..RecommendRequest::default() };
    let answer = client.recommend(request).await?.into_inner();
    let item = answer.recommendations.into_iter().next().and_then(|pick| pick.item);
    Ok(item.and_then(|item| item.price).context("the item is shown with a price")?.minor_units)
}

fn quantile(all: &mut [f64], share: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    let place = (share * all.len() as f64).ceil() as usize;
    all[place.clamp(1, all.len()) - 1]
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

async fn run(how: Arguments) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite://{}?mode=rwc", folder.path().join("recommender.db").display());
    let url = how.url.clone().unwrap_or(file);
    let mut one = Replica::start(&url, folder.path()).await?;
    one.ready(Instant::now()).await?;
    let began = Instant::now();
    let rows = (0..how.items).map(|n| UpsertItemsRequest { item: Some(item(n, 1_000)) });
    let taken = one.client.upsert_items(tokio_stream::iter(rows)).await?.into_inner();
    anyhow::ensure!(taken.accepted == u64::from(how.items), "refused: {:?}", taken.rejected.first());
    let fill_seconds = began.elapsed().as_secs_f64();
    one.stop().await?;

    let began = Instant::now();
    let mut one = Replica::start(&url, folder.path()).await?;
    let (probe_seconds, ready_seconds) = one.ready(began).await?;
    let mut other = Replica::start(&url, folder.path()).await?;
    other.ready(Instant::now()).await?;

    let (mut upserts, mut updates, mut here, mut there) = (vec![], vec![], vec![], vec![]);
    for change in 0..how.changes {
        let (n, minor_units) = (change.wrapping_mul(2_654_435_761) % how.items, 2_000 + i64::from(change));
        let began = Instant::now();
        if change % 2 == 0 {
            let row = UpsertItemsRequest { item: Some(item(n, minor_units)) };
            one.client.upsert_items(tokio_stream::iter([row])).await?;
            upserts.push(milliseconds(began));
        } else {
            let update = ItemUpdate { item: Some(item(n, minor_units)), update_mask: vec!["price".into()] };
            let request = UpdateItemsRequest { updates: vec![update], ..Default::default() };
            one.client.update_items(request).await?;
            updates.push(milliseconds(began));
        }
        let stored = Instant::now();
        anyhow::ensure!(
            shown(&mut one.client, n).await? == minor_units,
            "the next answer shows the old price"
        );
        here.push(milliseconds(stored));
        // The answer that shows it was asked for when its call began.
        loop {
            let asked = stored.elapsed().as_secs_f64() * 1e3;
            if shown(&mut other.client, n).await? == minor_units {
                there.push(asked);
                break;
            }
            anyhow::ensure!(asked < 10_000.0, "another replica never shows it");
        }
    }
    let told = json!({
        "items": how.items, "fill_seconds": fill_seconds,
        "probe_answered_seconds": probe_seconds, "ready_seconds": ready_seconds,
        "upsert_ms_p50": quantile(&mut upserts, 0.5), "upsert_ms_p99": quantile(&mut upserts, 0.99),
        "update_ms_p50": quantile(&mut updates, 0.5), "update_ms_p99": quantile(&mut updates, 0.99),
        "next_answer_ms_p50": quantile(&mut here, 0.5),
        "other_replica_ms_p50": quantile(&mut there, 0.5), "other_replica_ms_max": quantile(&mut there, 1.0),
    });
    writeln!(std::io::stdout().lock(), "{told}")?;
    one.stop().await?;
    other.stop().await
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(Arguments::parse()).await
}
