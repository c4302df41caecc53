//! Plans that keep their promises: no offer without one, windows, clocks, budgets that outlive them.

use crate::strategy::{ask, percent, shop, train};
use crate::support::*;
use evaluator::store::Store;
use proto::common::v1::{Channel, Event, EventKind, Money, Offer, OfferKind, Purchase};
use proto::evaluator::v1::*;
use tonic::{Code, Status};

/// A moment that simulations begin at, seconds since 1970.
const DAWN: i64 = 1_700_000_000;
const DAY: i64 = 86_400;

#[allow(clippy::unnecessary_wraps)] // Fields of messages are optional.
pub(crate) fn usd(minor_units: i64) -> Option<Money> {
    Some(Money { currency_code: "USD".into(), minor_units })
}

pub(crate) fn amount(id: &str, minor_units: i64) -> Offer {
    Offer {
        offer_id: id.into(),
        kind: OfferKind::Coupon.into(),
        amount_off: usd(minor_units),
        ..Offer::default()
    }
}

pub(crate) fn exploration(budget: i64, offers: Vec<Offer>) -> GenerateStrategiesRequest {
    GenerateStrategiesRequest {
        kind: PlanKind::Exploration.into(),
        budget: usd(budget),
        offers,
        holdout: Some(0.005),
        until: at(4_000_000_000),
        ..GenerateStrategiesRequest::default()
    }
}

pub(crate) async fn made(served: &mut Served, request: GenerateStrategiesRequest) -> String {
    served.strategies.generate_strategies(request).await.expect("made").into_inner().plan_id
}

pub(crate) async fn active(served: &mut Served, request: GenerateStrategiesRequest) -> String {
    let from = request.from;
    let plan_id = made(served, request).await;
    let activate = ActivatePlanRequest { plan_id: plan_id.clone(), at: from, ..Default::default() };
    served.strategies.activate_plan(activate).await.expect("activated");
    plan_id
}

pub(crate) async fn get(served: &mut Served, plan_id: &str) -> GetPlanResponse {
    let request = GetPlanRequest { plan_id: plan_id.into() };
    served.strategies.get_plan(request).await.expect("told").into_inner()
}

/// Decides for the user `u{number}` under the id `d{number}`.
pub(crate) async fn decide(served: &mut Served, number: usize, seconds: Option<i64>) -> DecideResponse {
    let context = DecisionContext {
        channel: Channel::Web.into(),
        seed: 7,
        at: seconds.and_then(at),
        ..DecisionContext::default()
    };
    let request = DecideRequest {
        user_id: format!("u{number}"),
        context: Some(context),
        decision_id: format!("d{number}"),
        ..DecideRequest::default()
    };
    served.strategies.decide(request).await.expect("decided").into_inner()
}

pub(crate) fn decision(made: &DecideResponse, user: String, seconds: i64) -> Decision {
    Decision {
        decision_id: made.decision_id.clone(),
        user_id: user,
        decided_at: at(seconds),
        channel: Channel::Web.into(),
        offer_id: made.offer.as_ref().map(|offer| offer.offer_id.clone()).unwrap_or_default(),
        offer_propensity: made.propensity,
        in_holdout: made.in_holdout,
        plan_id: made.plan_id.clone(),
        ..Decision::default()
    }
}

/// Decides for `count` people from number `first` on and records it; the numbers of those who got an offer.
pub(crate) async fn offered(served: &mut Served, first: usize, count: usize, seconds: i64) -> Vec<usize> {
    let (mut numbers, mut log) = (Vec::new(), Vec::new());
    for number in first..first + count {
        let made = decide(served, number, Some(seconds)).await;
        if made.offer.is_some() {
            numbers.push(number);
        }
        log.push(decision(&made, format!("u{number}"), seconds));
        // As a shop does: what was decided is recorded at once.
        assert!(record(served, log.split_off(0)).await.rejected.is_empty());
    }
    numbers
}

