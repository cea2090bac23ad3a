//! Loops that have no end and take more and more: processes that nobody waits for, a value that grows.

use brush_parser::ast;

use crate::domain::policy::{rule::EffectTrait, shell::Machine};

/// Jobs in the background that one loop may start.
const MANY: u64 = 256;

impl Machine<'_, '_> {
    /// Looks at a loop whose condition never changes.
    pub(super) fn endless(
        &mut self,
        condition: Option<&ast::CompoundList>,
        until: bool,
        body: &ast::CompoundList,
    ) {
        let always = condition.is_none_or(|condition| {
            let text = condition.to_string();
            let words = text.trim().trim_end_matches(';').trim();
            let holds = [
                "true",
                ":",
                "(( 1 ))",
                "((1))",
                "[ 1 ]",
                "[[ 1 ]]",
                "test 1",
                "/bin/true",
            ];
            let fails = ["false", "(( 0 ))", "((0))", "/bin/false"];
            if until {
                fails.contains(&words)
            } else {
                holds.contains(&words)
            }
        });
        if !always {
            return;
        }
        let text = body.to_string();
        let ends = ["break", "exit", "return", "read ", "wait"];
        if ends.iter().any(|word| text.contains(word)) {
            return;
        }
        if starts_jobs(body) {
            self.takes_more("starts processes without end");
        } else if text.contains("+=") && !text.contains("sleep") {
            self.takes_more("lets a value grow without end");
        } else if !["sleep", "inotifywait", "timeout", "watch"]
            .iter()
            .any(|word| text.contains(word))
        {
            self.takes_more("goes on without end and without a pause");
        }
    }

    /// Looks at a loop over many values that starts a job for each.
    pub(super) fn many_jobs(&mut self, words: &str, body: &ast::CompoundList) {
        let text = body.to_string();
        let waits = ["wait", "break", "exit", "jobs"]
            .iter()
            .any(|word| text.contains(word));
        if starts_jobs(body) && !waits && most(words) > MANY {
            self.takes_more("starts more processes than the machine holds");
        }
    }

    /// Looks for a text that starts itself over and over by the name it was started with.
    pub(super) fn starts_itself(&mut self, code: &str) {
        let plain: String = code
            .chars()
            .filter(|c| !c.is_whitespace() && !"\"'\\{}".contains(*c))
            .collect();
        if ["$0|$0", "$0&$0", "$0|&$0"]
            .iter()
            .any(|text| plain.contains(text))
        {
            self.reading
                .does(EffectTrait::System, "it starts itself again and again");
        }
    }

    /// Looks at a program whose output never ends and goes to a file.
    pub(super) fn fills(&mut self, words: &[String], file: &str) {
        const SOURCES: [&str; 4] = ["/dev/zero", "/dev/urandom", "/dev/random", "/dev/full"];
        let name = words.first().map_or("", String::as_str);
        let reads = ["cat", "tac", "base64", "xxd", "od", "tr", "pv", "hexdump"].contains(&name)
            && words.iter().any(|word| SOURCES.contains(&word.as_str()));
        let endless = ["tail", "sort"].contains(&name)
            && words.iter().any(|word| SOURCES.contains(&word.as_str()));
        if endless {
            self.reading
                .does(EffectTrait::System, format!("{name} reads without end"));
        }
        let device = ["/dev/null", "/dev/stdout", "/dev/stderr"].contains(&file);
        if (reads || name == "yes") && !device {
            self.reading
                .does(EffectTrait::System, format!("{name} fills the disk"));
        }
    }

    fn takes_more(&mut self, what: &str) {
        self.reading
            .does(EffectTrait::System, format!("a loop {what}"));
    }
}

/// Returns whether a command of a list is left to run by itself.
fn starts_jobs(list: &ast::CompoundList) -> bool {
    let mut items = list.0.iter();
    let async_ = |item: &ast::CompoundListItem| matches!(item.1, ast::SeparatorOperator::Async);
    let text = list.to_string();
    let inside = ["&)", "& )", "& }", "&;"].iter().any(|end| {
        let both = format!("&{end}");
        text.contains(end) && !text.contains(&both)
    });
    items.any(async_) || inside
}

/// Returns the largest number in a text.
fn most(text: &str) -> u64 {
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    numbers
        .filter_map(|number| number.parse().ok())
        .max()
        .unwrap_or(0)
}
