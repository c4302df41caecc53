//! From a placement to what its copy is to be about.

use proto::common::v1::EventKind;
use proto::gateway::v1::Placement;
use proto::generator::v1::Brief;
use proto::recommender::v1::Reason;

use super::Moment;

/// Reasons a brief names at most; a small model does better with few facts.
const REASONS: usize = 2;

pub(super) fn of(moment: &Moment, placement: &Placement) -> Brief {
    let chinese = moment.request.locale.starts_with("zh");
    let item = placement.item.as_ref().map_or("", |item| item.item_id.as_str());
    let reasons = placement.reasons.iter().filter_map(|reason| told(reason, item, chinese)).take(REASONS);
    Brief {
        item: placement.item.clone(),
        reasons: reasons.collect(),
        offer: placement.offer.clone(),
        channel: moment.request.channel,
        locale: moment.request.locale.clone(),
        ..Brief::default()
    }
}

/// What the person did, as a sentence goes on after "because"; nothing of what is not known for sure.
fn told(reason: &Reason, item: &str, chinese: bool) -> Option<String> {
    let title = reason.because_title.as_str();
    if title.is_empty() {
        return None;
    }
    let same = reason.because_item_id == item;
    Some(match (reason.because_kind(), chinese) {
        (EventKind::Purchase, true) if same => "您以前买过它".into(),
        (EventKind::Purchase, false) if same => "you have bought it before".into(),
        (EventKind::Purchase, true) => format!("您买过{title}"),
        (EventKind::Purchase, false) => format!("you have bought {title}"),
        (EventKind::Cart, true) => format!("您的购物车里有过{title}"),
        (EventKind::Cart, false) => format!("you have had {title} in your cart"),
        (EventKind::Favourite | EventKind::Share, true) => format!("您喜欢{title}"),
        (EventKind::Favourite | EventKind::Share, false) => format!("you like {title}"),
        (EventKind::Rating, true) => format!("您评价过{title}"),
        (EventKind::Rating, false) => format!("you have rated {title}"),
        (EventKind::Click | EventKind::View, true) if same => "您看过它".into(),
        (EventKind::Click | EventKind::View, false) if same => "you have looked at it".into(),
        (EventKind::Click | EventKind::View, true) => format!("您看过{title}"),
        (EventKind::Click | EventKind::View, false) => format!("you have looked at {title}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_looked_is_not_told_to_have_bought() {
        let reason = |kind: EventKind| Reason {
            because_item_id: "cheese".into(),
            because_title: "Cheese".into(),
            because_kind: kind.into(),
            ..Reason::default()
        };
        let of = |kind, item| told(&reason(kind), item, false);
        assert_eq!(of(EventKind::Purchase, "milk").as_deref(), Some("you have bought Cheese"));
        assert_eq!(of(EventKind::Purchase, "cheese").as_deref(), Some("you have bought it before"));
        assert_eq!(of(EventKind::Click, "milk").as_deref(), Some("you have looked at Cheese"));
        assert_eq!(told(&reason(EventKind::View), "milk", true).as_deref(), Some("您看过Cheese"));
        assert_eq!(of(EventKind::Unspecified, "milk"), None, "nobody said what was done");
    }
}