pub(crate) fn redeemed(number: usize, offer: &str, discount: i64, token: bool, seconds: i64) -> Event {
    let decision = if token { format!("d{number}") } else { String::new() };
    Event {
        offer_id: offer.into(),
        attributes: [("discount_minor".to_owned(), discount.to_string())].into(),
        occurred_at: at(seconds),
        ..event(format!("r{number}"), &format!("u{number}"), EventKind::OfferRedeemed, &decision)
    }
}

fn bought(number: usize, offer: &str, paid: i64, discount: Option<i64>, seconds: i64) -> Event {
    let purchase = Purchase {
        order_id: format!("o{number}"),
        quantity: 1,
        revenue: usd(paid),
        discount: discount.and_then(usd),
        ..Purchase::default()
    };
    Event {
        offer_id: offer.into(),
        purchase: Some(purchase),
        occurred_at: at(seconds),
        ..event(format!("p{number}"), &format!("u{number}"), EventKind::Purchase, &format!("d{number}"))
    }
}

/// A precondition that fails, and what it says.
fn precondition(outcome: Result<impl std::fmt::Debug, Status>, reason: &str) -> String {
    let status = outcome.expect_err("must be refused");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(chassis::error::reason(&status).as_deref(), Some(reason), "{status:?}");
    status.message().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_plan_in_force_nobody_gets_an_offer() {
    let mut served = served_in_simulation().await;
    let stored = vec![UpsertOffersRequest { offer: Some(amount("five", 500)) }];
    served.strategies.upsert_offers(tokio_stream::iter(stored)).await.expect("stored");
    let nothing = |made: &DecideResponse| {
        assert!(made.offer.is_none() && made.plan_id.is_empty(), "{made:?}");
        assert!((made.propensity - 1.0).abs() < 1e-12);
    };
    for number in 0..200 {
        nothing(&decide(&mut served, number, Some(DAWN)).await);
    }
    let window = GenerateStrategiesRequest {
        from: at(DAWN + DAY),
        until: at(DAWN + 3 * DAY),
        channels: vec![Channel::Web.into()],
        at: at(DAWN),
        ..exploration(1_000_000, Vec::new())
    };
    let plan_id = made(&mut served, window).await;
    let before = get(&mut served, &plan_id).await;
    assert_eq!((before.state(), before.kind()), (PlanState::Proposed, PlanKind::Exploration));
    assert!(before.why.contains("ActivatePlan"), "{}", before.why);
    let activate = ActivatePlanRequest { plan_id: plan_id.clone(), at: at(DAWN), ..Default::default() };
    served.strategies.activate_plan(activate).await.expect("activated");
    let scheduled = get(&mut served, &plan_id).await;
    assert_eq!(scheduled.state(), PlanState::Scheduled);
    assert!(scheduled.why.contains("begins at 2023-11-15"), "{}", scheduled.why);
    nothing(&decide(&mut served, 0, Some(DAWN + DAY - 1)).await);

    let made = offered(&mut served, 1_000, 100, DAWN + DAY).await;
    assert!((30..70).contains(&made.len()), "{} of 100 by chance", made.len());
    assert_eq!(
        (get(&mut served, "").await.state(), get(&mut served, "").await.why.as_str()),
        (PlanState::Active, "")
    );
    let elsewhere =
        DecisionContext { channel: Channel::Email.into(), at: at(DAWN + DAY), ..DecisionContext::default() };
    let elsewhere =
        DecideRequest { user_id: "u".into(), context: Some(elsewhere), ..DecideRequest::default() };
    nothing(&served.strategies.decide(elsewhere).await.expect("decided").into_inner());

    nothing(&decide(&mut served, 2_000, Some(DAWN + 3 * DAY)).await);
    let ended = get(&mut served, "").await;
    assert_eq!(ended.state(), PlanState::Ended);
    assert!(ended.why.contains("ended at 2023-11-17"), "{}", ended.why);
    let listed =
        served.strategies.list_plans(ListPlansRequest::default()).await.expect("listed").into_inner();
    assert_eq!((listed.plans[0].state(), listed.plans[0].kind()), (PlanState::Ended, PlanKind::Exploration));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_taken_back_makes_no_offer() {
    let mut served = served().await;
    let plan_id = active(&mut served, exploration(1_000_000, vec![amount("five", 500)])).await;
    let mut offers = 0;
    for number in 0..100 {
        let made = decide(&mut served, number, None).await;
        assert!(made.in_holdout || (made.propensity - 0.5).abs() < 1e-12, "the offer and none");
        offers += u32::from(made.offer.is_some());
    }
    assert!((30..70).contains(&offers), "{offers}");
    let back = DeactivatePlanRequest { plan_id: plan_id.clone(), ..DeactivatePlanRequest::default() };
    served.strategies.deactivate_plan(back).await.expect("taken back");
    for number in 100..200 {
        let made = decide(&mut served, number, None).await;
        assert!(made.offer.is_none() && made.plan_id.is_empty());
    }
    assert!(get(&mut served, &plan_id).await.why.contains("DeactivatePlan"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exploration_plan_explores_its_share_and_says_what_it_needs() {
    let mut served = served().await;
    let sound = || exploration(1_000_000, vec![amount("five", 500), amount("nine", 900)]);
    for (request, field) in [
        (GenerateStrategiesRequest { until: None, ..sound() }, "until"),
        (GenerateStrategiesRequest { segments: vec!["often-buys".into()], ..sound() }, "segments"),
        (GenerateStrategiesRequest { risk_aversion: 1.0, ..sound() }, "risk_aversion"),
        (GenerateStrategiesRequest { kind: 9, ..sound() }, "kind"),
        (GenerateStrategiesRequest { budget_account_id: "a#1".into(), ..sound() }, "budget_account_id"),
        (GenerateStrategiesRequest { usual_order: usd(0), ..sound() }, "usual_order.minor_units"),
        (
            exploration(5, vec![Offer { percent_off: Some(10.0), amount_off: None, ..amount("ten", 1) }]),
            "usual_order",
        ),
    ] {
        refused(served.strategies.generate_strategies(request).await, field);
    }
    let share = GenerateStrategiesRequest { exploration: Some(0.3), ..sound() };
    active(&mut served, share).await;
    let mut offers = 0;
    for number in 0..600 {
        let made = decide(&mut served, number, None).await;
        let chance = if made.offer.is_some() { 0.1 } else { 0.8 };
        assert!(made.in_holdout || (made.propensity - chance).abs() < 1e-12, "{made:?}");
        offers += u32::from(made.offer.is_some());
    }
    assert!((80..160).contains(&offers), "{offers} of 600 where a fifth is offered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_clock_that_is_off_is_refused_and_changes_nothing() {
    let mut served = served().await;
    active(&mut served, exploration(1_000, vec![amount("five", 500)])).await;
    let now = chrono::Utc::now().timestamp();
    // Previews set nothing aside.
    let mut previews = 0;
    for number in 0..40 {
        let request =
            DecideRequest { user_id: format!("v{number}"), dry_run: true, ..DecideRequest::default() };
        previews +=
            u32::from(served.strategies.decide(request).await.expect("decided").into_inner().offer.is_some());
    }
    assert!(previews > 10, "{previews}");
    let mut offers = Vec::new();
    for number in 0..40 {
        let made = decide(&mut served, number, Some(now + 200 - 10 * number as i64)).await;
        offers.extend(made.offer);
    }
    assert_eq!(offers.len(), 2, "the budget bears two");
    let ahead = DecisionContext { at: at(now + 365 * DAY), ..DecisionContext::default() };
    let request = DecideRequest { user_id: "u".into(), context: Some(ahead), ..DecideRequest::default() };
    let status = served.strategies.decide(request).await.expect_err("a year ahead");
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("context.at"), "{status}");
    assert!(status.message().contains("strategy.simulated_clock"), "{status}");
    for number in 80..120 {
        assert!(decide(&mut served, number, None).await.offer.is_none(), "what is set aside stays so");
    }
}

/// Three redemptions are all that the budget bears. What is redeemed is spent and no longer owed; the rest is owed until the
/// offer ends, or for thirty days where it has no end; a restart forgets nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_owed_until_it_is_redeemed_or_ends_and_counted_once() {
    for (ends, days) in [(at(DAWN + 5 * DAY), 5), (None, 30)] {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
        let set = |config: &mut evaluator::Config| {
            config.strategy.simulated_clock = true;
            config.strategy.cache_ms = 0;
        };
        let here = || tempfile::tempdir().expect("a folder");
        let mut served = served_with(&url, here(), set).await;
        let offers = vec![Offer { ends_at: ends, ..amount("five", 500) }];
        let request =
            GenerateStrategiesRequest { from: at(DAWN), at: at(DAWN), ..exploration(1_500, offers) };
        let plan_id = active(&mut served, request).await;
        let made = offered(&mut served, 0, 40, DAWN).await;
        assert_eq!(made.len(), 3);
        let books = |plan: &GetPlanResponse| {
            let account = plan.account.clone().expect("an account");
            assert_eq!(account.account_id, plan.plan_id);
            (account.spent, account.owed)
        };
        assert_eq!(books(&get(&mut served, &plan_id).await), (0, 1_500));

        let report = redeemed(made[0], "five", 500, true, DAWN + DAY);
        for _ in 0..2 {
            assert!(ingest(&mut served, vec![report.clone()]).await.rejected.is_empty());
        }
        assert!(offered(&mut served, 100, 20, DAWN + DAY).await.is_empty());
        assert_eq!(books(&get(&mut served, &plan_id).await), (500, 1_000));
        drop(served);

        let mut served = served_with(&url, here(), set).await;
        assert!(offered(&mut served, 200, 20, DAWN + (days - 1) * DAY).await.is_empty());
        let report = get(&mut served, &plan_id).await;
        assert_eq!(books(&report), (500, 1_000));
        assert!(report.why.contains("500 are redeemed and 1000 may still be"), "{}", report.why);

        let later = offered(&mut served, 300, 40, DAWN + (days + 1) * DAY).await;
        let report = get(&mut served, &plan_id).await;
        if ends.is_some() {
            assert_eq!((later.len(), books(&report)), (0, (500, 0)));
            assert!(report.why.contains("none of its offers is valid"), "{}", report.why);
        } else {
            assert_eq!((later.len(), books(&report)), (2, (500, 1_000)));
        }
    }
}

/// A plan of thirty people or more knows how its offers are redeemed: at once or not at all. What was offered days ago is
/// hardly owed then, so that the budget gets used.
#[tokio::test(flavor = "multi_thread")]
async fn what_customers_do_not_redeem_comes_back_before_it_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut served = served_with(&url, folder, |config| {
        config.strategy.simulated_clock = true;
        // Days pass in a moment here: what was read a second ago is old.
        config.strategy.cache_ms = 0;
    })
    .await;
    let request = GenerateStrategiesRequest {
        from: at(DAWN),
        at: at(DAWN),
        ..exploration(50_000, vec![amount("five", 500)])
    };
    let plan_id = active(&mut served, request).await;
    let (mut spent, mut last) = (0, 0);
    for day in 0..20_i64 {
        let seconds = DAWN + day * DAY;
        let made = offered(&mut served, day as usize * 100, 100, seconds).await;
        last = made.len();
        for number in made.into_iter().step_by(5) {
            ingest(&mut served, vec![redeemed(number, "five", 500, true, seconds + 60)]).await;
            spent += 500;
        }
        assert!(spent <= 50_000, "{spent}");
    }
    let account = get(&mut served, &plan_id).await.account.expect("an account");
    assert_eq!(account.spent, spent, "booked is what was given");
    assert!(spent >= 40_000, "{spent} of 50 000 is used; {account:?}, {last} offers on the last day");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_reports_book_discounts_whether_they_carry_a_token_or_not() {
    let mut served = served_in_simulation().await;
    let terms = Offer { min_spend: usd(8_000), ..amount("fifteen", 1_500) };
    let request =
        GenerateStrategiesRequest { from: at(DAWN), at: at(DAWN), ..exploration(1_000_000, vec![terms]) };
    let plan_id = active(&mut served, request).await;
    let made = offered(&mut served, 0, 60, DAWN).await;
    let then = DAWN + 3_600;
    let mut spent = async |events: Vec<Event>| {
        assert!(ingest(&mut served, events).await.rejected.is_empty());
        get(&mut served, &plan_id).await.account.expect("an account").spent
    };
    // $70 and $120 at the full price: nobody says that the offer was used.
    assert_eq!(
        spent(vec![bought(made[0], "", 7_000, None, then), bought(made[1], "", 12_000, None, then)]).await,
        0
    );
    assert_eq!(spent(vec![bought(made[2], "fifteen", 7_500, Some(1_400), then)]).await, 1_400);
    // The same redemption told twice, by the order line and by an event without a token.
    assert_eq!(spent(vec![redeemed(made[2], "fifteen", 1_400, false, then + 60)]).await, 1_400);
    assert_eq!(spent(vec![bought(made[3], "fifteen", 7_500, None, then)]).await, 2_900, "by its terms");
    assert_eq!(spent(vec![redeemed(made[4], "fifteen", 1_500, false, then)]).await, 4_400, "without a token");
    assert_eq!(spent(vec![redeemed(made[4], "fifteen", 1_500, false, then)]).await, 4_400, "told again");
    let stranger = Event { user_id: "nobody".into(), ..redeemed(made[5], "fifteen", 1_500, false, then) };
    assert_eq!(spent(vec![stranger]).await, 4_400, "nobody was given that");
    let euros = Money { currency_code: "EUR".into(), minor_units: 99 };
    let mut foreign = bought(made[6], "fifteen", 7_500, Some(99), then);
    if let Some(purchase) = &mut foreign.purchase {
        (purchase.revenue, purchase.discount) = (Some(euros.clone()), Some(euros));
    }
    assert_eq!(spent(vec![foreign]).await, 4_400, "euros are not dollars: what was offered stays owed");
    let measured = get(&mut served, &plan_id).await.measured.expect("measured");
    assert_eq!((measured.redeemed, measured.spend), (3, 4_400));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_outlives_its_plans() {
    let mut served = served_in_simulation().await;
    let on = |budget: i64| GenerateStrategiesRequest {
        budget_account_id: "spring".into(),
        from: at(DAWN),
        at: at(DAWN),
        ..exploration(budget, vec![amount("five", 500)])
    };
    active(&mut served, on(2_000)).await;
    let made = offered(&mut served, 0, 40, DAWN).await;
    assert_eq!(made.len(), 4);
    ingest(&mut served, vec![redeemed(made[0], "five", 500, true, DAWN + 60)]).await;

    let text = precondition(served.strategies.generate_strategies(on(2_000)).await, "BUDGET_USED_UP");
    assert!(text.contains("2000 USD") && text.contains("spring"), "{text}");
    let text = precondition(served.strategies.generate_strategies(on(2_400)).await, "BUDGET_TOO_SMALL");
    assert!(text.contains("at least 2500"), "{text}");
    let euros = Some(Money { currency_code: "EUR".into(), minor_units: 9_000 });
    let other = GenerateStrategiesRequest { budget: euros, ..on(1) };
    refused(served.strategies.generate_strategies(other).await, "offers[0].amount_off.currency_code");

    let next = active(&mut served, on(3_000)).await;
    assert_eq!(offered(&mut served, 100, 40, DAWN + 120).await.len(), 2, "1 000 are left");
    let account = get(&mut served, &next).await.account.expect("an account");
    assert_eq!((account.account_id.as_str(), account.spent, account.owed), ("spring", 500, 2_500));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_activations_at_once_one_wins_and_the_other_is_told_which() {
    with_postgres(async |url| {
        let here = || tempfile::tempdir().expect("a folder");
        let mut one = served_on(&url, here()).await;
        exported(&mut one, "nobody").await;
        let mut other = served_on(&url, here()).await;
        let plans = [
            made(&mut one, exploration(1_000, vec![amount("five", 500)])).await,
            made(&mut one, exploration(2_000, vec![amount("five", 500)])).await,
        ];
        let store = Store::open(&chassis::config::Secret::new(&*url)).await.expect("opens");
        let ask = |plan: &str| ActivatePlanRequest { plan_id: plan.into(), ..Default::default() };
        let (mut lost, mut won) = (0, 0);
        for _ in 0..20 {
            let (first, second) = tokio::join!(
                one.strategies.activate_plan(ask(&plans[0])),
                other.strategies.activate_plan(ask(&plans[1]))
            );
            let in_force = store.deciding_plan().await.expect("read").expect("one decides").0.id;
            for (answer, plan) in [(first, &plans[0]), (second, &plans[1])] {
                match answer {
                    Ok(_) => won += 1,
                    Err(status) => {
                        lost += 1;
                        let text = precondition(Err::<(), _>(status), "ANOTHER_PLAN_ACTIVATED");
                        assert!(text.contains(&in_force) && in_force != *plan, "{text}");
                    }
                }
            }
        }
        assert!(won >= 20 && lost > 0, "{won} won, {lost} lost");
        // What a plan saw in force must still be so.
        let seen = store.activate_plan(&plans[0], Some("another")).await.expect("answered");
        assert!(seen.is_some_and(|seen| plans.contains(&seen)));
        store.deactivate_plan(&plans[0]).await.expect("ended");
        store.deactivate_plan(&plans[1]).await.expect("ended");
        assert_eq!(store.activate_plan(&plans[1], Some(&plans[0])).await.expect("answered"), None);
    })
    .await;
}

/// Three replicas on one database decide, record and are told of redemptions, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_at_once_never_exceed_the_budget() {
    with_postgres(async |url| {
        let here = || tempfile::tempdir().expect("a folder");
        let mut replicas = vec![served_on(&url, here()).await];
        exported(&mut replicas[0], "nobody").await;
        for _ in 0..2 {
            replicas.push(served_on(&url, here()).await);
        }
        let budget = 60_000;
        let plan_id =
            active(&mut replicas[0], exploration(budget, vec![amount("five", 500), amount("nine", 900)]))
                .await;
        let given = std::sync::atomic::AtomicI64::new(0);
        let decide_all = async |served: &mut Served, replica: usize| {
            let mut offers = 0;
            for visit in 0..250 {
                let number = replica * 1_000 + visit;
                let now = chrono::Utc::now().timestamp();
                let answer = decide(served, number, None).await;
                record(served, vec![decision(&answer, format!("u{number}"), now)]).await;
                let Some(offer) = &answer.offer else { continue };
                offers += 1;
                // Three of four are redeemed, some at once and some a while later.
                if !number.is_multiple_of(4) {
                    let discount = offer.amount_off.as_ref().expect("an amount").minor_units;
                    ingest(
                        served,
                        vec![redeemed(number, &offer.offer_id, discount, !number.is_multiple_of(3), now)],
                    )
                    .await;
                    let all = given.fetch_add(discount, std::sync::atomic::Ordering::SeqCst) + discount;
                    assert!(all <= budget, "{all} is given of {budget}");
                }
            }
            offers
        };
        let [one, two, three] = &mut replicas[..] else { unreachable!("three replicas") };
        let offers = tokio::join!(decide_all(one, 1), decide_all(two, 2), decide_all(three, 3));
        let offers = [offers.0, offers.1, offers.2];
        let account = get(&mut replicas[1], &plan_id).await.account.expect("an account");
        let given = given.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(account.spent, given, "booked is what was given: {account:?}");
        assert!(offers.iter().all(|made| *made > 5), "{offers:?}: each has a share");
        // A quarter is never redeemed and owed to the end of the test.
        let used = account.spent + account.owed;
        assert!((50_000..=budget).contains(&used), "{used} of {budget}; {account:?}, {offers:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_activation_says_what_stays_in_force() {
    let mut served = served().await;
    let over = GenerateStrategiesRequest {
        until: at(chrono::Utc::now().timestamp() + 1),
        ..exploration(1_000, vec![amount("five", 500)])
    };
    let late = made(&mut served, over).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let ask = || ActivatePlanRequest { plan_id: late.clone(), ..ActivatePlanRequest::default() };
    let text = precondition(served.strategies.activate_plan(ask()).await, "PLAN_EXPIRED");
    assert!(text.ends_with("No plan is in force"), "{text}");
    let plan_id = active(&mut served, exploration(1_000, vec![amount("five", 500)])).await;
    let text = precondition(served.strategies.activate_plan(ask()).await, "PLAN_EXPIRED");
    assert!(text.ends_with(&format!("Plan {plan_id} stays in force")), "{text}");
    let now = chrono::Utc::now().timestamp();
    let gifts = offered(&mut served, 0, 40, now).await;
    let events = gifts.iter().map(|number| redeemed(*number, "five", 500, true, now)).collect();
    ingest(&mut served, events).await;
    let text = precondition(served.strategies.activate_plan(ask()).await, "PLAN_EXPIRED");
    assert!(text.contains(&plan_id) && text.contains("its budget is spent: 1000 of 1000 USD"), "{text}");
}

/// An offer that changes nothing: people buy at a third or a twentieth, and those who do give the discount away.
async fn idle_shop(served: &mut Served, decisions: usize, percent_off: f64) {
    let offer = percent("idle", percent_off);
    let rows = vec![UpsertOffersRequest { offer: Some(offer) }];
    served.strategies.upsert_offers(tokio_stream::iter(rows)).await.expect("stored");
    let (mut log, mut events) = (Vec::new(), Vec::new());
    for number in 0..decisions {
        let (keen, with) = (number % 2 == 0, number / 2 % 2 == 0);
        // Sales come evenly: every third of the keen, every twentieth of the others.
        let buys = if keen { number / 4 % 3 == 0 } else { number / 4 % 20 == 0 };
        let discount = if with { (100.0 * percent_off) as i64 } else { 0 };
        if buys {
            let offer = if with { "idle" } else { "" };
            let mut sale = bought(number, offer, 10_000 - discount, with.then_some(discount), THEN + 60);
            if let Some(purchase) = &mut sale.purchase {
                purchase.cost = usd(3_000);
            }
            events.push(sale);
        }
        log.push(Decision {
            decision_id: format!("d{number}"),
            user_id: format!("u{number}"),
            decided_at: at(THEN + number as i64),
            channel: Channel::Web.into(),
            offer_id: if with { "idle".into() } else { String::new() },
            offer_propensity: 0.5,
            features: [("keen".to_owned(), f64::from(u8::from(keen)))].into(),
            ..Decision::default()
        });
    }
    assert!(record(served, log).await.rejected.is_empty());
    assert!(ingest(served, events).await.rejected.is_empty());
    train(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_covers_no_redemption_is_told_what_would() {
    let mut served = served().await;
    shop(&mut served, 3_000).await;
    train(&mut served).await;
    let text = precondition(served.strategies.generate_strategies(ask(50)).await, "BUDGET_TOO_SMALL");
    let least: i64 = text
        .split_once("at least ")
        .and_then(|(_, rest)| rest.split_once(','))
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or_else(|| panic!("{text} tells no budget"));
    assert!(least > 50, "{text}");
    let status = served.strategies.generate_strategies(ask(least)).await;
    assert!(status.is_ok(), "{text} But: {status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pays_for_nobody_and_what_is_not_known_are_told_apart() {
    let mut served = served().await;
    idle_shop(&mut served, 6_000, 50.0).await;
    let text = precondition(served.strategies.generate_strategies(ask(100_000)).await, "NOTHING_PAYS");
    assert!(text.contains("no doubt"), "{text}");
    let mut thin = crate::support::served().await;
    idle_shop(&mut thin, 480, 10.0).await;
    let text = precondition(thin.strategies.generate_strategies(ask(100_000)).await, "TOO_LITTLE_DATA");
    assert!(text.contains("480 decisions, 240 of them with offer \"idle\""), "{text}");
    assert!(text.contains("would tell"), "{text}");
}

#[tokio::test]
async fn an_offer_worth_more_than_the_goods_it_is_for_is_refused_where_their_prices_are_known() {
    let mut served = served().await;
    let for_items = |id: &str, minor_units, items: &[&str]| Offer {
        item_ids: items.iter().map(ToString::to_string).collect(),
        ..amount(id, minor_units)
    };
    // Nothing is known of item "i" yet.
    let upsert = async |served: &mut Served, offer: Offer| {
        let rows = vec![UpsertOffersRequest { offer: Some(offer) }];
        served.strategies.upsert_offers(tokio_stream::iter(rows)).await.expect("answered").into_inner()
    };
    assert_eq!(upsert(&mut served, for_items("early", 5_000, &["i"])).await.accepted, 1);
    let mut two = bought(1, "", 4_000, None, THEN);
    two.purchase.as_mut().expect("a purchase").quantity = 2;
    // A price that an offer reduced tells nothing.
    ingest(&mut served, vec![two, bought(2, "early", 9_900, Some(100), THEN)]).await;
    for (offer, taken) in [
        (for_items("dear", 2_001, &["i"]), 0),
        (for_items("fair", 2_000, &["i"]), 1),
        (for_items("unknown", 9_000, &["i", "j"]), 1),
        (amount("all", 9_000), 1),
        (Offer { min_spend: usd(9_000), ..for_items("basket", 9_000, &["i"]) }, 1),
        (Offer { percent_off: Some(5.0), ..amount("both", 5) }, 0),
    ] {
        let id = offer.offer_id.clone();
        let answer = upsert(&mut served, offer).await;
        assert_eq!(answer.accepted, taken, "{id}: {answer:?}");
        assert!(answer.rejected.iter().all(|row| row.field.starts_with("amount_off")), "{answer:?}");
    }
}

/// Where a shop cannot report, terms tell, and GetPlan says how far they are from what was reported.
#[tokio::test(flavor = "multi_thread")]
async fn inferred_discounts_are_booked_where_asked_for_and_their_error_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/e.db?mode=rwc", folder.path().display());
    let mut served = served_with(&url, folder, |config| {
        config.strategy.simulated_clock = true;
        config.strategy.infer_redemptions = true;
    })
    .await;
    let terms = Offer { min_spend: usd(8_000), ..amount("fifteen", 1_500) };
    let request =
        GenerateStrategiesRequest { from: at(DAWN), at: at(DAWN), ..exploration(1_000_000, vec![terms]) };
    let plan_id = active(&mut served, request).await;
    let made = offered(&mut served, 0, 120, DAWN).await;
    let reported =
        made.iter().take(35).map(|number| bought(*number, "fifteen", 7_500, Some(1_000), DAWN + 60));
    assert!(ingest(&mut served, reported.collect()).await.rejected.is_empty());
    let silent =
        vec![bought(made[35], "", 7_000, None, DAWN + 60), bought(made[36], "", 2_000, None, DAWN + 60)];
    assert!(ingest(&mut served, silent).await.rejected.is_empty());
    let measured = get(&mut served, &plan_id).await.measured.expect("measured");
    assert_eq!(measured.inferred_spend, 1_500, "$70 under \"$15 off $80\", and nothing for $20");
    let error = measured.inference_error.expect("thirty-five reports");
    assert!((error.estimate - 0.5).abs() < 1e-9, "{error:?}: 1 500 inferred where 1 000 were given");
}
