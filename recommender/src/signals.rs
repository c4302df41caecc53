//! Weights of events: by kind, strength (rating, share returned) and age; and bursts that no person produces.

use chassis::config::Problems;
use proto::common::v1::EventKind;
use serde::{Deserialize, Serialize};

use crate::history::{Dated, PAUSE};
use crate::store::Deed;

const DAY: f64 = 86_400.0;
const MINUTE: i64 = 60;

/// What an event of each kind tells, in purchases, and how events are read; a weight of 0 tells nothing, one below 0
/// speaks against the item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signals {
    /// A purchase.
    pub purchase: f32,
    /// Put into the cart.
    pub cart: f32,
    /// Made a favourite.
    pub favourite: f32,
    /// Shared.
    pub share: f32,
    /// A rating at the upper end of the scale. The middle of the scale weighs 0, the lower end as much as the upper
    /// end, but against the item.
    pub rating: f32,
    /// Lower end of the shop's scale of ratings; a RATING event below it is refused.
    pub rating_min: f64,
    /// Upper end of the shop's scale of ratings; a RATING event above it is refused.
    pub rating_max: f64,
    /// Clicked on.
    pub click: f32,
    /// Looked at.
    pub view: f32,
    /// Disliked.
    pub dislike: f32,
    /// Days for which a disliked item is left out of the person's lists; 0: it is not left out.
    pub dislike_days: f64,
    /// Share of a purchase's weight by which a wholly returned purchase tells against the item.
    pub returned: f32,
    /// Days after which an event counts half as much for the popularity of its item; 0: it does not fade.
    pub popularity_half_life_days: f64,
    /// Days after which an event tells half as much; 0: events do not fade.
    pub half_life_days: f64,
    /// Seconds within which a person's same deed with the same item is one: a double click, a page loaded again.
    pub repeat_seconds: i64,
    /// Deeds a minute, purchases aside, above which a visit is a machine's and is not learnt from; 0: no bound.
    pub burst_per_minute: usize,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            purchase: 1.0,
            cart: 0.7,
            favourite: 0.6,
            share: 0.6,
            rating: 0.5,
            rating_min: 1.0,
            rating_max: 5.0,
            click: 0.4,
            view: 0.2,
            dislike: -1.0,
            dislike_days: 180.0,
            returned: 0.2,
            popularity_half_life_days: 30.0,
            half_life_days: 0.0,
            repeat_seconds: 2,
            burst_per_minute: 120,
        }
    }
}

impl Signals {
    /// How much an event of this kind tells.
    pub fn weight(&self, kind: EventKind) -> f32 {
        match kind {
            EventKind::Purchase => self.purchase,
            EventKind::Cart => self.cart,
            EventKind::Favourite => self.favourite,
            EventKind::Share => self.share,
            EventKind::Rating => self.rating,
            EventKind::Click => self.click,
            EventKind::View => self.view,
            EventKind::Dislike => self.dislike,
            EventKind::Unspecified
            | EventKind::Impression
            | EventKind::Unsubscribe
            | EventKind::Survey
            | EventKind::OfferShown
            | EventKind::OfferWithheld
            | EventKind::OfferRedeemed
            | EventKind::Return
            | EventKind::Link => 0.0,
        }
    }

    /// Strength of an event in units of its kind's weight: of a rating, its place on the scale from -1 to 1; of a
    /// purchase, the share that was kept, and below 0 where it was returned. 1 for every other kind.
    pub fn strength(&self, deed: &Deed) -> f32 {
        match deed.kind {
            EventKind::Rating => deed.rating.map_or(0.0, |rating| {
                let half = (self.rating_max - self.rating_min) / 2.0;
                ((rating - self.rating_min - half) / half).clamp(-1.0, 1.0) as f32
            }),
            EventKind::Purchase => deed.kept - (1.0 - deed.kept) * self.returned,
            _ => 1.0,
        }
    }

    /// Weight of an event before it fades: that of its kind times its strength.
    pub fn weight_of(&self, deed: &Deed) -> f32 {
        self.weight(deed.kind) * self.strength(deed)
    }

    /// Whether `rating` lies on the shop's scale.
    pub fn is_on_scale(&self, rating: f64) -> bool {
        (self.rating_min..=self.rating_max).contains(&rating)
    }

