//! A real shop's year, the four services around it, and what the journeys through them need.

pub mod complete_journey;
pub mod exploration;
pub mod messages;
pub mod ordinary_shop;
pub mod processes;
pub mod sandbox;
pub mod serving;
pub mod shop;
pub mod simulation;
