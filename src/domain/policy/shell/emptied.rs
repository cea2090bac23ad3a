//! What is emptied rather than removed: files that are read and written over by the same line, sources that are emptied in
//! a row, and archives that hold the only copy of what was packed.
//!
//! The shell empties the target of a redirection before it starts a program, so `sort a.txt > a.txt` loses what it should sort.

use brush_parser::ast;

use crate::domain::policy::{
    partial_text::{ANY_CHAR, FRESH, NAME, SET, base_name, is_in, is_mark, is_vague},
    resolved_path,
    resolved_path::ResolvedPath,
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Programs that take the words they are given for text or names, and git, which has contents of its own.
const NAMING: &str = "echo printf : true false test [ [[ touch mkdir rmdir rm cd basename dirname realpath readlink ls mktemp export local
    declare typeset readonly read set unset shift return exit which type command hash git docker podman kubectl date seq sleep";
/// Endings of files that somebody wrote by hand.
const SOURCES: &str = "rs py pyi js mjs cjs ts mts cts tsx jsx go c h cc cpp cxx hpp m mm java kt kts scala rb php sh bash zsh pl pm lua
    r jl ex exs erl hs ml clj cs fs vb swift dart vue svelte astro html css scss sass less sql proto graphql tf gradle cmake ps1 psm1
    bat cmd ipynb";
/// Endings of files that may as well be made anew, under a name with the date in it.
const NOTES: &str = "md rst adoc tex toml yaml yml json xml";

/// The words of one command of a line that name what it reads, as written, and what it writes over.
#[derive(Debug, Default)]
struct Named<'a> {
    read: Vec<&'a str>,
    written: Vec<&'a str>,
}

impl ShellInterpreter<'_, '_> {
    /// Looks for files that a line of commands reads and writes over at once.
    pub(super) fn empties_its_input(&mut self, commands: &[ast::Command]) {
        let has_output = |command: &ast::Command| !named(command).written.is_empty();
        if !commands.iter().any(has_output) {
            return;
        }
        let all: Vec<Named<'_>> = commands.iter().map(named).collect();
        let read: Vec<&str> = all.iter().flat_map(|one| one.read.clone()).collect();
        if read
            .iter()
            .any(|word| is_in("/dev/urandom /dev/random /dev/zero /dev/full", word))
        {
            for target in all.iter().flat_map(|one| &one.written) {
                let file = self.expand_one(target);
                self.empties(&file);
            }
        }
        for target in all.iter().flat_map(|one| &one.written) {
            let plain = bare(target);
            let is_same = read.iter().any(|word| bare(word) == plain);
            // What is put in may be another one each time.
            if !is_same || plain.contains("$(") || plain.contains(['`', '*', '?']) {
                continue;
            }
            let file = self.expand_one(target);
            let is_file = file.contains(['.', '/']) || is_vague(&file);
            if is_file && !file.starts_with("/dev/") {
                let shown = plain.trim_matches(is_mark);
                self.reading.does(
                    EffectKind::GitDestructive,
                    format!("{shown} is emptied before it is read, which throws changes away"),
                );
            }
        }
    }

    /// Records that the file a word names is emptied: where it stands for many files with sources, nobody wants that.
    pub(in crate::domain::policy) fn empties(&mut self, word: &str) {
        let is_inside = |place: &ResolvedPath| matches!(place, ResolvedPath::Inside(_));
        if names_sources(word) && self.resolve_all(word).iter().any(is_inside) {
            self.reading.does(
                EffectKind::GitDestructive,
                "emptying sources one after the other throws changes away",
            );
        }
    }

    /// Looks whether code, written without blanks, empties the sources that it lists.
    pub(in crate::domain::policy) fn empties_in_code(&mut self, plain: &str) {
        const EMPTIES: [&str; 8] = [
            ",'w').close()",
            ",\"w\").close()",
            ".write_text('')",
            ".write_text(\"\")",
            "Sync(f,'')",
            "Sync(f,\"\")",
            ".truncate(0)",
            ".truncateSync(",
        ];
        let texts = plain.split(['\'', '"', '`']);
        let mut endings = texts.filter_map(|text| text.rsplit_once('*')?.1.strip_prefix('.'));
        if EMPTIES.iter().any(|mark| plain.contains(mark))
            && endings.any(|ending| is_in(SOURCES, ending))
        {
            self.reading.does(
                EffectKind::GitDestructive,
                "code that empties sources one after the other throws changes away",
            );
        }
    }

