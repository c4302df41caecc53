//! Deterministic bucketing, equal to GrowthBook's specification 0.7.1 so that both can serve one experiment
//! (`tests/bucketing.rs`).

/// Which of the two published hash recipes an experiment uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashVersion {
    /// `fnv1a32(unit + seed) mod 1000`: 1 000 buckets, biased when seeds are alike. For old experiments only.
    V1,
    /// `fnv1a32(str(fnv1a32(seed + unit))) mod 10000`: 10 000 buckets.
    V2,
}

impl HashVersion {
    /// The version a number stands for.
    pub fn from_number(number: i32) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// The number as on the wire.
    pub fn number(self) -> i32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// How many distinct buckets there are.
    pub fn buckets(self) -> u32 {
        match self {
            Self::V1 => 1_000,
            Self::V2 => 10_000,
        }
    }
}

/// A half-open share of [0, 1).
pub type Range = (f64, f64);

/// The bucket of `unit` in [0, 1): the same for ever for the same version and seed.
pub fn bucket(version: HashVersion, seed: &str, unit: &str) -> f64 {
    match version {
        HashVersion::V1 => f64::from(fnv1a32([unit, seed]) % 1_000) / 1_000.0,
        HashVersion::V2 => {
            let inner = fnv1a32([seed, unit]).to_string();
            f64::from(fnv1a32([inner.as_str()]) % 10_000) / 10_000.0
        }
    }
}

/// Whether `unit` lies in the share `range` of `namespace`.
pub fn in_namespace(unit: &str, namespace: &str, range: Range) -> bool {
    let place = f64::from(fnv1a32([unit, "__", namespace]) % 1_000) / 1_000.0;
    within(place, range)
}

/// `count` equal weights.
pub fn equal_weights(count: usize) -> Vec<f64> {
    vec![1.0 / count.max(1) as f64; count]
}

/// The bucket range of each of `count` variants: cumulative weights, each range cut to `coverage` of its width.
///
/// As GrowthBook does, coverage is clamped to [0, 1], and weights of the wrong number or that do not sum to one
/// (within 0.01) are replaced by equal ones. A caller who wants that refused checks first, as
/// [`super::definition::Experiment::check`] does.
pub fn ranges(count: usize, coverage: f64, weights: Option<&[f64]>) -> Vec<Range> {
    let coverage = coverage.clamp(0.0, 1.0);
    let weights = match weights {
        Some(given) if given.len() == count && (given.iter().sum::<f64>() - 1.0).abs() <= 0.01 => {
            given.to_vec()
        }
        _ => equal_weights(count),
    };
    let mut start = 0.0;
    weights
        .iter()
        .map(|weight| {
            let range = (start, start + coverage * weight);
            start += weight;
            range
        })
        .collect()
}

/// The variant whose range holds `bucket`, if any does.
pub fn choose(bucket: f64, ranges: &[Range]) -> Option<usize> {
    ranges.iter().position(|range| within(bucket, *range))
}

fn within(place: f64, (start, end): Range) -> bool {
    place >= start && place < end
}

/// FNV-1a with 32 bits over UTF-16 code units, as the JavaScript reference hashes (`charCodeAt`): the same as over
/// bytes for ASCII.
fn fnv1a32<'a>(parts: impl IntoIterator<Item = &'a str>) -> u32 {
    parts
        .into_iter()
        .flat_map(str::encode_utf16)
        .fold(0x811c_9dc5, |hash, unit| (hash ^ u32::from(unit)).wrapping_mul(0x0100_0193))
}
