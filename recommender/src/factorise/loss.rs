//! What implicit ALS minimises (Hu, Koren and Volinsky 2008, eq. 3), over all pairs, those without an entry included.

use rayon::prelude::*;

use super::dense::gram;
use super::{AlsFactors, AlsPlan};
use crate::matrix::Csr;

/// Σ c·(p − x·y)² + λ·(Σ|x|² + Σ|y|²), with c = 1 + α·r and p = 1 where there is an entry r, else c = 1 and p = 0.
pub fn als_loss(matrix: &Csr, plan: AlsPlan, factors: &AlsFactors) -> f64 {
    let (rows, columns) = (&factors.rows, &factors.columns);
    let (row_gram, column_gram) = (gram(rows.view(), rows.view()), gram(columns.view(), columns.view()));
    // Σ over all pairs of (x·y)² is the trace of XᵀX·YᵀY.
    let everywhere: f64 = row_gram.iter().zip(column_gram.t()).map(|(x, y)| x * y).sum();
    let entries = |row: usize| {
        let x = rows.row(row);
        let entry = |(column, r): (usize, f32)| {
            let product = f64::from(x.dot(&columns.row(column)));
            (1.0 + f64::from(plan.alpha * r)) * (1.0 - product).powi(2) - product.powi(2)
        };
        matrix.row(row).map(entry).sum::<f64>()
    };
    let stored: Vec<f64> = (0..matrix.rows()).into_par_iter().map(entries).collect();
    let size = row_gram.diag().sum() + column_gram.diag().sum();
    everywhere + stored.iter().sum::<f64>() + f64::from(plan.ridge) * size
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn the_loss_is_its_definition() {
        let matrix = Csr::from_triplets(3, 2, [(0, 1, 2.0), (2, 0, 0.5)]).expect("a matrix");
        let factors = |rows, seed: usize| {
            Array2::from_shape_fn((rows, 2), |(i, j)| ((i * 3 + j + seed) % 5) as f32 / 4.0)
        };
        let factors = AlsFactors { rows: factors(3, 1), columns: factors(2, 2) };
        let plan = AlsPlan { rank: 2, alpha: 4.0, ridge: 0.7, iterations: 1, seed: 1 };
        let mut by_hand = 0.0;
        for row in 0..3 {
            for column in 0..2 {
                let product = factors.rows.row(row).dot(&factors.columns.row(column));
                let entry = matrix.get(row, column);
                let (c, p) = entry.map_or((1.0, 0.0), |r| (1.0 + 4.0 * r, 1.0));
                by_hand += c * (p - product).powi(2);
            }
        }
        let squares = |x: &Array2<f32>| x.iter().map(|x| x * x).sum::<f32>();
        by_hand += 0.7 * (squares(&factors.rows) + squares(&factors.columns));
        let loss = als_loss(&matrix, plan, &factors);
        assert!((loss - f64::from(by_hand)).abs() < 1e-4 * loss, "{loss}, by hand {by_hand}");
    }
}
