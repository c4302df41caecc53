//! In which words: a transformer hosted by candle, and the guard that checks what it wrote.

pub mod engine;
