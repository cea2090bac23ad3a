//! What of a home directory programs need, and what of it nobody else's program may see.
//!
//! Behind a wall a home is covered as a whole. What is shown again, to be read only, starts from the folders on `PATH`:
//! the folder itself, the toolchain or the installation it belongs to, and what its links and interpreters lead to.
//! Everything here is relative to the home and decided by name; whether something exists is asked for.

use std::path::{Component, Path, PathBuf};

/// Where programs keep keys, tokens, sessions and histories.
pub const SECRET_PLACES: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".password-store",
    ".vault-token",
    ".terraform.d",
    ".bash_history",
    ".zsh_history",
    ".python_history",
    ".node_repl_history",
    ".psql_history",
    ".mysql_history",
    ".lesshst",
    ".mozilla",
    ".thunderbird",
    ".claude",
    ".claude.json",
    ".codex",
    ".gemini",
    ".aider.conf.yml",
    ".continue",
    ".cursor",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".gradle/gradle.properties",
    ".m2/settings.xml",
    ".m2/settings-security.xml",
    ".nuget/NuGet/NuGet.Config",
    ".composer/auth.json",
    ".oci",
    ".fly",
    ".config/gh",
    ".config/gcloud",
    ".config/git/credentials",
    ".config/github-copilot",
    ".config/goose",
    ".config/opencode",
    ".config/composer/auth.json",
    ".config/configstore",
    ".config/doctl",
    ".config/op",
    ".config/rclone",
    ".config/google-chrome",
    ".config/chromium",
    ".config/hub",
    ".config/glab-cli",
    ".config/pypoetry/auth.toml",
    ".config/sops",
    ".cache/huggingface/token",
    ".cache/huggingface/stored_tokens",
    ".huggingface",
    ".kaggle",
    ".local/share/keyrings",
    ".local/share/opencode",
    ".local/share/uv/credentials",
    ".local/share/kwalletd",
    ".local/state/opencode",
];

/// Folders that a toolchain manager owns, and what has to be seen for its programs to work.
const TOOLCHAINS: &[(&str, &[&str])] = &[
    (".cargo", &[".cargo", ".rustup"]),
    (".rustup", &[".rustup", ".cargo"]),
    (".pyenv", &[".pyenv"]),
    (".rbenv", &[".rbenv"]),
    (".nodenv", &[".nodenv"]),
    (".goenv", &[".goenv"]),
    (".jenv", &[".jenv"]),
    (".phpenv", &[".phpenv"]),
    (".rvm", &[".rvm"]),
    (".nvm", &[".nvm"]),
    (".fnm", &[".fnm"]),
    (".n", &[".n"]),
    (".volta", &[".volta"]),
    (".asdf", &[".asdf"]),
    (".proto", &[".proto"]),
    (".sdkman", &[".sdkman"]),
    (".jabba", &[".jabba"]),
    (".bun/bin", &[".bun/bin", ".bun/install/global"]),
    (".bun/install/global", &[".bun/bin", ".bun/install/global"]),
    (".deno", &[".deno/bin"]),
    (".dotnet", &[".dotnet"]),
    (".ghcup", &[".ghcup"]),
    (".cabal/bin", &[".cabal/bin"]),
    (".opam", &[".opam"]),
    (".elan", &[".elan"]),
    (".juliaup", &[".juliaup", ".julia/juliaup"]),
    (".julia/juliaup", &[".juliaup", ".julia/juliaup"]),
    (".swiftly", &[".swiftly", ".local/share/swiftly"]),
    (".foundry", &[".foundry/bin"]),
    (".linuxbrew", &[".linuxbrew"]),
    (".nix-profile", &[".nix-profile"]),
    (".gem/ruby", &[".gem/ruby"]),
    (".composer/vendor", &[".composer/vendor"]),
    (".config/composer/vendor", &[".config/composer/vendor"]),
    (".config/yarn/global", &[".config/yarn/global"]),
    (".yarn/bin", &[".yarn/bin", ".config/yarn/global"]),
    (".krew", &[".krew"]),
    (".conda", &[".conda/envs"]),
    ("anaconda3", &["anaconda3"]),
    ("miniconda3", &["miniconda3"]),
    ("miniforge3", &["miniforge3"]),
    ("mambaforge", &["mambaforge"]),
    ("go", &["go/bin", "go/pkg"]),
    ("sdk", &["sdk"]),
    (
        ".local/share/claude/versions",
        &[".local/share/claude/versions"],
    ),
    (".local/share/fnm", &[".local/share/fnm"]),
    (".local/share/mise", &[".local/share/mise"]),
    (".local/share/rtx", &[".local/share/rtx"]),
    (".local/share/asdf", &[".local/share/asdf"]),
    (".local/share/pnpm", &[".local/share/pnpm"]),
    (".local/share/pipx", &[".local/share/pipx"]),
    (".local/share/pypoetry", &[".local/share/pypoetry"]),
    (
        ".local/share/uv",
        &[".local/share/uv/tools", ".local/share/uv/python"],
    ),
    (
        ".local/share/rustup",
        &[".local/share/rustup", ".local/share/cargo"],
    ),
    (
        ".local/share/cargo",
        &[".local/share/rustup", ".local/share/cargo"],
    ),
    (".local/share/gem", &[".local/share/gem"]),
    (".local/share/coursier", &[".local/share/coursier"]),
    (".local/pipx", &[".local/pipx"]),
];

