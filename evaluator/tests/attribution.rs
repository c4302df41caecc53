//! Attribution and behaviour: over a socket, and as the batch tool reads them from files.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::support::{at, event, ingest, refused, served};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proto::common::v1::EventKind;
use proto::evaluator::v1::{
    AnalyseCohortsRequest, AnalyseFunnelRequest, AttributeRequest, AttributionModel, Granularity, Journey,
    MeasuredLift, RepeatRule,
};

fn journey(touches: &[&str], conversions: f64, value: f64) -> Journey {
    let touches = touches.iter().map(ToString::to_string).collect();
    Journey { touches, conversions, value, nulls: 5.0, ..Journey::default() }
}

fn linear(journeys: Vec<Journey>) -> AttributeRequest {
    AttributeRequest { model: AttributionModel::Linear.into(), journeys, ..AttributeRequest::default() }
}

#[tokio::test]
async fn money_is_given_away_to_the_last_cent_and_lift_is_shown_beside_it() {
    let mut served = served().await;
    let journeys = vec![journey(&["a", "b", "c"], 1.0, 1_000.0), journey(&["b", "b"], 2.0, 55.0)];
    let request = AttributeRequest {
        currency_code: "CNY".into(),
        bootstrap: 100,
        seed: 9,
        measured_lifts: vec![MeasuredLift { channel: "b".into(), conversions: 1.0, standard_error: 0.5 }],
        ..linear(journeys.clone())
    };
    let found = served.attribution.attribute(request).await.expect("credits").into_inner();
    let value: f64 = found.credits.iter().map(|credit| credit.value).sum();
    assert_eq!((value, found.total_value, found.seed), (1_055.0, 1_055.0, 9));
    assert!(
        found.credits.iter().all(|credit| credit.value.fract() == 0.0 && credit.value_interval.is_some())
    );
    let told = &found.disagreements[0];
    assert!((told.attributed - 7.0 / 3.0).abs() < 1e-12 && (told.z - (7.0 / 3.0 - 1.0) / 0.5).abs() < 1e-12);
    assert!(
        found.credits.iter().any(|credit| credit.channel == "unmatched"),
        "what b did not cause came anyway"
    );

    let collapsed =
        AttributeRequest { repeats: RepeatRule::Collapse.into(), lookback_steps: 2, ..linear(journeys) };
    let found = served.attribution.attribute(collapsed).await.expect("credits").into_inner();
    assert!(
        found.credits.iter().all(|credit| credit.channel != "a" || credit.value == 0.0),
        "three steps back"
    );
}

#[tokio::test]
async fn bad_journeys_are_refused_by_field() {
    let mut served = served().await;
    let sound = || vec![journey(&["a"], 1.0, 10.0), journey(&["b"], 1.0, 10.0)];
    let mut ask = async |request, field| refused(served.attribution.attribute(request).await, field);
    let mut mixed = sound();
    mixed[1].ages_days = vec![1.0];
    ask(linear(mixed), "journeys[1].ages_days").await;
    ask(AttributeRequest { lookback_days: 7, ..linear(sound()) }, "lookback_days").await;
    ask(AttributeRequest { order: 65, ..linear(sound()) }, "order").await;
    ask(AttributeRequest { half_life: Some(f64::NAN), ..linear(sound()) }, "half_life").await;
    ask(AttributeRequest { currency_code: "yuan".into(), ..linear(sound()) }, "currency_code").await;
    let half_a_cent =
        AttributeRequest { currency_code: "CNY".into(), ..linear(vec![journey(&["a"], 1.0, 0.5)]) };
    ask(half_a_cent, "journeys[0].value").await;
    ask(linear(vec![journey(&["a", ""], 1.0, 0.0)]), "journeys[0].touches").await;
    ask(linear(vec![journey(&["a"], 0.0, 5.0)]), "journeys[0].value").await;
    let lift = |channel: &str, conversions| MeasuredLift {
        channel: channel.into(),
        conversions,
        standard_error: 1.0,
    };
    let lifts = |lifts: Vec<MeasuredLift>| AttributeRequest { measured_lifts: lifts, ..linear(sound()) };
    ask(lifts(vec![lift("c", 1.0)]), "measured_lifts[0].channel").await;
    ask(lifts(vec![lift("a", 3.0)]), "measured_lifts").await;
}

