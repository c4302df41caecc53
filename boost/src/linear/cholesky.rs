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
        self.half_solve_transposed(&self.half_solve(right))
    }

    /// x with Lᵀx = `right`: of independent standard normals, a draw of covariance A⁻¹.
    pub fn half_solve_transposed(&self, right: &[f64]) -> Vec<f64> {
        let n = self.order;
        let mut x = right.to_vec();
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

    /// A⁻¹ = ZᵀZ with Z = L⁻¹, row-major.
    pub fn inverse(&self) -> Vec<f64> {
        let n = self.order;
        let mut half = vec![0.0; n * n];
        for i in 0..n {
            let (above, rest) = half.split_at_mut(i * n);
            let row = &mut rest[..=i];
            row[i] = 1.0;
            for (factor, above) in self.lower[i * n..i * n + i].iter().zip(above.chunks_exact(n)) {
                row[..i].iter_mut().zip(above).for_each(|(sum, z)| *sum -= factor * z);
            }
            let by = self.lower[i * n + i].recip();
            for z in row.iter_mut() {
                *z *= by;
            }
        }
        let mut inverse = vec![0.0; n * n];
        for (i, row) in half.chunks_exact(n.max(1)).enumerate() {
            for a in 0..=i {
                let sums = &mut inverse[a * n..=a * n + a];
                sums.iter_mut().zip(row).for_each(|(sum, z)| *sum += row[a] * z);
            }
        }
        for a in 0..n {
            (0..a).for_each(|b| inverse[b * n + a] = inverse[a * n + b]);
        }
        inverse
    }
}
