//! The contract, compiled: messages, servers and clients of every service, their JSON mapping, and the checks
//! of the messages that several services take.
//!
//! Services meet only here. The `.proto` files below `bespoke/` are the documentation.

/// One package's generated code.
macro_rules! generated {
    ($name:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $name, ".rs"));
        include!(concat!(env!("OUT_DIR"), "/", $name, ".serde.rs"));
    };
}

/// `bespoke.common`
pub mod common {
    /// `bespoke.common.v1`: what several services speak of.
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used)]
    pub mod v1 {
        generated!("bespoke.common.v1");
    }
}

/// `bespoke.recommender`
pub mod recommender {
    /// `bespoke.recommender.v1`: which goods.
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used)]
    pub mod v1 {
        generated!("bespoke.recommender.v1");
    }
}

/// `bespoke.generator`
pub mod generator {
    /// `bespoke.generator.v1`: in which words.
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used)]
    pub mod v1 {
        generated!("bespoke.generator.v1");
    }
}

/// `bespoke.evaluator`
pub mod evaluator {
    /// `bespoke.evaluator.v1`: what it brings and brought.
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used)]
    pub mod v1 {
        generated!("bespoke.evaluator.v1");
    }
}

/// `bespoke.gateway`
pub mod gateway {
    /// `bespoke.gateway.v1`: the one way in.
    #[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::unwrap_used)]
    pub mod v1 {
        generated!("bespoke.gateway.v1");
    }
}

pub mod rejections;
mod rules;
pub mod validate;

/// The encoded file descriptor set of the whole contract, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
