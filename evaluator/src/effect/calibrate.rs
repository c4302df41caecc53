//! Predicted probabilities brought to what was measured.

use boost::{Linear, Matrix, Sample, logistic};
use serde::{Deserialize, Serialize};

use super::model::isotonic;

/// What turns a predicted probability into a calibrated one; never falls as the prediction grows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Calibration {
    /// The prediction as it is.
    #[default]
    AsIs,
    /// A logistic curve of its log odds (Platt 1999).
    Platt(Linear),
    /// Straight lines between points of an isotonic regression (Zadrozny and Elkan 2002): prediction and probability.
    Isotonic(Vec<(f64, f64)>),
}

/// A prediction, what happened (0 or 1), and how many rows it stands for.
pub type Seen = (f64, f64, f64);

/// Fewer rows calibrate nothing.
const LEAST_ROWS: usize = 500;
/// Penalty on the curve's slope, in rows.
const L2: f64 = 1.0;
/// Least rows of one point: an isotonic regression ends in steps of a few rows each, which are chance.
const POINT: usize = 100;

impl Calibration {
    /// The kind that comes closest (Brier's score) to what happened in folds it was not fitted to. `seen` are rows no
    /// model of the predictions had seen, in the `folds` of the same place, numbered below `count`.
    pub fn choose(seen: &[Seen], folds: &[usize], count: usize) -> Self {
        if seen.len() < LEAST_ROWS {
            return Self::AsIs;
        }
        let part = |fold: usize, inside: bool| -> Vec<Seen> {
            let rows = seen.iter().zip(folds).filter(|(_, of)| (**of == fold) == inside);
            rows.map(|(row, _)| *row).collect()
        };
        let kinds: [fn(&[Seen]) -> Self; 3] = [|_| Self::AsIs, Self::platt, Self::isotonic];
        let mut errors = [0.0; 3];
        for fold in 0..count {
            let (others, own) = (part(fold, false), part(fold, true));
            for (error, kind) in errors.iter_mut().zip(kinds) {
                let fitted = kind(&others);
                *error += own.iter().map(|(p, hit, n)| n * (fitted.apply(*p) - hit).powi(2)).sum::<f64>();
            }
        }
        let best = (0..3).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap_or(0);
        kinds[best](seen)
    }

    /// The calibrated probability.
    pub fn apply(&self, prediction: f64) -> f64 {
        match self {
            Self::AsIs => prediction,
            Self::Platt(curve) => curve.predict(&[log_odds(prediction)]),
            Self::Isotonic(points) => between(points, prediction),
        }
    }

    fn platt(seen: &[Seen]) -> Self {
        let odds = seen.iter().map(|(prediction, ..)| log_odds(*prediction)).collect();
        let hits: Vec<f64> = seen.iter().map(|(_, hit, _)| *hit).collect();
        let weights: Vec<f64> = seen.iter().map(|(.., weight)| *weight).collect();
        let Ok(features) = Matrix::new(odds, seen.len(), 1) else { return Self::AsIs };
        match logistic(&Sample::weighted(&features, &hits, &weights), L2) {
            Ok(curve) if curve.coefficients[1] >= 0.0 => Self::Platt(curve),
            // What falls as it should rise is better left alone.
            _ => Self::AsIs,
        }
    }

    fn isotonic(seen: &[Seen]) -> Self {
        let mut sorted = seen.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut predictions, mut measured) = (Vec::new(), Vec::new());
        for rows in sorted.chunks(POINT) {
            let total: f64 = rows.iter().map(|(.., n)| n).sum();
            let mean = |of: fn(&Seen) -> f64| rows.iter().map(|row| row.2 * of(row)).sum::<f64>() / total;
            predictions.push(mean(|row| row.0));
            measured.push((mean(|row| row.1), total));
        }
        let ordered = isotonic(&measured);
        Self::Isotonic(predictions.into_iter().zip(ordered).collect())
    }
}

fn log_odds(probability: f64) -> f64 {
    let probability = probability.clamp(1e-9, 1.0 - 1e-9);
    (probability / (1.0 - probability)).ln()
}

/// The height at `x` of straight lines between ascending `points`; level beyond them.
fn between(points: &[(f64, f64)], x: f64) -> f64 {
    let above = points.partition_point(|(at, _)| *at < x);
    match (above.checked_sub(1).and_then(|below| points.get(below)), points.get(above)) {
        (Some(&(x0, y0)), Some(&(x1, y1))) if x1 > x0 => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        (_, Some(&(_, y))) | (Some(&(_, y)), None) => y,
        (None, None) => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows whose true probability is a function of the prediction; whole numbers stand for chance.
    fn rows(truth: fn(f64) -> f64) -> (Vec<Seen>, Vec<usize>) {
        let row = |i: u32| {
            let prediction = f64::from(i * 7_919 % 1_000) / 1_000.0;
            let hit = f64::from(u8::from(f64::from(i * 104_729 % 997) / 997.0 < truth(prediction)));
            (prediction, hit, 1.0)
        };
        ((0..20_000).map(row).collect(), (0..20_000).map(|i| i / 7 % 4).collect())
    }

    #[test]
    fn what_is_off_is_put_right_and_what_is_right_is_left() {
        let truths: [fn(f64) -> f64; 3] = [|p| p, |p| p * p, |p| if p < 0.5 { 0.1 } else { 0.7 }];
        for truth in truths {
            let (seen, folds) = rows(truth);
            let found = Calibration::choose(&seen, &folds, 4);
            for p in [0.1, 0.3, 0.7, 0.9] {
                assert!((found.apply(p) - truth(p)).abs() < 0.06, "{p}: {} not {}", found.apply(p), truth(p));
            }
            let mut last = 0.0;
            for step in 0..=100 {
                let next = found.apply(f64::from(step) / 100.0);
                assert!(next >= last - 1e-12, "never falls");
                last = next;
            }
        }
        assert_eq!(Calibration::choose(&rows(|p| p).0[..100], &[0; 100], 4), Calibration::AsIs);
    }
}
