//! The four services in this process, each on a free port of 127.0.0.1 with a database of its own, once or as several
//! replicas that share it.

mod databases;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use chassis::client::{Channel, ClientConfig, connect};
use chassis::config::Secret;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use databases::Databases;

/// One running service.
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// A service below the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Which goods.
    Recommender,
    /// In which words.
    Generator,
    /// With which offer, and what it brings.
    Evaluator,
}

/// What writes the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// The development model; `make model` fetches it.
    Model,
    /// Templates alone.
    Templates,
    /// Templates alone; the recommender has the texts of items embedded.
    Embedded,
}

/// How the suite is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// What writes the copy.
    pub words: Words,
    /// Replicas of every service.
    pub replicas: usize,
    /// Whether databases are made on PostgreSQL at 127.0.0.1:5432; else they are SQLite files, which one replica of
    /// each service can use.
    pub postgres: bool,
    /// IANA name of the shop's time zone.
    pub time_zone: &'static str,
    /// Whether callers set the evaluator's clock.
    pub simulated_clock: bool,
}

impl From<Words> for Options {
    fn from(words: Words) -> Self {
        Self { words, replicas: 1, postgres: false, time_zone: "UTC", simulated_clock: false }
    }
}

/// The running suite; all ends with it. [`Sandbox::close`] removes databases on PostgreSQL.
pub struct Sandbox {
    folder: TempDir,
    databases: Databases,
    recommender: Vec<Running>,
    generator: Vec<Running>,
    evaluator: Vec<Running>,
    gateway: Vec<Running>,
    /// Further gateways, which end with the suite.
    others: Mutex<Vec<Running>>,
}

impl Sandbox {
    /// Starts everything on fresh databases.
    pub async fn start(options: impl Into<Options>) -> anyhow::Result<Self> {
        let options = options.into();
        let folder = tempfile::tempdir()?;
        let databases = if options.postgres {
            Databases::on_postgres().await?
        } else {
            Databases::Files(folder.path().to_owned())
        };
        let started = Self::start_services(&options, folder, databases.clone()).await;
        if started.is_err() {
            databases.remove().await?;
        }
        started
    }

    async fn start_services(
        options: &Options,
        folder: TempDir,
        databases: Databases,
    ) -> anyhow::Result<Self> {
        let words = options.words;
        let mut config = generator::Config::default();
        config.store.url = databases.url("generator");
        config.model.folder = models();
        if words != Words::Model {
            config.model.file.clear();
        }
        let generator = replicas(options, config, generator::run).await?;

        let mut config = recommender::Config::default();
        config.store.url = databases.url("recommender");
        config.models.folder = folder.path().join("models");
        config.models.watch_ms = 50;
        config.shop.time_zone = options.time_zone.into();
        if words == Words::Embedded {
            config.generator = ClientConfig::to(addresses(&generator));
        }
        let recommender = replicas(options, config, recommender::run).await?;

        let mut config = evaluator::Config::default();
        config.store.url = databases.url("evaluator");
        config.shop.time_zone = options.time_zone.into();
        config.strategy.simulated_clock = options.simulated_clock;
        if options.simulated_clock {
            // Simulated shoppers buy at once or not at all.
            config.strategy.outcome_windows.purchase_hours = 1;
            config.strategy.outcome_windows.profit_hours = 1;
            config.strategy.offer_valid_days = 1;
        }
        let evaluator = replicas(options, config, evaluator::run).await?;

        let services = [&recommender, &generator, &evaluator];
        let gateway =
            replicas(options, gateway_config(databases.url("gateway"), services), gateway::run).await?;
        let others = Mutex::default();
        Ok(Self { folder, databases, recommender, generator, evaluator, gateway, others })
    }

    /// Starts a further gateway over the same services, with the database at `url`; returns a channel to it.
    pub async fn another_gateway(&self, url: Secret) -> anyhow::Result<Channel> {
        let config = gateway_config(url, [&self.recommender, &self.generator, &self.evaluator]);
        let other = start(move |listener, stop| gateway::run(config, listener, stop)).await?;
        let channel = connect(&ClientConfig::to(other.uri()))?;
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push(other);
        Ok(channel)
    }

