//! Writing ahead of a campaign: the texts that will be asked for, the likeliest first.

use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use proto::common::v1::{Channel, Item, Offer};
use proto::generator::v1::Brief;

use super::author;
use super::flight::{Job, Outcome};
use super::subject::Subject;
use super::{Shared, Writer};
use crate::brief::{readable, sold_out};
use crate::guard::Guard;

/// What a campaign will say: each item with each offer that is good for it, in each channel, locale, angle and segment.
#[derive(Debug, Clone, Default)]
pub struct Campaign {
    /// The items, the likeliest first.
    pub items: Vec<Item>,
    /// The offers; an item none of them is good for, or where there are none, is told of without.
    pub offers: Vec<Offer>,
    /// The channels.
    pub channels: Vec<Channel>,
    /// The locales.
    pub locales: Vec<String>,
    /// The angles; "" is the facts' own.
    pub angles: Vec<String>,
    /// The people in a few words each, as `profile_summary` has them; "" is everybody.
    pub segments: Vec<String>,
    /// Wordings of each.
    pub wordings: u64,
    /// `None` takes the configured one.
    pub temperature: Option<f64>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Texts to be there in the end.
    pub total: usize,
    /// Texts seen to.
    pub done: usize,
    /// Of these, written now.
    pub written: usize,
    /// Of these, there already.
    pub kept: usize,
    /// Of these, left to templates: nothing the model wrote passed, or it may not write about such goods.
    pub refused: usize,
    /// Of these, not written because the engine was not there or too busy: worth another try.
    pub failed: usize,
}

enum Text {
    Written,
    Kept,
    Refused,
    Failed,
}

impl Campaign {
    /// The briefs, the likeliest first.
    pub fn briefs(&self) -> Vec<Brief> {
        let mut briefs = Vec::new();
        for item in &self.items {
            let good: Vec<Option<&Offer>> =
                self.offers.iter().filter(|offer| good_for(offer, item)).map(Some).collect();
            let offers = if good.is_empty() { vec![None] } else { good };
            for offer in offers {
                for channel in &self.channels {
                    for locale in &self.locales {
                        for angle in &self.angles {
                            briefs.extend(self.segments.iter().map(|segment| Brief {
                                item: Some(item.clone()),
                                offer: offer.cloned(),
                                channel: (*channel).into(),
                                locale: locale.clone(),
                                angle: angle.clone(),
                                profile_summary: segment.clone(),
                                ..Brief::default()
                            }));
                        }
                    }
                }
            }
        }
        briefs
    }
}

/// Whether `offer` is good for `item`: it names it, or one of its categories, or nothing at all.
fn good_for(offer: &Offer, item: &Item) -> bool {
    offer.item_ids.is_empty() && offer.categories.is_empty()
        || offer.item_ids.contains(&item.item_id)
        || offer.categories.iter().any(|category| item.categories.contains(category))
}

impl Writer {
    /// Writes what `campaign` will ask for, a few at a time; tells how far it is after each text. Dropping the stream
    /// ends it after what is being written.
    pub fn write_ahead(&self, campaign: &Campaign) -> impl Stream<Item = Progress> + Send + 'static {
        let briefs = campaign.briefs();
        let wordings = campaign.wordings.clamp(1, self.shared.config.wordings);
        let temperature = campaign.temperature.unwrap_or(self.shared.config.temperature);
        let total = briefs.len() * wordings as usize;
        let shared = self.shared.clone();
        let most = shared.config.background_lanes;
        let texts = futures::stream::iter(briefs)
            .flat_map(move |brief| {
                let brief = Arc::new(brief);
                futures::stream::iter((0..wordings).map(move |wording| (brief.clone(), wording)))
            })
            .map(move |(brief, wording)| text(shared.clone(), brief, wording, temperature))
            .buffer_unordered(most);
        texts.scan(Progress { total, ..Progress::default() }, |progress, text| {
            progress.done += 1;
            *match text {
                Text::Written => &mut progress.written,
                Text::Kept => &mut progress.kept,
                Text::Refused => &mut progress.refused,
                Text::Failed => &mut progress.failed,
            } += 1;
            futures::future::ready(Some(*progress))
        })
    }
}

async fn text(shared: Arc<Shared>, brief: Arc<Brief>, wording: u64, temperature: f64) -> Text {
    if Guard::new(&brief).restricted() || sold_out(&brief) || !readable(&brief) {
        return Text::Refused;
    }
    let Ok(line) = author::line(&shared.authors, "") else { return Text::Failed };
    let authors = if line.able().is_empty() { &shared.authors[..] } else { line.able() };
    let Some(author) = authors.first() else { return Text::Failed };
    let subject = Subject::new(&brief, author.id(), temperature);
    let key = subject.wording(wording);
    match shared.store.copies(std::slice::from_ref(&key)).await {
        Ok(found) if found.contains_key(&key) => return Text::Kept,
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(%error, "written copy cannot be looked up");
            return Text::Failed;
        }
    }
    let job = Job { authors: authors.to_vec(), subject, wording, temperature };
    let flight = Shared::board(&shared, job, false, true);
    let outcome = match flight {
        Some(flight) => flight.outcome(None).await,
        None => None,
    };
    match outcome {
        Some(Outcome::Written { .. }) => Text::Written,
        Some(Outcome::Lesser(super::Lesser::CheckFailed, _)) => Text::Refused,
        Some(Outcome::Lesser(..)) | None => Text::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_those_an_offer_is_good_for_the_likeliest_item_first() {
        let item = |id: &str, category: &str| Item {
            item_id: id.into(),
            title: id.into(),
            categories: vec![category.into()],
            ..Item::default()
        };
        let offer = |id: &str, categories: &[&str]| Offer {
            offer_id: id.into(),
            categories: categories.iter().map(|&name| name.into()).collect(),
            ..Offer::default()
        };
        let campaign = Campaign {
            items: vec![item("tea", "drinks"), item("ham", "meat")],
            offers: vec![offer("ten", &["drinks"]), offer("five", &["drinks"])],
            channels: vec![Channel::Push, Channel::Email],
            locales: vec!["en".into()],
            angles: vec![String::new()],
            segments: vec![String::new()],
            wordings: 1,
            temperature: None,
        };
        let briefs = campaign.briefs();
        let told: Vec<(&str, &str)> = briefs
            .iter()
            .map(|brief| {
                let offer = brief.offer.as_ref().map_or("", |offer| offer.offer_id.as_str());
                (brief.item.as_ref().unwrap().item_id.as_str(), offer)
            })
            .collect();
        let wanted =
            [("tea", "ten"), ("tea", "ten"), ("tea", "five"), ("tea", "five"), ("ham", ""), ("ham", "")];
        assert_eq!(told, wanted);
    }
}
