//! AnalyseCohorts: messages to a question and back.

use chassis::calendar::Period;
use proto::common::v1::EventKind;
use proto::evaluator::v1 as wire;
use proto::validate::Violations;
use tonic::Status;

use super::convert::{calendar, interval, span};
use super::status::refuse;
use super::{Base, now};
use crate::metric::cohort::{self, Question, cohorts};

/// Periods followed where no number is given.
const USUAL_PERIODS: u32 = 8;
/// Most periods.
const MOST_PERIODS: u32 = 366;

pub(super) async fn analyse(
    base: &Base,
    request: &wire::AnalyseCohortsRequest,
) -> Result<wire::AnalyseCohortsResponse, Status> {
    let mut found = Violations::new();
    found.known_enum::<wire::Granularity>("granularity", request.granularity, false);
    found.known_enum::<EventKind>("start_kind", request.start_kind, false);
    found.known_enum::<EventKind>("retention_kind", request.retention_kind, false);
    if request.periods > MOST_PERIODS {
        let text = format!("must be 1 to {MOST_PERIODS}, or 0 for {USUAL_PERIODS}, is {}", request.periods);
        found.add("periods", "OUT_OF_RANGE", text);
    }
    let calendar = calendar(&mut found, base, &request.time_zone);
    let (from, until) = span(&mut found, request.from.as_ref(), request.until.as_ref());
    refuse(found)?;
    let some = |kind: EventKind| (kind != EventKind::Unspecified).then_some(kind);
    let question = Question {
        calendar,
        period: match request.granularity() {
            wire::Granularity::Day => Period::Day,
            wire::Granularity::Unspecified | wire::Granularity::Week => Period::Week,
            wire::Granularity::Month => Period::Month,
        },
        periods: if request.periods == 0 { USUAL_PERIODS } else { request.periods },
        begins: some(request.start_kind()),
        returns: some(request.retention_kind()),
        from,
        until: until.unwrap_or_else(now),
    };
    // From the very start, so that nobody begins twice.
    let facts = base.store.facts(None, Some(question.until), &[]).await?;
    let (told, pooled) = base.pool.run(move || cohorts(&facts, &question)).await?;
    let message = |cohort: cohort::Cohort| wire::Cohort {
        from: cohort.from,
        units: cohort.units,
        retention: cohort.retention.into_iter().map(interval).collect(),
    };
    Ok(wire::AnalyseCohortsResponse {
        cohorts: told.into_iter().map(message).collect(),
        pooled: pooled.into_iter().map(interval).collect(),
    })
}
