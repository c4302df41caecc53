use chassis::telemetry::names;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use proto::generator::v1::{CopySource, GenerateCopyResponse};

/// Counts the copies that leave, by where they came from and why it was something lesser.
pub(super) struct Tally {
    copies: Counter<u64>,
}

impl Tally {
    pub(super) fn new() -> Self {
        let meter = opentelemetry::global::meter("generator");
        let copies = meter.u64_counter(names::COPIES).with_description("Copies answered.").build();
        Self { copies }
    }

    pub(super) fn count(&self, answer: &GenerateCopyResponse) {
        for copy in &answer.copies {
            let source = match copy.source() {
                CopySource::Model => "model",
                CopySource::Cache => "cache",
                CopySource::Template | CopySource::Unspecified => "template",
            };
            let mut attributes = vec![KeyValue::new(names::COPY_SOURCE, source)];
            if source == "template" {
                let cause = answer.degradations.first().map_or("", |cause| cause.cause().as_str_name());
                attributes.push(KeyValue::new(names::COPY_CAUSE, cause));
            } else {
                attributes.push(KeyValue::new(names::GEN_AI_MODEL, answer.model_version.clone()));
            }
            self.copies.add(1, &attributes);
        }
    }
}
