//! Names of new files that read otherwise than they are, or that programs read as something else.

use super::{FileChange, FindingGroup, ValidationFinding};
use crate::domain::text::first_deceptive_char;

/// Finds them. What was there before has had its name before.
pub(super) fn findings(change: &FileChange) -> Option<ValidationFinding> {
    if change.before.is_some() {
        return None;
    }
    let what = fault(&change.path)?;
    Some(ValidationFinding::new(FindingGroup::Files, change, 0, what))
}

fn fault(path: &str) -> Option<String> {
    if let Some(c) = first_deceptive_char(path) {
        return Some(format!(
            "a name with the character U+{:04X}, which is not read as it is written",
            c as u32
        ));
    }
    if path.contains('\u{fffd}') {
        return Some("a name that is not valid UTF-8".to_owned());
    }
    let option = path.split('/').any(|part| part.starts_with('-'));
    option.then(|| "a name that begins with `-`, which programs read as an option".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_mislead_are_faults() {
        for path in ["src/a-b.py", "日本語.md", ".hidden", "a/b c.txt", "_-x"] {
            assert_eq!(fault(path), None, "{path}");
        }
        for path in [
            "-rf",
            "src/--force",
            "a\nb",
            "a\u{1b}[2K",
            "a\u{202e}yp.exe",
            "a\u{200b}.py",
            "a\u{fffd}",
        ] {
            assert!(fault(path).is_some(), "{path:?}");
        }
    }
}
