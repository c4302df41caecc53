//! A plan: what decides.

use std::collections::BTreeMap;

use proto::common::v1::{Channel, Offer};
use serde::{Deserialize, Serialize};

use super::choose::{self, Beliefs};
use super::limit::{Limit, Prices, redeemed};
use super::terms;
use crate::effect::model::Doubted;
use crate::effect::{Estimate, Forecast, Model, Prediction};

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
    /// What of a model's effects it goes by.
    pub fn doubted(self) -> Doubted {
        match self {
            Self::Profit => Doubted::Profit,
            Self::Conversions => Doubted::Target,
            Self::Revenue => Doubted::Revenue,
        }
    }

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

/// What chooses a plan's offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Kind {
    /// The effect model.
    #[default]
    Targeted,
    /// Chance, so that effects can be learnt.
    Exploration,
}

/// Where a moment lies in a plan's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before it.
    Before,
    /// Within it.
    Within,
    /// After it.
    After,
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
    /// What chooses its offers.
    #[serde(default)]
    pub kind: Kind,
    /// The effect model it decides by; empty for exploration.
    pub model_version: String,
    /// The budget account; empty: one named like the plan.
    #[serde(default)]
    pub account_id: String,
    /// What was spent and owed on the account when the plan was made, minor units.
    #[serde(default)]
    pub already: i64,
    /// An ordinary order before discount, minor units; 0 in plans of earlier versions.
    #[serde(default)]
    pub usual_order: f64,
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
    /// Its window, microseconds since 1970: offers are made within it and spend is spread over it.
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

/// What a plan thinks of one person now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// Indices into the plan's offers, those that may be given.
    pub offers: Vec<usize>,
    /// What each is believed to bring beside no offer, what it takes paid for.
    pub worth: Vec<f64>,
    /// By draw, what each may bring more or less: what is not known yet.
    pub doubts: Vec<Vec<f64>>,
    /// How much finding that out is worth.
    pub curiosity: f64,
    /// Discount each is expected to cost.
    pub costs: Vec<Estimate>,
    /// What each takes of the plan's limits: on average and at most.
    pub uses: Vec<Vec<Option<(f64, f64)>>>,
}

impl Options {
    /// What is believed of them.
    pub fn beliefs(&self) -> Beliefs<'_> {
        Beliefs { worth: &self.worth, doubts: &self.doubts, curiosity: self.curiosity }
    }

    /// Drops those whose offer, cost and uses do not `fit`.
    pub fn keep(&mut self, mut fit: impl FnMut(usize, Estimate, &[Option<(f64, f64)>]) -> bool) {
        for at in (0..self.offers.len()).rev() {
            if !fit(self.offers[at], self.costs[at], &self.uses[at]) {
                self.offers.remove(at);
                self.worth.remove(at);
                for draw in &mut self.doubts {
                    draw.remove(at);
                }
                self.costs.remove(at);
                self.uses.remove(at);
            }
        }
    }
}

impl Plan {
    /// Its budget account.
    pub fn account(&self) -> &str {
        if self.account_id.is_empty() { &self.id } else { &self.account_id }
    }

    /// Where a moment lies in its window.
    pub fn phase(&self, at: i64) -> Phase {
        match self.window {
            Some((from, _)) if at < from => Phase::Before,
            Some((_, until)) if at >= until => Phase::After,
            _ => Phase::Within,
        }
    }

    /// What one redemption of an offer may cost at most, minor units.
    pub fn worst(&self, offer: &Offer) -> f64 {
        terms::worst(offer, self.usual_order)
    }

    /// What chance may offer at a moment: every offer that is valid and `suits`, each as good as any other. As nobody knows
    /// how often they are redeemed, each costs what it costs at most.
    pub fn explore(&self, (channel, at): (Channel, i64), suits: impl Fn(&Offer) -> bool) -> Options {
        let mut found = Options::default();
        let valid = self.offers.iter().enumerate();
        for (index, offer) in valid.filter(|(_, offer)| terms::is_valid(offer, at) && suits(offer)) {
            found.offers.push(index);
            found.worth.push(-1.0);
            found.costs.push(Estimate { mean: self.worst(offer), variance: 0.0 });
            found.uses.push(self.uses(&offer.offer_id, channel, 1.0));
        }
        found
    }

