//! What every argument is held against, whatever the program is: a default for options and words that no table lists.
//!
//! The families say what a program does; none of them can list every option of every tool. So an argument is also judged by what
//! it is: a word that is a path is read, the words in the name of an option say whether its value is run, loaded or sent, an
//! address is another machine, the name of a task says that it deploys. A program that can run code is not understood where
//! its arguments say one of these; one that only shows is held against the paths alone.

use crate::domain::policy::{
    interpretation::CommandEffect,
    partial_text::is_vague,
    programs::{
        PathBase, argument_paths::paths_in, is_in, leads_here, persistent_path, picks, table,
    },
    resolved_path::ResolvedPath,
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Programs whose arguments are text, or that look at names and not into files.
const TEXT_ONLY: &str = "
echo printf yes expr true false test [ basename dirname logger cowsay figlet banner lolcat notify-send wall seq tput sleep which type
whereis command ls eza exa lsd dir vdir tree stat file du find fd fdfind locate touch mkdir chmod chown chgrp ssh-keygen ssh ssh-add
scp man info apropos whatis tldr kill pkill killall pgrep realpath readlink namei make gmake just rm rmdir mktemp
";
/// Programs that take a pattern or a script before their files.
const PATTERN_FIRST: &str =
    "awk gawk mawk nawk grep egrep fgrep rg ag sed gsed zgrep zegrep bzgrep xzgrep jq tr";
/// Words in the name of an option whose value is run as a command.
const RUNS: &str = "
exec executable eval command cmd shell runner wrapper launcher toolexec vettool preload interpreter pager prerun postrun
";
/// Words in the name of an option, or of a task, that say that something is sent or put in force.
const SENDS: &str = "publish upload deploy pastebin push";
/// Words beside them that say the contrary.
const TAME: &str = "
no not skip dry dryrun without disable disabled ignore pre post before after only check checks test tests testing spec local lint
preview notes changelog log mock fake type types notification notifications sandbox allow stage state service services validate
";
/// Words in the name of an option whose value is loaded; letters are options of one letter that often are.
const LOADS: &str = "
config conf rc rcfile require import loader loaders plugin plugins init initscript setup globalsetup hook hooks script scripts
module modules preset presets resolver runner exec executable python interpreter compiler cc cxx linker vettool toolexec filter
listener listeners filters lua rules rulesdir load extension extensions agent javaagent jvmargs bootstrap prepend startup makefile manifest
manifestpath project userconfig globalconfig working workdir app cwd vimrc wrapper toolchain settings environment transform
processor theme template templates c C p r I f e u L x m S
";
/// Programs that run the files which they are given.
const RUNNERS: &str = "
coverage pytest py.test jest vitest mocha ava tape tap bats rspec cucumber busted shellspec phpunit pest prove nose2 behave behat
gunicorn uvicorn hypercorn flask celery gulp grunt invoke inv fab cypress playwright karma nyc c8 latexmk gem vim vi nvim ex emacs
mypyc robot ward green pyinstaller nuitka cram scrut trycmd jupytext nbconvert
groovy scala swift jshell kahlan codecept infection make just rake cmake ninja task
";
/// Programs that run tasks which the project names.
const TASK_RUNNERS: &str = "
make gmake bmake just task rake ninja cmake celery npm pnpm yarn bun gulp grunt invoke inv fab mage nx turbo bazel bazelisk rush lerna moon npm-run-all
run-s run-p wireit mix composer rails manage.py artisan console django-admin alembic prisma sequelize sequelize-cli typeorm knex
flask diesel sqlx dbmate goose migrate atlas gradlew sbt mill lein poe pdm hatch
";
/// Words in the name of a task that say that it throws something away, and those of what is thrown away.
const LOSES: &str = "drop reset wipe nuke destroy flush purge truncate fresh teardown clobber";
const STORES: &str = "db database databases ecto schema prod production migrate migration migrations data cluster stack infra";
/// Tasks that throw a database away by a name of their own.
const LOSING_TASKS: &str =
    "downgrade flush purge reset_db dropdb reset_schema sqlflush-none nuke destroy teardown";
/// Schemes of addresses that a program of the project would talk to.
const SCHEMES: &str = "http https ftp ftps ssh git grpc grpcs tcp s3 gs ws wss sftp rsync ldap ldaps http2 redis amqp";
/// Words in the names of options in whose values addresses are text.
const ADDRESS_TEXT: &str = "
base site public root homepage canonical baseurl siteurl publicurl repository title description message header footer author license
prefix source origin domain cname grep match name note body label ignore exclude skip
";
/// Programs whose arguments hold addresses as text: they compile, edit or convert.
const ADDRESSES_ARE_TEXT: &str = "
sed gsed awk gawk mawk nawk ed vim vi nvim emacs gcc g++ cc c++ clang clang++ rustc m4 cpp ctags sqlite3 psql mysql mariadb pandoc
addlicense reuse licensee commitlint hugo jekyll zola
";
/// Languages whose `-eval` takes code of theirs.
const OTHER_CODE: &str = "erl elixir iex guile racket sbcl clisp octave emacs julia";
/// Servers of a project for which `--host` without a value means every address.
const SERVERS: &str = "vite astro nuxt next svelte-kit storybook start-storybook vitepress ng";

/// Returns the words of a name, in small letters: `--globalSetup`, `global-setup` and `global_setup` are two words each.
pub(super) fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let starts = c.is_ascii_uppercase() && before.is_ascii_lowercase();
        if starts || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn any_in(list: &str, words: &[String]) -> bool {
    words.iter().any(|word| is_in(list, word))
}

/// Returns the first address in a text that leads to another machine.
pub(super) fn address_elsewhere(text: &str) -> Option<&str> {
    text.match_indices("://").find_map(|(at, _)| {
        let head = text.get(..at)?;
        let start = head
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |at| at + 1);
        let address = text.get(start..)?;
        let scheme = head.get(start..)?.to_ascii_lowercase();
        (is_in(SCHEMES, &scheme) && !leads_here(address)).then_some(address)
    })
}

/// Returns whether an option names something that a program loads or runs, by its name.
pub(super) fn loads(option: &str) -> bool {
    if option.len() == 1 {
        return is_in(LOADS, option);
    }
    let plain: String = option.chars().filter(char::is_ascii_alphanumeric).collect();
    let letter = !option.starts_with('-') && is_in(LOADS, &plain.to_ascii_lowercase());
    letter || any_in(LOADS, &words_of(option))
}

/// Returns whether a program runs the files it is given.
pub(super) fn runs_its_files(name: &str) -> bool {
    is_in(RUNNERS, name)
}

/// Returns whether a place is a folder below which the keys of an account lie.
fn holds_keys(place: &ResolvedPath) -> bool {
    match place {
        ResolvedPath::Home(path) => {
            ["", ".config", ".local", ".local/share"].contains(&path.as_str())
        }
        ResolvedPath::Outside(path) => {
            let accounts = ["/", "/root", "/home", "/Users"];
            let is_account = |start: &str| {
                path.strip_prefix(start)
                    .is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
            };
            accounts.contains(&path.as_str()) || is_account("/home/") || is_account("/Users/")
        }
        ResolvedPath::Scratch(_)
        | ResolvedPath::Inside(_)
        | ResolvedPath::Device
        | ResolvedPath::Unknown(_) => false,
    }
}

impl ShellInterpreter<'_, '_> {
    /// Looks at a search that hands what it finds below folders with keys to a program that reads it.
    fn found_and_read(&mut self, args: &[String]) {
        const SHOWS: &str = "ls echo stat file du basename dirname printf realpath test wc";
        let run = args.windows(2).find_map(|pair| match pair {
            [option, program]
                if ["-exec", "-execdir", "-ok", "-okdir"].contains(&option.as_str()) =>
            {
                Some(program.clone())
            }
            _ => None,
        });
        let starts = args
            .iter()
            .take_while(|arg| !arg.starts_with(['-', '(', '!']));
        let holds = starts
            .flat_map(|start| self.resolve_all(start))
            .any(|place| {
                let system = ["/etc", "/proc"];
                holds_keys(&place) || place.path().is_some_and(|path| system.contains(&path))
            });
        if let Some(program) = run.filter(|program| holds && !is_in(SHOWS, program)) {
            self.reading
                .opaque(format!("find with {program} on a folder that holds keys"));
        }
    }

    /// Looks at words that name files outside of the project: whatever the program is, it is handed what lies there.
    pub(super) fn files_in_words(&mut self, name: &str, args: &[String]) {
        if is_in(TEXT_ONLY, name) {
            return;
        }
        // What stands inside a word of git's is a message more often than a file.
        let is_git = name == "git";
        let first = is_in(PATTERN_FIRST, name)
            .then(|| args.iter().position(|arg| !arg.starts_with('-')))
            .flatten();
        for (at, arg) in args.iter().enumerate() {
            let option = at.checked_sub(1).and_then(|at| args.get(at));
            let joined = arg
                .split_once('=')
                .is_some_and(|(option, _)| picks(name, option));
            if joined || option.is_some_and(|option| picks(name, option)) {
                continue;
            }
            let whole = arg.starts_with(['/', '~']) && !arg.contains(['\'', '"', ',']);
            if Some(at) == first || arg.contains(char::is_whitespace) || is_git && !whole {
                continue;
            }
            let local = arg.split_once("file://").map(|(_, path)| path);
            let home = (arg == "~").then_some(arg.as_str());
            for path in local.into_iter().chain(paths_in(arg)).chain(home) {
                for place in self.resolve_all(path) {
                    if holds_keys(&place) {
                        self.reading
                            .opaque(format!("{name} with {path}, a folder that holds keys"));
                    }
                    if matches!(place, ResolvedPath::Outside(_) | ResolvedPath::Home(_)) {
                        self.reading.effect(CommandEffect::Read(place));
                    }
                }
            }
        }
    }

    /// Looks at paths anywhere in the arguments, in little languages too, that take effect later by themselves.
    pub(super) fn lasting_paths(&mut self, name: &str, args: &[String]) {
        for arg in args {
            let starts = arg.match_indices(['/', '~']).filter(|(at, _)| {
                let before = arg.get(..*at).and_then(|text| text.chars().next_back());
                before.is_none_or(|c| !c.is_alphanumeric() && !"/.~_-$}".contains(c))
            });
            let paths: Vec<&str> = starts
                .filter_map(|(at, _)| arg.get(at..))
                .filter_map(|rest| {
                    let ends = |c: char| c.is_whitespace() || "\"'`;|&<>(){},\\".contains(c);
                    rest.split(ends).next()
                })
                .collect();
            for path in paths {
                let lasts = |place: &ResolvedPath| match place {
                    ResolvedPath::Outside(path) => persistent_path(PathBase::Outside, path),
                    ResolvedPath::Home(path) => persistent_path(PathBase::Home, path),
                    ResolvedPath::Scratch(_)
                    | ResolvedPath::Inside(_)
                    | ResolvedPath::Device
                    | ResolvedPath::Unknown(_) => false,
                };
                if self.resolve_all(path).iter().any(lasts) {
                    self.reading
                        .opaque(format!("{name} with {path}, which takes effect later"));
                }
            }
        }
    }

    /// Looks at the files that the own options of a wrapper name; what follows is judged as the command it is.
    pub(super) fn files_of_wrapper(&mut self, name: &str, args: &[String]) {
        let mut own = Vec::new();
        let mut takes = false;
        for arg in args {
            let is_option = arg.starts_with('-') && arg != "--";
            if !is_option && !takes {
                break;
            }
            takes = is_option && !arg.contains('=');
            own.push(arg.clone());
        }
        self.files_in_words(name, &own);
    }

    /// Looks at what the options and words of a program that can run code say by their names and values.
    pub(super) fn told_by_name(&mut self, name: &str, args: &[String]) {
        let name = name.strip_suffix(".exe").unwrap_or(name);
        self.lasting_paths(name, args);
        let reads = [
            "pandoc", "ffmpeg", "convert", "magick", "make", "gmake", "protoc", "dot", "mmdc",
            "plantuml", "gcc", "cc", "g++", "clang", "clang++", "rustc", "as", "cpp", "m4",
            "gnuplot",
        ];
        let takes_input = args.iter().take_while(|arg| *arg != "--").any(|arg| {
            arg.ends_with("/dev/stdin")
                || arg.contains("/dev/fd/")
                || arg.contains("/proc/self/fd/")
        });
        if takes_input && !reads.contains(&name) {
            self.reading
                .opaque(format!("the input of {name}, which it runs or loads"));
        }
        let mut before = "";
        for (at, arg) in args.iter().enumerate() {
            if arg == "--" {
                break;
            }
            if arg == "/" && !before.starts_with('-') {
                self.reading
                    .opaque(format!("{name} with /, a folder that holds keys"));
            }
            before = arg;
            let next = args.get(at + 1).map_or("", String::as_str);
            if let Some(option) = arg.strip_prefix('-') {
                let (option, value) = option.split_once('=').unwrap_or((option, ""));
                let value = if value.is_empty() && !next.starts_with('-') {
                    next
                } else {
                    value
                };
                self.option_by_name(name, option, value);
            }
            self.address_in_word(name, arg);
        }
        self.task_names(name, args);
    }

    fn option_by_name(&mut self, name: &str, option: &str, value: &str) {
        // Options of one letter have no words; `-Dx.y=z` are settings.
        let words = words_of(option.trim_start_matches('-'));
        let is_long = option.starts_with('-') || option.len() > 3;
        if !is_long || any_in(TAME, &words) || name.starts_with("emacs") {
            return;
        }
        let refuses = ["false", "never", "none", "no", "off", "0"].contains(&value);
        if any_in(SENDS, &words) && !refuses {
            self.reading.does(
                EffectKind::Network,
                format!("{name} with -{option} sends to another machine"),
            );
        }
        // Code of another language is looked at as that.
        let is_code = is_in(OTHER_CODE, name) && words.iter().any(|word| word == "eval");
        if !is_code
            && any_in(&format!("{RUNS} dangerously"), &words)
            && (value.contains(['/', '`', '$']) || value.contains(char::is_whitespace))
        {
            drop(self.aside(|shell| shell.run_text(value, name, String::new())));
        }
        if words.iter().any(|word| word == "dangerously") {
            self.reading
                .opaque(format!("{name} with -{option}, which takes a guard away"));
        }
        let open = option == "-host" && (value.is_empty() || value == "true");
        if open && is_in(SERVERS, name) {
            self.listens(name);
        }
    }

    fn listens(&mut self, name: &str) {
        self.reading.does(
            EffectKind::Network,
            format!("{name} listens to other machines"),
        );
    }

    /// Looks for addresses of other machines in a word, and for the address that means every machine.
    pub(super) fn address_in_word(&mut self, name: &str, arg: &str) {
        if is_in(ADDRESSES_ARE_TEXT, name) || arg.contains(char::is_whitespace) {
            return;
        }
        let (option, value) = arg.split_once('=').unwrap_or(("", arg));
        let setting =
            option.starts_with("-D") && !["mvn", "gradle", "gradlew", "mvnw"].contains(&name);
        let words = words_of(option);
        if setting || any_in(ADDRESS_TEXT, &words) {
            return;
        }
        if value == "::"
            || value.starts_with("0.0.0.0")
            || value.starts_with("[::]")
            || value.contains("://0.0.0.0")
        {
            self.listens(name);
        }
        if let Some(address) = address_elsewhere(arg) {
            let shown = address.split('@').next_back().unwrap_or("").to_owned();
            self.reading
                .does(EffectKind::Network, format!("{name} is told of {shown}"));
        }
    }

    /// Returns whether the folder for what is installed is named and lies in the project or in scratch space.
    fn installs_here(&self, args: &[String]) -> bool {
        let folders = ["DESTDIR=", "PREFIX=", "prefix="];
        let named = args
            .iter()
            .find_map(|arg| folders.iter().find_map(|name| arg.strip_prefix(name)));
        let here = |place: &ResolvedPath| {
            matches!(place, ResolvedPath::Inside(_) | ResolvedPath::Scratch(_))
        };
        self.is_known("DESTDIR")
            || self.is_known("PREFIX")
            || named.is_some_and(|folder| self.resolve_all(folder).iter().all(here))
    }

    /// Looks at the names of tasks that a program of the project is to run.
    pub(super) fn task_names(&mut self, name: &str, args: &[String]) {
        if !is_in(TASK_RUNNERS, name) {
            return;
        }
        let dry = |arg: &String| {
            ["-n", "--dry-run", "--just-print", "--list", "-l", "-q"].contains(&arg.as_str())
        };
        if args.iter().any(dry) {
            return;
        }
        let words = args.iter().take_while(|arg| *arg != "--");
        let mut before = "";
        let words = words.filter(|arg| !picks(name, std::mem::replace(&mut before, arg)));
        let tasks = words.filter(|arg| !arg.starts_with('-') && !arg.contains(['=', ' ']));
        let mut said = Vec::new();
        for task in tasks.take(4) {
            let is_file = task.contains('/') && !task.starts_with("//") && !task.starts_with('@');
            if is_file || task.contains('.') && name != "mix" || is_vague(task) {
                continue;
            }
            said.extend(words_of(task));
            let words = words_of(task.rsplit(['/', ':']).next().unwrap_or(task));
            let all = words_of(task);
            if any_in(TAME, &all) {
                continue;
            }
            let installs =
                task == "install" && ["make", "gmake", "bmake", "ninja", "cmake"].contains(&name);
            if installs && !self.installs_here(args) {
                self.reading.does(
                    EffectKind::System,
                    format!("{name} {task} puts files where the machine keeps its programs"),
                );
            }
            if any_in(SENDS, &words) {
                self.reading.does(
                    EffectKind::Network,
                    format!("{name} {task} sends to another machine"),
                );
            }
            let lost = any_in(LOSES, &said) && any_in(STORES, &said);
            if lost || is_in(LOSING_TASKS, task) {
                self.reading.opaque(format!(
                    "`{name} {task}`, which throws away what a store holds"
                ));
            }
        }
    }

    /// Looks at a program that is no shell and no text: what each of its arguments is.
    pub(super) fn arguments(&mut self, name: &str, args: &[String]) {
        self.files_in_words(name, args);
        match name {
            "find" => self.found_and_read(args),
            "sqlite3" | "psql" | "mysql" | "mariadb" => self.lasting_paths(name, args),
            "kubectl" | "helm" if args.iter().any(|arg| address_elsewhere(arg).is_some()) => {
                self.reading.does(
                    EffectKind::Network,
                    format!("{name} is told of another machine"),
                );
            }
            "docker" | "podman" | "nerdctl" | "buildah" => {
                if args
                    .iter()
                    .any(|arg| arg.contains("Config.Env") || arg.contains("{{.Env}}"))
                {
                    self.shows_environment(name);
                }
                let is_context = |arg: &&String| {
                    arg.starts_with("git@") || address_elsewhere(arg) == Some(arg.as_str())
                };
                if args.iter().any(|arg| arg == "build") && args.iter().any(|arg| is_context(&arg))
                {
                    self.reading.does(
                        EffectKind::Network,
                        format!("{name} builds what lies on another machine"),
                    );
                }
            }
            "getent" => {
                let asks = args.first().is_some_and(|what| {
                    ["hosts", "ahosts", "ahostsv4", "ahostsv6"].contains(&what.as_str())
                });
                if asks && args.iter().skip(1).any(|host| !leads_here(host)) {
                    self.reading
                        .does(EffectKind::Network, "getent asks for the name of a machine");
                }
            }
            "busctl" | "dbus-send" | "gdbus" | "qdbus" => {
                let shows = "list status tree introspect monitor --version --help capture";
                let verb = args.iter().find(|arg| !arg.starts_with('-'));
                if !verb.is_none_or(|verb| is_in(shows, verb)) {
                    self.reading
                        .opaque(format!("{name}, which calls services of the machine"));
                }
            }
            _ => {}
        }
    }
}

/// Returns whether a program of a family can run code, so that its options and words are held against their names.
pub(super) fn can_run_code(name: &str) -> bool {
    !table::reads_anything(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_however_they_are_written() {
        for name in ["--globalSetup", "global-setup", "GLOBAL_setup"] {
            assert_eq!(words_of(name), ["global", "setup"], "{name}");
        }
        assert_eq!(words_of("//tools:push_image"), ["tools", "push", "image"]);
    }

    #[test]
    fn addresses_of_other_machines_are_found_in_words() {
        assert!(address_elsewhere("--remote_cache=grpc://cache.example:1").is_some());
        assert!(address_elsewhere("-Dx=http://repo.example/m2").is_some());
        for text in [
            "http://localhost:3000",
            "https://127.0.0.1/x",
            "a://b",
            "file:///x",
            "x",
        ] {
            assert_eq!(address_elsewhere(text), None, "{text}");
        }
    }

    #[test]
    fn an_option_loads_what_its_name_says() {
        for option in [
            "c",
            "-globalSetup",
            "-python-executable",
            "vettool",
            "Dorg.gradle.jvmargs",
        ] {
            assert!(loads(option), "{option}");
        }
        for option in ["o", "-output", "-basetemp", "d", "-data"] {
            assert!(!loads(option), "{option}");
        }
    }
}
