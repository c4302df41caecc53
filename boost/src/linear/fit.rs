use super::cholesky::Cholesky;
use super::model::Linear;
use super::sums::{add_gram, scores};
use crate::Objective;
use crate::error::{Error, Result};
use crate::sample::Sample;

/// Newton steps after which logistic regression has long converged or never will.
const STEPS: usize = 50;
/// A step that changes no coefficient by more ends the search.
const TOLERANCE: f64 = 1e-9;

/// Linear regression: min ½Σw(y − β₀ − xβ)² + ½·`l2`·|β|², x standardised, β₀ free.
pub fn ridge(sample: &Sample<'_>, l2: f64) -> Result<Linear> {
    let start = start(sample, Objective::Squared, l2)?;
    let (model, curvature) = newton_step(sample, start, l2)?;
    let rows = sample.targets.len();
    let residuals: f64 = (0..rows)
        .map(|row| sample.weight(row) * (sample.targets[row] - model.score(sample.features.row(row))).powi(2))
        .sum();
    let (total, _) = sample.totals();
    // Degrees of freedom count rows, not weights, so that scaling all weights changes nothing.
    let free = (rows as f64 - model.coefficients.len() as f64).max(1.0);
    let variance = residuals / total * rows as f64 / free * total / rows as f64;
    let covariance = curvature.inverse().into_iter().map(|c| c * variance).collect();
    Ok(Linear { covariance, ..model })
}

/// Logistic regression: min Σw·logloss(y, β₀ + xβ) + ½·`l2`·|β|², x standardised, β₀ free, by Newton's method with
/// halved steps. Targets lie in [0, 1].
pub fn logistic(sample: &Sample<'_>, l2: f64) -> Result<Linear> {
    let mut model = start(sample, Objective::Logistic, l2)?;
    let mut lost = loss(sample, &model, l2);
    for _ in 0..STEPS {
        let (next, curvature) = newton_step(sample, model.clone(), l2)?;
        model.covariance = curvature.inverse();
        let step: Vec<f64> = next.coefficients.iter().zip(&model.coefficients).map(|(n, o)| n - o).collect();
        let mut share = 1.0;
        let moved = loop {
            let mut tried = model.clone();
            tried.coefficients.iter_mut().zip(&step).for_each(|(beta, by)| *beta += share * by);
            let now = loss(sample, &tried, l2);
            if now <= lost {
                lost = now;
                model = tried;
                break share;
            }
            share /= 2.0;
            if share < 1e-6 {
                break 0.0;
            }
        };
        if step.iter().all(|by| (by * moved).abs() < TOLERANCE) {
            break;
        }
    }
    Ok(model)
}

fn loss(sample: &Sample<'_>, model: &Linear, l2: f64) -> f64 {
    let of = |row: usize| {
        let score = model.score(sample.features.row(row));
        sample.weight(row) * model.objective.loss(score, sample.targets[row])
    };
    let penalty: f64 = model.coefficients[1..].iter().map(|beta| beta * beta).sum();
    (0..sample.targets.len()).map(of).sum::<f64>() + 0.5 * l2 * penalty
}

/// Rows whose designs are held at once.
const TOGETHER: usize = 256;

/// The model that knows the base alone, with the scale of each feature.
fn start(sample: &Sample<'_>, objective: Objective, l2: f64) -> Result<Linear> {
    sample.check(objective)?;
    if !(l2.is_finite() && l2 > 0.0) {
        return Err(Error::Setting { setting: "l2", rule: "must be finite and above 0" });
    }
    let columns = sample.features.columns();
    let (mut means, mut deviations) = (vec![0.0; columns], vec![0.0; columns]);
    for feature in 0..columns {
        let known = || {
            let all = sample.features.column(feature).enumerate();
            all.filter(|(_, value)| !value.is_nan()).map(|(row, value)| (sample.weight(row), value))
        };
        let total: f64 = known().map(|(weight, _)| weight).sum();
        if total > 0.0 {
            let mean = known().map(|(weight, value)| weight * value).sum::<f64>() / total;
            let variance = known().map(|(w, value)| w * (value - mean).powi(2)).sum::<f64>() / total;
            means[feature] = mean;
            // What is left of a constant after rounding is no variation.
            deviations[feature] =
                if variance > 1e-18 * mean.powi(2).max(1e-12) { variance.sqrt() } else { 0.0 };
        }
    }
    let mut coefficients = vec![0.0; columns + 1];
    coefficients[0] = sample.base(objective);
    Ok(Linear { objective, means, deviations, coefficients, covariance: Vec::new() })
}

/// One Newton step from `model`, and the curvature at it.
fn newton_step(sample: &Sample<'_>, mut model: Linear, l2: f64) -> Result<(Linear, Cholesky)> {
    let n = model.coefficients.len();
    let (mut gradient, mut hessian) = (vec![0.0; n], vec![0.0; n * n]);
    let counted: Vec<usize> = (0..sample.targets.len()).filter(|&row| sample.weight(row) > 0.0).collect();
    for rows in counted.chunks(TOGETHER) {
        let designs: Vec<f64> = rows.iter().flat_map(|&row| model.design(sample.features.row(row))).collect();
        let scores = scores(&designs, &model.coefficients);
        let mut seconds = Vec::with_capacity(rows.len());
        for ((x, score), &row) in designs.chunks_exact(n).zip(scores).zip(rows) {
            let weight = sample.weight(row);
            let (first, second) = model.objective.derivatives(score, sample.targets[row]);
            gradient.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * first * x);
            seconds.push(weight * second);
        }
        add_gram(&mut hessian, n, &designs, &seconds);
    }
    for i in 0..n {
        if i > 0 {
            gradient[i] += l2 * model.coefficients[i];
            hessian[i * n + i] += l2;
        }
        for j in 0..i {
            hessian[j * n + i] = hessian[i * n + j];
        }
    }
    let singular =
        Error::Setting { setting: "l2", rule: "must be larger: the features determine each other" };
    let curvature = Cholesky::new(&hessian, n).ok_or(singular)?;
    let step = curvature.solve(&gradient);
    model.coefficients.iter_mut().zip(step).for_each(|(beta, by)| *beta -= by);
    Ok((model, curvature))
}
