//! What lies outside of the project among the arguments of programs that run, load or write what they are given.
//!
//! A tool of the project does what the project says: that is what it is for. Handed a file or a folder that lies elsewhere it
//! may run it, load it, take its settings from it or write to it, under options that nobody can list for every tool. So every
//! argument is looked at, wherever the path stands in it; what an option is known to write is a write, and what is left is
//! not understood.

use crate::domain::policy::{
    programs::{
        Options,
        argument_paths::{ROOT_FOLDERS, is_path, paths_in},
        arguments::{loads, runs_its_files, words_of},
        base_name, is_in, picks,
    },
    resolved_path::ResolvedPath,
    rule::EffectKind,
    shell::ShellInterpreter,
    windows,
};

/// Folders in which the machine keeps its programs and what belongs to them.
const SYSTEM: [&str; 12] = [
    "/usr/",
    "/etc/",
    "/opt/",
    "/bin/",
    "/sbin/",
    "/lib",
    "/nix/",
    "/snap/",
    "/run/current-system/",
    "/Library/",
    "/System/",
    "/Applications/",
];
/// Folders of the account in which tools keep what they fetched.
const OF_TOOLS: &str = "
.cargo .rustup .npm .cache .local .m2 .gradle .nvm .pyenv .rbenv .deno .bun .pub-cache .stack .cabal .opam .ghcup .sdkman .volta .asdf
.yarn .pnpm-store .nuget .dotnet .conan .conan2 .vcpkg .julia .config go miniconda3 anaconda3 .conda .virtualenvs .terraform.d
";
/// Options that name no file, whatever their value looks like.
const NO_FILES: &str = "
base basehref base-href publicpath public-path publicurl public-url urlprefix url-prefix route grep g k bench skip match
testnamepattern test-name-pattern testpathpattern testpathpatterns ignore exclude fg remap-path-prefix title header pathprefix
path-prefix rootpath root-path contextpath context-path message m deployurl deploy-url serve-path prefix-map ffile-prefix-map
version-range fdebug-prefix-map fmacro-prefix-map rpath rpath-link install_name dynamic-linker
";
/// Words in the names of options whose value is a pattern or a label.
const PATTERNS: &str = "pattern patterns regex regexp tag tags grep label labels";
/// Options that name a file or folder which is written, without signs and in small letters.
const OUTPUTS: &str = "
o out output outfile outdir outputfile outputdir outputpath outputdirectory reportfile reportdir logfile log junitxml junit basetemp
targetdir builddir dest destination cachedir cachelocation coveragedir coveragedirectory coverprofile cpuprofile memprofile blockprofile
mutexprofile trace outpath artifactdir artifactspath buildpath distpath workpath specpath declarationdir tsbuildinfofile packdestination
work workdirectory junitoutput savepath exportpath outputformatfile scriptpath soutputfile bundledir recorddir reportsdirectory resultsdirectory htmldir
";
/// Words in the name of an option that say the same.
const OUTPUT_WORDS: &str = "out output outdir outfile dest destination";
/// Programs that make the file which they are given last.
const CONVERTERS: &str = "
ffmpeg convert magick gs cwebp pdftotext qpdf svgo optipng pngquant jpegoptim pandoc xxd gm montage composite vips vipsthumbnail tesseract
pdftk pdfunite pdfseparate pdftoppm pdftocairo lame flac rsvg-convert resvg scour gif2webp dwebp pngcrush zopflipng oxipng guetzli ps2pdf
pdfcrop
";
/// Programs with options that start with `/`.
const WITH_SLASHES: &str = "
msbuild dotnet cl link csc vbc fsc rc mt dumpbin editbin lib ildasm sn al undname vstest.console mstest devenv findstr where tasklist nuget fc comp sort more tree xcopy nmake
";

/// Returns the text without the signs that tools spell the same option with.
fn plain(option: &str) -> String {
    let letters = option.chars().filter(|c| !matches!(c, '-' | '_'));
    letters.flat_map(char::to_lowercase).collect()
}

/// Returns whether a word is an option of a program that starts them with `/`.
fn is_slash_option(name: &str, word: &str) -> bool {
    let rest = word.strip_prefix('/').unwrap_or("");
    let letters = rest.split([':', '=']).next().unwrap_or("");
    is_in(WITH_SLASHES, name) && !letters.is_empty() && !letters.contains(['/', '.'])
}

