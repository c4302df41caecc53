//! The engine with a real model behind it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bench::Plan;
use super::{
    Constraint, Engine, EngineConfig, Finished, Grammar, Piece, Prompt, Reason, Refused, State, Task,
};
use crate::models::tests::{SMOL, path};
use crate::models::tokenizer::Tokenizer;

fn config(queue: usize, slots: usize) -> EngineConfig {
    EngineConfig { queue, slots, context: 512, batch: 32, ..EngineConfig::of(path(SMOL)) }
}

fn start(queue: usize, slots: usize) -> Engine {
    let engine = Engine::start(&config(queue, slots));
    let end = Instant::now() + Duration::from_mins(2);
    loop {
        match engine.state() {
            State::Ready(_) => return engine,
            State::Failed(why) | State::Away(why) => panic!("{why}"),
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
    Task { prompt, max_tokens, temperature: 0.8, top_p: 0.95, seed: 7, ..Task::default() }
}

/// All candidates, in order.
fn all(engine: &Engine, task: Task) -> Vec<Finished> {
    let mut pieces = engine.submit(task.clone()).unwrap();
    let (mut streamed, mut done) = (vec![String::new(); task.candidates], Vec::new());
    while let Some(piece) = pieces.blocking_recv() {
        match piece {
            Piece::Delta { candidate, text } => streamed[candidate].push_str(&text),
            Piece::Done(finished) => done.push(finished),
            Piece::Failed(why) => panic!("{why}"),
        }
    }
    done.sort_by_key(|finished| finished.candidate);
    assert_eq!(streamed, texts(&done));
    done
}

fn texts(done: &[Finished]) -> Vec<String> {
    done.iter().map(|finished| finished.text.clone()).collect()
}

fn finish(engine: &Engine, task: Task) -> Finished {
    all(engine, task).remove(0)
}

#[test]
fn a_seed_repeats_its_text_and_a_prompt_is_read_once() {
    let engine = start(4, 4);
    let first = finish(&engine, task("Green teapot", 24));
    let again = finish(&engine, task("Green teapot", 24));
    let other = finish(&engine, Task { seed: 8, ..task("Green teapot", 24) });
    assert_eq!(first.text, again.text);
    assert_ne!(first.text, other.text);
    assert!(!first.text.is_empty());
    assert_eq!(first.timing.cached_tokens, 0);
    assert!(again.timing.cached_tokens + 16 >= again.timing.prompt_tokens, "all but the last page");
    let shared = finish(&engine, task("Red kettle", 4)).timing;
    assert!(shared.cached_tokens >= 16 && shared.cached_tokens < shared.prompt_tokens, "{shared:?}");
}

#[test]
fn answers_end_for_a_reason() {
    let engine = start(4, 4);
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
    let engine = start(1, 1);
    let endless = || task("Tell a very long story", 400);
    let mut first = engine.submit(endless()).unwrap();
    assert!(matches!(first.blocking_recv(), Some(Piece::Delta { .. })));
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
    let engine = start(2, 2);
    let mut pieces = engine.submit(task(&"tea ".repeat(600), 4)).unwrap();
    assert!(matches!(pieces.blocking_recv(), Some(Piece::Failed(why)) if why.contains("context")));
    assert_eq!(finish(&engine, task("Red kettle", 2)).timing.output_tokens, 2);
}

#[test]
fn a_model_that_is_not_there_is_told() {
    let engine = Engine::start(&EngineConfig::of("no/such.gguf".into()));
    let end = Instant::now() + Duration::from_secs(10);
    while engine.state() == State::Loading && Instant::now() < end {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(matches!(engine.state(), State::Failed(why) if why.starts_with("such.gguf: ")));
    assert!(matches!(engine.submit(task("x", 1)), Err(Refused::NotReady(_))));
}

#[test]
fn the_same_seed_gives_the_same_bytes_under_load() {
    let engine = start(64, 4);
    let names = ["Green teapot", "Red kettle", "A very long name of a blue woollen blanket for two", "Cup"];
    let tasks: Vec<Task> =
        (0..12).map(|n| Task { seed: n as u64 / 4, ..task(names[n % 4], 8 + 3 * (n % 5)) }).collect();
    let alone: Vec<String> = tasks.iter().map(|task| finish(&engine, task.clone()).text).collect();
    let together: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> =
            tasks.iter().map(|task| scope.spawn(|| finish(&engine, task.clone()).text)).collect();
        running.into_iter().map(|running| running.join().unwrap()).collect()
    });
    assert_eq!(together, alone);
}

#[test]
fn candidates_are_what_their_seeds_give_and_the_prompt_is_read_once() {
    let engine = start(4, 4);
    let three = all(&engine, Task { candidates: 3, ..task("Green teapot", 12) });
    let singly: Vec<Finished> =
        (0..3).map(|n| finish(&engine, Task { seed: 7 + n, ..task("Green teapot", 12) })).collect();
    assert_eq!(texts(&three), texts(&singly));
    for (candidate, other) in three.iter().zip(&singly) {
        assert_eq!(candidate.tokens, other.tokens);
        assert_eq!(candidate.tokens.len(), candidate.timing.output_tokens as usize);
        assert!(candidate.tokens.iter().all(|token| token.log_likelihood <= 0.0));
        assert!(candidate.mean_log_likelihood() < 0.0);
    }
    for asked in [0, 5] {
        let refused = engine.submit(Task { candidates: asked, ..task("x", 1) }).unwrap_err();
        assert_eq!(refused, Refused::Candidates { asked, most: 4 });
    }
}

#[test]
fn a_greedy_answer_is_at_least_as_likely_as_any_sampled_one_at_every_first_token() {
    let engine = start(4, 4);
    let greedy = finish(&engine, Task { temperature: 0.0, ..task("Green teapot", 1) });
    for sampled in all(&engine, Task { candidates: 4, temperature: 2.0, ..task("Green teapot", 1) }) {
        assert!(sampled.tokens[0].log_likelihood <= greedy.tokens[0].log_likelihood);
    }
}

/// Allows the tokens of one text, in order, and then nothing.
#[derive(Debug)]
struct Only(Vec<u32>, bool);

impl Grammar for Only {
    fn begin(&self, _: &Arc<Tokenizer>) -> anyhow::Result<Box<dyn Constraint>> {
        anyhow::ensure!(!self.0.is_empty(), "an empty grammar");
        Ok(Box::new(Only(self.0.clone(), self.1)))
    }

    fn allows(&self, _: &str) -> bool {
        true
    }

    fn completes(&self, _: &str) -> bool {
        false
    }
}

impl Constraint for Only {
    fn leanings(&mut self) -> Vec<(u32, f32)> {
        self.0.first().map(|token| (*token, 100.0)).into_iter().collect()
    }

    fn allows(&mut self, token: u32) -> anyhow::Result<bool> {
        Ok(self.0.first() == Some(&token))
    }

    fn accept(&mut self, token: u32) -> anyhow::Result<bool> {
        assert_eq!(self.0.remove(0), token);
        Ok(self.1 && self.0.is_empty())
    }
}

#[test]
fn an_answer_keeps_to_its_grammar() {
    let engine = start(4, 4);
    let tokens = engine.tokenizer().unwrap().encode("Only these words.").unwrap();
    for (complete, reason) in [(true, Reason::Stop), (false, Reason::Stuck)] {
        let grammar = Some(Arc::new(Only(tokens.clone(), complete)) as Arc<dyn Grammar>);
        let answers = all(&engine, Task { grammar, candidates: 2, ..task("Green teapot", 30) });
        for answer in answers {
            assert_eq!((answer.text.as_str(), answer.reason), ("Only these words.", reason));
            let likelihood = answer.mean_log_likelihood();
            assert!(
                likelihood < -0.1 && likelihood > -50.0,
                "that of the model, which would say something else"
            );
        }
    }
    let grammar = Some(Arc::new(Only(Vec::new(), true)) as Arc<dyn Grammar>);
    let mut pieces = engine.submit(Task { grammar, ..task("Green teapot", 4) }).unwrap();
    assert!(matches!(pieces.blocking_recv(), Some(Piece::Failed(why)) if why.contains("empty grammar")));
}

#[test]
fn a_thousand_cancelled_answers_leave_no_slot_taken() {
    use rand::{Rng as _, SeedableRng as _};
    let engine = start(2000, 4);
    let before = finish(&engine, task("Green teapot", 8)).text;
    let mut random = rand::rngs::StdRng::seed_from_u64(5);
    let mut reading = Vec::new();
    for n in 0..1000 {
        let task = Task { candidates: random.random_range(1..=4), seed: n, ..task("Green teapot", 40) };
        reading.push((engine.submit(task).unwrap(), random.random_range(0..4)));
        if reading.len() == 8 {
            // Some leave before they were begun, others after a few pieces.
            let (mut pieces, count) = reading.swap_remove(random.random_range(0..8));
            if random.random_bool(0.05) {
                (0..count).for_each(|_| drop(pieces.blocking_recv()));
            }
        }
    }
    drop(reading);
    let end = Instant::now() + Duration::from_secs(20);
    while engine.in_flight() > 0 {
        assert!(Instant::now() < end, "{} answers are still in flight", engine.in_flight());
        std::thread::park_timeout(Duration::from_millis(5));
    }
    // All four slots are there, and what they held is forgotten.
    assert_eq!(texts(&all(&engine, Task { candidates: 4, ..task("Green teapot", 8) }))[0], before);
}

#[test]
fn what_cannot_be_done_in_time_is_refused_at_once() {
    let engine = start(64, 1);
    finish(&engine, task("Green teapot", 32));
    let running: Vec<_> =
        (0..8).map(|seed| engine.submit(Task { seed, ..task("Cup", 64) }).unwrap()).collect();
    assert!(engine.backlog() > Duration::from_millis(20), "{:?}", engine.backlog());
    let deadline = Some(Instant::now() + Duration::from_millis(10));
    assert_eq!(engine.submit(Task { deadline, ..task("Cup", 4) }).unwrap_err(), Refused::Overloaded);
    drop(running);
}

#[test]
fn a_benchmark_measures_both_halves() {
    let plan = |prompt| Plan { prompt, output: 4, batches: vec![1, 3], runs: 1 };
    let bench = super::bench::bench(&config(1, 1), &plan(40)).unwrap();
    assert_eq!(bench.speeds.len(), 2);
    for speed in &bench.speeds {
        assert!(speed.prefill_tokens_per_second > 1.0 && speed.decode_tokens_per_second > 1.0, "{bench:?}");
    }
    assert!(bench.weight_bytes > 100_000_000 && bench.limit_tokens_per_second > Some(1.0), "{bench:?}");
    assert!(super::bench::bench(&config(1, 1), &plan(0)).is_err());
    assert!(super::bench::bench(&config(1, 1), &plan(600)).is_err(), "more than the context");
}
