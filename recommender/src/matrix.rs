//! Sparse matrices of interactions: compressed rows of `f32`, an explicit transpose, a parallel product.
//!
//! The transposed product is never computed by scattering: a transposed copy costs one pass and eight bytes
//! a non-zero, and makes both products the same streaming kernel.

mod cholesky;
mod compact;
pub mod file;
mod kernel;
mod panels;
mod top;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

pub use cholesky::Inverse;
pub use compact::Compact;
pub use panels::Panels;

/// A sparse matrix in compressed rows; columns ascend within a row and none repeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Csr {
    rows: usize,
    cols: usize,
    /// Row `r` has its entries at `starts[r]..starts[r + 1]`; `rows + 1` long.
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
}

/// The parts given do not make a matrix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// More columns or rows than 32 bits can number.
    #[error("{0} columns: at most {max} can be numbered", max = u32::MAX)]
    TooWide(usize),
    /// An entry lies outside the shape.
    #[error("entry at row {row}, column {column} is outside {rows} x {cols}")]
    Outside {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
    /// An entry is NaN or infinite.
    #[error("entry at row {row}, column {column} is not finite")]
    NotFinite {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
    },
}

impl Csr {
    /// A matrix of shape `rows` × `cols` from entries in any order; repeats of a place are added up.
    ///
    /// # Errors
    /// An entry outside the shape or not finite, or a sum that is not finite.
    pub fn from_triplets(
        rows: usize,
        cols: usize,
        entries: impl IntoIterator<Item = (usize, usize, f32)>,
    ) -> Result<Self, MatrixError> {
        if cols > u32::MAX as usize {
            return Err(MatrixError::TooWide(cols));
        }
        let mut by_row: Vec<(usize, u32, f32)> = Vec::new();
        for (row, column, value) in entries {
            if row >= rows || column >= cols {
                return Err(MatrixError::Outside { row, column, rows, cols });
            }
            by_row.push((row, column as u32, value));
        }
        by_row.sort_unstable_by_key(|&(row, column, _)| (row, column));
        let mut matrix = Self {
            rows,
            cols,
            starts: Vec::with_capacity(rows + 1),
            columns: Vec::new(),
            values: Vec::new(),
        };
        matrix.starts.push(0);
        for (row, column, value) in by_row {
            while matrix.starts.len() <= row {
                matrix.starts.push(matrix.columns.len());
            }
            let start = matrix.starts[row];
            match (matrix.columns[start..].last(), matrix.values.last_mut()) {
                (Some(&last), Some(sum)) if last == column => *sum += value,
                _ => {
                    matrix.columns.push(column);
                    matrix.values.push(value);
                }
            }
        }
        matrix.starts.resize(rows + 1, matrix.columns.len());
        matrix.check_finite()?;
        Ok(matrix)
    }

    /// A matrix whose row `r` holds `rows[r]`, columns in any order; repeats are added up.
    pub fn from_rows(cols: usize, rows: &[Vec<(usize, f32)>]) -> Result<Self, MatrixError> {
        let entries = rows.iter().enumerate().flat_map(|(r, row)| row.iter().map(move |&(c, v)| (r, c, v)));
        Self::from_triplets(rows.len(), cols, entries)
    }

    /// A matrix from compressed rows: row `r` has its entries at `starts[r]..starts[r + 1]`, columns in any
    /// order; repeats are added up. `starts` must ascend from 0 to the number of entries.
    ///
    /// # Errors
    /// An entry outside the shape or not finite, or a sum that is not finite.
    ///
    /// # Panics
    /// `starts` has not `rows + 1` places.
    pub(crate) fn from_parts(
        rows: usize,
        cols: usize,
        starts: Vec<usize>,
        columns: &[usize],
        values: Vec<f32>,
    ) -> Result<Self, MatrixError> {
        assert_eq!(starts.len(), rows + 1, "a start a row, and the end");
        let in_order = |row: usize| {
            let row = &columns[starts[row]..starts[row + 1]];
            row.windows(2).all(|pair| pair[0] < pair[1]) && row.last().is_none_or(|&last| last < cols)
        };
        if u32::try_from(cols).is_ok() && (0..rows).all(in_order) {
            let columns = columns.iter().map(|&column| column as u32).collect();
            let matrix = Self { rows, cols, starts, columns, values };
            matrix.check_finite()?;
            return Ok(matrix);
        }
        let places = (0..rows).flat_map(|row| (starts[row]..starts[row + 1]).map(move |at| (row, at)));
        Self::from_triplets(rows, cols, places.map(|(row, at)| (row, columns[at], values[at])))
    }

