//! One shopper, now: goods, words, offer and forecast inside one deadline.
//!
//! Decide and Recommend run side by side; then the copy; then the forecast. Each stage has a share of the
//! deadline, and one that fails or is late is replaced by a named fallback.

mod assemble;
mod brief;
mod consent;
mod fallback;
mod plan;
pub mod popular;
mod stage;
mod stages;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::auth::Pseudonymiser;
use chassis::deadline;
use chrono::Utc;
use proto::common::v1::{DegradationStage, Event, Substitute};
use proto::gateway::v1::{PersonaliseRequest, PersonaliseResponse, Placement};
use rand::Rng as _;

use crate::config::Config;
use crate::outbox::{self, Outbox};
use crate::token::Tokens;
use crate::upstream::Upstream;

pub use plan::Plan;
use popular::Popular;
pub use stage::Report;

/// Decides what one person sees.
#[derive(Clone)]
pub struct Personaliser {
    upstream: Upstream,
    outbox: Outbox,
    tokens: Arc<Tokens>,
    names: Arc<Pseudonymiser>,
    popular: Popular,
    default_deadline: Duration,
    max_characters: u32,
}

/// What is known before any stage has run.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    request: PersonaliseRequest,
    /// Pseudonym of the person; empty for an anonymous visitor, or without consent.
    user: String,
    /// Pseudonym of the visitor; empty where none, or without consent.
    visitor: String,
    seed: u64,
    measured: bool,
}

/// The answer as far as it is chosen, and what the record needs besides.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) answer: PersonaliseResponse,
    /// Probability with which each placement took its place.
    propensities: Vec<f64>,
    offer_id: String,
    offer_propensity: f64,
    pub(crate) angle: String,
    plan_id: String,
    /// What the offer was chosen by.
    features: BTreeMap<String, f64>,
}

impl Personaliser {
    /// A personaliser over the services, the outbox and the popular items.
    pub fn new(
        config: &Config,
        upstream: &Upstream,
        outbox: &Outbox,
        tokens: &Arc<Tokens>,
        names: &Arc<Pseudonymiser>,
        popular: Popular,
    ) -> Self {
        Self {
            upstream: upstream.clone(),
            outbox: outbox.clone(),
            tokens: tokens.clone(),
            names: names.clone(),
            popular,
            default_deadline: Duration::from_millis(config.personalise.default_deadline_ms),
            max_characters: config.personalise.max_characters,
        }
    }

    /// The whole answer. Fails only where the decision cannot be made durable.
    pub async fn personalise(
        &self,
        request: PersonaliseRequest,
    ) -> Result<PersonaliseResponse, outbox::Error> {
        let plan = self.plan();
        deadline::scope(Some(plan.deadline()), async {
            let mut report = Report::default();
            let moment = self.moment(request, &mut report).await;
            let mut chosen = self.choose(&moment, &plan, &mut report).await;
            self.write_copy(&moment, &plan, &mut chosen, &mut report).await;
            self.finish(&moment, &plan, chosen, report).await
        })
        .await
    }

    /// How this call's time is shared out.
    pub fn plan(&self) -> Plan {
        Plan::new(deadline::remaining().unwrap_or(self.default_deadline))
    }

    /// The forecast, the record, and the end.
    pub(crate) async fn finish(
        &self,
        moment: &Moment,
        plan: &Plan,
        mut chosen: Chosen,
        mut report: Report,
    ) -> Result<PersonaliseResponse, outbox::Error> {
        self.forecast(moment, plan, &mut chosen.answer.placements, &mut report).await;
        if !moment.request.dry_run && moment.measured {
            let started = Instant::now();
            let (id, token) = self.tokens.issue(Utc::now().timestamp());
            let row = assemble::decision(&id, moment, &chosen, &report);
            self.outbox.store(vec![row]).await?;
            report.took("record", started.elapsed());
            chosen.answer.decision_token = token;
        }
        Ok(assemble::closed(chosen.answer, report, plan))
    }

    pub(crate) async fn moment(&self, mut request: PersonaliseRequest, report: &mut Report) -> Moment {
        let person = if request.user_id.is_empty() { &request.visitor_id } else { &request.user_id };
        let person = self.names.pseudonym(person);
        let consent = consent::of(&self.popular.store(), &person, &request.purposes).await;
        let (mut user, mut visitor) =
            (self.names.pseudonym(&request.user_id), self.names.pseudonym(&request.visitor_id));
        if !consent.personalisation {
            // Nothing that is known of the person takes part in the answer.
            report.no_consent();
            (user, visitor) = (String::new(), String::new());
            request.recent_events.clear();
        }
        for event in &mut request.recent_events {
            pseudonymise(&self.names, event);
        }
        let seed = if request.seed == 0 { rand::rng().random_range(1..=u64::MAX) } else { request.seed };
        Moment { request, user, visitor, seed, measured: consent.measurement }
    }

    /// The goods and the offer, as placements without copy.
    pub(crate) async fn choose(&self, moment: &Moment, plan: &Plan, report: &mut Report) -> Chosen {
        let (decided, recommended) = tokio::join!(self.decide(moment, plan), self.recommend(moment, plan));
        let decision = report.close(DegradationStage::Decide, decided, Substitute::NoOffer);
        let mut goods = match report.close(DegradationStage::Recommend, recommended, Substitute::Popularity) {
            Some(goods) => goods,
            None => self.popular.answer(&moment.request),
        };
        report.degradations.append(&mut goods.degradations);
        if let Some(offer) = decision.as_ref().and_then(|decision| decision.offer.as_ref()) {
            self.make_room(moment, plan, offer, &mut goods, report).await;
        }
        self.popular.learn(&goods);
        assemble::placed(moment, decision, goods)
    }
}

pub(crate) fn pseudonymise(names: &Pseudonymiser, event: &mut Event) {
    event.user_id = names.pseudonym(&event.user_id);
    event.visitor_id = names.pseudonym(&event.visitor_id);
}

/// The placements that get copy.
pub(crate) fn with_copy<'a>(
    request: &PersonaliseRequest,
    placements: &'a mut [Placement],
) -> &'a mut [Placement] {
    let count = placements.len().min(request.copy_count as usize);
    &mut placements[..count]
}
