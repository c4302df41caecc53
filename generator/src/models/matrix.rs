//! A matrix in eight-bit tiles.

use std::io::{Read, Write};

use half::f16;

use super::activations::{Activations, largest, round};
use super::kernel::{BLOCK, Kernel, SMALL, Strip, TILE, WORDS, Word};
use super::workers::Workers;

/// Words that are read or written at once.
const PIECE: usize = 1 << 12;

/// Weights of `rows` × `columns`; each [`BLOCK`] of a row has a scale.
pub struct Matrix {
    rows: usize,
    columns: usize,
    blocks: usize,
    words: Vec<Word>,
    scales: Vec<[u16; TILE]>,
    /// Of each tile, whether all its weights are small.
    small: Vec<bool>,
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
            small: vec![true; tiles],
            filled: 0,
        }
    }

    /// How many rows there are: the values that come out for one row of activations.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns there are: the values of one row of activations.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.words) + size_of_val(&*self.scales)
    }

    /// Reads every byte and does next to nothing with it: the least time a product can take.
    pub fn touch(&self, workers: &Workers) -> f32 {
        let mut sums = vec![0.0; self.words.len().div_ceil(PIECE)];
        workers.each(&mut sums, 1, |at, sum| {
            let words = &self.words[at * PIECE..self.words.len().min((at + 1) * PIECE)];
            let mut mixed = [0; TILE];
            for word in words {
                mixed.iter_mut().zip(&word.0).for_each(|(mixed, word)| *mixed ^= word);
            }
            sum[0] = mixed.iter().fold(0, |all, word| all ^ word) as f32;
        });
        sums.iter().sum()
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
                    let scale = rounded(scale(&block), &block);
                    self.scales[at][lane] = scale.to_bits();
                    let mut bytes = [0; BLOCK];
                    let scale = scale.to_f32();
                    round(&block, if scale > 0.0 { 1.0 / scale } else { 0.0 }, &mut bytes);
                    self.small[tile] &= bytes.iter().all(|byte| byte.cast_signed().unsigned_abs() <= SMALL);
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

    /// Whether all rows are there.
    pub fn filled(&self) -> bool {
        self.filled == self.rows
    }

    /// Writes what it holds.
    pub fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        let mut bytes = vec![0; PIECE * size_of::<Word>()];
        for words in self.words.chunks(PIECE) {
            let bytes = &mut bytes[..size_of_val(words)];
            let values = words.iter().flat_map(|word| &word.0);
            bytes
                .as_chunks_mut::<4>()
                .0
                .iter_mut()
                .zip(values)
                .for_each(|(to, value)| *to = value.to_le_bytes());
            to.write_all(bytes)?;
        }
        for scales in self.scales.chunks(PIECE) {
            let bytes = &mut bytes[..size_of_val(scales)];
            let values = scales.iter().flatten();
            bytes
                .as_chunks_mut::<2>()
                .0
                .iter_mut()
                .zip(values)
                .for_each(|(to, value)| *to = value.to_le_bytes());
            to.write_all(bytes)?;
        }
        to.write_all(&self.small.iter().map(|small| u8::from(*small)).collect::<Vec<_>>())
    }

    /// Reads what [`Self::write`] wrote of a matrix of that shape; no more than a small piece is held twice.
    pub fn read_from(from: &mut impl Read, rows: usize, columns: usize) -> std::io::Result<Matrix> {
        let blocks = columns.div_ceil(BLOCK);
        let many = rows.div_ceil(TILE) * blocks;
        let (mut words, mut scales) = (Vec::with_capacity(many * WORDS), Vec::with_capacity(many));
        let mut bytes = vec![0; PIECE * size_of::<Word>()];
        while words.len() < many * WORDS {
            let now = PIECE.min(many * WORDS - words.len());
            let bytes = &mut bytes[..now * size_of::<Word>()];
            from.read_exact(bytes)?;
            let chunks = bytes.as_chunks::<{ size_of::<Word>() }>().0;
            words.extend(chunks.iter().map(|chunk| {
                let (values, _) = chunk.as_chunks::<4>();
                Word(std::array::from_fn(|at| i32::from_le_bytes(values[at])))
            }));
        }
        while scales.len() < many {
            let now = PIECE.min(many - scales.len());
            let bytes = &mut bytes[..now * 2 * TILE];
            from.read_exact(bytes)?;
            scales.extend(bytes.as_chunks::<{ 2 * TILE }>().0.iter().map(|chunk| {
                let (values, _) = chunk.as_chunks::<2>();
                std::array::from_fn::<u16, TILE, _>(|at| u16::from_le_bytes(values[at]))
            }));
        }
        let mut small = vec![0; rows.div_ceil(TILE)];
        from.read_exact(&mut small)?;
        let small = small.into_iter().map(|small| small == 1).collect();
        Ok(Matrix { rows, columns, blocks, words, scales, small, filled: rows })
    }

    /// A number that another matrix hardly has: it guards against accidents, not against malice.
    pub fn checksum(&self) -> u32 {
        pulp::Arch::new().dispatch(Checksum(self))
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
                small: self.small[tile],
            };
            kernel.multiply(strip, activations, out);
        });
        if many == 1 {
            tiles.truncate(self.rows);
            return tiles;
        }
        let mut out = vec![0.0; many * self.rows];
        workers.each(&mut out, self.rows, |index, out| {
            let mut tiles = tiles.chunks_exact(many * TILE).map(|tile| &tile[index * TILE..]);
            let (whole, rest) = out.as_chunks_mut::<TILE>();
            for (out, tile) in whole.iter_mut().zip(&mut tiles) {
                // Of a known size, which takes no call.
                out.copy_from_slice(&tile[..TILE]);
            }
            rest.iter_mut().zip(tiles.flatten()).for_each(|(out, value)| *out = *value);
        });
        out
    }
}

