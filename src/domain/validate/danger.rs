//! Dangerous code: names that do harm wherever they come from, and code whose names nobody can read.

use super::{
    FileChange, FileVersion, FindingGroup, ValidationFinding, ValidationRules, added,
    facts::{CodeMarker, Language, NameUse, SyntaxFacts},
};

/// Names of the third tier; one ending in a dot or a star is a prefix.
const PYTHON: &[&str] = &[
    "subprocess.",
    "os.system",
    "os.popen",
    "os.exec*",
    "os.spawn*",
    "os.posix_spawn*",
    "os.fork*",
    "os.kill*",
    "os._exit",
    "os.remove*",
    "os.unlink",
    "os.rmdir",
    "os.chmod",
    "os.chown",
    "os.setuid",
    "shutil.rmtree",
    "pty.",
    "ctypes.",
    "cffi.",
    "runpy.",
    "code.Interac*",
    "importlib.",
    "imp.",
    "multiprocessing.",
    "socket.",
    "eval",
    "exec",
    "compile",
    "__import__",
    "builtins.",
    "__builtins__*",
    "pickle.load*",
    "marshal.load*",
    "dill.",
    "asyncio.create_subprocess*",
    "sys.modules*",
    "sys.settrace",
    "globals",
    "posix.",
    "nt.",
    "_posixsubprocess.",
];
const ECMA: &[&str] = &[
    "child_process",
    "child_process.",
    "eval",
    "Function",
    "vm.",
    "worker_threads.",
    "process.exit",
    "process.kill",
    "process.abort",
    "process.binding",
    "process.dlopen",
    "process.mainModule*",
    "process._linkedBinding",
    "fs.rm*",
    "fs.unlink*",
    "fs.promises.rm*",
    "fs.promises.unlink",
    "fs/promises.rm*",
    "fs/promises.unlink",
    "fs.chmod*",
    "rimraf*",
    "shelljs.",
    "execa*",
    "zx.",
    "Bun.$*",
    "Bun.spawn*",
    "Bun.dlopen",
    "bun:ffi.",
    "bun.$*",
    "bun.spawn*",
    "Deno.run",
    "Deno.Command",
    "Deno.remove*",
    "Deno.dlopen",
    "ffi-napi.",
    "module.createRequire",
    "module._load",
    "require.main.require",
    "constructor.constructor",
    "net.",
    "dgram.",
    "tls.",
    "cluster.",
    "inspector.",
];
const RUST: &[&str] = &[
    "std.process.Command*",
    "process.Command*",
    "tokio.process.",
    "std.process.exit",
    "std.process.abort",
    "std.fs.remove_*",
    "fs.remove_*",
    "std.net.",
    "std.os.unix.process.",
    "libc.",
    "nix.",
    "std.env.set_var",
    "std.mem.transmute",
    "std.arch.",
    "core.arch.",
    "asm",
    "core.mem.transmute",
];
const GO: &[&str] = &[
    "os/exec.",
    "syscall.",
    "unsafe.",
    "plugin.",
    "os.RemoveAll",
    "os.Remove",
    "os.StartProcess",
    "os.Exit",
    "os.Chmod",
    "net.Dial*",
    "net.Listen*",
    "golang.org/x/sys/",
];
const SHELL: &[&str] = &[
    "eval",
    "exec",
    "sudo",
    "su",
    "doas",
    "curl",
    "wget",
    "nc",
    "ncat",
    "netcat",
    "socat",
    "telnet",
    "ssh",
    "scp",
    "sftp",
    "rsync",
    "ftp",
    "dd",
    "mkfs*",
    "shred",
    "rm",
    "chown",
    "crontab",
    "at",
    "systemctl",
    "service",
    "launchctl",
    "docker",
    "podman",
    "kubectl",
    "mount",
    "umount",
    "insmod",
    "modprobe",
    "kill",
    "pkill",
    "killall",
    "iptables",
    "useradd",
    "passwd",
    "chroot",
    "setfacl",
    "trap",
    "source",
    ".",
    "nohup",
    "setsid",
    "python -c",
    "perl",
    "ruby",
    "osascript",
];

