//! Cutting texts to size: by characters, never inside one, always with a mark.

/// Returns the first `max` characters, and `mark` where something was cut.
pub fn head(text: &str, max: usize, mark: &str) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}{mark}", text.get(..at).unwrap_or_default()),
    }
}

/// Returns the last `max` characters, with `...` in front where something was cut.
pub fn tail(text: &str, max: usize) -> String {
    let length = text.chars().count();
    if length <= max {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(length - max).collect();
    format!("...{kept}")
}

/// Returns milliseconds as seconds, without a fraction where there is none.
pub fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) {
        (ms / 1000).to_string()
    } else {
        format!("{}.{:03}", ms / 1000, ms % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_count_characters_and_leave_a_mark() {
        assert_eq!(head("あいう", 2, "..."), "あい...");
        assert_eq!(head("あいう", 3, "..."), "あいう");
        assert_eq!(tail("あいう", 2), "...いう");
        assert_eq!(tail("あいう", 3), "あいう");
    }

    #[test]
    fn seconds_show_a_fraction_only_when_there_is_one() {
        assert_eq!((seconds(2000), seconds(1500)), ("2".into(), "1.500".into()));
    }
}
