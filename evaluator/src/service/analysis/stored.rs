use std::collections::{BTreeMap, HashSet};

use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::{Arms, Family, adjustment, answer, metric_kind, question};
use crate::error::Error;
use crate::experiment::cells::Cells;
use crate::experiment::definition::Experiment;
use crate::experiment::health::check;
use crate::metric::{Metric, MetricKind, Moments, Named};
use crate::service::Base;
use crate::service::status::refuse;

/// What a stored experiment is judged by when neither it nor the request names a metric.
const USUAL: [Named; 3] = [Named::Ctr, Named::Cr, Named::Revenue];

/// The analysis of a stored experiment from its cells: it costs their number, not the units'.
pub(in crate::service) async fn stored(
    base: &Base,
    request: wire::AnalyseExperimentRequest,
) -> Result<wire::AnalyseExperimentResponse, Status> {
    let mut found = Violations::new();
    found.required_id("experiment_id", &request.experiment_id);
    if !request.arms.is_empty() {
        found.add("arms", "BOTH_GIVEN", "must be empty where experiment_id is given");
    }
    let kind = metric_kind(&mut found, request.metric_kind, false);
    if request.metric_kind() == wire::MetricKind::Quantile {
        let text = "must be another where experiment_id is given: define a metric of METRIC_KIND_QUANTILE";
        found.add("metric_kind", "NOT_STORED", text);
    }
    if request.beta_prior.is_some() {
        found.add("beta_prior", "NOT_STORED", "must be absent where experiment_id is given");
    }
    let question = question(&mut found, &request, MetricKind::Mean);
    let adjustment = adjustment(&mut found, &request);
    let known = base.store.known_metrics().await?;
    for (index, name) in request.metrics.iter().enumerate() {
        if known.find(name).is_none() {
            let text = format!("must be one of {}, is {name:?}", known.names());
            found.add(format!("metrics[{index}]"), "UNKNOWN_METRIC", text);
        }
    }
    refuse(found)?;
    let kept = base.store.experiment(&request.experiment_id).await?;
    if kept.started_at.is_none() {
        let text = format!("experiment {:?} was never started", request.experiment_id);
        return Err(Error::precondition("EXPERIMENT_NOT_STARTED", text).into());
    }
    let design = kept.design;
    let own = || design.metrics.iter().chain(design.guardrails.iter().map(|guardrail| &guardrail.metric));
    let mut names: Vec<&String> =
        if request.metrics.is_empty() { own().collect() } else { request.metrics.iter().collect() };
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(*name));
    let mut wanted: Vec<Metric> = names.into_iter().filter_map(|name| known.find(name)).collect();
    if wanted.is_empty() {
        wanted = USUAL.map(Metric::Named).to_vec();
    }
    let read: Vec<&str> = wanted.iter().map(Metric::name).collect();
    let cells = base.store.cells(&request.experiment_id, &read).await?;
    let analysis = Analysis { kind, post_stratify: request.post_stratify, cells, design };
    let work = move || -> Result<wire::AnalyseExperimentResponse, Status> {
        let variants: Vec<String> =
            analysis.design.variants.iter().map(|variant| variant.variant_id.clone()).collect();
        let weights: Vec<f64> = analysis.design.variants.iter().map(|variant| variant.weight).collect();
        let units = analysis.cells.units_of(&variants);
        let mut health = check(&units, &weights, analysis.cells.multiple_exposures());
        let mut families = Vec::new();
        for metric in &wanted {
            let family = analysis.family(metric, &variants)?;
            if let Some((kind, arms)) = family.arms.sums()
                && kind == metric.kind()
            {
                health = health.with_covariates(&arms);
            }
            families.push(family);
        }
        Ok(answer(&variants, &families, &question, adjustment, &health))
    };
    base.pool.run(work).await?
}

/// A stored experiment and how it is looked at.
struct Analysis {
    /// Absent: each metric's own.
    kind: Option<MetricKind>,
    post_stratify: bool,
    cells: Cells,
    design: Experiment,
}

impl Analysis {
    fn family(&self, metric: &Metric, variants: &[String]) -> Result<Family, Status> {
        let guardrail = self.design.guardrails.iter().any(|guardrail| guardrail.metric == metric.name());
        let mut warnings = Vec::new();
        let arms = match metric.quantile() {
            Some(level) => Arms::Quantiles(self.cells.quantiles(metric, level, variants)?),
            None => self.sums(metric, variants, &mut warnings)?,
        };
        if self.post_stratify && !matches!(arms, Arms::Stratified(..)) {
            warnings.push(if metric.quantile().is_some() {
                "QUANTILE_NOT_STRATIFIED"
            } else {
                "RATIO_NOT_STRATIFIED"
            });
        }
        let lower_is_better = metric.lower_is_better();
        Ok(Family { metric: metric.name().to_owned(), guardrail, lower_is_better, arms, warnings })
    }

    fn sums(
        &self,
        metric: &Metric,
        variants: &[String],
        warnings: &mut Vec<&'static str>,
    ) -> Result<Arms, Status> {
        let kind = self.kind.unwrap_or_else(|| metric.kind());
        let (by_channel, decisions_for_impressions) = self.cells.arms(metric, kind, variants)?;
        if decisions_for_impressions {
            warnings.push("DECISIONS_COUNTED_AS_IMPRESSIONS");
        }
        if self.post_stratify && kind != MetricKind::Ratio {
            let named = |(channel, moments): (i16, Moments)| (channel.to_string(), moments);
            let strata = |arm: BTreeMap<i16, Moments>| arm.into_iter().map(named).collect();
            return Ok(Arms::Stratified(kind, by_channel.into_iter().map(strata).collect()));
        }
        let whole = |arm: &BTreeMap<i16, Moments>| arm.values().fold(Moments::default(), |a, b| a.plus(b));
        Ok(Arms::Whole(kind, by_channel.iter().map(whole).collect()))
    }
}
