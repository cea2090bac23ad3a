//! Lists of commands with `&&` and `||`: which of them may not happen, and in which folders the shell may be afterwards.
//!
//! Danger: whoever goes to a folder that is not there stays where they are, and the next `rm -rf *` hits what they are in. What
//! ends a shell there (`set -e`, `|| exit`) is believed only where it holds.

use brush_parser::ast;

use crate::domain::policy::{
    partial_text::{FRESH, INHERITED, NAME, UNKNOWN, is_vague},
    resolved_path,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    /// Returns whether the shell went to a folder that is not on the disk, so that it may have stayed where it was.
    pub(super) fn may_not_be_there(&self, before: &[Option<String>]) -> bool {
        let eyes = self.reading.world.eyes.as_ref();
        let is_gone =
            |folder: &str| eyes.is_some_and(|eyes| !eyes.is_there(std::path::Path::new(folder)));
        let gone = |folder: &Option<String>| {
            // A name that nobody knows is there only where the command made it.
            let is_any = |folder: &str| {
                folder.contains(NAME) && !folder.contains([FRESH, UNKNOWN, INHERITED])
            };
            let known = folder.as_deref();
            let known = known.filter(|folder| !is_vague(folder) || is_any(folder));
            known.is_some_and(|folder| {
                let inside = format!("{folder}/");
                let is_made = self
                    .state
                    .made
                    .iter()
                    .any(|path| path == folder || path.starts_with(&inside));
                !is_made && (is_vague(folder) || is_gone(folder))
            })
        };
        self.state.folders != before && self.state.folders.first().is_some_and(gone)
    }

    pub(super) fn and_or(&mut self, list: &ast::AndOrList, stdin: &str) -> String {
        if list.additional.is_empty() {
            return self.pipeline(&list.first, stdin);
        }
        let start = self.state.folders.clone();
        let mut stays_sure = self.is_sure(&list.first, &[]);
        // What fails here does not end the shell.
        let sets = plain_words(&list.first).is_some_and(|(name, _)| name == "set");
        let mut printed = if sets {
            self.pipeline(&list.first, stdin)
        } else {
            self.without_stop(|shell| shell.pipeline(&list.first, stdin))
        };
        let ends = |word: &str| ["exit", "return", "continue", "break"].contains(&word);
        let leaves = list.iter().skip(1).any(|(operator, pipeline)| {
            let first = pipeline.to_string();
            let mut words = first.split(|c: char| !c.is_alphanumeric());
            operator == ast::PipelineOperator::Or && words.any(ends)
        });
        let mut stayed = Vec::new();
        if !leaves && self.may_not_be_there(&start) {
            stayed.extend(start);
        }
        let mut before = vec![&list.first];
        let mut after_sure = self.state.folders.clone();
        self.state.conditions += 1;
        for (operator, pipeline) in list.iter().skip(1) {
            let here = self.state.folders.clone();
            let is_sure = self.is_sure(pipeline, &before);
            printed.push_str(&self.pipeline(pipeline, stdin));
            if !leaves && self.may_not_be_there(&here) {
                stayed.extend(here);
            }
            if stays_sure && operator == ast::PipelineOperator::And {
                after_sure.clone_from(&self.state.folders);
                stays_sure = is_sure;
                before.push(pipeline);
            } else {
                stays_sure = false;
            }
        }
        self.state.conditions -= 1;
        self.may_also_be_in(after_sure);
        self.may_also_be_in(stayed);
        printed
    }

    /// Runs what may fail without an end of the shell, whatever `set -e` says.
    pub(super) fn without_stop<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> T {
        let kept = std::mem::replace(&mut self.state.stops_on_failure, false);
        let result = inner(self);
        self.state.stops_on_failure = kept;
        result
    }

    /// Returns whether a command hardly ever fails, so that what follows `&&` happens: a folder is made that is not there, or goes before.
    pub(super) fn is_sure(&self, pipeline: &ast::Pipeline, before: &[&ast::Pipeline]) -> bool {
        let Some((name, args)) = plain_words(pipeline) else {
            return false;
        };
        let has = |flag: char| {
            let is_flag =
                |arg: &&str| arg.starts_with('-') && !arg.starts_with("--") && arg.contains(flag);
            args.iter().any(is_flag)
        };
        match name {
            "echo" | "printf" | ":" | "true" | "export" => true,
            "rm" => has('f'),
            // Not where a file of that name is in its way.
            "mkdir" if has('p') => !args
                .iter()
                .any(|arg| self.has_written(arg) || self.has_touched(arg)),
            "mkdir" => {
                let goes_before = |folder: &&str| {
                    before.iter().any(|earlier| {
                        plain_words(earlier)
                            .is_some_and(|(name, words)| name == "rm" && words.contains(folder))
                    })
                };
                args.iter().all(goes_before)
            }
            _ => false,
        }
    }

    /// Records that a file is there from now on, whatever it says.
    pub(in crate::domain::policy) fn touches(&mut self, word: &str) {
        self.changes(word);
        self.state
            .touched
            .extend(resolved_path::absolute(word, self.folder()));
    }

    fn has_touched(&self, word: &str) -> bool {
        let path = resolved_path::absolute(word, self.folder());
        path.is_some_and(|path| self.state.touched.contains(&path))
    }

    pub(super) fn may_also_be_in(&mut self, folders: Vec<Option<String>>) {
        for folder in folders {
            if !self.state.folders.contains(&folder) && self.state.folders.len() < 8 {
                self.state.folders.push(folder);
            }
        }
    }
}

/// Returns the words behind the name of a command, as they were written.
pub(super) fn raw_words(command: &ast::SimpleCommand) -> impl Iterator<Item = &str> {
    let items = command.suffix.iter().flat_map(|suffix| &suffix.0);
    items.filter_map(|item| match item {
        ast::CommandPrefixOrSuffixItem::Word(word) => Some(word.value.as_str()),
        ast::CommandPrefixOrSuffixItem::IoRedirect(_)
        | ast::CommandPrefixOrSuffixItem::AssignmentWord(..)
        | ast::CommandPrefixOrSuffixItem::ProcessSubstitution(..) => None,
    })
}

/// Returns the words of a single command without anything that is only known when it runs.
fn plain_words(pipeline: &ast::Pipeline) -> Option<(&str, Vec<&str>)> {
    let [ast::Command::Simple(simple)] = pipeline.seq.as_slice() else {
        return None;
    };
    if pipeline.bang || simple.prefix.is_some() {
        return None;
    }
    let name = simple.word_or_name.as_ref()?.value.as_str();
    let mut words = Vec::new();
    for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
        let ast::CommandPrefixOrSuffixItem::Word(word) = item else {
            return None;
        };
        words.push(word.value.as_str());
    }
    Some((name, words))
}