/// The sum over a matrix; a type of its own, so that it is compiled for the registers at hand.
struct Checksum<'a>(&'a Matrix);

impl pulp::NullaryFnOnce for Checksum<'_> {
    type Output = u32;

    #[allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]
    #[inline(always)]
    fn call(self) -> u32 {
        const PRIME: i32 = 0x0100_0193; // of FNV-1a, Fowler, Noll and Vo
        let mut sums = [0i32; TILE];
        for word in &self.0.words {
            sums.iter_mut().zip(&word.0).for_each(|(sum, value)| *sum = (*sum ^ value).wrapping_mul(PRIME));
        }
        for scales in &self.0.scales {
            let values = scales.iter().map(|scale| i32::from(*scale));
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum = (*sum ^ value).wrapping_mul(PRIME));
        }
        let small = self.0.small.iter().map(|small| i32::from(*small));
        let sums = sums.into_iter().chain(small);
        sums.fold(0, |all: i32, sum| (all ^ sum).wrapping_mul(PRIME)).cast_unsigned()
    }
}

/// What a byte of a block is worth.
///
/// Where the weights come from steps of one size, as those of Q4_0, Q5_0 and Q8_0 do, that is the step and nothing is
/// lost. Otherwise the largest value becomes ±127.
#[allow(clippy::inline_always, reason = "only inlined code is compiled for the dispatched registers")]
#[inline(always)]
fn scale(block: &[f32; BLOCK]) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to the nearest whole number
    let most = largest(block);
    for steps in [16.0, 8.0, 127.0] {
        let step = most / steps;
        let factor = if step > 0.0 { 1.0 / step } else { 0.0 };
        let mut off = 0.0f32;
        for value in block {
            let many = value * factor;
            let rest = (many - (many + ROUND - ROUND)).abs();
            off = if rest > off { rest } else { off };
        }
        // A step is a half-precision number in the file; the quotient gives it back to the last bit but a few.
        if off < 1e-5 {
            return step;
        }
    }
    most / 127.0
}

