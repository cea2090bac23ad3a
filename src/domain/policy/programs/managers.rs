//! Which verbs of package managers and project tools stay in the project: what is not listed here is not understood.
//!
//! A list of the verbs that fetch or send is never complete: every tool grows new ones, and each of them reaches further than
//! the build of a project does. So the harmless ones are listed.

use crate::domain::policy::{
    programs::{is_in, is_question},
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Managers and the verbs that stay here; `a:b` is the verb `a` with `b` behind it, `*` a tool whose other verbs are scripts of
/// the project.
const HERE: &str = "
pip pip3 | list show freeze check debug inspect help completion hash cache:dir cache:info cache:list config:list config:get config:debug
pipx | list environment help completions
uv | run build venv version tree export help init format pip:list pip:show pip:freeze pip:check pip:tree python:list python:find
uv | lock:--check lock:--locked sync:--check python:dir tool:list tool:dir cache:dir self:version
gem | list build spec specification env environment which contents dependency help query stale check sources: sources:--list
gem | sources:-l search:--local
conda mamba micromamba | list info env:list env:export config:--show run shell
guix | build shell environment time-machine show describe size graph
nix | build develop shell run flake:check flake:show flake:metadata fmt eval path-info log show-config hash print-dev-env why-depends
stack cabal | build test bench run exec repl ghci haddock clean check sdist path ls list-bin freeze format query dot new init outdated
stack cabal | gen-bounds v2-build v2-test
rebar3 | compile eunit ct shell dialyzer release clean xref do as fmt cover escriptize tree help report proper
dart | analyze compile fix format info run test doc devtools language-server create pub:deps
flutter | analyze build clean doctor test run gen-l10n format devices emulators logs attach drive pub:deps assemble create
dotnet | build build-server clean test publish run pack format list sln new !new:install !new:uninstall msbuild watch vstest help exec nuget:verify nuget:list
dotnet | fantomas csharpier dotnet-format jb roslynator stryker dotnet-stryker reportgenerator coverlet xunit nbgv gitversion cake fake dotnet-ef
dotnet | t4 docfx csharpier:check ilverify dotnet-counters dotnet-trace sourcelink outdated dotnet-outdated versionize xstyler livereloadserver
dotnet | list:package dev-certs:check sdk:check nuget:why fable slopwatch swagger nswag refitter trx
dotnet | tool:list tool:run ef:migrations ef:dbcontext workload:list add:reference reference:add reference:list solution
opam | list show switch:list switch:show exec env config lint var help
rustup | show which run doc help check target:list component:list toolchain:list override:list man completions
nvm | current ls list which version use alias:default
sdk | current list version use
brew | list ls config doctor deps leaves uses cat desc shellenv --prefix --cellar --repo
apt apt-get aptitude | list show policy depends rdepends moo check
snap flatpak port | list info version
dnf yum zypper | list info repolist history lr se if search
apk | info list stats version audit verify
choco scoop winget | list info show outdated config
luarocks | list show which path lint make build pack test config help
fisher | list
nuget | list locals verify help spec pack sources:list
npm | run run-script test t start stop restart rum urn tst it pkg shrinkwrap prune dedupe ddp rebuild find-dupes query sbom init completion get
npm | exec x edit create-none diff-none uninstall-none
bun | pm:ls pm:bin pm:hash pm:version
pnpm | store:path store:status env:list env:ls
pnpm yarn bun | *
composer | *
mix | *
poetry | run shell build check show version export help about init new env:info env:list env:use env:activate config:--list source:show
poetry | cache:list debug:info self:show
pipenv | run shell graph verify requirements scripts check-none open-none
bundle | exec list show info check env platform doctor viz clean licenses gem binstubs help version config pristine-none
hatch | run shell test build clean fmt version help env:show env:find env:create env:run dep:show project:metadata new status
pdm | run build list info show fmt lint test fix use venv:list config:--list
rye | run build test fmt lint show list version init toolchain:list
pixi | run shell list info task:list task:add tree project:version init clean
volta | run list which
mise asdf | exec x current ls list where which env version doctor tasks run config plugins:ls plugin:list
";

/// Verbs of tools with `*` that are none of the project's scripts.
const NO_SCRIPTS: &str = "
npm plugin set global policies link unlink create up upgrade-interactive env server setup store deploy fetch import self-update pm x
login logout publish unpublish tag team token owner access whoami version-none dlx init
archive.install archive.build-none local.hex local.rebar hex.publish hex.user hex.organization hex.repo hex.owner hex.retire
deps.get deps.update escript.install igniter.install create-project selfupdate require remove archive-none browse
";

/// Subcommands of cargo that build, check and show.
const CARGO: &str = "
build b check c test t run r bench doc d clean fmt clippy fix tree metadata new init nextest expand llvm-cov tarpaulin machete udeps deny
audit outdated insta hack msrv semver-checks xtask version help locate-project pkgid verify-project rustc rustdoc report
read-manifest package miri bloat criterion flamegraph geiger set-version sort readme spellcheck mutants zigbuild cross objdump
size nm objcopy asm show-asm fuzz afl sqlx about license vet sweep careful public-api modules depgraph rdme workspaces make component
tauri leptos ndk apk xtest xbuild xcheck lint ci dev coverage docs auditable cyclonedx sbom unused-features hakari dist bundle deb
minimal-versions limit valgrind instruments profiler remark dylint kani prusti creusot rail config add-none remove rm
llvm-lines codspeed hfuzz docs-rs no-dev-deps nono minimal binutils cov call-stack wasi espflash embed flash readelf strip llvm-tools shear sonar
doc2readme insta-review public-api-diff feature msrv-check ls-crates flamegraph-none build-wasm wasi-test 3ds cinstall-none cbuild ctest-none xwin valgrind-none
watch --list --version -V --help -h
";

/// Goals of Maven that build, by the plugin in front of the colon.
const MAVEN: &str = "
dependency surefire failsafe spotless checkstyle compiler resources jar war ear help versions exec spring-boot quarkus jacoco pmd spotbugs
site enforcer license formatter fmt javadoc source clean install archetype-none shade assembly jetty tomcat7 invoker toolchains rat
animal-sniffer pitest scala kotlin frontend asciidoctor protobuf antlr4 jib-none flatten build-helper properties buildnumber modernizer
";
/// Phases of Maven.
const PHASES: &str = "
validate initialize generate-sources process-sources generate-resources process-resources compile process-classes
generate-test-sources process-test-sources generate-test-resources process-test-resources test-compile process-test-classes test
prepare-package package pre-integration-test integration-test post-integration-test verify install clean pre-clean post-clean site
pre-site post-site
";
/// Beginnings of tasks and goals that send something away.
const SENDING: [&str; 9] = [
    "publish",
    "upload",
    "deploy",
    "release",
    "closeand",
    "promote",
    "gh-deploy",
    "push",
    "login",
];
/// Tasks with such a beginning that stay on this machine.
const SENDING_HERE: [&str; 9] = [
    "publishtomavenlocal",
    "publishlocal",
    "publishm2",
    "release-check",
    "releasenotes",
    "release-notes",
    "deploy-check",
    "pushd",
    "publishlocalsigned",
];

/// Options of build tools with a value behind them.
const VALUES: &str = "
-pl -rf -P -f -s -t -T -x -b -p -c -I -g --projects --file --settings --tests --exclude-task --build-file --project-dir
--activate-profiles --resume-from --threads --toolchains --init-script --console --gradle-user-home
";

/// Returns the lists of verbs of a manager that stay here, if it is one.
fn lists(name: &str) -> impl Iterator<Item = &'static str> {
    HERE.lines()
        .filter_map(|line| line.split_once('|'))
        .filter(move |(names, _)| is_in(names, name))
        .map(|(_, verbs)| verbs)
}