    /// Remembers the files of which a line of commands makes copies that only a key opens.
    pub(in crate::domain::policy) fn seals(&mut self, commands: &[ast::Command]) {
        for command in commands {
            let ast::Command::Simple(simple) = command else {
                continue;
            };
            let program = simple
                .word_or_name
                .as_ref()
                .map_or("", |word| word.value.as_str());
            if !is_in(
                "openssl gpg gpg2 age rage ccrypt 7z 7za zip",
                base_name(program),
            ) {
                continue;
            }
            let words: Vec<String> = super::and_or::raw_words(simple)
                .flat_map(|word| self.expand(word))
                .collect();
            if seals(base_name(program), &words) {
                let mut before = String::new();
                for word in words {
                    let is_output = is_in("-out -o --output", &before);
                    before.clone_from(&word);
                    if is_vague(&word) && !is_output {
                        self.state.sealed.insert(word);
                    }
                }
            }
        }
    }

    /// Looks whether one of those is removed or written over: what is left, only the key opens.
    pub(super) fn loses_sealed(&mut self, word: &str) {
        if self.state.sealed.contains(word) {
            self.reading.does(
                EffectKind::GitDestructive,
                "removing files after they were encrypted one after the other throws them away",
            );
        }
    }

    /// Remembers an archive into which files were moved.
    pub(in crate::domain::policy) fn packs_away(&mut self, archive: Option<&str>) {
        let path = archive.and_then(|word| resolved_path::absolute(word, self.folder()));
        self.state.packed.extend(path);
    }

    /// Looks whether an archive is removed that holds the only copy of what was packed.
    pub(super) fn loses_packed(&mut self, word: &str) {
        self.loses_sealed(word);
        if self.state.packed.is_empty() {
            return;
        }
        let path = resolved_path::absolute(word, self.folder());
        let goes = |archive: &String| {
            let path = path.as_deref();
            path.is_some_and(|path| resolved_path::lies_in(archive, path))
        };
        if self.state.packed.iter().any(goes) {
            self.reading.does(
                EffectKind::GitDestructive,
                "removing the only archive of them removes files with changes",
            );
        }
    }
}

/// Returns whether a program with these words encrypts something.
fn seals(program: &str, words: &[String]) -> bool {
    let has = |names: &[&str]| {
        words.iter().any(|word| {
            names.iter().any(|name| {
                word == name || name.len() > 2 && !name.starts_with("--") && word.starts_with(name)
            })
        })
    };
    let cluster = |letters: &[char]| {
        words.iter().any(|word| {
            word.strip_prefix('-')
                .is_some_and(|rest| !rest.starts_with('-') && rest.contains(letters))
        })
    };
    match program {
        "openssl" => {
            has(&["enc", "smime", "cms", "pkeyutl"]) && !has(&["-d", "-decrypt"])
                || has(&["aes-", "des", "chacha"]) && !has(&["-d"])
        }
        "gpg" | "gpg2" => has(&["--symmetric", "--encrypt"]) || cluster(&['c', 'e']),
        "age" | "rage" => !has(&["-d", "--decrypt"]),
        "ccrypt" => !has(&["-d", "--decrypt"]),
        "7z" | "7za" => words.iter().any(|word| word.starts_with("-p")),
        "zip" => has(&["--encrypt", "--password"]) || cluster(&['e', 'P']),
        _ => false,
    }
}

/// Returns whether a file is one that somebody wrote by hand in a language, by its ending.
pub(super) fn is_source(path: &str) -> bool {
    let name = base_name(path);
    name.rsplit_once('.')
        .is_some_and(|(_, ending)| is_in(SOURCES, ending))
}

/// Returns whether a word stands for many files, and those are sources or anything.
fn names_sources(word: &str) -> bool {
    if word.contains(FRESH) {
        return false;
    }
    let name = base_name(word);
    let is_pattern = |text: &str| text.contains([NAME, ANY_CHAR, SET]);
    let is_any = |text: &str| is_pattern(text) && text.chars().all(is_mark);
    match name.rsplit_once('.') {
        Some((stem, ending)) if !is_vague(ending) => {
            let ending = ending.to_lowercase();
            is_pattern(stem) && is_in(SOURCES, &ending) || is_any(stem) && is_in(NOTES, &ending)
        }
        _ => is_any(name),
    }
}

