//! Goods for one person.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::Utc;
use proto::common::v1::{Event, EventKind};
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
use crate::stand_in::StandIns;
use crate::store::{Deed, Identity};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

impl Recommender {
    /// Items to leave out of an answer: those the person dislikes, and where the rules say so, those bought. Events of
    /// the request count like stored ones.
    async fn left_out(
        &self,
        person: Option<&Identity>,
        recent: &[Event],
        purchased: bool,
    ) -> Result<Vec<String>, Status> {
        let disliked_after = Utc::now().timestamp() - (self.signals.dislike_days * DAY) as i64;
        let mut left_out = match person {
            Some(person) => self.store.left_out(person, disliked_after, purchased).await.map_err(failed)?,
            None => Vec::new(),
        };
        let is_left_out = |event: &&Event| match event.kind() {
            EventKind::Dislike => event.occurred_at.as_ref().is_some_and(|at| at.seconds > disliked_after),
            EventKind::Purchase | EventKind::Return => purchased,
            _ => false,
        };
        left_out.extend(recent.iter().filter(is_left_out).map(|event| event.item_id.clone()));
        Ok(left_out)
    }

    /// The person who asks: its user, or its visitor. Links among the request's events count like stored ones.
    fn identity(&self, request: &RecommendRequest) -> Option<Identity> {
        let RecommendRequest { user_id, visitor_id, recent_events, .. } = request;
        let id = self.names.pseudonym(if user_id.is_empty() { visitor_id } else { user_id });
        if id.is_empty() {
            return None;
        }
        let links = recent_events.iter().filter(|event| event.kind() == EventKind::Link);
        let mine = links.filter(|link| self.names.pseudonym(&link.user_id) == id);
        let visitors = mine.map(|link| self.names.pseudonym(&link.visitor_id)).collect();
        Some(Identity { id, visitors })
    }

