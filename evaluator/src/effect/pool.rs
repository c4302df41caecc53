use super::model::Estimate;

/// Least variance: that of effects known for certain, such as nothing from nothing bought; its square is still a number.
const LEAST: f64 = 1e-150;

/// Draws `raw` effects towards their common mean: DerSimonian and Laird's (1986) spread between treatments, then the
/// normal posterior of each. The second is what to expect of one more treatment.
pub(super) fn pool(raw: &[Estimate]) -> (Vec<Estimate>, Estimate) {
    let weights: Vec<f64> = raw.iter().map(|e| e.variance.max(LEAST).recip()).collect();
    let total: f64 = weights.iter().sum();
    let mean = raw.iter().zip(&weights).map(|(e, w)| e.mean * w).sum::<f64>() / total;
    let heterogeneity: f64 = raw.iter().zip(&weights).map(|(e, w)| w * (e.mean - mean).powi(2)).sum();
    let scale = total - weights.iter().map(|w| w * w).sum::<f64>() / total;
    let spread =
        if scale > 0.0 { ((heterogeneity - (raw.len() as f64 - 1.0)) / scale).max(0.0) } else { 0.0 };
    let marginal = |e: &Estimate| (e.variance + spread).max(LEAST);
    let centre_variance = raw.iter().map(|e| marginal(e).recip()).sum::<f64>().recip();
    let centre = raw.iter().map(|e| e.mean / marginal(e)).sum::<f64>() * centre_variance;
    let posterior = |e: &Estimate| {
        let own = if e.variance + spread > 0.0 { spread / (e.variance + spread) } else { 1.0 };
        Estimate {
            mean: centre + own * (e.mean - centre),
            variance: own * e.variance + (1.0 - own).powi(2) * centre_variance,
        }
    };
    (raw.iter().map(posterior).collect(), Estimate { mean: centre, variance: centre_variance + spread })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_known_for_certain_stay_finite() {
        let certain = Estimate { mean: 0.0, variance: 0.0 };
        let (own, unseen) = pool(&[certain, certain]);
        assert!(
            own.iter().chain([&unseen]).all(|e| e.mean == 0.0 && e.variance < 1e-100),
            "{own:?} {unseen:?}"
        );
    }

    /// Two alike are one; two far apart stay themselves.
    #[test]
    fn treatments_are_drawn_together_as_far_as_chance_explains_them() {
        let of = |mean: f64| Estimate { mean, variance: 0.01 };
        let (alike, _) = pool(&[of(0.14), of(0.12)]);
        assert!((alike[0].mean - 0.13).abs() < 1e-12 && (alike[1].mean - 0.13).abs() < 1e-12);
        let (apart, unseen) = pool(&[of(5.0), of(-5.0)]);
        assert!(apart[0].mean > 4.9 && apart[1].mean < -4.9 && unseen.variance > 20.0);
    }
}
