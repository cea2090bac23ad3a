//! What filters keep of names that git lists, so that they stay the names of files of the project.

use crate::domain::policy::partial_text::is_in;

/// Returns whether code of awk prints nothing that stands in quotes; what stands in them before the first block is only compared.
pub(super) fn prints_no_text(code: &str) -> bool {
    let (head, block) = code.split_once('{').unwrap_or(("", code));
    let compares = head.replace("==", "").replace("!=", "");
    let is_quoted = block.contains('"') || head.contains('"') && compares.contains(['=', '(']);
    !is_quoted || !code.contains("print")
}

/// Returns whether a search keeps the lines of its input as they are.
pub(super) fn keeps_lines(name: &str, args: &[String]) -> bool {
    let is_tame = |arg: &String| {
        let cluster = arg.strip_prefix('-');
        cluster.is_none_or(|letters| letters.chars().all(|c| "viEFGPwx".contains(c)))
    };
    is_in("grep egrep fgrep", name) && args.iter().all(is_tame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_puts_in_a_text_is_told_from_code_that_compares() {
        assert!(prints_no_text("$1 == \"100644\" {print $4}") && prints_no_text("{print $2}"));
        for code in [
            "{print \"x\"}",
            "$1 = \"x\" {print}",
            "sub(/a/, \"x\") {print}",
        ] {
            assert!(!prints_no_text(code), "{code}");
        }
    }
}
