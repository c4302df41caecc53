use std::collections::{BTreeMap, HashSet};

use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::{Arms, Design, Family, adjustment, answer, metric_kind, question, within_dimension};
use crate::error::Error;
use crate::experiment::cells::Cells;
use crate::experiment::decision::{Role, Sizes, missing};
use crate::experiment::definition::{Experiment, MAX_METRICS, State};
use crate::experiment::dimension::{Dimension, UNKNOWN};
use crate::experiment::health::check;
use crate::metric::{Known, Metric, MetricKind, Moments, Named};
use crate::service::status::refuse;
use crate::service::{Base, now, waiting};

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
    let dimension = dimension(&mut found, &request.dimension);
    found.at_most("metrics", request.metrics.len(), MAX_METRICS);
    let known = base.store.known_metrics().await?;
    for (index, name) in request.metrics.iter().enumerate() {
        if known.find(name).is_none() {
            let text = format!("must be one of {}, is {name:?}", known.names());
            found.add(format!("metrics[{index}]"), "UNKNOWN_METRIC", text);
        }
    }
    refuse(found)?;
    waiting::wait_for(base, request.after_position).await?;
    let kept = base.store.experiment(&request.experiment_id).await?;
    if kept.started_at.is_none() {
        let text = format!("experiment {:?} was never started", request.experiment_id);
        return Err(Error::precondition("EXPERIMENT_NOT_STARTED", text).into());
    }
    let running = kept.state == State::Running;
    let at = kept.stopped_at.unwrap_or(i64::MAX).min(now());
    let design = kept.design;
    let wanted = wanted(&design, &request.metrics, &known);
    let read: Vec<&str> = wanted.iter().map(|wanted| wanted.metric.name()).collect();
    let cells = base.store.cells(&request.experiment_id, &read).await?;
    let analysis = Analysis { kind, post_stratify: request.post_stratify, wanted, design, at };
    let work = move || -> Result<wire::AnalyseExperimentResponse, Status> {
        let variants: Vec<String> =
            analysis.design.variants.iter().map(|variant| variant.variant_id.clone()).collect();
        let weights: Vec<f64> = analysis.design.variants.iter().map(|variant| variant.weight).collect();
        let units = cells.units_of(&variants);
        let families = analysis.families(&cells, &variants)?;
        let mut health = check(&units, &weights, cells.multiple_exposures());
        for (family, wanted) in families.iter().zip(&analysis.wanted) {
            if family.arms.sums().is_some_and(|(kind, _)| kind == wanted.metric.kind()) {
                health = health.with_pre_period(&family.pre_period());
            }
        }
        let planned = analysis.design.planned_units_per_variant;
        let missing = missing(&Sizes { variants: &variants, units: &units, planned, running });
        let design = Design { names: &variants, health: &health, missing };
        let mut found = answer(&design, &families, &question, adjustment);
        if let Some(dimension) = dimension {
            let values = values(&cells, dimension)?;
            let results = values.len() * families.len() * (variants.len() - 1);
            if results > MAX_RESULTS {
                let text = format!(
                    "would give {results} results, at most {MAX_RESULTS} are allowed: name fewer metrics"
                );
                return Err(Error::invalid("dimension", "TOO_MANY_RESULTS", text).into());
            }
            for value in values {
                let families = analysis.families(&cells.restricted(dimension, &value), &variants)?;
                found.results.extend(within_dimension(&variants, &families, &question, &value));
            }
        }
        Ok(found)
    };
    base.pool.run(work).await?
}

/// The dimension called `name`; `None` where none is asked for.
fn dimension(found: &mut Violations, name: &str) -> Option<Dimension> {
    let dimension = Dimension::parse(name);
    if dimension.is_none() && !name.is_empty() {
        let names = Dimension::ALL.map(|(name, _)| name).join(", ");
        found.add("dimension", "UNKNOWN_DIMENSION", format!("must be one of {names}, is {name:?}"));
    }
    dimension
}

/// Maximum results within the values of a dimension.
const MAX_RESULTS: usize = 20_000;
/// Maximum values of a dimension in one analysis: those with most units.
const MAX_VALUES: usize = 100;

/// Values of `dimension`; refused where no decision named a segment.
fn values(cells: &Cells, dimension: Dimension) -> Result<Vec<String>, Error> {
    let values = cells.values(dimension, MAX_VALUES);
    if dimension == Dimension::Segment && values.iter().all(|value| value == UNKNOWN) {
        let text = "no decision of this experiment names a segment: train a model with segments in the recommender, \
                    whose answers name them, or analyse by channel or visitor_type";
        return Err(Error::precondition("NO_SEGMENTS", text));
    }
    Ok(values)
}