/// Returns whether a verb of a manager stays in the project; `None` where the manager is not described here.
pub(super) fn stays_in_project(name: &str, all: &[String]) -> Option<bool> {
    let mut words = all.iter().map(String::as_str);
    let verb = words.next().unwrap_or("");
    if verb.is_empty() || is_in("help --help -h --version -V -v version", verb) {
        return Some(true);
    }
    let both = format!("{verb}:{}", words.next().unwrap_or(""));
    let mut is_described = false;
    for verbs in lists(name) {
        is_described = true;
        if verbs.trim() == "*" {
            let does_several = verb == "do" && all.iter().any(|word| is_in(NO_SCRIPTS, word));
            return Some(!is_in(NO_SCRIPTS, verb) && !does_several);
        }
        if is_in(verbs, &format!("!{both}")) {
            return Some(false);
        }
        if is_in(verbs, verb) || is_in(verbs, &both) {
            return Some(true);
        }
    }
    is_described.then_some(false)
}

/// Returns whether a task sends something to another machine, by how its name begins.
fn sends(task: &str) -> bool {
    let last = task
        .rsplit([':', '/'])
        .next()
        .unwrap_or(task)
        .to_lowercase();
    (SENDING.iter().any(|start| last.starts_with(start)) || last.ends_with("upload"))
        && !SENDING_HERE.contains(&last.as_str())
        && !last.contains('.')
}

