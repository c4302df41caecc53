//! Two proportions beside each other where counts are small: tests and intervals that need no large sample.

use super::{Interval, beta, normal};

/// Successes among trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Count {
    /// Successes, 0 to `trials`.
    pub successes: f64,
    /// Trials, above 0.
    pub trials: f64,
}

impl Count {
    fn rate(self) -> f64 {
        self.successes / self.trials
    }

    fn failures(self) -> f64 {
        self.trials - self.successes
    }

    /// The exact interval of Clopper & Pearson (1934): never below its level.
    pub fn clopper_pearson(self, level: f64) -> Interval {
        let tail = (1.0 - level) / 2.0;
        let (x, rest) = (self.successes, self.failures());
        let lower = if x > 0.0 { beta::quantile(tail, x, rest + 1.0) } else { 0.0 };
        let upper = if rest > 0.0 { beta::quantile(1.0 - tail, x + 1.0, rest) } else { 1.0 };
        Interval { estimate: self.rate(), lower, upper, level }
    }

    /// The interval of Agresti & Coull (1998): Wald's after z²/2 successes and failures more.
    pub fn agresti_coull(self, level: f64) -> Interval {
        let z = critical(level);
        let trials = self.trials + z * z;
        let centre = (self.successes + z * z / 2.0) / trials;
        let half = z * (centre * (1.0 - centre) / trials).sqrt();
        let (lower, upper) = ((centre - half).max(0.0), (centre + half).min(1.0));
        Interval { estimate: self.rate(), lower, upper, level }
    }
}

/// The pooled z of `treatment` against `control`: its square is Pearson's χ² of the table. 0 where all or nobody
/// succeeded.
pub fn pooled_z(control: Count, treatment: Count) -> f64 {
    let pooled = (control.successes + treatment.successes) / (control.trials + treatment.trials);
    let error = (pooled * (1.0 - pooled) * (control.trials.recip() + treatment.trials.recip())).sqrt();
    if error > 0.0 { (treatment.rate() - control.rate()) / error } else { 0.0 }
}

/// χ² of the two-by-two table with Yates's correction (1934): each count half nearer to what was expected, but not past
/// it.
pub fn yates(control: Count, treatment: Count) -> f64 {
    let all = control.trials + treatment.trials;
    let cross = (treatment.successes * control.failures() - control.successes * treatment.failures()).abs();
    let margins = control.trials * treatment.trials;
    let outcomes = (control.successes + treatment.successes) * (control.failures() + treatment.failures());
    if outcomes <= 0.0 {
        return 0.0;
    }
    all * (cross - all / 2.0).max(0.0).powi(2) / (margins * outcomes)
}

/// Newcombe's interval of the difference (1998, method 10): Wilson's of both, squared and added.
pub fn newcombe(control: Count, treatment: Count, level: f64) -> Interval {
    let wilson = |count: Count| super::interval::wilson(count.successes, count.trials, level);
    let estimate = treatment.rate() - control.rate();
    let (Some(c), Some(t)) = (wilson(control), wilson(treatment)) else {
        return Interval { estimate, lower: -1.0, upper: 1.0, level };
    };
    Interval {
        estimate,
        lower: estimate - (t.estimate - t.lower).hypot(c.upper - c.estimate),
        upper: estimate + (t.upper - t.estimate).hypot(c.estimate - c.lower),
        level,
    }
}

/// The interval of the difference by Agresti & Caffo (2000): Wald's after one success and one failure more in each.
pub fn agresti_caffo(control: Count, treatment: Count, level: f64) -> Interval {
    let more = |count: Count| Count { successes: count.successes + 1.0, trials: count.trials + 2.0 };
    let moved = wald(more(control), more(treatment), level);
    Interval { estimate: treatment.rate() - control.rate(), ..moved }
}

/// The difference ± z standard errors.
pub fn wald(control: Count, treatment: Count, level: f64) -> Interval {
    let squared = |count: Count| count.rate() * (1.0 - count.rate()) / count.trials;
    let half = critical(level) * (squared(control) + squared(treatment)).sqrt();
    Interval::around(treatment.rate() - control.rate(), half, level)
}

/// Katz's interval of the ratio treatment ÷ control on the log scale (1978); `None` where either has no success.
pub fn katz(control: Count, treatment: Count, level: f64) -> Option<Interval> {
    if control.successes <= 0.0 || treatment.successes <= 0.0 {
        return None;
    }
    let estimate = treatment.rate() / control.rate();
    let part = |count: Count| count.successes.recip() - count.trials.recip();
    let spread = (critical(level) * (part(control) + part(treatment)).sqrt()).exp();
    Some(Interval { estimate, lower: estimate / spread, upper: estimate * spread, level })
}

