//! Experiments: who gets which variant, and what the difference was.

pub mod analyse;
mod binned;
pub mod bucket;
pub mod cells;
pub mod decision;
pub mod definition;
pub mod dimension;
pub mod effect;
pub mod health;
pub mod power;
pub mod quantile;
pub mod simulate;
pub mod stratify;
