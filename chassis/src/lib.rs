//! What every Bespoke service stands on, and nothing of what any of them is about.
//!
//! | module | gives |
//! |---|---|
//! | [`config`] | layered settings: defaults < file < environment < flags, all faults reported at once |
//! | [`telemetry`] | logs, OTLP traces and metrics, W3C context |
//! | [`server`] | one gRPC edge: health, reflection, limits, deadlines, bounded drain |
//! | [`client`] | one gRPC client: remaining deadline sent on, retry budget, balancing |
//! | [`database`] | a service's own database: opened alike, written in transactions that wait for each other |
//! | [`deadline`] | how much time the present request has left |
//! | [`error`] | one mapping to `google.rpc` rich errors |
//! | [`calendar`] | days, weeks and months of the shop's time zone |
//! | [`auth`] | pseudonyms, and the keys they are made with |
//! | [`launch`] | from settings to a listening process and back down again |
//!
//! There are no domain types here: services meet only in `proto`.

pub mod auth;
pub mod calendar;
pub mod client;
pub mod config;
pub mod database;
pub mod deadline;
pub mod error;
pub mod launch;
mod observe;
pub mod server;
pub mod telemetry;
