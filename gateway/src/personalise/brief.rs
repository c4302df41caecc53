//! From a placement to what its copy is to be about.

use proto::gateway::v1::Placement;
use proto::generator::v1::Brief;

use super::Moment;

/// Reasons a brief names at most; a small model does better with few facts.
const REASONS: usize = 2;

pub(super) fn of(moment: &Moment, placement: &Placement) -> Brief {
    let chinese = moment.request.locale.starts_with("zh");
    let titles = placement.reasons.iter().map(|reason| reason.because_title.as_str());
    let reasons = titles.filter(|title| !title.is_empty()).take(REASONS);
    let reasons = reasons
        .map(|title| if chinese { format!("您买过{title}") } else { format!("you have bought {title}") });
    Brief {
        item: placement.item.clone(),
        reasons: reasons.collect(),
        offer: placement.offer.clone(),
        channel: moment.request.channel,
        locale: moment.request.locale.clone(),
        ..Brief::default()
    }
}
