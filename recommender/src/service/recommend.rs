//! Goods for one person.

use std::sync::Arc;

use chrono::Utc;
use proto::common::v1::{Degradation, DegradationCause};
use proto::recommender::v1::{
    PredictPreferenceRequest, PredictPreferenceResponse, Reason, RecommendRequest, RecommendResponse,
    Recommendation, SimilarItemsRequest, SimilarItemsResponse,
};
use proto::validate::Violations;
use tonic::{Code, Status};

use super::{Recommender, check, failed, refuse};
use crate::algorithm::{BlendSettings, Cause, Settings, Share};
use crate::fold_in::FoldIn;
use crate::history::FOLDED;
use crate::live::{Catalogue, Serving};
use crate::rank::{Choice, Place, Shop, select};
use crate::store::Deed;

/// Reasons of a pick.
const REASONS: usize = 3;
/// What proposes where nothing is known of a person.
const POPULARITY: &str = "popularity";

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
        let signals = self.signals.clone();
        let ranked = tokio::task::spawn_blocking(move || {
            let now = Utc::now().timestamp();
            let shop = Shop { catalogue: &catalogue, rules: &rules, purchased: &purchased, now };
            let fold_in = serving.as_ref().and_then(|serving| serving.fold_in(&deeds, &signals, now));
            let warm = fold_in.as_ref().zip(serving.as_deref());
            let (candidates, filtered_out) = match warm {
                Some((fold_in, serving)) => shop.scored(serving, fold_in.scores()),
                None => shop.known(&popular),
            };
            let choice = Choice {
                limit: request.limit as usize,
                diversity: rules.diversity,
                explore: rules.explore,
                max_per_category: rules.max_per_category as usize,
                seed: request.seed,
            };
            let factors = serving.as_ref().and_then(|serving| serving.artefact.model.factors());
            let places = select(candidates, choice, factors);
            let reasons = if request.explain { reasons(&places, warm, &catalogue) } else { Vec::new() };
            let sources = warm.map_or_else(|| vec![POPULARITY.to_owned()], |(_, serving)| sources(serving));
            let mut answer = RecommendResponse {
                recommendations: told(places, reasons, &sources),
                model_version: serving.as_ref().map(|serving| serving.model_id.clone()).unwrap_or_default(),
                filtered_out,
                seed: request.seed,
                ..RecommendResponse::default()
            };
            if warm.is_none() {
                answer.degradations.push(Degradation {
                    stage: "recommend".into(),
                    cause: DegradationCause::Cold.into(),
                    served_by: POPULARITY.into(),
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
        let signals = self.signals.clone();
        let scored = tokio::task::spawn_blocking(move || {
            let fold_in = serving.fold_in(&deeds, &signals, Utc::now().timestamp());
            let score = |column: u32| fold_in.as_ref().map_or(0.0, |known| known.scores()[column as usize]);
            let wanted = request.item_ids.iter().filter_map(|id| serving.columns.get(id));
            PredictPreferenceResponse {
                scores: wanted.map(|column| f64::from(score(*column))).collect(),
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

/// What proposed a pick of this model.
fn sources(serving: &Serving) -> Vec<String> {
    match serving.artefact.model.settings() {
        Settings::Blend(BlendSettings { parts }) => {
            parts.iter().map(|part| part.settings.algorithm().to_string()).collect()
        }
        one => vec![one.algorithm().to_string()],
    }
}

/// What carried each pick: the past items with the largest shares of its score, or what is popular.
fn reasons(places: &[Place], warm: Option<(&FoldIn, &Serving)>, catalogue: &Catalogue) -> Vec<Vec<Reason>> {
    let popular = |weight: f64| Reason { feature: POPULARITY.into(), weight, ..Reason::default() };
    let Some((fold_in, serving)) = warm else { return vec![vec![popular(1.0)]; places.len()] };
    let columns: Vec<u32> = places.iter().filter_map(|place| place.candidate.column).collect();
    let because = |(place, shares): (&Place, Vec<Share>)| {
        let positive = shares.into_iter().filter(|share| share.value > 0.0).take(REASONS);
        let score = place.candidate.score;
        let told = positive.map(|share| {
            let weight = if score > 0.0 { f64::from(share.value) / score } else { 0.0 };
            let Cause::Item(past) = share.cause else { return popular(weight) };
            let id = &serving.artefact.item_ids[past as usize];
            Reason {
                because_item_id: id.clone(),
                because_title: catalogue.title(id).to_owned(),
                feature: String::new(),
                weight,
            }
        });
        told.collect()
    };
    places.iter().zip(fold_in.shares(&columns)).map(because).collect()
}

fn told(places: Vec<Place>, reasons: Vec<Vec<Reason>>, sources: &[String]) -> Vec<Recommendation> {
    let reasons = reasons.into_iter().chain(std::iter::repeat_with(Vec::new));
    let told = |(Place { candidate, propensity }, reasons): (Place, Vec<Reason>)| Recommendation {
        item_id: candidate.item.item_id.clone(),
        score: candidate.score,
        propensity,
        sources: sources.to_vec(),
        reasons,
        item: Some(candidate.item.as_ref().clone()),
    };
    places.into_iter().zip(reasons).map(told).collect()
}
