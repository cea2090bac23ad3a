//! `when`: the condition under which a task runs, read from a short expression about the tasks it depends on.
//!
//! ```text
//! any_failed                                  one word
//! failed("build") || exit_code("test") == 3   or an expression
//! ```

use crate::domain::plan::status::TaskStatus;

/// A condition about tasks that are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhenCondition {
    /// The text as written.
    pub text: String,
    expression: Expression,
}

/// What a condition may ask about one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamState {
    /// How it ended.
    pub status: TaskStatus,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Whether it counts as a success.
    pub is_good: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    AllSuccess,
    AllDone,
    AnySuccess,
    AnyFailed,
    NoneFailed,
    Not(Box<Self>),
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    StatusIs(String, TaskStatus, bool),
    ExitCodeIs(String, i32, bool),
}

/// Why a condition cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Something else stands where a word was expected.
    #[error("expected {expected} at `{found}`")]
    Unexpected {
        /// What could stand there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A function of this name does not exist.
    #[error("unknown word `{word}`")]
    UnknownWord {
        /// The word.
        word: String,
    },
    /// Too many brackets.
    #[error("nested too deeply")]
    TooDeep,
}

/// The words a condition may consist of.
pub const WORDS: &[&str] = &[
    "all_success",
    "all_done",
    "always",
    "any_success",
    "any_failed",
    "none_failed",
    "succeeded",
    "failed",
    "skipped",
    "status",
    "exit_code",
];

const MAX_DEPTH: u32 = 32;

impl WhenCondition {
    /// Reads a condition.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser { rest: text.trim() };
        let expression = parser.either(0)?;
        if !parser.rest.is_empty() {
            return Err(parser.unexpected("`&&`, `||` or the end"));
        }
        Ok(Self {
            text: text.trim().to_owned(),
            expression,
        })
    }

    /// Returns the names of the tasks the condition asks about.
    pub fn task_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.expression.names(&mut names);
        names
    }

    /// Returns whether the condition holds, given all that the task depends on and a way to ask for one by name.
    pub fn holds(
        &self,
        all: &[UpstreamState],
        by_name: &dyn Fn(&str) -> Option<UpstreamState>,
    ) -> bool {
        self.expression.holds(all, by_name)
    }
}

