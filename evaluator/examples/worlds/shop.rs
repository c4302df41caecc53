//! A shop's days: who comes, what a policy decides, what is bought and when.
//!
//! Chance is a function of seed, person and day, the same for every policy: policies differ by what they decide.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::deals::{Arm, Sale};
use super::world::{Moment, Person, World, mean};

/// A visit that is to be decided.
pub(crate) struct Visit<'a> {
    /// The world.
    pub(crate) world: &'a dyn World,
    /// Index of the person.
    pub(crate) number: usize,
    /// The person.
    pub(crate) person: &'a Person,
    /// When and where.
    pub(crate) moment: Moment,
    /// Uniform numbers that are the policy's own.
    pub(crate) luck: [f64; 2],
}

/// What was decided, and with which probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Choice {
    /// The arm.
    pub(crate) arm: Arm,
    /// Its probability.
    pub(crate) propensity: f64,
}

/// What decides.
pub(crate) trait Policy {
    /// Decides a visit.
    fn decide(&mut self, visit: &Visit<'_>) -> Choice;
    /// Is told of a discount that was booked, of the decision `number` where it is known, minor units.
    fn booked(&mut self, _discount: f64, _at: f64) {}
}

/// A decision as the shop logged it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Logged {
    /// Index of the person.
    pub(crate) person: usize,
    /// The moment.
    pub(crate) moment: Moment,
    /// What was known.
    pub(crate) features: BTreeMap<String, f64>,
    /// What was decided.
    pub(crate) choice: Choice,
}

/// A purchase as the shop logged it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bought {
    /// Index of the person.
    pub(crate) person: usize,
    /// When, days.
    pub(crate) at: f64,
    /// The decision it names, an index into [`Log::decisions`].
    pub(crate) decision: Option<usize>,
    /// The offer it redeems: the checkout that took the discount off knows it, whoever lost the decision's token.
    pub(crate) redeems: Arm,
    /// The sale.
    pub(crate) sale: Sale,
}

/// Everything the shop logged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    /// Decisions in order of time.
    pub(crate) decisions: Vec<Logged>,
    /// Purchases in order of time.
    pub(crate) purchases: Vec<Bought>,
}

/// What a policy brought.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Book {
    /// Visits.
    pub(crate) visits: f64,
    /// Visits with an offer.
    pub(crate) offered: f64,
    /// Profit, minor units: the expectation at each visit, given what people had become.
    pub(crate) profit: f64,
    /// The same of discounts.
    pub(crate) discount: f64,
    /// Discounts as they were booked.
    pub(crate) booked: f64,
}

/// A purchase that is still to come.
#[derive(Debug, Clone, Copy)]
struct Pending {
    bought: Bought,
    arm: Arm,
}

/// What chance holds for a visit, whatever is decided.
struct Coming {
    at: f64,
    number: usize,
    app: bool,
    /// Whether it buys, its basket, whether that is filled up, its delay, and whether it is tracked.
    chances: [f64; 5],
    luck: [f64; 2],
}

/// The shop.
#[derive(Clone)]
pub(crate) struct Shop<'a> {
    world: &'a dyn World,
    people: Vec<Person>,
    seed: u64,
    pending: Vec<Pending>,
    /// Days that were played once, shared by all clones.
    days: Rc<RefCell<HashMap<u32, Rc<[Coming]>>>>,
}

impl<'a> Shop<'a> {
    /// A shop with so many people whom it has never seen.
    pub(crate) fn new(world: &'a dyn World, people: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x51);
        let people = (0..people).map(|_| world.person(&mut random)).collect();
        Self { world, people, seed, pending: Vec::new(), days: Rc::default() }
    }

    /// The world.
    pub(crate) fn world(&self) -> &dyn World {
        self.world
    }

