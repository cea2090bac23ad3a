//! What a shell knows while it runs: variables, functions, aliases, its folder, files it has written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use brush_parser::ast;

use crate::domain::policy::{
    interpretation::{CommandEffect, Interpretation},
    partial_text::{INHERITED, NAME, SECRET, UNKNOWN},
    programs::environment,
    resolved_path,
    resolved_path::ResolvedPath,
};

/// The most values a variable is followed through.
pub(super) const MOST_VALUES: usize = 48;

/// A variable: every value it may have, the latest first; each value is a list.
#[derive(Debug, Clone, Default)]
pub(super) struct ShellVariable {
    pub(super) values: Vec<Vec<String>>,
}

/// The state of a shell; a subshell works on a copy.
#[derive(Debug, Clone)]
pub(in crate::domain::policy) struct ShellState {
    pub(super) variables: BTreeMap<String, ShellVariable>,
    pub(in crate::domain::policy) functions: BTreeMap<String, Arc<ast::FunctionBody>>,
    pub(super) aliases: BTreeMap<String, String>,
    /// The folders the shell may be in, the latest first; `None` is one nobody knows.
    pub(super) folders: Vec<Option<String>>,
    pub(super) parameters: Vec<String>,
    pub(super) zero: String,
    /// What the command itself wrote into files, by absolute path.
    pub(super) files: BTreeMap<String, String>,
    /// Paths that the command itself gave a content to.
    pub(super) made: BTreeSet<String>,
    /// Aliases of git that the command itself made.
    pub(in crate::domain::policy) git_aliases: BTreeMap<String, String>,
    /// Remotes of git that the command itself added.
    pub(in crate::domain::policy) git_remotes: BTreeSet<String>,
    /// Programs that the command itself compiled from sources of the project, or from some that it wrote and that were looked into.
    pub(in crate::domain::policy) built: BTreeSet<String>,
    /// Files that are there since the command touched them: a folder of that name cannot be made.
    pub(in crate::domain::policy) touched: BTreeSet<String>,
    /// Files of which the command itself made an encrypted copy, as words that stand for many.
    pub(super) sealed: BTreeSet<String>,
    /// Whether the shell shows each command before it runs.
    pub(in crate::domain::policy) traces: bool,
    /// Archives that hold the only copy of what the command itself packed.
    pub(super) packed: BTreeSet<String>,
    /// Folders of the project that the command itself filled from an archive that is none of the project's.
    pub(super) filled: BTreeSet<String>,
    /// Whether the command itself gave a file that holds keys to git.
    pub(in crate::domain::policy) has_added_keys: bool,
    /// Folders in which the command itself checked out a state of the project.
    pub(in crate::domain::policy) checkouts: Vec<String>,
    /// Whether git was told of another repository.
    pub(in crate::domain::policy) has_foreign_git: bool,
    /// Whether the command itself copied what such a file holds into another.
    pub(in crate::domain::policy) has_copied_keys: bool,
    /// The files of the project that hold such a copy.
    pub(in crate::domain::policy) copied_keys: Vec<String>,
    /// Names that were bound to a program by hand.
    pub(super) bound: BTreeMap<String, String>,
    /// Links the command itself made: what is written to one goes to the other.
    pub(super) links: BTreeMap<String, String>,
    /// How many conditions stand between here and the start.
    pub(in crate::domain::policy) conditions: u32,
    /// Whether the shell ends where a command fails.
    pub(super) stops_on_failure: bool,
    /// What runs when the shell ends.
    pub(super) traps: Vec<String>,
    /// How many pipes and jobs in the background stand between here and the start.
    pub(super) pipes: u32,
    /// Whether what is printed here goes through a filter that picks by a pattern.
    pub(in crate::domain::policy) filters: bool,
    /// Names of functions being read, so that one calling itself ends.
    pub(super) calls: Vec<String>,
}

/// A shell that is being read.
#[derive(Debug)]
pub(in crate::domain::policy) struct ShellInterpreter<'r, 'w> {
    /// What has been understood so far.
    pub(in crate::domain::policy) reading: &'r mut Interpretation<'w>,
    /// The state of the shell.
    pub(in crate::domain::policy) state: ShellState,
    /// Which of the values of a variable is looked at.
    pub(super) choice: usize,
    /// How many choices the last expansion had.
    pub(super) choices: usize,
}

