//! Packages that come in exactly as the lock file of the project names them.

use std::path::Path;

use crate::domain::policy::{
    partial_text::{is_in, is_vague},
    programs::Options,
    resolved_path::ResolvedPath,
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Managers that install what the project declares: names | words of the verb, joined by `:` | lock files, any of which has to be
/// there.
const DECLARED: &str = "
bundle | install | Gemfile.lock gems.locked
composer | install | composer.lock
mix | deps.get | mix.lock
dotnet | restore | packages.lock.json
uv | sync | uv.lock
poetry | install sync | poetry.lock
pipenv | sync | Pipfile.lock
pdm | install sync | pdm.lock
go | mod:download | go.sum
pod | install | Podfile.lock
dart flutter | pub:get | pubspec.lock
pixi | install | pixi.lock
rebar3 | get-deps | rebar.lock
swift | package:resolve | Package.resolved
";
/// Verbs with which managers that are wrappers or run scripts bring in what nobody has agreed to.
const BRINGS: &str = "
bundle | install update add outdated lock
mix | deps.get deps.update local.hex local.rebar archive.install escript.install
poetry pipenv pdm rye pixi | install add update upgrade sync lock self
pod | install update
rebar3 | get-deps upgrade
dart flutter | pub:get pub:add pub:upgrade
swift | package:resolve package:update
";
/// Options of theirs that say nothing about what comes in or from where.
const TAME: &str = "-q --quiet -n --no-interaction --no-ansi --prefer-dist --no-progress --no-dev --dev --optimize-autoloader -o --no-scripts
    --no-root --sync --all-extras --all-groups --all-packages --no-install-project --frozen --locked --locked-mode --check-locked
    --use-lock-file --no-color --no-plugins --deployment --local --prefer-local --no-cache --ansi --verbose -v --check --no-editable
    --no-self --prod --compile --no-suggest --ignore-platform-reqs --classmap-authoritative -a --no-autoloader --deploy -x --only-root
    --no-directory --nologo --no-dependencies --no-example --enforce-lockfile --offline --jobs --retry --group
    --only --with --without --extra --verbosity -j --parallel --frozen-lockfile";
/// Beginnings of variables that tell these managers what to install and from where.
const SETTINGS: [&str; 14] = [
    "BUNDLE", "GEM_", "RUBY", "COMPOSER", "MIX_", "HEX_", "UV_", "POETRY", "PIP", "PDM_", "GO",
    "NUGET", "DOTNET_", "PUB_",
];
/// Options of these that have a name or a number behind them.
const VALUES: &str = "--jobs --retry --group --only --with --without --extra --verbosity -j -v";

impl ShellInterpreter<'_, '_> {
    /// Returns whether the command itself wrote what says which packages are installed, and from where.
    pub(super) fn changed_lock(&self) -> bool {
        const FILES: [&str; 29] = [
            "Gemfile",
            "gems.rb",
            "composer.json",
            "mix.exs",
            "Directory.Packages.props",
            "nuget.config",
            "NuGet.Config",
            "Pipfile",
            "go.mod",
            "Podfile",
            "pubspec.yaml",
            "pixi.toml",
            "rebar.config",
            "Package.swift",
            "package-lock.json",
            "npm-shrinkwrap.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock",
            "bun.lockb",
            "Cargo.lock",
            "package.json",
            "pyproject.toml",
            "Cargo.toml",
            ".npmrc",
            ".yarnrc",
            ".yarnrc.yml",
            "bunfig.toml",
            "uv.toml",
        ];
        let of_dotnet = |path: &str| path.ends_with("proj") || path.ends_with("props");
        let locks = rows(DECLARED).flat_map(|(_, _, locks)| locks.split_ascii_whitespace());
        let mut files = FILES.into_iter().chain(locks);
        files.any(|file| self.has_written(file)) || self.has_made(of_dotnet)
    }

    /// Returns whether pip installs exactly what a file of the project names with its digests.
    pub(super) fn has_hashes(&self, name: &str, args: &[String]) -> bool {
        const TAME: &str = "--require-hashes --no-deps -q --quiet --no-cache-dir --disable-pip-version-check --no-input --only-binary=:all:";
        let Some((_, words)) = args.split_first().filter(|(verb, _)| *verb == "install") else {
            return false;
        };
        let mut words = words.iter();
        let is_inside = |place: &ResolvedPath| matches!(place, ResolvedPath::Inside(_));
        let mut has_file = false;
        while let Some(word) = words.next() {
            if is_in("-r --requirement", word) {
                let file = words.next().map_or("", String::as_str);
                let is_own = file.rsplit('.').next() == Some("txt")
                    && !is_vague(file)
                    && !file.contains(':')
                    && self.resolve_all(file).iter().all(is_inside);
                if !is_own || self.has_written(file) {
                    return false;
                }
                has_file = true;
            } else if !is_in(TAME, word) {
                return false;
            }
        }
        let is_set = self.has_set(|name| name.starts_with("PIP"));
        is_in("pip pip3", name)
            && has_file
            && !is_set
            && args.iter().any(|arg| arg == "--require-hashes")
    }

    /// Looks at a manager that installs what the project declares; returns whether that is all there is to say.
    pub(super) fn declared_packages(&mut self, name: &str, args: &[String]) -> bool {
        let verb: Vec<&str> = args.iter().take(2).map(String::as_str).collect();
        let one = verb.first().copied().unwrap_or("");
        let both = verb.join(":");
        let is_verb = |verbs: &str| is_in(verbs, one) || is_in(verbs, &both);
        let is_row = |(names, verbs, _): &(&str, &str, &str)| is_in(names, name) && is_verb(verbs);
        if let Some((_, verbs, locks)) = rows(DECLARED).find(is_row) {
            let behind = if is_in(verbs, one) { 1 } else { 2 };
            let is_tame = are_tame(args.get(behind..).unwrap_or_default());
            let is_strict = |name: &str| {
                is_in(
                    "BUNDLE_FROZEN BUNDLE_DEPLOYMENT BUNDLE_JOBS BUNDLE_RETRY BUNDLE_WITHOUT",
                    name,
                )
            };
            let names_itself = |name: &str| {
                SETTINGS.iter().any(|start| name.starts_with(start)) && !is_strict(name)
            };
            let is_set = self.has_set(names_itself);
            if is_tame && !is_set && self.holds_any(locks) && !self.changed_lock() {
                self.runs_project();
                return true;
            }
        }
        let Some((_, verbs, _)) = rows(BRINGS).find(is_row) else {
            return false;
        };
        let verb = if is_in(verbs, one) {
            one.to_owned()
        } else {
            both.replace(':', " ")
        };
        self.reading.does(
            EffectKind::PackageInstall,
            format!("{name} {verb} brings in foreign programs"),
        );
        true
    }

    /// Returns whether one of these files is seen in the folder of the command; where nobody looks, none is.
    fn holds_any(&self, files: &str) -> bool {
        let (Some(eyes), Some(folder)) = (&self.reading.world.eyes, self.folder()) else {
            return false;
        };
        let mut files = files.split_whitespace();
        files.any(|file| eyes.is_there(&Path::new(folder).join(file)))
    }
}

/// Reads a table: names, verbs, and files where it has any.
fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let rows = table.lines().map(|line| line.split('|').map(str::trim));
    rows.filter_map(|mut row| Some((row.next()?, row.next()?, row.next().unwrap_or(""))))
}

