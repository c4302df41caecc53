//! The hook by which a caller says what an answer may be, token by token.

use std::fmt::Debug;
use std::sync::Arc;

use crate::models::tokenizer::Tokenizer;

/// What answers may be; shared by all candidates of a task.
pub trait Grammar: Debug + Send + Sync {
    /// The constraint of one answer, in tokens of `tokenizer`, that has yet to begin. Called on the inference thread.
    fn begin(&self, tokenizer: &Arc<Tokenizer>) -> anyhow::Result<Box<dyn Constraint>>;

    /// Whether an answer may begin with `text`: for a model elsewhere, which can only be stopped.
    fn allows(&self, text: &str) -> bool;

    /// Whether nothing may follow `text`.
    fn completes(&self, text: &str) -> bool;
}

/// Where one answer stands. Called on the inference thread, between two tokens: it has to be quick.
pub trait Constraint: Send {
    /// Sets the logits of all tokens that may not come next to negative infinity. The tokens that end an answer are
    /// among `logits`: leave theirs where the answer may end. Where none is left the answer ends.
    fn mask(&mut self, logits: &mut [f32]) -> anyhow::Result<()>;

    /// Takes in the token that was chosen; says whether the answer is complete, so that nothing may follow.
    fn accept(&mut self, token: u32) -> anyhow::Result<bool>;
}
