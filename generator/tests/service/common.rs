//! A generator on a free port, with the real model.

#![expect(clippy::unwrap_used, reason = "clippy knows this for no test")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chassis::config::Secret;
use generator::Config;
use proto::common::v1::{Item, Money, Offer, OfferKind};
use proto::generator::v1::generator_service_client::GeneratorServiceClient;
use proto::generator::v1::{Brief, GenerateCopyRequest, GenerateCopyResponse, ListModelsRequest, Model};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Channel;

/// Models that work side by side would take each other's cores, and deadlines would mean nothing.
static TURN: Mutex<()> = Mutex::const_new(());

pub(crate) struct Service {
    pub(crate) client: GeneratorServiceClient<Channel>,
    pub(crate) address: String,
    _folder: TempDir,
    _stop: DropGuard,
    _turn: MutexGuard<'static, ()>,
}

/// The settings of a test: a database of its own, and the model `make model` fetched.
pub(crate) fn settings() -> (Config, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.store.url =
        Secret::new(format!("sqlite://{}?mode=rwc", folder.path().join("copies.db").display()));
    config.model.folder = models();
    config.server.drain_ms = 100;
    (config, folder)
}

/// The folder of the models.
pub(crate) fn models() -> PathBuf {
    let folder = std::env::var_os("BESPOKE_MODELS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.cache/models")),
        PathBuf::from,
    );
    let folder = if folder.is_relative() {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder)
    } else {
        folder
    };
    let file = folder.join(Config::default().model.file);
    assert!(file.is_file(), "{} is not there: run `make model`", file.display());
    folder
}

/// Serves with `config`; returns as soon as it answers.
pub(crate) async fn serve(config: Config, folder: TempDir) -> Service {
    let turn = TURN.lock().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    tokio::spawn(generator::run(config, listener, stop.clone()));
    let client = GeneratorServiceClient::connect(address.clone()).await.unwrap();
    Service { client, address, _folder: folder, _stop: stop.drop_guard(), _turn: turn }
}

/// Serves with the real model; returns when it is loaded.
pub(crate) async fn serve_model(change: impl FnOnce(&mut Config)) -> Service {
    let (mut config, folder) = settings();
    change(&mut config);
    let mut service = serve(config, folder).await;
    let started = Instant::now();
    while !service.model().await.ready {
        assert!(started.elapsed() < Duration::from_mins(1), "the model is not loaded");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    service
}

impl Service {
    pub(crate) async fn model(&mut self) -> Model {
        let listed = self.client.list_models(ListModelsRequest::default()).await.unwrap();
        listed.into_inner().models.remove(0)
    }

    pub(crate) async fn generate(
        &mut self,
        request: GenerateCopyRequest,
        deadline: Duration,
    ) -> GenerateCopyResponse {
        let mut request = tonic::Request::new(request);
        request.set_timeout(deadline);
        self.client.generate_copy(request).await.unwrap().into_inner()
    }
}

pub(crate) fn tea(seed: u64) -> GenerateCopyRequest {
    let price = Money { currency_code: "USD".into(), minor_units: 499 };
    let item = Item {
        title: "Green tea, 20 bags".into(),
        categories: vec!["Grocery".into(), "Tea".into()],
        price: Some(price),
        ..Item::default()
    };
    let offer = Offer {
        offer_id: "o".into(),
        kind: OfferKind::Coupon.into(),
        percent_off: Some(20.0),
        ..Offer::default()
    };
    let brief = Brief { item: Some(item), offer: Some(offer), ..Brief::default() };
    GenerateCopyRequest { brief: Some(brief), seed, ..GenerateCopyRequest::default() }
}
