//! One minute of the shop: the catalogue changes, then visits happen side by side.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use chrono::Utc;
use futures::{StreamExt as _, TryStreamExt as _};
use proto::common::v1::{DegradationCause, DegradationStage, EventKind};
use proto::gateway::v1::{PersonaliseRequest, PersonaliseResponse, Purpose};
use proto::recommender::v1::Rules;
use rand::Rng as _;

use super::Shop;
use crate::ordinary_shop::catalogue::kind;
use crate::ordinary_shop::people::Person;
use crate::ordinary_shop::visit::{CHANNELS, Decided, Shown, Visit, react};
use crate::ordinary_shop::{DAY, EXPERIMENT};

/// Calls that are under way at once.
const SIDE_BY_SIDE: usize = 16;

/// What the books know of people before a minute.
#[derive(Debug, Default)]
pub(in crate::ordinary_shop) struct Known {
    /// Disliked items by person.
    pub(in crate::ordinary_shop) disliked: HashMap<String, HashSet<String>>,
    /// Items bought and not returned, by person.
    pub(in crate::ordinary_shop) bought: HashMap<String, HashSet<String>>,
}

impl Shop {
    /// Plays all minutes of the running day and waits until the services have all of it.
    pub(super) async fn play_day(&mut self) -> anyhow::Result<()> {
        let heavy = self.heavy_browser();
        self.send_plain(heavy).await?;
        self.send_waiting().await?;
        let visits = self.draw_visits();
        for minute in visits.chunks(self.settings.visits_a_minute) {
            self.change_catalogue().await?;
            self.sign_in_before(minute).await?;
            self.play_minute(minute).await?;
            self.sign_in_after(minute).await?;
        }
        self.send_again().await?;
        self.client.delivered().await?;
        Ok(())
    }

    /// The day's visits in a random order; whoever signs in on this day comes.
    fn draw_visits(&mut self) -> Vec<Visit> {
        let count = (self.settings.people as f64 * self.settings.visit_rate) as usize;
        let signing_in = |person: &&Person| person.signs_in.is_some_and(|(day, _)| day == self.day);
        let mut who: Vec<usize> = self.people.iter().filter(signing_in).map(|person| person.number).collect();
        while who.len() < count {
            who.push(self.random.random_range(0..self.people.len()));
        }
        let mut drawn = HashSet::new();
        who.retain(|person| drawn.insert(*person) && !self.erased.contains(person));
        rand::seq::SliceRandom::shuffle(who.as_mut_slice(), &mut self.random);
        who.into_iter().map(|person| self.visit(person)).collect()
    }

    fn visit(&mut self, person: usize) -> Visit {
        self.visits += 1;
        Visit {
            number: self.visits,
            person,
            ids: self.people[person].ids(&mut self.random),
            // An hour is left for what follows the visit on the same day.
            at: self.midnight() + self.random.random_range(0..DAY - 4_000),
            channel: CHANNELS[self.random.random_range(0..CHANNELS.len())],
            days_left: self.days_left(),
        }
    }

    async fn change_catalogue(&mut self) -> anyhow::Result<()> {
        let changes = self.catalogue.change(&mut self.random);
        self.client.change(&changes).await?;
        self.catalogue.acknowledged(&changes);
        Ok(())
    }

    async fn play_minute(&mut self, minute: &[Visit]) -> anyhow::Result<()> {
        let known = self.known();
        let client = self.client.clone();
        let calls = minute.iter().map(|visit| {
            let (client, request) = (client.clone(), request(visit, self.settings.placements));
            async move {
                let asked = Instant::now();
                anyhow::Ok((asked, request.clone(), client.personalise(request).await?))
            }
        });
        let calls: Vec<_> = calls.collect();
        let answers: Vec<_> = futures::stream::iter(calls).buffered(SIDE_BY_SIDE).try_collect().await?;
        let mut sent = Vec::new();
        for (visit, (asked, request, answer)) in minute.iter().zip(answers) {
            self.check_answer(&request, &answer, asked, &known);
            let shown = self.shown(visit, answer);
            let taste = kind(self.people[visit.person].taste);
            let browsed =
                self.catalogue.browse(taste, self.settings.browsed, Utc::now().timestamp(), &mut self.random);
            sent.extend(react(visit, taste, &shown, &browsed, &mut self.random));
        }
        self.send_minute(sent).await
    }

    /// What the books say of people by now.
    pub(in crate::ordinary_shop) fn known(&self) -> Known {
        let mut known = Known { disliked: self.books.disliked(), ..Known::default() };
        let mut returned: HashSet<(&str, &str)> = HashSet::new();
        for (person, entry) in self.books.all() {
            let item = entry.event.item_id.as_str();
            match entry.event.kind() {
                EventKind::Purchase => {
                    known.bought.entry(person.to_owned()).or_default().insert(item.to_owned());
                }
                EventKind::Return => {
                    returned.insert((person, item));
                }
                _ => {}
            }
        }
        for (person, item) in returned {
            if let Some(items) = known.bought.get_mut(person) {
                items.remove(item);
            }
        }
        known
    }

