//! A decision tree and a random forest by linfa, laid out flat, with rates in their leaves instead of votes.

use linfa::DatasetBase;
use linfa::traits::Fit as _;
use linfa_ensemble::EnsembleLearnerParams;
use linfa_trees::{DecisionTree, SplitQuality, TreeNode};
use ndarray::{Array1, Array2, ArrayView2};
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng as _;

use super::trees::{LEAF, Link, Node, Trees};

/// Trees of a forest.
const TREES: usize = 32;
/// Rows each of them sees at most: linfa looks at every row for every node.
const MOST_ROWS: f64 = 2_500.0;
/// Share of the columns each of them sees.
const COLUMNS: f64 = 0.5;
/// Rows at everyone's rate that a leaf begins with.
const PRIOR: f64 = 2.0;

type Linfa = DecisionTree<f64, bool>;

/// One tree on all rows.
pub(super) fn tree(rows: Array2<f64>, outcomes: &[bool]) -> Result<Trees, String> {
    let data = DatasetBase::new(rows, Array1::from(outcomes.to_vec()));
    let model = Linfa::params()
        .split_quality(SplitQuality::Entropy)
        .max_depth(Some(6))
        .min_weight_split(60.0)
        .min_weight_leaf(30.0)
        .fit(&data)
        .map_err(|cause| cause.to_string())?;
    let columns: Vec<usize> = (0..data.records.ncols()).collect();
    Ok(flat(&[(&model, &columns)], data.records.view(), outcomes))
}

/// Trees on samples of rows and columns (Breiman 2001).
pub(super) fn forest(rows: Array2<f64>, outcomes: &[bool], seed: u64) -> Result<Trees, String> {
    let share = (MOST_ROWS / rows.nrows().max(1) as f64).min(1.0);
    let data = DatasetBase::new(rows, Array1::from(outcomes.to_vec()));
    let tree = Linfa::params()
        .split_quality(SplitQuality::Gini)
        .max_depth(Some(9))
        .min_weight_split(10.0)
        .min_weight_leaf(5.0);
    let model = EnsembleLearnerParams::new_fixed_rng(tree, Xoshiro256Plus::seed_from_u64(seed))
        .ensemble_size(TREES)
        .bootstrap_proportion(share)
        .feature_proportion(COLUMNS)
        .fit(&data)
        .map_err(|cause| cause.to_string())?;
    let trees: Vec<(&Linfa, &Vec<usize>)> = model.models.iter().zip(&model.model_features).collect();
    Ok(flat(&trees, data.records.view(), outcomes))
}

/// The same trees with each leaf's rate among all rows.
fn flat(models: &[(&Linfa, &Vec<usize>)], rows: ArrayView2<'_, f64>, outcomes: &[bool]) -> Trees {
    let rate = outcomes.iter().filter(|came| **came).count() as f64 / outcomes.len().max(1) as f64;
    let mut trees = Trees::new(Link::Mean, 0.0);
    for (model, columns) in models {
        let mut nodes = vec![Node::leaf(0.0)];
        lay(model.root_node(), columns, 0, &mut nodes);
        trees.push(&nodes);
    }
    let mut seen = vec![(PRIOR * rate, PRIOR); trees.nodes.len()];
    let rows = rows.as_standard_layout();
    for (row, came) in rows.rows().into_iter().zip(outcomes) {
        let Some(row) = row.to_slice() else { continue };
        for root in &trees.roots {
            let (positives, count) = &mut seen[trees.leaf(*root, row) as usize];
            *positives += f64::from(*came);
            *count += 1.0;
        }
    }
    for (node, (positives, count)) in trees.nodes.iter_mut().zip(seen) {
        if node.feature == LEAF {
            node.at = positives / count;
        }
    }
    trees
}

fn lay(node: &TreeNode<f64, bool>, columns: &[usize], place: usize, nodes: &mut Vec<Node>) {
    let children = node.children();
    let [Some(left), Some(right)] = children.as_slice() else { return };
    if node.is_leaf() {
        return;
    }
    let (column, at, _) = node.split();
    let first = nodes.len();
    nodes[place] = Node { feature: columns[column] as u32, at, left: first as u32 };
    nodes.extend([Node::leaf(0.0); 2]);
    lay(left, columns, first, nodes);
    lay(right, columns, first + 1, nodes);
}
