//! Files that steer other programs: manifests, CI, hooks, links, settings of agents and of tos itself.

use super::{
    EntryKind, FileChange, FileVersion, FindingGroup, ValidationFinding, ValidationRules, ends,
    facts::Language, judging_files::is_listed,
};

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
    (".gitlab-ci", "a CI file"),
    (".ci/", "a CI file"),
    (".circleci/", "a CI file"),
    (".buildkite/", "a CI file"),
    (".drone.yml", "a CI file"),
    ("jenkinsfile", "a CI file"),
    ("azure-pipelines", "a CI file"),
    (".travis.yml", "a CI file"),
    ("bitbucket-pipelines", "a CI file"),
    (".woodpecker", "a CI file"),
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
    ("config/notify.toml", "who is told, and by which programs"),
    ("config/schedules.toml", "what tos runs by itself"),
    ("config/config_v0_3.json", "the configuration of tos"),
    ("config_v0_3.json", "the configuration of tos"),
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
    (".netrc", "stored passwords"),
    (".gitconfig", "settings of git"),
];
/// The same by a folder, anywhere.
const STEERING_FOLDERS: &[(&str, &str)] = &[
    (".claude", "settings of an agent"),
    (".codex", "settings of an agent"),
    (".cursor", "settings of an agent"),
    (".gemini", "settings of an agent"),
    (".vscode", "settings that run commands"),
    (".idea", "settings that run commands"),
    (".devcontainer", "settings that run commands"),
    ("node_modules", "an installed package"),
    ("site-packages", "an installed package"),
    (".git", "git's own directory"),
];

/// Finds them, however they changed.
pub(super) fn findings(rules: &ValidationRules, change: &FileChange) -> Vec<ValidationFinding> {
    let mut found = Vec::new();
    let lower = change.path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    if let Some(what) = steering(&lower, name) {
        found.push(ValidationFinding::new(
            FindingGroup::Files,
            change,
            0,
            format!("changes {what}"),
        ));
    }
    found.extend(manifest(rules, change, name));
    found.extend(sort(change));
    let after = change.after.as_ref();
    if name == ".gitignore" {
        found.push(
            ValidationFinding::new(FindingGroup::Files, change, 0, "changes what git overlooks")
                .warning(),
        );
    }
    if name == "dockerfile" {
        found.push(
            ValidationFinding::new(FindingGroup::Files, change, 0, "changes a file of commands")
                .warning(),
        );
    }
    let grew = |side: &&FileVersion| {
        side.executable && change.before.as_ref().is_some_and(|old| !old.executable)
    };
    if let Some(side) = after.filter(grew) {
        let known = Language::of(&change.path, side.text.as_deref().unwrap_or_default());
        let finding = ValidationFinding::new(FindingGroup::Files, change, 0, "became executable");
        found.push(if known.is_some() {
            finding.warning()
        } else {
            finding
        });
    }
    if after.is_some_and(|side| side.text.is_none() && side.sort == EntryKind::File)
        && change.language().is_none()
    {
        found.push(
            ValidationFinding::new(FindingGroup::Files, change, 0, "a file that is no text")
                .warning(),
        );
    }
    found
}

/// Folders of the places where repositories are hosted: what is in them runs, or decides who and what is let in, but for
/// what people read.
const HOSTS: &[&str] = &[".github/", ".gitlab/", ".gitea/", ".forgejo/"];
/// What people read or fill in there.
const FORMS: &[&str] = &[
    "issue_template",
    "issue_templates/",
    "pull_request_template",
    "merge_request_template",
    "discussion_template/",
    "funding.y",
];

/// Returns what a file in the folder of a host is; `None` = a text for people.
fn of_host(lower: &str) -> Option<&'static str> {
    let rest = HOSTS.iter().find_map(|folder| lower.strip_prefix(folder))?;
    if [
        "copilot",
        "instructions/",
        "prompts/",
        "agents/",
        "chatmodes/",
    ]
    .iter()
    .any(|start| rest.starts_with(start))
    {
        return Some("instructions of an agent");
    }
    let form = FORMS.iter().any(|start| rest.starts_with(start));
    let text = ends(rest, &[".md", ".png", ".jpg", ".svg", ".gif"]);
    let runs = ["workflows/", "actions/", "ci/"]
        .iter()
        .any(|start| rest.starts_with(start));
    if rest == "codeowners" {
        return Some("who has to look at changes");
    }
    (runs || !form && !text).then_some("a CI file")
}

fn steering(lower: &str, name: &str) -> Option<&'static str> {
    if let Some(what) = of_host(lower) {
        return Some(what);
    }
    let start = STEERING.iter().find(|(start, _)| lower.starts_with(start));
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
pub fn is_manifest_path(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    LOCKS.contains(&name) || is_manifest(name)
}