    /// A matrix from rows whose columns ascend and are below `cols`.
    pub(crate) fn from_ordered_rows(cols: usize, rows: Vec<Vec<(u32, f32)>>) -> Self {
        let count = rows.iter().map(Vec::len).sum();
        let (mut columns, mut values) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut starts = vec![0];
        for row in &rows {
            debug_assert!(row.windows(2).all(|pair| pair[0].0 < pair[1].0), "columns ascend");
            columns.extend(row.iter().map(|entry| entry.0));
            values.extend(row.iter().map(|entry| entry.1));
            starts.push(columns.len());
        }
        Self { rows: rows.len(), cols, starts, columns, values }
    }

    /// A matrix from its [`parts`](Self::parts), where they make one.
    pub(crate) fn of_parts(
        cols: usize,
        starts: Vec<usize>,
        columns: Vec<u32>,
        values: Vec<f32>,
    ) -> Option<Self> {
        let whole = starts.first() == Some(&0)
            && starts.last() == Some(&columns.len())
            && columns.len() == values.len()
            && starts.is_sorted();
        let ordered = |row: &[usize]| {
            let row = &columns[row[0]..row[1]];
            row.is_sorted_by(|x, y| x < y) && row.last().is_none_or(|&last| (last as usize) < cols)
        };
        (whole && starts.windows(2).all(ordered)).then(|| Self {
            rows: starts.len() - 1,
            cols,
            starts,
            columns,
            values,
        })
    }

    /// The start of each row and the end, the columns, the values.
    pub(crate) fn parts(&self) -> (&[usize], &[u32], &[f32]) {
        (&self.starts, &self.columns, &self.values)
    }

    fn check_finite(&self) -> Result<(), MatrixError> {
        for row in 0..self.rows {
            for (column, value) in self.row(row) {
                if !value.is_finite() {
                    return Err(MatrixError::NotFinite { row, column });
                }
            }
        }
        Ok(())
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Stored entries.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }

    /// The entries of one row: (column, value), columns ascending.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let range = self.starts[row]..self.starts[row + 1];
        self.columns[range.clone()].iter().zip(&self.values[range]).map(|(&c, &v)| (c as usize, v))
    }

    /// The columns and the values of one row.
    pub(crate) fn row_parts(&self, row: usize) -> (&[u32], &[f32]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.columns[range.clone()], &self.values[range])
    }

    /// The columns of all entries from a row's first on.
    pub(crate) fn columns_from(&self, row: usize) -> &[u32] {
        &self.columns[self.starts[row]..]
    }

    /// The entry at a place, where one is stored.
    pub fn get(&self, row: usize, column: usize) -> Option<f32> {
        let (columns, values) = self.row_parts(row);
        columns.binary_search(&u32::try_from(column).ok()?).ok().map(|place| values[place])
    }

    /// The same places with the values that `value` makes of (row, column, value).
    #[must_use]
    pub(crate) fn map(mut self, value: impl Fn(usize, usize, f32) -> f32) -> Self {
        for row in 0..self.rows {
            for place in self.starts[row]..self.starts[row + 1] {
                self.values[place] = value(row, self.columns[place] as usize, self.values[place]);
            }
        }
        self
    }

    /// selfᵀ·self, `cols` × `cols`, dense.
    pub(crate) fn gram(&self) -> Array2<f32> {
        let columns = self.transpose();
        let mut gram = Array2::zeros((self.cols, self.cols));
        if let Some(values) = gram.as_slice_mut() {
            values.par_chunks_mut(self.cols.max(1)).enumerate().for_each(|(column, sums)| {
                for (row, mine) in columns.row(column) {
                    self.row(row).for_each(|(other, theirs)| sums[other] += mine * theirs);
                }
            });
        }
        gram
    }

    /// Number of entries in each column.
    pub fn column_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.cols];
        for &column in &self.columns {
            counts[column as usize] += 1;
        }
        counts
    }

    /// The same matrix with column `c` multiplied by `factors[c]`; `factors` is `cols` long.
    #[must_use]
    pub fn scale_columns(&self, factors: &[f32]) -> Self {
        let values = self.values.iter().zip(&self.columns).map(|(v, &c)| v * factors[c as usize]).collect();
        Self { values, ..self.clone() }
    }

    /// The transposed matrix, `cols` × `rows`, by a counting sort.
    #[must_use]
    pub fn transpose(&self) -> Self {
        let mut starts = vec![0; self.cols + 1];
        for &column in &self.columns {
            starts[column as usize + 1] += 1;
        }
        for column in 0..self.cols {
            starts[column + 1] += starts[column];
        }
        let mut next = starts.clone();
        let mut columns = vec![0; self.nnz()];
        let mut values = vec![0.0; self.nnz()];
        for row in 0..self.rows {
            for (column, value) in self.row(row) {
                let place = next[column];
                columns[place] = row as u32;
                values[place] = value;
                next[column] += 1;
            }
        }
        Self { rows: self.cols, cols: self.rows, starts, columns, values }
    }

    /// `self · dense`: `rows` × `b`, where `dense` is `cols` × `b`. Runs on rayon's threads.
    ///
    /// # Panics
    /// `dense` has not `cols` rows.
    pub fn dot(&self, dense: ArrayView2<f32>) -> Array2<f32> {
        assert_eq!(dense.nrows(), self.cols, "the shapes of a product must meet");
        kernel::product(self, dense)
    }
}