    pub(super) async fn pick(&self, request: RecommendRequest) -> Result<RecommendResponse, Status> {
        check::recommend(&request, &self.signals)?;
        self.ready().await?;
        let rules = request.rules.clone().unwrap_or_default();
        let person = self.identity(&request);
        let (person, recent) = (person.as_ref(), &request.recent_events);
        let history = async { self.store.history(person, recent, FOLDED).await.map_err(failed) };
        let left_out = self.left_out(person, recent, rules.exclude_purchased);
        let (deeds, left_out, segment_name) = tokio::try_join!(history, left_out, self.segment_name(person))?;
        let shelf = self.live.shelf();
        let segment = self.segment(&shelf, person, &deeds).await?;
        let signals = self.signals.clone();
        let rank = move || {
            let now = Utc::now().timestamp();
            let filter = Filter::new(&rules, &left_out, now);
            let serving = shelf.serving.as_deref();
            let fold_in = serving.and_then(|serving| serving.fold_in(&deeds, &signals, now));
            let stand_ins = match (&fold_in, serving) {
                (None, Some(serving)) => StandIns::of(&shelf, serving, &deeds, &signals),
                _ => None,
            };
            let fold_in = fold_in.or_else(|| serving?.fold_in(&stand_ins.as_ref()?.deeds, &signals, now));
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
                Some((serving, fold_in)) => {
                    let stand_ins = stand_ins.as_ref();
                    Teller::Model {
                        serving,
                        fold_in,
                        shelf: &shelf,
                        deeds: &deeds,
                        stand_ins,
                        signals: &signals,
                    }
                }
                None if segment.is_some() => Teller::Popularity(Fallback::Segment),
                None => Teller::Popularity(Fallback::Everyone),
            };
            RecommendResponse {
                recommendations: teller.tell(&places, request.explain),
                model_version: serving.map(|serving| serving.model_id.clone()).unwrap_or_default(),
                filtered_out: candidates.filtered_out,
                degradations: teller.degradation().into_iter().collect(),
                seed: request.seed,
                segment: segment_name,
            }
        };
        self.on_a_core(rank).await
    }

    /// What the people of the person's segment take, where the model knows nothing the person ever took.
    async fn segment(
        &self,
        shelf: &Shelf,
        person: Option<&Identity>,
        deeds: &[Deed],
    ) -> Result<Option<Taken>, Status> {
        let known = |deed: &Deed| {
            shelf.serving.as_ref().is_some_and(|serving| serving.columns.contains_key(&deed.item_id))
        };
        let people = self.live.people().filter(|_| !deeds.is_empty());
        let (Some(person), Some(people)) = (person, people) else { return Ok(None) };
        if deeds.iter().any(|deed| self.signals.weight_of(deed) > 0.0 && known(deed)) {
            return Ok(None);
        }
        let acts = self.store.acts_of(person).await.map_err(failed)?;
        let segment = people.segment_of(&acts, Utc::now().timestamp());
        Ok(segment.map(|segment| Taken { people, segment }))
    }

    /// Runs `work` where it holds no worker up, as many at a time as there are cores: more would only take turns.
    pub(super) async fn on_a_core<T: Send + 'static>(
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
        let column = serving.columns.get(&request.item_id).copied();
        let shelf = self.live.shelf();
        let Some(column) = column.filter(|_| shelf.catalogue.get(&request.item_id).is_some()) else {
            return Err(chassis::error::status(
                Code::NotFound,
                "UNKNOWN_ITEM",
                "the catalogue or the model that serves does not know this item_id",
            ));
        };
        let limit = request.limit as usize;
        let work = move || {
            let now = Utc::now().timestamp();
            let item = |column: u32| shelf.catalogue.get(serving.artefact.item_ids.get(column as usize)?);
            let listed = |column: u32| item(column).is_some_and(|item| item.may_be_listed(now, false));
            let sources = sources(&serving);
            let alike = serving.artefact.model.similar(column, limit, &listed);
            let pick = |(column, score): (u32, f32)| {
                let item = item(column)?;
                Some(Recommendation {
                    item_id: item.item_id.clone(),
                    item: Some(item.as_ref().clone()),
                    score: f64::from(score),
                    propensity: 1.0,
                    sources: sources.clone(),
                    reasons: Vec::new(),
                })
            };
            SimilarItemsResponse {
                recommendations: alike.into_iter().filter_map(pick).collect(),
                model_version: serving.model_id.clone(),
            }
        };
        self.on_a_core(work).await
    }

    pub(super) async fn preference(
        &self,
        request: PredictPreferenceRequest,
    ) -> Result<PredictPreferenceResponse, Status> {
        check::person(&request.user_id)?;
        self.ready().await?;
        let mut found = Violations::new();
        found.at_most("item_ids", request.item_ids.len(), check::MOST_ROWS);
        refuse(found)?;
        let (serving, shelf, now) = (self.trained()?, self.live.shelf(), Utc::now().timestamp());
        let mut found = Violations::new();
        for (index, id) in request.item_ids.iter().enumerate() {
            let (reason, fault) = match shelf.catalogue.get(id) {
                None => ("UNKNOWN_ITEM", "is not in the catalogue"),
                Some(item) if item.not_recommendable => ("NOT_RECOMMENDABLE", "is never recommended"),
                Some(item) if item.is_sold_out() => ("SOLD_OUT", "is sold out"),
                Some(item) if !item.is_on_sale(now) => {
                    ("NOT_ON_SALE", "is not on sale now: see its available_from and available_until")
                }
                Some(_) if !serving.columns.contains_key(id) => {
                    ("UNKNOWN_ITEM", "is not known to the model that serves: it was trained before")
                }
                Some(_) => continue,
            };
            found.add(format!("item_ids[{index}]"), reason, fault);
        }
        refuse(found)?;
        let person = Identity::new(self.names.pseudonym(&request.user_id));
        let deeds = self.store.history(Some(&person), &[], FOLDED).await.map_err(failed)?;
        let signals = self.signals.clone();
        let score = move || {
            let fold_in = serving.fold_in(&deeds, &signals, now);
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
