//! The outline of an answer in the words of three servers. OpenAI's interface has no field for it, each has its own.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::engine::Outline;

/// The second part has this many characters at least: less says nothing.
const LEAST: usize = 4;

/// Which server's words are spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Constraints {
    /// It is told nothing; what it writes is judged all the same.
    #[default]
    None,
    /// A grammar in `grammar`, as llama.cpp reads it.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// A regular expression in `structured_outputs`, as vLLM 0.12 and later read it.
    Vllm,
    /// A regular expression in `response_format`, as TGI reads it.
    Tgi,
}

/// What is said beside the rest of the request.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Told {
    LlamaCpp { grammar: String },
    Vllm { structured_outputs: Regex },
    Tgi { response_format: Format },
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Regex {
    regex: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Format {
    r#type: &'static str,
    value: String,
}

impl Constraints {
    pub(super) fn tell(self, outline: &Outline) -> Option<Told> {
        match self {
            Self::None => None,
            Self::LlamaCpp => Some(Told::LlamaCpp { grammar: grammar(outline) }),
            Self::Vllm => Some(Told::Vllm { structured_outputs: Regex { regex: expression(outline) } }),
            Self::Tgi => {
                Some(Told::Tgi { response_format: Format { r#type: "regex", value: expression(outline) } })
            }
        }
    }
}

/// The characters that are no digit of a number, as a class of both languages.
fn others(outline: &Outline) -> String {
    let without: String = outline.without.iter().collect();
    format!(r"[^0-9\n\r{}{without}]", outline.separator)
}

/// Characters of the two parts, least and most. A number counts as one: its length is judged as it comes.
fn lengths(outline: &Outline) -> [(usize, usize); 2] {
    let [first, second] = outline.most;
    [(1, first.max(1)), (LEAST, second.max(LEAST))]
}

/// In GBNF. A number stands before something else or ends a part, so that two of them make no third.
fn grammar(outline: &Outline) -> String {
    let [(least, most), (second_least, second_most)] = lengths(outline);
    let mut rules = format!(
        "root ::= first \"{}\" second\nfirst ::= part{{{least},{most}}} end\nsecond ::= part{{{second_least},{second_most}}} end\n",
        outline.separator
    );
    let numbers: Vec<String> = outline.numbers.iter().map(|number| format!("{number:?}")).collect();
    let (part, end) = if numbers.is_empty() { ("other", "\"\"") } else { ("number? other", "number?") };
    let _ = write!(rules, "part ::= {part}\nend ::= {end}\nother ::= {}\n", others(outline));
    if !numbers.is_empty() {
        let _ = writeln!(rules, "number ::= {}", numbers.join(" | "));
    }
    rules
}

/// As a regular expression without anchors or looking around.
fn expression(outline: &Outline) -> String {
    let numbers: Vec<String> = outline.numbers.iter().map(|number| number.replace('.', r"\.")).collect();
    let number = if numbers.is_empty() { String::new() } else { format!("({})?", numbers.join("|")) };
    let [first, second] = lengths(outline)
        .map(|(least, most)| format!("({number}{}){{{least},{most}}}{number}", others(outline)));
    let separator = outline.separator;
    format!(r"{first}\{separator}{second}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(numbers: &[&str]) -> Outline {
        Outline {
            separator: '|',
            most: [10, 20],
            numbers: numbers.iter().map(|number| (*number).to_owned()).collect(),
            without: &['$'],
        }
    }

    #[test]
    fn the_expression_holds_what_may_be_written_and_nothing_else() {
        let told = expression(&outline(&["20", "5.5"]));
        let whole = regex::Regex::new(&format!("^(?:{told})$")).unwrap();
        for fine in ["Tea|A cup.", "20 Bags | Of 5.5 g tea", "Tea 20|For 20", "茶|一杯好茶。"] {
            assert!(whole.is_match(fine), "{fine} by {told}");
        }
        for wrong in [
            "Tea",
            "Tea|",
            "Tea|Of 21 g",
            "Tea|Of 205.5 g",
            "Tea|Of 5x5 g",
            "Tea|For $20",
            "Tea|A|b cup",
            "Tea|A\ncup",
            "A headline too long|A cup.",
            "Tea|A cup that is too long to fit",
        ] {
            assert!(!whole.is_match(wrong), "{wrong} by {told}");
        }
        let none = regex::Regex::new(&format!("^(?:{})$", expression(&outline(&[])))).unwrap();
        assert!(none.is_match("Tea|A cup.") && !none.is_match("Tea|A cup 2"));
    }

    #[test]
    fn each_server_is_told_in_its_own_words() {
        let told =
            |constraints: Constraints| serde_json::to_value(constraints.tell(&outline(&["5.5"]))).unwrap();
        assert_eq!(told(Constraints::None), serde_json::Value::Null);
        let grammar = r#"root ::= first "|" second
first ::= part{1,10} end
second ::= part{4,20} end
part ::= number? other
end ::= number?
other ::= [^0-9\n\r|$]
number ::= "5.5"
"#;
        assert_eq!(told(Constraints::LlamaCpp), serde_json::json!({ "grammar": grammar }));
        let expression = r"((5\.5)?[^0-9\n\r|$]){1,10}(5\.5)?\|((5\.5)?[^0-9\n\r|$]){4,20}(5\.5)?";
        assert_eq!(
            told(Constraints::Vllm),
            serde_json::json!({ "structured_outputs": { "regex": expression } })
        );
        let format = serde_json::json!({ "response_format": { "type": "regex", "value": expression } });
        assert_eq!(told(Constraints::Tgi), format);
    }
}
