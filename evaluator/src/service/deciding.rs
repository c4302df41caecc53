//! The plan that decides, its model and its books, kept in memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::now;
use crate::effect::Model;
use crate::error::{Error, Result};
use crate::store::{Request, Store};
use crate::strategy::limit::Books;
use crate::strategy::owed::Redemptions;
use crate::strategy::plan::{Kind, Plan, State};

/// Offers that have to be seen on an account before it is judged by itself and not by all accounts.
const MIN_SEEN: i64 = 30;
/// Share of the time that may go into learning how offers are redeemed.
const LEARNING: u32 = 20;

/// A plan that decides.
pub(crate) struct Active {
    pub(crate) plan: Plan,
    pub(crate) state: State,
    /// The effect model; `None` for exploration.
    pub(crate) model: Option<Arc<Model>>,
    /// Ids of the plan's offers that were deleted since, or are not valid by their newest terms.
    withdrawn: RwLock<HashSet<String>>,
    books: Mutex<Books>,
    /// One grant at a time is asked for: the answers would overtake each other.
    renewing: tokio::sync::Mutex<()>,
}

impl Active {
    /// Whether an offer of the plan must not be made any more.
    pub(crate) fn is_withdrawn(&self, offer_id: &str) -> bool {
        self.withdrawn.read().unwrap_or_else(PoisonError::into_inner).contains(offer_id)
    }

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
    /// By account the books of a plan that decides no longer: what they have set aside stays so for the next plan.
    retired: Mutex<HashMap<String, Books>>,
    /// Plans by id: once made they do not change.
    plans: RwLock<HashMap<String, Arc<Plan>>>,
    /// By account how its offers are redeemed, and until when that is believed.
    redemptions: RwLock<HashMap<String, (Instant, Arc<Redemptions>)>>,
}

impl Deciding {
    pub(crate) fn new(cache_ms: u64) -> Self {
        let lasts = Duration::from_millis(cache_ms);
        let replica = uuid::Uuid::now_v7().simple().to_string();
        let reading = tokio::sync::Mutex::new(());
        Self {
            lasts,
            replica,
            reading,
            active: RwLock::new(None),
            model: RwLock::new(None),
            retired: Mutex::default(),
            plans: RwLock::default(),
            redemptions: RwLock::default(),
        }
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

    /// The plan that decides, if one does. Its books are kept as long as it decides, and their grant is renewed. `at` is the
    /// moment that budgets go by.
    pub(crate) async fn active(&self, store: &Store, at: i64) -> Result<Option<Arc<Active>>> {
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
        let deciding = store.deciding_plan().await?;
        if let Some(old) = &old
            && deciding.as_ref().is_none_or(|(plan, _)| plan.id != old.plan.id)
        {
            let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
            retired.insert(old.plan.account().to_owned(), old.books().clone());
        }
        let found = match (deciding, old) {
            (None, _) => None,
            (Some((plan, state)), Some(old)) if old.plan.id == plan.id && old.state == state => Some(old),
            (Some((mut plan, state)), old) => {
                let model = match plan.kind {
                    Kind::Exploration => None,
                    Kind::Targeted => Some(self.model_of(store, &plan).await?),
                };
                // Plans of earlier versions go by their model's usual basket.
                if plan.usual_order <= 0.0 {
                    plan.usual_order = model.as_ref().map_or(0.0, |model| model.basket);
                }
                let books = if let Some(old) = old.filter(|old| old.plan.id == plan.id) {
                    old.books().clone()
                } else {
                    let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
                    retired
                        .remove(plan.account())
                        .map_or_else(|| Books::new(&plan), |books| books.go_on(&plan))
                };
                let (withdrawn, renewing) = (RwLock::default(), tokio::sync::Mutex::new(()));
                Some(Arc::new(Active { plan, state, model, withdrawn, books: Mutex::new(books), renewing }))
            }
        };
        if let Some(active) = &found {
            let withdrawn = store.withdrawn(&active.plan.offers, at).await?;
            *active.withdrawn.write().unwrap_or_else(PoisonError::into_inner) = withdrawn;
            self.renew(store, active, at).await?;
        }
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), found.clone()));
        Ok(found)
    }

    async fn model_of(&self, store: &Store, plan: &Plan) -> Result<Arc<Model>> {
        let model = store.model(&plan.model_version).await?;
        let gone = || Error::Internal(format!("plan {} decides by a model that is gone", plan.id));
        Ok(Arc::new(model.ok_or_else(gone)?.served(&plan.model_version)?))
    }

    /// A plan by its id, as it was made.
    pub(crate) async fn plan(&self, store: &Store, id: &str) -> Result<Option<Arc<Plan>>> {
        let kept = self.plans.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if kept.is_some() {
            return Ok(kept);
        }
        let Some((plan, _)) = store.plan(id).await? else { return Ok(None) };
        let plan = Arc::new(plan);
        self.plans.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), plan.clone());
        Ok(Some(plan))
    }

    /// How offers of an account are redeemed, as known at a moment; those of all accounts while it has too few of its own.
    pub(crate) async fn redemptions(
        &self,
        store: &Store,
        account: &str,
        at: i64,
    ) -> Result<Arc<Redemptions>> {
        let kept = self.redemptions.read().unwrap_or_else(PoisonError::into_inner).get(account).cloned();
        if let Some((until, known)) = kept
            && Instant::now() < until
        {
            return Ok(known);
        }
        let started = Instant::now();
        let mut seen = store.offers_seen(Some(account), at).await?;
        if seen.iter().map(|one| one.count).sum::<i64>() < MIN_SEEN {
            seen = store.offers_seen(None, at).await?;
        }
        let known = Arc::new(Redemptions::learn(&seen));
        let until = Instant::now() + LEARNING * started.elapsed();
        let mut kept = self.redemptions.write().unwrap_or_else(PoisonError::into_inner);
        kept.insert(account.to_owned(), (until, known.clone()));
        Ok(known)
    }

    /// Asks the database for the share of the budget, and of each limit, that this replica needs next, at the moment `at`
    /// that budgets go by. What was set aside for decisions that are recorded by now is released.
    pub(crate) async fn renew(&self, store: &Store, active: &Active, at: i64) -> Result<()> {
        let Active { plan, .. } = active;
        let pending = active.books().pending();
        let recorded = store.recorded(&pending).await?;
        let redemptions = self.redemptions(store, plan.account(), at).await?;
        let _renewing = active.renewing.lock().await;
        let requests: Vec<Request> = {
            let mut books = active.books();
            let asks = books.ask(&recorded, now());
            let accounts = books.accounts(plan).zip(asks);
            accounts
                .map(|((account, bound, counts, _), ask)| Request { account, bound, counts, ask })
                .collect()
        };
        let until: Vec<i64> = requests.iter().map(|request| request.ask.until).collect();
        let names = (plan.id.as_str(), plan.account());
        let grants = store.grant(names, requests, &self.replica, &redemptions, at).await?;
        active.books().take(grants.into_iter().zip(until).collect());
        Ok(())
    }

    /// Is told what is spent on accounts.
    pub(crate) fn tell_spent(&self, spent: &HashMap<String, i64>) {
        let kept = self.active.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, Some(active))) = kept {
            for (account, _, _, ledger) in active.books().accounts(&active.plan) {
                if let Some(spent) = spent.get(&account) {
                    ledger.tell_spent(*spent);
                }
            }
        }
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
}
