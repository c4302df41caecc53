//! Thompson sampling with true propensities.
//!
//! Thompson's rule (1933) draws from what is believed of all treatments at once and takes the best. Over a fixed number of
//! draws a treatment's probability is the share in which it is best and worth more than no offer. Mixed with a floor, one
//! is then drawn: what is logged is the probability with which it was chosen, and with a floor no treatment's is 0.

/// Where nothing is known yet, the share of a draw's distance from the mean that decisions go by (posterior reshaping,
/// Chapelle and Li 2011): whole draws cost more than they find. It is also what divides a budget among people who are all
/// alike.
const RESHAPED: f64 = 0.2;

/// How much finding out is worth, from 1 to 0: the share that is still to come of all decisions, of which `seen` are learnt
/// from and a share `left` of the `planned` ones is to come. The last of them has nothing to find out for.
pub fn curiosity(seen: f64, planned: f64, left: f64) -> f64 {
    left * planned / (seen + planned).max(1.0)
}

/// What is believed of the treatments beside no offer.
#[derive(Debug, Clone, Copy)]
pub struct Beliefs<'a> {
    /// What each is worth on average.
    pub worth: &'a [f64],
    /// By draw, what each may be worth more or less.
    pub doubts: &'a [Vec<f64>],
    /// How much finding out is worth, from 1 to 0.
    pub curiosity: f64,
}

/// Probability of no offer, then of each treatment. `floor` is the share chosen uniformly.
///
/// Decisions go by draws drawn in towards the mean: what is nearly best is found out, and what is believed to be far from it
/// costs nothing but the floor.
pub fn probabilities(beliefs: Beliefs<'_>, floor: f64) -> Vec<f64> {
    let Beliefs { worth, doubts, curiosity } = beliefs;
    let arms = worth.len() + 1;
    let mut shares = vec![0.0; arms];
    let best = |of: &mut dyn Iterator<Item = f64>| {
        let most = of.enumerate().filter(|(_, value)| *value > 0.0).max_by(|a, b| a.1.total_cmp(&b.1));
        most.map_or(0, |(at, _)| at + 1)
    };
    if doubts.is_empty() {
        shares[best(&mut worth.iter().copied())] = 1.0;
    }
    let by = RESHAPED * curiosity;
    for draw in doubts {
        let drawn = worth.iter().zip(draw).map(|(worth, doubt)| worth + by * doubt);
        shares[best(&mut { drawn })] += 1.0 / doubts.len() as f64;
    }
    // Sums of shares may end a hair above 1, which is no probability.
    let floored = |share: f64| ((1.0 - floor) * share + floor / arms as f64).min(1.0);
    shares.into_iter().map(floored).collect()
}

/// The arm at `place` in [0, 1) of the probabilities laid end to end.
pub fn pick(probabilities: &[f64], place: f64) -> usize {
    let mut end = 0.0;
    for (arm, probability) in probabilities.iter().enumerate() {
        end += probability;
        if place < end {
            return arm;
        }
    }
    // Rounding may leave the sum a hair under 1.
    probabilities.iter().rposition(|probability| *probability > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(worth: &[f64], doubts: &[Vec<f64>], curiosity: f64, floor: f64) -> Vec<f64> {
        probabilities(Beliefs { worth, doubts, curiosity }, floor)
    }

    fn close(found: &[f64], wanted: &[f64]) -> bool {
        found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn probabilities_are_the_shares_of_draws_in_which_a_treatment_is_best() {
        // Whole, the third draw would leave both treatments nothing; drawn in, it leaves both something.
        let doubts = [vec![0.0, 0.0], vec![-2.0, 0.0], vec![-1.6, -1.6], vec![3.0, 4.0]];
        let of = |floor: f64| [0.0, 0.5, 0.5].map(|share| (1.0 - floor) * share + floor / 3.0);
        assert!(close(&by(&[1.0, 0.9], &doubts, 1.0, 0.0), &of(0.0)));
        assert!(close(&by(&[1.0, 0.9], &doubts, 1.0, 0.3), &of(0.3)));
        assert!(close(&by(&[1.0, 0.9], &doubts, 0.0, 0.0), &[0.0, 1.0, 0.0]), "nothing left to find out for");
    }

    /// A probability above 1 would be refused where decisions are recorded.
    #[test]
    fn no_sum_of_shares_is_above_one() {
        for draws in 1..200 {
            let doubts = vec![vec![0.0]; draws];
            for curiosity in [0.0, 0.1, 1.0 / 3.0, 0.7, 1.0] {
                let found = by(&[1.0], &doubts, curiosity, 0.0);
                assert!(found[1] <= 1.0 && close(&found, &[0.0, 1.0]), "{draws}, {curiosity}: {found:?}");
            }
        }
    }

    #[test]
    fn who_has_much_to_come_is_curious_and_who_has_nothing_is_not() {
        // A month of which a third is known, and then a third of the rest is over.
        let found = [(0.0, 1e6, 1.0), (100.0, 200.0, 1.0), (100.0, 200.0, 2.0 / 3.0), (100.0, 200.0, 0.0)]
            .map(|(seen, planned, left)| curiosity(seen, planned, left));
        assert!(close(&found, &[1.0, 2.0 / 3.0, 4.0 / 9.0, 0.0]), "{found:?}");
        assert!(curiosity(0.0, 0.0, 1.0).abs() < 1e-12, "nobody to decide for");
    }

    #[test]
    fn without_doubt_the_best_is_certain_but_for_the_floor() {
        let found = by(&[10.0, -10.0], &[], 1.0, 0.03);
        assert!(found.iter().zip([0.01, 0.98, 0.01]).all(|(a, b): (&f64, f64)| (a - b).abs() < 1e-12));
        assert_eq!(by(&[0.0, -1.0], &[], 1.0, 0.0), [1.0, 0.0, 0.0], "what brings nothing is not given");
        assert_eq!(by(&[], &[vec![]], 1.0, 0.02), [1.0], "nothing may be given");
    }

    #[test]
    fn arms_are_picked_as_often_as_their_probability_says() {
        let probabilities = [0.2, 0.5, 0.3];
        let mut counts = [0_u32; 3];
        for i in 0..10_000 {
            counts[pick(&probabilities, f64::from(i) / 10_000.0)] += 1;
        }
        assert_eq!(counts, [2_000, 5_000, 3_000]);
        assert_eq!(pick(&[0.5, 0.5, 0.0], 0.999_999_999_999_999_9), 1);
    }
}
