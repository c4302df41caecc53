//! How well predicted effects rank people.
//!
//! The Qini curve (Radcliffe 2007) tells, having treated the k best ranked, the successes gained:
//! Y_t − Y_c·N_t/N_c. The uplift curve (Jaśkowski and Jaroszewicz 2012) tells (Y_t/N_t − Y_c/N_c)·k. Both are drawn at
//! distinct scores only: people with the same score come together, whatever the order of the rows.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::average::LEVEL;
use crate::stats::{Interval, normal};

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

/// How good a ranking is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranking {
    /// The Qini coefficient: the area between curve and diagonal, as a share of that of the curve which ranks treated
    /// successes first and untreated successes last (scikit-uplift's `qini_auc_score`). The interval is ±z standard
    /// errors of a bootstrap.
    pub qini: Interval,
    /// Bootstrap standard error of the coefficient.
    pub standard_error: f64,
    /// The same of the uplift curve, for outcomes of 0 and 1 (scikit-uplift's `uplift_auc_score`).
    pub auuc: Option<f64>,
    /// Mean outcome of the treated less that of the control among the three tenths ranked best.
    pub uplift_at_30: f64,
}

/// Draws of the bootstrap.
const DRAWS: usize = 200;

/// A curve of sums over the treated and the control: (Y_t, N_t, Y_c, N_c).
type Curve = fn([f64; 4]) -> f64;

/// Ranks `rows` by their scores.
pub fn ranking(rows: &[Ranked], seed: u64) -> Ranking {
    let order = descending(rows, |row| row.score);
    // The perfect order is fixed by treatment and outcome alone.
    let best = |row: &Ranked| if row.treated { row.outcome } else { -row.outcome };
    let perfect = descending(rows, best);
    let coefficient = |weights: &[f64]| {
        let actual = area(rows, &order, weights, |row| row.score, gained);
        share(actual, area(rows, &perfect, weights, best, gained))
    };
    let mut random = StdRng::seed_from_u64(seed);
    let draws: Vec<f64> = (0..DRAWS)
        .map(|_| coefficient(&(0..rows.len()).map(|_| poisson_one(&mut random)).collect::<Vec<_>>()))
        .collect();
    let mean = draws.iter().sum::<f64>() / DRAWS as f64;
    let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / (DRAWS as f64 - 1.0);
    let once = vec![1.0; rows.len()];
    let z = normal::quantile(f64::midpoint(1.0, LEVEL));
    Ranking {
        qini: Interval::around(coefficient(&once), z * variance.sqrt(), LEVEL),
        standard_error: variance.sqrt(),
        auuc: auuc(rows, &order, &once),
        uplift_at_30: uplift_at(rows, &order, 0.3),
    }
}

/// See [`Ranking::auuc`].
fn auuc(rows: &[Ranked], order: &[usize], once: &[f64]) -> Option<f64> {
    if !rows.iter().all(|row| row.outcome == 0.0 || (row.outcome - 1.0).abs() == 0.0) {
        return None;
    }
    let hit = |row: &Ranked| row.outcome > 0.5;
    let lost = rows.iter().filter(|row| !row.treated && hit(row)).count();
    let idle = rows.iter().filter(|row| row.treated && !hit(row)).count();
    // Treated successes, then untreated failures; of the other two kinds the rarer comes last.
    let best = |row: &Ranked| {
        let last = if lost > idle { hit(row) } else { row.treated };
        2.0 * f64::from(u8::from(hit(row) == row.treated)) + f64::from(u8::from(last))
    };
    let actual = area(rows, order, once, |row| row.score, uplifted);
    Some(share(actual, area(rows, &descending(rows, best), once, best, uplifted)))
}

fn descending(rows: &[Ranked], score: impl Fn(&Ranked) -> f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| score(&rows[b]).total_cmp(&score(&rows[a])));
    order
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

fn gained([hits, treated, control_hits, control]: [f64; 4]) -> f64 {
    hits - if control > 0.0 { control_hits * treated / control } else { 0.0 }
}

fn uplifted([hits, treated, control_hits, control]: [f64; 4]) -> f64 {
    let mean = |sum: f64, count: f64| if count > 0.0 { sum / count } else { 0.0 };
    (mean(hits, treated) - mean(control_hits, control)) * (treated + control)
}

/// What lies between an area and its diagonal, as a share of what lies between the perfect one and the diagonal.
fn share((actual, diagonal): (f64, f64), (perfect, _): (f64, f64)) -> f64 {
    let room = perfect - diagonal;
    if room.abs() > 0.0 { (actual - diagonal) / room } else { 0.0 }
}

/// Area under a curve over rows in `order`, each `weights` times, and under the straight line to its end.
fn area(
    rows: &[Ranked],
    order: &[usize],
    weights: &[f64],
    score: impl Fn(&Ranked) -> f64,
    curve: Curve,
) -> (f64, f64) {
    let (mut area, mut before, mut place_before) = (0.0, 0.0, 0.0);
    let mut sums = [0.0; 4];
    for (at, &index) in order.iter().enumerate() {
        let (row, weight) = (&rows[index], weights[index]);
        let of = if row.treated { 0 } else { 2 };
        sums[of] += weight * row.outcome;
        sums[of + 1] += weight;
        #[allow(clippy::float_cmp)] // Ties are equal scores, to the bit.
        if order.get(at + 1).is_some_and(|&next| score(&rows[next]) == score(row)) {
            continue;
        }
        let (value, place) = (curve(sums), sums[1] + sums[3]);
        area += 0.5 * (value + before) * (place - place_before);
        (before, place_before) = (value, place);
    }
    (area, 0.5 * before * place_before)
}

fn uplift_at(rows: &[Ranked], order: &[usize], share: f64) -> f64 {
    let best = &order[..(order.len() as f64 * share) as usize];
    let mean = |treated: bool| {
        let of = || best.iter().map(|&index| &rows[index]).filter(move |row| row.treated == treated);
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
        let found = ranking(&rows, 1);
        assert!((found.qini.estimate - 2.0 / 3.0).abs() < 1e-12, "{found:?}");
    }

    /// scikit-uplift 0.5.1 on the same thousand rows.
    #[test]
    fn coefficients_equal_scikit_uplifts() {
        let rows: Vec<Ranked> = (0..1_000_u32)
            .map(|i| {
                let score = f64::from(i * 7919 % 997) / 997.0;
                let treated = i * 31 % 10 < 6;
                let bound = 10.0 + if treated { 20.0 * score } else { 0.0 };
                row(score, treated, f64::from(u8::from(f64::from(i * 104_729 % 101) < bound)))
            })
            .collect();
        let found = ranking(&rows, 1);
        assert!((found.qini.estimate - 0.126_551_332_672_253_24).abs() < 1e-12, "{found:?}");
        assert!((found.auuc.expect("proportions") - 0.070_272_074_852_885_63).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn tied_scores_do_not_depend_on_the_order_of_rows() {
        let mut rows: Vec<Ranked> = (0..400_u32)
            .map(|i| row(f64::from(i % 4), i % 2 == 0, f64::from(u8::from(i % 7 == 0))))
            .collect();
        let first = ranking(&rows, 3).qini.estimate;
        rows.reverse();
        assert!((ranking(&rows, 3).qini.estimate - first).abs() < 1e-12);
        // One score for all ranks nobody.
        let level: Vec<Ranked> = rows.iter().map(|r| Ranked { score: 1.0, ..*r }).collect();
        assert!(ranking(&level, 3).qini.estimate.abs() < 1e-12);
    }
}
