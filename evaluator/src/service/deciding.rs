//! The plan that decides, its model and its books, kept in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prost::Message as _;
use proto::common::v1::{EventKind, Offer};
use proto::evaluator::v1::Decision;

use super::now;
use crate::effect::Model;
use crate::effect::log::spend;
use crate::error::{Error, Result};
use crate::store::{EventRow, Store};
use crate::strategy::ledger::Ask;
use crate::strategy::limit::{Books, Limit, Of, account};
use crate::strategy::plan::{Plan, State};

/// A plan that decides.
pub(crate) struct Active {
    pub(crate) plan: Plan,
    pub(crate) state: State,
    pub(crate) model: Arc<Model>,
    books: Mutex<Books>,
}

impl Active {
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Kept<T> = RwLock<Option<(Instant, T)>>;

/// What decisions stand on beside the moment's offers.
pub(crate) struct Deciding {
    lasts: Duration,
    /// This process among those that decide by one database.
    replica: String,
    reading: tokio::sync::Mutex<()>,
    active: Kept<Option<Arc<Active>>>,
    model: Kept<Option<(String, Arc<Model>)>>,
}

impl Deciding {
    pub(crate) fn new(cache_ms: u64) -> Self {
        let lasts = Duration::from_millis(cache_ms);
        let replica = uuid::Uuid::now_v7().simple().to_string();
        let reading = tokio::sync::Mutex::new(());
        Self { lasts, replica, reading, active: RwLock::new(None), model: RwLock::new(None) }
    }

    fn fresh<T: Clone>(&self, kept: &Kept<T>) -> Result<T, Option<T>> {
        let kept = kept.read().unwrap_or_else(PoisonError::into_inner).clone();
        match kept {
            Some((taken, value)) if taken.elapsed() < self.lasts => Ok(value),
            Some((_, value)) => Err(Some(value)),
            None => Err(None),
        }
    }

