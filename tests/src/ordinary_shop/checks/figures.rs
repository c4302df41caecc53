//! Metrics, experiment and attribution beside the books.

use std::collections::BTreeMap;

use pbjson_types::Timestamp;
use proto::evaluator::v1::{AttributeRequest, AttributionModel, Granularity, QueryMetricsRequest};

use crate::ordinary_shop::books::measure::Key;
use crate::ordinary_shop::play::Shop;
use crate::ordinary_shop::{DAY, EXPERIMENT, TIME_ZONE};

/// Metrics the books have for each day.
const DAILY: [&str; 7] = ["CTR", "CR", "AOV", "REVENUE", "PROFIT", "SATISFACTION", "PRODUCT_RATING"];
/// Days after which a person counts as retained.
const RETENTION_DAYS: u32 = 2;

impl Shop {
    /// Moments from which and before which figures are asked for: all days that are over.
    fn span(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        (at(self.first), at(self.midnight() + DAY))
    }

    /// Each metric of each day and currency equals the books.
    pub(super) async fn check_metrics(&mut self) -> anyhow::Result<()> {
        let (from, until) = self.span();
        let request = QueryMetricsRequest {
            metrics: DAILY.map(str::to_owned).to_vec(),
            from,
            until,
            granularity: Granularity::Day.into(),
            ..QueryMetricsRequest::default()
        };
        let answer = self.client.metrics(request).await?;
        self.check("days are those of the shop", answer.time_zone == TIME_ZONE, || answer.time_zone.clone());
        let mut found: BTreeMap<Key, f64> = BTreeMap::new();
        for row in answer.rows {
            let day = row.dimensions.get("from").and_then(|day| day.parse().ok()).unwrap_or_default();
            let value = row.value.map_or(f64::NAN, |value| value.estimate);
            found.insert((row.metric, day, row.currency_code), value);
        }
        let expected = self.books.metrics();
        for (key, value) in &expected {
            let measured = found.remove(key);
            self.check(
                "metrics equal the books",
                measured.is_some_and(|measured| is_equal(measured, *value)),
                || format!("{key:?}: {measured:?}, not {value}"),
            );
        }
        for (key, value) in found.into_iter().filter(|(_, value)| value.is_finite() && *value != 0.0) {
            self.check("metrics equal the books", false, || {
                format!("{key:?}: {value}, but the books have none")
            });
        }
        Ok(())
    }

    /// Retention over the people whose day has come.
    pub(super) async fn check_retention(&mut self) -> anyhow::Result<()> {
        let (from, until) = self.span();
        let request = QueryMetricsRequest {
            metrics: vec!["RETENTION".into()],
            from,
            until,
            retention_days: RETENTION_DAYS,
            ..QueryMetricsRequest::default()
        };
        let rows = self.client.metrics(request).await?.rows;
        let (share, units) = self.books.retention(self.first..self.midnight() + DAY, RETENTION_DAYS);
        let row = rows.first();
        let measured = row.and_then(|row| Some((row.value.as_ref()?.estimate, row.units)));
        let holds = match measured {
            Some((estimate, measured)) => measured == units && (units == 0 || is_equal(estimate, share)),
            None => units == 0,
        };
        self.check("retention equals the books", holds, || format!("{measured:?}, not {share} of {units}"));
        Ok(())
    }

    /// Exposures of the experiment; people seen in two variants are in none.
    pub(super) async fn check_exposures(&mut self) -> anyhow::Result<()> {
        let request = QueryMetricsRequest {
            metrics: vec!["CTR".into()],
            dimensions: vec![format!("experiment:{EXPERIMENT}")],
            ..QueryMetricsRequest::default()
        };
        let answer = self.client.metrics(request).await?;
        let expected = self.books.exposures();
        let found = answer
            .experiments
            .into_iter()
            .find(|found| found.experiment_id == EXPERIMENT)
            .unwrap_or_default();
        let units: BTreeMap<String, u64> = found.units.into_iter().collect();
        let equal = units == expected.units && found.multiple_exposures == expected.multiple;
        self.check("exposures equal the books", equal, || {
            format!("{units:?} and {} in several, not {expected:?}", found.multiple_exposures)
        });
        let balanced = found.srm_p_value.is_some_and(|p_value| p_value > 1e-6);
        self.check("the sample ratio is as designed", balanced, || format!("{:?}", found.srm_p_value));
        Ok(())
    }

    /// Credits of the last touch, for each currency.
    pub(super) async fn check_attribution(&mut self) -> anyhow::Result<()> {
        let (from, until) = self.span();
        for (currency, expected) in self.books.last_touch() {
            let request = AttributeRequest {
                model: AttributionModel::LastTouch.into(),
                currency_code: currency.clone(),
                from,
                until,
                ..AttributeRequest::default()
            };
            let answer = match self.client.attribute(request).await {
                Ok(answer) => answer,
                Err(error) => {
                    self.check("attribution equals the books", false, || format!("{currency}: {error:#}"));
                    continue;
                }
            };
            let credits: BTreeMap<String, f64> = answer
                .credits
                .iter()
                .filter_map(|credit| Some((credit.channel.clone(), credit.conversions.as_ref()?.estimate)))
                .filter(|(_, conversions)| *conversions != 0.0)
                .collect();
            let total: f64 = expected.conversions.values().sum();
            let equal = credits == expected.conversions
                && is_equal(answer.total_value, expected.value)
                && is_equal(answer.total_conversions, total);
            self.check("attribution equals the books", equal, || {
                let (conversions, value) = (answer.total_conversions, answer.total_value);
                format!("{currency}: {credits:?}, {conversions} of {value}, not {expected:?}")
            });
        }
        Ok(())
    }
}

/// Whether two figures are the same but for rounding.
fn is_equal(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}
