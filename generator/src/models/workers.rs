//! The threads that share a product.

use anyhow::Context as _;
use rayon::prelude::*;

/// How many pieces a thread takes at once at least.
const GRAIN: usize = 8;

/// A pool of one engine's own, so that engines do not wait for each other; one thread needs none.
pub struct Workers {
    pool: Option<rayon::ThreadPool>,
}

impl Workers {
    /// At least one thread.
    pub fn new(threads: usize) -> anyhow::Result<Workers> {
        let build = || {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|index| format!("inference-{index}"))
                .build()
                .context("no threads for inference")
        };
        Ok(Workers { pool: if threads > 1 { Some(build()?) } else { None } })
    }

    /// Does something on one of the threads, so that the products in it need not be handed over one by one.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            None => work(),
            Some(pool) => pool.install(work),
        }
    }

    /// Works on pieces of `size` values side by side, each known by its index.
    pub fn each<T: Send>(&self, values: &mut [T], size: usize, work: impl Fn(usize, &mut [T]) + Sync) {
        match &self.pool {
            // What one thread takes at once is done where it comes up: decoding has a row or a few.
            Some(pool) if values.len() > GRAIN * size => pool.install(|| {
                let pieces = values.par_chunks_exact_mut(size).enumerate().with_min_len(GRAIN);
                pieces.for_each(|(index, piece)| work(index, piece));
            }),
            _ => values.chunks_exact_mut(size).enumerate().for_each(|(index, piece)| work(index, piece)),
        }
    }
}
