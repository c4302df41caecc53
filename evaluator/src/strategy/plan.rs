//! A plan: what decides.

use std::collections::BTreeMap;

use proto::common::v1::{Channel, Offer};
use serde::{Deserialize, Serialize};

use super::choose::Belief;
use super::limit::{Limit, redeemed};
use super::terms;
use crate::effect::{Estimate, Model, Prediction};

/// What a plan is to achieve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Objective {
    /// Incremental profit.
    Profit,
    /// Incremental conversions.
    Conversions,
    /// Incremental revenue.
    Revenue,
}

impl Objective {
    /// What a treatment brings towards it.
    pub fn value(self, prediction: &Prediction) -> Estimate {
        match self {
            Self::Profit => prediction.profit,
            Self::Conversions => prediction.uplift,
            Self::Revenue => prediction.revenue,
        }
    }
}

/// Where a plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Made, not active.
    Proposed,
    /// It decides.
    Active,
    /// Another decides, or none.
    Ended,
    /// Its promises failed: it gives no offers beyond its exploration.
    FallenBack,
}

/// A sum with its interval's standard error.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Expected {
    /// Incremental conversions.
    pub conversions: Estimate,
    /// Incremental profit, minor units.
    pub profit: Estimate,
    /// Cost, minor units.
    pub cost: Estimate,
}

/// Whom to offer what, where and when.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Strategy {
    /// Its id.
    pub id: String,
    /// The audience.
    pub segment: String,
    /// Where.
    pub channel: i32,
    /// The offer.
    pub offer_id: String,
    /// Which side to show; empty where the log does not tell.
    pub angle: String,
    /// People.
    pub audience: u64,
    /// What it is expected to bring.
    pub expected: Expected,
    /// Why, in words.
    pub reasons: Vec<String>,
    /// Expected redemptions by people who would have bought anyway.
    pub full_price_buyers: f64,
    /// Discount given to them, minor units.
    pub discount_to_them: f64,
    /// Later purchases it takes.
    pub pulled_forward: Option<Estimate>,
    /// Busiest hours of the day, UTC.
    pub hours: Vec<u32>,
}

/// Audiences by how likely people are to buy without an offer: thirds of the people known.
pub const SEGMENTS: [&str; 3] = ["rarely-buys", "sometimes-buys", "often-buys"];

/// What decides: which offers, for whom, at what price of money.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id.
    pub id: String,
    /// The effect model it decides by.
    pub model_version: String,
    /// What it is to achieve.
    pub objective: Objective,
    /// What it may cost, minor units.
    pub budget: i64,
    /// Currency of the budget.
    pub currency: String,
    /// What it chooses among.
    pub offers: Vec<Offer>,
    /// Channels it decides in; empty: all.
    pub channels: Vec<i32>,
    /// Audiences it decides for; empty: all.
    pub segments: Vec<String>,
    /// Probabilities at which the audiences meet.
    pub thresholds: [f64; 2],
    /// Its window, microseconds since 1970: spend is spread over it.
    pub window: Option<(i64, i64)>,
    /// Share of people who never see an offer.
    pub holdout: f64,
    /// Share of decisions made uniformly.
    pub exploration: f64,
    /// Most offers a person and channel and day; 0: no cap.
    pub daily_cap: u32,
    /// What it may not exceed beside the budget.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// Standard errors taken off each value.
    pub risk_aversion: f64,
    /// λ: least value a minor unit of cost has to bring.
    pub shadow_price: f64,
    /// How long a redemption may take, microseconds: an offer not redeemed by then is not expected to be.
    pub redemption: i64,
    /// What it is expected to bring.
    pub expected: Expected,
    /// Decisions it is expected to make.
    pub decisions: f64,
    /// How far its value may lie under the best.
    pub gap: f64,
    /// Budget and value of others.
    pub frontier: Vec<(f64, f64)>,
    /// What it is made of.
    pub strategies: Vec<Strategy>,
    /// When it was made.
    pub created_at: i64,
    /// The seed it was made with.
    pub seed: u64,
}

