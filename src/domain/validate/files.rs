//! Files that steer other programs: manifests, CI, hooks, links, settings of agents and of tos itself.

use super::{Change, Finding, Group, Rules, Side, Sort, ends, facts::Language};

const LOCKS: &[&str] = &[
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "cargo.lock",
    "go.sum",
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "pipfile.lock",
    "gemfile.lock",
    "composer.lock",
    "flake.lock",
    "deno.lock",
];
const MANIFESTS: &[&str] = &[
    "package.json",
    "cargo.toml",
    "go.mod",
    "go.work",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "pipfile",
    "gemfile",
    "composer.json",
    "build.gradle",
    "pom.xml",
    "deno.json",
    "pnpm-workspace.yaml",
    "bunfig.toml",
    "environment.yml",
];
/// Parts of a manifest that install nothing and run nothing.
const HARMLESS_PARTS: &[&str] = &[
    "name",
    "version",
    "description",
    "keywords",
    "license",
    "author",
    "authors",
    "repository",
    "homepage",
    "bugs",
    "contributors",
    "funding",
    "package.description",
    "package.version",
    "package.keywords",
    "package.license",
    "package.authors",
    "package.repository",
    "package.homepage",
    "package.readme",
    "package.categories",
    "project.description",
    "project.version",
    "project.keywords",
    "project.license",
    "project.authors",
    "project.readme",
    "project.urls",
    "project.classifiers",
];
/// Places whose files run by themselves or steer what runs, by the start of the path.
const STEERING: &[(&str, &str)] = &[
    (".github/", "a CI file"),
    (".gitlab-ci", "a CI file"),
    (".circleci/", "a CI file"),
    (".buildkite/", "a CI file"),
    (".gitlab/", "a CI file"),
    (".drone.yml", "a CI file"),
    ("jenkinsfile", "a CI file"),
    ("azure-pipelines", "a CI file"),
    (".travis.yml", "a CI file"),
    ("bitbucket-pipelines", "a CI file"),
    (".woodpecker", "a CI file"),
    (".forgejo/", "a CI file"),
    (".gitea/", "a CI file"),
    ("cloudbuild.y", "a CI file"),
    (".husky/", "a git hook"),
    (".githooks/", "a git hook"),
    ("githooks/", "a git hook"),
    ("hooks/pre-", "a git hook"),
    (".pre-commit-config", "a git hook"),
    ("lefthook.", "a git hook"),
    (".lefthook", "a git hook"),
    (".gitmodules", "a list of submodules"),
    (".tos/", "a file of tos"),
    ("config/gates.toml", "the gates of tos"),
    ("config/check.toml", "the rules of this check"),
    ("config/config_v0_3.json", "the configuration of tos"),
    ("config_v0_3.json", "the configuration of tos"),
];
/// Texts for people that lie among the files of CI.
const TEMPLATES: &[&str] = &[
    ".github/issue_template",
    ".github/pull_request_template",
    ".github/discussion_template",
    ".github/funding.yml",
    ".github/support.md",
    ".github/security.md",
    ".github/contributing.md",
    ".github/code_of_conduct.md",
    ".github/readme.md",
];
/// The same by file name, anywhere.
const STEERING_NAMES: &[(&str, &str)] = &[
    (
        ".gitattributes",
        "attributes that change what git shows and runs",
    ),
    (".npmrc", "settings of a package manager"),
    (".yarnrc", "settings of a package manager"),
    (".yarnrc.yml", "settings of a package manager"),
    ("pip.conf", "settings of a package manager"),
    (".envrc", "a file that shells run by themselves"),
    (".mcp.json", "settings of an agent"),
    ("claude.md", "instructions of an agent"),
    ("agents.md", "instructions of an agent"),
    ("gemini.md", "instructions of an agent"),
    (".cursorrules", "instructions of an agent"),
    ("sitecustomize.py", "a file that Python runs by itself"),
    ("usercustomize.py", "a file that Python runs by itself"),
    ("build.rs", "a build script"),
    (".justfile", "a file of commands"),
    ("binding.gyp", "a build script"),
    (".netrc", "stored passwords"),
    (".gitconfig", "settings of git"),
    ("rust-toolchain.toml", "the choice of a compiler"),
    ("rust-toolchain", "the choice of a compiler"),
    ("noxfile.py", "a file of commands"),
    ("tox.ini", "a file of commands"),
];
/// The same by a folder, anywhere.
const STEERING_FOLDERS: &[(&str, &str)] = &[
    (".claude", "settings of an agent"),
    (".codex", "settings of an agent"),
    (".cursor", "settings of an agent"),
    (".gemini", "settings of an agent"),
    (".cargo", "settings of cargo"),
    (".vscode", "settings that run commands"),
    (".idea", "settings that run commands"),
    (".devcontainer", "settings that run commands"),
    ("node_modules", "an installed package"),
    ("site-packages", "an installed package"),
    (".git", "git's own directory"),
];

