//! From a log to a plan that decides: train, generate, activate, decide, and what refuses to.

use crate::support::*;
use proto::common::v1::{Channel, Event, EventKind, Money, Offer, OfferKind, Purchase};
use proto::evaluator::v1::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tonic::{Code, Status};

#[allow(clippy::unnecessary_wraps)] // Fields of messages are optional.
fn money(minor_units: i64) -> Option<Money> {
    Some(Money { currency_code: "USD".into(), minor_units })
}

pub(crate) fn percent(id: &str, percent_off: f64) -> Offer {
    Offer {
        offer_id: id.into(),
        kind: OfferKind::Coupon.into(),
        percent_off: Some(percent_off),
        ends_at: at(4_000_000_000),
        ..Offer::default()
    }
}

/// Shoppers of two kinds: the keen buy at a third anyway, the doubtful at a twentieth but at three tenths with 20 % off.
/// Goods cost 3 000 of 10 000, so the coupon pays for the doubtful alone.
pub(crate) async fn shop(served: &mut Served, decisions: u32) {
    let offers = [percent("twenty", 20.0), percent("idle", 1.0)];
    let rows: Vec<_> =
        offers.iter().map(|offer| UpsertOffersRequest { offer: Some(offer.clone()) }).collect();
    served.strategies.upsert_offers(tokio_stream::iter(rows)).await.expect("stored");
    let mut random = StdRng::seed_from_u64(7);
    let (mut log, mut events) = (Vec::new(), Vec::new());
    for i in 0..decisions {
        let keen = random.random_bool(0.5);
        let offer = ["", "twenty", "idle"][random.random_range(0..3)];
        let chance = match (keen, offer) {
            (true, _) => 0.33,
            (false, "twenty") => 0.30,
            (false, _) => 0.05,
        };
        let (decision_id, user) = (format!("d{i}"), format!("u{}", i % 4_000));
        if random.random_bool(chance) {
            let discount = match offer {
                "twenty" => 2_000,
                "idle" => 100,
                _ => 0,
            };
            let bought = Purchase {
                order_id: format!("o{i}"),
                quantity: 1,
                revenue: money(10_000 - discount),
                cost: money(3_000),
                tax: None,
                discount: None,
            };
            let purchase = event(format!("p{i}"), &user, EventKind::Purchase, &decision_id);
            events.push(Event { purchase: Some(bought), ..purchase });
            if discount > 0 {
                let redeemed = event(format!("r{i}"), &user, EventKind::OfferRedeemed, &decision_id);
                let attributes = [("discount_minor".to_owned(), discount.to_string())].into();
                events.push(Event { offer_id: offer.into(), attributes, ..redeemed });
            }
        }
        log.push(Decision {
            decision_id,
            user_id: user,
            decided_at: at(THEN + i64::from(i)),
            channel: Channel::Web.into(),
            offer_id: offer.into(),
            offer_propensity: 1.0 / 3.0,
            features: [("keen".to_owned(), f64::from(u8::from(keen)))].into(),
            ..Decision::default()
        });
    }
    assert!(record(served, log).await.rejected.is_empty());
    assert!(ingest(served, events).await.rejected.is_empty());
}

pub(crate) async fn train(served: &mut Served) {
    train_by(served, &[]).await;
}

async fn train_by(served: &mut Served, features: &[&str]) {
    let features = features.iter().map(|name| (*name).to_owned()).collect();
    let request =
        TrainEffectModelRequest { target: "profit".into(), seed: 3, features, ..Default::default() };
    let mut stages = served.effects.train_effect_model(request).await.expect("trains").into_inner();
    let mut last = None;
    while let Some(stage) = stages.message().await.expect("a stage") {
        last = Some(stage);
    }
    assert!(last.expect("stages").metrics["promoted"] > 0.5);
}

pub(crate) fn ask(budget: i64) -> GenerateStrategiesRequest {
    GenerateStrategiesRequest {
        objective: Objective::Profit.into(),
        budget: money(budget),
        holdout: Some(0.05),
        ..GenerateStrategiesRequest::default()
    }
}

fn refused_for(outcome: Result<impl std::fmt::Debug, Status>, reason: &str) {
    let status = outcome.expect_err("must be refused");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(chassis::error::reason(&status).as_deref(), Some(reason));
}

