use boost::Matrix;
use proto::common::v1::{Money, Offer};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

/// Six features, of which the first moves what the arms do and the others nothing; the arms are a family of depths.
fn drawn(rows: usize, curved: bool, seed: u64) -> (Matrix, Vec<usize>, Vec<f64>, Vec<Vec<f64>>) {
    let mut random = StdRng::seed_from_u64(seed);
    let arms: Vec<Vec<f64>> = [0.0, 0.05, 0.1, 0.2].into_iter().map(|depth| vec![depth]).collect();
    let (mut features, mut action, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let row: Vec<f64> = (0..6).map(|_| random.random_range(-1.7..1.7)).collect();
        let arm = random.random_range(0..4);
        let chance = truth(&row, arms[arm][0], curved);
        features.extend(&row);
        action.push(arm);
        values.push(f64::from(u8::from(random.random_bool(chance))));
    }
    (Matrix::new(features, rows, 6).expect("finite"), action, values, arms)
}

/// The steps to arms of one family.
fn family(arms: &[Vec<f64>]) -> Steps {
    Steps::new(&arms.iter().map(|depth| ("percent".to_owned(), depth[0])).collect::<Vec<_>>())
}

/// What is learnt from rows of arms of one family.
fn lesson<'a>(
    (features, action, steps): (&'a Matrix, &'a [usize], &'a Steps),
    values: &'a [f64],
    objective: Objective,
) -> Lesson<'a> {
    Lesson { features, of_time: 0, action, steps, values, objective, seed: 1 }
}

fn truth(row: &[f64], depth: f64, curved: bool) -> f64 {
    let bend = if curved { 3.0 * row[0] * row[1] } else { 0.0 };
    boost::sigmoid(-2.0 + 0.4 * row[2] + depth * (2.0 + 4.0 * row[0] + bend))
}

fn misses(rows: usize, curved: bool) -> f64 {
    let (features, action, values, arms) = drawn(rows, curved, 3);
    let line = lesson((&features, &action, &family(&arms)), &values, Objective::Logistic).fit(None);
    let line = line.expect("fits");
    let (unseen, ..) = drawn(2_000, curved, 4);
    let effect = |row: &[f64]| line.predict(row, 3) - line.predict(row, 0);
    let wanted = |row: &[f64]| truth(row, 0.2, curved) - truth(row, 0.0, curved);
    let mean = (0..2_000).map(|row| wanted(unseen.row(row))).sum::<f64>() / 2_000.0;
    let (mut missed, mut of_mean) = (0.0, 0.0);
    for row in 0..2_000 {
        missed += (effect(unseen.row(row)) - wanted(unseen.row(row))).powi(2);
        of_mean += (mean - wanted(unseen.row(row))).powi(2);
    }
    missed / of_mean
}

#[test]
fn whom_the_arms_move_is_learnt_from_few_rows_and_how_from_more() {
    let missed = misses(20_000, false);
    assert!(missed < 0.15, "{missed} of the effects' variance is missed");
    let missed = misses(100_000, true);
    assert!(missed < 0.15, "{missed} where two features act together");
}

#[test]
fn amounts_are_learnt_up_to_their_noise() {
    let (features, action, _, arms) = drawn(3_000, false, 5);
    let mut random = StdRng::seed_from_u64(6);
    let wanted = |row: &[f64], arm: usize| 5_000.0 + 900.0 * row[1] - 6_000.0 * arms[arm][0];
    let values: Vec<f64> = (0..3_000)
        .map(|row| wanted(features.row(row), action[row]) + random.random_range(-1_000.0..1_000.0))
        .collect();
    let line = lesson((&features, &action, &family(&arms)), &values, Objective::Squared).fit(None);
    let line = line.expect("fits");
    for arm in 0..4 {
        let row = [0.3, -1.0, 0.0, 1.0, 0.5, f64::NAN];
        let missed = line.predict(&row, arm) - wanted(&row, arm);
        // Five standard errors of the mean of an arm's 750 rows.
        assert!(missed.abs() < 105.0, "arm {arm} misses by {missed}");
    }
}