/// The whole environment at once: the first tier.
const DUMPS: &[&str] = &[
    "os.environ",
    "os.environb",
    "os.environ.items",
    "os.environ.copy",
    "os.environ.values",
    "os.environ.keys",
    "process.env",
    "Bun.env",
    "import.meta.env",
    "Deno.env.toObject",
    "std.env.vars",
    "std.env.vars_os",
    "env.vars",
    "env.vars_os",
    "os.Environ",
    "printenv",
    "env",
    "export -p",
    "declare -x",
    "set",
];
/// Modules whose members must be named plainly.
const SENSITIVE: &[&str] = &[
    "os",
    "subprocess",
    "shutil",
    "builtins",
    "__builtins__",
    "sys",
    "importlib",
    "ctypes",
    "socket",
    "child_process",
    "fs",
    "fs/promises",
    "process",
    "globalThis",
    "global",
    "window",
    "self",
    "vm",
    "module",
    "require",
    "Bun",
    "Deno",
    "Reflect",
    "bun",
    "net",
    "globals",
    "locals",
    "vars",
];
/// Names that write a file whose path is the first argument.
const WRITERS: &[&str] = &[
    "open",
    "io.open",
    "fs.writeFile",
    "fs.writeFileSync",
    "fs.appendFile",
    "fs.appendFileSync",
    "fs.createWriteStream",
    "fs.promises.writeFile",
    "fs/promises.writeFile",
    "fs.copyFile",
    "fs.copyFileSync",
    "fs.rename*",
    "fs.symlink*",
    "fs.mkdir*",
    "Bun.write",
    "bun.write",
    "Deno.writeTextFile",
    "Deno.writeFile",
    "os.WriteFile",
    "os.Create",
    "os.OpenFile",
    "os.Symlink",
    "os.symlink",
    "os.mkdir",
    "os.makedirs",
    "std.fs.write",
    "fs.write",
    "std.fs.File.create",
    "File.create",
    "std.fs.create_dir_all",
    "redirect",
    "tee",
];
/// Names that send something away.
const SENDERS: &[&str] = &[
    "fetch",
    "http.",
    "https.",
    "axios*",
    "requests.",
    "urllib.",
    "httpx.",
    "aiohttp.",
    "XMLHttpRequest",
    "WebSocket",
    "navigator.sendBeacon",
    "net/http.",
    "reqwest.",
    "ureq.",
    "undici.",
    "smtplib.",
];
const ENVIRONMENT: &[&str] = &[
    "os.environ*",
    "os.getenv",
    "process.env*",
    "Bun.env*",
    "Deno.env*",
    "std.env.var*",
    "env.var*",
    "os.Getenv",
    "os.Environ",
    "os.LookupEnv",
];

/// Finds dangerous code that a change adds.
pub(super) fn findings(rules: &ValidationRules, change: &FileChange) -> Vec<ValidationFinding> {
    let Some(after) = &change.after else {
        return Vec::new();
    };
    let Some(language) = change.language() else {
        return unknown(change, after);
    };
    let nothing = SyntaxFacts::default();
    let before = change.before.as_ref().map_or(&nothing, |side| &side.facts);
    let mut found = unreadable(change, before, after);
    found.extend(uses(rules, change, language, before, &after.facts));
    found.extend(leaks(change, before, &after.facts));
    found
}

/// Code that no grammar here can read must not be able to run.
fn unknown(change: &FileChange, after: &FileVersion) -> Vec<ValidationFinding> {
    let script = after
        .text
        .as_deref()
        .is_some_and(|text| text.starts_with("#!"));
    let was = change
        .before
        .as_ref()
        .is_some_and(|side| side.executable && side.text == after.text);
    let runs = after.executable || script;
    if runs && !was && after.sort == super::EntryKind::File {
        let what = "a program in a language that cannot be checked";
        return vec![ValidationFinding::new(
            FindingGroup::Danger,
            change,
            0,
            what,
        )];
    }
    Vec::new()
}

/// Reports what cannot be understood as if it were found.
fn unreadable(
    change: &FileChange,
    before: &SyntaxFacts,
    after: &FileVersion,
) -> Vec<ValidationFinding> {
    let mut found = Vec::new();
    if after.text.is_none() && after.sort == super::EntryKind::File {
        found.push(ValidationFinding::new(
            FindingGroup::Danger,
            change,
            0,
            "source that is no text, or too large to check",
        ));
    }
    let facts = &after.facts;
    if facts.errors.len() > before.errors.len() {
        let line = facts.errors.first().copied().unwrap_or(0);
        found.push(ValidationFinding::new(
            FindingGroup::Danger,
            change,
            line,
            "source the grammar does not understand",
        ));
    }
    for mark in fresh(&before.marks, &facts.marks) {
        found.push(ValidationFinding::new(
            FindingGroup::Danger,
            change,
            mark.line,
            mark.what.clone(),
        ));
    }
    for mark in fresh(&before.files, &facts.files) {
        if !super::files::stays_inside(&change.path, &mark.what) {
            let what = format!(
                "takes in another file from outside the project (`{}`)",
                mark.what
            );
            found.push(ValidationFinding::new(
                FindingGroup::Danger,
                change,
                mark.line,
                what,
            ));
        }
    }
    for mark in fresh(&before.computed, &facts.computed) {
        let head = mark.what.split('.').next().unwrap_or_default();
        if SENSITIVE.contains(&mark.what.as_str()) || SENSITIVE.contains(&head) {
            let what = format!("a member of `{}` by a name that is computed", mark.what);
            found.push(ValidationFinding::new(
                FindingGroup::Danger,
                change,
                mark.line,
                what,
            ));
        }
    }
    let wild = facts.imports.iter().filter(|import| import.wildcard);
    for import in wild {
        let old = before
            .imports
            .iter()
            .any(|old| old.wildcard && old.module == import.module);
        if !old && SENSITIVE.contains(&import.module.as_str()) {
            let what = format!("everything of `{}` without its name", import.module);
            found.push(ValidationFinding::new(
                FindingGroup::Danger,
                change,
                import.line,
                what,
            ));
        }
    }
    found
}

