use boost::Matrix;
use proto::common::v1::{Money, Offer};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::super::Steps;
use super::*;

/// What a fifth off and 10 off from 60 take of a purchase.
fn takes(arm: usize, worth: f64) -> f64 {
    match arm {
        1 => (0.2 * worth).round(),
        2 if worth >= 6_000.0 => 1_000.0,
        _ => 0.0,
    }
}

/// Learns from purchases of 3 000 to 9 000, by their one feature, of which 35 % is left after costs. Each discount is
/// booked `times`.
fn learnt(times: f64) -> Sale {
    let mut random = StdRng::seed_from_u64(21);
    let rows = 6_000;
    let (mut features, mut action, mut worth) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        let usual: f64 = random.random_range(3_000.0..9_000.0);
        features.push(usual);
        action.push(row % 3);
        worth.push((usual * random.random_range(0.7..1.3)).round());
    }
    let features = Matrix::new(features, rows, 1).expect("finite");
    let money = |minor_units| Some(Money { currency_code: "USD".into(), minor_units });
    let offers = [
        None,
        Some(Offer { percent_off: Some(20.0), ..Offer::default() }),
        Some(Offer { amount_off: money(1_000), min_spend: money(6_000), ..Offer::default() }),
    ];
    let described = [("none", 0.0), ("percent", 0.2), ("threshold", 0.16)];
    let steps = Steps::new(&described.map(|(family, depth)| (family.to_owned(), depth)));
    let discount: Vec<f64> =
        action.iter().zip(&worth).map(|(&arm, &worth)| times * takes(arm, worth)).collect();
    let left = |share: f64| -> Vec<f64> {
        worth.iter().zip(&discount).map(|(worth, discount)| share * worth - discount).collect()
    };
    let (revenue, profit) = (left(1.0), left(0.35));
    let lesson = Lesson {
        features: &features,
        of_time: 0,
        action: &action,
        steps: &steps,
        values: &profit,
        objective: Objective::Squared,
        seed: 1,
    };
    let bought = vec![1.0; rows];
    let sold = Sold { bought: &bought, revenue: &revenue, profit: &profit, discount: &discount };
    Sale::fit(lesson, sold, Some(Purchases { worth: &worth, offers: &offers })).expect("fits")
}

#[test]
fn revenue_profit_and_discount_of_a_purchase_agree() {
    let sale = learnt(1.0);
    for usual in [3_500.0, 5_500.0, 8_500.0] {
        for (arm, found) in sale.means(&[usual]).into_iter().enumerate() {
            let (revenue, profit) = (found.revenue + found.discount, found.profit + found.discount);
            assert!((profit / revenue - 0.35).abs() < 0.01, "arm {arm} at {usual}: {found:?}");
            assert!((revenue / usual - 1.0).abs() < 0.05, "arm {arm} at {usual}: {found:?}");
            // Purchases lie evenly within three tenths of what is usual.
            let parts = (0..100).map(|part| usual * (0.7 + 0.6 * (f64::from(part) + 0.5) / 100.0));
            let wanted = parts.map(|worth| takes(arm, worth)).sum::<f64>() / 100.0;
            assert!((found.discount - wanted).abs() < 70.0, "arm {arm} at {usual}: {found:?}, {wanted}");
        }
    }
}

/// A shop that books discounts twice does not make an offer dearer than its terms.
#[test]
fn an_offer_never_costs_more_than_its_terms() {
    let sale = learnt(2.0);
    for usual in [0.0, 3_500.0, 8_500.0, 1e9, f64::NAN] {
        let means = sale.means(&[usual]);
        assert!(means[0].discount.abs() < 1e-12, "no offer takes nothing");
        let spends = sale.baskets.as_ref().expect("terms are known").spends(&[usual]);
        let worth = spends.iter().sum::<f64>() / spends.len() as f64;
        assert!(means[1].discount <= 0.2 * worth * (1.0 + 1e-9), "{usual}: {:?} of {worth}", means[1]);
        assert!(means[2].discount <= 1_000.0, "{usual}: {:?}", means[2]);
    }
    assert!(sale.means(&[8_500.0])[2].discount > 900.0, "and not much less");
}