/// (other, cosine of its row with that of `row`) for all other rows that are not zero.
pub(crate) fn cosines(factors: ArrayView2<f32>, row: u32) -> Vec<(u32, f32)> {
    let target = row as usize;
    if target >= factors.nrows() {
        return Vec::new();
    }
    let own = factors.row(target);
    let norm = own.dot(&own).sqrt();
    let products = factors.dot(&own);
    (0..factors.nrows())
        .filter(|&other| other != target)
        .filter_map(|other| {
            let row = factors.row(other);
            let size = row.dot(&row).sqrt() * norm;
            (size > 0.0).then(|| (other as u32, products[other] / size))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use proptest::prelude::*;

    fn dense(matrix: &Csr) -> Array2<f32> {
        let mut out = Array2::zeros((matrix.rows(), matrix.cols()));
        for row in 0..matrix.rows() {
            for (column, value) in matrix.row(row) {
                out[[row, column]] = value;
            }
        }
        out
    }

    #[test]
    fn repeats_are_added_and_columns_ascend() {
        let m = Csr::from_triplets(3, 4, [(2, 3, 1.0), (0, 1, 2.0), (2, 0, 5.0), (0, 1, 0.5)]).unwrap();
        assert_eq!(m.row(0).collect::<Vec<_>>(), [(1, 2.5)]);
        assert_eq!(m.row(1).count(), 0);
        assert_eq!(m.row(2).collect::<Vec<_>>(), [(0, 5.0), (3, 1.0)]);
    }

    #[test]
    fn entries_outside_or_not_finite_are_refused() {
        assert!(matches!(Csr::from_triplets(2, 2, [(2, 0, 1.0)]), Err(MatrixError::Outside { row: 2, .. })));
        let nan = Csr::from_triplets(2, 2, [(1, 0, f32::NAN)]);
        assert_eq!(nan, Err(MatrixError::NotFinite { row: 1, column: 0 }));
    }

    proptest! {
        #[test]
        fn the_product_and_the_transpose_agree_with_dense_arithmetic(
            entries in proptest::collection::vec((0usize..13, 0usize..9, -3i8..4), 0..60),
            width in 1usize..150,
        ) {
            let m = Csr::from_triplets(13, 9, entries.iter().map(|&(r, c, v)| (r, c, f32::from(v)))).unwrap();
            let x = Array2::from_shape_fn((9, width), |(i, j)| ((i * 7 + j * 3) % 11) as f32 - 5.0);
            let exact = dense(&m).dot(&x);
            prop_assert_eq!(m.dot(x.view()), exact);
            prop_assert_eq!(dense(&m.transpose()), dense(&m).t().to_owned());
            prop_assert_eq!(m.transpose().transpose(), m);
        }
    }
}