/// On the first day every arm is as likely, on the second, when everybody buys more, all are given the deepest.
#[test]
fn what_a_day_does_is_not_taken_for_what_the_arm_given_on_it_does() {
    let mut random = StdRng::seed_from_u64(7);
    let arms: Vec<Vec<f64>> = [0.0, 0.2].into_iter().map(|depth| vec![depth]).collect();
    let (mut values, mut action, mut hits) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..40_000 {
        let second = row % 2 == 1;
        let arm = usize::from(second || random.random_bool(0.5));
        let (lift, season) = (if arm == 1 { 0.3 } else { 0.0 }, if second { 0.5 } else { 0.0 });
        values.extend([
            random.random_range(-1.0..1.0),
            f64::from(u8::from(!second)),
            f64::from(u8::from(second)),
        ]);
        action.push(arm);
        hits.push(f64::from(u8::from(random.random_bool(boost::sigmoid(-1.5 + lift + season)))));
    }
    let features = Matrix::new(values, 40_000, 3).expect("finite");
    let logit = |of_time: usize, row: &[f64], arm: usize| {
        let steps = family(&arms);
        let all = lesson((&features, &action, &steps), &hits, Objective::Logistic);
        let chance = Lesson { of_time, ..all }.fit(None).expect("fits").predict(row, arm);
        (chance / (1.0 - chance)).ln()
    };
    let first = [0.0, 1.0, 0.0];
    let lift = logit(2, &first, 1) - logit(2, &first, 0);
    // Five standard errors of two rates of a fifth over ten thousand rows each.
    assert!((lift - 0.3).abs() < 0.17, "{lift}");
    let unseen = logit(2, &[0.0, 0.0, 0.0], 0);
    assert!((unseen + 1.25).abs() < 0.15, "a day never seen lies between those that were: {unseen}");
}

/// Baskets that differ by a third, of which two fifths are margin: what a deeper discount costs of it is told apart although the
/// margin's own noise is larger.
#[test]
fn what_is_left_after_a_discount_is_learnt_from_few_sales() {
    let mut random = StdRng::seed_from_u64(8);
    let (features, action, _, arms) = drawn(2_000, false, 9);
    let basket = |row: &[f64]| 6_000.0 + 1_500.0 * row[1];
    let (mut event, mut profit, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..2_000 {
        let bought = random.random_bool(0.2);
        let sale = if bought { basket(features.row(row)) * random.random_range(0.5..1.5) } else { 0.0 };
        let discount = arms[action[row]][0] * sale;
        event.push(f64::from(u8::from(bought)));
        profit.push(0.4 * sale - discount);
        taken.push(discount);
    }
    let steps = family(&arms);
    let lesson = lesson((&features, &action, &steps), &profit, Objective::Squared);
    let missed = |of: Of<'_>| {
        let fitted = Joint::fit(lesson, of, None).expect("fits");
        let all = Lesson { values: &event, objective: Objective::Logistic, ..lesson };
        let chance = Joint::fit(all, Of::Itself, None).expect("fits");
        let of_row = |row: usize| {
            let x = features.row(row);
            let amount = |arm: usize| fitted.predict(x, arm) / chance.predict(x, arm);
            (amount(3) - amount(0) + 0.2 * basket(x)).powi(2)
        };
        ((0..2_000).map(of_row).sum::<f64>() / 2_000.0).sqrt()
    };
    let (apart, together) = (missed(Of::Left(&event, &taken)), missed(Of::Amount(&event)));
    assert!(apart < 0.9 * together && apart < 150.0, "{apart} apart, {together} together");
}

/// Of twenty thousand rows the posterior is as wide as the predictions of other twenty thousand lie apart.
#[test]
fn draws_lie_as_far_apart_as_predictions_of_other_rows() {
    let told = |seed: u64| {
        let (features, action, values, arms) = drawn(20_000, false, seed);
        let line = lesson((&features, &action, &family(&arms)), &values, Objective::Logistic).fit(None);
        Joint { first: line.expect("fits"), amounts: None, baskets: None }
    };
    let row = [0.8, 0.0, -0.5, 0.0, 0.3, 0.0];
    let effect = |joint: &Joint| joint.predict(&row, 3) - joint.predict(&row, 0);
    let deviation = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
    };
    let others: Vec<f64> = (20..36).map(|seed| effect(&told(seed))).collect();
    let one = told(20);
    let draws: Vec<f64> = one.deviations(&row).iter().map(|by| by[3]).collect();
    assert_eq!(draws.len(), super::line::DRAWS);
    // Standard deviations of 16 and of 64 are known to a fifth and a tenth; a prior makes predictions lie closer.
    let ratio = deviation(&draws) / deviation(&others);
    assert!((0.6..2.0).contains(&ratio), "{ratio}");
    assert!(one.deviations(&row).iter().all(|by| by[0] == 0.0), "the control has no effect");
    assert!(one.without_draws().deviations(&row).is_empty());
}

