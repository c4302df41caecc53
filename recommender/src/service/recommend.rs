//! Goods for one person.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::Utc;
use proto::recommender::v1::{
    PredictPreferenceRequest, PredictPreferenceResponse, RecommendRequest, RecommendResponse, Recommendation,
    SimilarItemsRequest, SimilarItemsResponse,
};
use proto::validate::Violations;
use tonic::{Code, Status};

use super::told::{Fallback, Teller, sources};
use super::{Recommender, check, failed, refuse};
use crate::history::FOLDED;
use crate::people::People;
use crate::rank::{Candidates, Choice, Filter, select};
use crate::shelf::{Serving, Shelf};
use crate::store::Deed;

impl Recommender {
    /// What the person did, with what the request adds, the oldest first.
    async fn deeds(
        &self,
        user: &str,
        visitor: &str,
        request: &RecommendRequest,
    ) -> Result<Vec<Deed>, Status> {
        let mut deeds = match self.person(user, visitor).await? {
            Some(person) => self.store.history(&[person], FOLDED).await.map_err(failed)?,
            None => Vec::new(),
        };
        deeds.extend(request.recent_events.iter().map(|event| Deed {
            person: String::new(),
            kind: event.kind(),
            item_id: event.item_id.clone(),
            at: event.occurred_at.as_ref().map_or(0, |at| at.seconds),
        }));
        deeds.sort_by_key(|deed| deed.at);
        Ok(deeds)
    }

    pub(super) async fn pick(&self, request: RecommendRequest) -> Result<RecommendResponse, Status> {
        check::recommend(&request)?;
        self.ready().await?;
        let deeds = self.deeds(&request.user_id, &request.visitor_id, &request).await?;
        let rules = request.rules.clone().unwrap_or_default();
        let mut purchased = Vec::new();
        if rules.exclude_purchased {
            let person = self.person(&request.user_id, &request.visitor_id).await?;
            let person = person.as_slice();
            purchased = self.store.purchased(person).await.map_err(failed)?;
        }
        let shelf = self.live.shelf();
        let segment = self.segment(&shelf, &request, &deeds).await?;
        let signals = self.signals.clone();
        let rank = move || {
            let now = Utc::now().timestamp();
            let filter = Filter::new(&rules, &purchased, now);
            let serving = shelf.serving.as_deref();
            let fold_in = serving.and_then(|serving| serving.fold_in(&deeds, &signals, now));
            let known = serving.zip(fold_in.as_ref());
            let mut candidates = match known {
                Some((serving, fold_in)) => {
                    let popularity = serving.artefact.model.popularity();
                    let inferred = shelf.inferred_scores(fold_in);
                    Candidates::scored(&shelf, (fold_in.scores(), &inferred), popularity, &filter)
                }
                None => Candidates::popular(&shelf, segment.as_ref().map(Taken::shares).as_ref(), &filter),
            };
            candidates.boost(&rules);
            let choice = Choice {
                limit: request.limit as usize,
                diversity: rules.diversity,
                explore: rules.exploration,
                max_per_category: rules.max_per_category as usize,
                seed: request.seed,
            };
            let factors = serving.and_then(|serving| serving.artefact.model.factors());
            let places = select(candidates.all, choice, factors);
            let teller = match known {
                Some((serving, fold_in)) => Teller::Model { serving, fold_in, shelf: &shelf, deeds: &deeds },
                None if segment.is_some() => Teller::Popularity(Fallback::Segment),
                None => Teller::Popularity(Fallback::Everyone),
            };
            RecommendResponse {
                recommendations: teller.tell(&places, request.explain),
                model_version: serving.map(|serving| serving.model_id.clone()).unwrap_or_default(),
                filtered_out: candidates.filtered_out,
                degradations: teller.degradation().into_iter().collect(),
                seed: request.seed,
            }
        };
        self.on_a_core(rank).await
    }

