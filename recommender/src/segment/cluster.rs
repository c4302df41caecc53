//! k-means by linfa, its number of groups and its space chosen by silhouette.

use linfa::DatasetBase;
use linfa::traits::{Fit as _, Predict as _};
use linfa_clustering::KMeans;
use ndarray::{Array2, ArrayView1, Axis};
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng as _;

use super::{SegmentError, principal};

/// Numbers of groups tried.
const GROUPS: std::ops::RangeInclusive<usize> = 2..=8;
/// Numbers of principal components tried beside the measures themselves.
const COMPONENTS: [usize; 2] = [2, 3];
/// People the silhouette is taken on, evenly from all.
const SAMPLED: usize = 600;
/// Smallest share of everyone that makes a group.
const SMALLEST: f64 = 0.01;

/// Groups as found.
pub(super) struct Found {
    /// Group of each person: the one of the nearest centre.
    pub(super) member_of: Vec<usize>,
    /// Means of the members, a row a group.
    pub(super) centres: Array2<f64>,
    pub(super) silhouette: f64,
    /// Principal components; 0: none.
    pub(super) components: usize,
}

/// The best grouping of standardised rows. Silhouettes are compared in those rows, whatever space the groups were
/// found in.
pub(super) fn cluster(rows: &Array2<f64>, seed: u64) -> Result<Found, SegmentError> {
    if rows.rows().into_iter().all(|row| row == rows.row(0)) {
        return Err(SegmentError::AllAlike);
    }
    let mut spaces = vec![(0, rows.clone())];
    for components in COMPONENTS {
        // Measures that depend on each other leave fewer directions than asked for: that space is left out.
        if let Some(reduced) = principal::components(rows, components) {
            spaces.push((components, reduced));
        }
    }
    let mut best: Option<Found> = None;
    for (components, space) in spaces {
        for groups in GROUPS {
            let random = Xoshiro256Plus::seed_from_u64(seed);
            let data = DatasetBase::from(space.view());
            let model = KMeans::params_with_rng(groups, random)
                .n_runs(3)
                .max_n_iterations(100)
                .tolerance(1e-4)
                .fit(&data)
                .map_err(|cause| SegmentError::Clustering(cause.to_string()))?;
            let memberships: ndarray::Array1<usize> = model.predict(&space);
            let Some(found) = settled(rows, &memberships.to_vec(), groups, components) else { continue };
            if best.as_ref().is_none_or(|best| found.silhouette > best.silhouette) {
                best = Some(found);
            }
        }
    }
    best.ok_or(SegmentError::AllAlike)
}

/// The groups by nearest mean, with their silhouette; none where a group is too small.
fn settled(rows: &Array2<f64>, member_of: &[usize], groups: usize, components: usize) -> Option<Found> {
    let mut centres = Array2::zeros((groups, rows.ncols()));
    let mut sizes = vec![0.0; groups];
    for (row, group) in rows.rows().into_iter().zip(member_of) {
        centres.row_mut(*group).scaled_add(1.0, &row);
        sizes[*group] += 1.0;
    }
    if sizes.iter().any(|size| *size < (SMALLEST * rows.nrows() as f64).max(1.0)) {
        return None;
    }
    for (mut centre, size) in centres.rows_mut().into_iter().zip(&sizes) {
        centre /= *size;
    }
    let nearest = |row: ArrayView1<'_, f64>| {
        let distances = centres.rows().into_iter().map(|centre| distance(row, centre)).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(group, _)| group)
    };
    let member_of: Vec<usize> = rows.rows().into_iter().map(nearest).collect();
    let silhouette = silhouette(rows, &member_of, groups)?;
    Some(Found { member_of, centres, silhouette, components })
}

fn distance(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

/// Mean of (b − a) / max(a, b) over a sample: a the mean distance to the own group, b to the nearest other.
pub(super) fn silhouette(rows: &Array2<f64>, member_of: &[usize], groups: usize) -> Option<f64> {
    let sampled: Vec<usize> = (0..rows.nrows()).step_by(rows.nrows().div_ceil(SAMPLED).max(1)).collect();
    let (mut sum, mut count) = (0.0, 0.0);
    for one in &sampled {
        let mut to = vec![(0.0_f64, 0.0_f64); groups];
        for other in sampled.iter().filter(|other| *other != one) {
            let (total, people) = &mut to[member_of[*other]];
            *total += distance(rows.index_axis(Axis(0), *one), rows.index_axis(Axis(0), *other));
            *people += 1.0;
        }
        let own = member_of[*one];
        let mean = |group: usize| (to[group].1 > 0.0).then(|| to[group].0 / to[group].1);
        let near = (0..groups).filter(|group| *group != own).filter_map(mean).reduce(f64::min);
        // Alone in its group, a person sits neither well nor badly.
        let value = match (mean(own), near) {
            (Some(a), Some(b)) if a.max(b) > 0.0 => (b - a) / a.max(b),
            (_, None) => return None,
            _ => 0.0,
        };
        sum += value;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}
