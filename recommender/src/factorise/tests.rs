use ndarray::{Array2, s};
use proptest::prelude::*;

use super::*;

/// The worked matrix of the project's first brief.
const WORKED: [[f32; 4]; 4] =
    [[0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]];

fn sparse<const R: usize, const C: usize>(dense: &[[f32; C]; R]) -> Csr {
    let entries = dense.iter().enumerate().flat_map(|(r, row)| {
        row.iter().enumerate().filter(|(_, v)| **v != 0.0).map(move |(c, v)| (r, c, *v))
    });
    Csr::from_triplets(R, C, entries).unwrap()
}

fn settings(rank: usize, road: Road) -> Settings {
    Settings { rank, seed: 7, road }
}

fn rebuilt(f: &Factors) -> Array2<f32> {
    (&f.u * &ndarray::arr1(&f.s)).dot(&f.v.t())
}

fn distance(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    (a - b).iter().map(|x| x * x).sum::<f32>().sqrt()
}

fn assert_orthonormal(x: &Array2<f32>, what: &str) {
    let off = distance(&x.t().dot(x), &Array2::eye(x.ncols()));
    assert!(off < 2e-4, "{what}: columns are {off} from orthonormal");
}

/// Eigenvalues of a symmetric matrix by cyclic Jacobi rotations: an independent route to σ².
fn jacobi(mut a: Array2<f64>) -> Vec<f64> {
    let n = a.nrows();
    for _ in 0..60 {
        for p in 0..n {
            for q in p + 1..n {
                if a[[p, q]].abs() < 1e-300 {
                    continue;
                }
                let theta = (a[[q, q]] - a[[p, p]]) / (2.0 * a[[p, q]]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let sn = t * c;
                for k in 0..n {
                    let (x, y) = (a[[k, p]], a[[k, q]]);
                    a[[k, p]] = c * x - sn * y;
                    a[[k, q]] = sn * x + c * y;
                }
                for k in 0..n {
                    let (x, y) = (a[[p, k]], a[[q, k]]);
                    a[[p, k]] = c * x - sn * y;
                    a[[q, k]] = sn * x + c * y;
                }
            }
        }
    }
    let mut values = a.diag().to_vec();
    values.sort_by(|x, y| y.total_cmp(x));
    values
}

fn gram_of(dense: &Array2<f32>) -> Array2<f64> {
    let wide = dense.mapv(f64::from);
    wide.t().dot(&wide)
}

#[test]
fn the_worked_matrix_is_factorised_as_the_definition_says() {
    let dense = ndarray::arr2(&WORKED);
    for road in [Road::Fast, Road::Accurate] {
        let f = truncated_svd(&sparse(&WORKED), settings(4, road), Watch::idle()).unwrap();
        assert!(distance(&rebuilt(&f), &dense) < 1e-5, "A = U S Vt");
        assert_orthonormal(&f.u, "U");
        assert_orthonormal(&f.v, "V");
        for (s, eigenvalue) in f.s.iter().zip(jacobi(gram_of(&dense))) {
            let sigma = f64::from(*s);
            assert!((sigma * sigma - eigenvalue).abs() < 1e-5, "{} and {eigenvalue}", sigma * sigma);
        }
        // |det A| = 1 by expansion along the first row; it is the product of the singular values.
        let determinant: f32 = f.s.iter().product();
        assert!((determinant - 1.0).abs() < 1e-5, "{determinant}");
    }
}

#[test]
fn the_best_rank_two_approximation_misses_what_the_dropped_values_hold() {
    // Eckart and Young 1936: the error is the root of the sum of squares of the dropped values.
    let dense = ndarray::arr2(&WORKED);
    let values = jacobi(gram_of(&dense));
    let f = truncated_svd(&sparse(&WORKED), settings(2, Road::Fast), Watch::idle()).unwrap();
    let expected = (values[2] + values[3]).sqrt();
    assert!((f64::from(distance(&rebuilt(&f), &dense)) - expected).abs() < 1e-4);
}

/// Interactions with planted tastes, sparse and skewed like a shop's.
fn planted(rows: usize, cols: usize, seed: u64) -> Csr {
    use rand::{Rng, SeedableRng};
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut entries = Vec::new();
    for row in 0..rows {
        let taste = row % 12;
        for _ in 0..random.random_range(5..30) {
            let popular = random.random::<f32>().powi(3);
            let column = if random.random::<f32>() < 0.7 {
                let own = cols / 12;
                taste * own + (popular * own as f32) as usize
            } else {
                (popular * cols as f32) as usize
            };
            entries.push((row, column.min(cols - 1), 1.0));
        }
    }
    Csr::from_triplets(rows, cols, entries).unwrap()
}

#[test]
fn the_two_roads_meet() {
    for (rows, cols) in [(3000, 900), (700, 2600)] {
        let a = planted(rows, cols, 3);
        let fast = truncated_svd(&a, settings(20, Road::Fast), Watch::idle()).unwrap();
        let accurate = truncated_svd(&a, settings(20, Road::Accurate), Watch::idle()).unwrap();
        for (i, (x, y)) in fast.s.iter().zip(&accurate.s).enumerate() {
            assert!((x - y).abs() < 2e-3 * y, "value {i}: {x} and {y}");
        }
        // The twelve planted tastes stand clear of the noise, so their subspaces must be the same.
        let overlap = fast.v.slice(s![.., ..12]).t().dot(&accurate.v.slice(s![.., ..12]));
        let kept: f32 = overlap.iter().map(|x| x * x).sum();
        assert!((kept - 12.0).abs() < 0.02, "{kept} of 12 dimensions shared");
        for f in [&fast, &accurate] {
            assert_orthonormal(&f.u, "U");
            assert_orthonormal(&f.v, "V");
        }
    }
}

#[test]
fn a_matrix_of_lower_rank_gives_zeros_and_whole_bases() {
    let ones = [[1.0; 5]; 7];
    let f = truncated_svd(&sparse(&ones), settings(3, Road::Fast), Watch::idle()).unwrap();
    assert!((f.s[0] - 35.0_f32.sqrt()).abs() < 1e-5);
    assert!(f.s[1] < 1e-3 && f.s[2] < 1e-3, "{:?}", f.s);
    assert_orthonormal(&f.u, "U");
    assert_orthonormal(&f.v, "V");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let a = planted(500, 300, 9);
    let run = || truncated_svd(&a, settings(8, Road::Fast), Watch::idle()).unwrap();
    let (x, y) = (run(), run());
    assert_eq!((x.u, x.s, x.v), (y.u, y.s, y.v));
}

#[test]
fn what_cannot_be_factorised_is_refused() {
    let empty = Csr::from_triplets(3, 3, []).unwrap();
    assert!(matches!(
        truncated_svd(&empty, settings(1, Road::Fast), Watch::idle()),
        Err(SvdError::Empty { .. })
    ));
    for rank in [0, 5] {
        let refused = truncated_svd(&sparse(&WORKED), settings(rank, Road::Fast), Watch::idle());
        assert_eq!(refused.unwrap_err(), SvdError::Rank { rank, most: 4, rows: 4, cols: 4 });
    }
    let huge = [[1e30, 2e30], [3e30, 1e30]];
    let refused = truncated_svd(&sparse(&huge), settings(1, Road::Fast), Watch::idle());
    assert!(matches!(refused, Err(SvdError::Numerical(_))), "{refused:?}");
}

#[test]
fn a_cancelled_run_stops() {
    let a = planted(3000, 900, 3);
    for road in [Road::Fast, Road::Accurate] {
        let watch = Watch { report: &|_| {}, cancelled: &|| true };
        assert_eq!(truncated_svd(&a, settings(20, road), watch).unwrap_err(), SvdError::Cancelled);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_small_matrix_comes_back_whole(
        entries in proptest::collection::vec((0usize..9, 0usize..6, 1i8..6), 1..40),
    ) {
        let a = Csr::from_triplets(9, 6, entries.iter().map(|&(r, c, v)| (r, c, f32::from(v)))).unwrap();
        let mut dense = Array2::zeros((9, 6));
        for r in 0..9 { for (c, v) in a.row(r) { dense[[r, c]] = v; } }
        let f = truncated_svd(&a, settings(6, Road::Fast), Watch::idle()).unwrap();
        let size = dense.iter().map(|x: &f32| x * x).sum::<f32>().sqrt();
        prop_assert!(distance(&rebuilt(&f), &dense) < 1e-4 * size);
        let values = jacobi(gram_of(&dense));
        for (s, value) in f.s.iter().zip(values) {
            let sigma = f64::from(*s);
            prop_assert!((sigma * sigma - value.max(0.0)).abs() < 1e-5 * f64::from(size * size));
        }
    }
}
