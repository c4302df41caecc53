//! The calls of a Personalise, each within its share.

use futures::future::join_all;
use proto::common::v1::{DegradationCause, DegradationStage, Offer, Substitute};
use proto::evaluator::v1::{DecideRequest, DecideResponse, DecisionContext, PredictEffectRequest, Treatment};
use proto::gateway::v1::Placement;
use proto::generator::v1::{Brief, GenerateCopyRequest, GenerateCopyResponse};
use proto::recommender::v1::{RecommendRequest, RecommendResponse, Recommendation, Rules};

use super::known::Person;
use super::stage::{self, Outcome};
use super::{Chosen, Moment, Personaliser, Plan, Report, assemble, brief, fallback, known, with_copy};

impl Personaliser {
    /// Asks for the offer; not without consent, since an offer is chosen for a person.
    pub(super) async fn decide(&self, moment: &Moment, plan: &Plan) -> Outcome<DecideResponse> {
        if let Some(cause) = moment.withheld {
            return Outcome::withheld(cause);
        }
        let request = DecideRequest {
            user_id: moment.unit().to_owned(),
            context: Some(DecisionContext {
                channel: moment.request.channel,
                placement: moment.request.placement.clone(),
                locale: moment.request.locale.clone(),
                seed: moment.seed,
                ..DecisionContext::default()
            }),
            decision_id: moment.decision_id.clone(),
            dry_run: moment.request.dry_run,
        };
        let mut client = self.upstream.strategy();
        stage::run(DegradationStage::Decide, plan.choose(), client.decide(request)).await
    }

    pub(super) async fn recommend(&self, moment: &Moment, plan: &Plan) -> Outcome<RecommendResponse> {
        let mut client = self.upstream.recommender();
        let request = moment.recommend_request();
        stage::run(DegradationStage::Recommend, plan.choose(), client.recommend(request)).await
    }

    /// An offer that is good for none of the goods chosen would never be seen: the item it is good for that suits
    /// the person best takes the last place.
    pub(super) async fn make_room(
        &self,
        moment: &Moment,
        plan: &Plan,
        offer: &Offer,
        goods: &mut RecommendResponse,
        report: &mut Report,
    ) {
        let shown = || goods.recommendations.iter().filter_map(|pick| pick.item.as_ref());
        if shown().any(|item| assemble::is_good_for(offer, item)) {
            return;
        }
        let rules = moment.request.rules.clone().unwrap_or_default();
        let Some((mut rules, most)) = suiting(rules, offer) else { return };
        rules.exclude_item_ids.extend(goods.recommendations.iter().map(|pick| pick.item_id.clone()));
        let mut client = self.upstream.recommender();
        let call = client.recommend(moment.recommend(most, rules));
        let outcome = stage::run(DegradationStage::Recommend, plan.choose(), call).await;
        // Without such an item the answer stands as it is: the offer is then not shown, and the record says so.
        let Some(answer) = report.close(DegradationStage::Recommend, outcome, Substitute::ItemsWithoutOffer)
        else {
            return;
        };
        let suits =
            |pick: &Recommendation| pick.item.as_ref().is_some_and(|item| assemble::is_good_for(offer, item));
        if let Some(pick) = answer.recommendations.into_iter().find(suits) {
            if goods.recommendations.len() >= moment.request.limit as usize {
                goods.recommendations.pop();
            }
            goods.recommendations.push(pick);
        }
    }

    pub(super) async fn write_copy(
        &self,
        moment: &Moment,
        plan: &Plan,
        chosen: &mut Chosen,
        report: &mut Report,
    ) {
        let angle = chosen.angle.clone();
        let placements = with_copy(&moment.request, &mut chosen.answer.placements);
        let share = plan.copy();
        let started = std::time::Instant::now();
        let calls = placements.iter().map(|placement| {
            let request = self.copy_request(moment, placement, &angle);
            let mut client = self.upstream.generator();
            async move { stage::run(DegradationStage::Copy, share, client.generate_copy(request)).await }
        });
        let outcomes = join_all(calls).await;
        for (placement, outcome) in placements.iter_mut().zip(outcomes) {
            let written = report.close(DegradationStage::Copy, outcome, Substitute::GatewayTemplate);
            take_copy(placement, &moment.request.locale, written, report);
        }
        // Copies are written side by side: the stage took as long as the slowest, not their sum.
        if !placements.is_empty() {
            report.timings.insert("copy".into(), started.elapsed());
        }
    }

    pub(crate) fn copy_request(
        &self,
        moment: &Moment,
        placement: &Placement,
        angle: &str,
    ) -> GenerateCopyRequest {
        let brief = Brief {
            angle: angle.to_owned(),
            max_characters: (self.max_characters > 0).then_some(self.max_characters),
            ..brief::of(moment, placement)
        };
        GenerateCopyRequest {
            brief: Some(brief),
            variants: 1,
            seed: moment.seed,
            ..GenerateCopyRequest::default()
        }
    }

