//! Several limits at once: the budget, and others such as messages a channel bears or goods in stock.
//!
//! Every limit has a price. With all other prices held, one limit's price is found as the budget's is, by the slopes of
//! what people would gain from it; going round the limits so comes down the dual (coordinate descent), whose value at any
//! prices bounds every choice from above: Σ price·limit + Σ max(v − Σ price·use)⁺. It begins at prices that a sample of the
//! people has found for all limits together.

use super::price::{above, end};
use super::sample::Sample;
use super::{Candidate, People, Sum, Use, solve};
use crate::stop::Stop;

/// Rounds over all limits, from prices that a sample has found.
const ROUNDS: usize = 6;
/// A round that changes no price by a larger share ends the search.
const SETTLED: f64 = 1e-4;

/// Prices of the budget, which is the first, and of the limits.
struct Prices(Vec<f64>);

impl Prices {
    /// What is left of a value once all limits but `but` are paid.
    fn net(&self, candidate: &Candidate, but: Option<usize>) -> f64 {
        let paid = |limit: usize, amount: f64| if but == Some(limit) { 0.0 } else { self.0[limit] * amount };
        let uses: f64 = candidate.uses.iter().flatten().map(|u| paid(u.limit + 1, u.amount)).sum();
        candidate.value - paid(0, candidate.cost) - uses
    }
}

/// What a candidate takes of the budget or of a limit.
fn amount(candidate: &Candidate, limit: usize) -> f64 {
    if limit == 0 {
        return candidate.cost;
    }
    candidate.uses.iter().flatten().filter(|u| u.limit + 1 == limit).map(|u: &Use| u.amount).sum()
}

/// People as they look at one limit when all others are paid.
struct Facing<'a, P: ?Sized> {
    people: &'a P,
    prices: &'a Prices,
    limit: usize,
}

impl<P: People + ?Sized> People for Facing<'_, P> {
    type Error = P::Error;
    fn visit(&self, tell: &mut dyn FnMut(&[Candidate])) -> Result<(), P::Error> {
        let mut told = Vec::new();
        self.people.visit(&mut |person| {
            told.clear();
            told.extend(person.iter().map(|candidate| Candidate {
                value: self.prices.net(candidate, Some(self.limit)),
                cost: amount(candidate, self.limit),
                uses: [None; 2],
            }));
            tell(&told);
        })
    }
}

/// Chooses as [`solve`] does under `budget` and `limits`, none of which is ever exceeded. Also tells the limits' prices:
/// the value of one more unit of each.
pub fn solve_within<P: People + ?Sized>(
    people: &P,
    budget: f64,
    limits: &[f64],
    choose: &mut dyn FnMut(Option<usize>),
) -> Result<(Sum, Vec<f64>), P::Error> {
    if limits.is_empty() {
        return Ok((solve(people, budget, choose)?, Vec::new()));
    }
    let bounds: Vec<f64> = std::iter::once(budget).chain(limits.iter().copied()).collect();
    let uses = |candidate: &Candidate| {
        let beside = candidate.uses.iter().flatten().map(|of| (of.limit + 1, of.amount));
        std::iter::once((0, candidate.cost)).chain(beside).collect()
    };
    let mut prices = Prices(Sample::of(people, uses)?.prices(&bounds));
    let price_of = |prices: &Prices, limit: usize| {
        let found = end(&Facing { people, prices, limit }, bounds[limit])?;
        Ok(found.map_or(0.0, |(price, _)| above(price)))
    };
    let stop = Stop::current();
    for _ in 0..ROUNDS {
        let mut moved = 0.0_f64;
        for limit in 0..bounds.len() {
            // Nobody waits for better prices.
            if stop.is_set() {
                break;
            }
            let price = price_of(&prices, limit)?;
            moved = moved.max((price - prices.0[limit]).abs() / price.max(prices.0[limit]).max(1e-300));
            prices.0[limit] = price;
        }
        if moved < SETTLED {
            break;
        }
    }
    let used = usage(people, &prices)?;
    let mut left: Vec<f64> = bounds.iter().zip(&used).map(|(bound, used)| bound - used).collect();
    let mut sum = Sum { shadow_price: prices.0[0], ..Sum::default() };
    let mut surplus = 0.0;
    people.visit(&mut |person| {
        let strict = best(person, &prices);
        surplus += strict.map_or(0.0, |at| prices.net(&person[at], None));
        let chosen = improved(person, kept(person, strict, &mut left), &mut left);
        if let Some(at) = chosen {
            sum.primal += person[at].value;
            sum.spend += person[at].cost;
        }
        sum.people += 1;
        sum.treated += u64::from(chosen.is_some());
        choose(chosen);
    })?;
    let paid: f64 = prices.0.iter().zip(&bounds).map(|(price, bound)| price * bound).sum();
    sum.dual_bound = (paid + surplus).max(sum.primal);
    Ok((sum, prices.0.split_off(1)))
}

