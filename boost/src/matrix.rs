//! Rows of features.

use crate::error::{Error, Result};

/// Rows of features, row-major. NaN stands for a missing value; infinities are refused.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    values: Vec<f64>,
    rows: usize,
    columns: usize,
}

impl Matrix {
    /// `rows` × `columns` from row-major `values`.
    pub fn new(values: Vec<f64>, rows: usize, columns: usize) -> Result<Self> {
        if values.len() != rows * columns {
            return Err(Error::Length { what: "features", expected: rows * columns, found: values.len() });
        }
        if let Some(at) = values.iter().position(|value| value.is_infinite()) {
            let rule = "must be finite, or NaN where missing";
            return Err(Error::Value { what: "feature", row: at / columns.max(1), value: values[at], rule });
        }
        Ok(Self { values, rows, columns })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The row `index`.
    pub fn row(&self, index: usize) -> &[f64] {
        &self.values[index * self.columns..(index + 1) * self.columns]
    }

    /// One feature of all rows.
    pub fn column(&self, feature: usize) -> impl Iterator<Item = f64> + '_ {
        (0..self.rows).map(move |row| self.values[row * self.columns + feature])
    }

    /// The rows named, in that order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut values = Vec::with_capacity(rows.len() * self.columns);
        for &row in rows {
            values.extend_from_slice(self.row(row));
        }
        Self { values, rows: rows.len(), columns: self.columns }
    }
}