impl Expression {
    fn names<'a>(&'a self, into: &mut Vec<&'a str>) {
        match self {
            Self::Not(inner) => inner.names(into),
            Self::And(left, right) | Self::Or(left, right) => {
                left.names(into);
                right.names(into);
            }
            Self::StatusIs(name, ..) | Self::ExitCodeIs(name, ..) => into.push(name),
            Self::AllSuccess
            | Self::AllDone
            | Self::AnySuccess
            | Self::AnyFailed
            | Self::NoneFailed => {}
        }
    }

    fn holds(
        &self,
        all: &[UpstreamState],
        by_name: &dyn Fn(&str) -> Option<UpstreamState>,
    ) -> bool {
        match self {
            Self::AllSuccess => all.iter().all(|task| task.is_good),
            Self::AllDone => true,
            Self::AnySuccess => all.iter().any(|task| task.status == TaskStatus::Success),
            Self::AnyFailed => all.iter().any(|task| task.status == TaskStatus::Failed),
            Self::NoneFailed => all.iter().all(|task| task.status != TaskStatus::Failed),
            Self::Not(inner) => !inner.holds(all, by_name),
            Self::And(left, right) => left.holds(all, by_name) && right.holds(all, by_name),
            Self::Or(left, right) => left.holds(all, by_name) || right.holds(all, by_name),
            Self::StatusIs(name, status, wanted) => {
                by_name(name).is_some_and(|task| (task.status == *status) == *wanted)
            }
            Self::ExitCodeIs(name, code, wanted) => {
                by_name(name).is_some_and(|task| (task.exit_code == Some(*code)) == *wanted)
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn unexpected(&self, expected: &'static str) -> Error {
        let found: String = self.rest.chars().take(20).collect();
        Error::Unexpected { expected, found }
    }

    fn takes(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn demands(&mut self, token: &'static str) -> Result<(), Error> {
        if self.takes(token) {
            Ok(())
        } else {
            Err(self.unexpected(token))
        }
    }

    fn either(&mut self, depth: u32) -> Result<Expression, Error> {
        let mut left = self.both(depth)?;
        while self.takes("||") {
            left = Expression::Or(Box::new(left), Box::new(self.both(depth)?));
        }
        Ok(left)
    }

    fn both(&mut self, depth: u32) -> Result<Expression, Error> {
        let mut left = self.single(depth)?;
        while self.takes("&&") {
            left = Expression::And(Box::new(left), Box::new(self.single(depth)?));
        }
        Ok(left)
    }

    fn single(&mut self, depth: u32) -> Result<Expression, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        if self.takes("!") {
            return Ok(Expression::Not(Box::new(self.single(depth + 1)?)));
        }
        if self.takes("(") {
            let inner = self.either(depth + 1)?;
            self.demands(")")?;
            return Ok(inner);
        }
        let word = self.word();
        match word {
            "all_success" => Ok(Expression::AllSuccess),
            "all_done" | "always" => Ok(Expression::AllDone),
            "any_success" => Ok(Expression::AnySuccess),
            "any_failed" => Ok(Expression::AnyFailed),
            "none_failed" => Ok(Expression::NoneFailed),
            "succeeded" => Ok(Expression::StatusIs(
                self.name()?,
                TaskStatus::Success,
                true,
            )),
            "failed" => Ok(Expression::StatusIs(self.name()?, TaskStatus::Failed, true)),
            "skipped" => Ok(Expression::StatusIs(
                self.name()?,
                TaskStatus::Skipped,
                true,
            )),
            "status" => self.status(),
            "exit_code" => self.exit_code(),
            "" => Err(self.unexpected("a word")),
            _ => Err(Error::UnknownWord {
                word: word.to_owned(),
            }),
        }
    }

    fn word(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn name(&mut self) -> Result<String, Error> {
        self.demands("(")?;
        let name = self.quoted()?;
        self.demands(")")?;
        Ok(name)
    }

    fn quoted(&mut self) -> Result<String, Error> {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let Some(quote) = quote else {
            return Err(self.unexpected("a name in quotes"));
        };
        let inner = self.rest.get(1..).unwrap_or_default();
        let Some((name, rest)) = inner.split_once(quote) else {
            return Err(self.unexpected("a name in quotes"));
        };
        self.rest = rest.trim_start();
        Ok(name.to_owned())
    }

    fn equals(&mut self) -> Result<bool, Error> {
        if self.takes("==") {
            return Ok(true);
        }
        self.demands("!=").map(|()| false)
    }

    fn status(&mut self) -> Result<Expression, Error> {
        let name = self.name()?;
        let wanted = self.equals()?;
        let word = self.quoted()?;
        match TaskStatus::from_name(&word.to_ascii_uppercase()) {
            Some(status) => Ok(Expression::StatusIs(name, status, wanted)),
            None => Err(Error::UnknownWord { word }),
        }
    }

    fn exit_code(&mut self) -> Result<Expression, Error> {
        let name = self.name()?;
        let wanted = self.equals()?;
        let sign = if self.takes("-") { "-" } else { "" };
        let digits = self.word();
        match format!("{sign}{digits}").parse() {
            Ok(code) => Ok(Expression::ExitCodeIs(name, code, wanted)),
            Err(_) => Err(self.unexpected("a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(status: TaskStatus, exit_code: i32) -> UpstreamState {
        UpstreamState {
            status,
            exit_code: Some(exit_code),
            is_good: status == TaskStatus::Success,
        }
    }

    #[test]
    fn conditions_ask_about_upstream_tasks() {
        let build = upstream(TaskStatus::Success, 0);
        let test = upstream(TaskStatus::Failed, 3);
        let table = [
            ("all_success", false),
            ("any_failed", true),
            ("always", true),
            ("none_failed", false),
            ("any_success", true),
            ("failed(\"test\")", true),
            ("succeeded('build') && !failed('test')", false),
            (
                "(exit_code('test') == 3 || failed('build')) && status('build') == 'success'",
                true,
            ),
            ("exit_code('test') != 3", false),
            ("skipped('build')", false),
        ];
        for (text, wanted) in table {
            let when = WhenCondition::parse(text).unwrap();
            let by_name = |name: &str| match name {
                "build" => Some(build),
                "test" => Some(test),
                _ => None,
            };
            assert_eq!(when.holds(&[build, test], &by_name), wanted, "{text}");
        }
        assert_eq!(
            WhenCondition::parse("failed('a') || status('b')!='FAILED'")
                .unwrap()
                .task_names(),
            ["a", "b"]
        );
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        assert_eq!(
            WhenCondition::parse("sometimes").unwrap_err(),
            Error::UnknownWord {
                word: "sometimes".to_owned()
            }
        );
        for text in [
            "",
            "failed(",
            "failed(\"a",
            "all_done all_done",
            "exit_code('a') == x",
            "1",
            "((",
        ] {
            assert!(WhenCondition::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            WhenCondition::parse(&"(".repeat(5000)).unwrap_err(),
            Error::TooDeep
        );
        assert_eq!(
            WhenCondition::parse(&"!".repeat(5000)).unwrap_err(),
            Error::TooDeep
        );
    }
}