/// What commands leave on the disk, as far as it is known.
#[derive(Debug, Clone, Default)]
pub(in crate::domain::policy) struct WrittenFiles {
    files: BTreeMap<String, String>,
    made: BTreeSet<String>,
    bound: BTreeMap<String, String>,
}

impl ShellState {
    /// Returns the state of a fresh shell in `folder`.
    pub(in crate::domain::policy) fn fresh(folder: String) -> Self {
        Self {
            variables: BTreeMap::new(),
            functions: BTreeMap::new(),
            aliases: BTreeMap::new(),
            folders: vec![Some(folder)],
            parameters: Vec::new(),
            zero: "bash".to_owned(),
            files: BTreeMap::new(),
            made: BTreeSet::new(),
            git_aliases: BTreeMap::new(),
            git_remotes: BTreeSet::new(),
            built: BTreeSet::new(),
            touched: BTreeSet::new(),
            sealed: BTreeSet::new(),
            traces: false,
            packed: BTreeSet::new(),
            filled: BTreeSet::new(),
            has_added_keys: false,
            checkouts: Vec::new(),
            has_foreign_git: false,
            has_copied_keys: false,
            copied_keys: Vec::new(),
            bound: BTreeMap::new(),
            links: BTreeMap::new(),
            conditions: 0,
            stops_on_failure: false,
            pipes: 0,
            traps: Vec::new(),
            filters: false,
            calls: Vec::new(),
        }
    }
}

impl<'r, 'w> ShellInterpreter<'r, 'w> {
    /// Starts a shell in the folder where commands start.
    pub(in crate::domain::policy) fn new(reading: &'r mut Interpretation<'w>) -> Self {
        let world = reading.world;
        let folder = resolved_path::slashed(world.folder.as_deref().unwrap_or(&world.root));
        Self {
            reading,
            state: ShellState::fresh(folder),
            choice: 0,
            choices: 1,
        }
    }

    /// Starts a shell in the folder where commands start, after others that wrote something.
    pub(in crate::domain::policy) fn after(
        reading: &'r mut Interpretation<'w>,
        written: &WrittenFiles,
    ) -> Self {
        let mut machine = Self::new(reading);
        machine.state.files.clone_from(&written.files);
        machine.state.made.clone_from(&written.made);
        machine.state.bound.clone_from(&written.bound);
        machine
    }

    /// Returns what was written up to here.
    pub(in crate::domain::policy) fn written(&self) -> WrittenFiles {
        let files = self.state.files.iter();
        let files = files.filter(|(path, _)| !path.starts_with("/dev/"));
        WrittenFiles {
            files: files
                .map(|(path, text)| (path.clone(), text.clone()))
                .collect(),
            made: self.state.made.clone(),
            bound: self
                .state
                .bound
                .iter()
                .filter(|(path, _)| path.contains('/'))
                .map(|(path, target)| (path.clone(), target.clone()))
                .collect(),
        }
    }

    /// Gives a variable a value; inside a condition the former values stay possible.
    pub(in crate::domain::policy) fn assign(&mut self, name: &str, value: Vec<String>) {
        let conditional = self.state.conditions > 0;
        let variable = self.state.variables.entry(name.to_owned()).or_default();
        if !conditional {
            variable.values.clear();
        }
        if !variable.values.contains(&value) {
            variable.values.insert(0, value);
        }
        variable.values.truncate(MOST_VALUES);
    }

    /// Gives a variable several possible values at once.
    pub(in crate::domain::policy) fn assign_all(&mut self, name: &str, values: &[String]) {
        let variable = self.state.variables.entry(name.to_owned()).or_default();
        variable.values.clear();
        if values.len() > MOST_VALUES {
            let numbers = values.iter().all(|value| value.parse::<i64>().is_ok());
            let mark = if numbers { NAME } else { UNKNOWN };
            variable.values.push(vec![mark.to_string()]);
        } else {
            variable.values = values.iter().map(|value| vec![value.clone()]).collect();
        }
    }

