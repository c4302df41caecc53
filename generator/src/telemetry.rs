//! What models did, as metrics under OpenTelemetry's names for generative AI; never what was written.

use std::sync::LazyLock;
use std::time::Duration;

use chassis::telemetry::names;
use opentelemetry::metrics::Histogram;
use opentelemetry::{KeyValue, global};

use crate::engine::Timing;

/// Bucket bounds for durations of models, seconds: the semantic conventions' advice.
const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Bucket bounds for tokens: the semantic conventions' advice, as far as a context here reaches.
const TOKENS: [f64; 9] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0];

struct Meters {
    duration: Histogram<f64>,
    queue: Histogram<f64>,
    first_token: Histogram<f64>,
    per_token: Histogram<f64>,
    tokens: Histogram<u64>,
}

// Made at the first use, when the exporter is set up.
static METERS: LazyLock<Meters> = LazyLock::new(|| {
    let meter = global::meter("bespoke");
    let seconds = |name| meter.f64_histogram(name).with_unit("s").with_boundaries(SECONDS.to_vec()).build();
    Meters {
        duration: seconds(names::GEN_AI_DURATION),
        queue: seconds(names::GEN_AI_QUEUE),
        first_token: seconds(names::GEN_AI_FIRST_TOKEN),
        per_token: seconds(names::GEN_AI_PER_TOKEN),
        tokens: meter
            .u64_histogram(names::GEN_AI_TOKENS)
            .with_unit("{token}")
            .with_boundaries(TOKENS.to_vec())
            .build(),
    }
});

/// The attributes of one request of `operation` to `model`, which runs in this process.
fn attributes(operation: &'static str, model: &str) -> [KeyValue; 3] {
    [
        KeyValue::new(names::GEN_AI_PROVIDER, "bespoke"),
        KeyValue::new(names::GEN_AI_OPERATION, operation),
        KeyValue::new(names::GEN_AI_MODEL, model.to_owned()),
    ]
}

fn tokens(attributes: &[KeyValue; 3], kind: &'static str, count: u32) {
    let [provider, operation, model] = attributes.clone();
    let kind = KeyValue::new(names::GEN_AI_TOKEN_TYPE, kind);
    METERS.tokens.record(u64::from(count), &[provider, operation, model, kind]);
}

/// A text that `model` finished.
pub fn written(model: &str, timing: &Timing) {
    let attributes = attributes("chat", model);
    let (queue, first) = (timing.queue, timing.queue + timing.prefill);
    METERS.duration.record((first + timing.decode).as_secs_f64(), &attributes);
    METERS.queue.record(queue.as_secs_f64(), &attributes);
    METERS.first_token.record(first.as_secs_f64(), &attributes);
    // The first token comes with the end of the prompt.
    if timing.output_tokens > 1 {
        let each = timing.decode.as_secs_f64() / f64::from(timing.output_tokens - 1);
        METERS.per_token.record(each, &attributes);
    }
    tokens(&attributes, "input", timing.prompt_tokens);
    tokens(&attributes, "output", timing.output_tokens);
    tokens(&attributes, "cached_input", timing.cached_tokens);
}

/// Texts that `model` embedded in `took`, the queue among it.
pub fn embedded(model: &str, took: Duration, read: u32) {
    let attributes = attributes("embeddings", model);
    METERS.duration.record(took.as_secs_f64(), &attributes);
    tokens(&attributes, "input", read);
}
