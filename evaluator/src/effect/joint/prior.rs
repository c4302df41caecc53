//! What coefficients are taken for before rows are seen, learnt from the rows.

use super::layout::Layout;

/// Precisions to begin with: of the control's slopes, and of its products.
const CONTROL: (f64, f64) = (5.0, 20.0);
/// The same of what the time does to the control: days of the week differ by tenths of a logit.
const TIME: f64 = 100.0;
/// The same of what a step adds.
const STEP: f64 = 20.0;
/// Observations that speak for nothing of a product of features in what a step adds, before rows do: that two features act
/// together on an effect is rarer than that one does, and most would be learnt from their noise (a Gamma hyperprior of that
/// shape, Tipping 2001).
const RARE: f64 = 1.0;
/// Precisions are held between these; in units of the logit, or of the outcome's standard deviation.
const BOUNDS: (f64, f64) = (0.1, 1e5);

/// Normal around 0. Coefficients of the control are independent; those of one function of the basis over all steps vary
/// together as the steps do.
#[derive(Debug, Clone)]
pub(super) struct Prior {
    layout: Layout,
    /// Functions of the basis before its products.
    slopes: usize,
    /// Of each coefficient of the control, then of each function of a step's basis, then of what it adds where it is felt more.
    precision: Vec<f64>,
    /// Inverse of the covariance of steps, row-major.
    between: Vec<f64>,
    /// A precision of one such unit has the spread of the outcome itself.
    unit: f64,
}

impl Prior {
    /// Before anything is learnt. The first `slopes` coefficients of the control are no products.
    pub(super) fn new(layout: &Layout, slopes: usize, between: Vec<f64>, unit: f64) -> Self {
        let first = |group: usize| match group {
            // The control's mean is free.
            0 => 1e-9,
            at if at < slopes => CONTROL.0,
            at if at < layout.width => CONTROL.1,
            at if at < layout.whole() => TIME,
            _ => STEP,
        };
        let precision =
            (0..layout.whole() + layout.step + layout.more).map(|group| unit * first(group)).collect();
        Self { layout: *layout, slopes, precision, between, unit }
    }

    /// The same with no precision above `most` units.
    pub(super) fn at_most(&self, most: f64) -> Self {
        let precision = self.precision.iter().map(|precision| precision.min(most * self.unit)).collect();
        Self { precision, between: self.between.clone(), ..*self }
    }

    /// The coefficients of a group with what their precisions are multiplied by, two by two.
    fn pairs(&self, group: usize) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        let layout = self.layout;
        let Layout { steps, step, .. } = layout;
        let whole = layout.whole();
        let alone = (group < whole).then_some((group, group, 1.0));
        let together = if group < whole { 0 } else { steps };
        let at = move |of: usize| match group - whole {
            function if function < step => layout.of_step(of) + function,
            more => layout.of_more(of) + more - step,
        };
        let pair = move |(a, b)| (at(a), at(b), self.between[a * steps + b]);
        alone.into_iter().chain((0..together).flat_map(move |a| (0..together).map(move |b| (a, b))).map(pair))
    }

    /// Every entry of the precision matrix that is not 0.
    fn entries(&self) -> impl Iterator<Item = (usize, usize, f64)> + '_ {
        let of_group = |(group, precision): (usize, &f64)| {
            let precision = *precision;
            self.pairs(group).map(move |(a, b, of)| (a, b, precision * of))
        };
        self.precision.iter().enumerate().flat_map(of_group)
    }

    /// The precision matrix times `beta`.
    pub(super) fn times(&self, beta: &[f64]) -> Vec<f64> {
        let mut product = vec![0.0; beta.len()];
        self.entries().for_each(|(a, b, precision)| product[a] += precision * beta[b]);
        product
    }

    /// `curvature` with the precision matrix added.
    pub(super) fn added_to(&self, curvature: &[f64]) -> Vec<f64> {
        let (mut sum, n) = (curvature.to_vec(), self.layout.coefficients());
        self.entries().for_each(|(a, b, precision)| sum[a * n + b] += precision);
        sum
    }

    fn is_product_of_step(&self, group: usize) -> bool {
        let first = self.layout.whole();
        (first + self.slopes..first + self.layout.step).contains(&group)
    }

    /// Learns the precisions under which coefficients of mean `beta` and covariance `inverse` are likeliest (MacKay 1992:
    /// how much the rows tell of a group, by how large it is). Returns how many coefficients the rows tell in all.
    pub(super) fn learn(&mut self, beta: &[f64], inverse: &[f64]) -> f64 {
        let n = self.layout.coefficients();
        let mut told_of_all = 0.0;
        for group in 0..self.precision.len() {
            let (mut told, mut size, mut members) = (0.0, 1e-9 / self.unit, 0.0);
            for (a, b, of) in self.pairs(group) {
                members += f64::from(u8::from(a == b));
                told -= self.precision[group] * of * inverse[a * n + b];
                size += of * beta[a] * beta[b];
            }
            let told = (told + members).clamp(0.0, members);
            told_of_all += told;
            if group > 0 {
                let rare = if self.is_product_of_step(group) { RARE } else { 0.0 };
                self.precision[group] =
                    ((told + rare + 1e-3) / size).clamp(BOUNDS.0 * self.unit, BOUNDS.1 * self.unit);
            }
        }
        told_of_all
    }
}
