//! The hook by which a caller says what an answer may be, token by token.
//!
//! The engine chooses a token first and asks about it then: a refused one is left out and another is chosen. That is
//! sampling from the distribution over all that may come, and asks once or twice instead of a hundred thousand times.

use std::collections::BTreeSet;
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

    /// What a model elsewhere can be told of it before it begins; `None` where that is nothing.
    fn outline(&self) -> Option<Outline> {
        None
    }
}

/// A regular language every answer a grammar allows is in: two parts with a separator between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// What stands between the parts, and nowhere else.
    pub separator: char,
    /// Characters the first and the second part have at most.
    pub most: [usize; 2],
    /// The numbers there may be, as written; no other digit may come.
    pub numbers: BTreeSet<String>,
    /// Characters that may not come.
    pub without: &'static [char],
}

/// Where one answer stands. Called on the inference thread, between two tokens: it has to be quick.
pub trait Constraint: Send {
    /// What is added to the logits of tokens the caller wants more than the model does, or less. Each token is named
    /// once.
    fn leanings(&mut self) -> Vec<(u32, f32)> {
        Vec::new()
    }

    /// Whether a token may come next. A token that ends an answer is asked about like any other.
    fn allows(&mut self, token: u32) -> anyhow::Result<bool>;

    /// Takes in the token that was chosen; says whether the answer is complete, so that nothing may follow.
    fn accept(&mut self, token: u32) -> anyhow::Result<bool>;
}
