//! Variables of the environment that change what programs run, load or read.

use crate::domain::policy::{
    partial_text::UNKNOWN,
    programs::{arguments::words_of, is_in, is_known_program, leads_here},
    resolved_path,
    resolved_path::ResolvedPath,
    shell::ShellInterpreter,
    windows,
};

/// Variables that steer a program whatever their value is.
const STEERING: &str = "
HOME SHELL XDG_CONFIG_HOME XDG_CONFIG_DIRS GREP_OPTIONS RIPGREP_CONFIG_PATH GCONV_PATH LOCPATH GTK_MODULES GTK_PATH QT_PLUGIN_PATH
GIO_MODULE_DIR GIO_EXTRA_MODULES R_PROFILE R_PROFILE_USER R_ENVIRON JULIA_LOAD_PATH JULIA_DEPOT_PATH LUA_INIT LUA_CPATH PHPRC
PHP_INI_SCAN_DIR ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ELIXIR_ERL_OPTIONS DOTNET_STARTUP_HOOKS CORECLR_PROFILER_PATH CLASSPATH PERL5DB
PERLLIB RUBYSHELL NODE_REPL_EXTERNAL_MODULE PYTEST_PLUGINS CONFIG_SITE MAKEFILES TCLLIBPATH EMACSLOADPATH VIMRUNTIME MYVIMRC
DOCKER_CONFIG ANSIBLE_CONFIG ANSIBLE_LIBRARY COVERAGE_PROCESS_START BUILD_SSH SSH_SK_PROVIDER SUDO_COMMAND RSYNC_PROXY
RSYNC_CONNECT_PROG TAR_OPTIONS UNZIP UNZIPOPT ZIPOPT WGETRC CURL_HOME HGRCPATH BUNDLE_GEMFILE_NONE NPM_CONFIG_SCRIPT_SHELL
";
/// Variables of git that only say who, how much and how loud.
const GIT: &str = "
TERMINAL_PROMPT MERGE_AUTOEDIT OPTIONAL_LOCKS ADVICE QUIET DISCOVERY_ACROSS_FILESYSTEM CEILING_DIRECTORIES LFS_SKIP_SMUDGE
PROGRESS_DELAY DEFAULT_HASH LITERAL_PATHSPECS ICASE_PATHSPECS GLOB_PATHSPECS ATTR_NOSYSTEM CONFIG_NOSYSTEM INDEX_FILE BRANCH
COMMIT SHA TAG HASH REF REPO URL ROOT REV VERSION DESCRIBE STATUS DIFF LOG OUTPUT USER NAME EMAIL REMOTE FLOW_BRANCH
";
/// Variables of Python that load nothing.
const PYTHON: &str = "
DONTWRITEBYTECODE UNBUFFERED HASHSEED IOENCODING UTF8 FAULTHANDLER TRACEMALLOC DEVMODE NODEBUGRANGES OPTIMIZE VERBOSE
COERCECLOCALE NOUSERSITE SAFEPATH PROFILEIMPORTTIME MALLOC PYCACHEPREFIX INTMAXSTRDIGITS LEGACYWINDOWSSTDIO ASYNCIODEBUG VERSION
_VERSION BIN NOWARN
";
/// Options of runtimes that change how, not what they run.
const TAME_OPTIONS: &str = "
--max-old-space-size --max_old_space_size --no-warnings --trace-warnings --enable-source-maps --unhandled-rejections
--stack-trace-limit --openssl-legacy-provider --trace-uncaught --no-deprecation --trace-deprecation --throw-deprecation --test
--experimental-vm-modules --experimental-modules --experimental-specifier-resolution --experimental-strip-types --expose-gc
--experimental-sqlite --no-experimental-require-module --experimental-require-module --experimental-transform-types --hash-seed
--random-seed --no-network-family-autoselection --trace-exit --input-type --conditions
--dns-result-order --max-http-header-size --stack-size --no-experimental-fetch --experimental-fetch --preserve-symlinks
-Xmx -Xms -Xss -Xmn -XX:MaxRAMPercentage -XX:+ -XX:- -XX:MaxMetaspaceSize -Dfile.encoding -Duser. -Djava.awt.headless -ea -server
-Dorg.gradle -Dmaven. -Dhttp.keepAlive -w -W -T -U
-mod -count -v -race -tags -trimpath -buildvcs -p=
-j -k -s -O -l -r -R --no-print-directory --silent --output-sync --keep-going --jobs --quiet
";

