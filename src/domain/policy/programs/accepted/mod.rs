//! Which options of a program are understood, and what the ones with consequences do.
//!
//! `options.txt` holds the options that the programs' own help names: a section for each program, or for a subcommand of it, in the
//! order of their names, so that a section is found by halving the list of them. An option that stands in no
//! line of its section is not understood. Programs and subcommands without a section are left to the other lists.
//!
//! Lines of a section: `s` and `v` letters without and with a value, `l` long names (`no-` may stand before each; a name with a dash
//! in front is written after one), then those with consequences: `W` writes its value, `X` runs it as a command, `L` loads or runs the
//! file, `N` reaches another machine, `O` does what nobody can follow. Flags of a section: `g` long names may be shortened, `f` only
//! what stands before the first word counts.

use std::sync::LazyLock;

use crate::domain::policy::{
    partial_text::is_vague, programs::vague_code, resolved_path::ResolvedPath, rule::EffectKind,
    shell::ShellInterpreter,
};

const OPTIONS: &str = include_str!("options.txt");

/// Programs whose `-e` takes whatever follows, a text that begins like an option too.
const PATTERNS: [&str; 5] = ["grep", "egrep", "fgrep", "zgrep", "rg"];

/// One section of the text.
#[derive(Debug, Clone, Copy)]
struct Section {
    /// Its lines behind the one with the name.
    lines: &'static str,
    /// Whether long names may be shortened.
    shortens: bool,
    /// Whether only the options before the first word are the program's own.
    leading: bool,
}

/// What is known of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OptionUse {
    /// It is in no line.
    Unknown,
    /// It does nothing besides what the program is for; whether a value follows.
    Tame(bool),
    /// It is in the line with this letter.
    Acts(char),
}

/// The sections by their names, found once for a process.
static SECTIONS: LazyLock<Vec<(&'static str, Section)>> = LazyLock::new(|| {
    let texts = OPTIONS
        .split("\n= ")
        .map(|text| text.trim_start_matches("= "));
    let sections = texts.filter_map(|text| {
        let (title, lines) = text.split_once('\n').unwrap_or((text, ""));
        let (own, flags) = title.split_once(" | ").unwrap_or((title, ""));
        let section = Section {
            lines,
            shortens: flags.contains('g'),
            leading: flags.contains('f'),
        };
        (!own.is_empty()).then_some((own, section))
    });
    sections.collect()
});

/// Returns the section with this name.
fn section(name: &str) -> Option<Section> {
    let at = SECTIONS
        .binary_search_by(|(own, _)| (*own).cmp(name))
        .ok()?;
    SECTIONS.get(at).map(|(_, section)| *section)
}

impl Section {
    fn lines_of(self, tags: &'static str) -> impl Iterator<Item = (char, &'static str)> {
        self.lines.lines().filter_map(move |line| {
            let tag = line.chars().next().filter(|tag| tags.contains(*tag))?;
            Some((tag, line.get(2..).unwrap_or("")))
        })
    }

    /// Returns what is known of a letter.
    fn letter(self, letter: char) -> OptionUse {
        let acts = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            words.any(|word| {
                let rest = word.strip_prefix('-');
                rest.is_some_and(|rest| rest.chars().eq([letter]))
            })
        };
        if let Some((tag, _)) = self.lines_of("WXLNO").find(|(_, line)| acts(line)) {
            return OptionUse::Acts(tag);
        }
        // PowerShell hands letters on in small, as far as its reader knows.
        let same = |line: &str| line.contains(letter) || line.contains(letter.to_ascii_uppercase());
        match self.lines_of("sv").find(|(_, line)| same(line)) {
            Some((tag, _)) => OptionUse::Tame(tag == 'v'),
            None if letter.is_ascii_digit() => OptionUse::Tame(false),
            None => OptionUse::Unknown,
        }
    }

    /// Returns what is known of a name of several letters; `written` has its dashes, and no value.
    fn name(self, written: &str) -> OptionUse {
        let name = written.strip_prefix("--").unwrap_or(written);
        let acts =
            |line: &str, fits: &dyn Fn(&str) -> bool| line.split_ascii_whitespace().any(fits);
        let exact = |word: &str| word == written;
        if let Some((tag, _)) = self.lines_of("WXLNO").find(|(_, line)| acts(line, &exact)) {
            return OptionUse::Acts(tag);
        }
        let positive = name.strip_prefix("no-").unwrap_or(name);
        // tsc and PowerShell do not tell small letters and capitals apart.
        let same =
            |word: &str| word.eq_ignore_ascii_case(name) || word.eq_ignore_ascii_case(positive);
        let known = |word: &str| same(word) || word.strip_prefix("no-") == Some(name);
        if ["help", "version"].contains(&name)
            || self.lines_of("l").any(|(_, line)| acts(line, &known))
        {
            return OptionUse::Tame(false);
        }
        if !self.shortens || !written.starts_with("--") {
            return OptionUse::Unknown;
        }
        let begins = |word: &str| word.starts_with(written);
        if let Some((tag, _)) = self.lines_of("WXLNO").find(|(_, line)| acts(line, &begins)) {
            return OptionUse::Acts(tag);
        }
        let begins = |word: &str| word.starts_with(positive);
        let known = self.lines_of("l").any(|(_, line)| acts(line, &begins));
        if known {
            OptionUse::Tame(false)
        } else {
            OptionUse::Unknown
        }
    }
}

