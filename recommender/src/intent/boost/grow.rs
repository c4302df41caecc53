//! One tree, the leaf that gains most split first.

use ndarray::Array2;

use super::BoostSettings;
use super::bins::Bins;
use crate::intent::trees::Node;

/// First and second derivative of the loss by each row's score.
pub(super) struct Gradients {
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
}

/// Sums over the rows of a bin, a side or a leaf.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    first: f64,
    second: f64,
    rows: u32,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self {
            first: self.first + other.first,
            second: self.second + other.second,
            rows: self.rows + other.rows,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            first: self.first - other.first,
            second: self.second - other.second,
            rows: self.rows - other.rows,
        }
    }

    /// Twice what the loss falls by with the best value of these rows.
    fn worth(self, ridge: f64) -> f64 {
        self.first * self.first / (self.second + ridge)
    }
}

/// The best split of a leaf.
#[derive(Debug, Clone, Copy)]
struct Split {
    gain: f64,
    column: usize,
    bin: usize,
    left: Sums,
}

/// A leaf that may yet be split.
struct Leaf {
    node: usize,
    rows: std::ops::Range<usize>,
    sums: Sums,
    histogram: Vec<Sums>,
    best: Option<Split>,
}

/// Grows trees on one binned sample.
pub(super) struct Grower<'a> {
    binned: &'a Array2<u8>,
    bins: &'a Bins,
    settings: BoostSettings,
    /// Where each column's bins begin in a histogram, and where the last ends.
    offsets: Vec<usize>,
    rows: Vec<u32>,
    spare: Vec<u32>,
}

impl<'a> Grower<'a> {
    pub(super) fn new(binned: &'a Array2<u8>, bins: &'a Bins, settings: BoostSettings) -> Self {
        let mut offsets = vec![0];
        for column in 0..binned.ncols() {
            offsets.push(offsets[column] + bins.count(column));
        }
        Self { binned, bins, settings, offsets, rows: Vec::new(), spare: Vec::new() }
    }

    /// A tree on `rows` that splits by `columns`; values of leaves are shrunk by the rate.
    pub(super) fn grow(&mut self, rows: &[u32], columns: &[usize], gradients: &Gradients) -> Vec<Node> {
        self.rows.clear();
        self.rows.extend_from_slice(rows);
        let histogram = self.histogram(0..rows.len(), columns, gradients);
        let first = columns.first().map_or(0..0, |column| self.offsets[*column]..self.offsets[*column + 1]);
        let sums = histogram[first].iter().fold(Sums::default(), |sum, bin| sum.plus(*bin));
        let best = self.best(&histogram, sums, columns);
        let mut nodes = vec![self.value(sums)];
        let mut leaves = vec![Leaf { node: 0, rows: 0..rows.len(), sums, histogram, best }];
        let mut count = 1;
        while count < self.settings.leaves {
            let gain = |leaf: &Leaf| leaf.best.map_or(f64::NEG_INFINITY, |split| split.gain);
            let chosen = (0..leaves.len()).max_by(|a, b| gain(&leaves[*a]).total_cmp(&gain(&leaves[*b])));
            let Some(leaf) = chosen.map(|place| leaves.swap_remove(place)) else { break };
            let Some(split) = leaf.best else { break };
            let left = nodes.len();
            nodes[leaf.node] = Node {
                feature: split.column as u32,
                at: self.bins.bound(split.column, split.bin),
                left: left as u32,
            };
            let middle = self.part(leaf.rows.clone(), split);
            let sides =
                [(leaf.rows.start..middle, split.left), (middle..leaf.rows.end, leaf.sums.minus(split.left))];
            nodes.extend(sides.iter().map(|(_, sums)| self.value(*sums)));
            // The smaller side is counted, the larger is what remains.
            let small = usize::from(sides[1].0.len() < sides[0].0.len());
            let counted = self.histogram(sides[small].0.clone(), columns, gradients);
            let rest: Vec<Sums> =
                leaf.histogram.iter().zip(&counted).map(|(all, part)| all.minus(*part)).collect();
            let mut of = if small == 0 { [counted, rest] } else { [rest, counted] };
            for (side, (rows, sums)) in sides.into_iter().enumerate() {
                let histogram = std::mem::take(&mut of[side]);
                let best = self.best(&histogram, sums, columns);
                leaves.push(Leaf { node: left + side, rows, sums, histogram, best });
            }
            count += 1;
        }
        nodes
    }

    fn value(&self, sums: Sums) -> Node {
        Node::leaf(-self.settings.rate * sums.first / (sums.second + self.settings.ridge))
    }

    fn histogram(&self, rows: std::ops::Range<usize>, columns: &[usize], gradients: &Gradients) -> Vec<Sums> {
        let mut histogram = vec![Sums::default(); self.offsets[self.offsets.len() - 1]];
        for row in &self.rows[rows] {
            let row = *row as usize;
            let (first, second) = (f64::from(gradients.first[row]), f64::from(gradients.second[row]));
            let bins = self.binned.row(row);
            for column in columns {
                let sums = &mut histogram[self.offsets[*column] + usize::from(bins[*column])];
                sums.first += first;
                sums.second += second;
                sums.rows += 1;
            }
        }
        histogram
    }

    fn best(&self, histogram: &[Sums], all: Sums, columns: &[usize]) -> Option<Split> {
        let (least, ridge) = (self.settings.least_rows, self.settings.ridge);
        let mut best: Option<Split> = None;
        if all.rows < 2 * least {
            return best;
        }
        for column in columns {
            let mut left = Sums::default();
            let bins = &histogram[self.offsets[*column]..self.offsets[*column + 1]];
            for (bin, sums) in bins[..bins.len() - 1].iter().enumerate() {
                left = left.plus(*sums);
                let right = all.minus(left);
                if right.rows < least {
                    break;
                }
                if left.rows < least || sums.rows == 0 {
                    continue;
                }
                let gain = left.worth(ridge) + right.worth(ridge) - all.worth(ridge);
                if gain > best.map_or(1e-9, |split| split.gain) {
                    best = Some(Split { gain, column: *column, bin, left });
                }
            }
        }
        best
    }

    /// Puts the rows of the left side first; says where the right side begins.
    fn part(&mut self, range: std::ops::Range<usize>, split: Split) -> usize {
        self.spare.clear();
        let mut middle = range.start;
        for place in range.clone() {
            let row = self.rows[place];
            if usize::from(self.binned[[row as usize, split.column]]) <= split.bin {
                self.rows[middle] = row;
                middle += 1;
            } else {
                self.spare.push(row);
            }
        }
        self.rows[middle..range.end].copy_from_slice(&self.spare);
        middle
    }
}
