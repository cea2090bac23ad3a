//! Files that say what a task runner runs, and that the command itself changed.

use crate::domain::policy::{
    partial_text::{NAME, base_name, is_in, is_mark},
    programs::{install::leading_options, is_question},
    shell::{ShellInterpreter, wild_fits},
};

/// Runners, and the files from which they take what they run.
const RUNNERS: [(&str, &str); 20] = [
    (
        "make gmake bmake nmake remake",
        "Makefile makefile GNUmakefile *.mk",
    ),
    (
        "npm pnpm yarn bun lerna turbo nx rush moon npm-run-all run-s run-p deno node",
        "package.json deno.json deno.jsonc project.json",
    ),
    ("just", "justfile Justfile .justfile *.just"),
    (
        "task go-task",
        "Taskfile.yml Taskfile.yaml taskfile.yml taskfile.yaml Taskfile.dist.yml Taskfile.dist.yaml",
    ),
    ("rake", "Rakefile rakefile Rakefile.rb rakefile.rb *.rake"),
    ("tox", "tox.ini tox.toml"),
    ("nox", "noxfile.py"),
    ("invoke inv", "tasks.py"),
    ("fab", "fabfile.py"),
    ("cargo", "build.rs Makefile.toml"),
    ("ninja", "build.ninja"),
    ("gulp", "gulpfile.js gulpfile.mjs gulpfile.ts"),
    ("grunt", "Gruntfile.js Gruntfile.coffee"),
    ("mage", "magefile.go"),
    ("ant", "build.xml"),
    ("foreman honcho overmind hivemind", "Procfile"),
    ("composer", "composer.json"),
    ("pre-commit prek", ".pre-commit-config.yaml"),
    ("lefthook", "lefthook.yml lefthook.yaml"),
    ("snakemake", "Snakefile"),
];
/// Verbs of package managers that run no script.
const QUIET: &str = "
ls list ll la outdated view info show audit config get root prefix bin why explain fund doctor help search ping whoami pkg query sbom diff
licenses validate fmt lint tree metadata clean
";
/// Words with which a runner only says what it would run.
const LISTS: &str = "--list -l --list-all --summary -T list listenvs --listenvs";

/// Returns whether a file, or a pattern of the shell, is one of these.
fn is_one_of(files: &str, path: &str) -> bool {
    let name = base_name(path);
    let pattern: String = name
        .chars()
        .map(|c| if c == NAME { '*' } else { c })
        .collect();
    // A name of which nothing is known is one among many.
    let says = pattern.chars().any(|c| c != '*' && !is_mark(c));
    files.split_whitespace().any(|file| {
        let ends = file
            .strip_prefix('*')
            .is_some_and(|end| name.ends_with(end));
        file == name || ends || says && pattern.contains('*') && wild_fits(&pattern, file)
    })
}

impl ShellInterpreter<'_, '_> {
    /// Records that a file is changed where it lies: what a runner would take from it is not known any more.
    pub(super) fn edits(&mut self, word: &str) {
        if RUNNERS.iter().any(|(_, files)| is_one_of(files, word)) {
            self.forget(word);
        }
        self.writes(word);
    }

    /// Looks at a runner of tasks: the command itself may have changed what it is told to run.
    pub(super) fn edited_tasks(&mut self, name: &str, args: &[String]) {
        let name = name.strip_suffix(".exe").unwrap_or(name);
        let runner = RUNNERS.iter().find(|(names, _)| is_in(names, name));
        let Some((_, files)) = runner else { return };
        let lists = !is_in("make gmake bmake nmake remake ninja", name)
            && args.iter().any(|arg| is_in(LISTS, arg));
        let verb = leading_options(name, args).rest.into_iter().next();
        let is_quiet = is_in("npm pnpm yarn bun composer cargo deno", name)
            && verb.is_some_and(|verb| is_in(QUIET, &verb));
        let is_script = name == "node" && !args.iter().any(|arg| arg.starts_with("--run"));
        if is_quiet || lists || is_script || !args.is_empty() && is_question(args) {
            return;
        }
        let unread = self.unread_files();
        if let Some(file) = unread.iter().find(|path| is_one_of(files, path)) {
            self.reading.opaque(format!(
                "{name} with {}, which the command itself changed",
                base_name(file).replace(NAME, "*")
            ));
        }
    }
}
