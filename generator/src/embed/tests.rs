use std::time::Duration;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Reference {
    vectors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    text: String,
    values: Vec<f32>,
}

/// Vectors by sentence-transformers; its version and those of what it stands on are in the file.
fn reference() -> Vec<Entry> {
    let reference: Reference =
        serde_json::from_str(include_str!("../../tests/data/minilm_vectors.json")).unwrap();
    reference.vectors
}

fn config() -> EmbedConfig {
    let folder = std::env::var_os("BESPOKE_MODELS").map_or_else(|| ".cache/models".into(), PathBuf::from);
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(folder);
    let model = folder.join("all-minilm-l6-v2.safetensors");
    assert!(model.is_file(), "{} is not there: run `make model`", model.display());
    EmbedConfig { model, threads: 1, queue: 16, batch_tokens: 512, cache: 100 }
}

async fn ready(config: &EmbedConfig) -> Embedder {
    let embedder = Embedder::start(config);
    let started = Instant::now();
    while !matches!(embedder.state(), State::Ready(_)) {
        assert!(started.elapsed() < Duration::from_mins(1), "{:?}", embedder.state());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    embedder
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn furthest(ours: &[f32], theirs: &[f32]) -> f32 {
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[tokio::test]
async fn vectors_are_those_of_sentence_transformers_in_any_batch() {
    let embedder = ready(&config()).await;
    let reference = reference();
    // The reference cuts what is too long, as `truncate` does.
    let texts: Vec<String> = reference.iter().map(|entry| entry.text.clone()).collect();
    let together = embedder.embed(&texts, true).await.unwrap();
    assert_eq!((together.card.dimensions, together.cached), (384, 0));
    assert_eq!(together.card.parameters, 22_713_216, "as sentence-transformers counts them");
    for (entry, vector) in reference.iter().zip(&together.vectors) {
        assert!(furthest(vector, &entry.values) < 1e-4, "{}", entry.text);
        let length: f32 = vector.iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-5);
    }
    let again = embedder.embed(&texts[..2], true).await.unwrap();
    assert_eq!((again.tokens, again.cached, &again.vectors[..]), (0, 2, &together.vectors[..2]));
    let alone = ready(&config()).await.embed(&texts[3..4], false).await.unwrap();
    assert!(furthest(&alone.vectors[0], &together.vectors[3]) < 1e-6, "padding leaks into the mean");
}

#[tokio::test]
async fn what_it_cannot_read_is_named_and_never_embedded() {
    let embedder = ready(&config()).await;
    let long = "tea ".repeat(300);
    let texts = owned(&["Green tea", "绿茶 20包", "中国", " \u{200b}\n", "Зелёный чай", "🍵", &long, "a🍵b"]);
    let Err(EmbedError::Unreadable(faults)) = embedder.embed(&texts, false).await else { panic!("embedded") };
    let faults: Vec<(usize, &str)> = faults.iter().map(|fault| (fault.index, fault.why.reason())).collect();
    let script = "UNSUPPORTED_SCRIPT";
    let unknown = "UNKNOWN_WORD";
    assert_eq!(
        faults,
        [(1, script), (2, script), (3, "EMPTY"), (4, script), (5, unknown), (6, "TOO_LONG"), (7, unknown)]
    );
    // The same text twice is read once; a text before it that is kept does not shift the numbers.
    embedder.embed(&texts[..1], false).await.unwrap();
    let Err(EmbedError::Unreadable(faults)) =
        embedder.embed(&owned(&["Green tea", "Milk", "Milk", "牛奶"]), false).await
    else {
        panic!("embedded")
    };
    assert_eq!(faults.iter().map(|fault| fault.index).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_caller_who_goes_makes_room() {
    let embedder = ready(&config()).await;
    let texts =
        |from: usize, many: usize| (from..from + many).map(|n| format!("text {n}")).collect::<Vec<_>>();
    assert_eq!(embedder.embed(&texts(0, 17), false).await.unwrap_err(), EmbedError::Overloaded);
    for from in (0..100).step_by(10) {
        let texts = texts(from, 10);
        let asked = embedder.embed(&texts, false);
        let _ = tokio::time::timeout(Duration::from_micros(100), asked).await;
    }
    let started = Instant::now();
    while embedder.room.available_permits() < 16 {
        assert!(started.elapsed() < Duration::from_secs(10), "room is never given back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    embedder.embed(&texts(200, 16), false).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_encoder_fails_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let whole = config().model;
    for ending in ["safetensors", "tokenizer.json", "config.json"] {
        let target = folder.path().join("bad").with_extension(ending);
        std::fs::copy(whole.with_extension(ending), target).unwrap();
    }
    let bad = folder.path().join("bad.safetensors");
    let bytes = std::fs::read(&bad).unwrap();
    std::fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();
    let embedder = Embedder::start(&EmbedConfig { model: bad, ..config() });
    let reason = loop {
        match embedder.state() {
            State::Loading => tokio::time::sleep(Duration::from_millis(5)).await,
            State::Failed(reason) => break reason,
            State::Ready(card) => panic!("{card:?}"),
        }
    };
    assert!(reason.contains("bad.safetensors"), "{reason}");
    assert_eq!(embedder.embed(&owned(&["tea"]), false).await.unwrap_err(), EmbedError::NotLoaded);
}
