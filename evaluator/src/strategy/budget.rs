//! Which treatments to give under a budget: max Σv·x with Σc·x ≤ B and at most so many a unit.
//!
//! Lagrange: for a price λ on cost each unit takes its best treatments by v − λc where that is positive; the dual
//! λB + Σ(v − λc)⁺ bounds every choice from above. λ is found by bisection on the cost, and what is left of the
//! budget is filled greedily.

use crate::stop::Stop;

/// One treatment that could be given to one unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Index of the unit, from 0 without gaps.
    pub unit: usize,
    /// What it brings.
    pub value: f64,
    /// What it costs, at least 0.
    pub cost: f64,
}

/// A choice.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Indices of the candidates chosen, in order.
    pub chosen: Vec<usize>,
    /// λ: value of one more unit of budget.
    pub shadow_price: f64,
    /// Σ value.
    pub primal: f64,
    /// No choice is worth more.
    pub dual_bound: f64,
    /// Σ cost.
    pub spend: f64,
}

/// Shares of the budget at which the frontier is told.
pub const FRONTIER: [f64; 7] = [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0];

/// Chooses among `candidates` under `budget`, at most `cap` a unit.
pub fn optimise(candidates: &[Candidate], budget: f64, cap: usize) -> Plan {
    let mut units: Vec<Vec<usize>> =
        vec![Vec::new(); candidates.iter().map(|c| c.unit + 1).max().unwrap_or(0)];
    for (index, candidate) in candidates.iter().enumerate().filter(|(_, candidate)| candidate.value > 0.0) {
        units[candidate.unit].push(index);
    }
    let at = |price: f64| -> Vec<usize> {
        let net = |index: usize| candidates[index].value - price * candidates[index].cost;
        let mut chosen = Vec::new();
        for unit in &units {
            let mut best: Vec<usize> = unit.iter().copied().filter(|&index| net(index) > 0.0).collect();
            best.sort_by(|&a, &b| net(b).total_cmp(&net(a)).then(a.cmp(&b)));
            best.truncate(cap);
            chosen.extend(best);
        }
        chosen
    };
    let cost = |chosen: &[usize]| chosen.iter().map(|&index| candidates[index].cost).sum::<f64>();
    let bound = |price: f64, chosen: &[usize]| {
        price * budget + chosen.iter().map(|&i| candidates[i].value - price * candidates[i].cost).sum::<f64>()
    };
    let free = at(0.0);
    let mut dual_bound = bound(0.0, &free);
    let (mut price, mut chosen) = (0.0, free);
    if cost(&chosen) > budget {
        let dearest =
            candidates.iter().filter(|c| c.cost > 0.0).map(|c| c.value / c.cost).fold(0.0, f64::max);
        let (mut low, mut high) = (0.0, dearest);
        chosen = at(high);
        let stop = Stop::current();
        for _ in 0..100 {
            if stop.is_set() {
                break;
            }
            let middle = f64::midpoint(low, high);
            if middle <= low || middle >= high {
                break;
            }
            let tried = at(middle);
            dual_bound = dual_bound.min(bound(middle, &tried));
            if cost(&tried) > budget {
                low = middle;
            } else {
                high = middle;
                chosen = tried;
            }
        }
        price = high;
        dual_bound = dual_bound.min(bound(high, &chosen));
        fill(candidates, &units, &mut chosen, budget, cap);
    }
    chosen.sort_unstable();
    let primal: f64 = chosen.iter().map(|&index| candidates[index].value).sum();
    let spend = cost(&chosen);
    Plan { chosen, shadow_price: price, primal, dual_bound: dual_bound.max(primal), spend }
}

/// Spends what is left: additions and exchanges within a unit, the most value for money first.
fn fill(candidates: &[Candidate], units: &[Vec<usize>], chosen: &mut Vec<usize>, budget: f64, cap: usize) {
    let mut taken: Vec<Vec<usize>> = vec![Vec::new(); units.len()];
    for &index in chosen.iter() {
        taken[candidates[index].unit].push(index);
    }
    let mut left = budget - chosen.iter().map(|&index| candidates[index].cost).sum::<f64>();
    let mut moves: Vec<(f64, usize, Option<usize>)> = Vec::new();
    for (unit, all) in units.iter().enumerate() {
        for &new in all.iter().filter(|index| !taken[unit].contains(index)) {
            let density = |value: f64, cost: f64| if cost > 0.0 { value / cost } else { f64::INFINITY };
            if taken[unit].len() < cap {
                moves.push((density(candidates[new].value, candidates[new].cost), new, None));
            }
            for &old in &taken[unit] {
                let gain = candidates[new].value - candidates[old].value;
                if gain > 0.0 {
                    moves.push((density(gain, candidates[new].cost - candidates[old].cost), new, Some(old)));
                }
            }
        }
    }
    moves.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, new, old) in moves {
        let mine = &mut taken[candidates[new].unit];
        let place = old.map(|old| mine.iter().position(|&index| index == old));
        let cost = candidates[new].cost - old.map_or(0.0, |old| candidates[old].cost);
        if mine.contains(&new) || cost > left {
            continue;
        }
        match place {
            None if mine.len() < cap => mine.push(new),
            Some(Some(place)) => mine[place] = new,
            _ => continue,
        }
        left -= cost;
    }
    *chosen = taken.into_iter().flatten().collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(unit: usize, value: f64, cost: f64) -> Candidate {
        Candidate { unit, value, cost }
    }

    /// Every choice of at most one treatment a unit, tried.
    fn best(candidates: &[Candidate], budget: f64) -> f64 {
        let all = 1_u32 << candidates.len();
        let fits = |set: u32| {
            let chosen: Vec<&Candidate> =
                candidates.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1).map(|(_, c)| c).collect();
            let mut units: Vec<usize> = chosen.iter().map(|c| c.unit).collect();
            units.sort_unstable();
            let once = units.windows(2).all(|pair| pair[0] != pair[1]);
            let cost: f64 = chosen.iter().map(|c| c.cost).sum();
            (once && cost <= budget).then(|| chosen.iter().map(|c| c.value).sum::<f64>())
        };
        (0..all).filter_map(fits).fold(0.0, f64::max)
    }

    #[test]
    fn the_choice_keeps_the_budget_and_lies_under_its_bound() {
        let candidates: Vec<Candidate> = (0_u32..12)
            .map(|i| {
                let (value, cost) = (f64::from(i * 7919 % 23 + 1), f64::from(i * 104_729 % 11 + 1));
                candidate((i / 2) as usize, value, cost)
            })
            .collect();
        for budget in [0.0, 3.0, 8.0, 15.0, 25.0, 100.0] {
            let plan = optimise(&candidates, budget, 1);
            let best = best(&candidates, budget);
            assert!(plan.spend <= budget && plan.primal <= best + 1e-9, "{plan:?}");
            assert!(plan.dual_bound >= best - 1e-9, "{plan:?} bounds {best}");
            assert!(plan.primal >= 0.85 * best, "{plan:?} is far from {best} at {budget}");
        }
    }

    #[test]
    fn what_loses_is_never_chosen() {
        let plan = optimise(&[candidate(0, -1.0, 0.0), candidate(1, 2.0, 1.0)], 10.0, 1);
        assert_eq!((plan.chosen, plan.spend), (vec![1], 1.0));
        assert!(optimise(&[], 5.0, 1).chosen.is_empty());
    }
}
