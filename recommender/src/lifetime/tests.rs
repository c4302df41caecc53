//! Against the Python package lifetimes 0.11.3 on the same CDNOW customers, whose parameters are those of
//! Fader, Hardie and Lee (2005), table 2.

use std::path::Path;

use super::*;

fn customers() -> Vec<Summary> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/cdnow/customers.csv");
    summaries_in(&file).expect("the sample")
}

fn close(name: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() <= 1e-4 * theirs.abs(), "{name}: {ours} but {theirs}");
}

fn customer(frequency: f64, recency: f64, age: f64) -> Summary {
    Summary { id: String::new(), frequency, recency, age, monetary: 0.0 }
}

#[test]
fn bg_nbd_finds_the_published_parameters_and_forecasts() {
    let all = customers();
    let model = BgNbd::fit(&all).expect("fits");
    close("r", model.r, 0.242_592_928_279_821_6);
    close("alpha", model.alpha, 4.413_532_265_271_803);
    close("a", model.a, 0.792_885_966_440_585_1);
    close("b", model.b, 2.425_752_382_625_45);
    // The paper prints −9582.4.
    assert!((model.log_likelihood + 9582.4).abs() < 0.05, "{}", model.log_likelihood);
    for (one, alive, within_10, within_52) in [
        (customer(0.0, 0.0, 38.86), 1.0, 0.054_210_097, 0.251_665_726),
        (customer(1.0, 5.0, 38.86), 0.314_918_300, 0.086_365_335, 0.385_668_864),
        (customer(2.0, 30.43, 38.86), 0.726_609_137, 0.356_931_009, 1.558_583_762),
        (customer(26.0, 30.0, 30.86), 0.947_639_011, 6.410_307_438, 25.266_829_607),
    ] {
        close("alive", model.probability_alive(&one), alive);
        close("within 10 weeks", model.expected_purchases(&one, 10.0), within_10);
        close("within 52 weeks", model.expected_purchases(&one, 52.0), within_52);
    }
    close("of anyone within 39 weeks", model.expected_of_anyone(39.0), 1.195_016_228);
    close("none in 10 weeks", model.probability_of(0, 10.0), 0.750_431_555);
    close("three in 10 weeks", model.probability_of(3, 10.0), 0.021_054_507);
    let sum: f64 = all.iter().map(|one| model.expected_purchases(one, 39.0)).sum();
    close("all within 39 weeks", sum, 1_653.423_283_330_718_5);
}

#[test]
fn gamma_gamma_and_the_value_of_a_year_agree() {
    let all = customers();
    let model = GammaGamma::fit(&all).expect("fits");
    close("p", model.p, 6.248_802_496_074_264);
    close("q", model.q, 3.744_588_460_923_312);
    close("v", model.v, 15.447_748_064_932_831);
    close("correlation", model.correlation, 0.113_883_910_486_004_48);
    assert_eq!(model.returning, 946);
    for (frequency, monetary, expected) in
        [(0.0, 0.0, 35.171_002_152), (1.0, 20.0, 24.629_861_823), (5.0, 100.0, 94.765_041_382)]
    {
        let one = Summary { monetary, ..customer(frequency, frequency, 38.86) };
        close("expected value", model.expected_value(&one), expected);
    }
    let rates = BgNbd::fit(&all).expect("fits");
    // Theirs takes 4.345 weeks for a month, ours 4.34524.
    for (place, year) in [(0, 36.278_495_763), (1, 4.637_466_328), (5, 283.523_592_590)] {
        close("twelve months at 1 %", lifetime_value((&rates, &model), &all[place], 12, 0.01, 7.0), year);
    }
}

#[test]
fn what_no_customer_can_have_is_refused() {
    let refused = [customer(2.0, 5.0, 4.0), customer(f64::NAN, 0.0, 1.0), customer(1.0, 0.0, 4.0)];
    for one in refused {
        assert!(
            matches!(BgNbd::fit(std::slice::from_ref(&one)), Err(LifetimeError::Customer { .. })),
            "{one:?}"
        );
    }
    let once = [customer(0.0, 0.0, 4.0)];
    assert!(matches!(BgNbd::fit(&once), Err(LifetimeError::TooLittle(_))));
    assert!(matches!(GammaGamma::fit(&once), Err(LifetimeError::TooLittle(_))));
}

fn order(customer: &str, order: &str, day: i64, value: f64) -> Order {
    Order { customer: customer.into(), order: order.into(), at: day * 86_400 + 3600, value }
}

#[test]
fn orders_become_summaries_as_the_models_define_them() {
    // Two lines of one day are one purchase; the first day's value counts for no repeat.
    let orders = [
        order("a", "1", 10, 5.0),
        order("a", "2", 17, 20.0),
        order("a", "3", 17, 10.0),
        order("a", "4", 31, 40.0),
        order("b", "5", 24, 9.0),
        order("b", "6", 60, 9.0),
    ];
    let found = summaries(&orders, 38 * 86_400, 7.0);
    let a = Summary { id: "a".into(), frequency: 2.0, recency: 3.0, age: 4.0, monetary: 35.0 };
    let b = Summary { id: "b".into(), frequency: 0.0, recency: 0.0, age: 2.0, monetary: 0.0 };
    assert_eq!(found, [a, b]);
}

#[test]
fn fifths_of_customers_are_scored_and_ties_go_by_name() {
    let orders: Vec<Order> = (1..=10)
        .flat_map(|n| [order(&n.to_string(), &format!("{n}-1"), n, 10.0 * n as f64)])
        .chain([order("1", "1-2", 1, 0.5)])
        .collect();
    let scored = rfm(&orders, 21 * 86_400);
    let ids: Vec<&str> = scored.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"], "by number, not by text");
    // Customer 1 bought twice and so is of the last fifth; the others bought once, and rank by name.
    let scores: Vec<_> = scored.iter().map(|one| (one.r, one.f, one.m)).collect();
    assert_eq!(scores[0], (1, 5, 1));
    assert_eq!(scores[1], (1, 1, 1));
    assert_eq!(scores[9], (5, 5, 5));
    assert_eq!((scored[0].recency, scored[0].frequency), (19, 2));
}
