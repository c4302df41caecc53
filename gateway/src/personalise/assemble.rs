//! From the stages' answers to one answer and one record.

use std::collections::BTreeSet;

use chrono::Utc;
use pbjson_types::{Duration as WireDuration, Timestamp};
use prost::Message as _;
use proto::common::v1::{Item, Offer};
use proto::evaluator::v1::{DecideResponse, DecidedPlacement, Decision};
use proto::gateway::v1::{PersonaliseResponse, Placement};
use proto::recommender::v1::RecommendResponse;

use super::{Chosen, Moment, Plan, Report};
use crate::store::{Kind, Row};

/// Whether `offer` is good for `item`: by id, by category, or for everything.
pub(super) fn is_good_for(offer: &Offer, item: &Item) -> bool {
    if offer.item_ids.is_empty() && offer.categories.is_empty() {
        return true;
    }
    let categories: BTreeSet<&str> = item.categories.iter().map(String::as_str).collect();
    offer.item_ids.contains(&item.item_id)
        || offer.categories.iter().any(|name| categories.contains(name.as_str()))
}

/// The goods and the offer as placements.
pub(super) fn placed(moment: &Moment, decision: Option<DecideResponse>, goods: RecommendResponse) -> Chosen {
    let decision = decision.unwrap_or_default();
    let offer = decision.offer.as_ref();
    let placements = goods.recommendations.into_iter().map(|pick| {
        let item = pick.item.unwrap_or_else(|| Item { item_id: pick.item_id, ..Item::default() });
        let offer = offer.filter(|offer| is_good_for(offer, &item)).cloned();
        let placement = Placement {
            offer,
            score: pick.score,
            reasons: pick.reasons,
            item: Some(item),
            ..Placement::default()
        };
        (placement, pick.propensity)
    });
    let (placements, propensities) = placements.unzip();
    let mut answer = PersonaliseResponse {
        placements,
        assignments: decision.assignments,
        in_holdout: decision.in_holdout,
        seed: moment.seed,
        ..PersonaliseResponse::default()
    };
    for (stage, version) in [("recommend", goods.model_version), ("decide", decision.plan_id.clone())] {
        if !version.is_empty() {
            answer.versions.insert(stage.into(), version);
        }
    }
    Chosen {
        answer,
        propensities,
        offer_id: decision.offer.map(|offer| offer.offer_id).unwrap_or_default(),
        offer_propensity: decision.propensity,
        angle: decision.angle,
        plan_id: decision.plan_id,
        features: decision.features,
        segment: goods.segment,
        feature_version: decision.feature_version,
        available_offers: decision.available_offer_ids,
    }
}

/// The record of what was decided.
pub(super) fn decision(moment: &Moment, chosen: &Chosen, report: &Report) -> Row {
    let now = Utc::now();
    let id = &moment.decision_id;
    let answer = &chosen.answer;
    let placements = answer.placements.iter().zip(&chosen.propensities).zip(0..);
    let placements = placements.map(|((placement, propensity), position)| DecidedPlacement {
        item_id: placement.item.as_ref().map(|item| item.item_id.clone()).unwrap_or_default(),
        position,
        score: placement.score,
        propensity: *propensity,
        copy_id: placement.copy.as_ref().map(|copy| copy.copy_id.clone()).unwrap_or_default(),
        effect: placement.effect.clone(),
        beats_average_probability: placement.copy.as_ref().and_then(|copy| copy.beats_average_probability),
    });
    // An offer that no placement shows is not given, and the probability of that is not known.
    let is_shown = answer.placements.iter().any(|placement| placement.offer.is_some());
    let (offer_id, offer_propensity) = if chosen.offer_id.is_empty() || is_shown {
        (chosen.offer_id.clone(), chosen.offer_propensity)
    } else {
        (String::new(), 0.0)
    };
    let mut versions = report.versions.clone();
    versions.extend(answer.versions.clone());
    let decision = Decision {
        decision_id: id.clone(),
        user_id: moment.person.user.clone(),
        visitor_id: moment.person.visitor.clone(),
        decided_at: Some(Timestamp {
            seconds: now.timestamp(),
            nanos: now.timestamp_subsec_nanos().cast_signed(),
        }),
        channel: moment.request.channel,
        placement: moment.request.placement.clone(),
        locale: moment.request.locale.clone(),
        placements: placements.collect(),
        offer_id,
        offer_propensity,
        angle: chosen.angle.clone(),
        assignments: answer.assignments.clone(),
        in_holdout: answer.in_holdout,
        plan_id: chosen.plan_id.clone(),
        versions,
        seed: moment.seed,
        features: chosen.features.clone(),
        segment: chosen.segment.clone(),
        feature_version: chosen.feature_version,
        available_offer_ids: chosen.available_offers.clone(),
    };
    let (kind, person) = (Kind::Decision, moment.unit().to_owned());
    Row { id: format!("decision:{id}"), kind, person, payload: decision.encode_to_vec(), link: None }
}

