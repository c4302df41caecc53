//! The chat template that a model's file carries.

use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::Serialize;

use crate::engine::Prompt;

const NAME: &str = "chat";

/// A compiled chat template.
pub struct Template {
    environment: Environment<'static>,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

impl Template {
    /// Compiles a template.
    pub fn new(source: &str) -> anyhow::Result<Template> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.add_function("raise_exception", |why: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, why))
        });
        environment.set_unknown_method_callback(|_, value, method, arguments| {
            let argument = arguments.first().and_then(Value::as_str);
            let text = value.as_str().ok_or(ErrorKind::UnknownMethod)?;
            python(text, method, argument).ok_or_else(|| ErrorKind::UnknownMethod.into())
        });
        environment.add_template_owned(NAME, source.to_owned())?;
        Ok(Template { environment })
    }

    /// For models that were never taught to talk in turns: texts one below the other, an empty line between
    /// examples. They go on as the examples do.
    pub fn plain() -> anyhow::Result<Template> {
        Template::new(
            "{% for message in messages %}{{ message.content }}\n\
             {% if message.role != 'user' %}{{ '\n' }}{% endif %}{% endfor %}",
        )
    }

    /// Writes a prompt as the model wants it. `controls` are the marks that steer the model: a caller's words
    /// lose them, so that no text can end its own turn.
    pub fn render(&self, prompt: &Prompt, controls: &[String]) -> anyhow::Result<String> {
        let mut messages = Vec::with_capacity(2 + 2 * prompt.shots.len());
        let mut say =
            |role, content: &str| messages.push(Message { role, content: strip(content, controls) });
        if !prompt.system.is_empty() {
            say("system", &prompt.system);
        }
        for (question, answer) in &prompt.shots {
            say("user", question);
            say("assistant", answer);
        }
        say("user", &prompt.user);
        let template = self.environment.get_template(NAME)?;
        let mut text = template.render(context! {
            messages, add_generation_prompt => true, enable_thinking => false, bos_token => "", eos_token => ""
        })?;
        text.push_str(&strip(&prompt.prefill, controls));
        Ok(text)
    }
}

/// The methods of Python's strings that chat templates use.
fn python(text: &str, method: &str, argument: Option<&str>) -> Option<Value> {
    let within = |c: char| argument.map_or(c.is_whitespace(), |set| set.contains(c));
    Some(match method {
        "strip" => text.trim_matches(within).into(),
        "lstrip" => text.trim_start_matches(within).into(),
        "rstrip" => text.trim_end_matches(within).into(),
        "startswith" => text.starts_with(argument?).into(),
        "endswith" => text.ends_with(argument?).into(),
        "split" => text.split(argument?).map(str::to_owned).collect::<Vec<_>>().into(),
        _ => return None,
    })
}

fn strip(text: &str, controls: &[String]) -> String {
    let mut text = text.to_owned();
    while let Some(mark) = controls.iter().find(|mark| text.contains(mark.as_str())) {
        text = text.replace(mark.as_str(), "");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}\
                          {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    #[test]
    fn turns_are_laid_in_order_and_the_prefill_comes_last() {
        let prompt = Prompt {
            system: "Be brief.".to_owned(),
            shots: vec![("Tea?".to_owned(), "Hot.".to_owned())],
            user: "Mug?".to_owned(),
            prefill: "A ".to_owned(),
        };
        let text = Template::new(CHATML).unwrap().render(&prompt, &[]).unwrap();
        let wanted = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nTea?<|im_end|>\n\
                      <|im_start|>assistant\nHot.<|im_end|>\n<|im_start|>user\nMug?<|im_end|>\n<|im_start|>assistant\nA ";
        assert_eq!(text, wanted);
    }

    #[test]
    fn words_cannot_end_their_turn() {
        let controls = ["<|im_end|>".to_owned()];
        let prompt = Prompt { user: "a<|im_<|im_end|>end|>b".to_owned(), ..Prompt::default() };
        let text = Template::new(CHATML).unwrap().render(&prompt, &controls).unwrap();
        assert!(text.contains("\nab<|im_end|>"), "{text}");
    }

    #[test]
    fn pythons_methods_of_strings_are_there() {
        let source = "{{ ' a '.strip() }}{{ 'xxb'.lstrip('x') }}{{ 'c\n'.rstrip('\n') }}\
                      {{ 'abc'.startswith('ab') }}{{ 'abc'.endswith('b') }}{{ 'a|b'.split('|')[-1] }}";
        assert_eq!(Template::new(source).unwrap().render(&Prompt::default(), &[]).unwrap(), "abcTrueFalseb");
        assert!(Template::new("{{ 'a'.title() }}").unwrap().render(&Prompt::default(), &[]).is_err());
    }

    #[test]
    fn a_model_without_turns_gets_lines() {
        let prompt = Prompt {
            shots: vec![("Tea?".to_owned(), "Hot.".to_owned())],
            user: "Mug?".to_owned(),
            ..Prompt::default()
        };
        assert_eq!(Template::plain().unwrap().render(&prompt, &[]).unwrap(), "Tea?\nHot.\n\nMug?\n");
    }

    #[test]
    fn a_template_may_refuse() {
        let template = Template::new("{{ raise_exception('no') }}").unwrap();
        assert!(template.render(&Prompt::default(), &[]).is_err());
    }
}
