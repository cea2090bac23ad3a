//! The done condition: checks about the world, the evidence a probe brings back, and the answer.
//!
//! The probe only looks; whether what it saw satisfies a check is decided here.

use serde::{Deserialize, Serialize};

use crate::domain::job::rules::DoneCheck;

/// What a probe saw for one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConditionEvidence {
    /// The check, in words.
    pub check: String,
    /// Whether it holds.
    pub met: bool,
    /// What was seen: missing texts, an exit status, the trouble with a file.
    pub seen: String,
}

/// What can be found where a check looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// No such file.
    Absent,
    /// A file with this text.
    Text(String),
    /// Something is there that cannot be read as text, with the reason.
    Unreadable(String),
    /// A program ended with this status.
    Ended(i32),
    /// A program could not be run to its end, with the reason.
    NotRun(String),
}

/// Judges one check by what was seen.
pub fn judge(check: &DoneCheck, sight: &Observation) -> ConditionEvidence {
    let (met, seen) = match (check, sight) {
        (DoneCheck::Contains { texts, .. }, Observation::Text(text)) => contains(texts, text),
        (DoneCheck::Matches { pattern, .. }, Observation::Text(text)) => matches(pattern, text),
        (DoneCheck::Exists { exists, .. }, Observation::Absent) => {
            (!exists, "no such file".to_owned())
        }
        (DoneCheck::Exists { exists, .. }, _) => (*exists, "the file exists".to_owned()),
        (DoneCheck::Command { exit_code, .. }, Observation::Ended(code)) => {
            (code == exit_code, format!("exit code {code}"))
        }
        (_, Observation::Absent) => (false, "no such file".to_owned()),
        (_, Observation::Unreadable(why) | Observation::NotRun(why)) => (false, why.clone()),
        (_, Observation::Text(_) | Observation::Ended(_)) => {
            (false, "the probe looked at the wrong thing".to_owned())
        }
    };
    ConditionEvidence {
        check: describe(check),
        met,
        seen,
    }
}

/// Returns the check in words.
pub fn describe(check: &DoneCheck) -> String {
    match check {
        DoneCheck::Contains { file, texts } => {
            format!("{} contains {}", file.display(), texts.join(" "))
        }
        DoneCheck::Matches { file, pattern } => format!("{} matches {pattern}", file.display()),
        DoneCheck::Exists { file, exists: true } => format!("{} exists", file.display()),
        DoneCheck::Exists {
            file,
            exists: false,
        } => format!("{} does not exist", file.display()),
        DoneCheck::Command { argv, exit_code } => {
            format!("`{}` ends with {exit_code}", argv.join(" "))
        }
    }
}

fn contains(texts: &[String], text: &str) -> (bool, String) {
    let missing: Vec<&str> = texts
        .iter()
        .map(String::as_str)
        .filter(|wanted| !text.contains(wanted))
        .collect();
    if missing.is_empty() {
        (true, "all texts found".to_owned())
    } else {
        (false, format!("missing {}", missing.join(" ")))
    }
}

fn matches(pattern: &str, text: &str) -> (bool, String) {
    match regex::Regex::new(pattern) {
        Ok(regex) if regex.is_match(text) => (true, "the text matches".to_owned()),
        Ok(_) => (false, "the text does not match".to_owned()),
        Err(error) => (false, format!("the expression does not compile: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal() -> DoneCheck {
        DoneCheck::Contains {
            file: "r.txt".into(),
            texts: vec!["合計:".into(), "件数:".into()],
        }
    }

    #[test]
    fn a_missing_text_is_named() {
        let evidence = judge(&goal(), &Observation::Text("合計: 3".into()));
        assert_eq!(
            (evidence.met, evidence.seen.as_str()),
            (false, "missing 件数:")
        );
    }

    #[test]
    fn absence_satisfies_only_a_check_for_absence() {
        let absent = |exists| DoneCheck::Exists {
            file: "x".into(),
            exists,
        };
        assert!(judge(&absent(false), &Observation::Absent).met);
        assert!(!judge(&absent(true), &Observation::Absent).met);
        assert!(!judge(&goal(), &Observation::Absent).met);
    }

    #[test]
    fn a_text_is_held_against_the_expression() {
        let matched = |pattern: &str| {
            let check = DoneCheck::Matches {
                file: "r.txt".into(),
                pattern: pattern.into(),
            };
            let evidence = judge(&check, &Observation::Text("total: 3".into()));
            (evidence.met, evidence.seen)
        };
        assert_eq!(matched("^total: \\d$"), (true, "the text matches".into()));
        assert_eq!(
            matched("^sum"),
            (false, "the text does not match".to_owned())
        );
        let (met, seen) = matched("(");
        assert!(!met);
        assert!(
            seen.starts_with("the expression does not compile: "),
            "{seen}"
        );
    }

    #[test]
    fn every_check_is_told_in_words() {
        let words = |check| judge(&check, &Observation::Absent).check;
        assert_eq!(words(goal()), "r.txt contains 合計: 件数:");
        let exists = |exists| DoneCheck::Exists {
            file: "x".into(),
            exists,
        };
        assert_eq!(words(exists(true)), "x exists");
        assert_eq!(words(exists(false)), "x does not exist");
        let matches = DoneCheck::Matches {
            file: "x".into(),
            pattern: "^a".into(),
        };
        assert_eq!(words(matches), "x matches ^a");
        let command = DoneCheck::Command {
            argv: vec!["make".into(), "test".into()],
            exit_code: 0,
        };
        assert_eq!(words(command), "`make test` ends with 0");
    }

    #[test]
    fn a_command_is_judged_by_its_status() {
        let check = DoneCheck::Command {
            argv: vec!["true".into()],
            exit_code: 0,
        };
        assert!(judge(&check, &Observation::Ended(0)).met);
        assert!(!judge(&check, &Observation::Ended(1)).met);
        assert!(!judge(&check, &Observation::NotRun("no such program".into())).met);
    }
}
