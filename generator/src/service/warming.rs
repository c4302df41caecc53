use std::pin::Pin;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures::{Stream, StreamExt as _};
use proto::common::v1::Channel;
use proto::generator::v1::{WarmCopiesRequest, WarmCopiesResponse};
use proto::validate::{Violation, Violations};
use tonic::Status;

use crate::brief;
use crate::writing::{Campaign, Progress, Writer};

pub(super) type Steps = Pin<Box<dyn Stream<Item = Result<WarmCopiesResponse, Status>> + Send>>;

/// Most items of one campaign.
const MAX_ITEMS: usize = 1000;
/// Most entries of the other lists.
const MAX_ENTRIES: usize = 32;
/// Most briefs of one campaign.
const MAX_BRIEFS: usize = 100_000;

/// The campaign in `request`, or what is wrong with it.
pub fn campaign(request: WarmCopiesRequest) -> Result<Campaign, Vec<Violation>> {
    let mut violations = Violations::new();
    if request.items.is_empty() {
        violations.add("items", "EMPTY", "must name at least one item");
    }
    for (field, entries, most) in [
        ("items", request.items.len(), MAX_ITEMS),
        ("offers", request.offers.len(), MAX_ENTRIES),
        ("channels", request.channels.len(), MAX_ENTRIES),
        ("locales", request.locales.len(), MAX_ENTRIES),
        ("angles", request.angles.len(), MAX_ENTRIES),
        ("segments", request.segments.len(), MAX_ENTRIES),
    ] {
        if entries > most {
            violations.add(field, "TOO_MANY", format!("must have at most {most} entries, has {entries}"));
        }
    }
    if let Some(temperature) = request.temperature {
        violations.within_range("temperature", temperature, 0.0, 2.0);
    }
    for (index, channel) in request.channels.iter().enumerate() {
        violations.known_enum::<Channel>(&format!("channels[{index}]"), *channel, false);
    }
    if !violations.is_empty() {
        return Err(violations.into_vec());
    }
    let or_empty = |list: Vec<String>| if list.is_empty() { vec![String::new()] } else { list };
    let channels: Vec<Channel> = request.channels().collect();
    let campaign = Campaign {
        channels: if channels.is_empty() { vec![Channel::Unspecified] } else { channels },
        items: request.items,
        offers: request.offers,
        locales: or_empty(request.locales),
        angles: or_empty(request.angles),
        segments: or_empty(request.segments),
        wordings: if request.variants_per_brief == 0 {
            u64::MAX
        } else {
            u64::from(request.variants_per_brief)
        },
        temperature: request.temperature,
    };
    let pairs = campaign.items.len() * campaign.offers.len().max(1);
    let texts = pairs
        * campaign.channels.len()
        * campaign.locales.len()
        * campaign.angles.len()
        * campaign.segments.len();
    if texts > MAX_BRIEFS {
        let description =
            format!("the campaign must have at most {MAX_BRIEFS} combinations, has up to {texts}");
        return Err(vec![Violation::new("items", "TOO_MANY", description)]);
    }
    // Every brief is checked as a call for it would be; the first that is wrong names the campaign's fault.
    for (index, made) in campaign.briefs().iter().enumerate() {
        let faults = brief::validate(made, Utc::now());
        if !faults.is_empty() {
            let item = made.item.as_ref().map(|item| item.item_id.clone()).unwrap_or_default();
            let within = |fault: Violation| {
                let description = format!("{} (item {item:?})", fault.description);
                Violation { description, ..fault }.within(format!("briefs[{index}]"))
            };
            return Err(faults.into_iter().map(within).collect());
        }
    }
    Ok(campaign)
}

/// How far the writing is, after each text.
pub(super) fn steps(writer: &Writer, campaign: &Campaign) -> Steps {
    let started = Instant::now();
    Box::pin(writer.write_ahead(campaign).map(move |progress| Ok(step(progress, started.elapsed()))))
}

/// The end of the writing as the contract tells it.
pub fn warmed(progress: Progress) -> WarmCopiesResponse {
    WarmCopiesResponse { remaining: None, ..step(progress, Duration::ZERO) }
}

fn step(progress: Progress, elapsed: Duration) -> WarmCopiesResponse {
    let left = progress.total - progress.done;
    // What is there already costs nothing and tells nothing of the pace.
    let worked = progress.done - progress.kept;
    let remaining = (worked > 0).then(|| elapsed.mul_f64(left as f64 / worked as f64));
    WarmCopiesResponse {
        total: progress.total as u32,
        done: progress.done as u32,
        written: progress.written as u32,
        cached: progress.kept as u32,
        refused: progress.refused as u32,
        failed: progress.failed as u32,
        remaining: remaining.map(|left| pbjson_types::Duration {
            seconds: left.as_secs() as i64,
            nanos: left.subsec_nanos() as i32,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_campaign_is_checked_before_anything_is_written() {
        let fields =
            |request| campaign(request).unwrap_err().into_iter().map(|fault| fault.field).collect::<Vec<_>>();
        assert_eq!(fields(WarmCopiesRequest::default()), ["items"]);
        let item = |title: &str| proto::common::v1::Item { title: title.into(), ..Default::default() };
        let request = WarmCopiesRequest { items: vec![item("Tea"), item("")], ..Default::default() };
        assert_eq!(fields(request), ["briefs[1].item.title"]);
        let request =
            WarmCopiesRequest { items: vec![item("Tea")], locales: vec!["fr".into()], ..Default::default() };
        assert_eq!(fields(request), ["briefs[0].locale"]);
        let request = WarmCopiesRequest {
            items: vec![item("Tea"); 1000],
            angles: vec!["a".into(); 32],
            segments: vec!["s".into(); 32],
            ..Default::default()
        };
        assert_eq!(fields(request), ["items"]);
    }

    #[test]
    fn the_rest_is_judged_by_what_was_written() {
        let progress = Progress { total: 40, done: 20, written: 10, kept: 10, ..Progress::default() };
        let step = step(progress, Duration::from_secs(5));
        assert_eq!(step.remaining.unwrap().seconds, 10);
        assert_eq!(
            super::step(Progress { total: 4, done: 1, kept: 1, ..Progress::default() }, Duration::ZERO)
                .remaining,
            None
        );
    }
}
