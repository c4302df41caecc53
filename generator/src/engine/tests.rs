//! The engine with a real model behind it.

use std::time::{Duration, Instant};

use super::{Engine, EngineConfig, Finished, Piece, Prompt, Reason, Refused, State, Task};
use crate::models::tests::{SMOL, path};

fn start(queue: usize) -> Engine {
    let model = path(SMOL);
    let engine = Engine::start(&EngineConfig { model, threads: 1, queue, context: 512, batch: 32 });
    let end = Instant::now() + Duration::from_mins(2);
    loop {
        match engine.state() {
            State::Ready(_) => return engine,
            State::Failed(why) => panic!("{why}"),
            State::Loading => assert!(Instant::now() < end, "loading takes too long"),
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn task(user: &str, max_tokens: usize) -> Task {
    let prompt = Prompt {
        system: "You write one short line about a product.".to_owned(),
        shots: vec![("Blue mug".to_owned(), "A calm blue mug for slow mornings.".to_owned())],
        user: user.to_owned(),
        prefill: String::new(),
    };
    Task { prompt, max_tokens, temperature: 0.8, top_p: 0.95, seed: 7, stop: Vec::new(), deadline: None }
}

fn finish(engine: &Engine, task: Task) -> Finished {
    let mut pieces = engine.submit(task).unwrap();
    let mut streamed = String::new();
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Delta(text)) => streamed.push_str(&text),
            Some(Piece::Done(finished)) => {
                assert_eq!(streamed, finished.text);
                return finished;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_seed_repeats_its_text_and_a_prompt_is_read_once() {
    let engine = start(4);
    let first = finish(&engine, task("Green teapot", 24));
    let again = finish(&engine, task("Green teapot", 24));
    let other = finish(&engine, Task { seed: 8, ..task("Green teapot", 24) });
    assert_eq!(first.text, again.text);
    assert_ne!(first.text, other.text);
    assert!(!first.text.is_empty());
    assert_eq!(first.timing.cached_tokens, 0);
    assert_eq!(again.timing.cached_tokens + 1, again.timing.prompt_tokens);
    let shared = finish(&engine, task("Red kettle", 4)).timing;
    assert!(shared.cached_tokens > 20 && shared.cached_tokens < shared.prompt_tokens, "{shared:?}");
}

#[test]
fn answers_end_for_a_reason() {
    let engine = start(4);
    let cold = Task { temperature: 0.0, ..task("Green teapot", 8) };
    let long = finish(&engine, cold.clone());
    assert_eq!((long.reason, long.timing.output_tokens), (Reason::Length, 8));
    let cut = long.text[long.text.len() / 2..].chars().take(4).collect::<String>();
    let stopped = finish(&engine, Task { stop: vec![cut.clone()], ..cold.clone() });
    assert_eq!(stopped.reason, Reason::Stop);
    assert_eq!(stopped.text, long.text[..long.text.find(&cut).unwrap()]);
    let begun = Instant::now();
    let deadline = Some(begun + Duration::from_millis(300));
    let late =
        finish(&engine, Task { deadline, max_tokens: 400, stop: Vec::new(), ..task("Tell a long story", 1) });
    assert_eq!(late.reason, Reason::Deadline);
    assert!(begun.elapsed() < Duration::from_secs(2));
    let never = finish(&engine, Task { deadline: Some(begun), ..cold });
    assert_eq!((never.reason, never.text.as_str()), (Reason::Deadline, ""));
}

#[test]
fn a_full_queue_refuses_and_a_reader_who_leaves_frees_it() {
    let engine = start(1);
    let endless = || task("Tell a very long story", 400);
    let mut first = engine.submit(endless()).unwrap();
    assert!(matches!(first.blocking_recv(), Some(Piece::Delta(_))));
    let second = engine.submit(endless()).unwrap();
    assert_eq!(engine.submit(endless()).unwrap_err(), Refused::Overloaded);
    drop((first, second));
    let begun = Instant::now();
    let mut third = loop {
        match engine.submit(task("Red kettle", 2)) {
            Ok(pieces) => break pieces,
            Err(refused) => assert_eq!(refused, Refused::Overloaded),
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "the queue never frees");
        std::thread::park_timeout(Duration::from_millis(5));
    };
    while let Some(piece) = third.blocking_recv() {
        assert!(!matches!(piece, Piece::Failed(_)));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "a task nobody reads went on");
}

#[test]
fn too_long_a_prompt_fails_alone() {
    let engine = start(2);
    let mut pieces = engine.submit(task(&"tea ".repeat(600), 4)).unwrap();
    assert!(matches!(pieces.blocking_recv(), Some(Piece::Failed(why)) if why.contains("context")));
    assert_eq!(finish(&engine, task("Red kettle", 2)).timing.output_tokens, 2);
}

#[test]
fn a_model_that_is_not_there_is_told() {
    let model = "no/such.gguf".into();
    let engine = Engine::start(&EngineConfig { model, threads: 1, queue: 1, context: 512, batch: 32 });
    let end = Instant::now() + Duration::from_secs(10);
    while engine.state() == State::Loading && Instant::now() < end {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(matches!(engine.state(), State::Failed(why) if why.contains("no/such.gguf")));
    assert!(matches!(engine.submit(task("x", 1)), Err(Refused::NotReady(_))));
}

#[test]
fn a_benchmark_measures_both_halves() {
    let config = EngineConfig { model: path(SMOL), threads: 1, queue: 1, context: 512, batch: 32 };
    let bench = super::bench::bench(&config, 40, 4).unwrap();
    assert!(bench.prefill_per_second > 1.0 && bench.decode_per_second > 1.0, "{bench:?}");
    assert!(super::bench::bench(&config, 0, 4).is_err());
    assert!(super::bench::bench(&config, 600, 4).is_err(), "more than the context");
}

#[test]
#[ignore = "prints speeds; run it alone, in release"]
fn speeds() {
    for name in [SMOL, crate::models::tests::QWEN] {
        let config = EngineConfig { model: path(name), threads: 1, queue: 1, context: 1024, batch: 64 };
        println!("{:?}", super::bench::bench(&config, 128, 64).unwrap());
    }
}
