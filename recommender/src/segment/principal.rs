//! Principal components of a few measures, by Jacobi rotations of their covariance (Golub and Van Loan, section 8.5):
//! exact for measures without variance and for measures that depend on each other, on which iterative methods break down.

use ndarray::{Array2, Axis, s};

/// Sweeps over all pairs of measures at most; a handful of measures needs fewer than ten.
const MAX_SWEEPS: usize = 50;
/// Share of the largest variance below which a direction is rounding error.
const LEAST_VARIANCE: f64 = 1e-9;

/// The rows in their `count` leading principal components; none where they vary in fewer directions.
pub(super) fn components(rows: &Array2<f64>, count: usize) -> Option<Array2<f64>> {
    let centred = rows - &rows.mean_axis(Axis(0))?;
    let covariance = centred.t().dot(&centred) / rows.nrows() as f64;
    let (variances, directions) = eigen(covariance);
    let mut order: Vec<usize> = (0..variances.len()).collect();
    order.sort_by(|a, b| variances[*b].total_cmp(&variances[*a]));
    let largest = variances[*order.first()?];
    let vary = |place: &&usize| variances[**place] > LEAST_VARIANCE * largest;
    let leading: Vec<usize> = order.iter().take(count).filter(vary).copied().collect();
    (leading.len() == count && largest > 0.0).then(|| centred.dot(&directions.select(Axis(1), &leading)))
}

/// Eigenvalues of a symmetric matrix and its eigenvectors, a column each, in the same order.
fn eigen(mut a: Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let n = a.nrows();
    let mut vectors = Array2::eye(n);
    let scale: f64 = a.diag().iter().map(|value| value.abs()).sum();
    for _ in 0..MAX_SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                if a[[p, q]].abs() <= f64::EPSILON * scale {
                    continue;
                }
                rotated = true;
                let theta = (a[[q, q]] - a[[p, p]]) / (2.0 * a[[p, q]]);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let rotation = (cosine, tangent * cosine);
                rotate(&mut a, p, q, rotation);
                a.swap_axes(0, 1);
                rotate(&mut a, p, q, rotation);
                a.swap_axes(0, 1);
                rotate(&mut vectors, p, q, rotation);
            }
        }
        if !rotated {
            break;
        }
    }
    (a.diag().to_vec(), vectors)
}

/// Rotates columns `p` and `q`.
fn rotate(a: &mut Array2<f64>, p: usize, q: usize, (cosine, sine): (f64, f64)) {
    let (mut left, mut right) = a.multi_slice_mut((s![.., p], s![.., q]));
    for (x, y) in left.iter_mut().zip(&mut right) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leading_component_is_the_direction_of_most_variance() {
        // Points on the line y = 2x with a constant third measure: one direction, variance 5 times that of x.
        let rows = Array2::from_shape_fn((5, 3), |(row, column)| [row as f64, 2.0 * row as f64, 7.0][column]);
        let one = components(&rows, 1).expect("varies");
        let spread: Vec<f64> = one.column(0).iter().map(|x| x.abs()).collect();
        let wanted = [2.0, 1.0, 0.0, 1.0, 2.0].map(|x| x * 5.0_f64.sqrt());
        assert!(spread.iter().zip(wanted).all(|(x, wanted)| (x - wanted).abs() < 1e-9), "{spread:?}");
        assert!(components(&rows, 2).is_none(), "there is no second direction");
        assert!(components(&Array2::zeros((5, 3)), 1).is_none(), "nothing varies");
    }

    #[test]
    fn eigenvectors_give_the_matrix_back() {
        let b = Array2::from_shape_fn((5, 5), |(i, j)| ((i * 7 + j * 3) % 11) as f64 - 4.0);
        let a = b.t().dot(&b);
        let (values, vectors) = eigen(a.clone());
        let back = vectors.dot(&Array2::from_diag(&ndarray::Array1::from(values))).dot(&vectors.t());
        assert!((back - a).iter().all(|x| x.abs() < 1e-8));
    }
}
