//! `recommender lifetime`.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::print;
use crate::evaluate::log::seconds;
use crate::lifetime::{
    BgNbd, GammaGamma, LifetimeError, Order, Rfm, Summary, lifetime_value, orders, rfm, summaries,
    summaries_in,
};

const DAY: i64 = 86_400;

/// A unit of time.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Unit {
    Days,
    Weeks,
    Months,
}

impl Unit {
    fn days(self) -> f64 {
        match self {
            Self::Days => 1.0,
            Self::Weeks => 7.0,
            Self::Months => 365.0 / 12.0,
        }
    }
}

/// Customer lifetime value by BG/NBD and Gamma-Gamma, and RFM scores where there are orders.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("input").required(true)))]
pub struct LifetimeArgs {
    /// Columns customer_id, frequency, recency, T and, where there is, monetary_value.
    #[arg(long, value_name = "FILE.csv", group = "input")]
    summary: Option<PathBuf>,
    /// Columns customer, date and, where there are, order and value (or quantity and price).
    #[arg(long, value_name = "FILE.csv", group = "input")]
    transactions: Option<PathBuf>,
    /// The last day observed; by default that of the last order.
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// The unit of the summary's times and of --horizon.
    #[arg(long, value_enum, default_value = "weeks")]
    unit: Unit,
    /// How far ahead purchases are expected, in units.
    #[arg(long, default_value_t = 39.0)]
    horizon: f64,
    /// Months of which the value is told.
    #[arg(long, default_value_t = 12)]
    months: u32,
    /// Discount a month.
    #[arg(long, default_value_t = 0.01)]
    discount: f64,
    /// Print one JSON object with every customer and nothing else.
    #[arg(long)]
    json: bool,
}

struct Customers {
    summaries: Vec<Summary>,
    scores: HashMap<String, Rfm>,
}

impl LifetimeArgs {
    /// Fits and prints.
    ///
    /// # Errors
    /// The file cannot be read, its numbers make no sense, or a model cannot be fitted.
    pub fn run(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.horizon.is_finite() && self.horizon > 0.0, "--horizon must be above 0");
        anyhow::ensure!((1..=1200).contains(&self.months), "--months must be 1 to 1200");
        anyhow::ensure!(self.discount.is_finite() && self.discount >= 0.0, "--discount must be at least 0");
        let Customers { summaries, scores } = self.customers()?;
        let rates = BgNbd::fit(&summaries)?;
        let values = match GammaGamma::fit(&summaries) {
            Ok(values) => Some(values),
            // Without values there is no value to tell; the purchases still are.
            Err(LifetimeError::TooLittle(why)) => {
                eprintln!("no values: {why}");
                None
            }
            Err(cause) => return Err(cause.into()),
        };
        let told = |one: &Summary| {
            let mut told = json!({
                "id": one.id, "frequency": one.frequency, "recency": one.recency, "T": one.age,
                "monetary": one.monetary,
                "probability_alive": rates.probability_alive(one),
                "expected_purchases": rates.expected_purchases(one, self.horizon),
                "expected_value": values.as_ref().map(|values| values.expected_value(one)),
                "lifetime_value": values.as_ref().map(|values| {
                    lifetime_value((&rates, values), one, self.months, self.discount, self.unit.days())
                }),
            });
            if let (Some(score), Value::Object(told)) = (scores.get(&one.id), &mut told) {
                told.insert("rfm".into(), json!(score));
            }
            told
        };
        if self.json {
            let all: Vec<Value> = summaries.iter().map(told).collect();
            return print(&serde_json::to_string(&json!({
                "bg_nbd": rates, "gamma_gamma": values, "horizon": self.horizon, "months": self.months,
                "discount": self.discount, "customers": all,
            }))?);
        }
        let BgNbd { r, alpha, a, b, log_likelihood } = rates;
        print(&format!(
            "{} customers\nBG/NBD       r {r:.4}  alpha {alpha:.4}  a {a:.4}  b {b:.4}  ln L {log_likelihood:.1}",
            summaries.len()
        ))?;
        if let Some(GammaGamma { p, q, v, returning, correlation, .. }) = values {
            print(&format!(
                "Gamma-Gamma  p {p:.4}  q {q:.4}  v {v:.4}  on {returning} who came back, correlation {correlation:.3}"
            ))?;
        }
        let expected: f64 = summaries.iter().map(|one| rates.expected_purchases(one, self.horizon)).sum();
        print(&format!("{expected:.1} purchases expected within {} {:?}", self.horizon, self.unit))
    }

    fn customers(&self) -> anyhow::Result<Customers> {
        if let Some(file) = &self.summary {
            return Ok(Customers { summaries: summaries_in(file)?, scores: HashMap::new() });
        }
        let file = self.transactions.as_ref().context("--summary or --transactions")?;
        let orders: Vec<Order> = orders(file)?;
        let last = orders.iter().map(|order| order.at).max().context("the file has no orders")?;
        let until = match &self.until {
            Some(text) => seconds(text).with_context(|| format!("--until `{text}` is not a date"))?,
            None => last,
        };
        let snapshot = (until.div_euclid(DAY) + 1) * DAY;
        let scores = rfm(&orders, snapshot).into_iter().map(|one| (one.id.clone(), one)).collect();
        Ok(Customers { summaries: summaries(&orders, until, self.unit.days()), scores })
    }
}
