//! What code may use without a further look: the lists in `known/`, one for each language.

use std::{collections::HashSet, sync::OnceLock};

use crate::domain::policy::programs::code::Language;

/// Names by what they are.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Modules that only compute, read and print.
    pub(super) modules: HashSet<&'static str>,
    /// Modules of which only some members are harmless.
    pub(super) guarded: HashSet<&'static str>,
    /// These members.
    pub(super) members: HashSet<&'static str>,
    /// What is called by its bare name, and the words of the language.
    pub(super) functions: HashSet<&'static str>,
    /// What values can be asked to do.
    pub(super) methods: HashSet<&'static str>,
    /// Classes and constants.
    pub(super) types: HashSet<&'static str>,
    /// Functions that call the function which they are given by name.
    pub(super) callers: HashSet<&'static str>,
    /// Names through which any function can be reached.
    pub(super) names: HashSet<&'static str>,
    /// Modules that are there to run something, or to reach what cannot be followed.
    pub(super) refused: HashSet<&'static str>,
}

const PYTHON: &str = include_str!("known/python.txt");
const JAVASCRIPT: &str = include_str!("known/javascript.txt");
const OTHERS: &str = include_str!("known/others.txt");

/// Returns the lists of a language; `None` where its code is only looked through for calls with consequences.
pub(super) fn lists(language: Language) -> Option<&'static Lists> {
    static LISTS: [OnceLock<Lists>; 9] = [const { OnceLock::new() }; 9];
    let (at, text, start) = match language {
        Language::Python => (0, PYTHON, ""),
        Language::JavaScript => (1, JAVASCRIPT, ""),
        Language::Ruby => (2, OTHERS, "ruby."),
        Language::Perl => (3, OTHERS, "perl."),
        Language::Php => (4, OTHERS, "php."),
        Language::Lua => (5, OTHERS, "lua."),
        Language::R => (6, OTHERS, "r."),
        Language::Awk => (7, OTHERS, "awk."),
        Language::Tcl => (8, OTHERS, "tcl."),
        Language::C => return None,
    };
    LISTS
        .get(at)
        .map(|own| own.get_or_init(|| read(text, start)))
}

fn read(text: &'static str, start: &str) -> Lists {
    let mut lists = Lists::default();
    let mut key = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_ascii_whitespace().peekable();
        if let Some(named) = words.peek().and_then(|word| word.strip_suffix(':'))
            && line.contains(": ")
        {
            key = named;
            words.next();
        }
        let list = match key.strip_prefix(start) {
            Some("modules") => &mut lists.modules,
            Some("guarded") => &mut lists.guarded,
            Some("members") => &mut lists.members,
            Some("functions") => &mut lists.functions,
            Some("methods") => &mut lists.methods,
            Some("types") => &mut lists.types,
            Some("callers") => &mut lists.callers,
            Some("names") => &mut lists.names,
            Some("refused") => &mut lists.refused,
            _ => continue,
        };
        list.extend(words);
    }
    lists
}

impl Lists {
    /// Returns whether a dotted name is a member of a harmless module, or such a module itself.
    pub(super) fn is_of_module(&self, word: &str) -> bool {
        leads(word).any(|lead| self.modules.contains(lead))
    }

    /// Returns whether a dotted name is a described member of a guarded module, or hangs on one.
    pub(super) fn is_member(&self, word: &str) -> bool {
        leads(word).any(|lead| self.members.contains(lead))
    }

    /// Returns whether a dotted name belongs to a module that is refused.
    pub(super) fn is_refused(&self, word: &str) -> bool {
        leads(word).any(|lead| self.refused.contains(lead))
    }
}

/// Returns a dotted name and everything that it hangs on, the longest first.
fn leads(word: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(word), |word| {
        let word: &str = word;
        let at = word.rfind(['.', ':'])?;
        word.get(..at).map(|lead| lead.trim_end_matches(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_its_lists_and_nothing_is_both_harmless_and_refused() {
        let languages = [
            Language::Python,
            Language::JavaScript,
            Language::Ruby,
            Language::Perl,
            Language::Php,
            Language::Lua,
            Language::R,
            Language::Awk,
            Language::Tcl,
        ];
        for language in languages {
            let lists = lists(language).unwrap();
            assert!(lists.functions.len() > 40, "{language:?}");
            let both: Vec<_> = lists.modules.intersection(&lists.refused).collect();
            assert!(both.is_empty(), "{language:?} {both:?}");
            let both: Vec<_> = lists.names.intersection(&lists.functions).collect();
            assert!(both.is_empty(), "{language:?} {both:?}");
            let both: Vec<_> = lists.names.intersection(&lists.methods).collect();
            assert!(both.is_empty(), "{language:?} {both:?}");
        }
        assert!(lists(Language::C).is_none());
    }

    #[test]
    fn a_name_is_known_by_what_it_hangs_on() {
        let python = lists(Language::Python).unwrap();
        assert!(python.is_of_module("json.decoder.JSONDecoder"));
        assert!(python.is_member("sys.stdout.write") && !python.is_member("os.remove"));
        assert!(
            python.is_refused("logging.config.fileConfig") && !python.is_refused("logging.info")
        );
        assert!(
            lists(Language::Perl)
                .unwrap()
                .is_of_module("List::Util::sum")
        );
    }
}