/// Share of the standard error that Thompson's draws are made with (Chapelle and Li 2011, posterior reshaping). The error is
/// that of a measured effect, many times what the model of all arms leaves open between two offers; the floor keeps every
/// offer alive.
const RESHAPED: f64 = 0.05;

/// What a plan thinks of one person now.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Indices into the plan's offers, those that may be given.
    pub offers: Vec<usize>,
    /// What each is believed to bring beside no offer, its cost taken off at the price of money.
    pub beliefs: Vec<Belief>,
    /// Discount each is expected to cost.
    pub costs: Vec<Estimate>,
    /// What each takes of the plan's limits: on average and at most.
    pub uses: Vec<Vec<Option<(f64, f64)>>>,
}

impl Options {
    /// Drops those whose offer, cost and uses do not `fit`.
    pub fn keep(&mut self, mut fit: impl FnMut(usize, Estimate, &[Option<(f64, f64)>]) -> bool) {
        for at in (0..self.offers.len()).rev() {
            if !fit(self.offers[at], self.costs[at], &self.uses[at]) {
                self.offers.remove(at);
                self.beliefs.remove(at);
                self.costs.remove(at);
                self.uses.remove(at);
            }
        }
    }
}

impl Plan {
    /// Audience of a person with that probability of buying.
    pub fn segment(&self, base: f64) -> &'static str {
        SEGMENTS[self.thresholds.iter().filter(|threshold| base > **threshold).count()]
    }

    /// Whether it decides for a channel.
    pub fn covers(&self, channel: Channel) -> bool {
        self.channels.is_empty()
            || channel == Channel::Unspecified
            || self.channels.contains(&i32::from(channel))
    }

    /// What may be offered to a person with the model's `row` in `channel` at a moment, each worth what is left of its
    /// value when its cost is paid at `price` and what it takes of limits at theirs. `suits` tells whether an offer fits the moment.
    pub fn options(
        &self,
        model: &Model,
        row: &[f64],
        (channel, at): (Channel, i64),
        price: f64,
        suits: impl Fn(&Offer) -> bool,
    ) -> Options {
        let mut found =
            Options { offers: Vec::new(), beliefs: Vec::new(), costs: Vec::new(), uses: Vec::new() };
        let base =
            if self.segments.is_empty() && self.limits.is_empty() { 0.0 } else { model.base(row).mean };
        let of_segment =
            self.segments.is_empty() || self.segments.iter().any(|name| name == self.segment(base));
        if !of_segment {
            return found;
        }
        let all = model.predict_all(row);
        for (index, offer) in self.offers.iter().enumerate() {
            if !terms::is_valid(offer, at) || !suits(offer) {
                continue;
            }
            let prediction = model.among(&all, Some(offer));
            found.offers.push(index);
            let uses = self.uses(&offer.offer_id, channel, redeemed(base, &prediction));
            let mut belief = self.belief(&prediction, price);
            belief.mean -= self.paid(&uses);
            found.beliefs.push(belief);
            found.costs.push(prediction.spend);
            found.uses.push(uses);
        }
        found
    }

    /// What an offer in a channel, redeemed with that probability, takes of each limit.
    pub fn uses(&self, offer: &str, channel: Channel, redeemed: f64) -> Vec<Option<(f64, f64)>> {
        self.limits.iter().map(|limit| limit.use_of(offer, channel, redeemed)).collect()
    }

    /// What that costs at the limits' prices.
    fn paid(&self, uses: &[Option<(f64, f64)>]) -> f64 {
        let taken = self.limits.iter().zip(uses);
        taken.map(|(limit, taken)| limit.price * taken.map_or(0.0, |(expected, _)| expected)).sum()
    }

    /// What a treatment is believed to bring beside no offer.
    pub fn belief(&self, prediction: &Prediction, price: f64) -> Belief {
        let value = self.objective.value(prediction);
        let error = value.error();
        let mean = value.mean - self.risk_aversion * error - price * prediction.spend.mean;
        Belief { mean, error: RESHAPED * error }
    }
}

/// Offers by id.
pub fn by_id(offers: &[Offer]) -> BTreeMap<String, Offer> {
    offers.iter().map(|offer| (offer.offer_id.clone(), offer.clone())).collect()
}
