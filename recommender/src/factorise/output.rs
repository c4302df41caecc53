//! Factors on disk.
