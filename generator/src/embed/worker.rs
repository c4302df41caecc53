//! The embedding thread: takes what waits, sorts it by length so that little is padding, and runs it in batches.

use std::sync::mpsc;
use std::time::Instant;

use tokio::sync::watch;

use super::bert::{Bert, Tokens};
use super::{EmbedConfig, EmbedError, Fault, Job, State, Texts, Vector};

/// Texts taken out of the queue at once at most.
const ROUND: usize = 512;

/// The vectors of one job.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) vectors: Vec<Vector>,
    pub(super) tokens: u32,
}

/// Says so when the thread dies of a panic.
struct Watch<'a>(&'a watch::Sender<State>);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send_replace(State::Failed("the embedding thread has died".to_owned()));
        }
    }
}

/// Loads the model, then serves jobs until nobody can send any more.
pub(super) fn work(config: &EmbedConfig, state: &watch::Sender<State>, jobs: &mpsc::Receiver<Job>) {
    let _watch = Watch(state);
    let started = Instant::now();
    let loaded = Bert::load(&config.model).and_then(|bert| Ok((bert, pool(config.threads)?)));
    let (bert, pool) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::error!(model = %config.model.display(), error = format!("{error:#}"), "no embedding model");
            state.send_replace(State::Failed(format!("{error:#}")));
            return;
        }
    };
    let card = bert.card().clone();
    tracing::info!(
        model = card.model_id,
        seconds = started.elapsed().as_secs_f64(),
        "embedding model loaded"
    );
    state.send_replace(State::Ready(card));
    while let Ok(first) = jobs.recv() {
        let (mut round, mut others, mut texts) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Texts(job) => {
                    texts += job.texts.len();
                    round.push(job);
                }
                Job::Other(work) => others.push(work),
            }
            next = if texts < ROUND { jobs.try_recv().ok() } else { None };
        }
        pool.install(|| {
            for work in others {
                work(&bert);
            }
            serve(&bert, config.batch_tokens, round);
        });
    }
}

/// Candle's products use the threads of the pool they are called in.
fn pool(threads: usize) -> anyhow::Result<rayon::ThreadPool> {
    let name = |index| format!("embedding-{index}");
    Ok(rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).thread_name(name).build()?)
}

/// A job whose texts are all readable.
struct Readable {
    job: Texts,
    texts: Vec<Tokens>,
    vectors: Vec<Option<Vector>>,
}

fn serve(bert: &Bert, batch_tokens: usize, jobs: Vec<Texts>) {
    let mut readable: Vec<Readable> = jobs.into_iter().filter_map(|job| read(bert, job)).collect();
    let mut order: Vec<(usize, usize)> =
        readable.iter().enumerate().flat_map(|(j, job)| (0..job.texts.len()).map(move |t| (j, t))).collect();
    order.sort_by_key(|&(job, text)| readable[job].texts[text].len());
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        // Sorted upwards, the last of a batch is its longest.
        let length = |&(job, text): &(usize, usize)| readable[job].texts[text].len();
        let fits = |count: &usize| count * length(&rest[count - 1]) <= batch_tokens;
        let many = (1..=rest.len()).take_while(fits).last().unwrap_or(1);
        let (batch, later) = rest.split_at(many);
        rest = later;
        let batch: Vec<(usize, usize)> =
            batch.iter().copied().filter(|&(job, _)| !readable[job].job.answer.is_closed()).collect();
        let texts: Vec<&Tokens> = batch.iter().map(|&(job, text)| &readable[job].texts[text]).collect();
        match bert.encode(&texts) {
            Ok(vectors) => {
                for ((job, text), vector) in batch.into_iter().zip(vectors) {
                    readable[job].vectors[text] = Some(vector);
                }
            }
            // Their jobs are told below, by the vectors they lack.
            Err(error) => tracing::error!(error = format!("{error:#}"), "the embedding model failed"),
        }
    }
    for Readable { job, texts, vectors } in readable {
        let tokens = texts.iter().map(|text| text.len() as u32).sum();
        let vectors = vectors.into_iter().collect::<Option<Vec<_>>>();
        let outcome = vectors.map(|vectors| Batch { vectors, tokens }).ok_or(EmbedError::Failed);
        // A caller who has gone needs no answer.
        let _ = job.answer.send(outcome);
    }
}

/// The job with its tokens, unless it was answered: somebody has gone, or a text cannot be embedded.
fn read(bert: &Bert, job: Texts) -> Option<Readable> {
    if job.answer.is_closed() {
        return None;
    }
    let (mut texts, mut faults) = (Vec::new(), Vec::new());
    for (index, text) in job.texts.iter().enumerate() {
        match bert.read(text, job.truncate) {
            Ok(tokens) => texts.push(tokens),
            Err(why) => faults.push(Fault { index, why }),
        }
    }
    if faults.is_empty() {
        let vectors = vec![None; texts.len()];
        return Some(Readable { job, texts, vectors });
    }
    let _ = job.answer.send(Err(EmbedError::Unreadable(faults)));
    None
}