    /// Judges one answer by the catalogue and the books.
    pub(in crate::ordinary_shop) fn check_answer(
        &mut self,
        request: &PersonaliseRequest,
        answer: &PersonaliseResponse,
        asked: Instant,
        known: &Known,
    ) {
        let owner = if request.user_id.is_empty() { &request.visitor_id } else { &request.user_id };
        let person = self.books.person(owner).to_owned();
        let personalised = self.agreed(owner, Purpose::Personalisation);
        let measured = self.agreed(owner, Purpose::Measurement);
        let items: Vec<_> = answer.placements.iter().filter_map(|placement| placement.item.clone()).collect();
        for item in &items {
            self.check_listed("Personalise", &item.item_id, asked);
            let price = self.catalogue.get(&item.item_id).and_then(|item| item.price.clone());
            let settled = self.catalogue.is_settled(&item.item_id, asked, self.settings.visibility);
            self.check("price shown is the catalogue's", !settled || price == item.price, || {
                format!("{}: {:?}, not {price:?}", item.item_id, item.price)
            });
            if personalised {
                let disliked = known.disliked.get(&person).is_some_and(|items| items.contains(&item.item_id));
                self.check("disliked never served", !disliked, || format!("{} to {owner}", item.item_id));
            }
        }
        if personalised && request.rules.as_ref().is_some_and(|rules| rules.exclude_purchased) {
            let bought = known.bought.get(&person);
            let again = items.iter().find(|item| bought.is_some_and(|bought| bought.contains(&item.item_id)));
            self.check("bought items are left out where asked", again.is_none(), || {
                format!("{:?} to {owner}", again.map(|item| &item.item_id))
            });
        }
        let full = items.len() == request.limit as usize;
        self.check("answers are full", full, || format!("{} of {} to {owner}", items.len(), request.limit));
        for degradation in &answer.degradations {
            let (stage, cause) = (degradation.stage(), degradation.cause());
            let expected = match cause {
                DegradationCause::Cold => {
                    stage == DegradationStage::Effect || !personalised || !self.is_known_buyer(&person, known)
                }
                DegradationCause::NoConsent if stage == DegradationStage::Record => !measured,
                DegradationCause::NoConsent => !personalised,
                _ => false,
            };
            self.check("only expected degradations", expected, || format!("{degradation:?} to {owner}"));
        }
        let no_consent = answer.degradations.iter().any(|found| {
            found.stage() == DegradationStage::Recommend && found.cause() == DegradationCause::NoConsent
        });
        self.check("consent follows the person", no_consent != personalised, || owner.clone());
        let recorded = measured && !request.dry_run;
        self.check(
            "a token where the decision is measured",
            recorded != answer.decision_token.is_empty(),
            || owner.clone(),
        );
    }

    /// Whether a model serves that knows something the person bought and kept: from training, or by its text.
    pub(in crate::ordinary_shop) fn is_known_buyer(&self, person: &str, known: &Known) -> bool {
        let Some(trained) = &self.trained else { return false };
        let is_known = |item: &String| trained.items.contains(item) || self.catalogue.get(item).is_some();
        known.bought.get(person).is_some_and(|bought| bought.iter().any(is_known))
    }

    /// Judges whether an item may stand in a list that was asked for at `asked`.
    pub(in crate::ordinary_shop) fn check_listed(&mut self, list: &str, item_id: &str, asked: Instant) {
        let fault = self.catalogue.fault(item_id, Utc::now().timestamp());
        let settled = self.catalogue.is_settled(item_id, asked, self.settings.visibility);
        self.check("no unavailable item served", fault.is_none() || !settled, || {
            format!("{list} lists {item_id}, which is {}", fault.unwrap_or_default())
        });
    }

    /// Enters a decision into the books and says what the visitor sees.
    fn shown(&mut self, visit: &Visit, answer: PersonaliseResponse) -> Shown {
        let assigned = answer.assignments.iter().find(|assignment| assignment.experiment_id == EXPERIMENT);
        let variant = assigned.map(|assignment| assignment.variant_id.clone()).unwrap_or_default();
        let decided = (!answer.decision_token.is_empty())
            .then(|| Decided { token: answer.decision_token.clone(), variant: variant.clone() });
        // Without consent to personalisation nobody is assigned to a variant.
        if decided.is_some() {
            self.books.expose(visit.ids.owner(), &variant);
        }
        let offer = answer.placements.iter().find_map(|placement| placement.offer.clone());
        Shown {
            items: answer.placements.into_iter().filter_map(|placement| placement.item).collect(),
            offer,
            decided,
        }
    }
}

fn request(visit: &Visit, limit: u32) -> PersonaliseRequest {
    PersonaliseRequest {
        user_id: visit.ids.user_id.clone(),
        visitor_id: visit.ids.visitor_id.clone(),
        placement: "home".into(),
        channel: visit.channel.into(),
        locale: if visit.number.is_multiple_of(2) { "en" } else { "zh-CN" }.into(),
        limit,
        rules: Some(Rules { exclude_purchased: visit.number.is_multiple_of(4), ..Rules::default() }),
        seed: visit.number as u64,
        ..PersonaliseRequest::default()
    }
}
