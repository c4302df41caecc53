//! What it brought and what it will bring: experiments, metrics, attribution and offers.

pub mod attribution;
pub mod error;
pub mod experiment;
pub mod metric;
pub mod stats;