/// Words in the names of variables whose value programs load or run.
const LOADING: &str = "
plugin plugins hook
hooks rcfile startup preload executable interpreter launcher runner wrapper loader initrc binary linker compiler execpath
";

/// Returns whether options in a variable only change how a program runs.
fn are_tame(value: &str) -> bool {
    value.split_whitespace().all(|word| {
        let bundle = !word.is_empty() && word.chars().all(|c| "jksrRw0123456789".contains(c));
        bundle
            || TAME_OPTIONS.split_ascii_whitespace().any(|own| {
                // A letter may have a number behind it, and is no beginning of a longer name.
                let number = |rest: &str| rest.chars().all(|c| c.is_ascii_digit() || c == '=');
                word.strip_prefix(own)
                    .is_some_and(|rest| own.len() > 2 || number(rest))
            })
    })
}

impl ShellInterpreter<'_, '_> {
    /// Returns whether a value makes later programs run or load something that is not understood.
    pub(super) fn injects_code(&self, name: &str, value: &str) -> bool {
        if value.is_empty() || value == "/dev/null" {
            return false;
        }
        if let Some(rest) = name.strip_prefix("GIT_") {
            return self.steers_git(rest, value);
        }
        if let Some(rest) = name.strip_prefix("PYTHON").filter(|rest| !rest.is_empty()) {
            return match rest {
                "PATH" => !self.are_own_folders(value),
                "WARNINGS" => value.contains('.'),
                _ => !is_in(PYTHON, rest),
            };
        }
        match name {
            "PATH" => !self.are_program_folders(value),
            "LD_LIBRARY_PATH" | "DYLD_LIBRARY_PATH" | "NODE_PATH" | "PERL5LIB" | "RUBYLIB"
            | "LUA_PATH" | "GEM_HOME" | "GEM_PATH" | "CARGO_HOME" | "RUSTUP_HOME" | "GOBIN" => {
                !self.are_own_folders(value)
            }
            "NODE_OPTIONS" | "JAVA_TOOL_OPTIONS" | "_JAVA_OPTIONS" | "JDK_JAVA_OPTIONS"
            | "MAVEN_OPTS" | "GRADLE_OPTS" | "SBT_OPTS" | "JAVA_OPTS" | "RUBYOPT" | "PERL5OPT"
            | "GOFLAGS" | "MAKEFLAGS" | "MFLAGS" | "GNUMAKEFLAGS" => !are_tame(value),
            "RUSTFLAGS" | "RUSTDOCFLAGS" | "CARGO_ENCODED_RUSTFLAGS" => {
                ["linker=", "link-args=", "codegen-backend", "sysroot", "@"]
                    .iter()
                    .any(|word| value.contains(word))
            }
            "GOPROXY" => !["off", "direct", "https://proxy.golang.org,direct"].contains(&value),
            "GOSUMDB" | "GONOSUMDB" | "GONOSUMCHECK" | "GOINSECURE" => true,
            "PYTEST_ADDOPTS" => {
                let mut words = value.split_whitespace();
                words.any(|word| {
                    ["-p", "-c", "--rootdir", "--confcutdir", "--basetemp"]
                        .iter()
                        .any(|own| word.starts_with(own))
                })
            }
            "DOCKER_HOST" | "CONTAINER_HOST" | "BUILDKIT_HOST" => {
                !value.starts_with("unix://") && !leads_here(value)
            }
            "PGHOST" | "PGHOSTADDR" => !leads_here(value) && !value.starts_with('/'),
            "PGSERVICE" | "PGSERVICEFILE" => true,
            "JAVA_HOME" | "JDK_HOME" | "GOROOT" | "DOTNET_ROOT" | "SDKROOT" | "ANDROID_HOME"
            | "VIRTUAL_ENV" | "CONDA_PREFIX" | "NODE_HOME" | "GRADLE_USER_HOME" | "M2_HOME" => {
                !is_inherited(value) && self.is_elsewhere(value)
            }
            "KUBECONFIG" => !is_inherited(value) && self.leads_away(value).is_some(),
            _ if is_proxy(name) => !leads_here(value) && !value.starts_with(UNKNOWN),
            _ => {
                self.loads_from_elsewhere(name, value)
                    || is_in(STEERING, name)
                    || name.starts_with("LD_")
                    || name.starts_with("DYLD_")
                    || name.starts_with("LUA_INIT")
                    || fetches_from(name)
                    || steers_cargo(name)
                    || steers_npm(name)
            }
        }
    }

