//! Journeys through the four services, on real data and real processes.

pub mod complete_journey;
pub mod processes;