    pub(super) async fn forecast(
        &self,
        moment: &Moment,
        share: std::time::Duration,
        chosen: &mut Chosen,
        report: &mut Report,
    ) {
        let Chosen { answer, features, .. } = chosen;
        let placements = &mut answer.placements;
        if placements.is_empty() {
            return;
        }
        if let Some(cause) = moment.withheld {
            report.degraded(DegradationStage::Effect, cause, Substitute::NoPrediction);
            return;
        }
        let treatments = placements.iter().map(|placement| {
            let item_id = placement.item.as_ref().map(|item| item.item_id.clone()).unwrap_or_default();
            Treatment {
                treatment_id: item_id.clone(),
                offer: placement.offer.clone(),
                item_id,
                channel: moment.request.channel,
            }
        });
        let request = PredictEffectRequest {
            user_id: moment.unit().to_owned(),
            // What was decided by is what is predicted for.
            features: features.clone(),
            treatments: treatments.collect(),
            ..PredictEffectRequest::default()
        };
        let mut client = self.upstream.effect();
        let outcome = stage::run(DegradationStage::Effect, share, client.predict_effect(request)).await;
        let Some(forecast) = report.close(DegradationStage::Effect, outcome, Substitute::NoPrediction) else {
            return;
        };
        report.version("effect", &forecast.model_version);
        for (placement, effect) in placements.iter_mut().zip(forecast.effects) {
            placement.effect = Some(effect);
        }
    }
}

/// Takes what the generator wrote, or the gateway's own template where it did not answer.
pub(crate) fn take_copy(
    placement: &mut Placement,
    locale: &str,
    written: Option<GenerateCopyResponse>,
    report: &mut Report,
) {
    let Some(mut written) = written else {
        placement.copy = fallback::copy(placement, locale);
        return;
    };
    report.version("copy", &written.model_version);
    report.version("words", &written.click_model_version);
    for degradation in &written.degradations {
        report.degraded(degradation.stage(), degradation.cause(), degradation.substitute());
    }
    placement.copy = if written.copies.is_empty() { None } else { Some(written.copies.swap_remove(0)) };
    if placement.copy.is_none() {
        report.degraded(DegradationStage::Copy, DegradationCause::CheckFailed, Substitute::GatewayTemplate);
        placement.copy = fallback::copy(placement, locale);
    }
}

impl Moment {
    /// The unit of decisions: the user, otherwise the visitor.
    pub(super) fn unit(&self) -> &str {
        self.person.unit()
    }

    /// The request for the items of this answer.
    pub(super) fn recommend_request(&self) -> RecommendRequest {
        self.recommend(self.request.limit, self.request.rules.clone().unwrap_or_default())
    }

    fn recommend(&self, limit: u32, rules: Rules) -> RecommendRequest {
        let person = if self.withheld.is_none() { self.person.clone() } else { Person::default() };
        let mut request = RecommendRequest {
            user_id: person.user,
            visitor_id: person.visitor,
            recent_events: self.request.recent_events.clone(),
            limit,
            rules: Some(rules),
            explain: true,
            seed: self.seed,
        };
        known::fold(&mut request, self.undelivered.clone());
        request
    }
}

/// Items asked for where the offer's categories and the caller's are to hold together, which a rule cannot say.
const SEARCHED: u32 = 100;

/// The caller's `rules` narrowed to what `offer` is good for, and how many items to ask for; `None` where nothing can be
/// both. A caller's rule holds for an item with an offer too.
fn suiting(mut rules: Rules, offer: &Offer) -> Option<(Rules, u32)> {
    if !offer.item_ids.is_empty() {
        if rules.only_item_ids.is_empty() {
            rules.only_item_ids.clone_from(&offer.item_ids);
        } else {
            rules.only_item_ids.retain(|id| offer.item_ids.contains(id));
        }
        return (!rules.only_item_ids.is_empty()).then_some((rules, 1));
    }
    if rules.categories.is_empty() {
        rules.categories.clone_from(&offer.categories);
        return Some((rules, 1));
    }
    Some((rules, SEARCHED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(items: &[&str], categories: &[&str]) -> Offer {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Offer { item_ids: owned(items), categories: owned(categories), ..Offer::default() }
    }

    fn asked(only: &[&str], categories: &[&str]) -> Rules {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Rules { only_item_ids: owned(only), categories: owned(categories), ..Rules::default() }
    }

    #[test]
    fn the_item_of_an_offer_obeys_the_callers_rules() {
        let free = suiting(asked(&[], &[]), &offer(&[], &["tea"])).expect("anything");
        assert_eq!((free.0.categories, free.1), (vec!["tea".to_owned()], 1));
        let books = suiting(asked(&[], &["books"]), &offer(&[], &["tea"])).expect("perhaps");
        assert_eq!((books.0.categories, books.1), (vec!["books".to_owned()], SEARCHED), "books that are tea");
        let both = suiting(asked(&["a", "b"], &["books"]), &offer(&["b", "c"], &[])).expect("one");
        assert_eq!(
            (both.0.only_item_ids, both.0.categories),
            (vec!["b".to_owned()], vec!["books".to_owned()])
        );
        assert!(suiting(asked(&["a"], &[]), &offer(&["c"], &[])).is_none());
    }
}
