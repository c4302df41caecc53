//! The four services as processes of their own, on one folder.

use std::path::Path;

use crate::processes::Process;
use crate::sandbox::models;

/// The running services; ended when dropped.
pub(super) struct Services {
    recommender: Process,
    generator: Process,
    evaluator: Process,
    gateway: Process,
}

impl Services {
    /// Starts them on 127.0.0.1 at `ports` (gateway, recommender, generator, evaluator; 0 takes a free one).
    pub(super) async fn start(folder: &Path, ports: [u16; 4], simulated: bool) -> anyhow::Result<Self> {
        let settings = |name: &str, port: u16| {
            vec![
                format!("server.listen=127.0.0.1:{port}"),
                format!("store.url=sqlite://{}?mode=rwc", folder.join(format!("{name}.db")).display()),
            ]
        };
        let log = |name: &str| folder.join(format!("{name}.log"));
        let [at, recommender, generator, evaluator] = ports;
        let mut goods = settings("recommender", recommender);
        goods.push(format!("models.folder={}", folder.join("models").display()));
        let mut words = settings("generator", generator);
        words.push(format!("model.folder={}", models().display()));
        let recommender = Process::start("recommender", &goods, &log("recommender")).await?;
        let generator = Process::start("generator", &words, &log("generator")).await?;
        let mut effects = settings("evaluator", evaluator);
        if simulated {
            // Simulated shoppers come in the past, and buy at once or not at all.
            effects.push("strategy.simulated_clock=true".into());
            effects.push("strategy.outcome_windows.purchase_hours=1".into());
            effects.push("strategy.outcome_windows.profit_hours=1".into());
            effects.push("strategy.offer_valid_days=1".into());
        }
        let evaluator = Process::start("evaluator", &effects, &log("evaluator")).await?;
        let mut front = settings("gateway", at);
        front.extend([
            format!("recommender.address={}", recommender.uri()),
            format!("generator.address={}", generator.uri()),
            format!("evaluator.address={}", evaluator.uri()),
        ]);
        let gateway = Process::start("gateway", &front, &log("gateway")).await?;
        Ok(Self { recommender, generator, evaluator, gateway })
    }

    /// The gateway's URI.
    pub(super) fn gateway(&self) -> String {
        self.gateway.uri()
    }

    /// The gateway's host and port.
    pub(super) fn address(&self) -> &str {
        self.gateway.address()
    }

    /// Asks them to stop, the gateway first, and waits.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        for process in [self.gateway, self.generator, self.evaluator, self.recommender] {
            process.stop().await?;
        }
        Ok(())
    }
}