/// The score interval of the difference by Miettinen & Nurminen (1985): all differences their test does not reject.
pub fn score_difference(control: Count, treatment: Count, level: f64) -> Interval {
    let z = critical(level);
    let estimate = treatment.rate() - control.rate();
    let excess = |difference: f64| {
        let base = restricted_by_difference(control, treatment, difference);
        let other = base + difference;
        let deviation = estimate - difference;
        score(control, treatment, (base, other), 1.0, deviation) - z * z
    };
    let lower = if estimate > -1.0 { boundary(&excess, estimate, -1.0) } else { -1.0 };
    let upper = if estimate < 1.0 { boundary(&excess, estimate, 1.0) } else { 1.0 };
    Interval { estimate, lower, upper, level }
}

/// The score interval of the ratio treatment ÷ control, likewise; `None` where the control has no success: any great
/// ratio is then as likely as another.
pub fn score_ratio(control: Count, treatment: Count, level: f64) -> Option<Interval> {
    if control.successes <= 0.0 {
        return None;
    }
    let z = critical(level);
    let estimate = treatment.rate() / control.rate();
    let excess = |ratio: f64| {
        let base = restricted_by_ratio(control, treatment, ratio);
        let deviation = treatment.rate() - ratio * control.rate();
        score(control, treatment, (base, base * ratio), ratio, deviation) - z * z
    };
    let lower = if estimate > 0.0 { boundary(&excess, estimate, 0.0) } else { 0.0 };
    let mut far = estimate.max(1e-3) * 2.0;
    while excess(far) < 0.0 && far < 1e300 {
        far *= 2.0;
    }
    Some(Interval { estimate, lower, upper: boundary(&excess, estimate, far), level })
}

/// Squared score statistic of a `deviation` from what the restricted rates (control's, treatment's) say.
fn score(control: Count, treatment: Count, (base, other): (f64, f64), factor: f64, deviation: f64) -> f64 {
    let all = control.trials + treatment.trials;
    let spread =
        other * (1.0 - other) / treatment.trials + factor * factor * base * (1.0 - base) / control.trials;
    let variance = spread.max(0.0) * all / (all - 1.0);
    if variance > 0.0 {
        deviation * deviation / variance
    } else if deviation == 0.0 {
        0.0
    } else {
        f64::INFINITY
    }
}

/// The control's likeliest rate where the treatment's is `difference` more: the root of a cubic that lies inside both
/// ranges (Farrington & Manning 1990, appendix).
fn restricted_by_difference(control: Count, treatment: Count, difference: f64) -> f64 {
    let all = control.trials + treatment.trials;
    let successes = control.successes + treatment.successes;
    let square = ((treatment.trials + 2.0 * control.trials) * difference - all - successes) / all;
    let linear =
        ((control.successes * difference - all - 2.0 * control.successes) * difference + successes) / all;
    let constant = control.successes * difference * (1.0 - difference) / all;
    let third = square / 3.0;
    let q = third.powi(3) - square * linear / 6.0 + constant / 2.0;
    let p = (third * third - linear / 3.0).max(0.0).sqrt().copysign(q);
    let cosine = if p == 0.0 { 0.0 } else { (q / p.powi(3)).clamp(-1.0, 1.0) };
    let angle = (std::f64::consts::PI + cosine.acos()) / 3.0;
    let (least, most) = ((-difference).max(0.0), (1.0 - difference).min(1.0));
    (2.0 * p * angle.cos() - third).clamp(least, most)
}

/// The control's likeliest rate where the treatment's is `ratio` times as great.
fn restricted_by_ratio(control: Count, treatment: Count, ratio: f64) -> f64 {
    let a = (control.trials + treatment.trials) * ratio;
    let b = -((treatment.trials + control.successes) * ratio + treatment.successes + control.trials);
    let c = control.successes + treatment.successes;
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    // The smaller root without cancellation, so that it lives on as the ratio goes to 0.
    (2.0 * c / (root - b)).clamp(0.0, ratio.recip().min(1.0))
}

/// Where `excess` rises above 0 between `inside` and `outside`.
fn boundary(excess: &impl Fn(f64) -> f64, inside: f64, outside: f64) -> f64 {
    let (mut kept, mut out) = (inside, outside);
    loop {
        let middle = f64::midpoint(kept, out);
        if !(middle > kept.min(out) && middle < kept.max(out)) {
            return middle;
        }
        if excess(middle) < 0.0 { kept = middle } else { out = middle }
    }
}

fn critical(level: f64) -> f64 {
    normal::quantile(f64::midpoint(1.0, level))
}
