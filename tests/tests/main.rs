//! Journeys through the four services.
//!
//! One program: linking the whole tree once a file took longer than the tests.

mod bad_input;
mod durability;
mod faults;
mod gateway_journeys;
mod loop_of_a_shop;
mod new_item;
mod simulated_shop;
mod support;
