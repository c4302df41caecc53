//! A matrix of a model with its bias, and how matrices are loaded.

use std::sync::Arc;

use anyhow::ensure;
use candle_core::Device;

use super::activations::Activations;
use super::checkpoint::Checkpoint;
use super::kernel::Kernel;
use super::matrix::Matrix;
use super::offload::{Gathered, Offloaded};
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
    /// Where products are computed, if not here.
    pub device: Option<Device>,
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
        let mut matrix = Matrix::new(rows, columns);
        let arch = self.arch;
        self.each_rows(parts, columns, &mut |rows| {
            matrix.fill(arch, rows);
            Ok(())
        })?;
        ensure!(matrix.filled(), "{name} is not whole");
        if let Pack::Write(pack) = &mut self.pack {
            pack.matrix(&name, columns, &matrix)?;
        }
        Ok(matrix)
    }

    /// The same, where products are computed.
    pub fn weights(&mut self, parts: &[(String, usize)], columns: usize) -> anyhow::Result<Weights> {
        let Some(device) = self.device.clone() else {
            return Ok(Weights::Here(Arc::new(self.matrix(parts, columns)?)));
        };
        let mut gathered = Gathered::new(columns)?;
        self.each_rows(parts, columns, &mut |rows| gathered.fill(rows))?;
        let matrix = gathered.onto(&device)?;
        let (found, wanted) = (matrix.rows(), parts.iter().map(|(_, rows)| rows).sum::<usize>());
        ensure!(found == wanted, "{} has {found} rows of {wanted}", parts[0].0);
        Ok(Weights::There(matrix))
    }

    /// Reads the rows of all parts, some at a time.
    fn each_rows(
        &mut self,
        parts: &[(String, usize)],
        columns: usize,
        take: &mut dyn FnMut(&[f32]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for (name, rows) in parts {
            let found = self.checkpoint.shape(name)?;
            let (high, wide) = found;
            ensure!(found == (*rows, columns), "{name} is {high} × {wide}, not {rows} × {columns}");
        }
        for (name, _) in parts {
            self.checkpoint.each_rows(name, &mut |rows| {
                ensure!(
                    rows.iter().all(|weight| weight.is_finite()),
                    "{name} has weights that are no numbers"
                );
                take(rows)
            })?;
        }
        Ok(())
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

/// A matrix where its products are computed.
pub enum Weights {
    /// Here.
    Here(Arc<Matrix>),
    /// On a device.
    There(Offloaded),
}

impl Weights {
    /// How many rows there are: the values that come out for one row of activations.
    pub fn rows(&self) -> usize {
        match self {
            Weights::Here(matrix) => matrix.rows(),
            Weights::There(matrix) => matrix.rows(),
        }
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        match self {
            Weights::Here(matrix) => matrix.bytes(),
            Weights::There(matrix) => matrix.bytes(),
        }
    }
}

/// y = W·x + b.
pub struct Linear {
    weights: Weights,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Of a matrix and a bias of as many values as it has rows.
    pub fn new(weights: Weights, bias: Option<Vec<f32>>) -> Linear {
        Linear { weights, bias }
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Multiplies whole rows; only a device can fail.
    pub fn forward(&self, machine: &Machine, rows: &[f32]) -> anyhow::Result<Vec<f32>> {
        let Machine { kernel, arch, workers } = machine;
        let mut out = match &self.weights {
            Weights::Here(matrix) => {
                let rows = Activations::new(*arch, workers, rows, matrix.columns());
                matrix.multiply(*kernel, workers, &rows)
            }
            Weights::There(matrix) => matrix.multiply(rows)?,
        };
        if let Some(bias) = &self.bias {
            out.chunks_exact_mut(bias.len()).for_each(|to| arch.dispatch(Add { to, row: bias }));
        }
        Ok(out)
    }
}