/// Returns whether an option takes a pattern or a label, by the words of its name.
fn names_pattern(option: &str) -> bool {
    let name = option.split('=').next().unwrap_or("");
    words_of(name).iter().any(|word| is_in(PATTERNS, word))
}

/// Returns whether a text between two slashes is a regular expression rather than a folder: no folder of the machine has its name.
fn is_expression(path: &str) -> bool {
    let inner = path.strip_prefix('/').unwrap_or("");
    inner.starts_with('^')
        || inner
            .strip_suffix('/')
            .is_some_and(|name| !name.contains('/') && !is_in(ROOT_FOLDERS, name) && name != "app")
}

impl ShellInterpreter<'_, '_> {
    /// Returns the first part of a text that leads out of the project, scratch space aside.
    pub(super) fn leads_away(&self, text: &str) -> Option<String> {
        let paths = paths_in(text).into_iter().map(windows::path);
        paths.into_iter().find(|path| {
            let away = |place: &ResolvedPath| {
                matches!(place, ResolvedPath::Outside(_) | ResolvedPath::Home(_))
            };
            // The end of a name is none: `base + '/index.ts'`.
            !path.starts_with("/index.") && self.resolve_all(path).iter().any(away)
        })
    }

    /// Looks at the files and folders that a tool of the project is given.
    pub(super) fn foreign_files(&mut self, name: &str, args: &[String]) {
        let name = name.strip_suffix(".exe").unwrap_or(name);
        let last = args.len().saturating_sub(1);
        let mut before = "";
        for (at, arg) in args.iter().enumerate() {
            if arg == "--" {
                before = "";
                continue;
            }
            let spelled_before = before;
            let dashed = arg.strip_prefix('-');
            let (option, value) = match dashed {
                Some(option) => option.split_once(['=', ':']).unwrap_or((option, "")),
                None => (before, arg.as_str()),
            };
            before = dashed.filter(|_| value.is_empty()).unwrap_or("");
            let option = plain(option);
            if is_in(NO_FILES, &option)
                || names_pattern(dashed.unwrap_or(spelled_before))
                || dashed.is_none() && picks(name, &format!("-{spelled_before}"))
                || is_slash_option(name, arg) && paths_in(arg).len() < 2
            {
                continue;
            }
            let spelled = match dashed {
                Some(dashed) => dashed
                    .split_once(['=', ':'])
                    .map_or(dashed, |(name, _)| name),
                None => spelled_before,
            };
            let is_pair = value.split_once('=').is_some_and(|(_, rest)| is_path(rest));
            let says = words_of(spelled)
                .iter()
                .any(|word| is_in(OUTPUT_WORDS, word));
            let writes = (is_in(OUTPUTS, &option) || says)
                && !value.is_empty()
                && !value.contains("://")
                && !is_pair;
            let makes = at == last
                && dashed.is_none()
                && is_in(CONVERTERS, base_name(name))
                && value.contains(['/', '\\']);
            if makes {
                self.writes(&windows::path(value));
                continue;
            }
            // What is built from the project is the project's own.
            if writes {
                self.changes(&windows::path(value));
                continue;
            }
            let glued = dashed
                .and_then(|rest| rest.strip_prefix('o'))
                .filter(|rest| is_path(rest));
            if let Some(path) = glued {
                self.changes(path);
                continue;
            }
            self.foreign_argument(name, arg, dashed.is_some() || !option.is_empty());
            let loaded = if option.is_empty() {
                runs_its_files(name) && !arg.contains('=')
            } else {
                loads(spelled)
            };
            if loaded {
                self.scratch_argument(name, arg);
            }
        }
    }

    /// Looks at options of git that name a file or folder which is written.
    pub(super) fn git_outputs(&mut self, words: &[String]) {
        self.git_hands_out(words);
        self.git_elsewhere(words);
        let Some((verb, rest)) = words.split_first() else {
            return;
        };
        if verb == "format-patch" {
            let options = Options::parse(rest, "ovN", &["output-directory", "start-number"]);
            for folder in options.values(&["o", "output-directory"]) {
                self.writes(folder);
            }
        }
        if verb == "bundle" && rest.first().is_some_and(|word| word == "create") {
            let options = Options::parse(rest, "", &[]);
            if let Some(file) = options.rest.get(1) {
                self.writes(file);
            }
        }
    }

