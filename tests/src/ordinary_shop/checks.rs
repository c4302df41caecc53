//! The properties at the end of a day.

use std::collections::HashSet;
use std::time::Instant;

use proto::common::v1::{DegradationCause, DegradationStage, EventKind, Substitute};
use proto::gateway::v1::{PersonaliseRequest, Purpose};
use proto::recommender::v1::{RecommendRequest, Rules};
use rand::seq::{IndexedRandom as _, IteratorRandom as _};

use super::play::Shop;

mod figures;
mod identity;

/// People asked about at the end of a day, beside those who disliked something.
const PEOPLE: usize = 40;

impl Shop {
    /// Checks all properties of the day that is over; turning points come first.
    pub(super) async fn check_day(&mut self) -> anyhow::Result<()> {
        let days = self.settings.days;
        if self.day == days / 2 {
            self.train(true).await?;
        } else if self.day == days / 2 + 1 {
            self.train(false).await?;
        }
        if self.day + 2 == days {
            self.erase_some().await?;
        }
        if self.day + 1 == days {
            self.check_clicks();
        }
        self.check_lists().await?;
        self.check_similar().await?;
        self.check_identities().await?;
        self.check_exports().await?;
        self.check_metrics().await?;
        self.check_retention().await?;
        self.check_exposures().await?;
        self.check_attribution().await
    }

    /// The shop is an ordinary one: about twenty impressions to a click, but for the one heavy browser.
    fn check_clicks(&mut self) {
        let visits = self.books.all().filter(|(_, entry)| !entry.event.session_id.is_empty());
        let (mut impressions, mut clicks) = (0.0, 0.0);
        for (_, entry) in visits {
            match entry.event.kind() {
                EventKind::Impression => impressions += 1.0,
                EventKind::Click => clicks += 1.0,
                _ => {}
            }
        }
        let ratio: f64 = impressions / clicks;
        self.check("about twenty impressions to a click", (15.0..25.0).contains(&ratio), || {
            ratio.to_string()
        });
    }

    /// Recommend and Personalise: nothing unavailable, nothing disliked, no buyer is cold.
    async fn check_lists(&mut self) -> anyhow::Result<()> {
        let known = self.known();
        let persons: Vec<String> = self.books.by_person().keys().map(ToString::to_string).collect();
        let disliking = known.disliked.keys().cloned().choose_multiple(&mut self.random, PEOPLE);
        let buyers = known.bought.keys().cloned().choose_multiple(&mut self.random, PEOPLE);
        let mut asked_for: Vec<String> = persons.choose_multiple(&mut self.random, PEOPLE).cloned().collect();
        asked_for.extend(disliking.into_iter().chain(buyers));
        asked_for.extend(known.bought.keys().find(|person| person.as_str() == "user-1").cloned());
        for person in asked_for {
            let (user_id, visitor_id) = split(&person);
            let request = RecommendRequest {
                user_id: user_id.clone(),
                visitor_id: visitor_id.clone(),
                limit: 200,
                seed: 1,
                ..RecommendRequest::default()
            };
            let asked = Instant::now();
            let answer = self.client.recommend(request).await?;
            for pick in &answer.recommendations {
                self.check_listed("Recommend", &pick.item_id, asked);
            }
            let picked: HashSet<&str> =
                answer.recommendations.iter().map(|pick| pick.item_id.as_str()).collect();
            let disliked = known.disliked.get(&person).cloned().unwrap_or_default();
            let served = disliked.iter().find(|item| picked.contains(item.as_str()));
            if self.agreed(&person, Purpose::Personalisation) {
                self.check("disliked never served", served.is_none(), || {
                    format!("Recommend: {served:?} to {person}")
                });
            } else {
                let said = answer.degradations.iter().all(|found| {
                    found.stage() == DegradationStage::Recommend
                        && found.cause() == DegradationCause::NoConsent
                });
                self.check("Recommend says where consent is missing", said, || {
                    format!("{:?} to {person}", answer.degradations)
                });
            }
            if self.is_known_buyer(&person, &known) {
                let cold = answer.degradations.iter().any(|found| {
                    found.cause() == DegradationCause::Cold && found.stage() == DegradationStage::Recommend
                });
                self.check("buyers are never cold", !cold, || {
                    format!("{person}: {:?}", known.bought[&person])
                });
            }
            let request = PersonaliseRequest {
                user_id,
                visitor_id,
                placement: "sweep".into(),
                limit: 100,
                rules: Some(Rules { exclude_purchased: true, ..Rules::default() }),
                seed: 1,
                dry_run: true,
                ..PersonaliseRequest::default()
            };
            let asked = Instant::now();
            let answer = self.client.personalise(request.clone()).await?;
            self.check_answer(&request, &answer, asked, &known);
            let anonymous = PersonaliseRequest { purposes: vec![Purpose::Measurement.into()], ..request };
            let asked = Instant::now();
            let answer = self.client.personalise(anonymous).await?;
            self.check("without consent there is an answer", !answer.placements.is_empty(), || {
                person.clone()
            });
            for item in answer.placements.iter().filter_map(|placement| placement.item.as_ref()) {
                self.check_listed("Personalise without consent", &item.item_id, asked);
            }
        }
        Ok(())
    }

    /// The gateway's own list, which answers while no recommender does.
    pub async fn check_fallback(&mut self) -> anyhow::Result<()> {
        for number in 0..20 {
            let request = PersonaliseRequest {
                user_id: format!("user-{number}"),
                placement: "home".into(),
                limit: 100,
                seed: 1,
                ..PersonaliseRequest::default()
            };
            let asked = Instant::now();
            let answer = self.client.personalise(request).await?;
            let substituted =
                answer.degradations.iter().any(|found| found.substitute() == Substitute::Popularity);
            self.check("the fallback list answers", substituted && !answer.placements.is_empty(), || {
                format!("{} items, {:?}", answer.placements.len(), answer.degradations)
            });
            for item in answer.placements.iter().filter_map(|placement| placement.item.as_ref()) {
                self.check_listed("the fallback list", &item.item_id, asked);
            }
        }
        Ok(())
    }

    /// SimilarItems of available, unavailable and withdrawn items.
    async fn check_similar(&mut self) -> anyhow::Result<()> {
        if self.trained.is_none() {
            return Ok(());
        }
        let mut ids: Vec<String> = self.catalogue.items().into_iter().map(|item| item.item_id).collect();
        ids = ids.choose_multiple(&mut self.random, 40).cloned().collect();
        ids.extend(self.catalogue.deleted().into_iter().take(10));
        for id in ids {
            let asked = Instant::now();
            let similar = self.client.similar(&id).await?.unwrap_or_default();
            for item in &similar {
                self.check_listed("SimilarItems", item, asked);
            }
        }
        Ok(())
    }
}

/// User and visitor id of a person, who is known by one of them.
fn split(person: &str) -> (String, String) {
    if person.starts_with("user-") {
        (person.to_owned(), String::new())
    } else {
        (String::new(), person.to_owned())
    }
}
