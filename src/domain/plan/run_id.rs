//! The name of one run: when it began, and a few random digits.

use crate::domain::time::Timestamp;

/// Returns a run id for a run that begins `at`, with `chance` in `0.0..1.0` for its digits.
pub fn create(at: Timestamp, chance: f64) -> String {
    let number = (chance.clamp(0.0, 0.999_999_99) * 16_777_216.0).floor();
    // Formatting rounds nothing here: the value is whole and below 2^24.
    let digits = format!("{number:.0}").parse::<u32>().unwrap_or(0);
    format!("{}_{digits:06x}", at.format("%Y%m%d_%H%M%S"))
}

/// Returns true where `text` may name a run, or begin the name of one.
pub fn is_valid(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_old_form_and_is_valid() {
        let at = Timestamp::parse_from_rfc3339("2026-11-20T14:44:06+09:00").unwrap();
        assert_eq!(create(at, 0.5), "20261120_144406_800000");
        assert_eq!(create(at, 1.0), "20261120_144406_ffffff");
        assert!(is_valid(&create(at, 0.1)));
        for bad in ["", "../x", "a/b", "-a", ".a", &"a".repeat(129)] {
            assert!(!is_valid(bad), "{bad}");
        }
    }
}