/// Returns whether these words leave what comes in and from where to the lock file.
fn are_tame(words: &[String]) -> bool {
    let mut before = "";
    words.iter().all(|word| {
        let is_value = is_in(VALUES, before)
            && word
                .chars()
                .all(|c| c.is_alphanumeric() || ",-_".contains(c));
        before = word;
        let option = word.split('=').next().unwrap_or(word);
        let is_project = [".sln", ".slnx", "proj"]
            .iter()
            .any(|end| word.ends_with(end))
            && !word.starts_with(['/', '~', '-'])
            && !word.contains("..");
        let is_number = word
            .strip_prefix("-j")
            .is_some_and(|rest| rest.parse::<u32>().is_ok());
        is_value || is_in(TAME, option) || is_project || is_number
    })
}

/// Returns whether exactly the packages come in that the project's lock file names with their digests: whoever committed it
/// agreed to them. Any option that is not listed may say something else.
pub(super) fn is_of_the_lock(name: &str, options: &Options, rest: &[String]) -> bool {
    const TAME: &str = "--no-audit --no-fund --prefer-offline --silent -s -q --quiet --ignore-scripts --no-progress --omit=dev --omit=optional
        --include=dev --legacy-peer-deps --loglevel=error --loglevel=warn --no-update-notifier --inline-builds --no-optional --prod
        --production --non-interactive --check-files --check-cache --strict-peer-dependencies --no-dev --all-extras --all-groups --all-packages
        --no-install-project --dev --color=always --color=never --no-color --no-save -r --recursive";
    const LOCKED: &str = "--frozen-lockfile --immutable --frozen --locked";
    let verb = options.rest.first().map_or("", String::as_str);
    let is_install = match name {
        "npm" => ["ci", "clean-install"].contains(&verb),
        "pnpm" | "bun" => ["install", "i"].contains(&verb),
        "yarn" => verb == "install",
        "uv" => verb == "sync",
        "cargo" => verb == "fetch",
        _ => false,
    };
    let locks = name == "npm" || rest.iter().any(|arg| is_in(LOCKED, arg));
    is_install
        && locks
        && options.given.iter().all(|(option, _)| {
            ["s", "q", "silent", "quiet", "r", "recursive"].contains(&option.as_str())
        })
        && rest
            .iter()
            .all(|arg| is_in(TAME, arg) || is_in(LOCKED, arg))
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::Arc};

    use crate::domain::{
        command::{Command, CommandKind},
        job::rules::PolicyRules,
        policy::{Decision, FilesystemView, Policy, PolicyContext},
    };

    /// A disk on which there is nothing but these lock files.
    #[derive(Debug)]
    struct Locks(&'static [&'static str]);

    impl FilesystemView for Locks {
        fn real_path(&self, path: &std::path::Path) -> Option<PathBuf> {
            Some(path.to_owned())
        }
        fn known_program(&self, _: &std::path::Path) -> Option<String> {
            None
        }
        fn is_there(&self, path: &std::path::Path) -> bool {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| self.0.contains(&name))
        }
    }

    fn decision(code: &str, locks: &'static [&'static str]) -> Decision {
        let world = PolicyContext {
            eyes: Some(Arc::new(Locks(locks))),
            attended: true,
            ..PolicyContext::unattended("/srv/job/root")
        };
        let command = Command {
            kind: CommandKind::Bash,
            code: code.to_owned(),
            argv: Vec::new(),
        };
        let policy = Policy::new(&PolicyRules {
            allow_types: CommandKind::KNOWN.to_vec(),
            ..PolicyRules::default()
        });
        policy.unwrap().judge(&command, &world).decision
    }

    #[test]
    fn what_is_declared_comes_in_where_a_lock_file_says_what_it_is() {
        const ALL: &[&str] = &[
            "Gemfile.lock",
            "composer.lock",
            "mix.lock",
            "packages.lock.json",
            "uv.lock",
            "poetry.lock",
            "Pipfile.lock",
            "go.sum",
            "Podfile.lock",
            "pubspec.lock",
            "pixi.lock",
            "rebar.lock",
            "Package.resolved",
        ];
        for code in [
            "bundle install --quiet",
            "bundle install --jobs 4",
            "BUNDLE_FROZEN=true bundle install",
            "composer install --no-interaction --prefer-dist",
            "mix deps.get",
            "dotnet restore App.sln --locked-mode",
            "uv sync",
            "uv sync --group dev",
            "poetry install --no-root --with dev",
            "pipenv sync --dev",
            "go mod download",
            "pod install",
            "dart pub get",
            "pixi install",
            "rebar3 get-deps",
            "swift package resolve",
        ] {
            assert_eq!(decision(code, ALL), Decision::Allow, "{code}");
            assert_ne!(decision(code, &[]), Decision::Allow, "{code}");
        }
        for code in [
            "bundle add rails",
            "bundle install --gemfile=/tmp/Gemfile",
            "uv sync --index-url http://r.example/simple",
            "uv sync --upgrade",
            "composer install --repository=http://r.example",
            "poetry add requests",
            "mix deps.update --all",
            "dotnet restore --source http://r.example",
            "echo x > Gemfile; bundle install",
            "echo x > uv.lock && uv sync",
            "echo x > pubspec.lock && dart pub get",
            "echo x > pixi.lock && pixi install",
            "echo x > rebar.lock && rebar3 get-deps",
            "echo x > Package.resolved && swift package resolve",
            "echo x > Package.swift && swift package resolve",
            "echo x > rebar.config && rebar3 get-deps",
            "BUNDLE_GEMFILE=/tmp/Gemfile bundle install",
        ] {
            assert_ne!(decision(code, ALL), Decision::Allow, "{code}");
        }
    }
}
