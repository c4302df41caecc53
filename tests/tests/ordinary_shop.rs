//! An ordinary shop passes through its days: on SQLite, and with two replicas of each service on PostgreSQL.

use std::time::Duration;

use bespoke_tests::ordinary_shop::client::Client;
use bespoke_tests::ordinary_shop::play::play;
use bespoke_tests::ordinary_shop::{Settings, TIME_ZONE};
use bespoke_tests::sandbox::{Options, Sandbox, Service, Words};

/// One shop at a time: answers have deadlines, and two shops want more than the machine has.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Plays the shop, at last without a recommender; databases are removed whatever comes of it.
async fn passes(options: Options, settings: Settings) {
    let _alone = ALONE.lock().await;
    let mut sandbox = Sandbox::start(options).await.expect("starts");
    let client = Client::new(sandbox.gateways().expect("channels"));
    let outcome = match tokio::spawn(play(client, settings)).await {
        Ok(Ok(mut shop)) => {
            let stopped = sandbox.stop(Service::Recommender).await;
            let checked = stopped.and(shop.check_fallback().await);
            checked.map(|()| shop.played()).map_err(|error| format!("{error:?}"))
        }
        Ok(Err(error)) => Err(format!("{error:?}")),
        Err(panic) => Err(format!("{panic}")),
    };
    sandbox.close().await.expect("closes");
    let played = outcome.expect("played to the end");
    eprintln!(
        "{} visits, {} events in {:?}: {:#?}",
        played.visits, played.events, played.took, played.checked
    );
    assert!(played.faults.is_empty(), "{} faults:\n{}", played.faults.len(), played.faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_people_on_sqlite() {
    let settings = Settings {
        people: 3_000,
        items: 300,
        days: 5,
        visit_rate: 0.3,
        placements: 6,
        browsed: 6,
        visits_a_minute: 100,
        visibility: Duration::ZERO,
        seed: 18,
    };
    passes(
        Options {
            words: Words::Templates,
            replicas: 1,
            postgres: false,
            time_zone: TIME_ZONE,
            simulated_clock: false,
        },
        settings,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_of_each_service_on_postgresql() {
    let settings = Settings {
        people: 600,
        items: 200,
        days: 5,
        visit_rate: 0.8,
        placements: 6,
        browsed: 6,
        visits_a_minute: 60,
        visibility: Duration::from_secs(2),
        seed: 19,
    };
    passes(
        Options {
            words: Words::Templates,
            replicas: 2,
            postgres: true,
            time_zone: TIME_ZONE,
            simulated_clock: false,
        },
        settings,
    )
    .await;
}