/// The answer with the report in it.
pub(super) fn closed(mut answer: PersonaliseResponse, report: Report, plan: &Plan) -> PersonaliseResponse {
    answer.versions.extend(report.versions);
    answer.degradations = report.degradations;
    let spent = plan.total().saturating_sub(plan.deadline().remaining());
    let stages = report.timings.into_iter().chain([("total".to_owned(), spent)]);
    answer.timings = stages.map(|(stage, time)| (stage, wire(time))).collect();
    answer
}

fn wire(time: std::time::Duration) -> WireDuration {
    WireDuration {
        seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        nanos: time.subsec_nanos().cast_signed(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proto::gateway::v1::PersonaliseRequest;
    use proto::generator::v1::Copy;
    use proto::recommender::v1::Recommendation;

    use super::*;
    use crate::personalise::known::Person;

    #[test]
    fn an_offer_is_good_for_what_it_names() {
        let tea = Item { item_id: "tea".into(), categories: vec!["Drinks".into()], ..Item::default() };
        let names = |item_ids: &[&str], categories: &[&str]| Offer {
            item_ids: item_ids.iter().map(ToString::to_string).collect(),
            categories: categories.iter().map(ToString::to_string).collect(),
            ..Offer::default()
        };
        assert!(is_good_for(&names(&[], &[]), &tea));
        assert!(is_good_for(&names(&["tea"], &["Bread"]), &tea));
        assert!(is_good_for(&names(&[], &["Drinks"]), &tea));
        assert!(!is_good_for(&names(&["milk"], &[]), &tea));
    }

    #[test]
    fn the_record_tells_what_the_words_of_a_placement_are_predicted_to_do() {
        let predicted =
            Copy { copy_id: "c".into(), beats_average_probability: Some(0.62), ..Copy::default() };
        let placements = [Some(predicted), Some(Copy::default()), None];
        let placements = placements.map(|copy| Placement { copy, ..Placement::default() });
        let chosen = Chosen {
            answer: PersonaliseResponse { placements: placements.to_vec(), ..PersonaliseResponse::default() },
            propensities: vec![1.0; 3],
            offer_id: String::new(),
            offer_propensity: 1.0,
            angle: String::new(),
            plan_id: String::new(),
            features: BTreeMap::new(),
            segment: String::new(),
            feature_version: 0,
            available_offers: Vec::new(),
        };
        let moment = Moment {
            request: PersonaliseRequest::default(),
            person: Person { user: "u".into(), visitor: String::new() },
            withheld: None,
            undelivered: Vec::new(),
            seed: 1,
            decision_id: "d".into(),
            token: String::new(),
            unrecorded: None,
        };
        let row = decision(&moment, &chosen, &Report::default());
        let recorded = Decision::decode(row.payload.as_slice()).unwrap();
        let clicks: Vec<_> =
            recorded.placements.iter().map(|placement| placement.beats_average_probability).collect();
        assert_eq!(clicks, [Some(0.62), None, None], "absent is not 0");
    }

    #[test]
    fn the_record_holds_an_offer_only_where_a_placement_shows_it() {
        let moment = Moment {
            request: PersonaliseRequest::default(),
            person: Person { user: "u".into(), visitor: String::new() },
            withheld: None,
            undelivered: Vec::new(),
            seed: 1,
            decision_id: "d".into(),
            token: String::new(),
            unrecorded: None,
        };
        let decide =
            |offer: Option<Offer>| DecideResponse { offer, propensity: 0.25, ..DecideResponse::default() };
        let items = || RecommendResponse {
            recommendations: vec![Recommendation {
                item: Some(Item { item_id: "tea".into(), ..Item::default() }),
                ..Recommendation::default()
            }],
            ..RecommendResponse::default()
        };
        let offer =
            |item: &str| Offer { offer_id: "o".into(), item_ids: vec![item.into()], ..Offer::default() };
        for (offer, expected) in
            [(Some(offer("tea")), ("o", 0.25)), (Some(offer("milk")), ("", 0.0)), (None, ("", 0.25))]
        {
            let chosen = placed(&moment, Some(decide(offer)), items());
            let row = decision(&moment, &chosen, &Report::default());
            let recorded = Decision::decode(row.payload.as_slice()).unwrap();
            assert_eq!((recorded.offer_id.as_str(), recorded.offer_propensity), expected);
        }
    }
}
