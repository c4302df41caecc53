//! Inner products in eight bits: every row's values in steps of its own, a quarter of the memory to read.
//!
//! Rows are seven bits and a sign's worth of offset (0 to 126 around 63), the query is −127 to 127: a pair of products
//! then fits sixteen bits, so that one instruction multiplies and adds thirty-two of them without saturating. What is
//! found so is scored again exactly, so that only the choice of candidates is approximate.

use ndarray::{Array2, ArrayView1};

use super::top::Top;

/// Rows of a panel: the lanes of a vector of 32-bit sums.
const LANES: usize = 8;
/// Dimensions side by side in a lane.
const DEEP: usize = 4;
/// Bytes a panel holds of each [`DEEP`] dimensions.
const BYTES: usize = LANES * DEEP;
/// What stands for 0.
const MIDDLE: f32 = 63.0;
/// The largest step of the query.
const STEPS: f32 = 127.0;
/// Candidates that are scored again, for each wanted.
const AGAIN: usize = 4;

/// Rows to search, in eight bits and exactly.
#[derive(Debug, Clone)]
pub struct Compact {
    rows: Array2<f32>,
    /// Panel after panel; in a panel, four dimensions of each row, then the next four.
    values: Vec<u8>,
    /// Size of a step of each row; 0 behind the last.
    steps: Vec<f32>,
}

impl Compact {
    /// Makes `rows` ready to be searched.
    pub fn new(rows: Array2<f32>) -> Self {
        let (count, rank) = rows.dim();
        let width = rank.next_multiple_of(DEEP);
        let mut values = vec![MIDDLE as u8; count.div_ceil(LANES) * LANES * width];
        let mut steps = vec![0.0; count.div_ceil(LANES) * LANES];
        for (number, row) in rows.rows().into_iter().enumerate() {
            let step = largest(row) / MIDDLE;
            steps[number] = step;
            let start = number / LANES * LANES * width + number % LANES * DEEP;
            for (dimension, value) in row.iter().enumerate() {
                let place = start + dimension / DEEP * BYTES + dimension % DEEP;
                values[place] = (value / step.max(f32::MIN_POSITIVE) + MIDDLE).round() as u8;
            }
        }
        Self { rows, values, steps }
    }

    /// The rows with the largest inner products with `query`, the largest first: exact scores of candidates that were
    /// found in eight bits.
    ///
    /// # Panics
    /// `query` has another length than a row.
    pub fn top(&self, query: ArrayView1<f32>, limit: usize) -> Vec<(u32, f32)> {
        assert_eq!(query.len(), self.rows.ncols(), "a query is as long as a row");
        let step = largest(query) / STEPS;
        let mut small = vec![[0_i8; DEEP]; query.len().div_ceil(DEEP)];
        for (dimension, value) in query.iter().enumerate() {
            small[dimension / DEEP][dimension % DEEP] = (value / step.max(f32::MIN_POSITIVE)).round() as i8;
        }
        // What the offset of the rows adds to every product.
        let offset = small.iter().flatten().map(|&value| i32::from(value)).sum::<i32>() * MIDDLE as i32;
        let mut top = Top::new(limit.saturating_mul(AGAIN).min(self.rows.nrows()));
        self.scan(&small, offset, &mut top);
        let exact = top
            .into_best()
            .into_iter()
            .map(|(number, _)| (number, self.rows.row(number as usize).dot(&query)));
        let mut exact: Vec<(u32, f32)> = exact.collect();
        exact.sort_unstable_by(|x, y| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0)));
        exact.truncate(limit);
        exact
    }

    fn scan(&self, query: &[[i8; DEEP]], offset: i32, top: &mut Top) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            simd.vectorize(
                #[inline(always)]
                || self.panels(query, offset, top, |panel, query| products_v3(simd, panel, query)),
            );
            return;
        }
        self.panels(query, offset, top, products);
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "must be compiled inside the dispatching closure")]
    fn panels(
        &self,
        query: &[[i8; DEEP]],
        offset: i32,
        top: &mut Top,
        products: impl Fn(&[u8], &[[i8; DEEP]]) -> [i32; LANES],
    ) {
        if query.is_empty() {
            return;
        }
        let count = self.rows.nrows();
        let panels = self.values.chunks_exact(BYTES * query.len());
        for (number, (panel, steps)) in panels.zip(self.steps.chunks_exact(LANES)).enumerate() {
            let sums = products(panel, query);
            let mut scores = [0.0_f32; LANES];
            for ((score, sum), step) in scores.iter_mut().zip(sums).zip(steps) {
                *score = (sum - offset) as f32 * step;
            }
            let bar = top.bar();
            // All lanes are compared, without a short cut: that is one instruction.
            if scores.iter().map(|&score| u32::from(score > bar)).sum::<u32>() > 0 {
                for (lane, &score) in scores.iter().enumerate().take(count - number * LANES) {
                    top.add((number * LANES + lane) as u32, score);
                }
            }
        }
    }
}