    /// Returns the value of a variable, `None` when neither the command nor the world says anything about it.
    pub(in crate::domain::policy) fn lookup(&mut self, name: &str) -> Option<Vec<String>> {
        if let Some(variable) = self.state.variables.get(name) {
            self.choices = self.choices.max(variable.values.len());
            let last = variable.values.len().checked_sub(1)?;
            return variable.values.get(self.choice.min(last)).cloned();
        }
        match name {
            "HOME" => Some(vec![resolved_path::home(self.reading.world)]),
            "PWD" => Some(vec![self.folder().map_or_else(unknown, str::to_owned)]),
            "TMPDIR" | "TEMP" | "TMP" => Some(vec!["/tmp".to_owned()]),
            "IFS" => Some(vec![" \t\n".to_owned()]),
            // Whoever started the shell: a process that is not its own.
            "PPID" => Some(vec![format!("2{NAME}")]),
            "RANDOM" | "SECONDS" | "LINENO" | "UID" | "EUID" | "BASHPID" | "HOSTNAME" | "USER"
            | "LOGNAME" | "OSTYPE" | "HOSTTYPE" | "EPOCHSECONDS" | "BASH_VERSION" => {
                Some(vec![NAME.to_string()])
            }
            _ => None,
        }
    }

    /// Returns the latest folder, if it is known.
    pub(in crate::domain::policy) fn folder(&self) -> Option<&str> {
        self.state.folders.first().and_then(Option::as_deref)
    }

    /// Returns every place a word may lead to, one for each folder the shell may be in.
    pub(in crate::domain::policy) fn resolve_all(&self, word: &str) -> Vec<ResolvedPath> {
        let mut found: Vec<ResolvedPath> = Vec::with_capacity(1);
        for folder in &self.state.folders {
            let led = self.led(word, folder.as_deref());
            if !found.contains(&led) {
                found.push(led);
            }
        }
        found
    }

    /// Returns every place of the entry a word names: a link itself, not what it leads to.
    fn entries(&self, word: &str) -> Vec<ResolvedPath> {
        if self.reading.world.eyes.is_none() || word.ends_with('/') || !self.state.bound.is_empty()
        {
            return self.resolve_all(word);
        }
        let folders = self.state.folders.iter();
        let led = |folder: &Option<String>| match resolved_path::absolute(word, folder.as_deref()) {
            Some(path) => resolved_path::resolve_entry(&path, self.reading.world),
            None => resolved_path::resolve_word(word, folder.as_deref(), self.reading.world),
        };
        folders.map(led).collect()
    }

    fn led(&self, word: &str, folder: Option<&str>) -> ResolvedPath {
        let Some(path) = resolved_path::absolute(word, folder) else {
            return resolved_path::resolve_word(word, folder, self.reading.world);
        };
        // A link the command itself made leads on.
        let on = self.state.bound.iter().find_map(|(link, target)| {
            let rest = path.strip_prefix(link.as_str())?;
            let follows = rest.starts_with('/') || (rest.is_empty() && word.ends_with('/'));
            follows.then(|| format!("{target}{rest}"))
        });
        resolved_path::place(on.as_deref().unwrap_or(&path), self.reading.world)
    }

    /// Returns a word like `of=~/x` with the home folder in place, as bash reads what looks like an assignment.
    pub(super) fn assigned_home(&self, raw: &str) -> Option<String> {
        let (name, rest) = raw.split_once("=~")?;
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_home = rest.is_empty() || rest.starts_with('/');
        let home = || resolved_path::home(self.reading.world);
        (is_name && is_home && !name.is_empty()).then(|| format!("{name}={}{rest}", home()))
    }

    /// Records that the file a word names is read.
    pub(in crate::domain::policy) fn reads(&mut self, word: &str) {
        for place in self.resolve_all(word) {
            if !matches!(place, ResolvedPath::Unknown(_)) {
                self.reading.effect(CommandEffect::Read(place));
            }
        }
        if let Some(target) = self.linked(word) {
            self.reading.effect(CommandEffect::Read(target));
        }
    }

    /// Returns where a link leads that the command itself made.
    fn linked(&self, word: &str) -> Option<ResolvedPath> {
        if self.state.links.is_empty() {
            return None;
        }
        let path = resolved_path::absolute(word, self.folder())?;
        // What lies below a link to a folder lies below that folder.
        let mut head = path.as_str();
        loop {
            if let Some(target) = self.state.links.get(head) {
                let rest = path.get(head.len()..).unwrap_or("");
                return Some(resolved_path::place(
                    &format!("{target}{rest}"),
                    self.reading.world,
                ));
            }
            head = head.rsplit_once('/').map(|(head, _)| head)?;
        }
    }

    /// Records that the file a word names is changed, though not in what it says; or made from what was there.
    pub(in crate::domain::policy) fn changes(&mut self, word: &str) {
        for place in self.resolve_all(word) {
            self.reading.effect(CommandEffect::Write(place));
        }
        if let Some(target) = self.linked(word) {
            self.reading.effect(CommandEffect::Write(target));
        }
    }

