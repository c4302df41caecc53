//! Fisher's exact test of a two-by-two table.

use super::proportion::Count;

/// Terms smaller than this share of the greatest cannot move the sum.
const NEGLIGIBLE: f64 = 1e-20;
/// Tables within this share of the observed one's probability count as equally unlikely, as R's and scipy's tests do.
const SLACK: f64 = 1e-7;

/// The two-sided p-value: the probability of all tables with the same margins that are no likelier than the one
/// observed. Counts are whole numbers.
///
/// Tables are walked from the likeliest outwards until they weigh nothing, so the cost is the spread's, not the count's.
pub fn two_sided(control: Count, treatment: Count) -> f64 {
    let all = control.trials + treatment.trials;
    let successes = control.successes + treatment.successes;
    let least = (successes - control.trials).max(0.0);
    let most = successes.min(treatment.trials);
    let mode = (((treatment.trials + 1.0) * (successes + 1.0) / (all + 2.0)).floor()).clamp(least, most);
    // P(k + 1) ÷ P(k) of the hypergeometric distribution.
    let next = |k: f64| {
        (treatment.trials - k) * (successes - k) / ((k + 1.0) * (control.trials - successes + k + 1.0))
    };
    let observed = relative(&next, mode, treatment.successes);
    let (mut total, mut as_unlikely) = (0.0, 0.0);
    let mut note = |weight: f64| {
        total += weight;
        if weight <= observed * (1.0 + SLACK) {
            as_unlikely += weight;
        }
    };
    note(1.0);
    let floor = NEGLIGIBLE * observed.min(1.0);
    let (mut k, mut weight) = (mode, 1.0);
    while k < most && weight > floor {
        weight *= next(k);
        k += 1.0;
        note(weight);
    }
    (k, weight) = (mode, 1.0);
    while k > least && weight > floor {
        k -= 1.0;
        weight /= next(k);
        note(weight);
    }
    if total > 0.0 { (as_unlikely / total).min(1.0) } else { 1.0 }
}

/// The probability of `k` over that of `mode`; 0 where it is below all that can be told.
fn relative(next: &impl Fn(f64) -> f64, mode: f64, k: f64) -> f64 {
    let (mut at, mut weight) = (mode, 1.0);
    while at < k && weight > 0.0 {
        weight *= next(at);
        at += 1.0;
    }
    while at > k && weight > 0.0 {
        at -= 1.0;
        weight /= next(at);
    }
    weight
}
