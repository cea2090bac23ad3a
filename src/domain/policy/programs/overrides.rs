//! Settings on a command line with which a tool that is known for something harmless runs or loads something else.
//!
//! What a project's own files say is the project's. A setting in the command replaces it for this once, and nobody looks at it.

use crate::domain::policy::{partial_text::base_name, shell::ShellInterpreter};

impl ShellInterpreter<'_, '_> {
    /// Looks at settings given on the command line that make a tool run or load something else.
    pub(super) fn overrides(&mut self, name: &str, args: &[String]) {
        let found = match name {
            "gnuplot" => args.iter().find(|arg| {
                let mut parts = arg.split([';', '\n']);
                parts.any(|part| part.trim_start().starts_with('!'))
            }),
            "convert" | "magick" | "mogrify" | "identify" | "composite" | "montage" | "gm" => args
                .iter()
                .find(|arg| CODERS.iter().any(|start| arg.starts_with(start))),
            "latex" | "pdflatex" | "xelatex" | "lualatex" => args
                .iter()
                .find(|arg| arg.contains("write18") || arg.contains("directlua")),
            "npm" | "pnpm" | "yarn" => args
                .iter()
                .find(|arg| arg.contains("_auth") || arg.contains("_password")),
            "mvn" | "mvnw" | "gradle" | "gradlew" => args.iter().find(|arg| replaces_java(arg)),
            "cmake" => args.iter().find(|arg| launches(arg)),
            "pytest" | "py.test" => pytest_override(args),
            "dotnet" | "msbuild" => args.iter().find(|arg| changes_build(arg)),
            _ => None,
        };
        if name == "dotnet" {
            for library in args
                .iter()
                .filter(|arg| arg.contains('/') && has_ending(arg, "dll"))
            {
                self.runs_file(library);
            }
        }
        let started = match name {
            "java" => behind(args, "-jar"),
            "zig" | "nim" | "dart" | "crystal" | "swift" => {
                args.iter().take(3).find(|arg| arg.contains('/'))
            }
            _ => None,
        };
        let source = args
            .first()
            .filter(|arg| name == "java" && has_ending(arg, "java"));
        if let Some(file) = started.or(source) {
            self.runs_file(file);
        }
        let found = found.or_else(|| more_overrides(name, args));
        if let Some(word) = found {
            self.reading.opaque(format!(
                "{name} with `{word}`, which makes it run, load or hand out something else"
            ));
        }
    }
}

/// Returns the word behind an option.
fn behind<'a>(args: &'a [String], option: &str) -> Option<&'a String> {
    let at = args.iter().position(|arg| arg == option)?;
    args.get(at + 1)
}

/// Returns whether a word is the name of a file with this ending.
fn has_ending(word: &str, ending: &str) -> bool {
    let found = std::path::Path::new(word).extension();
    found.is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// Beginnings of names of pictures that are scripts, addresses, other files or go away when they were read.
const CODERS: [&str; 10] = [
    "|",
    "msl:",
    "ephemeral:",
    "mvg:",
    "https:",
    "http:",
    "url:",
    "text:/",
    "label:@",
    "caption:@",
];

/// Returns whether a setting makes a build of Java load or start something of its own.
fn replaces_java(arg: &str) -> bool {
    let loads = ["-javaagent:", "-agentpath:", "-agentlib:"];
    let replaces = [
        "-Djvm=",
        "-Dmaven.ext.class.path=",
        "-Dorg.gradle.java.home=",
        "-Dmaven.repo.remote=",
        "-Dexec.executable=",
    ];
    loads.iter().any(|word| arg.contains(word))
        || replaces.iter().any(|start| arg.starts_with(start))
}

/// Returns the word of other tools that makes them load, run or hand out something else.
fn more_overrides<'a>(name: &str, args: &'a [String]) -> Option<&'a String> {
    match name {
        "mvn" | "mvnw" => args.iter().find(|arg| {
            let goals = [
                "dependency:get",
                "dependency:copy",
                "dependency:unpack",
                "antrun:run",
            ];
            goals.iter().any(|goal| arg.contains(goal))
        }),
        "go" => args.iter().find(|arg| {
            let links = ["-extld=", "-extld ", "-fplugin", "-wrapper", " -B"];
            links.iter().any(|option| arg.contains(option))
        }),
        "bazel" | "bazelisk" => args
            .iter()
            .find(|arg| arg.starts_with('@') && !arg.starts_with("@//"))
            .filter(|_| args.iter().any(|arg| arg == "run")),
        "m4" => args.iter().find(|arg| arg.contains("syscmd")),
        "sbt" => args
            .iter()
            .find(|arg| arg.contains('!') || arg.starts_with("eval ")),
        "lein" => args.iter().find(|arg| *arg == "clojure.main"),
        "less" | "more" => args
            .iter()
            .find(|arg| arg.starts_with('+') && arg.contains(['!', '|'])),
        "python" | "python3" => {
            let module = behind(args, "-m")?;
            // `continue` and its like are commands of the debugger.
            let has_code = behind(args, "-c").is_some_and(|code| code.contains([' ', '(', '!']));
            (module == "keyring" || module == "pdb" && has_code).then_some(module)
        }
        _ => None,
    }
}

