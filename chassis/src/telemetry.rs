//! Logs to standard error, and OTLP traces and metrics where an endpoint is set.

pub mod context;
pub mod names;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::{Deserialize, Serialize};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::Problems;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is told about the service's work, and to whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// A `tracing` filter, such as `info,recommender=debug`.
    pub filter: String,
    /// Text or JSON lines.
    pub format: LogFormat,
    /// An OTLP/gRPC endpoint, such as `http://127.0.0.1:4317`; empty exports nothing.
    pub otlp_endpoint: String,
    /// Share of new traces that are sampled, 0 to 1; a caller's own decision is kept.
    pub trace_ratio: f64,
    /// How often metrics are exported, in milliseconds.
    pub metric_interval_ms: u64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            filter: "info".into(),
            format: LogFormat::Text,
            otlp_endpoint: String::new(),
            trace_ratio: 1.0,
            metric_interval_ms: 10_000,
        }
    }
}

impl TelemetryConfig {
    /// Reports a filter that does not parse, an endpoint that is no URI, a ratio outside 0 to 1.
    pub fn validate(&self, problems: &mut Problems) {
        if let Err(error) = EnvFilter::try_new(&self.filter) {
            problems.add("telemetry.filter", error);
        }
        let endpoint_is_fine = self.otlp_endpoint.is_empty()
            || self.otlp_endpoint.parse::<http::Uri>().is_ok_and(|uri| uri.scheme().is_some());
        problems.require(
            endpoint_is_fine,
            "telemetry.otlp_endpoint",
            "must be a URI such as http://127.0.0.1:4317",
        );
        let ratio_is_fine = (0.0..=1.0).contains(&self.trace_ratio);
        problems.require(ratio_is_fine, "telemetry.trace_ratio", "must be 0 to 1");
        problems.require(
            self.metric_interval_ms >= 100,
            "telemetry.metric_interval_ms",
            "must be at least 100",
        );
    }
}

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The exporter cannot be built from the endpoint.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The log filter does not parse.
    #[error("telemetry.filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
}

/// Keeps exporters alive; [`Guard::flush`] sends what is still buffered.
#[derive(Debug, Default)]
#[must_use = "dropping the guard loses buffered spans"]
pub struct Guard {
    tracer: Option<SdkTracerProvider>,
    meter: Option<SdkMeterProvider>,
}

impl Guard {
    /// Sends what is buffered and stops exporting, off the async workers.
    pub async fn flush(self) {
        let flushed = tokio::task::spawn_blocking(move || {
            let tracer = self.tracer.map_or(Ok(()), |provider| provider.shutdown());
            let meter = self.meter.map_or(Ok(()), |provider| provider.shutdown());
            tracer.and(meter)
        });
        if let Ok(Err(error)) = flushed.await {
            tracing::warn!(%error, "last telemetry was not delivered");
        }
    }
}

/// Starts logging, and exporting where an endpoint is set. A process has one; a second call changes nothing.
pub fn init(service: &'static str, config: &TelemetryConfig) -> Result<Guard, Error> {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let filter = EnvFilter::try_new(&config.filter)?;
    let text = (config.format == LogFormat::Text)
        .then(|| fmt::layer().with_writer(std::io::stderr).with_target(false).compact());
    let json = (config.format == LogFormat::Json)
        .then(|| fmt::layer().with_writer(std::io::stderr).json().flatten_event(true));

    let guard = if config.otlp_endpoint.is_empty() { Guard::default() } else { exporters(service, config)? };
    let spans = guard.tracer.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer(service)).with_location(false)
    });
    let installed = tracing_subscriber::registry().with(filter).with(spans).with(text).with(json).try_init();
    if installed.is_err() {
        tracing::debug!("a subscriber is installed already and is kept");
    }
    Ok(guard)
}

fn exporters(service: &'static str, config: &TelemetryConfig) -> Result<Guard, Error> {
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.namespace", "bespoke"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let spans = SpanExporter::builder().with_tonic().with_endpoint(&config.otlp_endpoint).build()?;
    let tracer = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.trace_ratio))))
        .with_batch_exporter(spans)
        .build();
    let metrics = MetricExporter::builder().with_tonic().with_endpoint(&config.otlp_endpoint).build()?;
    let reader = opentelemetry_sdk::metrics::PeriodicReader::builder(metrics)
        .with_interval(Duration::from_millis(config.metric_interval_ms))
        .build();
    let meter = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
    global::set_tracer_provider(tracer.clone());
    global::set_meter_provider(meter.clone());
    Ok(Guard { tracer: Some(tracer), meter: Some(meter) })
}
