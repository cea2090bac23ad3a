//! Files from which build tools and test runners take code, and that the command itself wrote.
//!
//! Ordinary work writes them, too, so what was written is followed: declarations pass, and what could run or remove something is not
//! understood. An edit in place of a file of the project counts by the text it puts in. Danger: code that was there before is the
//! project's and is not looked at.

use crate::domain::policy::{
    partial_text::{NAME, UNKNOWN, base_name, is_in, is_mark},
    programs::is_question,
    shell::{ShellInterpreter, wild_fits},
};

/// How the text of such a file is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// Every word outside of texts has to be one of these.
    Words(&'static str),
    /// None of the marks of code that runs something may be in it.
    Marks,
    /// It may not say where something is fetched from.
    Addresses,
    /// It is read as code elsewhere.
    Code,
    /// It may not end the tests by itself with what it likes.
    Endings,
}

/// What Gradle's files declare with.
const GRADLE: &str = "plugins id kotlin version apply false true alias libs plugin repositories mavenCentral mavenLocal google
    gradlePluginPortal dependencies implementation api compileOnly compileOnlyApi runtimeOnly testImplementation testRuntimeOnly
    testCompileOnly testFixturesImplementation androidTestImplementation debugImplementation annotationProcessor kapt ksp
    testAnnotationProcessor classpath platform project projects enforcedPlatform group java toolchain languageVersion set JavaLanguageVersion of
    sourceCompatibility targetCompatibility JavaVersion VERSION_1_8 VERSION_11 VERSION_17 VERSION_21 VERSION_25 test useJUnitPlatform useJUnit
    useTestNG testLogging events exceptionFormat showStandardStreams application mainClass mainClassName tasks named register withType
    configureEach Test Jar JavaCompile KotlinCompile compileJava options encoding release jar manifest attributes rootProject name include
    pluginManagement dependencyResolutionManagement jvmToolchain allprojects subprojects sourceSets main srcDir srcDirs resources it
    doLast doFirst println print description dependsOn finalizedBy mustRunAfter maxParallelForks forkEvery jvmArgs checkstyle
    spotless ktlint jacoco jacocoTestReport reports xml html required csv maxHeapSize val var def ext extra import exclude module
    withSourcesJar withJavadocJar isTransitive transitive because strictly configurations all resolutionStrategy force failOnVersionConflict
    compilerOptions jvmTarget JvmTarget JVM_1_8 JVM_11 JVM_17 JVM_21 allWarningsAsErrors parallel enabled isEnabled new";
/// What `CMakeLists.txt` declares with; words behind these are names.
const CMAKE: &str = "cmake_minimum_required project add_executable add_library add_subdirectory target_link_libraries target_include_directories
    target_compile_options target_compile_features target_compile_definitions target_sources target_link_options target_precompile_headers
    set unset option if elseif else endif foreach endforeach while endwhile function endfunction macro endmacro message list string math
    find_package find_library find_path enable_testing add_test set_tests_properties set_target_properties set_property get_property
    get_target_property get_filename_component set_source_files_properties include_directories link_libraries link_directories
    add_compile_options add_compile_definitions add_definitions enable_language include install export cmake_policy gtest_discover_tests
    source_group add_dependencies mark_as_advanced return break continue cmake_parse_arguments check_cxx_compiler_flag check_include_file
    check_function_exists configure_file cmake_path configure_package_config_file write_basic_package_version_file pkg_check_modules";
/// What Meson's files declare with.
const MESON: &str = "project executable library shared_library static_library both_libraries shared_module dependency declare_dependency
    subdir test benchmark files include_directories install_headers install_data install_man configuration_data configure_file
    add_project_arguments add_global_arguments add_project_link_arguments add_languages import get_option option message warning error
    assert summary environment meson find_library get_compiler get_supported_arguments has_header has_function compiles set set10
    set_quoted found partial_dependency project_version source_root build_root current_source_dir join_paths foreach generate version
    is_subproject get_id system host_machine target_machine build_machine cpu_family";
/// Marks of code that runs, removes or fetches something, in whatever language; without regard to case and blanks.
const RUNS: [&str; 54] = [
    "exec(",
    "exec ",
    "<exec",
    "exec-maven",
    "antrun",
    "execute_process",
    "add_custom_",
    ".execute(",
    "execsync",
    "execfile",
    "commandline",
    "processbuilder",
    "process(",
    "sys.process",
    "getruntime",
    "runtime.",
    "system(",
    "system.cmd",
    "os.cmd",
    "popen",
    "spawn",
    "subprocess",
    "child_process",
    "os.system",
    "shutil",
    "rmtree",
    "unlink",
    "remove_recurse",
    "file(remove",
    "file(download",
    "externalproject",
    "fetchcontent",
    "rm -",
    "rm(",
    "rmsync",
    "delete",
    "eval",
    "curl",
    "wget",
    "bash",
    "sh -c",
    "/bin/sh",
    "powershell",
    "cmd /c",
    "usingtask",
    "<target",
    "inlinetask",
    "run_command",
    "custom_target",
    "genrule",
    "http_archive",
    "repository_ctx",
    "addsystemcommand",
    "builtins.exec",
];
/// Marks of hooks that say how tests ended rather than run them.
const BENDS: [&str; 9] = [
    "exitstatus",
    ".outcome",
    "wasxfail",
    "testsfailed",
    "os._exit",
    "sys.exit",
    "pytest.exit",
    "collect_ignore",
    "items.clear",
];

