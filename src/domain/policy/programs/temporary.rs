//! `mktemp`: files and folders under names that nothing had before.

use crate::domain::policy::{
    partial_text::{FRESH, NAME, UNKNOWN, base_name, is_vague},
    programs::Options,
    shell::ShellInterpreter,
};

impl ShellInterpreter<'_, '_> {
    /// Returns whether nobody knows which program a word names. One that the command itself wrote into a file of its own is known.
    pub(super) fn has_vague_name(&self, word: &str) -> bool {
        is_vague(base_name(word)) && !(word.contains(FRESH) && self.remembered(word).is_some())
    }

    /// Makes a file or folder of its own, and returns its name.
    pub(super) fn mktemp(&mut self, args: &[String]) -> String {
        let options = Options::parse(args, "p", &["suffix", "tmpdir"]);
        let folder = options
            .value("p")
            .or_else(|| options.value("tmpdir"))
            .unwrap_or("/tmp")
            .to_owned();
        if options.has(&["u", "dry-run"]) {
            // A name alone: nothing is there, so whoever goes there stays where they are.
            let plain = options.rest.is_empty() && folder == "/tmp";
            return if plain {
                format!("/tmp/tmp.{NAME}\n")
            } else {
                UNKNOWN.to_string()
            };
        }
        let template = options.rest.first().map_or("tmp.XXXXXX", String::as_str);
        // Three letters or more at the end of the name are made up, whatever ending follows.
        let name = match template.rfind("XXX") {
            Some(at) => {
                let (before, behind) = template.split_at(at + 3);
                format!("{}{FRESH}{behind}", before.trim_end_matches('X'))
            }
            None => template.to_owned(),
        };
        if template.contains('/')
            || (!options.rest.is_empty() && !options.has(&["t", "p", "tmpdir"]))
        {
            self.makes(&name);
            self.remember(&name, "", false);
            return format!("{name}\n");
        }
        format!("{folder}/{name}{FRESH}\n")
    }
}
