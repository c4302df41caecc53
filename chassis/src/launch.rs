//! From settings to a listening process, and back down again when the platform asks.

use anyhow::Context as _;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::server::ServerConfig;
use crate::telemetry::{self, TelemetryConfig};

/// A service that serves until it is told to stop.
pub type Running = BoxFuture<'static, anyhow::Result<()>>;

/// Runs one service as this process: telemetry, a bound listener, and `run` until SIGTERM or SIGINT.
pub async fn serve<F>(
    service: &'static str,
    server: &ServerConfig,
    telemetry: &TelemetryConfig,
    run: F,
) -> anyhow::Result<()>
where
    F: FnOnce(TcpListener, CancellationToken) -> Running,
{
    let guard = telemetry::init(service, telemetry)?;
    let listener = TcpListener::bind(&server.listen)
        .await
        .with_context(|| format!("server.listen {} cannot be bound", server.listen))?;
    let address = listener.local_addr().context("the listener has no address")?;
    tracing::info!(service, %address, "listening");
    let outcome = run(listener, stop_signal()?).await;
    tracing::info!(service, "stopped");
    guard.flush().await;
    outcome
}

/// A token that is cancelled by the first SIGTERM or SIGINT.
pub fn stop_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(token)
}
