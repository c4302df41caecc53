//! One tree, leaf by leaf: the leaf whose fork gains most is forked next.

use super::bins::Binned;
use super::histogram::{Histogram, Sums, build, without};
use super::model::{Fork, Node, Tree};
use super::settings::Settings;
use super::split::{Bounds, Split, best, children};

/// A leaf that may still fork.
struct Leaf {
    node: usize,
    from: usize,
    until: usize,
    depth: usize,
    bounds: Bounds,
    histogram: Histogram,
    split: Split,
}

/// What all trees of a model are grown from.
pub(super) struct Ground<'a> {
    pub(super) binned: &'a [Binned],
    pub(super) settings: &'a Settings,
}

impl Ground<'_> {
    /// Grows a tree on `rows`, ascending, of which it sees the features `seen`. Leaf values are shrunk already. Also
    /// tells the value each row got, in the order `rows` is left in.
    pub(super) fn grow(
        &self,
        seen: &[bool],
        rows: &mut [u32],
        derivatives: &[(f64, f64)],
    ) -> (Tree, Vec<f64>) {
        let settings = self.settings;
        let mut total = Sums { rows: rows.len() as u32, ..Sums::default() };
        for &row in rows.iter() {
            let (gradient, hessian) = derivatives[row as usize];
            total.gradient += gradient;
            total.hessian += hessian;
        }
        let mut nodes = vec![self.node(total, Bounds::FREE)];
        let mut spans = vec![(0, 0, rows.len())];
        let histogram = build(self.binned, seen, rows, derivatives);
        let mut open: Vec<Leaf> = Vec::new();
        if let Some(split) = best(self.binned, &histogram, total, Bounds::FREE, settings) {
            open.push(Leaf {
                node: 0,
                from: 0,
                until: rows.len(),
                depth: 0,
                bounds: Bounds::FREE,
                histogram,
                split,
            });
        }
        let mut leaves = 1;
        while leaves < settings.leaves {
            // The first of equals, so that the tree does not depend on the order of floating ties.
            let Some(at) = (0..open.len())
                .reduce(|best, next| if open[next].split.gain > open[best].split.gain { next } else { best })
            else {
                break;
            };
            let leaf = open.swap_remove(at);
            let Split { feature, bin, missing_left, left, right, .. } = leaf.split;
            let middle = leaf.from + self.part(&mut rows[leaf.from..leaf.until], &leaf.split);
            let (left_bounds, right_bounds) = children(&leaf.split, leaf.bounds, settings);
            let (left_node, right_node) = (nodes.len(), nodes.len() + 1);
            nodes.push(self.node(left, left_bounds));
            nodes.push(self.node(right, right_bounds));
            let threshold = self.binned[feature].cuts[bin - 1];
            nodes[leaf.node].fork = Some(Fork {
                feature: feature as u32,
                threshold,
                missing_left,
                left: left_node as u32,
                right: right_node as u32,
                gain: leaf.split.gain,
            });
            spans.retain(|(node, ..)| *node != leaf.node);
            spans.push((left_node, leaf.from, middle));
            spans.push((right_node, middle, leaf.until));
            leaves += 1;
            let depth = leaf.depth + 1;
            if depth >= settings.depth || leaves >= settings.leaves {
                continue;
            }
            // The smaller child is counted, the larger is what remains.
            let smaller_is_left = left.rows <= right.rows;
            let smaller = if smaller_is_left { &rows[leaf.from..middle] } else { &rows[middle..leaf.until] };
            let counted = build(self.binned, seen, smaller, derivatives);
            let rest = without(leaf.histogram, &counted);
            let (of_left, of_right) = if smaller_is_left { (counted, rest) } else { (rest, counted) };
            for (node, from, until, sums, bounds, histogram) in [
                (left_node, leaf.from, middle, left, left_bounds, of_left),
                (right_node, middle, leaf.until, right, right_bounds, of_right),
            ] {
                if let Some(split) = best(self.binned, &histogram, sums, bounds, settings) {
                    open.push(Leaf { node, from, until, depth, bounds, histogram, split });
                }
            }
        }
        let mut values = vec![0.0; rows.len()];
        for (node, from, until) in spans {
            values[from..until].fill(nodes[node].value);
        }
        (Tree { nodes }, values)
    }

    fn node(&self, sums: Sums, bounds: Bounds) -> Node {
        Node { value: self.settings.learning_rate * bounds.value(sums, self.settings.l2), fork: None }
    }

    /// Rows that go left first, the order on each side kept; says how many go left.
    fn part(&self, rows: &mut [u32], split: &Split) -> usize {
        let codes = &self.binned[split.feature].codes;
        let goes_left = |row: u32| match codes[row as usize] {
            0 => split.missing_left,
            code => code as usize <= split.bin,
        };
        let right: Vec<u32> = rows.iter().copied().filter(|&row| !goes_left(row)).collect();
        let mut left = 0;
        for at in 0..rows.len() {
            if goes_left(rows[at]) {
                rows[left] = rows[at];
                left += 1;
            }
        }
        rows[left..].copy_from_slice(&right);
        left
    }
}
