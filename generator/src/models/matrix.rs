//! A matrix in eight-bit tiles.

use half::f16;

use super::activations::{Activations, largest, round};
use super::kernel::{BLOCK, Kernel, Strip, TILE, WORDS, Word};
use super::workers::Workers;

/// Weights of `rows` × `columns`; each [`BLOCK`] of a row has a scale.
pub struct Matrix {
    rows: usize,
    columns: usize,
    blocks: usize,
    words: Vec<Word>,
    scales: Vec<[u16; TILE]>,
    filled: usize,
}

impl Matrix {
    /// Noughts, to be filled row by row.
    pub fn new(rows: usize, columns: usize) -> Matrix {
        let blocks = columns.div_ceil(BLOCK);
        let tiles = rows.div_ceil(TILE);
        Matrix {
            rows,
            columns,
            blocks,
            words: vec![Word([0; TILE]); tiles * blocks * WORDS],
            scales: vec![[0; TILE]; tiles * blocks],
            filled: 0,
        }
    }

    /// How many rows there are: the values that come out for one row of activations.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Quantises the next rows; more than the matrix holds are left out.
    pub fn fill(&mut self, arch: pulp::Arch, rows: &[f32]) {
        arch.dispatch(|| {
            for row in rows.chunks_exact(self.columns).take(self.rows - self.filled) {
                let (tile, lane) = (self.filled / TILE, self.filled % TILE);
                for (index, values) in row.chunks(BLOCK).enumerate() {
                    let mut block = [0.0; BLOCK];
                    block[..values.len()].copy_from_slice(values);
                    let at = tile * self.blocks + index;
                    let scale = f16::from_f32(largest(&block) / 127.0);
                    self.scales[at][lane] = scale.to_bits();
                    let mut bytes = [0; BLOCK];
                    let scale = scale.to_f32();
                    round(&block, if scale > 0.0 { 1.0 / scale } else { 0.0 }, &mut bytes);
                    let words = self.words[at * WORDS..][..WORDS].iter_mut();
                    for (word, bytes) in words.zip(bytes.as_chunks::<4>().0) {
                        // The sign bit turned over is the same as 128 added.
                        word.0[lane] = i32::from_le_bytes(bytes.map(|byte| byte ^ 0x80));
                    }
                }
                self.filled += 1;
            }
        });
    }

    /// Reads a row back.
    pub fn read(&self, row: usize, out: &mut [f32]) {
        let (tile, lane) = (row / TILE, row % TILE);
        for (index, out) in out.chunks_mut(BLOCK).enumerate() {
            let at = tile * self.blocks + index;
            let scale = f16::from_bits(self.scales[at][lane]).to_f32();
            for (word, out) in self.words[at * WORDS..].iter().zip(out.chunks_mut(4)) {
                for (byte, out) in word.0[lane].to_le_bytes().into_iter().zip(out) {
                    *out = f32::from((byte ^ 0x80).cast_signed()) * scale;
                }
            }
        }
    }

    /// Multiplies every row of activations; a row of [`Self::rows`] values comes out for each.
    pub fn multiply(&self, kernel: Kernel, workers: &Workers, activations: &Activations) -> Vec<f32> {
        let many = activations.rows();
        let mut tiles = vec![0.0; self.scales.len() / self.blocks * TILE * many];
        workers.each(&mut tiles, many * TILE, |tile, out| {
            let first = tile * self.blocks;
            let strip = Strip {
                words: &self.words[first * WORDS..(first + self.blocks) * WORDS],
                scales: &self.scales[first..first + self.blocks],
            };
            kernel.multiply(strip, activations, out);
        });
        if many == 1 {
            tiles.truncate(self.rows);
            return tiles;
        }
        let mut out = vec![0.0; many * self.rows];
        for (index, out) in out.chunks_exact_mut(self.rows).enumerate() {
            for (out, tile) in out.chunks_mut(TILE).zip(tiles.chunks_exact(many * TILE)) {
                out.copy_from_slice(&tile[index * TILE..][..out.len()]);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    fn random(many: usize, seed: u64) -> Vec<f32> {
        let mut random = StdRng::seed_from_u64(seed);
        (0..many).map(|_| random.random_range(-1.0..1.0f32)).collect()
    }

    #[test]
    fn every_kernel_multiplies_rightly_whatever_the_shape() {
        let arch = pulp::Arch::new();
        for (rows, columns, many) in [(16, 32, 1), (33, 96, 9), (7, 70, 3), (48, 33, 17), (1, 1, 1)] {
            let (weights, inputs) = (random(rows * columns, 1), random(many * columns, 2));
            let mut matrix = Matrix::new(rows, columns);
            matrix.fill(arch, &weights);
            let activations = Activations::new(arch, &inputs, columns);
            for kernel in Kernel::all() {
                for threads in [1, 2] {
                    let out = matrix.multiply(kernel, &Workers::new(threads).unwrap(), &activations);
                    assert_eq!(out.len(), rows * many);
                    for (at, value) in out.iter().enumerate() {
                        let (row, output) = (at / rows, at % rows);
                        let pairs =
                            weights[output * columns..].iter().zip(&inputs[row * columns..][..columns]);
                        let wanted: f32 = pairs.map(|(a, b)| a * b).sum();
                        let error = (value - wanted).abs();
                        assert!(error < 0.01 * (columns as f32).sqrt(), "{kernel:?}: {value}, not {wanted}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_come_back() {
        let weights = random(20 * 70, 3);
        let mut matrix = Matrix::new(20, 70);
        matrix.fill(pulp::Arch::new(), &weights);
        let mut row = [0.0; 70];
        for index in 0..20 {
            matrix.read(index, &mut row);
            let worst =
                row.iter().zip(&weights[index * 70..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 0.005, "{worst}");
        }
    }

    #[test]
    fn the_vector_kernels_agree_to_the_bit() {
        let arch = pulp::Arch::new();
        let mut matrix = Matrix::new(64, 256);
        matrix.fill(arch, &random(64 * 256, 4));
        let activations = Activations::new(arch, &random(11 * 256, 5), 256);
        let workers = Workers::new(1).unwrap();
        let mut results: Vec<Vec<f32>> =
            Kernel::all().into_iter().map(|kernel| matrix.multiply(kernel, &workers, &activations)).collect();
        results.pop();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
