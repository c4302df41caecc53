//! The Shapley value of the game in which a set of channels earns the conversions of the journeys it covers.
//!
//! v(S) = Σ conversions of journeys whose channels all lie in S is a sum of unanimity games, one a journey, and
//! the Shapley value of a unanimity game shares equally among its members (Shapley 1953). So the value is exact
//! for any number of channels, with no enumeration and no sampling: each journey's conversions in equal parts to
//! the distinct channels in it (Zhao et al. 2018, "Shapley value methods for attribution modelling", eq. 5).

use super::journeys::{Channel, Journey};

/// Calls `give(channel, share)` for each distinct channel of `journey`.
pub fn shares(journey: Journey<'_>, mut give: impl FnMut(Channel, f64)) {
    let mut distinct = journey.touches.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let share = 1.0 / distinct.len() as f64;
    for channel in distinct {
        give(channel, share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::Journeys;
    use crate::attribution::journeys::Counts;

    /// φ_i = Σ_S |S|!(n−|S|−1)!/n!·[v(S∪i)−v(S)], the definition itself, over every subset of three channels.
    #[test]
    fn equal_shares_are_the_shapley_value_by_its_definition() {
        let mut journeys = Journeys::new();
        for (touches, conversions) in
            [(vec!["a"], 3.0), (vec!["a", "b", "a"], 7.0), (vec!["c", "b"], 2.0), (vec!["a", "b", "c"], 11.0)]
        {
            let counts = Counts { conversions, ..Counts::default() };
            journeys.push(|| "j".into(), touches, &[], counts).expect("sound");
        }
        let value = |set: u16| -> f64 {
            let inside = |j: &Journey<'_>| j.touches.iter().all(|c| set & (1 << c) != 0);
            journeys.rows().filter(inside).map(|j| j.counts.conversions).sum()
        };
        let mut found = [0.0; 3];
        for journey in journeys.rows() {
            shares(journey, |channel, share| {
                found[usize::from(channel)] += share * journey.counts.conversions;
            });
        }
        for player in 0..3_u16 {
            let expected: f64 = (0..8_u16)
                .filter(|set| set & (1 << player) == 0)
                .map(|set| {
                    let weight = [2.0, 1.0, 2.0][set.count_ones() as usize] / 6.0;
                    weight * (value(set | 1 << player) - value(set))
                })
                .sum();
            assert!((found[usize::from(player)] - expected).abs() < 1e-12);
        }
    }
}
