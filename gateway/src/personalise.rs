//! Items, copy, offer and predicted effects for one person, inside one deadline.
//!
//! Decide and Recommend run side by side; then the copy; then the prediction. Each stage has a share of the deadline,
//! and one that fails or is late is replaced by a named substitute. The decision is recorded before anything is shown.

mod assemble;
mod brief;
mod fallback;
pub(crate) mod known;
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
use proto::common::v1::{DegradationCause, DegradationStage, Event, Substitute};
use proto::gateway::v1::{PersonaliseRequest, PersonaliseResponse, Placement};
use rand::Rng as _;

use crate::config::Config;
use crate::outbox::{self, Outbox};
use crate::store::{self, Store};
use crate::token::{Holder, Tokens};
use crate::upstream::Upstream;

use known::{Consent, Person};
pub use plan::Plan;
use popular::Popular;
pub use stage::Report;

/// Decides what one person sees.
#[derive(Clone)]
pub struct Personaliser {
    upstream: Upstream,
    outbox: Outbox,
    store: Store,
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
    /// Who is asking; nobody where that could not be looked up.
    person: Person,
    /// Why nothing that is known of the person takes part in the answer; `None` where it does.
    withheld: Option<DegradationCause>,
    /// The person's events that the recommender has not got yet.
    undelivered: Vec<Event>,
    seed: u64,
    /// Id the decision is recorded under, and the token that names it.
    decision_id: String,
    token: String,
    /// Why nothing is recorded; `None` where the decision is.
    unrecorded: Option<DegradationCause>,
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
    /// Name of the person's segment; empty where none is known.
    segment: String,
    /// Version of the evaluator's own among them.
    feature_version: u32,
    /// Ids of the offers it was chosen among.
    available_offers: Vec<String>,
}

/// What the gateway knows of a person.
struct Known {
    person: Person,
    consent: Consent,
    undelivered: Vec<Event>,
}

impl Personaliser {
    /// A personaliser over the services, the outbox with its database, and the popularity list.
    pub fn new(
        config: &Config,
        upstream: &Upstream,
        (outbox, store): (&Outbox, &Store),
        tokens: &Arc<Tokens>,
        names: &Arc<Pseudonymiser>,
        popular: Popular,
    ) -> Self {
        Self {
            upstream: upstream.clone(),
            outbox: outbox.clone(),
            store: store.clone(),
            tokens: tokens.clone(),
            names: names.clone(),
            popular,
            default_deadline: Duration::from_millis(config.personalise.default_deadline_ms),
            max_characters: config.personalise.max_characters,
        }
    }

    /// The whole answer.
    pub async fn personalise(&self, request: PersonaliseRequest) -> PersonaliseResponse {
        let plan = self.plan();
        deadline::scope(Some(plan.deadline()), async {
            let mut report = Report::default();
            let moment = self.moment(request, &plan, &mut report).await;
            let mut chosen = self.choose(&moment, &plan, &mut report).await;
            self.write_copy(&moment, &plan, &mut chosen, &mut report).await;
            self.forecast(&moment, plan.forecast(), &mut chosen, &mut report).await;
            self.record(&moment, &plan, &mut chosen, &mut report).await;
            assemble::closed(chosen.answer, report, &plan)
        })
        .await
    }

    /// How this call's time is shared out.
    pub fn plan(&self) -> Plan {
        Plan::new(deadline::remaining().unwrap_or(self.default_deadline))
    }

    /// Makes the decision durable and gives the answer its token. Where the database fails or is late, the answer has no
    /// token and the report says so.
    pub(crate) async fn record(
        &self,
        moment: &Moment,
        plan: &Plan,
        chosen: &mut Chosen,
        report: &mut Report,
    ) {
        if moment.request.dry_run {
            return;
        }
        if let Some(cause) = moment.unrecorded {
            report.degraded(DegradationStage::Record, cause, Substitute::NoRecord);
            return;
        }
        let started = Instant::now();
        let row = assemble::decision(moment, chosen, report);
        let cause = match deadline::within(plan.record(), self.outbox.store(vec![row])).await {
            Ok(Ok(_)) => None,
            Ok(Err(outbox::Error::Overloaded)) => Some(DegradationCause::Overload),
            Ok(Err(error)) => {
                tracing::error!(%error, "a decision could not be recorded");
                Some(DegradationCause::Unavailable)
            }
            Err(deadline::Exceeded) => Some(DegradationCause::Deadline),
        };
        report.took(stage::name(DegradationStage::Record), started.elapsed());
        match cause {
            None => chosen.answer.decision_token.clone_from(&moment.token),
            Some(cause) => report.degraded(DegradationStage::Record, cause, Substitute::NoRecord),
        }
    }