/// Names under which installations keep what logs in; never shown, wherever an installation is.
pub const CREDENTIAL_NAMES: &[&str] = &[
    "credentials",
    "credentials.toml",
    "credentials.json",
    ".credentials.json",
    "auth.json",
    "auth.toml",
    "oauth_creds.json",
    "token",
    ".netrc",
    ".npmrc",
    ".git-credentials",
];

/// Variables by which programs find a toolchain in a home that is no longer their `HOME`.
pub const TOOLCHAIN_VARIABLES: &[(&str, &str)] = &[
    ("RUSTUP_HOME", ".rustup"),
    ("CARGO_HOME", ".cargo"),
    ("PYENV_ROOT", ".pyenv"),
    ("RBENV_ROOT", ".rbenv"),
    ("NODENV_ROOT", ".nodenv"),
    ("VOLTA_HOME", ".volta"),
    ("ASDF_DATA_DIR", ".asdf"),
    ("MISE_DATA_DIR", ".local/share/mise"),
];

/// Settings of git without which repositories look different; shown unless they hold a secret.
pub const GIT_CONFIG_PATHS: &[&str] = &[
    ".gitconfig",
    ".config/git/config",
    ".config/git/ignore",
    ".config/git/attributes",
];

/// Folders that many programs share: being in one says nothing about belonging together.
const SHARED: &[&str] = &[
    "",
    ".local",
    ".local/share",
    ".local/state",
    ".config",
    ".cache",
];

/// What folders with programs are called.
const PROGRAM_FOLDERS: &[&str] = &["bin", "sbin", "shims", ".bin"];

/// What an installation keeps beside its programs.
const BESIDE_PROGRAMS: &[&str] = &[
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "libexec",
    "include",
    "share",
    "pyvenv.cfg",
];

/// What tells that a folder is one installation and nothing else.
const INSTALLATION: &[&str] = &["lib", "lib64", "libexec", "pyvenv.cfg", "jmods", "packages"];

/// Returns what has to be seen for the programs of a folder on `PATH` to work.
pub fn paths_needed_by_folder(folder: &Path, exists: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    if let Some(known) = toolchain(folder) {
        return known;
    }
    if let Some(modules) = modules(folder) {
        return vec![modules];
    }
    let (Some(name), Some(parent)) = (folder.file_name(), folder.parent()) else {
        return Vec::new();
    };
    let is_named = PROGRAM_FOLDERS.iter().any(|known| name == *known);
    if !is_named || parent.as_os_str().is_empty() {
        return vec![folder.to_owned()];
    }
    let is_shared = SHARED.iter().any(|shared| parent == Path::new(shared));
    let is_whole = INSTALLATION.iter().any(|part| exists(&parent.join(part)));
    if is_whole && !is_shared && !holds_secrets(parent) {
        return vec![parent.to_owned()];
    }
    let parts = BESIDE_PROGRAMS
        .iter()
        .filter(|part| !(is_shared && **part == "share"));
    let parts = parts.map(|part| parent.join(part));
    let parts = parts.filter(|part| !holds_secrets(part) && exists(part));
    std::iter::once(folder.to_owned()).chain(parts).collect()
}