    /// Returns whether the command itself put a file under the name of a known program into a folder where programs are looked for.
    fn shadows_programs(&self, folder: &str) -> bool {
        let folder = resolved_path::absolute(folder, self.folder());
        folder.is_some_and(|folder| {
            let mut names = self.made_in(&folder);
            names.any(is_known_program)
        })
    }

    /// Returns whether the name of a variable says that programs load what it names, and that lies elsewhere.
    fn loads_from_elsewhere(&self, name: &str, value: &str) -> bool {
        if !value.starts_with(['/', '~', '.']) || name.chars().any(|c| c.is_ascii_lowercase()) {
            return false;
        }
        let says = words_of(name).iter().any(|word| is_in(LOADING, word));
        says && self.is_elsewhere(value)
    }

    /// Returns whether a folder is none of the project, of the machine's programs or of the account's tools.
    fn is_elsewhere(&self, value: &str) -> bool {
        let scratch = |path: &str| {
            let places = self.resolve_all(path);
            let mut places = places.iter();
            places.any(|place| matches!(place, ResolvedPath::Scratch(_)))
        };
        self.foreign_path(value) || scratch(value)
    }

    fn steers_git(&self, rest: &str, value: &str) -> bool {
        match rest {
            "DIR" | "WORK_TREE" | "COMMON_DIR" | "OBJECT_DIRECTORY" => !self.are_own_folders(value),
            // These are read as the commands they are.
            "PAGER" | "EDITOR" | "SEQUENCE_EDITOR" | "SSH_COMMAND" | "SSH" | "EXTERNAL_DIFF"
            | "ASKPASS" | "PROXY_COMMAND" => false,
            "CONFIG_COUNT" => value != "0",
            _ if rest.starts_with("TRACE") => value.contains('/'),
            _ if rest.starts_with("CONFIG")
                || rest.starts_with("EXEC")
                || rest.starts_with("TEMPLATE") =>
            {
                !is_in(GIT, rest)
            }
            _ => {
                !(rest.starts_with("AUTHOR_") || rest.starts_with("COMMITTER_") || is_in(GIT, rest))
                    && is_gits_own(rest)
            }
        }
    }

    /// Returns whether every folder of a list lies inside the root and was not filled by the command itself.
    fn are_own_folders(&self, value: &str) -> bool {
        value.split(':').all(|folder| {
            let places = self.resolve_all(folder);
            folder.is_empty()
                || is_inherited(folder)
                || !self.wrote_below(folder)
                    && places
                        .iter()
                        .all(|place| matches!(place, ResolvedPath::Inside(_)))
        })
    }

