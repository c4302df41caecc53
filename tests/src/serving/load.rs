//! Calls at a rate, whatever the service does, or as many as it bears.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Arguments, Client, shop};

/// Latencies of calls that were answered, and how many were not.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    all: Vec<Duration>,
    failed: u64,
    span: Duration,
}

impl Latencies {
    pub(super) fn add(&mut self, one: Duration) {
        self.all.push(one);
    }

    /// Milliseconds that this share of the calls took at most.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let mut all = self.all.clone();
        all.sort_unstable();
        let place = (share * all.len() as f64).ceil() as usize;
        all.get(place.clamp(1, all.len().max(1)) - 1).map_or(f64::NAN, |one| one.as_secs_f64() * 1e3)
    }

    pub(super) fn told(&self, name: &str) -> Value {
        json!({
            "name": name,
            "answered_per_second": self.all.len() as f64 / self.span.as_secs_f64(),
            "failed": self.failed,
            "p50_ms": self.quantile(0.5),
            "p99_ms": self.quantile(0.99),
            "max_ms": self.quantile(1.0),
        })
    }
}

async fn call(mut client: Client, how: &Arguments, n: u64) -> bool {
    let person = shop::person((shop::chance(how.seed ^ 0xB, n) % u64::from(how.people)) as u32);
    match client.recommend(how.request(&person)).await {
        Ok(answer) => answer.into_inner().recommendations.len() == how.limit as usize,
        Err(_) => false,
    }
}

/// `rate` calls a second. A latency counts from when the call was due, so that a service that stalls is not spared
/// the calls it held up.
pub(super) async fn at_rate(clients: &[Client], how: &Arguments, rate: u32) -> anyhow::Result<Latencies> {
    let (mut calls, mut found) = (JoinSet::new(), Latencies { span: how.span(), ..Latencies::default() });
    let shared = Arc::new(how.clone());
    let began = Instant::now();
    let between = Duration::from_secs(1) / rate;
    for n in 0..u64::from(rate) * how.seconds {
        let due = began + between * n as u32;
        tokio::time::sleep_until(due.into()).await;
        let (client, how) = (clients[n as usize % clients.len()].clone(), shared.clone());
        calls.spawn(async move { call(client, &how, n).await.then(|| due.elapsed()) });
    }
    while let Some(one) = calls.join_next().await {
        match one? {
            Some(latency) => found.add(latency),
            None => found.failed += 1,
        }
    }
    Ok(found)
}

/// `how.parallel` calls under way at every moment.
pub(super) async fn saturated(clients: &[Client], how: &Arguments) -> anyhow::Result<Latencies> {
    let (mut callers, next) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
    let shared = Arc::new(how.clone());
    let until = Instant::now() + how.span();
    for caller in 0..how.parallel {
        let (client, how, next) = (clients[caller % clients.len()].clone(), shared.clone(), next.clone());
        callers.spawn(async move {
            let mut own = Latencies::default();
            while Instant::now() < until {
                let began = Instant::now();
                if call(client.clone(), &how, next.fetch_add(1, Ordering::Relaxed)).await {
                    own.add(began.elapsed());
                } else {
                    own.failed += 1;
                }
            }
            own
        });
    }
    let mut found = Latencies { span: how.span(), ..Latencies::default() };
    while let Some(own) = callers.join_next().await {
        let own = own?;
        found.all.extend(own.all);
        found.failed += own.failed;
    }
    Ok(found)
}