    pub(crate) async fn moment(
        &self,
        mut request: PersonaliseRequest,
        plan: &Plan,
        report: &mut Report,
    ) -> Moment {
        let mut recent_events = std::mem::take(&mut request.recent_events);
        let mut undelivered = Vec::new();
        let (person, withheld, unrecorded) =
            match deadline::within(plan.look_up(), self.known(&request)).await {
                Ok(Ok(known)) => {
                    let unrecorded = (!known.consent.measurement).then_some(DegradationCause::NoConsent);
                    if known.consent.personalisation {
                        for event in &mut recent_events {
                            event.user_id = self.names.pseudonym(&event.user_id);
                            event.visitor_id = self.names.pseudonym(&event.visitor_id);
                            event.decision_token.clear();
                        }
                        request.recent_events = recent_events;
                        undelivered = known.undelivered;
                        (known.person, None, unrecorded)
                    } else {
                        // Nothing that is known of the person takes part in the answer.
                        report.no_personalisation(DegradationCause::NoConsent);
                        (known.person, Some(DegradationCause::NoConsent), unrecorded)
                    }
                }
                failed => {
                    // What cannot be looked up has not been agreed to.
                    let cause = match failed {
                        Ok(Err(error)) => {
                            tracing::error!(%error, "consent could not be read; none is assumed");
                            DegradationCause::Unavailable
                        }
                        _ => DegradationCause::Deadline,
                    };
                    report.no_personalisation(cause);
                    (Person::default(), Some(cause), Some(cause))
                }
            };
        let seed = if request.seed == 0 { rand::rng().random_range(1..=u64::MAX) } else { request.seed };
        let holder = Holder { user: &person.user, visitor: &person.visitor };
        let (decision_id, token) = self.tokens.issue(Utc::now().timestamp(), holder);
        Moment { request, person, withheld, undelivered, seed, decision_id, token, unrecorded }
    }

    async fn known(&self, request: &PersonaliseRequest) -> Result<Known, store::Error> {
        let (user_id, visitor_id) = (&request.user_id, &request.visitor_id);
        let person = Person::resolve(&self.store, &self.names, user_id, visitor_id).await?;
        let consent = Consent::read(&self.store, person.unit(), &request.purposes).await?;
        let undelivered = if consent.personalisation {
            known::undelivered(&self.store, person.unit()).await?
        } else {
            Vec::new()
        };
        Ok(Known { person, consent, undelivered })
    }

    /// The items and the offer, as placements without copy.
    pub(crate) async fn choose(&self, moment: &Moment, plan: &Plan, report: &mut Report) -> Chosen {
        let (decided, recommended) = tokio::join!(self.decide(moment, plan), self.recommend(moment, plan));
        let decision = report.close(DegradationStage::Decide, decided, Substitute::NoOffer);
        let mut items = match report.close(DegradationStage::Recommend, recommended, Substitute::Popularity) {
            Some(items) => items,
            None => self.popular.answer(&moment.recommend_request()),
        };
        report.degradations.append(&mut items.degradations);
        if let Some(offer) = decision.as_ref().and_then(|decision| decision.offer.as_ref()) {
            self.make_room(moment, plan, offer, &mut items, report).await;
        }
        assemble::placed(moment, decision, items)
    }
}

/// The placements that get copy.
pub(crate) fn with_copy<'a>(
    request: &PersonaliseRequest,
    placements: &'a mut [Placement],
) -> &'a mut [Placement] {
    let count = placements.len().min(request.copy_count as usize);
    &mut placements[..count]
}