    /// What the people of the person's segment take, where the model knows nothing the person ever took.
    async fn segment(
        &self,
        shelf: &Shelf,
        request: &RecommendRequest,
        deeds: &[Deed],
    ) -> Result<Option<Taken>, Status> {
        let known = |deed: &Deed| {
            shelf.serving.as_ref().is_some_and(|serving| serving.columns.contains_key(&deed.item_id))
        };
        let id = if request.user_id.is_empty() { &request.visitor_id } else { &request.user_id };
        let Some(people) = self.live.people().filter(|_| !id.is_empty() && !deeds.is_empty()) else {
            return Ok(None);
        };
        if deeds.iter().any(known) {
            return Ok(None);
        }
        let acts = self.store.acts(&[self.names.pseudonym(id)]).await.map_err(failed)?;
        let segment = people.segment_of(acts.first().map_or(&[], Vec::as_slice), Utc::now().timestamp());
        Ok(segment.map(|segment| Taken { people, segment }))
    }

    /// Runs `work` where it holds no worker up, as many at a time as there are cores: more would only take turns.
    async fn on_a_core<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Status> {
        let turn = self.cores.clone().acquire_owned().await;
        let turn = turn.map_err(|cause| chassis::error::internal(&cause))?;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|cause| chassis::error::internal(&cause))
    }

    pub(super) async fn alike(&self, request: &SimilarItemsRequest) -> Result<SimilarItemsResponse, Status> {
        check::item(&request.item_id, request.limit)?;
        self.ready().await?;
        let serving = self.trained()?;
        let Some(column) = serving.columns.get(&request.item_id) else {
            return Err(chassis::error::status(
                Code::NotFound,
                "UNKNOWN_ITEM",
                "the model that serves does not know this item_id",
            ));
        };
        let catalogue = &self.live.shelf().catalogue;
        let sources = sources(&serving);
        let alike = serving.artefact.model.similar(*column, request.limit as usize);
        let picks = alike.into_iter().map(|(item, score)| {
            let item_id = serving.artefact.item_ids[item as usize].clone();
            Recommendation {
                item: catalogue.get(&item_id).map(|item| item.as_ref().clone()),
                item_id,
                score: f64::from(score),
                propensity: 1.0,
                sources: sources.clone(),
                reasons: Vec::new(),
            }
        });
        Ok(SimilarItemsResponse { recommendations: picks.collect(), model_version: serving.model_id.clone() })
    }

    pub(super) async fn preference(
        &self,
        request: PredictPreferenceRequest,
    ) -> Result<PredictPreferenceResponse, Status> {
        check::person(&request.user_id)?;
        self.ready().await?;
        let mut found = Violations::new();
        found.at_most("item_ids", request.item_ids.len(), check::MOST_ROWS);
        let serving = self.trained()?;
        for (index, id) in request.item_ids.iter().enumerate() {
            if !serving.columns.contains_key(id) {
                found.add(
                    format!("item_ids[{index}]"),
                    "UNKNOWN_ITEM",
                    "the model that serves does not know this item",
                );
            }
        }
        refuse(found)?;
        let deeds = self.deeds(&request.user_id, "", &RecommendRequest::default()).await?;
        let signals = self.signals.clone();
        let score = move || {
            let fold_in = serving.fold_in(&deeds, &signals, Utc::now().timestamp());
            let score = |column: u32| fold_in.as_ref().map_or(0.0, |known| known.scores()[column as usize]);
            let wanted = request.item_ids.iter().filter_map(|id| serving.columns.get(id));
            PredictPreferenceResponse {
                scores: wanted.map(|column| f64::from(score(*column))).collect(),
                model_version: serving.model_id.clone(),
            }
        };
        self.on_a_core(score).await
    }

    fn trained(&self) -> Result<Arc<Serving>, Status> {
        self.live.shelf().serving.clone().ok_or_else(|| {
            chassis::error::status(
                Code::FailedPrecondition,
                "NO_MODEL",
                "no model serves yet: call Train with promote",
            )
        })
    }
}

/// What the people of one segment take.
struct Taken {
    people: Arc<People>,
    segment: usize,
}

impl Taken {
    /// The share of them who took each item.
    fn shares(&self) -> HashMap<&str, f64> {
        let taken = self.people.taken.get(self.segment).into_iter().flatten();
        taken.map(|(id, share)| (id.as_str(), *share)).collect()
    }
}