/// Programs, the files from which they take code, and how these are followed.
const BUILDS: [(&str, &str, Follow); 17] = [
    ("go gotestsum", "*_test.go", Follow::Endings),
    ("gradle gradlew", "*.gradle *.gradle.kts", Follow::Words(GRADLE)),
    ("cmake ctest cpack", "CMakeLists.txt *.cmake CMakePresets.json", Follow::Words(CMAKE)),
    ("meson ninja muon", "meson.build meson_options.txt meson.options", Follow::Words(MESON)),
    ("scons waf", "SConstruct SConscript wscript", Follow::Marks),
    ("bazel bazelisk buck2 pants", "BUILD BUILD.bazel WORKSPACE WORKSPACE.bazel MODULE.bazel *.bzl BUCK", Follow::Marks),
    ("mvn mvnw", "pom.xml", Follow::Marks),
    ("sbt mill lein clj clojure", "*.sbt build.sc build.mill project.clj deps.edn", Follow::Marks),
    ("dotnet msbuild", "*.csproj *.fsproj *.vbproj *.props *.targets", Follow::Marks),
    ("zig swift mix xmake nimble dub", "build.zig Package.swift mix.exs xmake.lua *.nimble dub.json dub.sdl", Follow::Marks),
    ("nix nix-build nix-shell", "*.nix", Follow::Marks),
    ("gradlew mvnw", "gradle-wrapper.properties maven-wrapper.properties", Follow::Addresses),
    ("stack cabal", "Setup.hs Setup.lhs", Follow::Marks),
    ("pip pip3 uv build pyproject-build poetry hatch pdm cibuildwheel", "setup.py", Follow::Code),
    ("pytest py.test tox nox coverage python python3 uv poetry pipenv hatch pdm", "conftest.py", Follow::Code),
    ("rspec rake bundle", "spec_helper.rb rails_helper.rb", Follow::Code),
    (
        "npm npx pnpm yarn bun node jest vitest vite webpack rollup rspack eslint prettier babel next nuxt playwright cypress karma mocha ava
        tsup esbuild postcss tailwindcss stylelint astro storybook ng svelte-kit turbo nx wtr ember vue-cli-service react-scripts",
        "*.config.js *.config.ts *.config.mjs *.config.cjs *.config.mts *.config.cts *.conf.js .eslintrc.js .eslintrc.cjs .babelrc.js
        .prettierrc.js .mocharc.js .stylelintrc.js jest.setup.js jest.setup.ts vitest.setup.ts setupTests.ts setupTests.js",
        Follow::Code,
    ),
];

/// Returns whether a file, or a pattern of the shell, is one of these.
pub(super) fn is_one_of(files: &str, path: &str) -> bool {
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

/// Returns whether a file is one of those that builds take code from.
pub(super) fn is_build_file(path: &str) -> bool {
    // A pattern names many, and these are few among them.
    !base_name(path).contains(NAME) && BUILDS.iter().any(|(_, files, _)| is_one_of(files, path))
}

/// Returns whether a text would make a build run something.
pub(super) fn tells_to_run(text: &str) -> bool {
    let lower = text.to_lowercase();
    RUNS.iter().chain(&BENDS).any(|mark| lower.contains(mark))
}

/// Returns the first part of a text that is none of the words a file may declare with, quotations and comments aside.
///
/// Danger: what is taken for a quotation or a comment and is none hides code, so each language has only its own.
fn unknown_word<'t>(text: &'t str, known: &str) -> Option<&'t str> {
    let (quotes, comment, is_gradle) = match known {
        GRADLE => ("'\"", "//", true),
        CMAKE => ("\"", "#", false),
        _ => ("'", "#", false),
    };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if quotes.contains(c) {
            let inner = rest.get(1..).unwrap_or("");
            let (inside, behind) = quoted(inner, c);
            // What is put into a text is code.
            if is_gradle && inside.contains("${") {
                return Some(inside);
            }
            rest = behind;
        } else if rest.starts_with("#[") {
            return rest.get(..2);
        } else if rest.starts_with(comment) {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if is_gradle && rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, rest)| rest);
        } else if is_gradle && c == '/' {
            return rest.get(..1);
        } else if c.is_alphabetic() || c == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
            // In CMake and Meson names are bare words, and only what is called acts.
            let acts = is_gradle || behind.trim_start().starts_with('(');
            let is_known =
                is_in(known, word) || known == CMAKE && is_in(known, &word.to_lowercase());
            if acts && !is_known {
                return Some(word);
            }
            rest = behind;
        } else {
            rest = rest.get(c.len_utf8()..).unwrap_or("");
        }
    }
    None
}

