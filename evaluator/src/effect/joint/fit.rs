//! Coefficients and their prior, by turns.

use boost::Objective;
use boost::linear::{Cholesky, add_gram, scores};

use super::basis::Basis;
use super::baskets::Baskets;
use super::layout::{Layout, Part};
use super::line::Lesson;
use super::prior::Prior;

/// Times the rows are looked at to learn the prior, and times it is learnt from each look: at the coefficients found, the
/// log-likelihood is taken for the parabola it is near to.
const ROUNDS: (usize, usize) = (6, 5);
/// Newton steps before the prior is first learnt, between, and at last: a prior learnt near the mode is as good as one
/// learnt at it.
const STEPS: (usize, usize, usize) = (4, 1, 3);
/// A step that moves no coefficient by more, in standard deviations of a prior of precision 1, ends the descent.
const TOLERANCE: f64 = 1e-4;
/// Least noise of an amount, of its variance: beside what is told exactly, a prior is lost in rounding.
const LEAST_NOISE: f64 = 1e-6;

/// The rows with what the model makes of them.
pub(super) struct Rows<'a> {
    pub(super) basis: &'a Basis,
    pub(super) layout: &'a Layout,
    pub(super) lesson: Lesson<'a>,
    pub(super) baskets: Option<&'a Baskets>,
}

/// The rows of one arm.
struct OfArm {
    basis: Vec<f64>,
    /// Length of a row's basis.
    width: usize,
    values: Vec<f64>,
    parts: Vec<Part>,
}

/// Log-likelihood, its gradient, and its negative Hessian, by the coefficients.
struct Look {
    likelihood: f64,
    gradient: Vec<f64>,
    curvature: Vec<f64>,
}

/// Most of a precision that what the rows leave open is judged by. A function of the basis the rows did not speak for is
/// taken for nothing, which predicts best; to be certain of it would be never to find out.
const DOUBTED: f64 = 100.0;

/// The coefficients, and the root of the precision with which they are known; `None` where there is no curvature to go by.
pub(super) fn fit(rows: &Rows<'_>) -> Option<(Vec<f64>, Cholesky)> {
    let Lesson { values, objective, .. } = rows.lesson;
    let n = rows.layout.coefficients();
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).max(1e-12);
    // A prior of precision 1 has the spread of the outcome itself.
    let unit = match objective {
        Objective::Logistic => 1.0,
        Objective::Squared => variance.recip(),
    };
    let by_arm = split(rows);
    let mut noise = variance;
    let slopes = Basis::width(rows.lesson.features.columns() - rows.lesson.of_time, false);
    let together = Cholesky::new(&rows.lesson.steps.together, rows.layout.steps)?;
    let mut prior = Prior::new(rows.layout, slopes, together.inverse(), unit);
    let mut beta = vec![0.0; n];
    beta[0] = match objective {
        Objective::Logistic => {
            let rate = mean.clamp(1e-6, 1.0 - 1e-6);
            (rate / (1.0 - rate)).ln()
        }
        Objective::Squared => mean,
    };
    let mut steps = STEPS.0;
    for _ in 0..ROUNDS.0 {
        let (look, mut solved) = descend(rows, &by_arm, &prior, noise, unit, steps, &mut beta)?;
        steps = STEPS.1;
        let along = |row: usize| look.curvature[row * n..(row + 1) * n].iter().zip(&beta);
        let goal: Vec<f64> =
            (0..n).map(|row| look.gradient[row] + along(row).map(|(c, b)| c * b).sum::<f64>()).collect();
        for lap in 0..ROUNDS.1 {
            let told = prior.learn(&beta, &solved.inverse());
            if lap == 0 && objective == Objective::Squared {
                let missed =
                    -2.0 * noise * (look.likelihood + 0.5 * count * (std::f64::consts::TAU * noise).ln());
                noise = (missed / (count - told).max(1.0)).max(LEAST_NOISE * variance);
            }
            solved = Cholesky::new(&prior.added_to(&look.curvature), n)?;
            beta = solved.solve(&goal);
        }
    }
    let (look, _) = descend(rows, &by_arm, &prior, noise, unit, STEPS.2, &mut beta)?;
    let known = Cholesky::new(&prior.at_most(DOUBTED).added_to(&look.curvature), n)?;
    Some((beta, known))
}

