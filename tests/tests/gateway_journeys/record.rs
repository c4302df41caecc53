//! The decision is recorded before anything is shown; where it cannot be, there is an answer all the same.

use std::time::{Duration, Instant};

use chassis::config::Secret;
use chassis::deadline;
use proto::common::v1::{Degradation, DegradationCause, DegradationStage, Substitute};
use proto::gateway::v1::event_service_client::EventServiceClient;
use proto::gateway::v1::personalisation_service_client::PersonalisationServiceClient;
use proto::gateway::v1::personalise_stream_response::Part;
use proto::gateway::v1::{GetDeliveryStatusRequest, PersonaliseRequest, PersonaliseStreamRequest, Purpose};

use super::{delivered, export, moved_in};
use crate::support::{ask, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_decision_is_recorded_before_its_first_part() {
    let (_sandbox, gateway) = moved_in().await;
    let asked = PersonaliseStreamRequest { request: Some(request("streaming")) };
    let mut client = PersonalisationServiceClient::new(gateway.clone());
    let call = deadline::within(Duration::from_secs(30), client.personalise_stream(asked)).await;
    let mut parts = call.expect("in time").expect("answered").into_inner();
    let first = parts.message().await.expect("a part").and_then(|part| part.part).expect("not empty");
    let Part::Placements(first) = first else { panic!("{first:?} comes first") };
    assert!(!first.decision_token.is_empty(), "the first part carries the token");
    // The reader leaves; the record is there.
    drop(parts);
    let (rows, _) = export(&gateway, "streaming").await;
    let decisions = rows.iter().filter(|row| row["table"] == "decision" && row["service"] == "gateway");
    assert_eq!(decisions.count(), 1, "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_takes_no_record_the_answer_has_no_token_and_says_so() {
    let (sandbox, gateway) = moved_in().await;
    let file = sandbox.folder().join("gateway.db");
    let database = chassis::database::open(&Secret::new(format!("sqlite://{}", file.display()))).await;
    let database = database.expect("opens");
    // Another process holds the write lock: the gateway's writer hangs.
    let lock = chassis::database::begin(&database).await.expect("locked");
    let started = Instant::now();
    let mut client = PersonalisationServiceClient::new(gateway.clone());
    let share = Duration::from_millis(1500);
    let answer = deadline::within(share, client.personalise(request("user-2"))).await;
    let answer = answer.expect("within the deadline").expect("answered").into_inner();
    assert!(started.elapsed() < share, "{:?}", started.elapsed());
    assert_eq!(answer.decision_token, "");
    assert!(!answer.placements.is_empty());
    let degraded = answer.degradations.iter().find(|found| found.stage() == DegradationStage::Record);
    assert_eq!(degraded.map(Degradation::substitute), Some(Substitute::NoRecord), "{answer:?}");
    lock.rollback().await.expect("unlocked");

    let answer = ask(&gateway, request("user-2")).await.expect("answered");
    assert!(!answer.decision_token.is_empty(), "{:?}", answer.degradations);
    let (rows, _) = export(&gateway, "user-2").await;
    let decisions = rows.iter().filter(|row| row["table"] == "decision" && row["service"] == "gateway");
    assert_eq!(decisions.count(), 1, "no record without a token is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_to_measurement_nothing_is_recorded() {
    let (_sandbox, gateway) = moved_in().await;
    let mut asked = request("user-2");
    asked.purposes = vec![Purpose::Personalisation.into()];
    let answer = ask(&gateway, asked).await.expect("answered");
    assert_eq!(answer.decision_token, "");
    assert!(answer.degradations.iter().any(|found| found.substitute() == Substitute::NoRecord));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_to_personalisation_the_decision_is_recorded_for_the_person_and_chooses_no_offer() {
    let (_sandbox, gateway) = moved_in().await;
    let asked = PersonaliseRequest {
        purposes: vec![Purpose::Measurement.into()],
        dry_run: false,
        ..request("user-2")
    };
    let answer = ask(&gateway, asked).await.expect("answered");
    assert!(!answer.decision_token.is_empty());
    assert!(answer.placements.iter().all(|placement| placement.offer.is_none()));
    let causes = answer.degradations.iter().filter(|found| found.stage() != DegradationStage::Copy);
    let causes: Vec<_> = causes.map(|found| (found.stage(), found.cause())).collect();
    let personal = [DegradationStage::Recommend, DegradationStage::Decide, DegradationStage::Effect];
    for stage in personal {
        assert!(causes.contains(&(stage, DegradationCause::NoConsent)), "{stage:?} of {causes:?}");
    }
    let status =
        EventServiceClient::new(gateway.clone()).get_delivery_status(GetDeliveryStatusRequest {}).await;
    delivered(&gateway, status.expect("answered").into_inner().head).await;
    let (rows, _) = export(&gateway, "user-2").await;
    let recorded = rows.iter().filter(|row| row["service"] == "evaluator" && row["table"] == "decision");
    assert_eq!(recorded.count(), 1, "{rows:?}");
}