#[tokio::test]
async fn cohorts_and_funnels_follow_people() {
    let mut served = served().await;
    let on = |id: &str, user: &str, kind: EventKind, day: i64| {
        let mut event = event(id.into(), user, kind, "");
        event.occurred_at = at(1_760_313_600 + day * 86_400);
        event
    };
    // Day 0 is Monday, 13 October 2025.
    let events = vec![
        on("1", "ann", EventKind::Click, 0),
        on("2", "bob", EventKind::Click, 3),
        on("3", "ann", EventKind::Favourite, 9),
        on("4", "cat", EventKind::Click, 10),
        on("5", "bob", EventKind::Favourite, 24),
    ];
    ingest(&mut served, events).await;
    let request = AnalyseCohortsRequest {
        granularity: Granularity::Week.into(),
        periods: 2,
        until: at(1_760_313_600 + 28 * 86_400),
        ..AnalyseCohortsRequest::default()
    };
    let found = served.metrics.analyse_cohorts(request.clone()).await.expect("cohorts").into_inner();
    let told: Vec<(&str, u64, Vec<f64>)> = found
        .cohorts
        .iter()
        .map(|c| (c.from.as_str(), c.units, c.retention.iter().map(|share| share.estimate).collect()))
        .collect();
    assert_eq!(told, [("2025-10-13", 2, vec![1.0, 0.5, 0.0]), ("2025-10-20", 1, vec![1.0, 0.0, 0.0])]);
    refused(
        served.metrics.analyse_cohorts(AnalyseCohortsRequest { periods: 400, ..request }).await,
        "periods",
    );
    let steps = vec![EventKind::Click.into(), EventKind::Favourite.into()];
    let funnel =
        AnalyseFunnelRequest { steps, window_seconds: 10 * 86_400, ..AnalyseFunnelRequest::default() };
    let steps = served.metrics.analyse_funnel(funnel).await.expect("a funnel").into_inner().steps;
    assert_eq!(steps.iter().map(|step| (step.units, step.drop_off)).collect::<Vec<_>>(), [(3, 0), (1, 2)]);
}

fn attribute(file: &Path, more: &[&str]) -> Result<serde_json::Value, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evaluator"));
    command.args(["attribute", "--model", "markov", "--json", "--journeys"]).arg(file).args(more);
    let output = command.output().expect("runs");
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).expect("one object and nothing else"));
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The textbook chain of Anderl et al.: a > b > c converts, a and b > c do not. Every kind of file tells the same.
#[test]
fn every_kind_of_file_gives_the_textbooks_removal_effects() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        file
    };
    let csv = write("j.csv", "path,conversions,value,nulls\na > b > c,1,10,0\na,0,0,1\n\"b > c\",,,1\n");
    let renamed = write(
        "sample.csv",
        "path,total_conversions,total_conversion_value,total_null\na > b > c,1,10,0\na,0,0,1\nb > c,0,0,1\n",
    );
    let rows = r#"[{"touches":["a","b","c"],"conversions":1,"value":10},{"path":"a","nulls":1},{"path":"b > c","nulls":1}]"#;
    let json = write("j.json", rows);
    let named = write("named.json", &format!("{{\"journeys\":{rows}}}"));
    let lines = write("j.jsonl", &rows[1..rows.len() - 1].replace("},", "}\n"));
    for file in [csv, renamed, json, named, lines, parquet(folder.path())] {
        let found = attribute(&file, &[]).expect("credits");
        let effect = |channel: &str| {
            let credits = found["credits"].as_array().expect("a list");
            credits.iter().find(|c| c["channel"] == channel).expect("credited")["removal_effect"].as_f64()
        };
        assert_eq!(
            [effect("a"), effect("b"), effect("c")],
            [Some(0.5), Some(1.0), Some(1.0)],
            "{}",
            file.display()
        );
        assert!((found["conversion_probability"].as_f64().expect("a number") - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            (found["total_conversions"].as_f64(), found["total_value"].as_f64()),
            (Some(1.0), Some(10.0))
        );
    }
    let drawn =
        attribute(&write("k.csv", "path,conversions\na > b,9\n"), &["--bootstrap", "50"]).expect("credits");
    assert!(drawn["credits"][0]["conversions_interval"]["upper"].as_f64() > Some(4.5), "{drawn}");
}

fn parquet(folder: &Path) -> std::path::PathBuf {
    let schema =
        "message journeys { required binary path (UTF8); required double conversions; required double value;
                  required double nulls; }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = folder.join("j.parquet");
    let out = std::fs::File::create(&file).expect("a file");
    let mut writer =
        SerializedFileWriter::new(out, schema, Arc::new(WriterProperties::default())).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let paths: Vec<ByteArray> = ["a > b > c", "a", "b > c"].map(ByteArray::from).to_vec();
    let mut column = group.next_column().expect("sound").expect("path");
    column.typed::<ByteArrayType>().write_batch(&paths, None, None).expect("written");
    column.close().expect("closed");
    for numbers in [[1.0, 0.0, 0.0], [10.0, 0.0, 0.0], [0.0, 1.0, 1.0]] {
        let mut column = group.next_column().expect("sound").expect("a number");
        column.typed::<DoubleType>().write_batch(&numbers, None, None).expect("written");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    writer.close().expect("closed");
    file
}

#[test]
fn unknown_shapes_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let say = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        attribute(&file, &[]).expect_err("refused")
    };
    for (name, text, expected) in [
        ("j.xml", "<a/>", "journeys are read from .csv"),
        ("j.csv", "way,count\na,1\n", "there is no column path"),
        ("j.csv", "path,conversions\n", "holds no journey"),
        ("j.csv", "path,conversions\na,1\nb\n", "line 3"),
        ("j.csv", "path,conversions\na >> b,1\n", "a channel's name"),
        ("j.json", "{\"paths\":[]}", "must be a list of journeys"),
        ("j.json", "[{\"path\":\"a\",\"touches\":[\"a\"],\"conversions\":1}]", "one of touches and path"),
        ("j.jsonl", "{\"path\":\"a\",\"convs\":1}", "unknown field"),
        ("j.parquet", "PAR?", "no Parquet file"),
    ] {
        let told = say(name, text);
        assert!(told.contains(expected), "{name} {text:?}: {told}");
    }
}