/// Returns what has to be seen for one program to work. `is_installed` says that a link on `PATH` leads to it, so that
/// what lies beside it was put there by its installer.
pub fn paths_needed_by_program(
    file: &Path,
    is_installed: bool,
    exists: &dyn Fn(&Path) -> bool,
) -> Vec<PathBuf> {
    if let Some(known) = toolchain(file) {
        return known;
    }
    if let Some(modules) = modules(file) {
        return vec![modules];
    }
    let Some(parent) = file.parent() else {
        return vec![file.to_owned()];
    };
    let is_program_folder = |folder: &&Path| {
        let name = folder.file_name().unwrap_or_default();
        PROGRAM_FOLDERS.iter().any(|known| name == *known)
    };
    if let Some(folder) = file.ancestors().skip(1).find(is_program_folder) {
        return paths_needed_by_folder(folder, exists);
    }
    let is_deep = parent.components().count() > 1 && !is_shared(parent);
    if is_installed && is_deep && !holds_secrets(parent) {
        return vec![parent.to_owned()];
    }
    let beside = parent.join("node_modules");
    let beside = (is_deep && exists(&beside)).then_some(beside);
    std::iter::once(file.to_owned()).chain(beside).collect()
}

/// Returns the toolchain a path belongs to.
fn toolchain(path: &Path) -> Option<Vec<PathBuf>> {
    let (_, shown) = TOOLCHAINS.iter().find(|(top, _)| path.starts_with(top))?;
    Some(shown.iter().map(PathBuf::from).collect())
}

/// Returns the outermost folder of packages a path lies in.
fn modules(path: &Path) -> Option<PathBuf> {
    let mut at = PathBuf::new();
    path.components().find_map(|part| {
        at.push(part);
        (part == Component::Normal("node_modules".as_ref())).then(|| at.clone())
    })
}

fn is_shared(folder: &Path) -> bool {
    SHARED.iter().any(|shared| folder == Path::new(shared))
}

/// Returns whether a place with secrets lies in `path` or is it, or `path` lies in one.
fn holds_secrets(path: &Path) -> bool {
    secret_in(path).is_some() || is_secret(path)
}

fn secret_in(path: &Path) -> Option<&'static str> {
    let mut places = SECRET_PLACES.iter();
    places
        .find(|place| Path::new(place).starts_with(path))
        .copied()
}

/// Returns whether a path of a home lies in a place of keys, tokens or histories, and is no program installed there.
pub fn is_secret(path: &Path) -> bool {
    SECRET_PLACES.iter().any(|place| path.starts_with(place)) && !is_program_place(path)
}

/// Returns why a place may not be shown by a setting, and what to do. `path` is a place as it is written there, `home`
/// the home directory.
pub fn exposed_path_error(path: &str, home: Option<&Path>) -> Option<(String, &'static str)> {
    let below = "name a folder or file as \"~/NAME\" or \"/NAME\"";
    let written = Path::new(path);
    if written
        .components()
        .any(|part| part == Component::ParentDir)
    {
        return Some((format!("\"{path}\" leads upwards by `..`"), below));
    }
    let in_home = match written.strip_prefix("~") {
        Ok(rest) => Some(rest),
        Err(_) if !written.is_absolute() => {
            return Some((
                format!("\"{path}\" is neither absolute nor below `~`"),
                below,
            ));
        }
        Err(_) => home.and_then(|home| written.strip_prefix(home).ok()),
    };
    let Some(rest) = in_home else {
        let above = written == Path::new("/") || home.is_some_and(|home| home.starts_with(written));
        return above.then(|| {
            let problem = format!("\"{path}\" holds the whole home directory");
            (problem, "name the folders that commands need")
        });
    };
    if rest.as_os_str().is_empty() {
        let problem = format!("\"{path}\" is the whole home directory");
        return Some((problem, "name the folders below it that commands need"));
    }
    if is_secret(rest) {
        let problem = format!("\"{path}\" is a place of keys, tokens or histories");
        return Some((problem, "it stays hidden; copy what is harmless elsewhere"));
    }
    let inside = secret_in(rest).filter(|_| is_shared(rest))?;
    let problem = format!("\"{path}\" holds ~/{inside}");
    Some((problem, "name the folders below it that commands need"))
}