/// Returns a word as written without its quotes and the dot folder in front.
fn bare(word: &str) -> String {
    let plain: String = word.chars().filter(|c| !"\"'{}".contains(*c)).collect();
    plain
        .strip_prefix("./")
        .map_or_else(|| plain.clone(), str::to_owned)
}

/// Returns what a command names.
fn named(command: &ast::Command) -> Named<'_> {
    let mut found = Named::default();
    match command {
        ast::Command::Simple(simple) => {
            let items = simple.prefix.iter().flat_map(|prefix| &prefix.0);
            let items = items.chain(simple.suffix.iter().flat_map(|suffix| &suffix.0));
            let program = simple
                .word_or_name
                .as_ref()
                .map_or("", |word| word.value.as_str());
            if program.contains('/') {
                found.read.push(program);
            }
            let reads = !is_in(NAMING, base_name(program)) && !program.is_empty();
            let is_tee = base_name(program) == "tee";
            let appends = |item: &ast::CommandPrefixOrSuffixItem| matches!(item, ast::CommandPrefixOrSuffixItem::Word(word) if word.value == "-a" || word.value == "--append");
            let is_behind = is_tee && items.clone().any(appends);
            for item in items {
                match item {
                    ast::CommandPrefixOrSuffixItem::IoRedirect(redirect) => {
                        redirected(redirect, &mut found);
                    }
                    ast::CommandPrefixOrSuffixItem::Word(word) if is_tee => {
                        if !is_behind && !word.value.starts_with('-') {
                            found.written.push(&word.value);
                        }
                    }
                    ast::CommandPrefixOrSuffixItem::Word(word) if reads => {
                        found.read.push(&word.value);
                    }
                    ast::CommandPrefixOrSuffixItem::Word(_)
                    | ast::CommandPrefixOrSuffixItem::AssignmentWord(..)
                    | ast::CommandPrefixOrSuffixItem::ProcessSubstitution(..) => {}
                }
            }
        }
        ast::Command::Compound(_, redirects) | ast::Command::ExtendedTest(_, redirects) => {
            for redirect in redirects.iter().flat_map(|list| &list.0) {
                redirected(redirect, &mut found);
            }
        }
        ast::Command::Function(_) => {}
    }
    found
}

fn redirected<'a>(redirect: &'a ast::IoRedirect, found: &mut Named<'a>) {
    match redirect {
        ast::IoRedirect::File(fd, kind, ast::IoFileRedirectTarget::Filename(word)) => match kind {
            ast::IoFileRedirectKind::Read => found.read.push(&word.value),
            ast::IoFileRedirectKind::Write | ast::IoFileRedirectKind::Clobber
                if fd.is_none_or(|fd| fd == 1) =>
            {
                found.written.push(&word.value);
            }
            ast::IoFileRedirectKind::Write
            | ast::IoFileRedirectKind::Clobber
            | ast::IoFileRedirectKind::Append
            | ast::IoFileRedirectKind::ReadAndWrite
            | ast::IoFileRedirectKind::DuplicateInput
            | ast::IoFileRedirectKind::DuplicateOutput => {}
        },
        ast::IoRedirect::OutputAndError(word, false) => found.written.push(&word.value),
        ast::IoRedirect::File(..)
        | ast::IoRedirect::OutputAndError(..)
        | ast::IoRedirect::HereDocument(..)
        | ast::IoRedirect::HereString(..) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::partial_text::INHERITED;

    #[test]
    fn only_what_stands_for_many_files_that_somebody_wrote_is_a_set_of_sources() {
        for word in [
            format!("src/{NAME}.ts"),
            format!("test_{NAME}.py"),
            format!("{NAME}"),
            format!("docs/{NAME}.md"),
        ] {
            assert!(names_sources(&word), "{word}");
        }
        for word in [
            "src/a.ts".to_owned(),
            format!("logs/{NAME}.log"),
            format!("{INHERITED}"),
            format!("{INHERITED}.json"),
            format!("notes-{NAME}.md"),
            format!("/tmp/{FRESH}.py"),
            format!("run.{NAME}"),
        ] {
            assert!(!names_sources(&word), "{word}");
        }
    }

    #[test]
    fn quotes_and_the_dot_folder_make_no_other_file() {
        assert_eq!(bare("\"$f\""), bare("$f"));
        assert_eq!(bare("./a.txt"), bare("'a.txt'"));
        assert_ne!(bare("$a"), bare("$b"));
    }
}