    /// Where the suite keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The first gateway's URI.
    pub fn uri(&self) -> String {
        self.gateway[0].uri()
    }

    /// A channel to the first gateway.
    pub fn gateway(&self) -> anyhow::Result<Channel> {
        Ok(connect(&ClientConfig::to(self.uri()))?)
    }

    /// A channel to each gateway.
    pub fn gateways(&self) -> anyhow::Result<Vec<Channel>> {
        self.gateway.iter().map(|gateway| Ok(connect(&ClientConfig::to(gateway.uri()))?)).collect()
    }

    /// Stops all replicas of a service; their ports refuse connections from then on.
    pub async fn stop(&mut self, service: Service) -> anyhow::Result<()> {
        stop(match service {
            Service::Recommender => &mut self.recommender,
            Service::Generator => &mut self.generator,
            Service::Evaluator => &mut self.evaluator,
        })
        .await
    }

    /// Stops everything and removes the databases.
    pub async fn close(mut self) -> anyhow::Result<()> {
        let databases = self.databases.clone();
        let mut others = std::mem::take(&mut *self.others.lock().unwrap_or_else(PoisonError::into_inner));
        for running in
            [&mut others, &mut self.gateway, &mut self.recommender, &mut self.generator, &mut self.evaluator]
        {
            // A service that failed on the way down must not keep the databases.
            if let Err(error) = stop(running).await {
                tracing::warn!(%error, "a service did not stop in order");
            }
        }
        databases.remove().await
    }
}

async fn stop(replicas: &mut Vec<Running>) -> anyhow::Result<()> {
    for running in &*replicas {
        running.stop.cancel();
    }
    for running in replicas.drain(..) {
        running.task.await.context("the service's task failed")??;
    }
    Ok(())
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for other in self.others.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            other.stop.cancel();
        }
        for running in
            [&self.gateway, &self.recommender, &self.generator, &self.evaluator].into_iter().flatten()
        {
            running.stop.cancel();
        }
    }
}

fn gateway_config(url: Secret, services: [&Vec<Running>; 3]) -> gateway::Config {
    let [recommender, generator, evaluator] = services.map(|service| ClientConfig::to(addresses(service)));
    let mut config = gateway::Config { recommender, generator, evaluator, ..gateway::Config::default() };
    config.store.url = url;
    config
}

impl Running {
    fn uri(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Addresses of all replicas, as a client's configuration lists them.
fn addresses(replicas: &[Running]) -> String {
    replicas.iter().map(Running::uri).collect::<Vec<_>>().join(",")
}

/// Starts the replicas one after the other: the first one makes the tables.
async fn replicas<C: Clone>(
    options: &Options,
    config: C,
    run: fn(C, TcpListener, CancellationToken) -> chassis::launch::Running,
) -> anyhow::Result<Vec<Running>> {
    let mut started = Vec::new();
    for _ in 0..options.replicas.max(1) {
        let config = config.clone();
        let running = start(move |listener, stop| run(config, listener, stop)).await?;
        started.push(if options.replicas > 1 { serving(running).await? } else { running });
    }
    Ok(started)
}

/// Waits until the service says SERVING.
async fn serving(running: Running) -> anyhow::Result<Running> {
    let mut health = HealthClient::new(connect(&ClientConfig::to(running.uri()))?);
    for _ in 0..3_000 {
        if running.task.is_finished() {
            running.task.await.context("the service's task failed")??;
            anyhow::bail!("a service ended while it started");
        }
        let answer = health.check(HealthCheckRequest::default()).await;
        if answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving) {
            return Ok(running);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("a service did not serve within a minute")
}

async fn start<F>(run: F) -> anyhow::Result<Running>
where
    F: FnOnce(TcpListener, CancellationToken) -> chassis::launch::Running,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(listener, stop.clone()));
    Ok(Running { address, stop, task })
}

/// Where `make model` puts the weights.
pub fn models() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/models");
    std::env::var_os("BESPOKE_MODELS").map_or(here, PathBuf::from)
}