/// Splits a text behind the quotation that it begins in.
fn quoted(text: &str, sign: char) -> (&str, &str) {
    let mut is_escaped = false;
    let end = text.find(|c: char| {
        let ends = c == sign && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let end = end.unwrap_or(text.len());
    (
        text.get(..end).unwrap_or(""),
        text.get(end + 1..).unwrap_or(""),
    )
}

/// Returns the part of a file's text that is not followed.
fn unfollowed<'t>(follow: Follow, file: &str, text: &'t str) -> Option<&'t str> {
    let has = |marks: &[&'static str]| {
        let lower = text.to_lowercase();
        marks.iter().find(|mark| lower.contains(**mark)).copied()
    };
    match follow {
        // Told of all files that are written.
        _ if text.contains(UNKNOWN) => None,
        Follow::Words(known) => {
            // Looking for files is no change of any.
            let looked = text.replace("file(GLOB", "list(GLOB");
            let word = unknown_word(&looked, known)?;
            let at = text.find(word)?;
            text.get(at..at + word.len())
        }
        Follow::Marks => has(&RUNS),
        Follow::Addresses => has(&["url"]),
        Follow::Code if file == "conftest.py" => has(&BENDS),
        Follow::Code => None,
        Follow::Endings => {
            (text.contains("func TestMain") && text.contains("os.Exit(0)")).then_some("os.Exit(0)")
        }
    }
}

impl ShellInterpreter<'_, '_> {
    /// Looks at a build tool or test runner: the command itself may have written the code that it takes from its files.
    pub(super) fn edited_builds(&mut self, name: &str, args: &[String]) {
        let name = name.strip_suffix(".exe").unwrap_or(name);
        if self.wrote_nothing() || !args.is_empty() && is_question(args) {
            return;
        }
        if name == "go" && args.first().is_some_and(|verb| verb == "generate") {
            self.generators();
        }
        let rows = BUILDS.iter().filter(|(names, ..)| is_in(names, name));
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return;
        }
        let unread = self.unread_files();
        let written: Vec<(String, String)> = self.written_files().collect();
        for (_, files, follow) in rows {
            let is_meant = |path: &&String| !path.contains(NAME) && is_one_of(files, path);
            if let Some(path) = unread.iter().find(is_meant) {
                let why = format!(
                    "{name} with {}, which the command itself made",
                    base_name(path)
                );
                self.reading.opaque(why);
            }
            for (path, text) in written.iter().filter(|(path, _)| is_one_of(files, path)) {
                let file = base_name(path);
                if let Some(part) = unfollowed(*follow, file, text) {
                    let part = part.trim_matches(['(', '<', ' ', '.']);
                    self.reading.opaque(format!(
                        "{name} with {file}, which the command itself wrote and which uses `{part}`"
                    ));
                }
            }
        }
    }

    /// Runs what `go generate` finds in files that the command itself wrote.
    fn generators(&mut self) {
        let written: Vec<(String, String)> = self.written_files().collect();
        for (_, text) in written
            .iter()
            .filter(|(path, _)| path.rsplit('.').next() == Some("go"))
        {
            super::vague_code(self, text, "go generate");
            for code in text
                .lines()
                .filter_map(|line| line.strip_prefix("//go:generate "))
            {
                drop(self.aside(|shell| shell.run_text(code, "go generate", String::new())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_known_words_and_code_is_not() {
        let gradle = |text| unknown_word(text, GRADLE);
        assert_eq!(
            gradle("plugins { id 'java' }\n// exec {}\ngroup = 'x'"),
            None
        );
        assert_eq!(gradle("task t(type: Delete) {}"), Some("task"));
        assert_eq!(
            gradle("version \"${'ls'.execute()}\""),
            Some("${'ls'.execute()}")
        );
        assert_eq!(gradle("id 'a\\''; x.execute(); '"), Some("x"));
        assert_eq!(gradle("group = /'/; exec {} // '"), Some("/"));
        let cmake = |text| unknown_word(text, CMAKE);
        assert_eq!(
            cmake("project(demo C)\nADD_EXECUTABLE(demo main.c) # execute_process()"),
            None
        );
        assert_eq!(cmake("set(A //x) exec(') # '"), Some("exec"));
        assert_eq!(cmake("#[[x]] exec()"), Some("#["));
        assert_eq!(
            cmake("set(A \"${B}\")\nexecute_process(COMMAND x)"),
            Some("execute_process")
        );
        assert_eq!(
            unknown_word("project('a', 'c')\nrun_command('x')", MESON),
            Some("run_command")
        );
    }

    #[test]
    fn a_pattern_is_no_build_file() {
        assert!(is_build_file("app/CMakeLists.txt") && is_build_file("conftest.py"));
        assert!(!is_build_file("src/main.c") && !is_build_file(&format!("src/{NAME}.js")));
    }

    #[test]
    fn an_edit_that_puts_a_command_in_is_told_from_one_that_does_not() {
        assert!(tells_to_run(
            "sed -i $a execute_process(COMMAND x) CMakeLists.txt"
        ));
        assert!(!tells_to_run("sed -i s/1.0/1.1/ pom.xml"));
    }
}
