//! The simulated shop speaks to the four services and knows what its words were worth.

use bespoke_tests::sandbox::{Options, Sandbox, Words};
use bespoke_tests::simulation::Settings;
use bespoke_tests::simulation::oracle::Month;
use bespoke_tests::simulation::play::play;
use bespoke_tests::simulation::speak::Line;
use bespoke_tests::simulation::world::World;

/// Before anything is learnt offers are chosen by chance: every arm as often, and profit as chance brings it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_evaluator_measures_is_what_the_shop_booked() {
    let settings = Settings {
        shoppers: 600,
        days: 3,
        days_left: 0,
        without_features: false,
        holdout: 0.01,
        explore_days: 3.0,
        replan_days: 1.0,
        exploration: 0.02,
        visit_rate: 0.5,
        budget_share: 1.0,
        seed: 11,
    };
    let world = World::new(&settings);
    let month = Month::of(&world, settings.days);
    let sandbox =
        Sandbox::start(Options { simulated_clock: true, ..Words::Templates.into() }).await.expect("starts");
    let line = Line::new(sandbox.gateway().expect("a channel"));
    let played = play(&world, &settings, 1_000_000_000_000, &line, &|_| {}).await.expect("played");

    assert_eq!(played.book.visits, 900);
    let offered = played.book.offered as f64 / 900.0;
    // Five arms of six give an offer; five standard errors.
    assert!((offered - 5.0 / 6.0).abs() < 5.0 * (5.0 / 36.0 / 900.0_f64).sqrt(), "{offered}");
    let measured = line.measured_profit(played.span.0, played.span.1).await.expect("measured");
    assert!((measured - played.book.profit as f64).abs() < 0.5, "{measured} of {}", played.book.profit);
    let (best, nothing) = (month.best(1e12).book, month.everybody(None, 0.0));
    assert!(
        played.book.expected_profit < best.expected_profit && nothing.expected_profit < best.expected_profit
    );
}