/// Finds them, however they changed.
pub(super) fn findings(rules: &Rules, change: &Change) -> Vec<Finding> {
    let mut found = Vec::new();
    let lower = change.path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    if let Some(what) = steering(&lower, name) {
        found.push(Finding::new(
            Group::Files,
            change,
            0,
            format!("changes {what}"),
        ));
    }
    if !rules.allow_manifests {
        found.extend(manifest(change, name));
    }
    found.extend(sort(change));
    let after = change.after.as_ref();
    if name == ".gitignore" {
        found.push(Finding::new(Group::Files, change, 0, "changes what git overlooks").warning());
    }
    if name == "makefile" || name == "justfile" || name == "dockerfile" {
        found.push(Finding::new(Group::Files, change, 0, "changes a file of commands").warning());
    }
    let grew =
        |side: &&Side| side.executable && change.before.as_ref().is_some_and(|old| !old.executable);
    if let Some(side) = after.filter(grew) {
        let known = Language::of(&change.path, side.text.as_deref().unwrap_or_default());
        let finding = Finding::new(Group::Files, change, 0, "became executable");
        found.push(if known.is_some() {
            finding.warning()
        } else {
            finding
        });
    }
    if after.is_some_and(|side| side.text.is_none() && side.sort == Sort::File)
        && change.language().is_none()
    {
        found.push(Finding::new(Group::Files, change, 0, "a file that is no text").warning());
    }
    found
}

fn steering(lower: &str, name: &str) -> Option<&'static str> {
    let template = TEMPLATES.iter().any(|start| lower.starts_with(start));
    let starts = |(start, _): &&(&str, _)| lower.starts_with(start) && !template;
    let start = STEERING.iter().find(starts);
    let named = || STEERING_NAMES.iter().find(|(known, _)| name == *known);
    let folder = || {
        let mut parts = lower.split('/');
        parts.next_back();
        let parts: Vec<&str> = parts.collect();
        STEERING_FOLDERS
            .iter()
            .find(|(known, _)| parts.contains(known))
    };
    start.or_else(named).or_else(folder).map(|(_, what)| *what)
}

/// Returns whether a path is that of a manifest or a lock file.
pub fn manifest_name(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    LOCKS.contains(&name) || is_manifest(name)
}

fn is_manifest(name: &str) -> bool {
    let requirements = name.starts_with("requirements") && ends(name, &[".txt", ".in"]);
    requirements || MANIFESTS.contains(&name)
}

fn manifest(change: &Change, name: &str) -> Option<Finding> {
    if LOCKS.contains(&name) {
        return Some(Finding::new(Group::Files, change, 0, "changes a lock file"));
    }
    if !is_manifest(name) {
        return None;
    }
    let parts = |side: &Option<Side>| {
        side.as_ref()
            .map(|side| side.manifest.clone())
            .unwrap_or_default()
    };
    let (before, after) = (parts(&change.before), parts(&change.after));
    let changed: Vec<&String> = before
        .keys()
        .chain(after.keys().filter(|key| !before.contains_key(*key)))
        .filter(|key| before.get(*key) != after.get(*key))
        .filter(|key| !HARMLESS_PARTS.contains(&key.as_str()))
        .collect();
    // A manifest that was not understood has no parts; then any change counts.
    let understood = !before.is_empty() && !after.is_empty();
    if understood && changed.is_empty() {
        return None;
    }
    let what = match changed.as_slice() {
        [] => "changes a manifest".to_owned(),
        [first, ..] => format!("changes `{first}` of a manifest"),
    };
    Some(Finding::new(Group::Files, change, 0, what))
}

fn sort(change: &Change) -> Option<Finding> {
    let after = change.after.as_ref()?;
    if change.before.as_ref().map(|side| &side.sort) == Some(&after.sort) {
        return None;
    }
    match &after.sort {
        Sort::File => None,
        Sort::Repository => Some(Finding::new(
            Group::Files,
            change,
            0,
            "another repository inside this one",
        )),
        Sort::Special => Some(Finding::new(
            Group::Files,
            change,
            0,
            "neither file, folder nor link",
        )),
        Sort::Link(target) => {
            let finding = Finding::new(Group::Files, change, 0, format!("a link to `{target}`"));
            Some(if stays_inside(&change.path, target) {
                finding.warning()
            } else {
                finding
            })
        }
    }
}

/// Returns whether a link's target, followed by its text, stays below the top and out of git's directory.
fn stays_inside(path: &str, target: &str) -> bool {
    let mut depth = path.split('/').count() - 1;
    if target.starts_with('/') || target.split('/').any(|part| part == ".git") {
        return false;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return false,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}
