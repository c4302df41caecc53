//! How arms follow from each other.

/// Correlation of the steps of a family.
const ALIKE: f64 = 0.95;
/// Depth at which a discount begins to be felt less than in proportion to it.
const FELT: f64 = 0.05;
/// Depth a discount is taken for of which none is known.
const USUAL: f64 = 0.1;
/// Least a step adds: offers of one depth differ by something.
const LEAST: f64 = 0.1;

/// How much of a discount is felt, by its depth: the logarithm (Fechner 1860), once it is deep enough to be felt.
pub(super) fn felt(depth: f64) -> f64 {
    (depth / FELT).ln_1p()
}

/// The steps from the control to every arm: within a family from the shallowest on. An arm's own step is its place less one.
#[derive(Debug, Clone, PartialEq)]
pub struct Steps {
    /// Those that lead to each arm.
    pub(super) to: Vec<Vec<usize>>,
    /// Covariance of what they add, in units of one learnt variance, row-major.
    pub(super) together: Vec<f64>,
}

impl Steps {
    /// Of arms, the control's first, by family and depth.
    pub fn new(described: &[(String, f64)]) -> Self {
        let leads = |arm: usize| -> Vec<usize> {
            let (family, depth) = &described[arm];
            let before = |other: &usize| {
                let (kin, other_depth) = &described[*other];
                kin == family && (*other_depth, *other) <= (*depth, arm)
            };
            (1..described.len()).filter(before).map(|other| other - 1).collect()
        };
        let to: Vec<Vec<usize>> =
            (0..described.len()).map(|arm| if arm == 0 { Vec::new() } else { leads(arm) }).collect();
        let felt = |step: usize| {
            let depth = described[step + 1].1;
            felt(if depth > 0.0 { depth } else { USUAL })
        };
        let count = described.len().saturating_sub(1);
        let adds = |step: usize| {
            let before = to[step + 1].iter().filter(|other| **other != step).map(|other| felt(*other));
            (felt(step) - before.fold(0.0, f64::max)).max(LEAST)
        };
        let sizes: Vec<f64> = (0..count).map(adds).collect();
        let alike = |a: usize, b: usize| {
            let (kin, other) = (&described[a + 1].0, &described[b + 1].0);
            let of = if a == b {
                1.0
            } else if kin == other {
                ALIKE
            } else {
                0.0
            };
            of * sizes[a] * sizes[b]
        };
        let together = (0..count * count).map(|at| alike(at / count, at % count)).collect();
        Self { to, together }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(described: &[(&str, f64)]) -> Steps {
        let described: Vec<(String, f64)> =
            described.iter().map(|(family, depth)| ((*family).to_owned(), *depth)).collect();
        Steps::new(&described)
    }

    #[test]
    fn a_deeper_offer_goes_the_steps_of_the_shallower_ones() {
        let all = steps(&[("", 0.0), ("percent", 0.2), ("shipping", 0.1), ("percent", 0.1)]);
        assert_eq!(all.to, [vec![], vec![0, 2], vec![1], vec![2]]);
        assert_eq!(
            steps(&[("percent", 0.0), ("percent", 0.1)]).to,
            [vec![], vec![0]],
            "no offer leads nowhere"
        );
    }

    #[test]
    fn a_familys_steps_vary_together_and_by_what_they_add() {
        let all = steps(&[("", 0.0), ("percent", 0.05), ("percent", 0.1), ("shipping", 0.0)]);
        let (first, second) = (2.0_f64.ln(), 1.5_f64.ln());
        let shipping = 3.0_f64.ln();
        let wanted = [
            [first * first, 0.95 * first * second, 0.0],
            [0.95 * first * second, second * second, 0.0],
            [0.0, 0.0, shipping * shipping],
        ];
        for (found, wanted) in all.together.iter().zip(wanted.as_flattened()) {
            assert!((found - wanted).abs() < 1e-12, "{:?}", all.together);
        }
        let twins = steps(&[("", 0.0), ("percent", 0.1), ("percent", 0.1)]);
        assert!(boost::linear::Cholesky::new(&twins.together, 2).is_some(), "offers alike stay apart");
    }
}
