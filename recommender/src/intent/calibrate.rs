//! Scores made into probabilities that come true as often as they say.

use serde::{Deserialize, Serialize};

use super::probability;

/// What a rate is kept from 0 and 1 by, in rows.
const LEAST: f64 = 0.5;

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// The scores are log-odds already.
    Identity,
    /// A straight line through the log-odds (Platt 1999).
    Platt,
    /// The best rates that never fall as scores rise (Zadrozny and Elkan 2002).
    Isotonic,
}

impl Calibration {
    pub(super) const ALL: [Self; 3] = [Self::Identity, Self::Platt, Self::Isotonic];
}

/// A fitted calibration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Calibrator {
    Identity,
    Line { slope: f64, intercept: f64 },
    Steps { scores: Vec<f64>, rates: Vec<f64> },
}

impl Calibrator {
    /// Fits on `scores` (log-odds) of rows the scoring model has not seen.
    pub(super) fn fit(how: Calibration, scores: &[f64], outcomes: &[bool]) -> Self {
        match how {
            Calibration::Identity => Self::Identity,
            Calibration::Platt => line(scores, outcomes),
            Calibration::Isotonic => steps(scores, outcomes),
        }
    }

    pub(super) fn probability(&self, score: f64) -> f64 {
        match self {
            Self::Identity => probability(score),
            Self::Line { slope, intercept } => probability(slope * score + intercept),
            Self::Steps { scores, rates } => between(scores, rates, score),
        }
    }
}

/// Linear between the steps' middles, so that no two scores of different rank are made equal without need.
fn between(scores: &[f64], rates: &[f64], score: f64) -> f64 {
    let above = scores.partition_point(|at| *at < score);
    match (above.checked_sub(1), scores.get(above)) {
        (None, _) => rates.first().copied().unwrap_or(0.5),
        (Some(below), None) => rates[below],
        (Some(below), Some(high)) => {
            let low = scores[below];
            let share = if *high > low { (score - low) / (high - low) } else { 1.0 };
            rates[below] + share * (rates[above] - rates[below])
        }
    }
}

/// Newton's steps on the two parameters, with a little ridge towards (1, 0).
fn line(scores: &[f64], outcomes: &[bool]) -> Calibrator {
    let (mut slope, mut intercept) = (1.0, 0.0);
    for _ in 0..50 {
        let (mut g, mut h) = ([slope - 1.0, intercept], [1.0, 0.0, 1.0]);
        for (score, came) in scores.iter().zip(outcomes) {
            let p = probability(slope * score + intercept);
            let (error, weight) = (p - f64::from(*came), p * (1.0 - p));
            g = [g[0] + error * score, g[1] + error];
            h = [h[0] + weight * score * score, h[1] + weight * score, h[2] + weight];
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        let step = [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant];
        if !step.iter().all(|part| part.is_finite()) {
            break;
        }
        slope -= step[0].clamp(-2.0, 2.0);
        intercept -= step[1].clamp(-2.0, 2.0);
        if step.iter().all(|part| part.abs() < 1e-9) {
            break;
        }
    }
    Calibrator::Line { slope: slope.max(0.0), intercept }
}

/// A run of rows with one rate.
struct Block {
    sum_of_scores: f64,
    positives: f64,
    rows: f64,
}

impl Block {
    fn rate(&self) -> f64 {
        let least = LEAST / (self.rows + 1.0);
        (self.positives / self.rows).clamp(least, 1.0 - least)
    }
}

/// Pool adjacent violators.
fn steps(scores: &[f64], outcomes: &[bool]) -> Calibrator {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut blocks: Vec<Block> = Vec::new();
    for tied in order.chunk_by(|a, b| scores[*a].total_cmp(&scores[*b]).is_eq()) {
        let rows = tied.len() as f64;
        let positives = tied.iter().filter(|row| outcomes[**row]).count() as f64;
        let mut block = Block { sum_of_scores: scores[tied[0]] * rows, positives, rows };
        while let Some(before) =
            blocks.pop_if(|before| before.positives / before.rows >= block.positives / block.rows)
        {
            block.sum_of_scores += before.sum_of_scores;
            block.positives += before.positives;
            block.rows += before.rows;
        }
        blocks.push(block);
    }
    Calibrator::Steps {
        scores: blocks.iter().map(|block| block.sum_of_scores / block.rows).collect(),
        rates: blocks.iter().map(Block::rate).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violators_are_pooled() {
        // Rates by score 0, 1, 2, 3: 0, 1, ½, 1 → the middle two are pooled to ⅔.
        let scores = [0.0, 0.0, 1.0, 2.0, 2.0, 3.0, 3.0];
        let outcomes = [false, false, true, true, false, true, true];
        let Calibrator::Steps { scores, rates } = steps(&scores, &outcomes) else { panic!("steps") };
        assert_eq!(scores, [0.0, 5.0 / 3.0, 3.0]);
        assert!((rates[1] - 2.0 / 3.0).abs() < 1e-12, "{rates:?}");
        assert!(rates[0] > 0.0 && rates[2] < 1.0, "never certain: {rates:?}");
    }

    #[test]
    fn a_line_finds_how_much_too_sure_the_scores_are() {
        // True log-odds are half of what the scores say.
        let (mut scores, mut outcomes) = (Vec::new(), Vec::new());
        for score in [-4.0_f64, -2.0, 2.0, 4.0] {
            let came = (1000.0 * probability(score / 2.0)).round() as usize;
            scores.extend([score; 1000]);
            outcomes.extend((0..1000).map(|row| row < came));
        }
        let Calibrator::Line { slope, intercept } = line(&scores, &outcomes) else { panic!("a line") };
        assert!((slope - 0.5).abs() < 0.01 && intercept.abs() < 0.01, "{slope} {intercept}");
    }
}