fn is_manifest(name: &str) -> bool {
    let requirements = name.starts_with("requirements") && ends(name, &[".txt", ".in"]);
    requirements || MANIFESTS.contains(&name)
}

fn manifest(rules: &ValidationRules, change: &FileChange, name: &str) -> Option<ValidationFinding> {
    if LOCKS.contains(&name) {
        let finding =
            || ValidationFinding::new(FindingGroup::Files, change, 0, "changes a lock file");
        return (!rules.allow_manifests).then(finding);
    }
    if !is_manifest(name) {
        return None;
    }
    let listed = is_listed(&change.path, &rules.may_change_checks);
    let parts = |side: &Option<FileVersion>| {
        side.as_ref()
            .map(|side| side.manifest.clone())
            .unwrap_or_default()
    };
    let (before, after) = (parts(&change.before), parts(&change.after));
    let mut changed = before
        .keys()
        .chain(after.keys().filter(|key| !before.contains_key(*key)))
        .filter(|key| before.get(*key) != after.get(*key))
        .filter(|key| !HARMLESS_PARTS.contains(&key.as_str()));
    if rules.allow_manifests && !listed {
        // Dependencies may change; what the checks run and how strict they are may not.
        let part = changed.find(|part| decides(name, part))?;
        let what = format!(
            "changes `{part}` of a manifest, which judges changes; if it has to, list it in `may_change_checks`"
        );
        return Some(ValidationFinding::new(FindingGroup::Files, change, 0, what));
    }
    let first = changed.next();
    // A manifest that was not understood has no parts; then any change counts.
    let understood = !before.is_empty() && !after.is_empty();
    if understood && first.is_none() {
        return None;
    }
    let what = match first {
        None => "changes a manifest".to_owned(),
        Some(first) => format!("changes `{first}` of a manifest"),
    };
    Some(if listed {
        let what = format!("{what}; `may_change_checks` allows it, and a person has to look");
        ValidationFinding::new(FindingGroup::Files, change, 0, what).warning()
    } else {
        ValidationFinding::new(FindingGroup::Files, change, 0, what)
    })
}

/// Returns whether a part of a manifest says what checks run and how strict they are.
fn decides(name: &str, part: &str) -> bool {
    let tools = [
        "tool.poetry",
        "tool.uv",
        "tool.pdm",
        "tool.hatch",
        "tool.setuptools",
        "tool.flit",
    ];
    let starts = |starts: &[&str]| starts.iter().any(|start| part.starts_with(start));
    match name {
        "package.json" => [
            "scripts",
            "jest",
            "mocha",
            "ava",
            "nyc",
            "c8",
            "vitest",
            "tap",
            "babel",
            "eslintConfig",
            "husky",
            "lint-staged",
            "overrides",
            "resolutions",
        ]
        .contains(&part),
        "pyproject.toml" => {
            part.starts_with("tool.") && !tools.iter().any(|tool| part.starts_with(tool))
        }
        "cargo.toml" => starts(&[
            "profile.",
            "patch",
            "replace",
            "lib",
            "bin",
            "test",
            "bench",
            "lints",
            "workspace.lints",
            "package.auto",
            "package.build",
            "package.edition",
        ]),
        "go.mod" => starts(&["replace"]) || part.contains("=>"),
        "composer.json" => ["scripts", "autoload", "autoload-dev", "config"].contains(&part),
        "deno.json" => ["tasks", "test", "lint"].contains(&part),
        _ => false,
    }
}

fn sort(change: &FileChange) -> Option<ValidationFinding> {
    let after = change.after.as_ref()?;
    if change.before.as_ref().map(|side| &side.sort) == Some(&after.sort) {
        return None;
    }
    match &after.sort {
        EntryKind::File => None,
        EntryKind::Repository => Some(ValidationFinding::new(
            FindingGroup::Files,
            change,
            0,
            "another repository inside this one",
        )),
        EntryKind::Special => Some(ValidationFinding::new(
            FindingGroup::Files,
            change,
            0,
            "neither file, folder nor link",
        )),
        EntryKind::Link(target) => {
            let finding = ValidationFinding::new(
                FindingGroup::Files,
                change,
                0,
                format!("a link to `{target}`"),
            );
            Some(if stays_inside(&change.path, target) {
                finding.warning()
            } else {
                finding
            })
        }
    }
}

/// Returns whether a link's target, followed by its text, stays below the top and out of git's directory.
pub(super) fn stays_inside(path: &str, target: &str) -> bool {
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
