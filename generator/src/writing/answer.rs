use std::time::Duration;

use proto::common::v1::{Degradation, DegradationCause, DegradationStage, Substitute};
use proto::generator::v1::{Copy, CopySource, FinishReason, GenerateCopyResponse, Timing as ProtoTiming};

use super::{Order, Refusal, compose};
use crate::engine::Timing;
use crate::guard::Guard;
use crate::store::Written;
use crate::template;

/// Why something lesser serves.
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
    /// The check of the whole brief, the person's reasons included.
    guard: Guard,
    copies: Vec<Option<Signed>>,
    lesser: Vec<(Lesser, Substitute)>,
    timing: Timing,
    /// The model of words; empty where none predicts.
    words: &'a str,
}

/// A copy and the model that wrote it; no name where it is a template.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    pub(super) copy: Copy,
    pub(super) model_id: String,
}

impl<'a> Answer<'a> {
    pub(super) fn new(order: &'a Order, words: &'a str) -> Self {
        Self {
            order,
            guard: Guard::new(&order.brief),
            copies: vec![None; order.variants.max(1) as usize],
            lesser: Vec::new(),
            timing: Timing::default(),
            words,
        }
    }

    /// Fails where no template can serve the brief.
    pub(super) fn prepare(&self) -> Result<(), Refusal> {
        template::write(&self.order.brief, &self.guard, self.order.seed).map(drop).ok_or(Refusal::NoRoom)
    }

    /// Whether of these goods a model says nothing, however well it says it.
    pub(super) fn restricted(&self) -> bool {
        self.guard.restricted()
    }

    /// A text of the model, written for this call or kept from before. The rules, or the facts of one person's brief,
    /// may refuse it.
    pub(super) fn by_model(&mut self, variant: usize, written: &Written, source: CopySource) -> bool {
        let brief = &self.order.brief;
        let body = compose::with_reason(brief, &self.guard, &written.headline, written.body.clone());
        let (text, report) = compose::checked(brief, &self.guard, &written.headline, &body);
        if !report.violations.is_empty() {
            return false;
        }
        // What another model of words thought is not comparable with what this one thinks.
        let click = written.click.as_ref().filter(|click| click.version == self.words);
        let copy = Copy {
            copy_id: String::new(),
            headline: text.headline,
            body: text.body,
            call_to_action: text.call_to_action,
            claims: report.claims,
            violations: Vec::new(),
            source: source.into(),
            finish_reason: if written.cut { FinishReason::Length } else { FinishReason::Stop }.into(),
            seed: self.order.seed_of(variant),
            beats_average_probability: click.map(|click| click.probability),
        };
        self.copies[variant] = Some(Signed { copy, model_id: written.model_id.clone() });
        true
    }

    /// Names the copy of a variant, and hands it out to be kept.
    pub(super) fn name(&mut self, variant: usize, key: &str) -> Option<Copy> {
        let copy = &mut self.copies[variant].as_mut()?.copy;
        copy.copy_id = key.chars().take(32).collect();
        Some(copy.clone())
    }

    /// Whether a copy of these words is in the answer already.
    pub(super) fn has(&self, written: &Written) -> bool {
        self.copies.iter().flatten().any(|Signed { copy, .. }| {
            copy.headline == written.headline && copy.body.starts_with(&written.body)
        })
    }

    /// Variants without a copy.
    pub(super) fn missing(&self) -> Vec<usize> {
        (0..self.copies.len()).filter(|variant| self.copies[*variant].is_none()).collect()
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

    /// Records that `substitute` replaced the model that should have written, and why.
    pub(super) fn instead(&mut self, cause: Lesser, substitute: Substitute) {
        if !self.lesser.contains(&(cause, substitute)) {
            self.lesser.push((cause, substitute));
        }
    }

    /// A template in place of `variant`, and why.
    pub(super) fn lesser(&mut self, variant: usize, cause: Lesser) {
        let seed = self.order.seed_of(variant);
        self.instead(cause, Substitute::Template);
        let brief = &self.order.brief;
        let copy = template::write(brief, &self.guard, seed).map(|text| Copy {
            copy_id: format!("template-{}", &crate::brief::hash::whole(brief, "template", 0.0, seed)[..32]),
            claims: self.guard.check(&text).claims,
            headline: text.headline,
            body: text.body,
            call_to_action: text.call_to_action,
            violations: Vec::new(),
            source: CopySource::Template.into(),
            finish_reason: cause.finish_reason().into(),
            seed,
            beats_average_probability: None,
        });
        self.copies[variant] = copy.map(|copy| Signed { copy, model_id: String::new() });
    }

    /// Templates for all that is missing.
    pub(super) fn all_lesser(&mut self, cause: Lesser) {
        self.missing().into_iter().for_each(|variant| self.lesser(variant, cause));
    }

    /// The answer, what the model wrote first.
    pub(super) fn finish(self) -> Result<GenerateCopyResponse, Refusal> {
        let copies = self.copies.into_iter().collect::<Option<Vec<Signed>>>().ok_or(Refusal::NoRoom)?;
        Ok(response(copies, self.lesser, &self.timing, self.words))
    }
}

/// The answer that `copies` make.
pub(super) fn response(
    mut copies: Vec<Signed>,
    lesser: Vec<(Lesser, Substitute)>,
    timing: &Timing,
    words: &str,
) -> GenerateCopyResponse {
    copies.sort_by_key(|signed| signed.model_id.is_empty());
    let predicted = copies.iter().any(|signed| signed.copy.beats_average_probability.is_some());
    let degradations = lesser.into_iter().map(|(cause, substitute)| Degradation {
        stage: DegradationStage::Copy.into(),
        cause: cause.cause().into(),
        substitute: substitute.into(),
    });
    GenerateCopyResponse {
        model_version: copies.first().map(|signed| signed.model_id.clone()).unwrap_or_default(),
        click_model_version: if predicted { words.to_owned() } else { String::new() },
        copies: copies.into_iter().map(|signed| signed.copy).collect(),
        timing: Some(ProtoTiming {
            queue: Some(duration(timing.queue)),
            prefill: Some(duration(timing.prefill)),
            decode: Some(duration(timing.decode)),
            prompt_tokens: timing.prompt_tokens,
            cached_tokens: timing.cached_tokens,
            output_tokens: timing.output_tokens,
        }),
        degradations: degradations.collect(),
    }
}

fn duration(duration: Duration) -> pbjson_types::Duration {
    pbjson_types::Duration { seconds: duration.as_secs() as i64, nanos: duration.subsec_nanos() as i32 }
}