impl ShellInterpreter<'_, '_> {
    /// Looks at the verb of a manager that nothing else was said about.
    pub(super) fn managed(&mut self, name: &str, words: &[String]) {
        let verb = words.first().map_or("", String::as_str);
        if stays_in_project(name, words) == Some(false) {
            self.reading
                .opaque(format!("`{name} {verb}`, which is not described"));
        }
        let global = |word: &String| word == "--global" || word == "-g";
        if verb == "config" && words.iter().any(global) {
            self.reading.does(
                EffectKind::Persistence,
                format!("{name} config changes settings of the account"),
            );
        }
    }

    /// Looks at a subcommand of cargo.
    pub(super) fn cargo_verb(&mut self, verb: &str) {
        if !verb.is_empty() && !is_in(CARGO, verb) {
            self.reading
                .opaque(format!("`cargo {verb}`, which is not described"));
        }
    }

    /// Looks at the tasks of a build tool: what its project defines is the project's, what sends is not.
    pub(super) fn tasks(&mut self, name: &str, args: &[String]) {
        if is_question(args) {
            return;
        }
        let is_maven = ["mvn", "mvnw"].contains(&name);
        let values = args.windows(2).filter_map(|pair| match pair {
            [option, value] if is_in(VALUES, option) => Some(value.as_str()),
            _ => None,
        });
        let values: Vec<&str> = values.collect();
        let tasks = args.iter().filter(|arg| !values.contains(&arg.as_str()));
        for task in tasks.flat_map(|arg| arg.split_whitespace()) {
            if task.starts_with('-') || task.contains('=') {
                continue;
            }
            if sends(task) {
                self.reading.does(
                    EffectKind::Network,
                    format!("{name} {task} sends to another machine"),
                );
            } else if is_maven && !is_goal(task) {
                self.reading
                    .opaque(format!("`{name} {task}`, which is not described"));
            }
        }
    }

    /// Looks at the first word of a tool of the project: one that sends does so whatever the tool is.
    pub(super) fn sending_verb(&mut self, name: &str, args: &[String]) {
        let verb = args.iter().find(|arg| !arg.starts_with('-'));
        // `dune promote` takes what a test printed over into the project.
        let own =
            name == "dune" && verb.is_some_and(|verb| verb == "promote" || verb == "promotion");
        if let Some(verb) = verb.filter(|verb| !own && !verb.contains('/') && sends(verb)) {
            self.reading.does(
                EffectKind::Network,
                format!("{name} {verb} sends to another machine"),
            );
        }
    }
}

/// Returns whether Maven builds with this word: a phase, or a goal of a plugin that does. Words behind options are files and
/// modules.
fn is_goal(word: &str) -> bool {
    let mut parts = word.split(':');
    let first = parts.next().unwrap_or("");
    let Some(second) = parts.next() else {
        return is_in(PHASES, word) || word.contains(['/', '.', ',']) || word.len() < 3;
    };
    // `group:artifact:goal` names the plugin in full.
    let plugin = if parts.next().is_some() {
        second
    } else {
        first
    };
    let plugin = plugin
        .trim_start_matches("maven-")
        .trim_end_matches("-plugin")
        .trim_end_matches("-maven");
    first.is_empty() || is_in(MAVEN, plugin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stays(line: &str) -> Option<bool> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        stays_in_project(&words[0], &words[1..])
    }

    #[test]
    fn only_verbs_that_are_listed_stay_here() {
        for line in [
            "pip list",
            "npm test",
            "yarn lint",
            "uv pip list",
            "dotnet publish",
        ] {
            assert_eq!(stays(line), Some(true), "{line}");
        }
        for line in [
            "pip config set x",
            "npm token create",
            "yarn npm publish",
            "uv pip install x",
        ] {
            assert_eq!(stays(line), Some(false), "{line}");
        }
        assert_eq!(stays("mytool x"), None);
    }

    #[test]
    fn tasks_that_send_are_known_by_how_they_begin() {
        assert!(sends("publishToMavenCentral") && sends(":lib:uploadArchives") && sends("deploy"));
        assert!(!sends("publishToMavenLocal") && !sends("test") && !sends("release.toml"));
        assert!(is_goal("verify") && is_goal("dependency:tree") && is_goal("spring-boot:run"));
        assert!(!is_goal("wagon:upload") && !is_goal("antrun:run"));
    }
}
