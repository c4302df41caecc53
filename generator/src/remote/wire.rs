//! The chat completions of OpenAI's interface, as far as vLLM, llama.cpp and TGI have it in common.

use serde::{Deserialize, Serialize};

use super::RemoteConfig;
use super::outline::Told;
use crate::engine::{Prompt, Reason, Task};

/// Seeds are kept below this: llama.cpp takes 32 bits, and all of them set for "any".
const SEEDS: u64 = 1 << 31;

#[derive(Debug, Serialize)]
pub(super) struct Asked<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    max_tokens: usize,
    temperature: f64,
    top_p: f64,
    seed: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    logprobs: bool,
    /// Of each token's rivals; llama.cpp tells twenty where it is not told how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u32>,
    #[serde(flatten)]
    shape: Option<Told>,
}

#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

impl<'a> Asked<'a> {
    /// What candidate `candidate` of `task` is asked of `model`.
    pub(super) fn of(config: &'a RemoteConfig, task: &'a Task, candidate: usize) -> Self {
        let outline = task.grammar.as_ref().and_then(|grammar| grammar.outline());
        let logprobs = config.logprobs;
        Self {
            model: &config.name,
            messages: messages(&task.prompt),
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            max_tokens: task.max_tokens,
            temperature: task.temperature,
            top_p: task.top_p,
            seed: task.seed.wrapping_add(candidate as u64) % SEEDS,
            stop: &task.stop,
            logprobs,
            top_logprobs: logprobs.then_some(1),
            shape: outline.and_then(|outline| config.constraints.tell(&outline)),
        }
    }
}

fn messages(prompt: &Prompt) -> Vec<Message<'_>> {
    let message = |role, content| Message { role, content };
    let mut messages = Vec::new();
    if !prompt.system.is_empty() {
        messages.push(message("system", prompt.system.as_str()));
    }
    for (asked, answered) in &prompt.shots {
        messages.push(message("user", asked.as_str()));
        messages.push(message("assistant", answered.as_str()));
    }
    messages.push(message("user", prompt.user.as_str()));
    if !prompt.prefill.is_empty() {
        messages.push(message("assistant", prompt.prefill.as_str()));
    }
    messages
}

/// A piece of an answer. What a server leaves out is absent; what it adds is not looked at.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    pub(super) usage: Option<Usage>,
    /// What went wrong after the answer had begun.
    pub(super) error: Option<serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
    logprobs: Option<Logprobs>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Logprobs {
    content: Option<Vec<Logprob>>,
}

#[derive(Debug, Deserialize)]
struct Logprob {
    logprob: f32,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Usage {
    #[serde(default)]
    pub(super) prompt_tokens: u32,
    #[serde(default)]
    pub(super) completion_tokens: u32,
    prompt_tokens_details: Option<Details>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Details {
    cached_tokens: Option<u32>,
}

impl Usage {
    pub(super) fn cached_tokens(&self) -> u32 {
        self.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or_default()
    }
}

impl Chunk {
    pub(super) fn text(&self) -> &str {
        self.choices.first().and_then(|choice| choice.delta.content.as_deref()).unwrap_or_default()
    }

    /// Natural logarithms of the probabilities of its tokens.
    pub(super) fn likelihoods(&self) -> impl Iterator<Item = f32> {
        let logprobs = self.choices.first().and_then(|choice| choice.logprobs.as_ref());
        let tokens = logprobs.and_then(|logprobs| logprobs.content.as_deref()).unwrap_or_default();
        // Some servers write -9999 for what cannot be.
        tokens.iter().map(|token| token.logprob.clamp(-100.0, 0.0))
    }

    /// Why the answer is over, if it is.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self.choices.first()?.finish_reason.as_deref()? {
            "length" => Some(Reason::Length),
            _ => Some(Reason::Stop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_what_the_interface_takes() {
        let prompt = Prompt {
            system: "One line.".into(),
            shots: vec![("Item: Tea".into(), "Tea | A cup.".into())],
            user: "Item: Ham".into(),
            prefill: String::new(),
        };
        let task = Task { prompt, seed: u64::MAX, stop: vec!["\n".into()], ..Task::default() };
        let config = RemoteConfig { name: "m".into(), ..RemoteConfig::default() };
        let asked = serde_json::to_value(Asked::of(&config, &task, 3)).unwrap();
        let wanted = serde_json::json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "One line."},
                {"role": "user", "content": "Item: Tea"},
                {"role": "assistant", "content": "Tea | A cup."},
                {"role": "user", "content": "Item: Ham"},
            ],
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": 64,
            "temperature": 0.0,
            "top_p": 1.0,
            "seed": 2,
            "stop": ["\n"],
            "logprobs": true,
            "top_logprobs": 1,
        });
        assert_eq!(asked, wanted);
    }

    /// A line each as vLLM 0.11, llama.cpp and TGI send it.
    #[test]
    fn pieces_of_three_servers_are_read() {
        let read = |line: &str| serde_json::from_str::<Chunk>(line).unwrap();
        let vllm = read(
            r#"{"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Te"},
            "logprobs":{"content":[{"token":"Te","logprob":-0.25,"bytes":[84],"top_logprobs":[]}]},"finish_reason":null}]}"#,
        );
        assert_eq!((vllm.text(), vllm.likelihoods().collect::<Vec<_>>()), ("Te", vec![-0.25]));
        assert_eq!(vllm.reason(), None);
        let llama = read(r#"{"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"usage":null}"#);
        assert_eq!((llama.text(), llama.reason()), ("", Some(Reason::Stop)));
        let tgi = read(
            r#"{"choices":[{"delta":{"role":"assistant","content":"x"},"logprobs":null,"finish_reason":"length"}],
            "usage":{"prompt_tokens":12,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}}"#,
        );
        assert_eq!(tgi.reason(), Some(Reason::Length));
        let usage = tgi.usage.unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens()), (12, 3, 8));
    }
}
