//! The evaluator from outside: over a socket, by its command line, against published figures.
//!
//! One program: linking the whole tree once a file took longer than the tests.

mod attribution;
mod batch;
mod bucketing;
mod experiments;
mod features;
mod growthbook;
mod links;
mod measuring;
mod moments;
mod money;
mod own_metrics;
mod planning;
mod plans;
mod postgres;
mod replay;
mod reports;
mod returns;
mod service;
mod strategy;
mod support;