    /// Audience of a person with that probability of buying.
    pub fn segment(&self, base: f64) -> &'static str {
        SEGMENTS[self.thresholds.iter().filter(|threshold| base > **threshold).count()]
    }

    /// Whether it decides for a channel.
    pub fn covers(&self, channel: Channel) -> bool {
        self.channels.is_empty() || self.channels.contains(&i32::from(channel))
    }

    /// What it was made at.
    pub fn prices(&self) -> Prices {
        Prices { money: self.shadow_price, limits: self.limits.iter().map(|limit| limit.price).collect() }
    }

    /// What may be offered to a person with the model's `row` in `channel` at a moment, each worth what is left of its
    /// value when its cost and what it takes of limits are paid at `prices`. `suits` tells whether an offer fits the
    /// moment.
    pub fn options(
        &self,
        model: &Model,
        row: &[f64],
        (channel, at): (Channel, i64),
        prices: &Prices,
        suits: impl Fn(&Offer) -> bool,
    ) -> Options {
        self.options_by(model, row, &model.forecast(row), (channel, at), prices, suits)
    }

    /// The same by a forecast that may be of a model that has not seen the person.
    pub fn options_by(
        &self,
        model: &Model,
        row: &[f64],
        forecast: &Forecast,
        (channel, at): (Channel, i64),
        prices: &Prices,
        suits: impl Fn(&Offer) -> bool,
    ) -> Options {
        let mut found = Options::default();
        let base = forecast.base;
        let of_segment =
            self.segments.is_empty() || self.segments.iter().any(|name| name == self.segment(base));
        if !of_segment {
            return found;
        }
        let draws = model.doubts(row, forecast, self.objective.doubted());
        found.doubts = vec![Vec::new(); draws.len()];
        found.curiosity = self.curiosity(model, at);
        for (index, offer) in self.offers.iter().enumerate() {
            if !terms::is_valid(offer, at) || !suits(offer) {
                continue;
            }
            let prediction = model.among(&forecast.arms, Some(offer));
            found.offers.push(index);
            let uses = self.uses(&offer.offer_id, channel, redeemed(base, &prediction));
            let taken = uses.iter().zip(&prices.limits);
            let paid: f64 = taken.map(|(taken, price)| price * taken.map_or(0.0, |(mean, _)| mean)).sum();
            found.worth.push(self.value(&prediction) - prices.money * prediction.spend.mean - paid);
            let near = model.nearest(offer);
            for (doubts, draw) in found.doubts.iter_mut().zip(&draws) {
                doubts.push(near.map_or(0.0, |arm| draw[arm]));
            }
            found.costs.push(prediction.spend);
            found.uses.push(uses);
        }
        found
    }

    /// How much finding out what is not known of effects is worth at a moment.
    fn curiosity(&self, model: &Model, at: i64) -> f64 {
        let seen: usize = model.arms.iter().map(|arm| arm.rows).sum();
        let left = self
            .window
            .filter(|(from, until)| until > from)
            .map_or(1.0, |(from, until)| ((until - at) as f64 / (until - from) as f64).clamp(0.0, 1.0));
        choose::curiosity(seen as f64, self.decisions, left)
    }

    /// What an offer in a channel, redeemed with that probability, takes of each limit.
    pub fn uses(&self, offer: &str, channel: Channel, redeemed: f64) -> Vec<Option<(f64, f64)>> {
        self.limits.iter().map(|limit| limit.use_of(offer, channel, redeemed)).collect()
    }

    /// What a treatment is believed to bring beside no offer, before it is paid for.
    pub fn value(&self, prediction: &Prediction) -> f64 {
        let value = self.objective.value(prediction);
        value.mean - self.risk_aversion * value.error()
    }
}

/// Offers by id.
pub fn by_id(offers: &[Offer]) -> BTreeMap<String, Offer> {
    offers.iter().map(|offer| (offer.offer_id.clone(), offer.clone())).collect()
}
