//! How many messages a second `GenerateCopy` answers: cold, when each has to be written, and warm, when the texts of
//! every item are there and each shopper is told them with a reason of his own.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use proto::common::v1::Item;
use proto::generator::v1::generator_service_client::GeneratorServiceClient;
use proto::generator::v1::{Brief, CopySource, GenerateCopyRequest, ListModelsRequest};
use serde_json::json;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::processes::Process;

type Client = GeneratorServiceClient<Channel>;

/// Connections that share the calls.
const CONNECTIONS: usize = 4;

const QUALITIES: [&str; 5] = ["Blue", "Large", "Striped", "Folding", "Soft"];
const GOODS: [&str; 10] = [
    "ceramic mug",
    "cotton towel",
    "wool blanket",
    "canvas bag",
    "desk lamp",
    "garden chair",
    "rain jacket",
    "tea pot",
    "bread knife",
    "door mat",
];

/// How much of everything.
#[derive(Debug, Clone, clap::Parser)]
#[command(about = "Messages over GenerateCopy, on 127.0.0.1; prints one JSON object")]
pub struct Arguments {
    /// Shoppers, each of whom is told of each item.
    #[arg(long, default_value_t = 1000)]
    people: usize,
    /// Items, 50 at most.
    #[arg(long, default_value_t = 50)]
    items: usize,
    /// Calls under way at every moment.
    #[arg(long, default_value_t = 16)]
    parallel: usize,
    /// Threads of the model.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// The folder of the models.
    #[arg(long, default_value = ".cache/models", env = "BESPOKE_MODELS")]
    models: PathBuf,
    /// The model's file.
    #[arg(long, default_value = "qwen2.5-0.5b-instruct-q4_k_m.gguf")]
    file: String,
}

/// The messages of one pass.
#[derive(Debug, Default)]
struct Pass {
    messages: usize,
    by_model: usize,
    kept: usize,
    seconds: f64,
}

impl Pass {
    fn told(&self) -> serde_json::Value {
        json!({
            "messages": self.messages, "by_model": self.by_model, "kept": self.kept, "seconds": self.seconds,
            "per_second": self.messages as f64 / self.seconds,
        })
    }
}

impl Arguments {
    /// Starts a generator, measures, and ends it.
    ///
    /// # Errors
    /// It does not start, has no model, or refuses a call.
    pub async fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!((1..=50).contains(&self.items), "1 to 50 items");
        let folder = tempfile::tempdir()?;
        let settings = [
            "server.listen=127.0.0.1:0".to_owned(),
            format!("store.url=sqlite://{}/generator.db?mode=rwc", folder.path().display()),
            format!("model.folder={}", std::path::absolute(&self.models)?.display()),
            format!("model.file={}", self.file),
            format!("model.threads={}", self.threads),
            "embedding.file=".to_owned(),
            // One wording of each item: what is measured is how one text serves many.
            "writing.wordings=1".to_owned(),
        ];
        let service = Process::start("generator", &settings, &folder.path().join("log")).await?;
        let endpoint = Endpoint::from_shared(service.uri())?;
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Client::new(endpoint.connect().await?));
        }
        loaded(&mut clients[0]).await?;
        let cold = self.pass(&clients, 1).await?;
        let warm = self.pass(&clients, self.people).await?;
        let mut out = std::io::stdout().lock();
        let about = (self.items, self.people, self.threads);
        writeln!(
            out,
            "{}",
            json!({"items": about.0, "people": about.1, "threads": about.2, "cold": cold.told(), "warm": warm.told()})
        )?;
        drop(out);
        service.stop().await
    }

    /// Tells the first so many people of every item.
    async fn pass(&self, clients: &[Client], people: usize) -> anyhow::Result<Pass> {
        let (next, most) = (Arc::new(AtomicUsize::new(0)), people * self.items);
        let mut callers = JoinSet::new();
        let began = Instant::now();
        for caller in 0..self.parallel {
            let (mut client, next, items) = (clients[caller % CONNECTIONS].clone(), next.clone(), self.items);
            callers.spawn(async move {
                let mut own = Pass::default();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= most {
                        return anyhow::Ok(own);
                    }
                    let mut request = tonic::Request::new(message(n / items, n % items));
                    request.set_timeout(Duration::from_mins(2));
                    let answer = client.generate_copy(request).await?.into_inner();
                    let source = answer.copies.first().context("an answer without copy")?.source();
                    own.messages += 1;
                    own.by_model += usize::from(source == CopySource::Model);
                    own.kept += usize::from(source == CopySource::Cache);
                }
            });
        }
        let mut pass = Pass::default();
        while let Some(own) = callers.join_next().await {
            let own = own??;
            pass.messages += own.messages;
            pass.by_model += own.by_model;
            pass.kept += own.kept;
        }
        pass.seconds = began.elapsed().as_secs_f64();
        Ok(pass)
    }
}

/// Waits for the model.
async fn loaded(client: &mut Client) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let listed = client.list_models(ListModelsRequest::default()).await?.into_inner();
        let model = listed.models.first().context("no model")?;
        if model.ready {
            return Ok(());
        }
        let waited = began.elapsed();
        anyhow::ensure!(waited < Duration::from_mins(2), "no model after {waited:?}: {}", model.reason);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What person `person` is told of item `item`.
fn message(person: usize, item: usize) -> GenerateCopyRequest {
    let title = format!("{} {}", QUALITIES[item / GOODS.len()], GOODS[item % GOODS.len()]);
    let item = Item { item_id: format!("item-{item}"), title, ..Item::default() };
    let reasons = vec![format!("you bought from our shop {} times", person % 50 + 2)];
    let brief = Brief { item: Some(item), reasons, locale: "en".into(), ..Brief::default() };
    GenerateCopyRequest { brief: Some(brief), seed: person as u64, ..GenerateCopyRequest::default() }
}
