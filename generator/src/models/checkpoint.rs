//! What the forward pass needs of a file of weights, whatever its format.

/// Weights under the names GGUF gives them (`blk.0.attn_q.weight`).
pub trait Checkpoint {
    /// Whether a tensor is there.
    fn has(&self, name: &str) -> bool;

    /// The rows and columns of a matrix.
    fn shape(&self, name: &str) -> anyhow::Result<(usize, usize)>;

    /// A vector of `length` values.
    fn vector(&mut self, name: &str, length: usize) -> anyhow::Result<Vec<f32>>;

    /// Hands the rows of a matrix on as floats, a few at a time, so a large one never stands in memory whole.
    fn each_rows(
        &mut self,
        name: &str,
        take: &mut dyn FnMut(&[f32]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()>;
}
