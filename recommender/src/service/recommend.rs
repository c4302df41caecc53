//! Goods for one person.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::Utc;
use proto::common::v1::{Degradation, DegradationCause};
use proto::recommender::v1::{
    PredictPreferenceRequest, PredictPreferenceResponse, Reason, RecommendRequest, RecommendResponse,
    Recommendation, Rules, SimilarItemsRequest, SimilarItemsResponse,
};
use proto::validate::Violations;
use tonic::{Code, Status};

use super::{Recommender, check, failed, refuse};
use crate::history::{FOLDED, with_session};
use crate::live::{Catalogue, Serving};
use crate::rank::{Candidate, Choice, Filter, Place, select};
use crate::store::Deed;

/// Reasons of a pick.
const REASONS: usize = 3;

impl Recommender {
    /// What the person did, with what the request adds, the oldest first.
    async fn deeds(
        &self,
        user: &str,
        visitor: &str,
        request: &RecommendRequest,
    ) -> Result<Vec<Deed>, Status> {
        let people: Vec<String> = [user, visitor]
            .into_iter()
            .filter(|id| !id.is_empty())
            .map(|id| self.names.pseudonym(id))
            .collect();
        let mut deeds = if people.is_empty() {
            Vec::new()
        } else {
            self.store.history(&people, FOLDED).await.map_err(failed)?
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
        let deeds = self.deeds(&request.user_id, &request.visitor_id, &request).await?;
        let rules = request.rules.clone().unwrap_or_default();
        let mut purchased = Vec::new();
        if rules.exclude_purchased {
            let people = [&request.user_id, &request.visitor_id].map(|id| self.names.pseudonym(id));
            let people: Vec<String> = people.into_iter().filter(|id| !id.is_empty()).collect();
            purchased = self.store.purchased(&people).await.map_err(failed)?;
        }
        let (catalogue, popular, serving) = (self.live.catalogue(), self.live.popular(), self.live.serving());
        let ranked = tokio::task::spawn_blocking(move || {
            let history = serving.as_ref().map(|serving| folded(&deeds, serving)).unwrap_or_default();
            let warm = serving.clone().filter(|_| !history.is_empty());
            let (candidates, filtered_out) = match &warm {
                Some(serving) => scored(serving, &history, &catalogue, &rules, &purchased),
                None => known(&popular, &catalogue, &rules, &purchased),
            };
            let choice = Choice {
                limit: request.limit as usize,
                diversity: rules.diversity,
                explore: rules.explore,
                max_per_category: rules.max_per_category as usize,
                seed: request.seed,
            };
            let factors = serving.as_ref().map(|serving| serving.artefact.taste.item_factors.view());
            let places = select(candidates, choice, factors);
            let tell = |place| told(place, warm.as_deref(), &history, &catalogue, request.explain);
            let mut answer = RecommendResponse {
                recommendations: places.into_iter().map(tell).collect(),
                model_version: serving.map(|serving| serving.model_id.clone()).unwrap_or_default(),
                filtered_out,
                seed: request.seed,
                ..RecommendResponse::default()
            };
            if warm.is_none() {
                answer.degradations.push(Degradation {
                    stage: "recommend".into(),
                    cause: DegradationCause::Cold.into(),
                    served_by: "popularity".into(),
                });
            }
            answer
        });
        ranked.await.map_err(|cause| chassis::error::internal(&cause))
    }

    pub(super) fn alike(&self, request: &SimilarItemsRequest) -> Result<SimilarItemsResponse, Status> {
        check::item(&request.item_id, request.limit)?;
        let serving = self.trained()?;
        let Some(column) = serving.columns.get(&request.item_id) else {
            return Err(chassis::error::status(
                Code::NotFound,
                "UNKNOWN_ITEM",
                "the model that serves does not know this item_id",
            ));
        };
        let catalogue = self.live.catalogue();
        let picks = serving.artefact.taste.similar(*column, request.limit as usize).into_iter().map(
            |(item, cosine)| {
                let item_id = serving.artefact.item_ids[item as usize].clone();
                Recommendation {
                    item: catalogue.get(&item_id).map(|item| item.as_ref().clone()),
                    item_id,
                    score: f64::from(cosine),
                    propensity: 1.0,
                    sources: vec!["svd".into()],
                    reasons: Vec::new(),
                }
            },
        );
        Ok(SimilarItemsResponse { recommendations: picks.collect(), model_version: serving.model_id.clone() })
    }

    pub(super) async fn preference(
        &self,
        request: PredictPreferenceRequest,
    ) -> Result<PredictPreferenceResponse, Status> {
        check::person(&request.user_id)?;
        let mut found = Violations::new();
        check::at_most(&mut found, "item_ids", request.item_ids.len());
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
        let scored = tokio::task::spawn_blocking(move || {
            let taste = &serving.artefact.taste;
            let mut scores = vec![0.0; taste.items()];
            taste.score_into(&taste.fold(&folded(&deeds, &serving)), &mut scores);
            let wanted = request.item_ids.iter().filter_map(|id| serving.columns.get(id));
            PredictPreferenceResponse {
                scores: wanted.map(|column| f64::from(scores[*column as usize])).collect(),
                model_version: serving.model_id.clone(),
            }
        });
        scored.await.map_err(|cause| chassis::error::internal(&cause))
    }

    fn trained(&self) -> Result<Arc<Serving>, Status> {
        self.live.serving().ok_or_else(|| {
            chassis::error::status(
                Code::FailedPrecondition,
                "NO_MODEL",
                "no model serves yet: call Train with promote",
            )
        })
    }
}

/// What the model makes of a person's deeds.
fn folded(deeds: &[Deed], serving: &Serving) -> Vec<(u32, f32)> {
    with_session(deeds, &serving.columns, &serving.artefact.taste, Utc::now().timestamp())
}

/// Every item the model knows and the rules let through, by the model's score.
fn scored(
    serving: &Serving,
    history: &[(u32, f32)],
    catalogue: &Catalogue,
    rules: &Rules,
    purchased: &[String],
) -> (Vec<Candidate>, u64) {
    let taste = &serving.artefact.taste;
    let mut scores = vec![0.0_f32; taste.items()];
    taste.score_into(&taste.fold(history), &mut scores);
    let filter = Filter::new(rules, purchased, Utc::now().timestamp());
    let (mut candidates, mut filtered_out) = (Vec::with_capacity(scores.len()), 0);
    for (column, (id, score)) in (0_u32..).zip(serving.artefact.item_ids.iter().zip(&scores)) {
        let Some(item) = catalogue.get(id) else { continue };
        if filter.allows(item) {
            candidates.push(Candidate { item: item.clone(), score: f64::from(*score), column: Some(column) });
        } else {
            filtered_out += 1;
        }
    }
    (candidates, filtered_out)
}

/// Every item the rules let through, by popularity; items nobody has taken yet come last.
fn known(
    popular: &[(String, f64)],
    catalogue: &Catalogue,
    rules: &Rules,
    purchased: &[String],
) -> (Vec<Candidate>, u64) {
    let filter = Filter::new(rules, purchased, Utc::now().timestamp());
    let (mut candidates, mut filtered_out) = (Vec::new(), 0);
    let taken: HashSet<&str> = popular.iter().map(|(id, _)| id.as_str()).collect();
    let first = popular.iter().filter_map(|(id, share)| Some((catalogue.get(id)?, *share)));
    let rest = catalogue.iter().filter(|item| !taken.contains(item.item_id.as_str())).map(|item| (item, 0.0));
    for (item, score) in first.chain(rest) {
        if filter.allows(item) {
            candidates.push(Candidate { item: item.clone(), score, column: None });
        } else {
            filtered_out += 1;
        }
    }
    (candidates, filtered_out)
}

fn told(
    place: Place,
    warm: Option<&Serving>,
    history: &[(u32, f32)],
    catalogue: &Catalogue,
    explain: bool,
) -> Recommendation {
    let Place { candidate, propensity } = place;
    let reasons = match (warm, candidate.column) {
        _ if !explain => Vec::new(),
        (Some(serving), Some(column)) => because(serving, history, column, candidate.score, catalogue),
        _ => vec![Reason { feature: "popularity".into(), weight: 1.0, ..Reason::default() }],
    };
    Recommendation {
        item_id: candidate.item.item_id.clone(),
        score: candidate.score,
        propensity,
        sources: vec![if warm.is_some() { "svd" } else { "popularity" }.into()],
        reasons,
        item: Some(candidate.item.as_ref().clone()),
    }
}

/// The past items that carried most of the score, with their share of it; the item itself where it was had before.
fn because(
    serving: &Serving,
    history: &[(u32, f32)],
    item: u32,
    score: f64,
    catalogue: &Catalogue,
) -> Vec<Reason> {
    let parts = serving.artefact.taste.contributions(history, item).into_iter();
    let parts = parts.filter(|(_, part)| *part > 0.0).take(REASONS);
    parts
        .map(|(past, part)| {
            let id = serving.artefact.item_ids[past as usize].clone();
            let weight = if score > 0.0 { f64::from(part) / score } else { 0.0 };
            Reason {
                because_title: catalogue.title(&id).to_owned(),
                because_item_id: id,
                feature: String::new(),
                weight,
            }
        })
        .collect()
}