    /// Looks at a git that works in another folder: whatever does not only show changes the repository there.
    fn git_elsewhere(&mut self, words: &[String]) {
        const SHOWS: &str = "status log diff show blame ls-files rev-parse branch remote describe grep cat-file ls-tree rev-list shortlog
            for-each-ref ls-remote name-rev merge-base config tag reflog version help check-ignore worktree";
        let verb = words.first().map_or("", String::as_str);
        let is_away = |place: &ResolvedPath| {
            matches!(place, ResolvedPath::Outside(_) | ResolvedPath::Home(_))
        };
        if !verb.is_empty() && !is_in(SHOWS, verb) && self.resolve_all(".").iter().any(is_away) {
            self.writes("./.git/index");
        }
    }

    /// Looks at verbs of git that hand out or send what the others keep.
    fn git_hands_out(&mut self, words: &[String]) {
        let mut words = words.iter().map(String::as_str);
        match (words.next(), words.next()) {
            (Some("credential"), Some("fill" | "get")) => {
                self.reading.opaque("git credential, which shows passwords");
            }
            (Some("subtree"), Some("push")) => self.reading.does(
                EffectKind::Network,
                "git subtree push sends to another machine",
            ),
            (Some("mergetool"), _) => {
                self.reading.opaque("the program that git mergetool runs");
            }
            _ => {}
        }
    }

    /// Looks at files in scratch space that a program loads or runs: nobody knows who put them there.
    fn scratch_argument(&mut self, name: &str, arg: &str) {
        for path in paths_in(arg) {
            let is_scratch = |place: &ResolvedPath| matches!(place, ResolvedPath::Scratch(_));
            if self.resolve_all(path).iter().any(is_scratch) && !self.is_in_checkout(path) {
                self.reading
                    .opaque(format!("{name} with {path}, which is none of the project"));
            }
        }
    }

    /// Returns whether a path leads out of the project to where neither the machine nor tools of the account keep their files.
    pub(super) fn foreign_path(&self, path: &str) -> bool {
        let is_foreign = |place: &ResolvedPath| match place {
            ResolvedPath::Outside(path) => !SYSTEM
                .iter()
                .any(|start| format!("{path}/").starts_with(start)),
            ResolvedPath::Home(path) => !is_in(OF_TOOLS, path.split('/').next().unwrap_or("")),
            ResolvedPath::Scratch(_)
            | ResolvedPath::Inside(_)
            | ResolvedPath::Device
            | ResolvedPath::Unknown(_) => false,
        };
        self.resolve_all(path).iter().any(is_foreign)
    }

    fn foreign_argument(&mut self, name: &str, arg: &str, is_option: bool) {
        for path in paths_in(arg) {
            if is_expression(path) {
                continue;
            }
            let path = windows::path(path);
            let is_foreign = |place: &ResolvedPath| match place {
                ResolvedPath::Outside(path) => {
                    let system = SYSTEM
                        .iter()
                        .any(|start| format!("{path}/").starts_with(start));
                    !(system && (is_option || !is_in(CONVERTERS, name)))
                }
                ResolvedPath::Home(path) => !is_in(OF_TOOLS, path.split('/').next().unwrap_or("")),
                ResolvedPath::Scratch(_)
                | ResolvedPath::Inside(_)
                | ResolvedPath::Device
                | ResolvedPath::Unknown(_) => false,
            };
            if self.resolve_all(&path).iter().any(is_foreign) {
                self.reading
                    .opaque(format!("{name} with {path}, which is none of the project"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_wherever_they_stand_in_an_argument() {
        assert_eq!(paths_in("--config=/srv/x.js"), ["/srv/x.js"]);
        assert_eq!(paths_in("-I/srv/x"), ["/srv/x"]);
        assert_eq!(paths_in("lib/a.jar:/srv/b.jar"), ["/srv/b.jar"]);
        assert_eq!(paths_in("-javaagent:/srv/b.jar=x"), ["/srv/b.jar=x"]);
        assert_eq!(paths_in("target.runner=\"/srv/x\""), ["/srv/x"]);
        assert_eq!(paths_in("@/srv/x.rsp"), ["/srv/x.rsp"]);
        assert_eq!(paths_in("-p=C:\\evil\\x.proj"), ["C:\\evil\\x.proj"]);
        assert_eq!(paths_in("../up"), ["../up"]);
        for text in [
            "src/a/b",
            "https://example.org/x",
            "a/b:c/d",
            "--x",
            "...",
            "./...",
        ] {
            assert_eq!(paths_in(text), Vec::<&str>::new(), "{text}");
        }
    }
}