fn split(rows: &Rows<'_>) -> Vec<OfArm> {
    let Lesson { features, action, steps, values, .. } = rows.lesson;
    let baskets = rows.baskets;
    let of_arm = |(arm, steps): (usize, &Vec<usize>)| {
        let felt = baskets.is_some_and(|baskets| baskets.is_felt(arm));
        let (width, parts) = (rows.layout.length(felt), rows.layout.parts(steps, felt));
        OfArm { basis: Vec::new(), width, values: Vec::new(), parts }
    };
    let mut by_arm: Vec<OfArm> = steps.to.iter().enumerate().map(of_arm).collect();
    for (row, &arm) in action.iter().enumerate() {
        let person = features.row(row);
        let felt = baskets.filter(|baskets| baskets.is_felt(arm));
        let felt = felt.and_then(|baskets| baskets.felt(&baskets.spends(person))[arm]);
        by_arm[arm].basis.extend(rows.layout.of_arm(rows.basis.of(person), felt));
        by_arm[arm].values.push(values[row]);
    }
    by_arm
}

/// Newton's method with halved steps, from `beta`.
fn descend(
    rows: &Rows<'_>,
    by_arm: &[OfArm],
    prior: &Prior,
    noise: f64,
    unit: f64,
    steps: usize,
    beta: &mut Vec<f64>,
) -> Option<(Look, Cholesky)> {
    let n = beta.len();
    let told = |beta: &[f64]| -0.5 * prior.times(beta).iter().zip(beta).map(|(p, b)| p * b).sum::<f64>();
    let mut here = look(rows, by_arm, noise, beta, true);
    for step in 0.. {
        let solved = Cholesky::new(&prior.added_to(&here.curvature), n)?;
        let held = prior.times(beta);
        let slope: Vec<f64> = here.gradient.iter().zip(held).map(|(up, held)| up - held).collect();
        let move_by = solved.solve(&slope);
        let far = move_by.iter().fold(0.0, |far: f64, by| far.max(by.abs())) * unit.sqrt();
        if step == steps || far < TOLERANCE {
            return Some((here, solved));
        }
        let stand = here.likelihood + told(beta);
        let mut share = 1.0;
        loop {
            let tried: Vec<f64> = beta.iter().zip(&move_by).map(|(b, by)| b + share * by).collect();
            if look(rows, by_arm, noise, &tried, false).likelihood + told(&tried) >= stand {
                *beta = tried;
                break;
            }
            share /= 2.0;
            if share < 1e-4 {
                return Some((here, solved));
            }
        }
        here = look(rows, by_arm, noise, beta, true);
    }
    None
}

/// All parts of one arm share its rows' basis, so that one Gram matrix an arm is all there is to sum over rows.
fn look(rows: &Rows<'_>, by_arm: &[OfArm], noise: f64, beta: &[f64], whole: bool) -> Look {
    let n = beta.len();
    let objective = rows.lesson.objective;
    let scale = match objective {
        Objective::Logistic => 1.0,
        Objective::Squared => noise.recip(),
    };
    let mut found = Look { likelihood: 0.0, gradient: vec![0.0; n], curvature: Vec::new() };
    if whole {
        found.curvature = vec![0.0; n * n];
    }
    for OfArm { basis, width, values, parts } in by_arm {
        let width = *width;
        let mut line = vec![0.0; width];
        for &Part { from, length, at } in parts {
            line[at..at + length].iter_mut().zip(&beta[from..]).for_each(|(sum, b)| *sum += b);
        }
        let (mut slope, mut gram) = (vec![0.0; width], vec![0.0; if whole { width * width } else { 0 }]);
        let mut seconds = Vec::with_capacity(if whole { values.len() } else { 0 });
        for ((x, value), score) in basis.chunks_exact(width).zip(values).zip(scores(basis, &line)) {
            found.likelihood -= scale * objective.loss(score, *value);
            if whole {
                let (first, second) = objective.derivatives(score, *value);
                slope.iter_mut().zip(x).for_each(|(sum, x)| *sum -= scale * first * x);
                seconds.push(scale * second);
            }
        }
        add_gram(&mut gram, width, basis, &seconds);
        if objective == Objective::Squared {
            found.likelihood -= 0.5 * values.len() as f64 * (std::f64::consts::TAU * noise).ln();
        }
        if whole {
            spread(&mut found, &slope, &gram, parts, width);
        }
    }
    found
}

/// Adds what one arm's rows say to every part that speaks for the arm.
fn spread(found: &mut Look, slope: &[f64], gram: &[f64], parts: &[Part], width: usize) {
    let n = found.gradient.len();
    let of = |i: usize, j: usize| if i >= j { gram[i * width + j] } else { gram[j * width + i] };
    for part in parts {
        (0..part.length).for_each(|i| found.gradient[part.from + i] += slope[part.at + i]);
        for beside in parts {
            for i in 0..part.length {
                for j in 0..beside.length {
                    found.curvature[(part.from + i) * n + beside.from + j] += of(part.at + i, beside.at + j);
                }
            }
        }
    }
}
