//! The second act of the demo: two weeks of simulated shoppers, what their offers did, a plan and what it brought.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chassis::client::Channel;
use chassis::deadline;
use gateway::cli::ask::render;
use proto::common::v1::Channel as Place;
use proto::gateway::v1::PersonaliseRequest;
use proto::gateway::v1::personalisation_service_client::PersonalisationServiceClient;

use super::services::Services;
use super::{bespoke, say};
use crate::simulation::Settings;
use crate::simulation::oracle::Month;
use crate::simulation::play::play;
use crate::simulation::speak::Line;
use crate::simulation::world::World;

/// Time an answer gets.
const SHARE: Duration = Duration::from_secs(1);

/// Two weeks, of which offers are made by chance in the first; the plan of the second still holds today.
const SETTINGS: Settings = Settings {
    shoppers: 1_500,
    days: 13,
    days_left: 2,
    without_features: true,
    explore_days: 6.0,
    replan_days: 30.0,
    exploration: 0.02,
    visit_rate: 0.5,
    holdout: 0.1,
    budget_share: 1.0,
    seed: 7,
};

/// Plays it on the running services.
pub(super) async fn run(services: &Services, gateway: Channel) -> anyhow::Result<()> {
    let world = World::new(&SETTINGS);
    let budget = (SETTINGS.budget_share * Month::of(&world, SETTINGS.days).wanted()) as i64;
    say(&format!(
        "\nSecond act. These shoppers are simulated: {} people with tastes of their own visit the running services for \
         the {} days that ended yesterday, half of them a day.\nIn the first {} days offers are made by chance within a \
         budget of USD {:.2}; then what they did is learnt, and a plan decides. A tenth of the people never get an offer.",
        SETTINGS.shoppers,
        SETTINGS.days,
        SETTINGS.explore_days,
        budget as f64 / 100.0
    ));
    let line = Line::new(gateway.clone());
    // The metrics of training are for those who tune models.
    let told = |text: String| {
        if !text.contains("trained {") {
            say(&format!("  {text}"));
        }
    };
    let played = play(&world, &SETTINGS, budget, &line, &told).await?;
    ensure!(!played.plan_id.is_empty(), "no plan was made");

    say("\nWhat the plan is made of, what it promised, spent and brought:");
    bespoke(services, &["report", "plan", &played.plan_id]).await?;

    let by_orders = |most: bool| {
        let orders = world.shoppers.iter().map(|shopper| (shopper.orders, shopper.id.clone()));
        if most {
            orders.max_by(|a, b| a.0.total_cmp(&b.0))
        } else {
            orders.min_by(|a, b| a.0.total_cmp(&b.0))
        }
    };
    for (orders, person) in [true, false].into_iter().filter_map(by_orders) {
        say(&format!("\nShopper {person}, {orders} orders before these two weeks, asks now:"));
        say(&render(&ask(&gateway, &person).await?));
    }
    Ok(())
}

async fn ask(gateway: &Channel, person: &str) -> anyhow::Result<proto::gateway::v1::PersonaliseResponse> {
    let request = PersonaliseRequest {
        user_id: person.to_owned(),
        channel: Place::App.into(),
        placement: "home".into(),
        locale: "en".into(),
        limit: 2,
        seed: 7,
        ..PersonaliseRequest::default()
    };
    let mut client = PersonalisationServiceClient::new(gateway.clone());
    Ok(deadline::within(SHARE, client.personalise(request)).await.context("late")??.into_inner())
}