impl ShellInterpreter<'_, '_> {
    /// Looks at the options of a program of which all are listed.
    pub(super) fn accepted_options(&mut self, name: &str, args: &[String]) {
        let Some(first) = args.first() else {
            return;
        };
        // `git` has looked for its subcommand already.
        let own = section(name);
        let mut words = args
            .iter()
            .enumerate()
            .filter(|(_, arg)| !arg.starts_with(['-', '+']));
        // What follows an option may be its value: `kubectl -n shop get`.
        let verb = words.find(|(at, arg)| {
            let before = at.checked_sub(1).and_then(|at| args.get(at));
            let may_be_value =
                before.is_some_and(|before| before.starts_with('-') && !before.contains('='));
            !may_be_value || section(&format!("{name} {arg}")).is_some()
        });
        let inner = verb.and_then(|(at, verb)| {
            let one = format!("{name} {verb}");
            let next = args.get(at + 1).map_or("", String::as_str);
            let two = section(&format!("{one} {next}")).map(|found| (found, at + 2));
            two.or_else(|| section(&one).map(|found| (found, at + 1)))
        });
        match (own, inner) {
            (_, Some((found, at))) => {
                self.options_of(name, own, None, args.get(..at).unwrap_or_default());
                let rest = args.get(at..).unwrap_or_default();
                self.options_of(name, Some(found), own, rest);
            }
            (Some(_), None) if first.starts_with('-') || !has_inner(name) => {
                self.options_of(name, own, None, args);
            }
            _ => {}
        }
    }

