//! Two gateways on one PostgreSQL database.

use bespoke_tests::sandbox::{Sandbox, Words};
use chassis::config::Secret;
use proto::common::v1::EventKind;
use proto::evaluator::v1::AnalyseFunnelRequest;
use proto::evaluator::v1::metric_service_client::MetricServiceClient;
use sea_orm::ConnectionTrait as _;

use super::delivered;
use crate::support::{event, track};

const SERVER: &str = "postgres://postgres@127.0.0.1:5432";

async fn execute(sql: &str) {
    let admin = chassis::database::open(&Secret::new(format!("{SERVER}/postgres"))).await;
    admin.expect("PostgreSQL runs").execute_unprepared(sql).await.expect("executed");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_on_one_database_deliver_every_event_once() {
    let name = format!("gateways_test_{}", std::process::id());
    execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
    execute(&format!("CREATE DATABASE {name}")).await;
    let sandbox = Sandbox::start(Words::Templates).await.expect("starts");
    let url = Secret::new(format!("{SERVER}/{name}"));
    let (one, other) = (sandbox.another_gateway(url.clone()).await, sandbox.another_gateway(url).await);
    let channels = [one.expect("starts"), other.expect("starts")];
    let callers = (0..8).map(|caller| {
        let gateway = channels[caller % 2].clone();
        tokio::spawn(async move {
            let mut position = 0;
            for n in 0..40 {
                let clicks = (0..5).map(|k| {
                    event(
                        &format!("{caller}-{n}-{k}"),
                        &format!("u-{caller}-{n}-{k}"),
                        EventKind::Click,
                        "item",
                    )
                });
                let taken = track(&gateway, clicks.collect()).await.expect("taken");
                assert_eq!(taken.accepted, 5);
                position = taken.log_position.max(position);
            }
            position
        })
    });
    let mut position = 0;
    for caller in callers.collect::<Vec<_>>() {
        position = caller.await.expect("done").max(position);
    }
    delivered(&channels[0], position).await;
    let funnel = AnalyseFunnelRequest {
        steps: vec![EventKind::Click.into(), EventKind::Purchase.into()],
        ..AnalyseFunnelRequest::default()
    };
    let funnel =
        MetricServiceClient::new(channels[1].clone()).analyse_funnel(funnel).await.expect("answered");
    assert_eq!(funnel.into_inner().steps[0].units, 8 * 40 * 5, "each person clicked once");
    drop(sandbox);
    execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
}
