//! Validators: what a change adds that nobody agreed to.
//!
//! A finding is what the state after has and the state before had not, counted as multisets: old sins
//! do not fire. What cannot be understood counts as found. Static checks are a tripwire; the wall is
//! the sandbox.

mod danger;
mod expectations;
pub mod facts;
mod files;
mod imports;
mod judging_files;
mod names;
mod read_text;
mod substance;
mod tests_kept;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use facts::{Language, SyntaxFacts};
pub use files::is_manifest_path;
pub use judging_files::{
    first_invalid_path, is_listed, is_named_by_commands, is_verification_file,
    paths_needing_review, paths_pinned_to_base,
};
pub use read_text::scan_text as facts_of_text;
pub use substance::{ChangeCategory, classify_change};
pub use tests_kept::is_test_path;

/// One state of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileVersion {
    /// What sort of entry it is.
    pub sort: EntryKind,
    /// Whether it may be executed.
    pub executable: bool,
    /// Its size.
    pub bytes: u64,
    /// Its text; `None` where it is not text or too large to judge.
    pub text: Option<String>,
    /// What the grammar of its language saw.
    pub facts: SyntaxFacts,
    /// For manifests: each part and its canonical text.
    pub manifest: BTreeMap<String, String>,
}

/// What sort of entry a path is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    #[default]
    File,
    /// A symbolic link and where it leads.
    Link(String),
    /// Another repository.
    Repository,
    /// A device, a pipe, a socket.
    Special,
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to the top of the repository.
    pub path: String,
    /// Where the state after was found: `worktree`, `index` or `commits`.
    pub place: &'static str,
    /// Before; `None` = it did not exist.
    pub before: Option<FileVersion>,
    /// After; `None` = it was removed.
    pub after: Option<FileVersion>,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
}

impl FileChange {
    /// Returns the language, by what the path and the first line say now, or said before.
    pub fn language(&self) -> Option<Language> {
        let text = |side: &Option<FileVersion>| side.as_ref()?.text.clone();
        let text = text(&self.after)
            .or_else(|| text(&self.before))
            .unwrap_or_default();
        Language::of(&self.path, &text)
    }
}

/// What is agreed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValidationRules {
    /// Modules that may be imported in addition to the harmless ones; an entry ending in `/` or `.` is a prefix.
    pub allowed_imports: Vec<String>,
    /// Texts that no added line may contain.
    pub banned_patterns: Vec<String>,
    /// Manifests and lock files may change.
    pub allow_manifests: bool,
    /// The agent was confined, so what a program may do to the machine is not a finding.
    pub confined: bool,
    /// Files, or folders that end in `/`, of what judges changes, which may be changed: settings of tests, build files, what
    /// tests expect.
    pub may_change_checks: Vec<String>,
    /// What a test no longer says is a failure, not a warning.
    pub keep_expectations: bool,
    /// The commands that judge the change, where they are known.
    #[serde(skip)]
    pub commands: Vec<Vec<String>>,
    /// How much may change.
    pub limits: ChangeLimits,
}

/// How much may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeLimits {
    /// Files changed.
    pub files: u32,
    /// Lines added and removed.
    pub lines: u32,
    /// Files that did not exist before.
    pub created: u32,
    /// Bytes of all changed files together.
    pub bytes: u64,
}

impl Default for ChangeLimits {
    fn default() -> Self {
        Self {
            files: 10,
            lines: 500,
            created: 8,
            bytes: 1 << 20,
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody should look.
    Warning,
    /// The change is not acceptable.
    Failure,
}

/// The group a finding belongs to; the first group with a failure decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingGroup {
    /// Manifests, CI, hooks, links, other repositories.
    Files,
    /// Banned texts.
    Banned,
    /// Imports that are not allowed.
    Import,
    /// Dangerous code, first tier: never acceptable.
    Danger,
    /// Second tier: reads secrets.
    Secret,
    /// Third tier: harms the machine unless confined.
    Host,
    /// Tests deleted or weakened.
    Tests,
    /// Too much at once.
    Limit,
}

impl FindingGroup {
    /// Returns the word used in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Banned => "banned",
            Self::Import => "import",
            Self::Danger => "danger",
            Self::Secret => "secret",
            Self::Host => "host",
            Self::Tests => "tests",
            Self::Limit => "limit",
        }
    }
}

/// Something the change adds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ValidationFinding {
    /// The group.
    pub group: FindingGroup,
    /// How bad.
    pub weight: Severity,
    /// The file; empty for the whole change.
    pub path: String,
    /// The line, from 1; 0 where there is none.
    pub line: u32,
    /// What was found.
    pub what: String,
    /// `worktree`, `index` or `commits`.
    pub place: &'static str,
}

impl ValidationFinding {
    fn new(group: FindingGroup, change: &FileChange, line: u32, what: impl Into<String>) -> Self {
        Self {
            group,
            weight: Severity::Failure,
            path: change.path.clone(),
            line,
            what: what.into(),
            place: change.place,
        }
    }

    fn warning(self) -> Self {
        Self {
            weight: Severity::Warning,
            ..self
        }
    }

