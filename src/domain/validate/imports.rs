//! Imports outside the allowed set.

use super::{
    FileChange, FindingGroup, ProjectFacts, ValidationFinding, ValidationRules, added,
    facts::{Language, ModuleImport},
};

/// Modules of the standard libraries that only compute.
const PYTHON: &[&str] = &[
    "__future__",
    "abc",
    "argparse",
    "array",
    "ast",
    "asyncio",
    "base64",
    "binascii",
    "bisect",
    "calendar",
    "cmath",
    "collections",
    "colorsys",
    "concurrent",
    "configparser",
    "contextlib",
    "contextvars",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "doctest",
    "email",
    "enum",
    "errno",
    "fnmatch",
    "fractions",
    "functools",
    "gc",
    "getopt",
    "gettext",
    "glob",
    "graphlib",
    "gzip",
    "hashlib",
    "heapq",
    "hmac",
    "html",
    "inspect",
    "io",
    "ipaddress",
    "itertools",
    "json",
    "keyword",
    "linecache",
    "locale",
    "logging",
    "lzma",
    "math",
    "mimetypes",
    "numbers",
    "operator",
    "os",
    "pathlib",
    "pprint",
    "queue",
    "random",
    "re",
    "sched",
    "secrets",
    "selectors",
    "shlex",
    "shutil",
    "statistics",
    "string",
    "stringprep",
    "struct",
    "sys",
    "tempfile",
    "textwrap",
    "threading",
    "time",
    "timeit",
    "token",
    "tokenize",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "unittest",
    "uuid",
    "warnings",
    "weakref",
    "xml",
    "zipfile",
    "zlib",
    "zoneinfo",
    "tomllib",
    "sqlite3",
    "pytest",
    "hypothesis",
];
const NODE: &[&str] = &[
    "fs",
    "fs/promises",
    "path",
    "path/posix",
    "util",
    "os",
    "assert",
    "assert/strict",
    "crypto",
    "stream",
    "events",
    "buffer",
    "url",
    "querystring",
    "string_decoder",
    "timers",
    "timers/promises",
    "perf_hooks",
    "readline",
    "test",
    "zlib",
    "bun:test",
    "vitest",
    "jest",
    "@jest/globals",
    "mocha",
    "chai",
];
/// First segments of Go's standard library that reach beyond computing.
const GO_BEYOND: &[&str] = &[
    "net",
    "syscall",
    "unsafe",
    "plugin",
    "C",
    "os/exec",
    "debug",
    "runtime/cgo",
];

/// Finds new imports that are not agreed.
pub(super) fn findings(
    rules: &ValidationRules,
    project: &ProjectFacts,
    change: &FileChange,
) -> Vec<ValidationFinding> {
    let (Some(after), Some(language)) = (&change.after, change.language()) else {
        return Vec::new();
    };
    let before = change
        .before
        .as_ref()
        .map(|side| side.facts.imports.as_slice())
        .unwrap_or_default();
    let after = &after.facts.imports;
    let fresh = added(before, after, |import| {
        (import.module.clone(), import.wildcard)
    });
    fresh
        .into_iter()
        .filter_map(|place| after.get(place))
        .filter(|import| !is_allowed(rules, project, language, import))
        .map(|import| {
            let what = format!("imports `{}`, which is not allowed", import.module);
            ValidationFinding::new(FindingGroup::Import, change, import.line, what)
        })
        .collect()
}

fn is_allowed(
    rules: &ValidationRules,
    project: &ProjectFacts,
    language: Language,
    import: &ModuleImport,
) -> bool {
    let module = import
        .module
        .strip_prefix("node:")
        .unwrap_or(&import.module);
    let agreed = |entry: &String| {
        let entry = entry.strip_prefix("node:").unwrap_or(entry);
        module == entry
            || (entry.ends_with(['/', '.']) && module.starts_with(entry))
            || module
                .strip_prefix(entry)
                .is_some_and(|rest| rest.starts_with(['/', '.', ':']))
    };
    rules.allowed_imports.iter().any(agreed) || by_language(project, language, module)
}

fn by_language(project: &ProjectFacts, language: Language, module: &str) -> bool {
    match language {
        Language::Python => {
            let first = module.split('.').next().unwrap_or_default();
            let declared = || {
                let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
                project
                    .declared
                    .iter()
                    .any(|name| plain(name) == plain(first))
            };
            module.starts_with('.') || PYTHON.contains(&first) || own(project, first) || declared()
        }
        Language::JavaScript | Language::TypeScript | Language::Tsx => {
            let local = ["./", "../", "@/", "~/", "src/", "#"]
                .iter()
                .any(|start| module.starts_with(start));
            let dots = module == "." || module == "..";
            local || dots || NODE.contains(&module) || declared_package(project, module)
        }
        Language::Rust => {
            let first = module.split("::").next().unwrap_or_default();
            let local = [
                "std",
                "core",
                "alloc",
                "crate",
                "self",
                "super",
                "test",
                "proc_macro",
            ]
            .contains(&first);
            let type_name = first.starts_with(char::is_uppercase);
            local
                || type_name
                || own(project, first)
                || project
                    .declared
                    .iter()
                    .any(|name| name.replace('-', "_") == first)
        }
        Language::Go => {
            let first = module.split('/').next().unwrap_or_default();
            let standard =
                !first.contains('.') && !GO_BEYOND.contains(&first) && !GO_BEYOND.contains(&module);
            let under = |root: &String| {
                module
                    .strip_prefix(root.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            standard || project.own.iter().any(under) || project.declared.iter().any(under)
        }
        // A shell script reads another script of the project; what it may do is judged by its commands.
        Language::Shell => {
            !module.starts_with('/') && !module.starts_with('~') && !module.contains('$')
        }
    }
}

fn own(project: &ProjectFacts, first: &str) -> bool {
    project.own.iter().any(|name| name == first)
}

fn declared_package(project: &ProjectFacts, module: &str) -> bool {
    let parts = if module.starts_with('@') { 2 } else { 1 };
    let package: Vec<&str> = module.split('/').take(parts).collect();
    let package = package.join("/");
    project
        .declared
        .iter()
        .chain(&project.own)
        .any(|name| *name == package)
}