/// Returns whether a property makes a build of .NET run or load something besides the project, or send it away.
fn changes_build(arg: &str) -> bool {
    let small = arg.to_lowercase();
    let Some(setting) = small
        .trim_start_matches(['-', '/'])
        .split_once(':')
        .map(|(_, rest)| rest)
    else {
        return false;
    };
    let key = setting.split('=').next().unwrap_or(setting);
    let words = [
        "buildevent",
        "custombefore",
        "customafter",
        "targetspath",
        "propspath",
        "runcommand",
        "publishcontainer",
        "exec",
    ];
    arg.starts_with(['-', '/']) && words.iter().any(|word| key.contains(word))
}

/// Returns whether a setting of cmake puts a program before each compiler, other than one that keeps what was compiled.
fn launches(arg: &str) -> bool {
    let (key, value) = arg.split_once('=').unwrap_or((arg, ""));
    let key = key.split(':').next().unwrap_or(key);
    let caches = ["", "ccache", "sccache", "distcc", "icecc", "buildcache"];
    let is_launcher = key.ends_with("_LAUNCHER") || key.contains("RULE_LAUNCH");
    key.starts_with("-D") && is_launcher && !caches.contains(&base_name(value))
}

/// Returns the setting or plugin that changes what pytest runs.
fn pytest_override(args: &[String]) -> Option<&String> {
    let pairs = args.windows(2).find_map(|pair| match pair {
        [option, value] if option == "-p" && !is_known_plugin(value) => Some(value),
        [option, value] if ["-o", "--override-ini"].contains(&option.as_str()) => {
            Some(value).filter(|value| steers(value))
        }
        _ => None,
    });
    pairs.or_else(|| {
        args.iter().find(|arg| {
            let joined = arg.strip_prefix("--override-ini=");
            joined
                .or_else(|| arg.strip_prefix("-o"))
                .is_some_and(steers)
        })
    })
}

/// Returns whether a plugin of pytest is one that everybody has, or is switched off.
fn is_known_plugin(name: &str) -> bool {
    let starts = [
        "no:",
        "pytest",
        "_pytest",
        "xdist",
        "cov",
        "randomly",
        "anyio",
        "asyncio",
        "timeout",
        "mock",
        "faulthandler",
        "doctest",
    ];
    starts.iter().any(|start| name.starts_with(start))
}

/// Returns whether a setting of pytest changes which files it runs, or with which options.
fn steers(setting: &str) -> bool {
    let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
    !value.is_empty()
        && [
            "addopts",
            "python_files",
            "pythonpath",
            "confcutdir",
            "required_plugins",
        ]
        .contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_runs_something_else_is_told_from_one_that_does_not() {
        for setting in ["-Djvm=/tmp/x", "-DargLine=-javaagent:x.jar"] {
            assert!(replaces_java(setting), "{setting}");
        }
        assert!(!replaces_java("-Dtest=KillTest"));
        assert!(changes_build("-p:PreBuildEvent=x") && changes_build("/t:PublishContainer"));
        assert!(!changes_build("-p:Configuration=Release") && !changes_build("--logger:trx"));
        assert!(launches("-DCMAKE_C_COMPILER_LAUNCHER=rm"));
        assert!(!launches(
            "-DCMAKE_CXX_COMPILER_LAUNCHER:STRING=/usr/bin/ccache"
        ));
        assert!(!launches("-DCMAKE_BUILD_TYPE=Debug"));
    }

    #[test]
    fn plugins_and_settings_of_pytest_that_load_other_files_are_found() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for line in [
            "-p evil",
            "-o addopts=--x",
            "-opython_files=x",
            "--override-ini=pythonpath=/x",
        ] {
            assert!(pytest_override(&words(line)).is_some(), "{line}");
        }
        for line in [
            "-p no:cacheprovider",
            "-o log_cli=true",
            "-o addopts=",
            "-q -x tests",
        ] {
            assert!(pytest_override(&words(line)).is_none(), "{line}");
        }
    }
}