    /// Kinds of events whose weight is not 0.
    pub fn weighted_kinds(&self) -> Vec<EventKind> {
        const KINDS: [EventKind; 8] = [
            EventKind::Purchase,
            EventKind::Cart,
            EventKind::Favourite,
            EventKind::Share,
            EventKind::Rating,
            EventKind::Click,
            EventKind::View,
            EventKind::Dislike,
        ];
        KINDS.into_iter().filter(|kind| self.weight(*kind) != 0.0).collect()
    }

    /// The weight of a kind that can tell of a taste.
    pub fn weight_mut(&mut self, kind: EventKind) -> Option<&mut f32> {
        match kind {
            EventKind::Purchase => Some(&mut self.purchase),
            EventKind::Cart => Some(&mut self.cart),
            EventKind::Favourite => Some(&mut self.favourite),
            EventKind::Share => Some(&mut self.share),
            EventKind::Rating => Some(&mut self.rating),
            EventKind::Click => Some(&mut self.click),
            EventKind::View => Some(&mut self.view),
            EventKind::Dislike => Some(&mut self.dislike),
            _ => None,
        }
    }

    /// The weights by the names they have in the configuration.
    pub fn weights(&self) -> [(&'static str, f32); 8] {
        [
            ("events.purchase", self.purchase),
            ("events.cart", self.cart),
            ("events.favourite", self.favourite),
            ("events.share", self.share),
            ("events.rating", self.rating),
            ("events.click", self.click),
            ("events.view", self.view),
            ("events.dislike", self.dislike),
        ]
    }

    /// What is left of a weight after `seconds`, as a share.
    pub fn faded(&self, seconds: i64) -> f32 {
        halved(self.half_life_days, seconds.max(0)) as f32
    }

    /// Share of an event's weight in the popularity of its item that is left after `seconds`; above 1 for seconds
    /// below 0.
    pub fn popularity_left(&self, seconds: i64) -> f64 {
        halved(self.popularity_half_life_days, seconds)
    }

    /// Whether `deed` says once more what the last of a person's `deeds` said.
    pub fn repeats(&self, deeds: &[Dated], deed: &Dated) -> bool {
        let near = deeds.iter().rev().take_while(|one| deed.at - one.at < self.repeat_seconds);
        let mut same = near.filter(|one| (one.item, one.kind) == (deed.item, deed.kind));
        // A rating replaces the one before it, however soon it follows.
        !matches!(deed.kind, EventKind::Purchase | EventKind::Rating) && same.next().is_some()
    }

    /// One person's `deeds`, the oldest first, without those of visits in which more was done in a minute than a
    /// person does. What was bought was paid for, and stays.
    pub fn by_people(&self, deeds: &[Dated]) -> Vec<Dated> {
        let most = self.burst_per_minute;
        let visits = deeds.chunk_by(|one, next| next.at - one.at < PAUSE);
        let bought = |deed: &Dated| deed.kind == EventKind::Purchase;
        let own = visits.flat_map(|visit| {
            let looks: Vec<i64> = visit.iter().filter(|deed| !bought(deed)).map(|deed| deed.at).collect();
            let machine = most > 0 && looks.windows(most + 1).any(|one| one[most] - one[0] < MINUTE);
            visit.iter().filter(move |deed| bought(deed) || !machine).copied()
        });
        own.collect()
    }

    /// Reports weights and times that make no sense.
    pub(crate) fn validate(&self, problems: &mut Problems) {
        for (name, weight) in self.weights() {
            problems.require((-100.0..=100.0).contains(&weight), name, "must be -100 to 100");
        }
        let scale = self.rating_min.is_finite()
            && self.rating_max.is_finite()
            && self.rating_max - self.rating_min > f64::EPSILON;
        problems.require(scale, "events.rating_max", "must be above events.rating_min, and both finite");
        let days = 0.0..=36_500.0;
        problems.require(days.contains(&self.dislike_days), "events.dislike_days", "must be 0 to 36500");
        problems.require((0.0..=1.0).contains(&self.returned), "events.returned", "must be 0 to 1");
        let popularity = days.contains(&self.popularity_half_life_days);
        problems.require(popularity, "events.popularity_half_life_days", "must be 0 to 36500");
        let fades = (0.0..=36_500.0).contains(&self.half_life_days);
        problems.require(fades, "events.half_life_days", "must be 0 to 36500");
        let near = (0..=3_600).contains(&self.repeat_seconds);
        problems.require(near, "events.repeat_seconds", "must be 0 to 3600");
        let burst = self.burst_per_minute <= 1_000_000;
        problems.require(burst, "events.burst_per_minute", "must be 0 to 1000000");
    }
}

/// Share that is left after `seconds` of what halves in `half_life_days`; all of it where that is 0.
fn halved(half_life_days: f64, seconds: i64) -> f64 {
    if half_life_days > 0.0 { (-(seconds as f64) / (half_life_days * DAY)).exp2() } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rating_weighs_by_its_place_on_the_scale() {
        let rated = |rating| Deed { rating: Some(rating), ..Deed::new("p", EventKind::Rating, "i", 0) };
        let signals = Signals::default();
        for (rating, weight) in [(1.0, -0.5), (2.0, -0.25), (3.0, 0.0), (4.0, 0.25), (5.0, 0.5)] {
            assert!((signals.weight_of(&rated(rating)) - weight).abs() < 1e-6, "{rating} stars");
        }
        let percent = Signals { rating_min: 0.0, rating_max: 100.0, ..Signals::default() };
        assert!((percent.weight_of(&rated(75.0)) - 0.25).abs() < 1e-6);
        assert!(percent.is_on_scale(0.0) && percent.is_on_scale(100.0) && !signals.is_on_scale(0.5));
    }

    #[test]
    fn a_returned_purchase_tells_against_its_item() {
        let bought = |kept| Deed { kept, ..Deed::new("p", EventKind::Purchase, "i", 0) };
        let signals = Signals::default();
        for (kept, weight) in [(1.0, 1.0), (0.5, 0.4), (0.0, -0.2)] {
            assert!((signals.weight_of(&bought(kept)) - weight).abs() < 1e-6, "{kept} kept");
        }
    }

    fn deed(item: u32, at: i64, bought: bool) -> Dated {
        let kind = if bought { EventKind::Purchase } else { EventKind::View };
        Dated { item, weight: Signals::default().weight(kind), strength: 1.0, at, kind }
    }

    #[test]
    fn a_double_click_counts_once_and_two_purchases_twice() {
        let signals = Signals::default();
        let before = [deed(3, 10, false), deed(4, 11, false)];
        assert!(signals.repeats(&before, &deed(3, 11, false)));
        assert!(!signals.repeats(&before, &deed(3, 12, false)), "two seconds later");
        assert!(!signals.repeats(&before, &deed(5, 11, false)), "another item");
        assert!(!signals.repeats(&[deed(3, 10, true)], &deed(3, 10, true)));
    }

    #[test]
    fn a_visit_faster_than_a_person_is_left_out_but_for_what_was_bought() {
        let signals = Signals { burst_per_minute: 5, ..Signals::default() };
        let slow: Vec<Dated> = (0..20).map(|n| deed(1, i64::from(n) * 12, false)).collect();
        assert_eq!(signals.by_people(&slow), slow);
        let mut fast: Vec<Dated> = (0..20).map(|n| deed(1, 100_000 + i64::from(n), false)).collect();
        fast.push(deed(2, 100_030, true));
        let all = [slow.clone(), fast].concat();
        assert_eq!(signals.by_people(&all), [slow, vec![deed(2, 100_030, true)]].concat());
        let basket: Vec<Dated> = (0..200).map(|item| deed(item, 5, true)).collect();
        assert_eq!(signals.by_people(&basket), basket, "a large order");
    }

    #[test]
    fn an_event_fades_by_half_in_its_half_life() {
        let signals = Signals { half_life_days: 30.0, ..Signals::default() };
        assert!((signals.faded(60 * 86_400) - 0.25).abs() < 1e-6);
        assert!((signals.faded(-5) - 1.0).abs() < 1e-6, "a clock that runs ahead");
        assert!((Signals::default().faded(i64::MAX) - 1.0).abs() < 1e-6);
    }
}
