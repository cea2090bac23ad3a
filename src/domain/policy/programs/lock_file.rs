//! Packages that come in exactly as the lock file of the project names them.

use crate::domain::policy::{partial_text::is_in, programs::Options, shell::ShellInterpreter};

impl ShellInterpreter<'_, '_> {
    /// Returns whether the command itself wrote what says which packages are installed, and from where.
    pub(super) fn changed_lock(&self) -> bool {
        const FILES: [&str; 16] = [
            "package-lock.json",
            "npm-shrinkwrap.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock",
            "bun.lockb",
            "uv.lock",
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
        FILES.iter().any(|file| self.has_written(file))
    }
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
