//! Nelder and Mead's downhill simplex (1965), with Gao and Han's coefficients for the dimension (2012).

/// Steps at most of one descent.
const STEPS: usize = 4_000;
/// Descents from where the last one ended: a simplex can collapse on a slope.
const RESTARTS: usize = 6;

/// A minimum as found.
pub(super) struct Minimum {
    /// Where.
    pub(super) at: Vec<f64>,
    /// The value there.
    pub(super) value: f64,
}

/// A minimum of `of` near `start`; points where `of` is not finite are never taken.
pub(super) fn minimise(start: &[f64], of: &dyn Fn(&[f64]) -> f64) -> Minimum {
    let of = |x: &[f64]| Some(of(x)).filter(|value| value.is_finite()).unwrap_or(f64::INFINITY);
    let mut best = descend(start, 0.5, &of);
    for _ in 0..RESTARTS {
        let next = descend(&best.at, 0.1, &of);
        let is_done = best.value - next.value <= 1e-12 * best.value.abs();
        if next.value <= best.value {
            best = next;
        }
        if is_done {
            break;
        }
    }
    best
}

fn descend(start: &[f64], size: f64, of: &dyn Fn(&[f64]) -> f64) -> Minimum {
    let n = start.len() as f64;
    let (expand, contract, shrink) = (1.0 + 2.0 / n, 0.75 - 0.5 / n, 1.0 - 1.0 / n);
    let mut simplex: Vec<(f64, Vec<f64>)> = vec![(of(start), start.to_vec())];
    for axis in 0..start.len() {
        let mut corner = start.to_vec();
        corner[axis] += size;
        simplex.push((of(&corner), corner));
    }
    for _ in 0..STEPS {
        simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = simplex.len() - 1;
        let spread = simplex[1..]
            .iter()
            .flat_map(|(_, corner)| corner.iter().zip(&simplex[0].1).map(|(a, b)| (a - b).abs()))
            .fold(0.0, f64::max);
        if spread < 1e-9 {
            break;
        }
        let centre: Vec<f64> = (0..start.len())
            .map(|axis| simplex[..last].iter().map(|(_, corner)| corner[axis]).sum::<f64>() / n)
            .collect();
        let worst = simplex[last].clone();
        let along = |step: f64| {
            let point: Vec<f64> = centre.iter().zip(&worst.1).map(|(c, w)| c + step * (c - w)).collect();
            (of(&point), point)
        };
        let reflected = along(1.0);
        let next = if reflected.0 < simplex[0].0 {
            let further = along(expand);
            if further.0 < reflected.0 { further } else { reflected }
        } else if reflected.0 < simplex[last - 1].0 {
            reflected
        } else {
            let nearer = if reflected.0 < worst.0 { along(contract) } else { along(-contract) };
            if nearer.0 < reflected.0.min(worst.0) {
                nearer
            } else {
                let best = simplex[0].1.clone();
                for (value, corner) in &mut simplex[1..] {
                    corner.iter_mut().zip(&best).for_each(|(x, b)| *x = b + shrink * (*x - b));
                    *value = of(corner);
                }
                continue;
            }
        };
        simplex[last] = next;
    }
    simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (value, at) = simplex.swap_remove(0);
    Minimum { at, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rosenbrocks_valley_is_followed_to_its_end() {
        let valley = |x: &[f64]| (1.0 - x[0]).powi(2) + 100.0 * (x[1] - x[0] * x[0]).powi(2);
        let found = minimise(&[-1.2, 1.0], &valley);
        assert!(found.at.iter().all(|x| (x - 1.0).abs() < 1e-6), "{:?}", found.at);
    }
}
