//! Coupons as offers, worth what they took off at the till.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Context as _;
use chrono::{NaiveDate, NaiveTime, TimeDelta};
use proto::common::v1::{Item, Money, Offer, OfferKind};

use super::raw::{Line, Raw};
use super::timestamp;

type CouponKey<'a> = (&'a str, &'a str);

pub(super) fn offers(
    raw: &Raw,
    known: &BTreeMap<&str, &Item>,
    shift: TimeDelta,
) -> anyhow::Result<Vec<Offer>> {
    let mut goods: HashMap<CouponKey, Vec<&str>> = HashMap::new();
    for coupon in raw.coupons.iter().filter(|coupon| known.contains_key(coupon.product_id.as_str())) {
        goods.entry((&coupon.coupon_upc, &coupon.campaign_id)).or_default().push(&coupon.product_id);
    }
    let campaigns: HashMap<&str, _> = raw.campaigns.iter().map(|c| (c.campaign_id.as_str(), c)).collect();
    let mut offers = Vec::new();
    for ((upc, campaign_id), cents) in values(raw, &goods) {
        let campaign = campaigns.get(campaign_id).context("a coupon of an unknown campaign")?;
        let value = Money { currency_code: "USD".into(), minor_units: cents };
        let day = |date: NaiveDate| timestamp(date.and_time(NaiveTime::MIN).and_utc() + shift);
        offers.push(Offer {
            offer_id: format!("{upc}-{campaign_id}"),
            kind: OfferKind::Coupon.into(),
            title: format!("${}.{:02} off", cents / 100, cents % 100),
            amount_off: Some(value),
            starts_at: Some(day(campaign.start_date)),
            ends_at: Some(day(campaign.end_date + TimeDelta::days(1))),
            item_ids: goods[&(upc, campaign_id)].iter().map(ToString::to_string).collect(),
            ..Offer::default()
        });
    }
    Ok(offers)
}

/// Median cents each coupon took off, over the redemptions whose basket is in the sample.
fn values<'a>(raw: &'a Raw, goods: &HashMap<CouponKey<'a>, Vec<&'a str>>) -> BTreeMap<CouponKey<'a>, i64> {
    let mut baskets: HashMap<(&str, NaiveDate), Vec<&Line>> = HashMap::new();
    for line in raw.lines.iter().filter(|line| line.coupon_disc > 0.0) {
        baskets.entry((&line.household_id, line.at.date_naive())).or_default().push(line);
    }
    let mut taken: BTreeMap<CouponKey, Vec<f64>> = BTreeMap::new();
    for redemption in &raw.redemptions {
        let key = (redemption.coupon_upc.as_str(), redemption.campaign_id.as_str());
        let basket = baskets.get(&(redemption.household_id.as_str(), redemption.redemption_date));
        let (Some(good_for), Some(basket)) = (goods.get(&key), basket) else { continue };
        let good_for: HashSet<&str> = good_for.iter().copied().collect();
        if let Some(line) = basket.iter().find(|line| good_for.contains(line.product_id.as_str())) {
            taken.entry(key).or_default().push(line.coupon_disc);
        }
    }
    taken.into_iter().map(|(key, dollars)| (key, median_cents(dollars))).collect()
}

/// The median of amounts in dollars, in whole cents; of an even number the lower one. 0 of none.
pub(super) fn median_cents(mut dollars: Vec<f64>) -> i64 {
    dollars.sort_by(f64::total_cmp);
    let middle = dollars.len().saturating_sub(1) / 2;
    dollars.get(middle).map_or(0, |&dollars| super::events::cents(dollars))
}