    /// Returns how much there was and how much there may be, for a limit.
    pub fn actual_and_limit(&self) -> (u64, u64) {
        let mut numbers = self.what.split(' ').filter_map(|word| word.parse().ok());
        let actual = numbers.next().unwrap_or(0);
        (actual, numbers.next().unwrap_or(0))
    }

    /// Returns one line for people.
    pub fn text(&self) -> String {
        let place = match (self.path.is_empty(), self.line) {
            (true, _) => String::new(),
            (false, 0) => format!("{}: ", self.path),
            (false, line) => format!("{}:{line}: ", self.path),
        };
        let from = if self.place == "worktree" {
            String::new()
        } else {
            format!(" (in the {})", self.place)
        };
        // One finding is one line, whatever the names in it hold.
        crate::domain::text::one_line(&format!("{place}{}{from}", self.what)).into_owned()
    }
}

/// What the project is made of, as it was before the change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectFacts {
    /// Names that importing code can use for the project's own modules.
    pub own: Vec<String>,
    /// Names of declared dependencies.
    pub declared: Vec<String>,
    /// Scripts and build files by path, with their texts.
    pub scripts: BTreeMap<String, String>,
    /// There were tests.
    pub has_tests: bool,
}

/// A change with what is needed to judge it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectedChange {
    /// The commit compared with; empty = nothing was committed before.
    pub base: String,
    /// Every changed path.
    pub changes: Vec<FileChange>,
    /// What the project was made of.
    pub project: ProjectFacts,
    /// The text of the repository's rules before the change.
    pub rules: Option<String>,
    /// Files that git ignores and that would judge the change if they were not; folders are not looked into.
    pub ignored: Vec<String>,
}

/// Judges a change; the findings are sorted and without repetition.
pub fn judge(
    rules: &ValidationRules,
    project: &ProjectFacts,
    changes: &[FileChange],
) -> Vec<ValidationFinding> {
    let mut findings = Vec::new();
    for change in changes {
        findings.extend(names::findings(change));
        findings.extend(files::findings(rules, change));
        findings.extend(words::findings(rules, change));
        findings.extend(imports::findings(rules, project, change));
        findings.extend(danger::findings(rules, change));
    }
    findings.extend(judging_files::findings(rules, project, changes));
    for place in ["worktree", "index", "commits"] {
        let here: Vec<&FileChange> = changes
            .iter()
            .filter(|change| change.place == place)
            .collect();
        let tests = [
            tests_kept::findings(&here),
            expectations::findings(rules, &here),
        ]
        .concat();
        let told = |finding| expectations::with_permission(rules, finding);
        findings.extend(tests.into_iter().map(told));
        findings.extend(limits(&rules.limits, &here, place));
    }
    findings.sort();
    findings.dedup_by(|a, b| {
        (&a.group, &a.path, &a.line, &a.what) == (&b.group, &b.path, &b.line, &b.what)
    });
    findings
}

fn limits(
    limits: &ChangeLimits,
    changes: &[&FileChange],
    place: &'static str,
) -> Vec<ValidationFinding> {
    let sum = |of: fn(&FileChange) -> u64| changes.iter().map(|change| of(change)).sum::<u64>();
    // A small change of a large text is a small change; what is no text is new as a whole.
    let after = |change: &FileChange| {
        let text = |side: &&FileVersion| side.text.is_some();
        let before = change.before.as_ref().filter(text);
        change.after.as_ref().map_or(0, |side| {
            let before = before.filter(|_| side.text.is_some());
            before.map_or(side.bytes, |before| side.bytes.saturating_sub(before.bytes))
        })
    };
    let seen: [(&str, u64, u64); 4] = [
        ("files changed", changes.len() as u64, limits.files.into()),
        (
            "lines changed",
            sum(|change| u64::from(change.added) + u64::from(change.removed)),
            limits.lines.into(),
        ),
        (
            "files created",
            sum(|change| u64::from(change.before.is_none() && change.after.is_some())),
            limits.created.into(),
        ),
        (
            "bytes written",
            changes.iter().map(|change| after(change)).sum(),
            limits.bytes,
        ),
    ];
    let over = seen.into_iter().filter(|(_, actual, limit)| actual > limit);
    over.map(|(name, actual, limit)| ValidationFinding {
        group: FindingGroup::Limit,
        weight: Severity::Failure,
        path: String::new(),
        line: 0,
        what: format!("{actual} {name}, the limit is {limit}"),
        place,
    })
    .collect()
}

/// Returns whether a name ends like this, in whatever case.
fn ends(name: &str, endings: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

/// Returns the entries of `after` that `before` does not have, as multisets, with `after`'s values.
fn added<T, K: Ord + Clone>(before: &[T], after: &[T], key: impl Fn(&T) -> K) -> Vec<usize> {
    let mut stock: BTreeMap<K, usize> = BTreeMap::new();
    for one in before {
        *stock.entry(key(one)).or_default() += 1;
    }
    let mut fresh = Vec::new();
    for (place, one) in after.iter().enumerate() {
        match stock.get_mut(&key(one)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => fresh.push(place),
        }
    }
    fresh
}