    /// Looks at options, each held against a section and, where it is not there, against that of the whole program.
    fn options_of(
        &mut self,
        name: &str,
        own: Option<Section>,
        outer: Option<Section>,
        args: &[String],
    ) {
        let Some(own) = own else {
            return;
        };
        let of = |ask: &dyn Fn(Section) -> OptionUse| {
            let found = ask(own);
            let elsewhere = outer.filter(|_| found == OptionUse::Unknown);
            elsewhere.map_or(found, ask)
        };
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            at += 1;
            let next = args.get(at).map_or("", String::as_str);
            let Some(option) = arg.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                if own.leading {
                    return;
                }
                continue;
            };
            if arg == "--" {
                return;
            }
            let (written, value) = arg.split_once('=').unwrap_or((arg, ""));
            // `--define:NAME=value`.
            let written = written.split(':').next().unwrap_or(written);
            if is_vague(written) {
                continue;
            }
            let whole = of(&|section| section.name(written));
            if arg.starts_with("--") || whole != OptionUse::Unknown && option.len() > 1 {
                let value = if arg.contains('=') { value } else { next };
                self.option_used(name, written, value, whole);
                continue;
            }
            at += usize::from(self.cluster_used(name, option, next, &|letter| {
                of(&|section| section.letter(letter))
            }));
        }
    }

    /// Looks at letters that stand together; returns whether the next word is the value of the last.
    fn cluster_used(
        &mut self,
        name: &str,
        cluster: &str,
        next: &str,
        of: &dyn Fn(char) -> OptionUse,
    ) -> bool {
        for (at, letter) in cluster.char_indices() {
            let rest = cluster.get(at + letter.len_utf8()..).unwrap_or("");
            let value = if rest.is_empty() { next } else { rest };
            match of(letter) {
                OptionUse::Tame(_) if letter == 'e' && PATTERNS.contains(&name) => {
                    return rest.is_empty();
                }
                OptionUse::Tame(false) => {}
                OptionUse::Tame(true) => return rest.is_empty() && !next.starts_with("--"),
                found @ (OptionUse::Acts(_) | OptionUse::Unknown) => {
                    self.option_used(name, &format!("-{letter}"), value, found);
                    return rest.is_empty()
                        && found != OptionUse::Unknown
                        && !next.starts_with('-');
                }
            }
        }
        false
    }

    fn option_used(&mut self, name: &str, option: &str, value: &str, found: OptionUse) {
        let value = value.trim_start_matches('=');
        match found {
            OptionUse::Tame(_) => {}
            OptionUse::Unknown => self.reading.opaque(format!(
                "{name} with `{option}`, an option that is not described"
            )),
            OptionUse::Acts('W') if value.is_empty() || value.starts_with('-') => {}
            OptionUse::Acts('W') => {
                self.blurs(value);
                self.changes(value);
            }
            OptionUse::Acts('X') => {
                vague_code(self, value, name);
                drop(self.run_text(value, name, String::new()));
            }
            OptionUse::Acts('L') => {
                let at_home = |place: &ResolvedPath| matches!(place, ResolvedPath::Home(_));
                self.runs_file(value);
                if self.resolve_all(value).iter().any(at_home) {
                    self.reading.opaque(format!(
                        "{name} loads {value}, which is none of the project"
                    ));
                }
            }
            OptionUse::Acts('N') => self.reading.does(
                EffectKind::Network,
                format!("{name} with {option} reaches another machine"),
            ),
            OptionUse::Acts(_) => self.reading.opaque(format!(
                "{name} with `{option}`, which runs, loads or hands out something"
            )),
        }
    }
}

/// Returns whether a program has sections for its subcommands, so that a word before them is one that nobody listed.
fn has_inner(name: &str) -> bool {
    ["docker", "kubectl", "cargo", "git", "ruff", "coverage"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles() -> Vec<&'static str> {
        let heads = OPTIONS.lines().filter_map(|line| line.strip_prefix("= "));
        heads
            .map(|head| head.split(" | ").next().unwrap_or(head))
            .collect()
    }

    #[test]
    fn the_sections_stand_in_order_and_each_is_found() {
        let titles = titles();
        assert!(titles.is_sorted() && OPTIONS.is_ascii(), "{titles:?}");
        for title in &titles {
            assert!(section(title).is_some(), "{title}");
        }
        for other in ["", "a", "zzz", "git zzz", "sort x"] {
            assert!(section(other).is_none(), "{other}");
        }
    }

    #[test]
    fn every_line_has_a_tag() {
        for line in OPTIONS.lines() {
            let mut start = line.chars();
            assert!(
                start.next().is_some_and(|tag| "=svlWXLNO".contains(tag)),
                "{line}"
            );
            assert_eq!(start.next(), Some(' '), "{line}");
        }
    }

    #[test]
    fn letters_names_and_shortened_names_are_told_apart() {
        let sort = section("sort").unwrap();
        assert_eq!(sort.letter('r'), OptionUse::Tame(false));
        assert_eq!(sort.letter('k'), OptionUse::Tame(true));
        assert_eq!(sort.letter('o'), OptionUse::Acts('W'));
        assert_eq!(sort.letter('Q'), OptionUse::Unknown);
        assert_eq!(sort.name("--reverse"), OptionUse::Tame(false));
        assert_eq!(sort.name("--rev"), OptionUse::Tame(false));
        assert_eq!(sort.name("--outp"), OptionUse::Acts('W'));
        assert_eq!(sort.name("--compress-prog"), OptionUse::Acts('X'));
        assert_eq!(sort.name("--frobnicate"), OptionUse::Unknown);
        let jest = section("jest").unwrap();
        assert_eq!(jest.name("--cover"), OptionUse::Unknown);
        assert_eq!(jest.name("--no-coverage"), OptionUse::Tame(false));
    }
}