/// The largest size of a value, 0 of none.
fn largest(row: ArrayView1<f32>) -> f32 {
    row.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// Products of a panel's rows with the query.
fn products(panel: &[u8], query: &[[i8; DEEP]]) -> [i32; LANES] {
    let mut sums = [0_i32; LANES];
    for (block, query) in panel.chunks_exact(BYTES).zip(query) {
        for (sum, row) in sums.iter_mut().zip(block.chunks_exact(DEEP)) {
            *sum += row.iter().zip(query).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum::<i32>();
        }
    }
    sums
}

/// [`products`] by AVX2.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[expect(clippy::inline_always, reason = "must be compiled inside the dispatching closure")]
fn products_v3(simd: pulp::x86::V3, panel: &[u8], query: &[[i8; DEEP]]) -> [i32; LANES] {
    let (blocks, _) = panel.as_chunks::<BYTES>();
    let ones = simd.avx._mm256_set1_epi16(1);
    let mut sums = simd.avx._mm256_setzero_si256();
    for (block, query) in blocks.iter().zip(query) {
        let query = simd.avx._mm256_set1_epi32(i32::from_le_bytes(query.map(|x| x as u8)));
        let pairs = simd.avx2._mm256_maddubs_epi16(pulp::cast(*block), query);
        sums = simd.avx2._mm256_add_epi32(sums, simd.avx2._mm256_madd_epi16(pairs, ones));
    }
    pulp::cast(sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_of_multiplying_gives_the_same_sums() {
        let panel: Vec<u8> = (0..BYTES * 3).map(|n| (n * 37 % 127) as u8).collect();
        let query: Vec<[i8; DEEP]> = [[127, -127, 3, 0], [-5, 127, 127, 1], [-127, -127, -127, -127]].into();
        let by_hand: Vec<i32> = (0..LANES)
            .map(|lane| {
                let at = |block: usize, deep: usize| i32::from(panel[block * BYTES + lane * DEEP + deep]);
                (0..3)
                    .flat_map(|b| (0..DEEP).map(move |d| (b, d)))
                    .map(|(b, d)| at(b, d) * i32::from(query[b][d]))
                    .sum()
            })
            .collect();
        assert_eq!(products(&panel, &query).to_vec(), by_hand);
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            assert_eq!(products_v3(simd, &panel, &query).to_vec(), by_hand);
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_among_the_best_and_scored_exactly(
            values in proptest::collection::vec(-1.0_f32..1.0, 40 * 6),
            query in proptest::collection::vec(-1.0_f32..1.0, 6),
        ) {
            let rows = Array2::from_shape_vec((40, 6), values).expect("as many");
            let query = ndarray::Array1::from(query);
            let exact = rows.dot(&query);
            let found = Compact::new(rows).top(query.view(), 5);
            prop_assert_eq!(found.len(), 5);
            prop_assert!(found.iter().all(|&(row, score)| (exact[row as usize] - score).abs() < 1e-5));
            let mut order: Vec<f32> = exact.to_vec();
            order.sort_unstable_by(|x, y| y.total_cmp(x));
            prop_assert!((found[0].1 - order[0]).abs() < 1e-6, "the very best is never missed among 20 candidates");
        }
    }
}
