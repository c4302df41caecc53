//! The four services in this process, each on a free port of 127.0.0.1 with a database of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use chassis::client::{Channel, ClientConfig, connect};
use chassis::config::Secret;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

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

/// The running suite; all ends with it.
pub struct Sandbox {
    folder: TempDir,
    recommender: Running,
    generator: Running,
    evaluator: Running,
    gateway: Running,
    /// Further gateways, which end with the suite.
    others: Mutex<Vec<Running>>,
}

impl Sandbox {
    /// Starts everything on fresh databases.
    pub async fn start(words: Words) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let generator = {
            let mut config = generator::Config::default();
            config.store.url = database(folder.path(), "generator");
            config.model.folder = models();
            if words != Words::Model {
                config.model.file.clear();
            }
            start(move |listener, stop| generator::run(config, listener, stop)).await?
        };
        let recommender = {
            let mut config = recommender::Config::default();
            config.store.url = database(folder.path(), "recommender");
            config.models.folder = folder.path().join("models");
            config.models.watch_ms = 50;
            if words == Words::Embedded {
                config.generator = ClientConfig::to(uri(&generator));
            }
            start(move |listener, stop| recommender::run(config, listener, stop)).await?
        };
        let evaluator = {
            let mut config = evaluator::Config::default();
            config.store.url = database(folder.path(), "evaluator");
            start(move |listener, stop| evaluator::run(config, listener, stop)).await?
        };
        let services = [&recommender, &generator, &evaluator];
        let gateway = start_gateway(database(folder.path(), "gateway"), services).await?;
        let others = Mutex::default();
        Ok(Self { folder, recommender, generator, evaluator, gateway, others })
    }

    /// Starts a further gateway over the same services, with the database at `url`; returns a channel to it.
    pub async fn another_gateway(&self, url: Secret) -> anyhow::Result<Channel> {
        let services = [&self.recommender, &self.generator, &self.evaluator];
        let other = start_gateway(url, services).await?;
        let channel = connect(&ClientConfig::to(uri(&other)))?;
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push(other);
        Ok(channel)
    }

    /// Where the suite keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The gateway's URI.
    pub fn uri(&self) -> String {
        uri(&self.gateway)
    }

    /// A channel to the gateway.
    pub fn gateway(&self) -> anyhow::Result<Channel> {
        Ok(connect(&ClientConfig::to(self.uri()))?)
    }

    /// Stops a service; its port refuses connections from then on.
    pub async fn stop(&mut self, service: Service) -> anyhow::Result<()> {
        let running = match service {
            Service::Recommender => &mut self.recommender,
            Service::Generator => &mut self.generator,
            Service::Evaluator => &mut self.evaluator,
        };
        running.stop.cancel();
        (&mut running.task).await.context("the service's task failed")?
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for other in self.others.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            other.stop.cancel();
        }
        for running in [&self.gateway, &self.recommender, &self.generator, &self.evaluator] {
            running.stop.cancel();
        }
    }
}

async fn start_gateway(url: Secret, services: [&Running; 3]) -> anyhow::Result<Running> {
    let [recommender, generator, evaluator] = services.map(|service| ClientConfig::to(uri(service)));
    let mut config = gateway::Config { recommender, generator, evaluator, ..gateway::Config::default() };
    config.store.url = url;
    start(move |listener, stop| gateway::run(config, listener, stop)).await
}

fn uri(running: &Running) -> String {
    format!("http://{}", running.address)
}

fn database(folder: &Path, name: &str) -> Secret {
    Secret::new(format!("sqlite://{}?mode=rwc", folder.join(format!("{name}.db")).display()))
}

async fn start<F, Fut>(run: F) -> anyhow::Result<Running>
where
    F: FnOnce(TcpListener, CancellationToken) -> Fut,
    Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
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
