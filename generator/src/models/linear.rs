//! A matrix of a model with its bias, and how matrices are loaded.

use anyhow::ensure;

use super::activations::Activations;
use super::checkpoint::Checkpoint;
use super::kernel::Kernel;
use super::matrix::Matrix;
use super::pack::{Reader, Writer};
use super::registers::Add;
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
        Activations::new(self.arch, &self.workers, rows, columns)
    }
}

/// Where converted matrices are taken from, or kept.
pub enum Pack {
    /// They are converted each time.
    None,
    /// They were converted before.
    Read(Reader),
    /// They are converted now, and kept for the next time.
    Write(Writer),
}

/// Reads the parts of a model, in order.
pub struct Loader<'a> {
    /// The file as it came.
    pub checkpoint: &'a mut dyn Checkpoint,
    /// The same, converted.
    pub pack: Pack,
    /// The registers it is converted with.
    pub arch: pulp::Arch,
}

impl Loader<'_> {
    /// A vector.
    pub fn vector(&mut self, name: &str, length: usize) -> anyhow::Result<Vec<f32>> {
        self.checkpoint.vector(name, length)
    }

    /// Matrices of as many columns, one below the other; each is told by its name and rows. They come whatever their
    /// quantisation, in eight bits.
    pub fn matrix(&mut self, parts: &[(String, usize)], columns: usize) -> anyhow::Result<Matrix> {
        let rows = parts.iter().map(|(_, rows)| rows).sum();
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        let name = names.join("+");
        if let Pack::Read(pack) = &mut self.pack {
            return pack.matrix(&name, rows, columns);
        }
        for (name, rows) in parts {
            let found = self.checkpoint.shape(name)?;
            let (high, wide) = found;
            ensure!(found == (*rows, columns), "{name} is {high} × {wide}, not {rows} × {columns}");
        }
        let mut matrix = Matrix::new(rows, columns);
        for (name, _) in parts {
            let arch = self.arch;
            self.checkpoint.each_rows(name, &mut |rows| {
                ensure!(
                    rows.iter().all(|weight| weight.is_finite()),
                    "{name} has weights that are no numbers"
                );
                matrix.fill(arch, rows);
                Ok(())
            })?;
        }
        ensure!(matrix.filled(), "{name} is not whole");
        if let Pack::Write(pack) = &mut self.pack {
            pack.matrix(&name, columns, &matrix)?;
        }
        Ok(matrix)
    }

    /// The end: what was read has to be all there is, what was written is put in its place.
    pub fn end(self) -> anyhow::Result<()> {
        match self.pack {
            Pack::None => Ok(()),
            Pack::Read(pack) => pack.end(),
            Pack::Write(pack) => pack.end(),
        }
    }
}

/// y = W·x + b.
pub struct Linear {
    matrix: Matrix,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Of a matrix and a bias of as many values as it has rows.
    pub fn new(matrix: Matrix, bias: Option<Vec<f32>>) -> Linear {
        Linear { matrix, bias }
    }

    /// The weights.
    pub fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// Multiplies rows that were prepared.
    pub fn forward(&self, machine: &Machine, rows: &Activations) -> Vec<f32> {
        let mut out = self.matrix.multiply(machine.kernel, &machine.workers, rows);
        if let Some(bias) = &self.bias {
            out.chunks_exact_mut(bias.len()).for_each(|to| machine.arch.dispatch(Add { to, row: bias }));
        }
        out
    }
}
