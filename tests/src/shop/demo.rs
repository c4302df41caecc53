//! `shop demo`: the whole loop once, told as it goes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chassis::client::{Channel, ClientConfig, connect};
use chassis::deadline;
use chrono::Utc;
use gateway::cli::ask::render;
use proto::common::v1::{Channel as Place, Event, EventKind};
use proto::gateway::v1::event_service_client::EventServiceClient;
use proto::gateway::v1::personalisation_service_client::PersonalisationServiceClient;
use proto::gateway::v1::{PersonaliseRequest, PersonaliseResponse, Placement, TrackEventsRequest};

use super::{bespoke, move_in, say};
use crate::complete_journey::timestamp;

/// Time the model gets to write, and the time a page would give.
pub(super) const PATIENT: Duration = Duration::from_mins(1);
const HURRIED: Duration = Duration::from_millis(300);

/// Runs the story in a fresh folder below `runs/` and ends.
pub async fn run() -> anyhow::Result<()> {
    let started = Instant::now();
    let folder = format!("runs/demo-{}", Utc::now().format("%Y%m%d-%H%M%S"));
    let (shop, services) = move_in(Path::new(&folder), [0; 4], true).await?;
    let gateway = connect(&ClientConfig::to(services.gateway()))?;
    let busiest = shop.busiest();
    let mut first = None;
    for (person, purchases) in busiest.iter().skip(2).step_by(20).take(3) {
        say(&format!("\nCustomer {person}, {purchases} purchases:"));
        let answer = ask(&gateway, person, PATIENT).await?;
        say(&render(&answer));
        seen(&gateway, person, &answer).await?;
        first.get_or_insert(((*person).to_owned(), answer));
    }
    let (person, answer) = first.context("the sample has no customers")?;

    say(&format!("\nCustomer {person} again, within {} ms:", HURRIED.as_millis()));
    say(&render(&ask(&gateway, &person, HURRIED).await?));
    learn(&gateway, &person, &answer).await?;
    say("");
    bespoke(&services, &["report", "metrics", "--metrics", "CTR,CR,REVENUE"]).await?;
    super::chinese::run(&Path::new(&folder).join("chinese")).await?;
    super::second_act::run(&services, gateway).await?;
    services.stop().await?;
    say(&format!("\ndone in {:.0} s; databases and logs are in {folder}", started.elapsed().as_secs_f64()));
    Ok(())
}

async fn ask(gateway: &Channel, person: &str, share: Duration) -> anyhow::Result<PersonaliseResponse> {
    let request = PersonaliseRequest {
        user_id: person.to_owned(),
        channel: Place::App.into(),
        placement: "home".into(),
        // The titles are English, and so is the copy.
        locale: "en".into(),
        limit: 5,
        copy_count: 2,
        // The same seed gives the same offer, so that the second answer is about the same thing.
        seed: 7,
        ..PersonaliseRequest::default()
    };
    let mut client = PersonalisationServiceClient::new(gateway.clone());
    Ok(deadline::within(share, client.personalise(request)).await??.into_inner())
}

/// What a page reports: each placement was on the screen.
async fn seen(gateway: &Channel, person: &str, answer: &PersonaliseResponse) -> anyhow::Result<()> {
    let events = ids(answer).into_iter().zip(0_u32..).map(|(item_id, position)| Event {
        event_id: format!("demo-seen-{person}-{position}"),
        kind: EventKind::Impression.into(),
        ..event(person, item_id, position, answer)
    });
    track(gateway, events.collect()).await
}

fn event(person: &str, item_id: &str, position: u32, answer: &PersonaliseResponse) -> Event {
    Event {
        user_id: person.to_owned(),
        item_id: item_id.to_owned(),
        occurred_at: Some(timestamp(Utc::now())),
        channel: Place::App.into(),
        decision_token: answer.decision_token.clone(),
        position: Some(position),
        ..Event::default()
    }
}

pub(super) async fn track(gateway: &Channel, events: Vec<Event>) -> anyhow::Result<()> {
    let sent = events.len() as u64;
    let mut client = EventServiceClient::new(gateway.clone());
    let tracked = client.track_events(TrackEventsRequest { events }).await?.into_inner();
    ensure!(tracked.accepted == sent, "the events were not taken: {tracked:?}");
    Ok(())
}

/// A click on the last item shown, and what the next answer makes of it.
async fn learn(gateway: &Channel, person: &str, before: &PersonaliseResponse) -> anyhow::Result<()> {
    let clicked = before
        .placements
        .last()
        .and_then(|placement| placement.item.as_ref())
        .context("nothing was shown")?;
    say(&format!("\nCustomer {person} clicks on {} [{}]:", clicked.title, clicked.item_id));
    let position = u32::try_from(before.placements.len() - 1)?;
    let click = Event {
        event_id: format!("demo-click-{person}"),
        kind: EventKind::Click.into(),
        ..event(person, &clicked.item_id, position, before)
    };
    track(gateway, vec![click]).await?;
    let started = Instant::now();
    loop {
        let after = ask(gateway, person, HURRIED).await?;
        let (was, is) = (ids(before), ids(&after));
        let carried = carries(&after, &clicked.item_id);
        if is != was || carried > carries(before, &clicked.item_id) {
            say(&format!("  {:.0} ms later the click is felt:", started.elapsed().as_secs_f64() * 1e3));
            if is == was {
                say(&format!("  the same goods, {carried} of them now because of it"));
            } else {
                say(&format!("  before: {}", was.join(", ")));
                say(&format!("  after:  {}", is.join(", ")));
            }
            say(&render(&after));
            return Ok(());
        }
        ensure!(started.elapsed() < Duration::from_secs(20), "the click changed nothing within 20 s");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Picks that are there because of an item.
fn carries(answer: &PersonaliseResponse, item_id: &str) -> usize {
    let because = |placement: &&Placement| placement.reasons.iter().any(|r| r.because_item_id == item_id);
    answer.placements.iter().filter(because).count()
}

fn ids(answer: &PersonaliseResponse) -> Vec<&str> {
    answer.placements.iter().filter_map(|placement| Some(placement.item.as_ref()?.item_id.as_str())).collect()
}
