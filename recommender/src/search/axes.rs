//! The values that are tried, parameter by parameter.

use crate::algorithm::{Algorithm, Settings, TransitionSettings};

/// The widest factorisation tried.
pub(super) const WIDEST: usize = 200;

/// A parameter and what is tried of it.
pub(super) struct Axis {
    pub(super) name: &'static str,
    pub(super) values: &'static [f64],
}

const fn axis(name: &'static str, values: &'static [f64]) -> Axis {
    Axis { name, values }
}

/// The start of the joint regression.
pub(super) fn joint() -> Settings {
    let plain = TransitionSettings::default();
    Settings::Transition(TransitionSettings { joint: true, past_decay: 0.1, recency: 0.1, ..plain })
}

pub(super) fn axes(start: &Settings, items: usize) -> Vec<Axis> {
    match start.algorithm() {
        Algorithm::Svd => vec![
            // Each scale is a factorisation of its own: first, so that it turns slowest.
            axis("item_scale", &[0.35, 0.0, 0.7]),
            // The leading part of the widest factorisation, and the fold-in alone: both next to free.
            axis("rank", &[20.0, 30.0, 40.0, 50.0, 70.0, 100.0, 200.0]),
            axis("recency", &[0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3]),
        ],
        Algorithm::Als => vec![
            axis("alpha", &[1.0, 40.0]),
            axis("ridge", &[0.3, 30.0]),
            axis("recency", &[0.0, 0.05, 0.2, 0.5]),
            axis("rank", &[32.0, 128.0]),
        ],
        // One inverse of ten thousand items takes as long as everything else.
        Algorithm::Ease if items > 6_000 => vec![axis("recency", &[0.0, 0.05, 0.2, 0.5, 1.0])],
        Algorithm::Ease => {
            vec![axis("recency", &[0.0, 0.05, 0.1, 0.2, 0.5]), axis("ridge", &[100.0, 200.0, 1000.0])]
        }
        Algorithm::ItemKnn => vec![
            axis("recency", &[0.0, 0.1, 0.4, 0.8]),
            axis("norm", &[0.6, 1.2]),
            axis("past_norm", &[0.6, 1.2]),
            axis("neighbours", &[50.0, 100.0, 2000.0]),
            axis("k1", &[1.2]),
        ],
        Algorithm::Transition if start.get("joint") == Some(1.0) => vec![
            axis("ridge", &[100.0, 1500.0]),
            axis("future_decay", &[0.1, 2.0]),
            axis("past_decay", &[0.3]),
            axis("recency", &[0.05, 0.2, 0.3, 0.6]),
        ],
        Algorithm::Transition => vec![
            axis("popular", &[-0.3, 0.2]),
            axis("recency", &[0.1, 0.6, 1.0, 2.0]),
            axis("past_decay", &[0.1, 1.0]),
            axis("future_decay", &[0.2, 1.0, 2.0]),
            axis("shrink", &[2.0, 15.0]),
            axis("recency", &[0.1, 0.6, 1.0, 2.0]),
        ],
        Algorithm::Popularity | Algorithm::Blend => Vec::new(),
    }
}
