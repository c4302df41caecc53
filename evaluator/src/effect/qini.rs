//! How well predicted effects rank people.
//!
//! The Qini curve (Radcliffe 2007) tells, having treated the k best ranked, the successes gained:
//! Y_t − Y_c·N_t/N_c. It is drawn at distinct scores only: people with the same score come together, whatever the order
//! of the rows.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// One row: its predicted effect, whether it was treated, and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Predicted effect.
    pub score: f64,
    /// Whether it was treated.
    pub treated: bool,
    /// Its outcome.
    pub outcome: f64,
}

/// The Qini coefficient with what is needed to judge it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Qini {
    /// Area between curve and diagonal, as a share of that of the curve which ranks treated successes first and
    /// untreated successes last: scikit-uplift's `qini_auc_score`.
    pub coefficient: f64,
    /// Bootstrap standard error of the coefficient.
    pub standard_error: f64,
    /// Mean outcome of the treated less that of the control among the third ranked best.
    pub uplift_at_30: f64,
}

/// Draws of the bootstrap.
const DRAWS: usize = 200;

/// Ranks once, then measures.
pub fn qini(rows: &[Ranked], seed: u64) -> Qini {
    let mut order: Vec<&Ranked> = rows.iter().collect();
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    // The perfect order is fixed by treatment and outcome alone.
    let mut perfect: Vec<Ranked> = rows
        .iter()
        .map(|row| Ranked { score: if row.treated { row.outcome } else { -row.outcome }, ..*row })
        .collect();
    perfect.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut random = StdRng::seed_from_u64(seed);
    let coefficient = coefficient(order.iter().map(|row| (**row, 1.0)), perfect.iter().map(|r| (*r, 1.0)));
    let draws: Vec<f64> = (0..DRAWS)
        .map(|_| {
            // Drawn with replacement, within each group of equal treatment and outcome alike in both orders: the
            // counts of the perfect order follow from the draw.
            let weights: Vec<f64> = (0..order.len()).map(|_| poisson_one(&mut random)).collect();
            let drawn: Vec<(Ranked, f64)> =
                order.iter().zip(&weights).filter(|(_, w)| **w > 0.0).map(|(r, w)| (**r, *w)).collect();
            let mut ideal: Vec<(Ranked, f64)> = drawn
                .iter()
                .map(|(row, weight)| {
                    (Ranked { score: if row.treated { row.outcome } else { -row.outcome }, ..*row }, *weight)
                })
                .collect();
            ideal.sort_by(|a, b| b.0.score.total_cmp(&a.0.score));
            self::coefficient(drawn.into_iter(), ideal.into_iter())
        })
        .collect();
    let mean = draws.iter().sum::<f64>() / DRAWS as f64;
    let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / (DRAWS as f64 - 1.0);
    Qini { coefficient, standard_error: variance.sqrt(), uplift_at_30: uplift_at(&order, 0.3) }
}

/// Poisson(1): how often a row is drawn in a bootstrap of many rows.
fn poisson_one(random: &mut StdRng) -> f64 {
    let mut left = random.random::<f64>();
    let mut chance = (-1.0_f64).exp();
    let mut count = 0.0;
    while left > chance && count < 20.0 {
        left -= chance;
        count += 1.0;
        chance /= count;
    }
    count
}

fn coefficient(
    ranked: impl Iterator<Item = (Ranked, f64)>,
    ideal: impl Iterator<Item = (Ranked, f64)>,
) -> f64 {
    let (actual, end, total) = area(ranked);
    let (best, ..) = area(ideal);
    let diagonal = 0.5 * end * total;
    let room = best - diagonal;
    if room.abs() > 0.0 { (actual - diagonal) / room } else { 0.0 }
}

/// Area under the Qini curve of rows in descending order, its last value, and the number of rows.
fn area(rows: impl Iterator<Item = (Ranked, f64)>) -> (f64, f64, f64) {
    let (mut area, mut before, mut place_before) = (0.0, 0.0, 0.0);
    let (mut treated, mut control, mut hits, mut control_hits) = (0.0, 0.0, 0.0, 0.0);
    let mut rows = rows.peekable();
    while let Some((row, weight)) = rows.next() {
        if row.treated {
            treated += weight;
            hits += weight * row.outcome;
        } else {
            control += weight;
            control_hits += weight * row.outcome;
        }
        #[allow(clippy::float_cmp)] // Ties are equal scores, to the bit.
        if rows.peek().is_some_and(|(next, _)| next.score == row.score) {
            continue;
        }
        let value = hits - if control > 0.0 { control_hits * treated / control } else { 0.0 };
        let place = treated + control;
        area += 0.5 * (value + before) * (place - place_before);
        (before, place_before) = (value, place);
    }
    (area, before, place_before)
}

fn uplift_at(order: &[&Ranked], share: f64) -> f64 {
    let count = (order.len() as f64 * share) as usize;
    let mean = |treated: bool| {
        let of = || order[..count].iter().filter(move |row| row.treated == treated);
        of().map(|row| row.outcome).sum::<f64>() / of().count().max(1) as f64
    };
    mean(true) - mean(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(score: f64, treated: bool, outcome: f64) -> Ranked {
        Ranked { score, treated, outcome }
    }

    /// By hand: the curve (0,0) (2,1) (4,0) has area 2 and the diagonal ends at 0; the perfect one, (0,0) (1,1) (3,1)
    /// (4,0), has area 3.
    #[test]
    fn the_coefficient_is_the_curves_area_over_the_perfect_ones() {
        let rows = [row(2.0, true, 1.0), row(2.0, false, 0.0), row(1.0, true, 0.0), row(1.0, false, 1.0)];
        let found = qini(&rows, 1);
        assert!((found.coefficient - 2.0 / 3.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn tied_scores_do_not_depend_on_the_order_of_rows() {
        let mut rows: Vec<Ranked> = (0..400_u32)
            .map(|i| row(f64::from(i % 4), i % 2 == 0, f64::from(u8::from(i % 7 == 0))))
            .collect();
        let first = qini(&rows, 3).coefficient;
        rows.reverse();
        assert!((qini(&rows, 3).coefficient - first).abs() < 1e-12);
        // One score for all ranks nobody.
        let level: Vec<Ranked> = rows.iter().map(|r| Ranked { score: 1.0, ..*r }).collect();
        assert!(qini(&level, 3).coefficient.abs() < 1e-12);
    }
}
