//! A plan that offers by chance.

use super::generate::{Brief, valid_in_window};
use super::plan::{Expected, Kind, Objective, Plan};
use super::{refuse, terms};
use crate::error::Result;

/// Makes an exploration plan named `id`. `usual_order` is the value of an ordinary order, minor units.
pub fn plan(id: &str, brief: Brief, usual_order: f64) -> Result<Plan> {
    let left = brief.budget - brief.funds.already;
    if left <= 0 {
        return Err(refuse::used_up(&brief));
    }
    let offers = valid_in_window(&brief)?;
    let plan = Plan {
        id: id.to_owned(),
        kind: Kind::Exploration,
        model_version: String::new(),
        account_id: brief.funds.account_id,
        already: brief.funds.already,
        usual_order,
        objective: Objective::Profit,
        budget: brief.budget,
        currency: brief.currency,
        offers,
        channels: brief.channels.iter().map(|channel| i32::from(*channel)).collect(),
        segments: Vec::new(),
        thresholds: [0.0; 2],
        window: brief.window,
        holdout: brief.holdout,
        exploration: brief.exploration,
        daily_cap: brief.daily_cap,
        limits: brief.limits,
        risk_aversion: 0.0,
        shadow_price: 0.0,
        expected: Expected::default(),
        decisions: 0.0,
        gap: 0.0,
        frontier: Vec::new(),
        strategies: Vec::new(),
        created_at: brief.at,
        seed: brief.seed,
    };
    let cheapest = plan.offers.iter().map(|offer| terms::worst(offer, usual_order)).min_by(f64::total_cmp);
    match cheapest {
        Some(cost) if cost > left as f64 => Err(refuse::budget_too_small(&plan, cost)),
        _ => Ok(plan),
    }
}

#[cfg(test)]
mod tests {
    use proto::common::v1::{Channel, Money, Offer};

    use super::*;
    use crate::error::Error;
    use crate::strategy::generate::Funds;

    fn five(id: &str, minor_units: i64) -> Offer {
        let amount_off = Some(Money { currency_code: "USD".into(), minor_units });
        Offer { offer_id: id.into(), amount_off, ..Offer::default() }
    }

    fn brief(budget: i64, already: i64) -> Brief {
        Brief {
            objective: Objective::Profit,
            budget,
            currency: "USD".into(),
            offers: vec![five("five", 500), five("nine", 900)],
            channels: Vec::new(),
            segments: Vec::new(),
            window: Some((0, 10)),
            at: 0,
            holdout: 0.02,
            exploration: 0.3,
            daily_cap: 0,
            limits: Vec::new(),
            risk_aversion: 0.0,
            seed: 1,
            funds: Funds { account_id: "spring".into(), already, usual_order: None },
        }
    }

    fn refused(found: Result<Plan>) -> (&'static str, String) {
        match found.expect_err("refused") {
            Error::Precondition { reason, message } => (reason, message),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn chance_offers_what_is_valid_at_its_full_cost() {
        let made = plan("p", brief(10_000, 0), 2_000.0).expect("made");
        let options = made.explore((Channel::App, 5), |offer| offer.offer_id != "nine");
        assert_eq!((options.offers, options.costs[0].mean, made.account()), (vec![0], 500.0, "spring"));
    }

    #[test]
    fn a_budget_that_covers_no_redemption_is_refused_with_the_least_that_would() {
        let (reason, text) = refused(plan("p", brief(700, 300), 2_000.0));
        assert_eq!(reason, "BUDGET_TOO_SMALL");
        assert!(text.contains("400 USD") && text.contains("at least 800"), "{text}");
        assert!(plan("p", brief(800, 300), 2_000.0).is_ok());
        let (reason, text) = refused(plan("p", brief(700, 700), 2_000.0));
        assert!(reason == "BUDGET_USED_UP" && text.contains("spring"), "{text}");
    }
}
