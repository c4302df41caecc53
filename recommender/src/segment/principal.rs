//! Principal components of a few measures by linfa-reduction, whose iterative solver breaks down on measures without
//! variance and on measures that depend linearly on each other: those are left out first.

use std::panic::{AssertUnwindSafe, catch_unwind};

use linfa::DatasetBase;
use linfa::traits::{Fit as _, Predict as _};
use linfa_reduction::Pca;
use ndarray::{Array1, Array2, ArrayView1, Axis};

/// Share of a measure's variance that the measures before it must leave unexplained for it to be kept.
const MIN_UNEXPLAINED: f64 = 1e-6;

/// The rows in their `count` leading principal components; none where they vary in fewer directions.
pub(super) fn components(rows: &Array2<f64>, count: usize) -> Option<Array2<f64>> {
    let kept = independent(rows);
    if kept.len() < count {
        return None;
    }
    let rows = rows.select(Axis(1), &kept);
    // A solver that converges to the last bit divides 0 by 0 and panics; then there are no components, which is no reason
    // to fail the training.
    let solve = || Pca::params(count).fit(&DatasetBase::from(rows.clone())).ok();
    let pca = catch_unwind(AssertUnwindSafe(solve)).ok().flatten()?;
    let reduced: Array2<f64> = pca.predict(&rows);
    (reduced.ncols() == count && reduced.iter().all(|value| value.is_finite())).then_some(reduced)
}

/// Columns that vary and are no linear combination of those before them, by modified Gram-Schmidt.
fn independent(rows: &Array2<f64>) -> Vec<usize> {
    let (mut basis, mut kept): (Vec<Array1<f64>>, Vec<usize>) = (Vec::new(), Vec::new());
    for (place, column) in rows.columns().into_iter().enumerate() {
        let Some(mut rest) = centred(column) else { continue };
        let variance = rest.dot(&rest);
        for direction in &basis {
            let share = direction.dot(&rest);
            rest.scaled_add(-share, direction);
        }
        let unexplained = rest.dot(&rest);
        if unexplained > MIN_UNEXPLAINED * variance {
            basis.push(rest / unexplained.sqrt());
            kept.push(place);
        }
    }
    kept
}

/// The column less its mean; none where all its values are the same.
fn centred(column: ArrayView1<'_, f64>) -> Option<Array1<f64>> {
    let first = *column.first()?;
    let mean = column.mean()?;
    column.iter().any(|value| (value - first).abs() > f64::EPSILON * first.abs()).then(|| &column - mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(rows: usize, value: impl Fn(f64) -> [f64; 4]) -> Array2<f64> {
        Array2::from_shape_fn((rows, 4), |(row, column)| value(row as f64)[column])
    }

    #[test]
    fn a_constant_and_a_dependent_measure_are_left_out() {
        let rows = measures(40, |x| [x, 7.0, 2.0 * x - 3.0, (x * 1.7).sin()]);
        assert_eq!(independent(&rows), [0, 3]);
        assert_eq!(components(&rows, 2).expect("two directions").dim(), (40, 2));
        assert!(components(&rows, 3).is_none(), "there is no third direction");
        assert!(components(&Array2::zeros((5, 4)), 1).is_none(), "nothing varies");
    }

    #[test]
    fn the_leading_component_has_the_variance_of_the_widest_direction() {
        // Measures x and x + e with a small e: nearly all variance lies along their sum.
        let rows = measures(60, |x| [x, 0.0, x + (x * 2.3).cos(), 0.0]);
        let one = components(&rows, 1).expect("varies");
        let mean = one.mean().expect("rows");
        let variance = one.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 60.0;
        let total: f64 = rows.var_axis(Axis(0), 0.0).sum();
        assert!(variance > 0.99 * total && variance <= total * 1.000_001, "{variance} of {total}");
    }
}
