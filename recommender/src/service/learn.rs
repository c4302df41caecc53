//! What is learnt of people, and what is told of it: segments and intent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::Utc;
use proto::recommender::v1::{
    Driver, IntentPrediction, ListSegmentsRequest, ListSegmentsResponse, PredictIntentRequest,
    PredictIntentResponse, Segment, TrainResponse,
};
use proto::validate::Violations;
use rayon::prelude::*;
use tonic::{Code, Status};

use super::models::Steps;
use super::{Recommender, check, failed, refuse};
use crate::intent::person::Act;
use crate::intent::{Compared, IntentError};
use crate::people::{Comparison, People};
use crate::segment::MEASURES;

/// Share of a training run that is done when people are begun with, and when they are learnt.
const FROM: f64 = 0.9;
const SHARE: f64 = 0.08;
/// Learners that are tried.
const LEARNERS: f64 = 5.0;
/// What page tokens of segments begin with.
const TOKEN: &str = "segments-after-";

impl Recommender {
    /// Learns of people from all that is stored, and compares it with what serves. Ends with the run whose `steps`
    /// nobody hears any more.
    pub(super) async fn learn_people(
        &self,
        model_id: &str,
        seed: u64,
        steps: &Steps,
    ) -> Result<(People, Comparison), Status> {
        let (mut past, items) = self.store.everyone().await.map_err(failed)?;
        let (version, serving) = (model_id.to_owned(), self.live.people());
        let (tell, done) = (steps.clone(), Arc::new(std::sync::atomic::AtomicU32::new(0)));
        let gone = Arc::new(AtomicBool::new(false));
        let told = move |one: &Compared| {
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            let message =
                format!("{}: log-loss {:.4}, AUC {:.3}", one.learner, one.quality.log_loss, one.quality.auc);
            let fraction = (FROM + SHARE * f64::from(done) / LEARNERS).min(FROM + SHARE);
            let step = TrainResponse { stage: "people".into(), fraction, message, model: None };
            if let Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) = tell.try_send(Ok(step)) {
                gone.store(true, Ordering::Relaxed);
            }
            !gone.load(Ordering::Relaxed)
        };
        let now = Utc::now().timestamp();
        let learn = move || {
            let people = People::learn(version, &mut past, &items, now, seed, &told)?;
            let compared = serving.map(|serving| people.compare(&serving, &past, now, seed));
            Ok::<_, IntentError>((people, compared.unwrap_or_default()))
        };
        let run = tokio::task::spawn_blocking(learn);
        let learnt = run.await.map_err(|cause| chassis::error::internal(&cause))?;
        let (people, compared) = learnt.map_err(|cause| {
            chassis::error::status(Code::Cancelled, "CANCELLED", format!("learning of people: {cause}"))
        })?;
        for missing in &people.missing {
            let step = TrainResponse {
                stage: "people".into(),
                fraction: FROM + SHARE,
                message: missing.clone(),
                model: None,
            };
            let _ = steps.try_send(Ok(step));
        }
        Ok((people, compared))
    }

    /// What was learnt of people.
    fn people(&self) -> Result<Arc<People>, Status> {
        self.live.people().ok_or_else(|| {
            chassis::error::status(
                Code::FailedPrecondition,
                "NOT_TRAINED",
                "nothing that serves was learnt of people yet: call Train with promote",
            )
        })
    }

    pub(super) async fn intents(
        &self,
        request: PredictIntentRequest,
    ) -> Result<PredictIntentResponse, Status> {
        check::intents(&request)?;
        self.ready().await?;
        let people = self.people()?;
        let Some(buying) = &people.buying else {
            let why = people.missing.iter().find(|why| why.starts_with("intent")).map_or("", String::as_str);
            return Err(chassis::error::status(Code::FailedPrecondition, "NO_INTENT_MODEL", why));
        };
        let (longest, days) = (buying.longest(), request.horizon_days);
        if days > longest {
            let described = format!("must be 1 to {longest}, as far as the stored events show; is {days}");
            return Err(chassis::error::invalid_field("horizon_days", "OUT_OF_RANGE", described));
        }
        let pseudonyms = request.user_ids.iter().map(|id| self.names.pseudonym(id)).collect::<Vec<_>>();
        let acts = self.store.acts(&pseudonyms).await.map_err(failed)?;
        let now = Utc::now().timestamp();
        let run = tokio::task::spawn_blocking(move || {
            let one = |(user_id, acts): (String, Vec<Act>)| {
                let told = people.predict(&acts, now, days)?;
                let drivers = told
                    .drivers
                    .into_iter()
                    .map(|(feature, contribution)| Driver { feature: feature.to_owned(), contribution });
                Some(IntentPrediction {
                    user_id,
                    probability: told.probability,
                    drivers: drivers.collect(),
                    cold: !told.is_known,
                })
            };
            let predictions = request.user_ids.into_par_iter().zip(acts).filter_map(one).collect();
            PredictIntentResponse { predictions, model_version: people.version.clone() }
        });
        run.await.map_err(|cause| chassis::error::internal(&cause))
    }

    pub(super) async fn segments(
        &self,
        request: &ListSegmentsRequest,
    ) -> Result<ListSegmentsResponse, Status> {
        let mut found = Violations::new();
        found.page_size(request.page_size);
        let offset = match request.page_token.as_str() {
            "" => Some(0),
            token => token.strip_prefix(TOKEN).and_then(|number| number.parse::<usize>().ok()),
        };
        if offset.is_none() {
            found.add("page_token", "FOREIGN_TOKEN", "must be the next_page_token of an answer to this call");
        }
        refuse(found)?;
        self.ready().await?;
        let people = self.people()?;
        let Some(segments) = &people.segments else {
            let why =
                people.missing.iter().find(|why| why.starts_with("segments")).map_or("", String::as_str);
            return Err(chassis::error::status(Code::FailedPrecondition, "NO_SEGMENTS", why));
        };
        let offset = offset.unwrap_or_default();
        let size = if request.page_size == 0 { 100 } else { request.page_size as usize };
        let all = segments.segments.iter().enumerate();
        let told = all.skip(offset).take(size).map(|(place, one)| Segment {
            segment_id: format!("{}/{place}", people.version),
            name: one.name.clone(),
            size: one.size,
            description: one.description.clone(),
            centroid: MEASURES
                .iter()
                .map(|name| (*name).to_owned())
                .zip(one.medians.iter().copied())
                .collect(),
        });
        let more = segments.segments.len() > offset.saturating_add(size);
        Ok(ListSegmentsResponse {
            segments: told.collect(),
            next_page_token: if more { format!("{TOKEN}{}", offset + size) } else { String::new() },
            version: people.version.clone(),
        })
    }
}
