//! What it brought and what it will bring: experiments, metrics, attribution and offers.

pub mod attribution;
pub mod config;
pub mod error;
pub mod experiment;
pub mod metric;
pub mod pool;
pub mod stats;
pub mod store;

pub use config::Config;
