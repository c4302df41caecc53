//! One treatment at most for each of very many people under one budget: the multiple-choice knapsack, in passes over a
//! stream and in memory that does not grow with it.
//!
//! Only treatments on a person's upper hull of (cost, value) can be best at any price; between neighbours of the hull
//! lies a step with a slope Δvalue/Δcost (Sinha and Zoltners 1979). Taking steps by falling slope until the budget is
//! spent solves the linear relaxation. Slopes are counted in two histograms, coarse and then fine within the coarse
//! bin where the budget ends, so that the price λ is known to 28 binary digits after two passes; a third chooses. The
//! dual λB + Σ max(v − λc)⁺ bounds every choice from above, and so certifies the gap.

mod hull;
mod limits;
mod price;
mod sample;

use hull::hull;
pub use limits::solve_within;
use price::{end, place};

/// One treatment of one person.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Candidate {
    /// What it brings.
    pub value: f64,
    /// What it costs, at least 0.
    pub cost: f64,
    /// What it takes of limits beside the budget: such as its channel's messages and its offer's stock.
    pub uses: [Option<Use>; 2],
}

/// A share of something limited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Use {
    /// Index of the limit.
    pub limit: usize,
    /// How much of it, at least 0.
    pub amount: f64,
}

/// People, each with their treatments, told in the same order on every pass.
pub trait People {
    /// What telling can fail with.
    type Error;
    /// Tells every person's treatments.
    fn visit(&self, tell: &mut dyn FnMut(&[Candidate])) -> Result<(), Self::Error>;
}

impl People for [Vec<Candidate>] {
    type Error = std::convert::Infallible;
    fn visit(&self, tell: &mut dyn FnMut(&[Candidate])) -> Result<(), Self::Error> {
        for person in self {
            tell(person);
        }
        Ok(())
    }
}

/// What was chosen, in sum.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sum {
    /// Value of one more unit of budget.
    pub shadow_price: f64,
    /// Σ value.
    pub primal: f64,
    /// No choice is worth more.
    pub dual_bound: f64,
    /// Σ cost, never above the budget.
    pub spend: f64,
    /// People told.
    pub people: u64,
    /// People who get a treatment.
    pub treated: u64,
}

impl Sum {
    /// How far the choice may lie under the best, as a share of the bound.
    pub fn gap(&self) -> f64 {
        if self.dual_bound > 0.0 { ((self.dual_bound - self.primal) / self.dual_bound).max(0.0) } else { 0.0 }
    }
}

/// Chooses for every person under `budget` and tells each choice in order: an index into the person's treatments, or
/// none.
pub fn solve<P: People + ?Sized>(
    people: &P,
    budget: f64,
    choose: &mut dyn FnMut(Option<usize>),
) -> Result<Sum, P::Error> {
    let end = end(people, budget)?;
    let (price, steeper) = end.unwrap_or((0.0, 0.0));
    let mut sum = Sum { shadow_price: price, ..Sum::default() };
    // What is left once all steps well above the price are paid goes to those at it, in the order they come.
    let mut left = budget - steeper;
    let (mut steps, mut order) = (Vec::new(), Vec::new());
    let at_price = place(price);
    let mut surplus = 0.0;
    people.visit(&mut |person| {
        hull(person, &mut steps, &mut order);
        let mut chosen = None;
        for step in &steps {
            surplus += (step.value - price * step.cost).max(0.0);
            let slope = place(step.slope());
            let paid = end.is_none() || step.cost <= 0.0 || slope > at_price;
            if !paid && (slope < at_price || step.cost > left) {
                break;
            }
            if !paid {
                left -= step.cost;
            }
            chosen = Some(step.to);
            sum.primal += step.value;
            sum.spend += step.cost;
        }
        sum.people += 1;
        sum.treated += u64::from(chosen.is_some());
        choose(chosen);
    })?;
    sum.dual_bound = (price * budget + surplus).max(sum.primal);
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    /// Exact by dynamic programming over whole costs.
    fn best(people: &[Vec<Candidate>], budget: usize) -> f64 {
        let mut value = vec![0.0_f64; budget + 1];
        for person in people {
            for left in (0..=budget).rev() {
                let with = |c: &Candidate| {
                    let cost = c.cost as usize;
                    if cost <= left { value[left - cost] + c.value } else { f64::NEG_INFINITY }
                };
                value[left] = person.iter().map(with).fold(value[left], f64::max);
            }
        }
        value[budget]
    }

    #[test]
    fn on_a_thousand_random_instances_the_bound_holds_and_the_budget_is_kept() {
        let mut random = StdRng::seed_from_u64(20_261_125);
        for instance in 0..1_000 {
            let people: Vec<Vec<Candidate>> = (0..random.random_range(1..12))
                .map(|_| {
                    let treatment = |random: &mut StdRng| Candidate {
                        value: f64::from(random.random_range(-20..60)),
                        cost: f64::from(random.random_range(0..15)),
                        ..Candidate::default()
                    };
                    (0..random.random_range(0..6)).map(|_| treatment(&mut random)).collect()
                })
                .collect();
            let budget = random.random_range(0..60_usize);
            let mut chosen = Vec::new();
            let Ok(sum) = solve(people.as_slice(), budget as f64, &mut |choice| chosen.push(choice));
            let best = best(&people, budget);
            let of = |part: fn(&Candidate) -> f64| -> f64 {
                people.iter().zip(&chosen).filter_map(|(p, c)| c.map(|c| part(&p[c]))).sum()
            };
            assert!((of(|c| c.value) - sum.primal).abs() < 1e-9 && (of(|c| c.cost) - sum.spend).abs() < 1e-9);
            assert!(
                sum.spend <= budget as f64 + 1e-9,
                "instance {instance}: {sum:?} spends more than {budget}"
            );
            assert!(sum.primal <= best + 1e-9, "instance {instance}: {sum:?} beats the best, {best}");
            assert!(sum.dual_bound >= best - 1e-6, "instance {instance}: {sum:?} does not bound {best}");
            // Rounding a linear relaxation with one constraint loses at most one step.
            let dearest = people.iter().flatten().map(|c| c.value).fold(0.0, f64::max);
            assert!(sum.dual_bound - sum.primal <= dearest + 1e-6, "instance {instance}: {sum:?}");
        }
    }

    #[test]
    fn a_large_budget_buys_all_that_pays_and_an_empty_one_what_is_free() {
        let of = |value: f64, cost: f64| Candidate { value, cost, ..Candidate::default() };
        let people = vec![vec![of(5.0, 2.0), of(7.0, 9.0)], vec![of(-1.0, 0.0)], vec![of(1.0, 0.0)]];
        let mut chosen = Vec::new();
        let Ok(rich) = solve(people.as_slice(), 100.0, &mut |choice| chosen.push(choice));
        assert_eq!(chosen, [Some(1), None, Some(0)]);
        assert!(rich.shadow_price <= 0.0 && rich.gap() <= 0.0 && (rich.spend - 9.0).abs() < 1e-12);
        chosen.clear();
        let Ok(poor) = solve(people.as_slice(), 0.0, &mut |choice| chosen.push(choice));
        assert_eq!(chosen, [None, None, Some(0)]);
        assert!((poor.primal - 1.0).abs() < 1e-12 && poor.spend <= 0.0);
    }
}