    /// Remembers that a path is a link to another file.
    pub(in crate::domain::policy) fn link(&mut self, word: &str, target: &str) {
        let folder = self.folder();
        let path = resolved_path::absolute(word, folder);
        // What a link says is meant from its own folder.
        let from = path
            .as_deref()
            .and_then(|path| path.rsplit_once('/'))
            .map(|(folder, _)| folder);
        if let (Some(path), Some(target)) = (path.as_deref(), resolved_path::absolute(target, from))
        {
            let target = self.state.links.get(&target).cloned().unwrap_or(target);
            drop(self.state.links.insert(path.to_owned(), target));
        }
    }

    /// Records that what a word names is removed or emptied.
    pub(in crate::domain::policy) fn deletes(&mut self, word: &str) {
        // An unknown text below a folder may climb out of it; a name cannot.
        let climbs = word.contains(UNKNOWN);
        self.loses_packed(word);
        for place in self.entries(word) {
            let is_known = !matches!(place, ResolvedPath::Unknown(_));
            let place = if climbs && is_known {
                ResolvedPath::Unknown(place.shown())
            } else {
                place
            };
            self.reading.effect(CommandEffect::Delete(place));
        }
    }

    /// Returns the program a name or path was bound to: by a link, a copy, or by hand.
    pub(in crate::domain::policy) fn bound_program(&self, word: &str) -> Option<String> {
        if self.state.bound.is_empty() {
            return None;
        }
        let path = if word.contains('/') {
            resolved_path::absolute(word, self.folder())?
        } else {
            word.to_owned()
        };
        self.state.bound.get(&path).cloned()
    }

    /// Remembers that a path leads to another file.
    pub(in crate::domain::policy) fn bind(&mut self, word: &str, target: &str) {
        let folder = self.folder();
        if let (Some(path), Some(target)) = (
            resolved_path::absolute(word, folder),
            resolved_path::absolute(target, folder),
        ) {
            let target = self.state.bound.get(&target).cloned().unwrap_or(target);
            drop(self.state.bound.insert(path, target));
        }
    }

    /// Returns whether the command itself gave a variable a value.
    pub(in crate::domain::policy) fn is_known(&self, name: &str) -> bool {
        self.state.variables.contains_key(name)
    }

    /// Returns whether the command itself gave a variable of such a name a value.
    pub(in crate::domain::policy) fn has_set(&self, is_meant: impl Fn(&str) -> bool) -> bool {
        self.state.variables.keys().any(|name| is_meant(name))
    }

    /// Sets what `$0`, `$1` and so on mean.
    pub(in crate::domain::policy) fn set_arguments(&mut self, zero: &str, args: &[String]) {
        zero.clone_into(&mut self.state.zero);
        self.state.parameters = args.to_vec();
    }

    /// Goes to a folder, as `-C` options do.
    pub(in crate::domain::policy) fn go_to(&mut self, word: &str) {
        let folder = resolved_path::absolute(word, self.folder());
        self.state.folders = vec![folder];
    }

    /// Runs `inner` on a copy of the state, which is thrown away.
    pub(in crate::domain::policy) fn aside<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> T {
        let kept = self.state.clone();
        let (choice, choices) = (self.choice, self.choices);
        // Substitutions and other shells go on after a failure.
        self.state.stops_on_failure = false;
        let result = inner(self);
        // Files outlive the shell that wrote them.
        let files = std::mem::replace(&mut self.state, kept);
        self.state.files = files.files;
        self.state.made = files.made;
        self.state.built = files.built;
        self.state.packed = files.packed;
        self.state.sealed = files.sealed;
        self.state.touched = files.touched;
        self.state.filled = files.filled;
        self.state.has_added_keys = files.has_added_keys;
        self.state.checkouts = files.checkouts;
        self.state.has_copied_keys = files.has_copied_keys;
        self.state.copied_keys = files.copied_keys;
        (self.choice, self.choices) = (choice, choices);
        result
    }
}

/// Returns a word that may be anything.
pub(super) fn unknown() -> String {
    UNKNOWN.to_string()
}

/// Returns the value of a variable that came from outside.
pub(super) fn inherited() -> String {
    INHERITED.to_string()
}

/// Returns the value of a variable of this name that came from outside.
pub(super) fn inherited_as(name: &str) -> String {
    if environment::names_secret(name) {
        format!("{INHERITED}{SECRET}")
    } else {
        inherited()
    }
}