/// A metric of an analysis.
struct Wanted {
    metric: Metric,
    role: Role,
    listed: bool,
}

/// Metrics of an analysis: those asked for, else the experiment's own, else the usual ones. The experiment's guardrails
/// are judged also where they were not asked for.
fn wanted(design: &Experiment, asked: &[String], known: &Known) -> Vec<Wanted> {
    let margin =
        |name: &str| design.guardrails.iter().find(|guard| guard.metric == name).map(|guard| guard.margin);
    let own: Vec<&String> =
        design.metrics.iter().chain(design.guardrails.iter().map(|guard| &guard.metric)).collect();
    let mut names: Vec<&String> = if asked.is_empty() { own } else { asked.iter().collect() };
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(*name));
    let mut wanted: Vec<Wanted> = names
        .into_iter()
        .filter_map(|name| known.find(name))
        .map(|metric| {
            let role = margin(metric.name()).map_or(Role::Goal, |margin| Role::Guardrail { margin });
            Wanted { metric, role, listed: true }
        })
        .collect();
    if wanted.iter().all(|wanted| matches!(wanted.role, Role::Guardrail { .. })) && asked.is_empty() {
        let usual = USUAL.map(Metric::Named).into_iter().filter(|usual| margin(usual.name()).is_none());
        wanted.extend(usual.map(|metric| Wanted { metric, role: Role::Goal, listed: true }));
    }
    let primary = |wanted: &&mut Wanted| {
        wanted.role == Role::Goal && design.metrics.first().is_some_and(|first| first == wanted.metric.name())
    };
    let place = wanted.iter_mut().find(primary).map(|wanted| wanted.role = Role::Primary);
    if place.is_none()
        && let Some(first) = wanted.iter_mut().find(|wanted| wanted.role == Role::Goal)
    {
        first.role = Role::Primary;
    }
    for guard in &design.guardrails {
        if !wanted.iter().any(|wanted| wanted.metric.name() == guard.metric)
            && let Some(metric) = known.find(&guard.metric)
        {
            wanted.push(Wanted { metric, role: Role::Guardrail { margin: guard.margin }, listed: false });
        }
    }
    wanted
}

/// A stored experiment and how it is analysed.
struct Analysis {
    /// Absent: each metric's own.
    kind: Option<MetricKind>,
    post_stratify: bool,
    wanted: Vec<Wanted>,
    design: Experiment,
    /// Until when what happened counts, microseconds since 1970.
    at: i64,
}

impl Analysis {
    fn families(&self, cells: &Cells, variants: &[String]) -> Result<Vec<Family>, Status> {
        self.wanted.iter().map(|wanted| self.family(wanted, cells, variants)).collect()
    }

    fn family(&self, wanted: &Wanted, cells: &Cells, variants: &[String]) -> Result<Family, Status> {
        let Wanted { metric, role, listed } = wanted;
        let mut warnings = Vec::new();
        let main = cells.in_main_currency(metric);
        if main.is_some() {
            warnings.push("OTHER_CURRENCIES_LEFT_OUT");
        }
        let cells = main.as_ref().unwrap_or(cells);
        let mature = cells.mature(metric, self.at);
        if let Some(mature) = &mature {
            let any = mature.units_of(variants).iter().any(|units| *units > 0);
            warnings.push(if any { "IMMATURE_UNITS_LEFT_OUT" } else { "NO_MATURE_UNITS" });
        }
        let cells = mature.as_ref().unwrap_or(cells);
        let arms = match metric.quantile() {
            Some(level) => Arms::Quantiles(cells.quantiles(metric, level, variants)?),
            None => self.sums(metric, cells, variants, &mut warnings)?,
        };
        if self.post_stratify && !matches!(arms, Arms::Stratified(..)) {
            warnings.push(if metric.quantile().is_some() {
                "QUANTILE_NOT_STRATIFIED"
            } else {
                "RATIO_NOT_STRATIFIED"
            });
        }
        Ok(Family {
            metric: metric.name().to_owned(),
            role: *role,
            listed: *listed,
            lower_is_better: metric.lower_is_better(),
            arms,
            currency: if metric.is_money() { cells.currency(metric)? } else { String::new() },
            warnings,
        })
    }

    fn sums(
        &self,
        metric: &Metric,
        cells: &Cells,
        variants: &[String],
        warnings: &mut Vec<&'static str>,
    ) -> Result<Arms, Status> {
        let kind = self.kind.unwrap_or_else(|| metric.kind());
        let (by_channel, decisions_for_impressions) = cells.arms(metric, kind, variants)?;
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