/// Every offer takes off just so much, and the square of a flag says no more than the flag.
#[test]
fn amounts_that_are_told_exactly_are_learnt_too() {
    let arms: Vec<Vec<f64>> = [0.0, 0.01, 0.2].into_iter().map(|depth| vec![depth]).collect();
    let rows = 600;
    let action: Vec<usize> = (0..rows).map(|row| row % 3).collect();
    let values: Vec<f64> = action.iter().map(|arm| [0.0, 100.0, 2_000.0][*arm]).collect();
    let flags = (0..rows).flat_map(|row| [f64::from(u8::from(row % 2 == 0)), 1.0]).collect();
    let features = Matrix::new(flags, rows, 2).expect("finite");
    let line = lesson((&features, &action, &family(&arms)), &values, Objective::Squared).fit(None);
    let line = line.expect("fits");
    for (arm, wanted) in [0.0, 100.0, 2_000.0].into_iter().enumerate() {
        let told = line.predict(&[1.0, 1.0], arm);
        assert!((told - wanted).abs() < 5.0, "{told} for {wanted}");
    }
}

/// Who spends 3 000 to 9 000 by their one feature; 10 off from 60 takes nothing from most and 1 000 from the others.
fn threshold(rows: usize) -> (Matrix, Vec<usize>, Vec<f64>, [Option<Offer>; 2]) {
    let mut random = StdRng::seed_from_u64(11);
    let money = |minor_units| Some(Money { currency_code: "USD".into(), minor_units });
    let offer = Offer { amount_off: money(1_000), min_spend: money(6_000), ..Offer::default() };
    let (mut features, mut action, mut worth) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        let usual = random.random_range(3_000.0..9_000.0);
        let arm = row % 2;
        let basket: f64 = usual * random.random_range(0.9..1.1);
        let lift = if arm == 1 && usual > 6_000.0 { 1.0 } else { 0.0 };
        let buys = random.random_bool(boost::sigmoid(-1.5 + lift));
        features.extend([usual, random.random_range(-1.0..1.0)]);
        action.push(arm);
        worth.push(if buys { basket } else { 0.0 });
    }
    (Matrix::new(features, rows, 2).expect("finite"), action, worth, [None, Some(offer)])
}

/// Offers that take nothing from who never reaches their least spend do nothing to them.
#[test]
fn who_never_reaches_an_offer_is_not_moved_by_it() {
    let (features, action, worth, offers) = threshold(8_000);
    let event: Vec<f64> = worth.iter().map(|worth| f64::from(u8::from(*worth > 0.0))).collect();
    let steps = Steps::new(&[(String::new(), 0.0), ("threshold".to_owned(), 0.15)]);
    let all = lesson((&features, &action, &steps), &event, Objective::Logistic);
    let purchases = Purchases { worth: &worth, offers: &offers };
    let chance = |purchases| Joint::fit(all, Of::Itself, purchases).expect("fits");
    let (knowing, blind) = (chance(Some(purchases)), chance(None));
    let effect =
        |joint: &Joint, usual: f64| joint.predict(&[usual, 0.0], 1) - joint.predict(&[usual, 0.0], 0);
    let true_one = boost::sigmoid(-0.5) - boost::sigmoid(-1.5);
    let missed = |joint: &Joint| {
        let of = |usual: f64| effect(joint, usual) - if usual > 6_000.0 { true_one } else { 0.0 };
        [3_200.0, 4_000.0, 4_800.0, 7_200.0, 8_000.0, 8_800.0]
            .map(|usual| of(usual).powi(2))
            .iter()
            .sum::<f64>()
    };
    assert!(effect(&knowing, 3_500.0).abs() < 1e-12, "nothing to feel");
    assert!(
        missed(&knowing) < 0.5 * missed(&blind),
        "{} knowing, {} blind",
        missed(&knowing),
        missed(&blind)
    );
    for absurd in [f64::NAN, -1e300, 0.0, 1e300] {
        assert!(effect(&knowing, absurd).is_finite(), "{absurd}");
    }
    assert!(
        knowing.deviations(&[3_500.0, 0.0]).iter().all(|by| by[1] == 0.0),
        "and nothing to be curious of"
    );
}

