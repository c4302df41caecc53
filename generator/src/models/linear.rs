//! A matrix of a model with its bias.

use anyhow::ensure;

use super::activations::Activations;
use super::gguf::Weights;
use super::kernel::Kernel;
use super::maths::add;
use super::matrix::Matrix;
use super::workers::Workers;

/// What products are computed with.
pub struct Machine {
    /// The instructions for products of bytes.
    pub kernel: Kernel,
    /// The registers for everything else.
    pub arch: pulp::Arch,
    /// The threads.
    pub workers: Workers,
}

impl Machine {
    /// The best this machine can do with so many threads.
    pub fn new(threads: usize) -> anyhow::Result<Machine> {
        Ok(Machine { kernel: Kernel::detect(), arch: pulp::Arch::new(), workers: Workers::new(threads)? })
    }

    /// Prepares whole rows of `columns` values each for products.
    pub fn activations(&self, rows: &[f32], columns: usize) -> Activations {
        Activations::new(self.arch, rows, columns)
    }
}

/// y = W·x + b.
pub struct Linear {
    matrix: Matrix,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Reads a matrix of `outputs` × `inputs`, whatever its quantisation, into eight bits.
    pub fn read(
        weights: &mut Weights,
        machine: &Machine,
        name: &str,
        outputs: usize,
        inputs: usize,
    ) -> anyhow::Result<Linear> {
        let (rows, columns, _) = weights.shape(name)?;
        ensure!(
            (rows, columns) == (outputs, inputs),
            "{name} is {rows} × {columns}, not {outputs} × {inputs}"
        );
        let mut matrix = Matrix::new(outputs, inputs);
        weights.each_rows(name, |rows| {
            matrix.fill(machine.arch, rows);
            Ok(())
        })?;
        Ok(Linear { matrix, bias: None })
    }

    /// The same with a bias.
    #[must_use]
    pub fn with_bias(mut self, bias: Vec<f32>) -> Linear {
        self.bias = Some(bias);
        self
    }

    /// The weights.
    pub fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// Multiplies rows that were prepared.
    pub fn forward(&self, machine: &Machine, rows: &Activations) -> Vec<f32> {
        let mut out = self.matrix.multiply(machine.kernel, &machine.workers, rows);
        if let Some(bias) = &self.bias {
            out.chunks_exact_mut(bias.len()).for_each(|row| add(row, bias));
        }
        out
    }
}