    /// Returns whether every folder of `PATH` is one that programs usually come from.
    fn are_program_folders(&self, value: &str) -> bool {
        if value.contains(['\\', ';']) {
            return value.split(';').all(|folder| {
                let lower = folder.to_ascii_lowercase();
                let system = [
                    ":\\windows",
                    ":\\program files",
                    ":\\programdata\\chocolatey",
                ];
                let own = |place: &ResolvedPath| matches!(place, ResolvedPath::Inside(_));
                folder.is_empty()
                    || is_inherited(folder)
                    || system
                        .iter()
                        .any(|start| lower.get(1..).is_some_and(|rest| rest.starts_with(start)))
                    || self.resolve_all(&windows::path(folder)).iter().all(own)
            });
        }
        value.split(':').all(|folder| {
            if self.shadows_programs(folder) {
                return false;
            }
            let system = [
                "/usr",
                "/bin",
                "/sbin",
                "/opt",
                "/snap",
                "/nix",
                "/run/current-system",
                "/home/linuxbrew",
                "/Library",
            ];
            is_inherited(folder)
                || system
                    .iter()
                    .any(|start| resolved_path::lies_in(folder, start))
                || self.resolve_all(folder).iter().all(|place| match place {
                    ResolvedPath::Inside(_) => true,
                    ResolvedPath::Home(path) => path.ends_with("bin"),
                    ResolvedPath::Scratch(_)
                    | ResolvedPath::Device
                    | ResolvedPath::Outside(_)
                    | ResolvedPath::Unknown(_) => false,
                })
        })
    }
}

/// Returns whether a word is the value of a variable from outside, or what a program of the machine prints.
fn is_inherited(folder: &str) -> bool {
    folder.starts_with(crate::domain::policy::partial_text::INHERITED)
        || folder.starts_with(UNKNOWN)
}

/// Returns whether git itself knows a variable of this name, so that it is none of the script's own.
fn is_gits_own(rest: &str) -> bool {
    [
        "ALTERNATE_OBJECT_DIRECTORIES",
        "NAMESPACE",
        "REPLACE_REF_BASE",
        "SHALLOW_FILE",
        "INTERNAL",
        "PROTOCOL",
        "ALLOW_PROTOCOL",
        "SSL",
        "HTTP",
        "CURL",
        "SSH_VARIANT",
        "ATTR",
        "HOOKS",
        "EXT",
    ]
    .iter()
    .any(|own| rest.starts_with(own))
}

/// Returns whether a variable sends what programs ask for through another machine.
fn is_proxy(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "ftp_proxy",
        "socks_proxy",
    ]
    .contains(&lower.as_str())
}

fn steers_cargo(name: &str) -> bool {
    let parts = [
        "RUNNER",
        "LINKER",
        "WRAPPER",
        "RUSTC",
        "RUSTDOC",
        "ALIAS",
        "CREDENTIAL",
        "REGISTR",
        "SOURCE",
    ];
    name.strip_prefix("CARGO_")
        .is_some_and(|rest| parts.iter().any(|part| rest.contains(part)))
}

/// Returns whether a variable says where packages are fetched from.
fn fetches_from(name: &str) -> bool {
    let tools = [
        "PIP_",
        "UV_",
        "POETRY_",
        "YARN_",
        "BUNDLE_",
        "PDM_",
        "COMPOSER_",
        "GEM_",
    ];
    let places = [
        "INDEX",
        "FIND_LINKS",
        "REGISTRY",
        "MIRROR",
        "REPOSITOR",
        "TRUSTED_HOST",
        "SOURCE",
        "_HOST",
    ];
    tools.iter().any(|tool| name.starts_with(tool))
        && places.iter().any(|place| name.contains(place))
}

fn steers_npm(name: &str) -> bool {
    let tame = [
        "loglevel",
        "fund",
        "audit",
        "update_notifier",
        "progress",
        "color",
        "yes",
        "cache",
        "production",
        "legacy_peer_deps",
    ];
    let lower = name.to_ascii_lowercase();
    lower
        .strip_prefix("npm_config_")
        .is_some_and(|rest| !tame.contains(&rest))
}
