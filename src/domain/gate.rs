//! The done condition: checks about the world, the evidence a probe brings back, and the answer.
//!
//! The probe only looks; whether what it saw satisfies a check is decided here.

use serde::{Deserialize, Serialize};

use crate::domain::rules::Check;

/// What a probe saw for one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The check, in words.
    pub check: String,
    /// Whether it holds.
    pub met: bool,
    /// What was seen: missing texts, an exit status, the trouble with a file.
    pub seen: String,
}

/// What can be found where a check looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
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
pub fn judge(check: &Check, sight: &Sight) -> Evidence {
    let (met, seen) = match (check, sight) {
        (Check::Contains { texts, .. }, Sight::Text(text)) => contains(texts, text),
        (Check::Matches { pattern, .. }, Sight::Text(text)) => matches(pattern, text),
        (Check::Exists { exists, .. }, Sight::Absent) => (!exists, "no such file".to_owned()),
        (Check::Exists { exists, .. }, _) => (*exists, "the file exists".to_owned()),
        (Check::Command { exit_code, .. }, Sight::Ended(code)) => {
            (code == exit_code, format!("exit code {code}"))
        }
        (_, Sight::Absent) => (false, "no such file".to_owned()),
        (_, Sight::Unreadable(why) | Sight::NotRun(why)) => (false, why.clone()),
        (_, Sight::Text(_) | Sight::Ended(_)) => {
            (false, "the probe looked at the wrong thing".to_owned())
        }
    };
    Evidence {
        check: describe(check),
        met,
        seen,
    }
}

/// Returns the check in words.
pub fn describe(check: &Check) -> String {
    match check {
        Check::Contains { file, texts } => {
            format!("{} contains {}", file.display(), texts.join(" "))
        }
        Check::Matches { file, pattern } => format!("{} matches {pattern}", file.display()),
        Check::Exists { file, exists: true } => format!("{} exists", file.display()),
        Check::Exists {
            file,
            exists: false,
        } => format!("{} does not exist", file.display()),
        Check::Command { argv, exit_code } => {
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

    fn goal() -> Check {
        Check::Contains {
            file: "r.txt".into(),
            texts: vec!["合計:".into(), "件数:".into()],
        }
    }

    #[test]
    fn a_missing_text_is_named() {
        let evidence = judge(&goal(), &Sight::Text("合計: 3".into()));
        assert_eq!(
            (evidence.met, evidence.seen.as_str()),
            (false, "missing 件数:")
        );
    }

    #[test]
    fn absence_satisfies_only_a_check_for_absence() {
        let absent = |exists| Check::Exists {
            file: "x".into(),
            exists,
        };
        assert!(judge(&absent(false), &Sight::Absent).met);
        assert!(!judge(&absent(true), &Sight::Absent).met);
        assert!(!judge(&goal(), &Sight::Absent).met);
    }

    #[test]
    fn a_command_is_judged_by_its_status() {
        let check = Check::Command {
            argv: vec!["true".into()],
            exit_code: 0,
        };
        assert!(judge(&check, &Sight::Ended(0)).met);
        assert!(!judge(&check, &Sight::Ended(1)).met);
        assert!(!judge(&check, &Sight::NotRun("no such program".into())).met);
    }
}
