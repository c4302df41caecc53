//! The files as they are.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;

pub(super) struct Raw {
    pub(super) lines: Vec<Line>,
    pub(super) products: Vec<Product>,
    pub(super) coupons: Vec<Coupon>,
    pub(super) redemptions: Vec<Redemption>,
    pub(super) campaigns: Vec<Campaign>,
}

/// One product in one basket; amounts in dollars.
#[derive(serde::Deserialize)]
pub(super) struct Line {
    pub(super) household_id: String,
    pub(super) basket_id: String,
    pub(super) product_id: String,
    pub(super) quantity: u32,
    /// What the household paid, without tax.
    pub(super) sales_value: f64,
    pub(super) retail_disc: f64,
    pub(super) coupon_disc: f64,
    pub(super) coupon_match_disc: f64,
    #[serde(rename = "transaction_timestamp", deserialize_with = "time")]
    pub(super) at: DateTime<Utc>,
}

#[derive(serde::Deserialize)]
pub(super) struct Product {
    pub(super) product_id: String,
    pub(super) manufacturer_id: String,
    pub(super) department: String,
    pub(super) brand: String,
    pub(super) product_category: String,
    pub(super) product_type: String,
    pub(super) package_size: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Coupon {
    pub(super) coupon_upc: String,
    pub(super) product_id: String,
    pub(super) campaign_id: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Redemption {
    pub(super) household_id: String,
    pub(super) coupon_upc: String,
    pub(super) campaign_id: String,
    pub(super) redemption_date: NaiveDate,
}

#[derive(serde::Deserialize)]
pub(super) struct Campaign {
    pub(super) campaign_id: String,
    pub(super) start_date: NaiveDate,
    pub(super) end_date: NaiveDate,
}

impl Raw {
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            lines: rows(folder, "transactions_hh_mod10.csv.gz")?,
            products: rows(folder, "products_hh_mod10.csv.gz")?,
            coupons: rows(folder, "coupons_hh_mod10.csv.gz")?,
            redemptions: rows(folder, "coupon_redemptions.csv.gz")?,
            campaigns: rows(folder, "campaign_descriptions.csv.gz")?,
        })
    }
}

fn rows<T: DeserializeOwned>(folder: &Path, name: &str) -> anyhow::Result<Vec<T>> {
    let path = folder.join(name);
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
    reader.deserialize().collect::<Result<_, _>>().with_context(|| path.display().to_string())
}

fn time<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text: String = serde::Deserialize::deserialize(deserializer)?;
    let naive =
        NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S").map_err(serde::de::Error::custom)?;
    Ok(naive.and_utc())
}