/// A scale in half precision, none too small for the largest weight of its block to fit a byte.
fn rounded(scale: f32, block: &[f32; BLOCK]) -> f16 {
    let near = f16::from_f32(scale);
    // Half precision has few digits for the smallest numbers.
    if largest(block) > 127.4 * near.to_f32() { f16::from_bits(near.to_bits() + 1) } else { near }
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
            let activations = Activations::new(arch, &Workers::new(1).unwrap(), &inputs, columns);
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
    #[allow(clippy::float_cmp, reason = "nothing may be lost")]
    fn steps_of_one_size_are_kept_exactly() {
        let mut random = StdRng::seed_from_u64(6);
        for (least, most) in [(-8i16, 8i16), (-16, 16), (-127, 128)] {
            let step = f16::from_f32(0.003_7).to_f32();
            let mut weights: Vec<f32> =
                (0..4 * 64).map(|_| f32::from(random.random_range(least..most)) * step).collect();
            weights.iter_mut().step_by(BLOCK).for_each(|weight| *weight = f32::from(least) * step);
            let mut matrix = Matrix::new(4, 64);
            matrix.fill(pulp::Arch::new(), &weights);
            let mut row = [0.0; 64];
            for index in 0..4 {
                matrix.read(index, &mut row);
                assert_eq!(row, weights[index * 64..][..64], "{least} to {most}");
            }
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_a_cut_is_noticed() {
        let arch = pulp::Arch::new();
        let mut matrix = Matrix::new(40, 70);
        matrix.fill(arch, &random(40 * 70, 7));
        let mut bytes = Vec::new();
        matrix.write(&mut bytes).unwrap();
        let again = Matrix::read_from(&mut &*bytes, 40, 70).unwrap();
        assert_eq!(again.checksum(), matrix.checksum());
        assert_eq!(bytes.len(), matrix.bytes() + matrix.small.len());
        assert!(Matrix::read_from(&mut &bytes[..bytes.len() - 1], 40, 70).is_err());
        bytes[100] ^= 1;
        assert_ne!(Matrix::read_from(&mut &*bytes, 40, 70).unwrap().checksum(), matrix.checksum());
    }

    #[test]
    fn the_vector_kernels_agree_to_the_bit_however_many_rows() {
        let arch = pulp::Arch::new();
        let workers = Workers::new(1).unwrap();
        // The first is of small steps with both ends in every block, and a row of the largest; the second is of any.
        let mut steps = StdRng::seed_from_u64(8);
        let mut small: Vec<f32> =
            (0..64 * 256).map(|_| f32::from(steps.random_range(-16i16..=16)) * 0.5).collect();
        for block in small.chunks_exact_mut(BLOCK) {
            block[..2].copy_from_slice(&[8.0, -8.0]);
        }
        small[..256].fill(8.0);
        let cases = [(256, small, true), (256, random(64 * 256, 4), false), (70, random(64 * 70, 4), false)];
        for (columns, weights, is_small) in cases {
            let mut matrix = Matrix::new(64, columns);
            matrix.fill(arch, &weights);
            assert_eq!(matrix.small, [is_small; 4]);
            for many in 1..=40 {
                let mut inputs = random(many * columns, 5);
                // The largest activations of one sign are what sums of sixteen bits run over by.
                inputs[..columns].fill(1.0);
                let activations = Activations::new(arch, &workers, &inputs, columns);
                let mut results: Vec<Vec<f32>> = Kernel::all()
                    .into_iter()
                    .map(|kernel| matrix.multiply(kernel, &workers, &activations))
                    .collect();
                let plain = results.pop().unwrap();
                assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{many} rows");
                // Plain code rounds after each product, the others once less.
                let off = |result: &Vec<f32>| {
                    let pairs = result.iter().zip(&plain);
                    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
                };
                assert!(results.iter().all(|result| off(result) < 0.02), "{many} rows");
            }
        }
    }

    #[test]
    fn the_smallest_weights_keep_their_sign_and_size() {
        // In half precision a step of 1e-7 is only known to a third of itself.
        for most in [1e-3f32, 1e-4, 1e-5, 7e-6] {
            let weights: Vec<f32> = (0..32).map(|at| most * (at as f32 / 15.5 - 1.0)).collect();
            let mut matrix = Matrix::new(1, 32);
            matrix.fill(pulp::Arch::new(), &weights);
            let mut row = [0.0; 32];
            matrix.read(0, &mut row);
            for (read, weight) in row.iter().zip(&weights) {
                assert!((read - weight).abs() <= most / 2.0 / 127.0 + 6e-8, "{read} is not {weight}");
            }
        }
    }
}
