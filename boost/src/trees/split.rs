//! The best fork of a leaf. A leaf with sums G and H has the value −G / (H + λ), held within its bounds, and a fork is
//! worth what it takes off the second-order loss. On a monotone feature a fork whose children lie the wrong way round
//! is not made, and the children are bounded by the middle of the two, so that the order holds below it too.

use super::bins::Binned;
use super::histogram::{self, Histogram, Sums};
use super::settings::{Monotone, Settings};

/// The values a leaf may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) lower: f64,
    pub(super) upper: f64,
}

impl Bounds {
    pub(super) const FREE: Self = Self { lower: f64::NEG_INFINITY, upper: f64::INFINITY };

    /// The leaf value for `sums`, within the bounds.
    pub(super) fn value(self, sums: Sums, l2: f64) -> f64 {
        let curvature = sums.hessian + l2;
        let value = if curvature > 0.0 { -sums.gradient / curvature } else { 0.0 };
        value.clamp(self.lower, self.upper)
    }
}

/// A fork: rows in bins up to `bin` go left, missing values as told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    pub(super) feature: usize,
    pub(super) bin: usize,
    pub(super) missing_left: bool,
    pub(super) gain: f64,
    pub(super) left: Sums,
    pub(super) right: Sums,
}

/// What a leaf of `sums` and `value` takes off the loss, twice over.
fn score(sums: Sums, value: f64, l2: f64) -> f64 {
    -(2.0 * sums.gradient * value + (sums.hessian + l2) * value * value)
}

/// The best fork of a leaf, if one gains enough.
pub(super) fn best(
    binned: &[Binned],
    histogram: &Histogram,
    total: Sums,
    bounds: Bounds,
    settings: &Settings,
) -> Option<Split> {
    if (total.rows as usize) < 2 * settings.leaf_rows {
        return None;
    }
    let own = score(total, bounds.value(total, settings.l2), settings.l2);
    let bins: usize = binned.iter().map(Binned::bins).sum();
    let of_feature = |feature: usize| best_of(feature, &histogram[feature], total, bounds, own, settings);
    histogram::each(binned.len(), bins, of_feature)
        .into_iter()
        .flatten()
        .reduce(|best, next| if next.gain > best.gain { next } else { best })
}

fn best_of(
    feature: usize,
    sums: &[Sums],
    total: Sums,
    bounds: Bounds,
    own: f64,
    settings: &Settings,
) -> Option<Split> {
    let missing = *sums.first()?;
    let mut best: Option<Split> = None;
    let sides: &[bool] = if missing.rows > 0 { &[true, false] } else { &[true] };
    for &missing_left in sides {
        let mut left = if missing_left { missing } else { Sums::default() };
        for (bin, of_bin) in sums.iter().enumerate().take(sums.len() - 1).skip(1) {
            left = left.plus(*of_bin);
            let right = total.minus(left);
            if (left.rows as usize) < settings.leaf_rows {
                continue;
            }
            if (right.rows as usize) < settings.leaf_rows {
                break;
            }
            let (low, high) = (bounds.value(left, settings.l2), bounds.value(right, settings.l2));
            let ordered = match settings.monotone(feature) {
                Monotone::Free => true,
                Monotone::Increasing => low <= high,
                Monotone::Decreasing => low >= high,
            };
            if !ordered {
                continue;
            }
            let gain = score(left, low, settings.l2) + score(right, high, settings.l2) - own;
            if gain > settings.gain + 1e-12 && best.is_none_or(|best| gain > best.gain) {
                best = Some(Split { feature, bin, missing_left, gain, left, right });
            }
        }
    }
    best
}

/// The bounds of both children.
pub(super) fn children(split: &Split, bounds: Bounds, settings: &Settings) -> (Bounds, Bounds) {
    let low = bounds.value(split.left, settings.l2);
    let high = bounds.value(split.right, settings.l2);
    let middle = f64::midpoint(low, high);
    match settings.monotone(split.feature) {
        Monotone::Free => (bounds, bounds),
        Monotone::Increasing => (Bounds { upper: middle, ..bounds }, Bounds { lower: middle, ..bounds }),
        Monotone::Decreasing => (Bounds { lower: middle, ..bounds }, Bounds { upper: middle, ..bounds }),
    }
}
