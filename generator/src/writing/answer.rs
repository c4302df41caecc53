use std::sync::Arc;
use std::time::Duration;

use proto::common::v1::{Degradation, DegradationCause};
use proto::generator::v1::{
    Brief, Copy, CopySource, FinishReason, GenerateCopyResponse, Timing as ProtoTiming,
};

use super::{Order, Refusal, compose};
use crate::engine::Timing;
use crate::guard::Guard;
use crate::store::Written;
use crate::template;

/// Why a template serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lesser {
    /// The model would take, or took, too long.
    Deadline,
    /// There is no model, or it failed.
    Unavailable,
    /// The model is being loaded.
    Cold,
    /// The model's queue is full.
    Overload,
    /// What the model wrote did not pass.
    CheckFailed,
}

impl Lesser {
    fn cause(self) -> DegradationCause {
        match self {
            Self::Deadline => DegradationCause::Deadline,
            Self::Unavailable => DegradationCause::Unavailable,
            Self::Cold => DegradationCause::Cold,
            Self::Overload => DegradationCause::Overload,
            Self::CheckFailed => DegradationCause::CheckFailed,
        }
    }

    fn finish_reason(self) -> FinishReason {
        match self {
            Self::Deadline => FinishReason::Deadline,
            Self::CheckFailed => FinishReason::CheckFailed,
            Self::Unavailable | Self::Cold | Self::Overload => FinishReason::Stop,
        }
    }
}

/// An answer being put together, a copy a variant.
pub(super) struct Answer<'a> {
    order: &'a Order,
    brief: Arc<Brief>,
    copies: Vec<Option<Copy>>,
    lesser: Vec<Lesser>,
    timing: Timing,
    pub(super) model_id: String,
}

impl<'a> Answer<'a> {
    pub(super) fn new(order: &'a Order) -> Self {
        Self {
            order,
            brief: order.brief.clone(),
            copies: vec![None; order.variants.max(1) as usize],
            lesser: Vec::new(),
            timing: Timing::default(),
            model_id: String::new(),
        }
    }

    /// Fails where no template can serve the brief.
    pub(super) fn prepare(&self) -> Result<(), Refusal> {
        template::write(&self.brief, self.order.seed).map(drop).ok_or(Refusal::NoRoom)
    }

    /// A text written for this call.
    pub(super) fn written(&mut self, variant: usize, written: &Written, timing: &Timing) {
        self.spent(timing);
        self.by_model(variant, written, CopySource::Model);
    }

    /// A text written before.
    pub(super) fn cached(&mut self, variant: usize, written: &Written) {
        self.by_model(variant, written, CopySource::Cache);
    }

    /// Time the engine spent on a variant; variants are written side by side.
    pub(super) fn spent(&mut self, timing: &Timing) {
        self.timing.queue = self.timing.queue.max(timing.queue);
        self.timing.prefill = self.timing.prefill.max(timing.prefill);
        self.timing.decode = self.timing.decode.max(timing.decode);
        self.timing.prompt_tokens += timing.prompt_tokens;
        self.timing.cached_tokens += timing.cached_tokens;
        self.timing.output_tokens += timing.output_tokens;
    }

    /// A template in place of `variant`, and why.
    pub(super) fn lesser(&mut self, variant: usize, cause: Lesser) {
        let seed = self.seed(variant);
        if !self.lesser.contains(&cause) {
            self.lesser.push(cause);
        }
        self.copies[variant] = template::write(&self.brief, seed).map(|text| Copy {
            copy_id: format!(
                "template-{}",
                &crate::brief::hash::of(&self.brief, "template", 0.0, seed)[..32]
            ),
            claims: Guard::new(&self.brief).check(&text).claims,
            headline: text.headline,
            body: text.body,
            call_to_action: text.call_to_action,
            violations: Vec::new(),
            source: CopySource::Template.into(),
            finish_reason: cause.finish_reason().into(),
            seed,
        });
    }

    /// Templates throughout.
    pub(super) fn all_lesser(&mut self, cause: Lesser) {
        (0..self.copies.len()).for_each(|variant| self.lesser(variant, cause));
    }

    /// The answer, what the model wrote first.
    pub(super) fn finish(self) -> Result<GenerateCopyResponse, Refusal> {
        let mut copies = self.copies.into_iter().collect::<Option<Vec<Copy>>>().ok_or(Refusal::NoRoom)?;
        copies.sort_by_key(|copy| copy.source() == CopySource::Template);
        let by_model = copies.iter().any(|copy| copy.source() != CopySource::Template);
        let degradations = self.lesser.into_iter().map(|cause| Degradation {
            stage: "generator".into(),
            cause: cause.cause().into(),
            served_by: "template".into(),
        });
        Ok(GenerateCopyResponse {
            copies,
            model_version: if by_model { self.model_id } else { String::new() },
            timing: Some(ProtoTiming {
                queue: Some(duration(self.timing.queue)),
                prefill: Some(duration(self.timing.prefill)),
                decode: Some(duration(self.timing.decode)),
                prompt_tokens: self.timing.prompt_tokens,
                cached_tokens: self.timing.cached_tokens,
                output_tokens: self.timing.output_tokens,
            }),
            degradations: degradations.collect(),
        })
    }

    fn by_model(&mut self, variant: usize, written: &Written, source: CopySource) {
        let (text, report) = compose::checked(&self.brief, &written.headline, &written.body);
        // The rules may have become stricter since the text was kept.
        if !report.violations.is_empty() {
            self.lesser(variant, Lesser::CheckFailed);
            return;
        }
        self.copies[variant] = Some(Copy {
            copy_id: written.key.chars().take(32).collect(),
            headline: text.headline,
            body: text.body,
            call_to_action: text.call_to_action,
            claims: report.claims,
            violations: Vec::new(),
            source: source.into(),
            finish_reason: if written.cut { FinishReason::Length } else { FinishReason::Stop }.into(),
            seed: self.seed(variant),
        });
    }

    fn seed(&self, variant: usize) -> u64 {
        self.order.seed.wrapping_add(variant as u64)
    }
}

fn duration(duration: Duration) -> pbjson_types::Duration {
    pbjson_types::Duration { seconds: duration.as_secs() as i64, nanos: duration.subsec_nanos() as i32 }
}