/// Two arms, of which the second was hardly ever given where the feature is large: its slope is nothing so far as the rows
/// tell, and whether it is must stay open.
#[test]
fn a_slope_the_rows_do_not_speak_for_stays_doubted() {
    let mut random = StdRng::seed_from_u64(12);
    let (mut features, mut action, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..6_000 {
        let x: f64 = random.random_range(-1.7..1.7);
        let arm = usize::from(x < -0.5 && random.random_bool(0.5));
        features.push(x);
        action.push(arm);
        values.push(f64::from(u8::from(random.random_bool(boost::sigmoid(-1.5)))));
    }
    let features = Matrix::new(features, 6_000, 1).expect("finite");
    let steps = Steps::new(&[(String::new(), 0.0), ("other".to_owned(), 0.1)]);
    let line = lesson((&features, &action, &steps), &values, Objective::Logistic).fit(None).expect("fits");
    let joint = Joint { first: line, amounts: None, baskets: None };
    let open = |x: f64| {
        let draws = joint.deviations(&[x]);
        (draws.iter().map(|by| by[1].powi(2)).sum::<f64>() / draws.len() as f64).sqrt()
    };
    // A slope of a tenth of a logit an x, and its square: what a sixth is worth in probability.
    assert!(
        open(1.6) > 1.5 * open(-1.0),
        "{} where it was never given, {} where it was",
        open(1.6),
        open(-1.0)
    );
    assert!(open(1.6) > 0.015, "{}", open(1.6));
}

/// 10 off from 60, of which every other is redeemed, and which half of those fill up to that lack little of it.
#[test]
fn what_an_offer_takes_follows_from_its_terms() {
    let (features, action, mut worth, offers) = threshold(12_000);
    let mut random = StdRng::seed_from_u64(13);
    let mut taken = vec![0.0; worth.len()];
    for row in (0..worth.len()).filter(|row| action[*row] == 1) {
        if (5_500.0..6_000.0).contains(&worth[row]) && random.random_bool(0.5) {
            worth[row] = 6_000.0;
        }
        if worth[row] >= 6_000.0 && random.random_bool(0.5) {
            taken[row] = 1_000.0;
        }
    }
    let event: Vec<f64> = worth.iter().map(|worth| f64::from(u8::from(*worth > 0.0))).collect();
    let steps = Steps::new(&[(String::new(), 0.0), ("threshold".to_owned(), 0.15)]);
    let left: Vec<f64> = worth.iter().zip(&taken).map(|(worth, taken)| worth - taken).collect();
    let all = lesson((&features, &action, &steps), &left, Objective::Squared);
    let purchases = Purchases { worth: &worth, offers: &offers };
    let missed = |purchases| {
        let sold = Sold { bought: &event, revenue: &left, profit: &left, discount: &taken };
        let sale = Sale::fit(all, sold, purchases).expect("fits");
        let of = |(usual, wanted): (f64, f64)| (sale.means(&[usual, 0.0])[1].discount - wanted).powi(2);
        // Purchases lie a tenth around what is usual.
        let wanted = [
            (3_500.0, 0.0),
            (4_500.0, 0.0),
            (5_750.0, 250.0),
            (6_000.0, 354.0),
            (7_500.0, 500.0),
            (8_500.0, 500.0),
        ];
        wanted.map(of).iter().sum::<f64>().sqrt()
    };
    let (knowing, blind) = (missed(Some(purchases)), missed(None));
    assert!(knowing < 90.0 && knowing < 0.5 * blind, "{knowing} knowing, {blind} blind");
}
