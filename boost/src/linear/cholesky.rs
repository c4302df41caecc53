/// The lower triangle L of A = LLᵀ, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Cholesky {
    lower: Vec<f64>,
    order: usize,
}

impl Cholesky {
    /// Factorises the symmetric `matrix` (`order` × `order`, row-major); `None` where it is not positive definite.
    pub fn new(matrix: &[f64], order: usize) -> Option<Self> {
        let mut lower = vec![0.0; order * order];
        for i in 0..order {
            for j in 0..=i {
                let dot: f64 = (0..j).map(|k| lower[i * order + k] * lower[j * order + k]).sum();
                let rest = matrix[i * order + j] - dot;
                if i == j {
                    if rest.is_nan() || rest <= f64::EPSILON * matrix[i * order + i].abs() {
                        return None;
                    }
                    lower[i * order + i] = rest.sqrt();
                } else {
                    lower[i * order + j] = rest / lower[j * order + j];
                }
            }
        }
        Some(Self { lower, order })
    }

    /// x with Ax = `right`.
    pub fn solve(&self, right: &[f64]) -> Vec<f64> {
        let n = self.order;
        let mut x = self.half_solve(right);
        for i in (0..n).rev() {
            let dot: f64 = (i + 1..n).map(|k| self.lower[k * n + i] * x[k]).sum();
            x[i] = (x[i] - dot) / self.lower[i * n + i];
        }
        x
    }

    /// z with Lz = `right`: |z|² is rightᵀA⁻¹right.
    pub fn half_solve(&self, right: &[f64]) -> Vec<f64> {
        let n = self.order;
        let mut z = right.to_vec();
        for i in 0..n {
            let dot: f64 = (0..i).map(|k| self.lower[i * n + k] * z[k]).sum();
            z[i] = (z[i] - dot) / self.lower[i * n + i];
        }
        z
    }

    /// ln |A|.
    pub fn log_determinant(&self) -> f64 {
        (0..self.order).map(|i| 2.0 * self.lower[i * self.order + i].ln()).sum()
    }

    /// A⁻¹, row-major.
    pub fn inverse(&self) -> Vec<f64> {
        let n = self.order;
        let mut inverse = vec![0.0; n * n];
        for column in 0..n {
            let mut unit = vec![0.0; n];
            unit[column] = 1.0;
            for (row, value) in self.solve(&unit).into_iter().enumerate() {
                inverse[row * n + column] = value;
            }
        }
        inverse
    }
}