    /// Plays the days of `days` by `policy`; what is logged goes into `log`.
    pub(crate) fn play(
        &mut self,
        days: std::ops::Range<u32>,
        policy: &mut dyn Policy,
        mut log: Option<&mut Log>,
    ) -> Book {
        let mut book = Book::default();
        for day in days {
            for &Coming { at, number, app, chances, luck } in self.visits(day).iter() {
                self.settle(at, &mut book, policy, &mut log);
                let person = &mut self.people[number];
                person.come_to(self.world, at);
                let moment = Moment { at, app };
                let [buys, basket, fills, late, lost] = chances;
                let visit = Visit { world: self.world, number, person, moment, luck };
                let choice = policy.decide(&visit);
                let (expected, _) = mean(self.world, person, &moment, choice.arm);
                book.visits += 1.0;
                book.offered += f64::from(u8::from(choice.arm.is_some()));
                book.profit += expected.profit;
                book.discount += expected.discount;
                let decision = log.as_mut().map(|log| {
                    let features = person.features(at);
                    log.decisions.push(Logged { person: number, moment, features, choice });
                    log.decisions.len() - 1
                });
                if buys < self.world.chance(person, &moment, choice.arm) {
                    let basket = self.world.basket(person, basket);
                    let sale = Sale::new(basket, choice.arm, fills < self.world.fills_up(basket));
                    let decision = decision.filter(|_| lost >= self.world.untracked());
                    let at = at + self.world.delay(choice.arm, late);
                    let redeems = choice.arm.filter(|_| sale.discount > 0.0);
                    let bought = Bought { person: number, at, decision, redeems, sale };
                    let after = self.pending.partition_point(|other| other.bought.at > at);
                    self.pending.insert(after, Pending { bought, arm: choice.arm });
                }
                let history = &mut person.history;
                history.visits.0 += 1.0;
                history.visits.1 += f64::from(u8::from(moment.app));
                if choice.arm.is_some() {
                    person.fatigue += 1.0;
                }
            }
            self.settle(f64::from(day + 1), &mut book, policy, &mut log);
        }
        book
    }

    /// Books the purchases due until `at`.
    fn settle(&mut self, at: f64, book: &mut Book, policy: &mut dyn Policy, log: &mut Option<&mut Log>) {
        while let Some(Pending { bought, arm }) = self.pending.pop_if(|next| next.bought.at <= at) {
            let person = &mut self.people[bought.person];
            person.come_to(self.world, bought.at);
            person.stock += self.world.stocks(person, bought.sale);
            let history = &mut person.history;
            history.last_order = Some(bought.at);
            history.orders += 1.0;
            history.worth += bought.sale.basket;
            history.discounted += f64::from(u8::from(bought.sale.discount > 0.0));
            if arm.is_some() && bought.sale.discount > 0.0 {
                book.booked += bought.sale.discount;
                policy.booked(bought.sale.discount, bought.at);
            }
            if let Some(log) = log {
                log.purchases.push(bought);
            }
        }
    }

    /// Visits of a day in order of time.
    fn visits(&self, day: u32) -> Rc<[Coming]> {
        if let Some(found) = self.days.borrow().get(&day) {
            return found.clone();
        }
        let mut found = Vec::new();
        for (number, person) in self.people.iter().enumerate() {
            let key = mix(mix(self.seed, number as u64), u64::from(day));
            if ((key >> 11) as f64) < person.visits * (1_u64 << 53) as f64 {
                let mut random = StdRng::seed_from_u64(mix(key, 1));
                let at = f64::from(day) + random.random::<f64>();
                let app = random.random_bool(person.app);
                let chances = std::array::from_fn(|_| random.random());
                let luck = std::array::from_fn(|_| random.random());
                found.push(Coming { at, number, app, chances, luck });
            }
        }
        found.sort_by(|a, b| a.at.total_cmp(&b.at));
        let found: Rc<[Coming]> = found.into();
        self.days.borrow_mut().insert(day, found.clone());
        found
    }
}

/// SplitMix64 of both.
fn mix(state: u64, part: u64) -> u64 {
    let state = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