/// Places of programs within places of secrets.
fn is_program_place(rest: &Path) -> bool {
    [".claude/local"]
        .iter()
        .any(|place| rest.starts_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &str, there: &[&str]) -> Vec<String> {
        let exists = |path: &Path| there.iter().any(|one| path == Path::new(one));
        shown(paths_needed_by_folder(Path::new(path), &exists))
    }

    fn program(path: &str, is_installed: bool, there: &[&str]) -> Vec<String> {
        let exists = |path: &Path| there.iter().any(|one| path == Path::new(one));
        shown(paths_needed_by_program(
            Path::new(path),
            is_installed,
            &exists,
        ))
    }

    fn shown(paths: Vec<PathBuf>) -> Vec<String> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        paths.into_iter().map(text).collect()
    }

    #[test]
    fn a_folder_of_a_toolchain_brings_the_toolchain() {
        assert_eq!(folder(".cargo/bin", &[]), [".cargo", ".rustup"]);
        assert_eq!(folder(".pyenv/shims", &[]), [".pyenv"]);
        assert_eq!(folder(".nvm/versions/node/v22.1.0/bin", &[]), [".nvm"]);
        assert_eq!(folder("go/bin", &[]), ["go/bin", "go/pkg"]);
    }

    #[test]
    fn an_installation_is_shown_whole_and_a_shared_folder_in_parts() {
        assert_eq!(folder("flutter/bin", &["flutter/packages"]), ["flutter"]);
        assert_eq!(
            folder("projects/bin", &["projects/bin"]),
            ["projects/bin", "projects/bin"]
        );
        assert_eq!(
            folder(".local/bin", &[".local/bin", ".local/lib", ".local/share"]),
            [".local/bin", ".local/bin", ".local/lib"]
        );
        assert_eq!(folder("bin", &["lib"]), ["bin"]);
        assert_eq!(folder("scripts", &["lib"]), ["scripts"]);
        // A folder that keeps a login beside its programs is not shown whole.
        assert_eq!(
            folder(".gemini/bin", &[".gemini/lib", ".gemini/bin"]),
            [".gemini/bin"]
        );
    }

    #[test]
    fn a_program_brings_its_package() {
        assert_eq!(
            program(
                ".npm-global/lib/node_modules/@openai/codex/bin/codex.js",
                true,
                &[]
            ),
            [".npm-global/lib/node_modules"]
        );
        assert_eq!(
            program(".local/share/claude/versions/2.1.197", true, &[]),
            [".local/share/claude/versions"]
        );
        assert_eq!(program(".opt/tool/run", true, &[]), [".opt/tool"]);
        assert_eq!(
            program("venvs/x/bin/python", false, &["venvs/x/pyvenv.cfg"]),
            ["venvs/x"]
        );
    }

    #[test]
    fn a_program_that_is_only_named_does_not_open_the_folder_it_lies_in() {
        assert_eq!(
            program("Documents/run.sh", false, &[]),
            ["Documents/run.sh"]
        );
        assert_eq!(program("a/b/run.sh", false, &[]), ["a/b/run.sh"]);
        assert_eq!(program("Documents/run.sh", true, &[]), ["Documents/run.sh"]);
        assert_eq!(program("run.sh", true, &[]), ["run.sh"]);
        assert_eq!(
            program(
                ".claude/local/claude",
                false,
                &[".claude/local/node_modules"]
            ),
            [".claude/local/claude", ".claude/local/node_modules"]
        );
    }

    #[test]
    fn no_toolchain_is_a_place_of_secrets() {
        for (_, shown) in TOOLCHAINS {
            for place in *shown {
                assert!(!is_secret(Path::new(place)), "{place}");
            }
        }
    }

    #[test]
    fn a_dangerous_place_to_show_is_refused_with_the_reason() {
        let fault = |path: &str| {
            let found = exposed_path_error(path, Some(Path::new("/home/u")));
            found.map(|(problem, _)| problem).unwrap_or_default()
        };
        for (path, words) in [
            ("~", "whole home"),
            ("~/", "whole home"),
            ("/home/u", "whole home"),
            ("/home", "whole home"),
            ("/", "whole home"),
            ("~/.ssh", "keys, tokens"),
            ("/home/u/.ssh/config", "keys, tokens"),
            ("~/.local/share/opencode/auth.json", "keys, tokens"),
            ("~/.config", "holds ~/.config/gh"),
            ("~/.local/share", "holds ~/.local/share/"),
            ("data", "neither absolute"),
            ("~/x/../.ssh", "leads upwards"),
        ] {
            assert!(fault(path).contains(words), "{path}: {}", fault(path));
        }
        for path in [
            "~/.gitconfig",
            "~/data",
            "/srv/models",
            "~/.config/pip",
            "~/.cargo",
        ] {
            assert_eq!(fault(path), "", "{path}");
        }
    }
}