fn fresh<'a>(before: &[CodeMarker], after: &'a [CodeMarker]) -> Vec<&'a CodeMarker> {
    let new = added(before, after, |mark| mark.what.clone());
    new.into_iter()
        .filter_map(|place| after.get(place))
        .collect()
}

fn uses(
    rules: &ValidationRules,
    change: &FileChange,
    language: Language,
    before: &SyntaxFacts,
    after: &SyntaxFacts,
) -> Vec<ValidationFinding> {
    let denied = match language {
        Language::Python => PYTHON,
        Language::JavaScript | Language::TypeScript | Language::Tsx => ECMA,
        Language::Rust => RUST,
        Language::Go => GO,
        Language::Shell => SHELL,
    };
    let key = |one: &NameUse| (one.name.clone(), one.whole, one.argument.clone());
    let new = added(&before.uses, &after.uses, key);
    let mut found = Vec::new();
    for one in new.into_iter().filter_map(|place| after.uses.get(place)) {
        let name = one.name.as_str();
        if one.whole && DUMPS.contains(&name) && fits_language(name, language) {
            let what = format!("reads the whole environment (`{name}`)");
            found.push(ValidationFinding::new(
                FindingGroup::Danger,
                change,
                one.line,
                what,
            ));
        }
        if rules.confined {
            continue;
        }
        if is_in(denied, name) && !is_tame(language, one) {
            found.push(ValidationFinding::new(
                FindingGroup::Host,
                change,
                one.line,
                format!("uses `{name}`"),
            ));
        }
        let outside = one.argument.as_deref().filter(|path| leaves(path));
        if let (Some(path), true) = (outside, is_in(WRITERS, name)) {
            found.push(ValidationFinding::new(
                FindingGroup::Host,
                change,
                one.line,
                format!("`{name}` reaches `{path}`, outside the project"),
            ));
        }
    }
    found
}

fn fits_language(name: &str, language: Language) -> bool {
    let shell = ["printenv", "env", "export -p", "declare -x", "set"].contains(&name);
    shell == (language == Language::Shell)
}

/// A few shell commands are harmless with what they are given.
fn is_tame(language: Language, one: &NameUse) -> bool {
    if language != Language::Shell {
        return is_value(&one.name);
    }
    let argument = one.argument.as_deref().unwrap_or_default();
    match one.name.as_str() {
        // Removing named files below the project is what build scripts do; wide or outside is not.
        "rm" => {
            let mut paths = argument
                .split_whitespace()
                .filter(|word| !word.starts_with('-'))
                .peekable();
            paths.peek().is_some()
                && paths.all(|path| {
                    !leaves(path)
                        && !path.contains(['$', '*', '~', '`'])
                        && path != "."
                        && path != "./"
                })
        }
        "source" | "." => !argument.starts_with(['/', '~', '$']) && !argument.is_empty(),
        "trap" | "set" => true,
        "exec" => argument.starts_with(['>', '<', '2']) || argument == "\"$@\"" || argument == "$@",
        _ => false,
    }
}

/// Returns whether a name is a constant or a kind of failure, which does nothing: `socket.AF_INET`, `subprocess.TimeoutExpired`.
fn is_value(name: &str) -> bool {
    let Some((_, last)) = name.rsplit_once(['.', ':', '/']) else {
        return false;
    };
    let constant = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let failures = ["Error", "Exception", "TimeoutExpired"];
    last.len() > 2
        && last.starts_with(|c: char| c.is_ascii_uppercase())
        && last.chars().all(constant)
        || failures.iter().any(|end| last.ends_with(end))
}

fn leaves(path: &str) -> bool {
    let absolute = path.starts_with('/')
        && !["/tmp/", "/dev/null", "/dev/stdout", "/dev/stderr"]
            .iter()
            .any(|place| path.starts_with(place));
    absolute
        || path.starts_with('~')
        || path.starts_with("$HOME")
        || path.split('/').any(|part| part == "..")
}

fn is_in(list: &[&str], name: &str) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None if entry.ends_with('.') => name.starts_with(entry),
        None => name == *entry,
    })
}

/// The environment and a way out in one file, at least one of them new.
fn leaks(change: &FileChange, before: &SyntaxFacts, after: &SyntaxFacts) -> Vec<ValidationFinding> {
    let any = |facts: &SyntaxFacts, list: &[&str]| {
        facts
            .uses
            .iter()
            .find(|one| is_in(list, &one.name))
            .map(|one| one.line)
    };
    let (Some(reads), Some(sends)) = (any(after, ENVIRONMENT), any(after, SENDERS)) else {
        return Vec::new();
    };
    if any(before, ENVIRONMENT).is_some() && any(before, SENDERS).is_some() {
        return Vec::new();
    }
    let what = format!("reads the environment (line {reads}) and sends something away");
    vec![ValidationFinding::new(
        FindingGroup::Secret,
        change,
        sends,
        what,
    )]
}
