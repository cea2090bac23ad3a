//! Makefiles that the command itself wrote: their recipes are commands, and what brings in others is not understood.

use crate::domain::policy::{
    partial_text::TextScanner,
    programs::vague_code,
    shell::{ShellInterpreter, bracketed},
};

/// Functions of make that run, write or make up what stands elsewhere.
const HIDES: [&str; 9] = [
    "${shell", "$(file", "${file", "$(eval", "${eval", "$(call", "${call", "$(guile", "${guile",
];

impl ShellInterpreter<'_, '_> {
    /// Looks through a makefile: recipes and `$(shell …)`.
    pub(super) fn makefile(&mut self, text: &str) {
        vague_code(self, text, "make");
        let is_hidden = HIDES.iter().any(|mark| text.contains(mark));
        if is_hidden || text.lines().any(brings_in) {
            self.reading
                .opaque("a makefile that brings in what no recipe of its own says");
        }
        for (at, _) in text.match_indices("$(shell ") {
            let mut scan = TextScanner::new(text.get(at + 8..).unwrap_or(""));
            let code = bracketed(&mut scan, '(', ')').to_owned();
            drop(self.run_text(&code, "make", String::new()));
        }
        for line in text.lines() {
            let recipe = line.strip_prefix('\t').or_else(|| {
                line.split_once(';')
                    .filter(|(head, _)| head.contains(':'))
                    .map(|(_, code)| code)
            });
            let value = line.split_once("!=").map(|(_, code)| code);
            if let Some(code) = recipe.or(value) {
                let code = code
                    .trim_start_matches(['@', '-', '+', ' '])
                    .replace("$$", "$")
                    .replace("$(", "${")
                    .replace("${shell ", "$(shell ");
                let code = code.replace("${", "$_").replace(['}'], "");
                drop(self.aside(|shell| shell.run_text(&code, "make", String::new())));
            }
        }
    }
}

/// Returns whether a line reads another makefile, loads a program, or says what runs the recipes.
fn brings_in(line: &str) -> bool {
    let line = line.trim_start_matches(' ');
    let mut words = line.split([' ', '\t', '=', ':', '+', '?']);
    let first = words.next().unwrap_or("").trim_start_matches('-');
    ["include", "sinclude", "load", "SHELL", ".SHELLFLAGS"].contains(&first)
        || line.contains("override SHELL")
        || line.contains("define ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_bring_in_others_are_told_from_rules() {
        for line in [
            "include /tmp/x.mk",
            "-include a.mk",
            "SHELL = /tmp/x",
            "load ./x.so",
            ".SHELLFLAGS := -c",
        ] {
            assert!(brings_in(line), "{line}");
        }
        for line in ["all: include", "\techo load", "CFLAGS = -Iinclude"] {
            assert!(!brings_in(line), "{line}");
        }
    }
}
