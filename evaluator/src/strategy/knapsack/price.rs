//! The price at which people together take as much as there is.

use super::People;
use super::hull::hull;

const COARSE_SHIFT: u32 = 44;
const FINE_SHIFT: u32 = 24;
const BINS: usize = 1 << 20;

/// Positive floats order as their bits do.
fn coarse(slope: f64) -> usize {
    (slope.to_bits() >> COARSE_SHIFT) as usize
}

fn fine(slope: f64) -> usize {
    (slope.to_bits() >> FINE_SHIFT) as usize & (BINS - 1)
}

/// Where the budget ends: the slope of the last step it pays for, and what all steeper steps cost. `None`: it pays for all.
pub(super) fn end<P: People + ?Sized>(people: &P, budget: f64) -> Result<Option<(f64, f64)>, P::Error> {
    let mut costs = vec![0.0; BINS];
    let (mut steps, mut order) = (Vec::new(), Vec::new());
    people.visit(&mut |person| {
        hull(person, &mut steps, &mut order);
        for step in &steps {
            costs[coarse(step.slope())] += step.cost;
        }
    })?;
    let mut steeper = 0.0;
    let Some(bin) = last_paid(&costs, budget, &mut steeper) else { return Ok(None) };
    costs.fill(0.0);
    people.visit(&mut |person| {
        hull(person, &mut steps, &mut order);
        let inside = steps.iter().filter(|step| coarse(step.slope()) == bin);
        inside.for_each(|step| costs[fine(step.slope())] += step.cost);
    })?;
    // Rounding may let the fine bins sum to a hair less than the coarse one.
    let within = last_paid(&costs, budget, &mut steeper).unwrap_or(0);
    let bits = ((bin as u64) << COARSE_SHIFT) | ((within as u64) << FINE_SHIFT);
    Ok(Some((f64::from_bits(bits), steeper)))
}

/// The first bin from the steep end that does not fit; `steeper` grows by those that do.
fn last_paid(costs: &[f64], budget: f64, steeper: &mut f64) -> Option<usize> {
    for bin in (0..costs.len()).rev().filter(|&bin| costs[bin] > 0.0) {
        if *steeper + costs[bin] > budget {
            return Some(bin);
        }
        *steeper += costs[bin];
    }
    None
}

/// Steps of one bin cannot be told apart.
pub(super) fn place(slope: f64) -> u64 {
    slope.to_bits() >> FINE_SHIFT
}

/// The least price that no step at `price` pays.
pub(super) fn above(price: f64) -> f64 {
    f64::from_bits((place(price) + 1) << FINE_SHIFT)
}
