use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// Who can serve. A probe without a name is answered SERVING only while every service is.
///
/// tonic-health starts the empty name as SERVING, which would pass a probe before a model is loaded;
/// here it starts as NOT_SERVING.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
    // Services that said they cannot serve; they stay so when the server opens.
    held: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    open: bool,
    held: BTreeSet<String>,
}

impl Health {
    pub(super) fn new() -> Self {
        Self { reporter: HealthReporter::new(), held: Arc::default() }
    }

    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// Says that `S` can serve.
    pub async fn set_serving<S: NamedService>(&self) {
        let open = self.change(|state| {
            state.held.remove(S::NAME);
            state.open
        });
        if open {
            self.report(S::NAME, true).await;
        }
        self.report_overall().await;
    }

    /// Says that `S` cannot serve for now.
    pub async fn set_not_serving<S: NamedService>(&self) {
        self.set_part(S::NAME, false).await;
    }

    /// Says whether a part that is no service of its own, such as a model, serves under its name. While it does not,
    /// neither does the whole, though every service may.
    pub async fn set_part(&self, name: &str, serving: bool) {
        self.change(
            |state| {
                if serving { state.held.remove(name) } else { state.held.insert(name.to_owned()) }
            },
        );
        self.report(name, serving).await;
        self.report_overall().await;
    }

    pub(super) async fn open(&self, names: &[String]) {
        let held = self.change(|state| {
            state.open = true;
            state.held.clone()
        });
        for name in names {
            self.report(name, !held.contains(name)).await;
        }
        self.report_overall().await;
    }

    pub(super) async fn close(&self, names: &[String]) {
        self.change(|state| state.open = false);
        for name in names {
            self.report(name, false).await;
        }
        self.report_overall().await;
    }

    async fn report_overall(&self) {
        let serving = self.change(|state| state.open && state.held.is_empty());
        self.report("", serving).await;
    }

    async fn report(&self, name: &str, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(name, status).await;
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
