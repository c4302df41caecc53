//! `kill -9` of the gateway after an acknowledgement: what it acknowledged arrives.

use std::path::Path;

use crate::support::{arrived, event, track};
use bespoke_tests::processes::Process;
use chassis::client::{ClientConfig, connect};
use proto::common::v1::EventKind;

fn settings(folder: &Path, name: &str) -> Vec<String> {
    let file = folder.join(format!("{name}.db"));
    vec!["server.listen=127.0.0.1:0".into(), format!("store.url=sqlite://{}?mode=rwc", file.display())]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_event_survives_kill_9() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = |name: &str| folder.path().join(format!("{name}.log"));
    // The services below are away, so that nothing can have been sent on before the kill.
    let mut alone = settings(folder.path(), "gateway");
    for service in ["recommender", "generator", "evaluator"] {
        alone.push(format!("{service}.address=http://127.0.0.1:9"));
    }
    let mut gateway = Process::start("gateway", &alone, &log("gateway-1")).await.expect("starts");
    let channel = connect(&ClientConfig::to(gateway.uri())).expect("a channel");
    let clicks =
        (0..500).map(|n| event(&format!("c{n}"), &format!("u{n}"), EventKind::Click, &format!("i{n}")));
    assert_eq!(track(&channel, clicks.collect()).await.expect("acknowledged").accepted, 500);
    gateway.kill().await.expect("killed");

    let mut goods = settings(folder.path(), "recommender");
    goods.push(format!("models.folder={}", folder.path().join("models").display()));
    let recommender = Process::start("recommender", &goods, &log("recommender")).await.expect("starts");
    let mut again = settings(folder.path(), "gateway");
    again.push(format!("recommender.address={}", recommender.uri()));
    let gateway = Process::start("gateway", &again, &log("gateway-2")).await.expect("starts again");
    let channel = connect(&ClientConfig::to(gateway.uri())).expect("a channel");
    for n in [0, 250, 499] {
        arrived(&channel, &format!("u{n}"), &format!("i{n}")).await;
    }
    let known = track(&channel, vec![event("c7", "u7", EventKind::Click, "i7")]).await.expect("taken");
    assert_eq!((known.accepted, known.duplicates), (0, 1), "its id is still known");
    gateway.stop().await.expect("drains");
    recommender.stop().await.expect("drains");
}