/// The candidate that is worth most at the prices, if one is worth anything.
fn best(person: &[Candidate], prices: &Prices) -> Option<usize> {
    (0..person.len())
        .map(|at| (at, prices.net(&person[at], None)))
        .filter(|(_, net)| *net > 0.0)
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .map(|(at, _)| at)
}

/// `chosen`, unless it takes of what is overdrawn: prices are settled but for a hair, and of those who take of a limit the
/// first give up what is too much.
fn kept(person: &[Candidate], chosen: Option<usize>, left: &mut [f64]) -> Option<usize> {
    let candidate = &person[chosen?];
    let taken = |limit: usize| amount(candidate, limit);
    if (0..left.len()).all(|limit| left[limit] >= 0.0 || taken(limit) <= 0.0) {
        return chosen;
    }
    left.iter_mut().enumerate().for_each(|(limit, left)| *left += taken(limit));
    None
}

/// The candidate of the largest value that what is left of every limit still bears in place of `chosen`.
fn improved(person: &[Candidate], chosen: Option<usize>, left: &mut [f64]) -> Option<usize> {
    let of = |at: Option<usize>, limit: usize| at.map_or(0.0, |at| amount(&person[at], limit));
    let worth = |at: Option<usize>| at.map_or(0.0, |at| person[at].value);
    let fits =
        |at: usize| (0..left.len()).all(|limit| of(Some(at), limit) - of(chosen, limit) <= left[limit]);
    let better = (0..person.len()).filter(|&at| worth(Some(at)) > worth(chosen) && fits(at));
    let Some(better) = better.reduce(|a, b| if worth(Some(b)) > worth(Some(a)) { b } else { a }) else {
        return chosen;
    };
    for (limit, left) in left.iter_mut().enumerate() {
        *left -= of(Some(better), limit) - of(chosen, limit);
    }
    Some(better)
}