    /// The newest effect model and its id.
    pub(crate) async fn model(&self, store: &Store) -> Result<Option<(String, Arc<Model>)>> {
        let old = match self.fresh(&self.model) {
            Ok(kept) => return Ok(kept),
            Err(old) => old.flatten(),
        };
        let id = store.newest_model().await?;
        let found = match (id, old) {
            (None, _) => None,
            (Some(id), Some((known, model))) if known == id => Some((id, model)),
            (Some(id), _) => match store.model(&id).await? {
                Some(model) => Some((id.clone(), Arc::new(model.served(&id)?))),
                None => None,
            },
        };
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    /// The plan that decides, if one does. Its books are kept as long as it decides, and their grant is renewed.
    pub(crate) async fn active(&self, store: &Store) -> Result<Option<Arc<Active>>> {
        let old = match self.fresh(&self.active) {
            Ok(kept) => return Ok(kept),
            Err(old) => old,
        };
        // One reads anew; whoever comes meanwhile decides by what is known.
        let _reading = match (self.reading.try_lock(), &old) {
            (Ok(reading), _) => reading,
            (Err(_), Some(old)) => return Ok(old.clone()),
            (Err(_), None) => self.reading.lock().await,
        };
        let old = match self.fresh(&self.active) {
            Ok(kept) => return Ok(kept),
            Err(old) => old.flatten(),
        };
        let found = match (store.deciding_plan().await?, old) {
            (None, _) => None,
            (Some((plan, state)), Some(old)) if old.plan.id == plan.id && old.state == state => Some(old),
            (Some((plan, state)), old) => {
                let model = store.model(&plan.model_version).await?.ok_or_else(|| {
                    Error::Internal(format!("plan {} decides by a model that is gone", plan.id))
                })?;
                let model = model.served(&plan.model_version)?;
                let books = match old.filter(|old| old.plan.id == plan.id) {
                    Some(old) => old.books().clone(),
                    None => Books::new(&plan),
                };
                Some(Arc::new(Active { plan, state, model: Arc::new(model), books: Mutex::new(books) }))
            }
        };
        if let Some(active) = &found {
            self.renew(store, active).await?;
        }
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    /// Asks the database for the share of the budget, and of each limit, that this replica needs next.
    pub(crate) async fn renew(&self, store: &Store, active: &Active) -> Result<()> {
        let asks: Vec<(String, i64, Ask)> = active
            .books()
            .accounts(&active.plan)
            .map(|(account, bound, ledger)| (account, bound, ledger.ask(now())))
            .collect();
        let mut grants = Vec::with_capacity(asks.len());
        for (account, bound, ask) in asks {
            grants.push(store.grant(&account, bound, &self.replica, ask).await?);
        }
        active.books().take(grants);
        Ok(())
    }

    /// Forgets what is kept: something changed here.
    pub(crate) fn changed(&self) {
        if let Some((taken, _)) = &mut *self.active.write().unwrap_or_else(PoisonError::into_inner) {
            *taken = taken.checked_sub(self.lasts).unwrap_or(*taken);
        }
        if let Some((taken, _)) = &mut *self.model.write().unwrap_or_else(PoisonError::into_inner) {
            *taken = taken.checked_sub(self.lasts).unwrap_or(*taken);
        }
    }

    /// Books what `decisions`, whose answers were just stored, have cost the plans that made them.
    pub(crate) async fn settle(&self, store: &Store, decisions: &[String]) -> Result<()> {
        let costs = costs(store, decisions).await?;
        if costs.is_empty() {
            return Ok(());
        }
        let spent = store.settle(&costs).await?;
        let kept = self.active.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, Some(active))) = kept {
            for (account, _, ledger) in active.books().accounts(&active.plan) {
                if let Some(spent) = spent.get(&account) {
                    ledger.tell_spent(*spent);
                }
            }
        }
        Ok(())
    }
}

/// Decisions that stored events may have cost something.
pub(crate) fn touched(rows: &[EventRow]) -> Vec<String> {
    let kinds = [EventKind::Purchase as i16, EventKind::OfferRedeemed as i16];
    let of = rows.iter().filter(|row| !row.decision_id.is_empty() && kinds.contains(&row.kind));
    of.map(|row| row.decision_id.clone()).collect::<HashSet<_>>().into_iter().collect()
}

/// What each of `decisions` that a plan made has cost it, and used of its limits: a name that is the decision's for that
/// account alone, the account, and minor units or a count.
async fn costs(store: &Store, decisions: &[String]) -> Result<Vec<(String, String, i64)>> {
    let mut costs = Vec::new();
    let mut plans: HashMap<String, (Vec<Offer>, Vec<Limit>)> = HashMap::new();
    for (id, (payload, answers)) in store.answered(decisions).await? {
        let decision =
            Decision::decode(payload.as_slice()).map_err(|error| Error::Internal(error.to_string()))?;
        if decision.plan_id.is_empty() {
            continue;
        }
        if !plans.contains_key(&decision.plan_id) {
            let plan = store.plan(&decision.plan_id).await?;
            let known = plan.map(|(plan, _)| (plan.offers, plan.limits)).unwrap_or_default();
            plans.insert(decision.plan_id.clone(), known);
        }
        let (offers, limits) = &plans[&decision.plan_id];
        let of_plan = offers.iter().find(|offer| offer.offer_id == decision.offer_id);
        let cost = if answers.is_empty() { 0 } else { spend(of_plan, &answers.iter().collect::<Vec<_>>()) };
        let redeemed = cost > 0 || answers.iter().any(|answer| answer.kind == EventKind::OfferRedeemed);
        for (at, limit) in limits.iter().enumerate() {
            let counts = match &limit.of {
                Of::Offer(offer) => redeemed && *offer == decision.offer_id,
                Of::Channel(channel) => *channel == decision.channel,
            };
            if counts {
                costs.push((account(&id, at), account(&decision.plan_id, at), 1));
            }
        }
        if cost > 0 {
            costs.push((id, decision.plan_id, cost));
        }
    }
    Ok(costs)
}