async fn decide(served: &mut Served, person: u32, keen: bool) -> DecideResponse {
    let context = DecisionContext {
        channel: Channel::Web.into(),
        features: [("keen".to_owned(), f64::from(u8::from(keen)))].into(),
        seed: 5,
        ..DecisionContext::default()
    };
    let request =
        DecideRequest { user_id: format!("v{person}"), context: Some(context), ..Default::default() };
    served.strategies.decide(request).await.expect("decided").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coupon_goes_to_the_doubtful_and_never_beyond_the_budget() {
    let mut served = served().await;
    shop(&mut served, 6_000).await;
    train(&mut served).await;
    let made = served.strategies.generate_strategies(ask(100_000_000)).await.expect("made").into_inner();
    let first = &made.strategies[0];
    assert_eq!(first.offer_id, "twenty");
    let expected = first.expected.as_ref().expect("expected");
    let profit = expected.profit.as_ref().expect("profit");
    assert!(profit.lower > 0.0 && profit.lower <= profit.estimate && !first.reasons.is_empty());

    let activate = ActivatePlanRequest { plan_id: made.plan_id.clone(), ..Default::default() };
    let active = served.strategies.activate_plan(activate).await.expect("activated").into_inner();
    let over = active.replay.and_then(|replay| replay.uplift_over_no_offers).expect("replayed");
    // Half the people are doubtful: .25 more purchases of 5 000 and 2 000 off what .05 would have brought.
    assert!(over.lower < 700.0 && over.upper > 400.0, "{over:?}");

    let mut shares = [[0_u32; 2]; 2];
    let mut held = 0;
    for person in 0..1_000 {
        let keen = person % 2 == 0;
        let choice = decide(&mut served, person, keen).await;
        assert!(choice.propensity > 0.0 && choice.plan_id == made.plan_id);
        let told = choice.features.get("keen");
        assert_eq!(told, Some(&f64::from(u8::from(keen))), "what it was chosen by, to be recorded");
        assert!(choice.features.contains_key("person:orders") && choice.feature_version > 0);
        held += u32::from(choice.in_holdout);
        let twenty = choice.offer.is_some_and(|offer| offer.offer_id == "twenty");
        assert!(!(twenty && choice.in_holdout));
        shares[usize::from(keen)][usize::from(twenty)] += 1;
    }
    assert!((25..80).contains(&held), "{held} of 1000 held out");
    assert!(shares[0][1] > 420 && shares[1][1] < 50, "{shares:?}");
    let plan = served.strategies.get_plan(GetPlanRequest::default()).await.expect("told").into_inner();
    assert_eq!((plan.state(), plan.flagged), (PlanState::Active, false));

    // A tenth of one purchase's discount a person: reservations stop the offers long before the last.
    let small = served.strategies.generate_strategies(ask(50_000)).await.expect("made").into_inner();
    assert!(small.shadow_price > 0.0);
    let activate = ActivatePlanRequest { plan_id: small.plan_id, accepted_risk: 0.5, ..Default::default() };
    served.strategies.activate_plan(activate).await.expect("activated");
    let mut promised = 0.0;
    for person in 0..400 {
        // What each costs on average: redeemed by three tenths and by a twentieth of the doubtful.
        promised +=
            match decide(&mut served, person, false).await.offer.map(|offer| offer.offer_id).as_deref() {
                Some("twenty") => 0.3 * 2_000.0,
                Some(_) => 0.05 * 100.0,
                None => 0.0,
            };
    }
    assert!(promised > 0.0 && promised <= 50_000.0, "{promised} are promised");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_planned_from_nothing_and_nothing_expired_is_activated() {
    let mut served = served().await;
    refused_for(served.strategies.generate_strategies(ask(1_000)).await, "EFFECT_MODEL_NOT_TRAINED");
    refused(served.strategies.generate_strategies(ask(0)).await, "budget.minor_units");
    let unknown = GenerateStrategiesRequest { segments: vec!["lucky".into()], ..ask(5) };
    refused(served.strategies.generate_strategies(unknown).await, "segments[0]");
    shop(&mut served, 1_500).await;
    train(&mut served).await;
    let gone = Offer { ends_at: at(THEN), ..percent("gone", 10.0) };
    let expired = GenerateStrategiesRequest { offers: vec![gone], ..ask(1_000) };
    refused_for(served.strategies.generate_strategies(expired).await, "OFFERS_EXPIRED");
    let all = GenerateStrategiesRequest { offers: vec![percent("all", 100.0)], ..ask(1_000) };
    refused_for(served.strategies.generate_strategies(all).await, "OFFER_CANNOT_PAY");
    let made = served.strategies.generate_strategies(ask(100_000)).await.expect("made").into_inner();
    let risky = |accepted_risk| ActivatePlanRequest {
        plan_id: made.plan_id.clone(),
        accepted_risk,
        ..Default::default()
    };
    refused(served.strategies.activate_plan(risky(1.5)).await, "accepted_risk");
    // Fifteen hundred decisions make nobody as sure as that.
    refused_for(served.strategies.activate_plan(risky(1e-300)).await, "PLAN_NOT_BETTER");
    let late = ActivatePlanRequest {
        plan_id: made.plan_id,
        at: at(5_000_000_000),
        ..ActivatePlanRequest::default()
    };
    refused(served.strategies.activate_plan(late).await, "at");
    refused_for(served.strategies.get_plan(GetPlanRequest::default()).await, "NO_ACTIVE_PLAN");
    let missing = ActivatePlanRequest { plan_id: "none".into(), ..ActivatePlanRequest::default() };
    let status = served.strategies.activate_plan(missing).await.expect_err("no such plan");
    assert_eq!(status.code(), Code::NotFound);
}

/// What an earlier version stored and this one cannot read is named and refused, until training replaces it.
#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_another_version_is_refused_by_name() {
    use sea_orm::ConnectionTrait as _;
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut served = served_on(&url, folder).await;
    shop(&mut served, 1_500).await;
    let store = sea_orm::Database::connect(&url).await.expect("opened");
    let row = "INSERT INTO evaluator_effect_model (model_id, created_at, payload) VALUES ('older', 1, '{}')";
    store.execute_unprepared(row).await.expect("stored");
    let ask_effect = || PredictEffectRequest {
        user_id: "u".into(),
        treatments: vec![Treatment { treatment_id: "none".into(), ..Default::default() }],
        ..Default::default()
    };
    let status = served.effects.predict_effect(ask_effect()).await.expect_err("not readable");
    assert!(status.message().contains("older") && status.message().contains("TrainEffectModel"), "{status}");
    refused_for(Err::<(), _>(status), "EFFECT_MODEL_NOT_READABLE");
    let plan = served.strategies.generate_strategies(ask(1_000)).await;
    refused_for(plan, "EFFECT_MODEL_NOT_READABLE");
    train(&mut served).await;
    served.effects.predict_effect(ask_effect()).await.expect("the new model predicts");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_together_promise_no_more_than_the_budget() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut one = served_on(&url, folder).await;
    shop(&mut one, 3_000).await;
    train(&mut one).await;
    let made = one.strategies.generate_strategies(ask(50_000)).await.expect("made").into_inner();
    let activate =
        ActivatePlanRequest { plan_id: made.plan_id.clone(), accepted_risk: 0.5, ..Default::default() };
    one.strategies.activate_plan(activate).await.expect("activated");
    let mut two = served_on(&url, tempfile::tempdir().expect("a folder")).await;
    let (mut promised, mut offers) = (0.0, [0_u32; 2]);
    for person in 0..300 {
        for (replica, served) in [&mut one, &mut two].into_iter().enumerate() {
            let choice = decide(served, 2 * person + replica as u32, false).await;
            assert_eq!(choice.plan_id, made.plan_id);
            offers[replica] += u32::from(choice.offer.is_some());
            promised += match choice.offer.map(|offer| offer.offer_id).as_deref() {
                Some("twenty") => 0.3 * 2_000.0,
                Some(_) => 0.05 * 100.0,
                None => 0.0,
            };
        }
    }
    assert!(offers.iter().all(|made| *made > 0), "{offers:?}: each has a share");
    // Three standard deviations kept free by each leave room for some twenty coupons.
    assert!(promised > 5_000.0 && promised <= 50_000.0, "{promised} are promised");
}

#[tokio::test]
async fn a_budget_is_spent_within_the_limits_beside_it() {
    let mut served = served().await;
    let uses = |limit: &str| vec![BudgetUse { limit: limit.into(), amount: 1.0 }];
    let candidate = |unit: &str, treatment: &str, value: f64| BudgetCandidate {
        unit_id: unit.into(),
        treatment_id: treatment.into(),
        value,
        cost: 1.0,
        uses: uses(treatment),
        ..BudgetCandidate::default()
    };
    let limit = |name: &str, amount: f64| BudgetLimit { name: name.into(), amount };
    // Everybody would rather have a push message, and two may.
    let people = ["ann", "bob", "cem", "dai"];
    let ask = OptimiseBudgetRequest {
        candidates: people
            .iter()
            .zip([9.0, 7.0, 8.0, 6.0])
            .flat_map(|(unit, value)| [candidate(unit, "push", value), candidate(unit, "email", value / 2.0)])
            .collect(),
        budget: 3.0,
        limits: vec![limit("push", 2.0), limit("email", 4.0)],
        ..OptimiseBudgetRequest::default()
    };
    let found = served.strategies.optimise_budget(ask.clone()).await.expect("chosen").into_inner();
    let of = |treatment: &str| found.choices.iter().filter(|choice| choice.treatment_id == treatment).count();
    assert_eq!((of("push"), of("email")), (2, 1), "{found:?}");
    // 9 and 8 by push and 7 ÷ 2 by e-mail is the best there is.
    assert!((found.primal - 20.5).abs() < 1e-9 && found.dual_bound >= found.primal && found.spend <= 3.0);
    let with = |change: fn(&mut OptimiseBudgetRequest)| {
        let mut changed = ask.clone();
        change(&mut changed);
        changed
    };
    for (request, field) in [
        (with(|ask| ask.per_unit_cap = 2), "per_unit_cap"),
        (with(|ask| ask.limits[1].name = "push".into()), "limits[1].name"),
        (with(|ask| ask.limits[0].amount = -1.0), "limits[0].amount"),
        (with(|ask| ask.candidates[2].uses[0].limit = "sms".into()), "candidates[2].uses[0].limit"),
    ] {
        refused(served.strategies.optimise_budget(request).await, field);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_keeps_to_an_offers_stock_and_a_channels_messages() {
    let mut served = served().await;
    shop(&mut served, 6_000).await;
    train(&mut served).await;
    let limit = |offer: &str, channel: Channel, most| PlanLimit {
        offer_id: offer.into(),
        channel: channel.into(),
        max_count: most,
    };
    let limited = |limits| GenerateStrategiesRequest { limits, ..ask(100_000_000) };
    for (limits, field) in [
        (vec![limit("twenty", Channel::Web, 5)], "limits[0].offer_id"),
        (vec![limit("", Channel::Unspecified, 5)], "limits[0].offer_id"),
        (vec![limit("twenty", Channel::Unspecified, 0)], "limits[0].max_count"),
        (vec![limit("", Channel::Web, 5), limit("", Channel::Web, 6)], "limits[1].offer_id"),
        (vec![limit("thirty", Channel::Unspecified, 5)], "limits[0].offer_id"),
    ] {
        refused(served.strategies.generate_strategies(limited(limits)).await, field);
    }
    let activated = async |served: &mut Served, limits| {
        let made = served.strategies.generate_strategies(limited(limits)).await.expect("made").into_inner();
        let activate =
            ActivatePlanRequest { plan_id: made.plan_id, accepted_risk: 0.5, ..Default::default() };
        served.strategies.activate_plan(activate).await.expect("activated").into_inner().plan_id
    };
    // Thirty coupons, three tenths of which are redeemed: .3n + 3√(.21n) ≤ 30 to n = 57.
    activated(&mut served, vec![limit("twenty", Channel::Unspecified, 30)]).await;
    let mut coupons = 0;
    for person in 0..300 {
        let offer = decide(&mut served, person, false).await.offer;
        coupons += u32::from(offer.is_some_and(|offer| offer.offer_id == "twenty"));
    }
    assert!((25..=75).contains(&coupons), "{coupons} coupons for a stock of thirty");

    let plan_id = activated(&mut served, vec![limit("", Channel::Web, 40)]).await;
    let mut log = Vec::new();
    for person in 0..300 {
        let made = decide(&mut served, person, false).await;
        let Some(offer) = made.offer else { continue };
        log.push(Decision {
            decision_id: format!("w{person}"),
            user_id: format!("v{person}"),
            decided_at: at(THEN + 10_000 + i64::from(person)),
            channel: Channel::Web.into(),
            offer_id: offer.offer_id,
            offer_propensity: made.propensity,
            plan_id: made.plan_id,
            ..Decision::default()
        });
    }
    let made = log.len() as u64;
    assert!((20..=40).contains(&made), "{made} offers where forty may be made");
    assert!(record(&mut served, log).await.rejected.is_empty());
    let told = served.strategies.get_plan(GetPlanRequest { plan_id }).await.expect("told").into_inner();
    assert_eq!(told.limits.len(), 1);
    assert_eq!(told.limits[0].used, made, "{:?}", told.limits);
}

/// Whoever got an offer in the week before does not look at the next one.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_tired_of_offers_gets_fewer() {
    let mut served = served_in_simulation().await;
    let rows = vec![UpsertOffersRequest { offer: Some(percent("twenty", 20.0)) }];
    served.strategies.upsert_offers(tokio_stream::iter(rows)).await.expect("stored");
    let mut random = StdRng::seed_from_u64(11);
    let (mut log, mut events) = (Vec::new(), Vec::new());
    let day = 86_400;
    for person in 0..2_500 {
        let mut tired = false;
        for visit in 0..2_i64 {
            let offered = random.random_bool(0.5);
            let chance = if offered && !tired { 0.4 } else { 0.1 };
            let (decision_id, user) = (format!("d{person}-{visit}"), format!("u{person}"));
            if random.random_bool(chance) {
                let discount = if offered { 2_000 } else { 0 };
                let bought = Purchase {
                    order_id: decision_id.clone(),
                    quantity: 1,
                    revenue: money(10_000 - discount),
                    cost: money(3_000),
                    tax: None,
                    discount: None,
                };
                let purchase = event(format!("p{decision_id}"), &user, EventKind::Purchase, &decision_id);
                events.push(Event { purchase: Some(bought), ..purchase });
            }
            log.push(Decision {
                decision_id,
                user_id: user,
                decided_at: at(THEN + visit * day + i64::from(person)),
                channel: Channel::Web.into(),
                offer_id: if offered { "twenty".into() } else { String::new() },
                offer_propensity: 0.5,
                features: [("keen".to_owned(), 0.0)].into(),
                ..Decision::default()
            });
            tired = offered;
        }
    }
    log.sort_by_key(|decision| decision.decided_at.map(|at| at.seconds));
    assert!(record(&mut served, log).await.rejected.is_empty());
    assert!(ingest(&mut served, events).await.rejected.is_empty());
    train_by(&mut served, &["keen", "offers:week"]).await;
    let asked = GenerateStrategiesRequest { at: at(THEN + 2 * day), ..ask(100_000_000) };
    let made = served.strategies.generate_strategies(asked).await.expect("made").into_inner();
    let activate = ActivatePlanRequest {
        plan_id: made.plan_id,
        accepted_risk: 0.5,
        at: at(THEN + 2 * day),
        ..Default::default()
    };
    served.strategies.activate_plan(activate).await.expect("activated");
    let mut offered = [0_u32; 2];
    for person in 0..200 {
        for (rested, user) in [format!("u{person}"), format!("new{person}")].into_iter().enumerate() {
            let context = DecisionContext {
                channel: Channel::Web.into(),
                features: [("keen".to_owned(), 0.0)].into(),
                at: at(THEN + 2 * day),
                ..DecisionContext::default()
            };
            let request = DecideRequest { user_id: user, context: Some(context), ..Default::default() };
            let made = served.strategies.decide(request).await.expect("decided").into_inner();
            offered[rested] += u32::from(made.offer.is_some());
        }
    }
    // Three of four of the first kind were given an offer in these two days.
    assert!(offered[0] < 100 && offered[1] > 150, "{offered:?}");
}