/// What people take of the budget and of each limit at the prices.
fn usage<P: People + ?Sized>(people: &P, prices: &Prices) -> Result<Vec<f64>, P::Error> {
    let mut used = vec![0.0; prices.0.len()];
    people.visit(&mut |person| {
        if let Some(at) = best(person, prices) {
            used.iter_mut().enumerate().for_each(|(limit, used)| *used += amount(&person[at], limit));
        }
    })?;
    Ok(used)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    fn person(random: &mut StdRng, treatments: usize) -> Vec<Candidate> {
        let treatment = |random: &mut StdRng| Candidate {
            value: f64::from(random.random_range(-10..50)),
            cost: f64::from(random.random_range(0..9)),
            uses: [
                Some(Use { limit: random.random_range(0..2), amount: 1.0 }),
                random
                    .random_bool(0.5)
                    .then(|| Use { limit: 2, amount: f64::from(random.random_range(1..4)) }),
            ],
        };
        (0..treatments).map(|_| treatment(random)).collect()
    }

    /// Exact by dynamic programming over whole costs and uses.
    fn exact(people: &[Vec<Candidate>], bounds: [usize; 4]) -> f64 {
        let sizes = bounds.map(|bound| bound + 1);
        let place = |state: [usize; 4]| state.iter().zip(sizes).fold(0, |at, (s, size)| at * size + s);
        let mut value = vec![0.0_f64; sizes.iter().product()];
        for person in people {
            let before = value.clone();
            for (index, value) in value.iter_mut().enumerate() {
                let (mut rest, mut state) = (index, [0; 4]);
                for limit in (0..4).rev() {
                    (state[limit], rest) = (rest % sizes[limit], rest / sizes[limit]);
                }
                for candidate in person {
                    let needed = [0, 1, 2, 3].map(|limit| amount(candidate, limit) as usize);
                    if (0..4).all(|limit| needed[limit] <= state[limit]) {
                        let left = [0, 1, 2, 3].map(|limit| state[limit] - needed[limit]);
                        *value = value.max(before[place(left)] + candidate.value);
                    }
                }
            }
        }
        value[value.len() - 1]
    }

    #[test]
    fn under_several_limits_the_bound_holds_and_none_is_exceeded() {
        let mut random = StdRng::seed_from_u64(6);
        for instance in 0..300 {
            let people: Vec<Vec<Candidate>> = (0..random.random_range(1..7))
                .map(|_| {
                    let treatments = random.random_range(0..5);
                    person(&mut random, treatments)
                })
                .collect();
            let bounds = [20, 3, 3, 5].map(|most| random.random_range(0..=most));
            let limits = [bounds[1], bounds[2], bounds[3]].map(|bound| bound as f64);
            let mut chosen = Vec::new();
            let Ok((sum, _)) =
                solve_within(people.as_slice(), bounds[0] as f64, &limits, &mut |c| chosen.push(c));
            let best = exact(&people, bounds);
            for (limit, bound) in bounds.into_iter().enumerate() {
                let used: f64 =
                    people.iter().zip(&chosen).filter_map(|(p, c)| c.map(|c| amount(&p[c], limit))).sum();
                assert!(
                    used <= bound as f64 + 1e-9,
                    "instance {instance}: {used} of {bound} of limit {limit}"
                );
            }
            assert!(sum.primal <= best + 1e-9, "instance {instance}: {sum:?} beats the best, {best}");
            assert!(sum.dual_bound >= best - 1e-6, "instance {instance}: {sum:?} does not bound {best}");
        }
    }

    #[test]
    fn among_many_people_next_to_nothing_is_lost() {
        let mut random = StdRng::seed_from_u64(9);
        let people: Vec<Vec<Candidate>> = (0..20_000).map(|_| person(&mut random, 5)).collect();
        let Ok((sum, _)) =
            solve_within(people.as_slice(), 30_000.0, &[4_000.0, 9_000.0, 6_000.0], &mut |_| ());
        assert!(sum.gap() < 0.005, "{sum:?}, gap {}", sum.gap());
    }

    /// Dear stock costs budget, and its channel carries it: prices gone round one by one creep towards each other.
    #[test]
    fn limits_that_lean_on_each_other_are_priced_together() {
        let mut random = StdRng::seed_from_u64(10);
        let count = 20_000_u32;
        let person = |number: u32| -> Vec<Candidate> {
            let treatment = |offer: u32| {
                let (depth, buys) = (f64::from(offer + 1) / 5.0, random.random_range(0.02..0.32));
                Candidate {
                    value: 3_000.0 * depth * buys * random.random_range(-0.33..0.67),
                    cost: 2_000.0 * depth * buys,
                    uses: [
                        Some(Use { limit: number as usize % 3, amount: 1.0 }),
                        Some(Use { limit: 3 + offer as usize, amount: buys }),
                    ],
                }
            };
            (0..5).map(treatment).collect()
        };
        let people: Vec<Vec<Candidate>> = (0..count).map(person).collect();
        let (count, mut limits) = (f64::from(count), vec![f64::from(count) / 15.0; 3]);
        limits.extend([0.004 * count; 5]);
        let Ok((sum, prices)) = solve_within(people.as_slice(), 60.0 * count, &limits, &mut |_| ());
        assert!(sum.gap() < 0.005, "{sum:?}, gap {}", sum.gap());
        assert!(
            sum.shadow_price <= 0.0 && sum.spend < 30.0 * count,
            "the budget is not what is scarce: {sum:?}"
        );
        assert!(prices[3..].iter().all(|price| *price > 0.0), "stock is: {prices:?}");
    }
}
