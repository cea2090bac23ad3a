//! Programs that work inside their folder, and what else they can be told to do.
//!
//! What a program of the table does is worked out. The programs here build, test, format, check and show: they run what
//! the project holds and leave the rest alone. A program that stands nowhere, unless it is a file of the project itself, is
//! not understood.

use crate::domain::policy::{
    partial_text::{OWN, UNKNOWN, is_vague},
    programs::{
        Language, base_name, is_in, is_question, picks, scan_code, scan_file, table, vague_code,
    },
    resolved_path,
    resolved_path::ResolvedPath,
    shell::ShellInterpreter,
};

/// Programs that build, test, format, check, show and convert.
const DESCRIBED: &str = "
jupyter-nbconvert
prove perltidy perlcritic pytest py.test tox nox ruff black isort flake8 pylint mypy pyright pyre bandit coverage pre-commit sphinx-build mkdocs
pydocstyle yapf autopep8 pyflakes pycodestyle vulture radon djlint pip-compile pip-sync django-admin flask gunicorn uvicorn
hypercorn alembic cythonize maturin hatchling flit ansible-lint yamllint interrogate docformatter pyupgrade autoflake refurb
basedpyright ty deptry pyproject-build check-manifest validate-pyproject nbstripout nbqa griffe mike towncrier bumpversion
bump2version bump-my-version commitizen cz gitlint
eslint eslint_d prettier prettierd tsc tsup tsd esbuild swc rollup webpack webpack-cli vite vitest jest mocha ava tape c8 nyc
karma cypress playwright stylelint biome rome oxlint dprint standard xo tslint babel parcel turbo nx rush next nuxt gatsby astro
svelte-check svelte-kit vue-tsc vue-cli-service ng storybook start-storybook build-storybook typedoc jsdoc api-extractor
size-limit madge depcheck knip serve http-server json-server tailwindcss postcss sass lessc stylus lint-staged commitlint
changeset standard-version depcruise react-scripts graphql-codegen prisma web-test-runner wtr tap wireit npm-check-updates
npm-run-all run-s run-p rimraf-none sort-package-json publint attw markdownlint markdownlint-cli2 remark
rustfmt cargo-clippy cargo-fmt cargo-nextest clippy-driver rustdoc bindgen cbindgen wasm-pack wasm-bindgen wasm-opt trunk mdbook
mdl cargo-deny cargo-machete cargo-udeps
gofmt goimports gofumpt golangci-lint staticcheck govulncheck mockgen stringer wire ginkgo gotestsum buf protoc protoc-gen-go
sqlc templ swag golines revive errcheck
clang-format clang-tidy clangd cppcheck ctest cpack cpplint scan-build bear ranlib nm objdump objcopy strip readelf size addr2line
c++filt ldd pkg-config pkgconf autoconf automake autoreconf aclocal autoheader libtool libtoolize gettext msgfmt xgettext msgmerge
bison flex yacc lex swig doxygen gcov lcov gcovr genhtml llvm-cov llvm-profdata gperf scons waf bazel bazelisk buildifier buck2
pants gn conan vcpkg gdbus-codegen glib-compile-schemas
javap jar javadoc ant mvnw gradlew ktlint detekt checkstyle spotbugs google-java-format scalafmt sbt mill lein clj-kondo cljfmt
rspec rubocop standardrb reek brakeman sorbet srb yard jekyll cucumber erb erblint haml-lint steep rbs
phpunit phpstan psalm phpcs phpcbf php-cs-fixer pest rector pint
dialyzer credo hlint ormolu fourmolu stylish-haskell ghcid dune ocamlformat zig nim nimble crystal dmd ldc2 dub gnatmake swiftformat
swiftlint xcodebuild luacheck stylua selene busted shfmt shellcheck bats bashate checkbashisms shellspec fish_indent
terraform-docs tflint tfsec checkov hadolint dive kubeval kubeconform kustomize conftest opa regal
vale proselint codespell typos cspell textlint aspell hunspell alex editorconfig-checker ec jsonlint ajv ajv-cli yajsv taplo
jsonnet jsonnetfmt cue dhall tidy htmlhint html-validate plantuml dot neato mmdc asciidoctor tokei cloc scc gitleaks semgrep
actionlint zizmor reuse licensee addlicense license-checker git-cliff sqlfluff pg_format sqlfmt vacuum redocly spectral
msbuild nmake findstr where tasklist ver vol title color chcp fc comp doskey systeminfo cl vstest.console mstest devenv vswhere xunit.console
invoke-pester invoke-scriptanalyzer invoke-formatter invoke-build import-csv import-clixml export-csv export-clixml import-module
import-powershelldatafile set-strictmode update-help group-object new-object add-member new-pester add-content new-variable
rails hugo zola eleventy hexo docusaurus vuepress vitepress nest phpmd deptrac infection codecept behat kahlan atoum phan bundle-audit
rubycritic solargraph tldr sphinx-autobuild sphinx-apidoc sphinx-quickstart ktfmt pmd jdeps jcmd jlink jpackage scala-cli gatling
cargo-expand cargo-llvm-cov cargo-tarpaulin wails air go-junit-report gocyclo gosec ineffassign misspell deadcode benchstat gopls
include-what-you-use iwyu cmake-format cmake-lint verilator iverilog vvp yosys ghdl coqc lean lake agda idris2 z3 cvc5 dafny tlc hledger
dlv lefthook sqlx jasmine istanbul browserify mkdirp tsc-alias tsdown prebuild node-gyp husky uglifyjs terser oxfmt tsgo faucet tap-spec
jupyter nbdime papermill streamlit locust cargo-watch bacon watchman-make mutmut cosmic-ray hypothesis typeguard scalene memray
jps jstat jstack jinfo jmap jfr jhsdb dumpbin editbin lib undname corflags ildasm sn al peverify
borp snazzy tstyche dts-bundle-generator gzip-size ncu jake documentation babel-node runmd patch-package tap-dot multi-tape airtap jest-cli tsc-watch
wait-on del-cli cpy-cli copyfiles cpx cpr replace-in-file json2yaml yaml2json sass-lint htmllint csslint jshint jscs recess npm-check syncpack manypkg
dotenv-linter editorconfig gulp-cli nps hereby just-scripts rdme llvm-lines fmtlib taplo-cli air-verse
drizzle-kit premake5 xmake ocamlfind ocamlopt ocamlc ocp-indent hardhat truffle
pio platformio idf.py west arduino-cli sdcc cross tauri dx texcount quarto antora d2 inkscape sox dbt scrapy doit cibuildwheel
pybind11-config cython pytype darglint curlylint fastapi nuxi react-native unbuild microbundle typeorm knex sequelize-cli
mikro-orm ts-prune unimported dependency-cruiser bundlesize testcafe nightwatch cucumber-js bloop boot shadow-cljs spago flow hh_client
hare c3c tl jpm guild eask frama-c cbmc alr cobc nvcc hipcc glslc glslangvalidator spirv-val spirv-opt spirv-dis spirv-as naga dxc ngspice
openscad dotnet-format melos dzil minil weeder hpack hie-bios doctest conventional-changelog ab wrk hey oha bombardier autocannon siege lighthouse pa11y
godot stylelint-prettier svgo nix-instantiate mlton sml
elm elm-test elm-test-rs elm-format elm-review elm-analyse gleam ameba swift-format wasm-objdump wasm2wat wat2wasm wasm-tools wasm-validate wasm-strip
wasm-interp wasm-decompile wasm-dis wasm-as wasm-metadce wasm2c wasmtime forge anvil anchor solc solhint slither gfortran flang fpm nasm yasm
luac clj clojure xsltproc purs spago-lint esy rescript haxe odin ponyc valac gdc gprbuild gnatprove fpc erlc erlfmt elvis snakemake antlr4
tree-sitter treefmt statix deadnix nixfmt alejandra nixpkgs-fmt helm-docs kube-linter kube-score kyverno datree pluto polaris terrascan
flawfinder splint uncrustify astyle clang-check llc llvm-dis llvm-as llvm-nm llvm-objdump llvm-readelf llvm-size llvm-strings llvm-cxxfilt
llvm-dwarfdump llvm-mca llvm-symbolizer dwarfdump pahole bloaty dtc fantomas csharpier moonc fnlfmt raco fprettify fortls cairo-lint scarb
shards apple-swift-format svlint svls verible-verilog-lint verible-verilog-format slang vsg edalize sby nextpnr-ice40 icepack
pip-audit pip-licenses pipdeptree vermin import-linter lint-imports xenon cohesion dodgy eradicate pydoclint ssort usort ufmt fixit pyrefly zuban
cargo-hack cargo-semver-checks cargo-insta dioxus-cli leptosfmt rustywind biodiff ast-grep sg comby difftastic stylish eslint-config-inspector
gulp grunt ember remix invoke inv fab mage celery dramatiq rq openapi-generator-cli openapi-generator swagger-cli ledger latexmk bibtex biber makeindex chktex lacheck tectonic typst
gersemi compiledb clang-query clang-apply-replacements clang-include-cleaner clang-doc clang-scan-deps ccls iwyu_tool iwyu_tool.py
fix_includes.py abidiff abidw llvm-ar llvm-config llvm-lto llvm-objcopy llvm-strip llvm-lib llvm-link opt mlir-opt mlir-translate filecheck lit
llvm-lit samu samurai muon tup sqruff sqlmesh nbconvert jupytext jupyter-book tinygo vlog vcom nextpnr-ecp5 cocotb-config kani esbmc klee
afl-showmap mdformat write-good xcpretty xcbeautify xcodegen swiftgen sourcery periphery otool lipo dsymutil aapt aapt2 zipalign d8 bundletool
protolint prototool flatc thrift capnp capnpc asn1c ksc kaitai-struct-compiler swagger-codegen oapi-codegen openapi-typescript orval quicktype
json2ts graphql-inspector ldoc exdoc esdoc haddock pdoc pdoc3 pydoctor groff troff nroff mandoc ronn scdoc txt2man texi2any makeinfo
context mtxrun arara latexdiff latexindent bibtool magick mogrify montage composite gm vips vipsthumbnail lame flac rsvg-convert resvg
svgcleaner scour cairosvg potrace gifsicle gif2webp dwebp img2webp webpmux avifenc avifdec cjpeg djpeg jpegtran pngcrush zopflipng oxipng
guetzli icotool png2icns iconutil soxi fonttools ttx pyftsubset woff2_compress pdfseparate pdfunite pdftoppm pdftocairo pdftk mutool
ps2pdf pdfcrop tesseract ocrmypdf qrencode zbarimg callgrind_annotate cg_annotate ms_print heaptrack_print gprof2dot flamegraph.pl
stackcollapse-perf.pl inferno-flamegraph inferno-collapse-perf csvclean csvjoin sqlite-utils cram scrut trycmd bats-core shunit2 gtest-parallel
japa zora uvu ladle histoire styleguidist rolldown rspack rsbuild rslib pkgroll bunchee ncc sucrase unocss purgecss ts-standard neostandard
dtslint source-map-explorer relay-compiler typeshare formatjs lingui i18next tsoa flynt pyroma mccabe nose2 ward green robot mypyc nuitka
pyinstaller f2py sip stubgen stubtest brittany hindent stan hspec-discover happy hsc2hs c2hs hpc wit-bindgen uniffi-bindgen rust-analyzer gci
gocognit dupl unparam unconvert nakedret prealloc nilaway gotests mockery counterfeiter moq gocov gocov-html gocover-cobertura enumer easyjson
msgp protoc-gen-go-grpc gomodifytags impl godog gqlgen richgo swiftc sourcekit-lsp fasm lazbuild podchecker yath convco auto-changelog changie
gitchangelog git-chglog onefetch gitstats lizard sloccount loc gocloc sloc complexity-report plato nvd nix-diff nickel dhall-to-json
dhall-to-yaml kcl pkl cfn-lint cfn-guard promtool scalac scalafix native-image zprint fasterer flay flog typeprof rdoc ri slim-lint
bundler-audit phploc phpcpd goss kotlin-language-server sd ugrep ugrep+ ug ack sift pt numdiff ydiff diff-so-fancy dyff json-diff jd jsondiff
graphtage xmldiff daff csvdiff go-licenses cargo-about cargo-license scancode
clang-refactor clang-move clang-rename clang-change-namespace pp-trace find-all-symbols git-clang-format clang-format-diff
clang-format-diff.py clang-tidy-diff.py run-clang-tidy run-clang-tidy.py gyp dotnet-coverage
reportgenerator minver gitversion nbgv stoplight redoc-cli asyncapi markdown-toc doctoc 
js-beautify css-beautify html-beautify eslint-find-rules ts-unused-exports
jscpd cspell-cli secretlint rousseau case-police
tombi taplo-lsp yamlfmt yamlfix yaml-lint toml-sort pyproject-fmt tox-ini-fmt setup-cfg-fmt 
blacken-docs add-trailing-comma reorder-python-imports seed-isort-config unify absolufy-imports unimport pycln removestar
cargo-mutants cargo-bloat cargo-outdated cargo-hakari cargo-cyclonedx cargo-auditable cargo-sort cargo-readme cargo-rdme
cargo-spellcheck cargo-msrv cargo-geiger cargo-vet cargo-careful cargo-public-api cargo-depgraph cargo-modules cargo-asm cargo-show-asm
cargo-criterion cargo-flamegraph cargo-make cargo-minimal-versions cargo-shear cargo-dylint
elixirc xmlstarlet metaflac vorbiscomment id3v2 exiv2 ansible-inventory ansible-doc keytool shadow nilness fieldalignment simctl
";
/// Programs that show and convert what they are given, wherever it lies.
const VIEWERS: &str = "
jc yj fx gron dasel xsv qsv miller mlr csvcut csvlook csvstat csvgrep csvsort csvjson in2csv csvformat htmlq pup xq tomlq toml
pv ts cowsay figlet lolcat banner units sha224sum sha384sum sha512sum b2sum b3sum sum md5 shasum crc32 xxhsum rhash zcmp zdiff zgrep
zegrep zless zmore bzcat bzgrep bzless xzcat xzgrep xzless zstdcat zstdgrep lz4cat diff3 sdiff colordiff icdiff difft diffstat
interdiff lsdiff filterdiff wdiff dwdiff hexyl hd exiftool identify mediainfo ffprobe qpdf pdftotext pdfinfo pdffonts pdfimages
optipng pngquant jpegoptim svgo cwebp
getent getfacl getfattr getcap lsattr namei pathchk findmnt lsns ipcs ss netstat last lastlog w who users logname recode uconv
hostid dnsdomainname runlevel pr col colrm unexpand ul ptx look basenc base58 uuidgen mcookie pwgen vdir dir lsd ncdu dust duf dutree
gdu broot htop btop iotop vmstat iostat mpstat lscpu lspci lsusb lsmod sensors inxi neofetch fastfetch pstree pidof pmap pwdx
sync libtree cygpath wslpath nvidia-smi rocm-smi ldconfig-none glow mdcat chafa jp2a asciinema
xdg-open true false test [ ] git-lfs gitk tig delta pwd watchman ulimit
jql jaq gojq fq jless jnv datamash csvtk parquet-tools pqrs h5dump h5ls h5diff ncdump gdalinfo ogrinfo samtools bedtools seqkit sha3sum
md5deep hashdeep cksfv jing enca chardetect uchardet zipinfo lsar pcregrep agrep pcre2grep fswatch inotifywait fblog humanlog
pino-pretty bunyan lshw dmidecode hwinfo batcat toilet fortune dateadd datediff dateconv choose hck xml2 fc-list fc-match fc-query fc-scan
otfinfo perldoc pod2text pod2man pod2html diffoscope most rainbow ccze grcat ncal colortest screenfetch cpuid numastat lstopo hwloc-ls
tabulate termgraph asciigraph gnomon jtbl llvm-bcanalyzer llvm-undname llvm-cat eu-readelf eu-nm eu-size eu-strings lddtree
checksec scanelf oggz-info ogginfo webpinfo pngcheck jpeginfo gifinfo tiffinfo tiffdump
 zipgrep sqldiff sqlite3_analyzer
lsb_release sw_vers sar pidstat dstat atop blkid lsipc lslocks lsmem lslogins lsfd acpi sestatus getenforce glxinfo eglinfo vulkaninfo
clinfo locate plocate mlocate systemd-detect-virt systemd-cgls systemd-cgtop xdpyinfo infocmp toe lsscsi lspcmcia lsinitramfs modinfo
vm_stat ioreg mdfind mdls slabtop smem dircolors turbostat systool vainfo nproc arch getconf prtstat procinfo lsclocks
";
/// Programs that show what there is with these words, and change it with others; `-` alone is no word at all.
const ASKING: &str = "
udevadm:info coredumpctl:list coredumpctl:info systemd-analyze:- systemd-analyze:blame systemd-analyze:time systemd-analyze:critical-chain
systemd-analyze:verify resolvectl:status resolvectl:- nmcli:- nmcli:device nmcli:general rfkill:- rfkill:list zramctl:- arp:-a arp:-n
upower:-d upower:-e pkgutil:--pkgs xcode-select:-p xcode-select:--print-path networkctl:- networkctl:status networkctl:list
cpupower:frequency-info mokutil:--sb-state iw:dev wmctrl:-l aplay:-l arecord:-l scutil:--dns tuned-adm:active gsettings:get
gsettings:list-keys dconf:read
";
/// Settings that hold the path of a program or plugin which a tool starts.
const STARTS: &str = "script-shell rustc rustc-wrapper rustc-workspace-wrapper linker runner loader plugin node-options";
/// Programs that change the files they are given, without being told to.
const EDITORS: &str = "
black isort rustfmt nbstripout pyupgrade stylua scalafmt optipng jpegoptim exiftool strip sort-package-json swiftformat dos2unix pint
php-cs-fixer phpcbf google-java-format ormolu fourmolu buildifier refurb docformatter ranlib objcopy mogrify sd zipalign lipo dsymutil
yamlfmt yamlfix toml-sort pyproject-fmt tombi js-beautify doctoc pycln unify absolufy-imports llvm-strip llvm-objcopy
";
/// Programs that put another text in place of what they find.
const REWRITERS: &str =
    "sd comby ast-grep sg replace-in-file codemod jscodeshift rpl sad fastmod gritql";
/// Options with which others do.
const EDITS: &str = "-i -w -a -A -F --write --fix --in-place --inplace --autofix --autocorrect --auto-correct --overwrite --update";
/// Options that name a file which is loaded and run.
const LOADS: &str = "
require r plugin plugins loader import rulesdir resolve-plugins-relative-to preset setup-files global-setup reporter
load-plugins confcutdir rootdir config c
";
/// Options that name a file or folder which is written.
const OUTPUTS: &str = "
output out out-file outfile out-dir outdir output-file output-dir output-path report-file report-dir log-file logfile junitxml
junit-xml junit basetemp target-dir build-dir dest destination cache-dir cache-location coverage-dir coverage-directory
";

/// Returns whether a program is one that works inside its folder.
pub(super) fn is_described(name: &str) -> bool {
    let bare = name.strip_suffix(".exe").unwrap_or(name);
    let bare = bare.strip_suffix(".cmd").unwrap_or(bare);
    let unversioned = bare.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let known = |name: &str| is_in(DESCRIBED, name) || is_in(VIEWERS, name);
    !bare.is_empty() && (known(bare) || known(unversioned))
}

/// Returns whether a program shows what there is, told by its first word.
fn only_asks(name: &str, args: &[String]) -> bool {
    let word = args.first().map_or("-", String::as_str);
    let changes = [
        "set",
        "connect",
        "disconnect",
        "delete",
        "up",
        "down",
        "modify",
        "add",
    ];
    is_in(ASKING, &format!("{name}:{word}"))
        && !args.iter().any(|arg| changes.contains(&arg.as_str()))
}

impl ShellInterpreter<'_, '_> {
    /// Looks at a program that is not in the table.
    pub(super) fn untabled(&mut self, word: &str, name: &str, args: &[String]) {
        let path = resolved_path::absolute(word, self.folder());
        let is_built =
            word.contains('/') && path.is_some_and(|path| self.state.built.contains(&path));
        let own = is_built || self.is_of_the_project(word);
        if own && self.bound_program(word).is_some() {
            self.runs_text(word);
        }
        if own && !is_built && self.has_written(word) {
            self.reading.opaque(format!(
                "the program `{name}`, which the command itself made"
            ));
        } else if name.trim().is_empty() {
            self.reading.opaque("a program without a name".to_owned());
        } else if !(own
            || is_described(name)
            || only_asks(name, args)
            || is_question(args) && !args.is_empty())
        {
            self.reading
                .opaque(format!("the program `{name}`, which is not described"));
        }
        self.told(name, args);
        self.told_code(name, args);
        match name {
            "gradlew" | "mvnw" | "sbt" | "mill" | "lein" | "ant" => self.tasks(name, args),
            _ if !own => self.sending_verb(name, args),
            _ => {}
        }
        if name == "latexmk" && args.iter().any(|arg| arg == "-e" || arg == "-r") {
            self.reading.opaque("code of latexmk");
        }
        let is_tool = ["gradlew", "mvnw", "configure"].contains(&name);
        if (!own || is_tool) && !is_in(VIEWERS, name) {
            self.foreign_files(name, args);
            self.told_by_name(name, args);
        } else if own {
            self.task_names(name, args);
        }
        self.runs_project();
    }

    /// Records that an interpreter is given what is no code of its language by its ending: a text, or a copy of one.
    pub(super) fn runs_text(&mut self, file: &str) {
        const TEXTS: &str = "txt md markdown rst adoc json csv tsv log html htm css yaml yml toml xml lock pdf png jpg jpeg gif svg ico dat bak
            orig rej patch diff";
        // A name alone is looked for among programs.
        let path = if file.contains('/') {
            file.to_owned()
        } else {
            format!("./{file}")
        };
        let source = self.bound_program(&path).unwrap_or_else(|| file.to_owned());
        let ending = base_name(&source)
            .rsplit_once('.')
            .map_or("", |(_, ending)| ending);
        if is_in(TEXTS, &ending.to_lowercase()) {
            self.reading
                .opaque(format!("the file {source}, which is no code by its name"));
        }
    }

    /// Records a file that is run, or loaded by what runs, when nobody can say what it does: the command itself made it, or it lies
    /// neither in the project, nor at home, nor where the machine keeps its programs.
    pub(in crate::domain::policy) fn runs_file(&mut self, file: &str) {
        if self.has_written(file) || self.was_unpacked(file) {
            self.reading
                .opaque(format!("the file {file}, which the command itself made"));
        } else {
            self.runs_foreign(file);
        }
    }

    /// Records a file or folder whose code is run, when it is none of the project.
    pub(super) fn runs_foreign(&mut self, file: &str) {
        const SYSTEM: [&str; 8] = [
            "/usr/",
            "/etc/",
            "/opt/",
            "/bin/",
            "/lib",
            "/nix/",
            "/snap/",
            "/run/current-system/",
        ];
        let is_foreign = |place: &ResolvedPath| match place {
            ResolvedPath::Outside(path) => !SYSTEM.iter().any(|start| path.starts_with(start)),
            ResolvedPath::Scratch(_) => true,
            ResolvedPath::Inside(_)
            | ResolvedPath::Home(_)
            | ResolvedPath::Device
            | ResolvedPath::Unknown(_) => false,
        };
        if self.resolve_all(file).iter().any(is_foreign) && !self.is_in_checkout(file) {
            self.reading
                .opaque(format!("the file {file}, which is none of the project"));
        }
    }

    /// Returns whether a file lies in a work tree of the project that the command itself made.
    pub(super) fn is_in_checkout(&self, file: &str) -> bool {
        let path = resolved_path::absolute(file, self.folder());
        path.is_some_and(|path| {
            let mut all = self.state.checkouts.iter();
            all.any(|top| resolved_path::lies_in(&path, top))
        })
    }

    /// Returns whether a command word is the path of a file of the project.
    fn is_of_the_project(&self, word: &str) -> bool {
        let places = self.resolve_all(word);
        word.contains('/')
            && !word.contains(UNKNOWN)
            && places
                .iter()
                .all(|place| matches!(place, ResolvedPath::Inside(_)))
    }

    /// Looks at texts and files among the arguments of a program that is known for something else.
    pub(super) fn told(&mut self, name: &str, args: &[String]) {
        let edits = is_in(EDITORS, name) || args.iter().any(|arg| is_in(EDITS, arg));
        let mut before = "";
        let mut last = "";
        for arg in args {
            if picks(name, std::mem::replace(&mut last, arg)) {
                continue;
            }
            if is_in(REWRITERS, name) && !arg.starts_with('-') {
                self.blurs(arg);
            }
            if edits && arg.contains('/') && !arg.starts_with('-') {
                self.changes(arg);
            }
            let (option, value) = match arg.strip_prefix('-') {
                Some(option) => option.split_once('=').unwrap_or((option, "")),
                None => (before, arg.as_str()),
            };
            let option = option.trim_start_matches('-');
            let is_away = |shell: &Self| {
                let away = |place: &ResolvedPath| {
                    matches!(place, ResolvedPath::Outside(_) | ResolvedPath::Scratch(_))
                };
                value.contains('/') && shell.resolve_all(value).iter().any(away)
            };
            if is_in(LOADS, option) && (is_away(self) || value.starts_with(['{', '['])) {
                self.reading.opaque(format!(
                    "{name} loads {value}, which is no file of the project"
                ));
            }
            let writes = is_in(OUTPUTS, option) || option == "o";
            if writes && !value.is_empty() {
                self.writes(value);
            }
            self.told_text(name, if value.is_empty() { arg } else { value });
            before = arg.strip_prefix('-').unwrap_or("");
        }
    }

    /// Looks at code for a program of the project that runs what it is told, and at settings that make it act elsewhere.
    pub(super) fn told_code(&mut self, name: &str, args: &[String]) {
        const TALKS: [&str; 7] = [
            "shell",
            "tinker",
            "runner",
            "eval",
            "console",
            "dbshell",
            "dbconsole",
        ];
        const INPUT: [&str; 7] = [
            "c",
            "shell",
            "shell_plus",
            "tinker",
            "console",
            "dbshell",
            "dbconsole",
        ];
        let executes = |arg: &String| arg == "--execute" || arg.starts_with("--execute=");
        let verb = args.iter().find(|arg| !arg.starts_with('-'));
        let talks = verb.is_some_and(|verb| TALKS.contains(&verb.as_str()));
        let has_code = args.iter().any(|arg| {
            arg == "-c"
                || arg == "--command"
                || arg.contains(['(', ';'])
                || arg.contains("delete")
                || arg.contains(' ')
        });
        // With nothing to say these read what to run from their input.
        let reads = args.len() == 1 && verb.is_some_and(|verb| INPUT.contains(&verb.as_str()));
        if talks && has_code || reads || args.iter().any(executes) {
            self.reading
                .opaque(format!("{name} with code for a program of the project"));
        }
        let is_live = |arg: &String| {
            let live = [
                "RAILS_ENV=production",
                "RACK_ENV=production",
                "APP_ENV=prod",
                "APP_ENV=production",
                "MIX_ENV=prod",
            ];
            ["--env=production", "--env=prod", "--environment=production"].contains(&arg.as_str())
                || live.contains(&arg.as_str())
        };
        let is_set = ["RAILS_ENV", "RACK_ENV", "APP_ENV"].iter().any(|name| {
            let value = self.lookup(name).unwrap_or_default().concat();
            value == "production" || value == "prod"
        });
        let pair = args.windows(2).any(|pair| {
            matches!(pair, [option, value] if ["-e", "--env", "--environment", "--database"].contains(&option.as_str()) && value == "production")
        });
        let acts = verb.is_some_and(|verb| {
            let loses = ["drop", "reset", "flush", "purge", "truncate", "migrate"];
            TALKS.contains(&verb.as_str())
                || verb.starts_with("db:")
                || loses.iter().any(|word| verb.contains(word))
        });
        if acts && (pair || is_set || args.iter().any(is_live)) {
            self.reading
                .opaque(format!("{name} acts on what is in production"));
        }
    }

    /// Reads a text as commands when it begins like one with consequences.
    fn told_text(&mut self, name: &str, text: &str) {
        let text = text.trim_start_matches(['!', '|', '@']);
        let text = text.strip_prefix("exec=").unwrap_or(text).trim();
        let first = text.split_whitespace().next().unwrap_or("");
        let tells = text.len() > first.len() && table::has_consequences(base_name(first));
        if tells && self.reading.given_up.is_none() {
            let text = text.to_owned();
            drop(self.aside(|shell| shell.run_text(&text, name, String::new())));
        }
    }

    /// Looks for commands among the values of settings that the command itself wrote.
    fn commands_in_settings(&mut self, text: &str, name: &str) {
        let quoted = text.split(['"', '\'']).skip(1).step_by(2);
        let plain = text
            .lines()
            .filter_map(|line| line.split_once([':', '=']).map(|(_, value)| value));
        let bare = text
            .lines()
            .map(|line| line.trim_start_matches(['-', ' ', '\t']));
        let values: Vec<String> = quoted.chain(plain).chain(bare).map(str::to_owned).collect();
        for value in values {
            let value = value.replace("{homedir}", "~").replace("{env:HOME}", "~");
            self.told_text(name, value.trim());
        }
        if let Some((_, path)) = text.split_once("yarnPath:") {
            self.runs_file(
                path.lines()
                    .next()
                    .unwrap_or("")
                    .trim_matches([' ', '"', '\'']),
            );
        }
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            let is_plugin = |pair: &[&str]| {
                pair.first() == Some(&"-p")
                    && !pair.get(1).is_some_and(|plugin| plugin.starts_with("no:"))
            };
            let words: Vec<&str> = value
                .split(|c: char| c.is_whitespace() || "\"'[],".contains(c))
                .filter(|word| !word.is_empty())
                .collect();
            self.sets_program(key, value);
            match key.trim() {
                "init-hook" => {
                    scan_code(self, Language::Python, value.trim_matches([' ', '"', '\'']));
                }
                "addopts" if words.windows(2).any(is_plugin) => {
                    self.reading
                        .opaque(format!("{name}, which loads a plugin by name"));
                }
                _ => {}
            }
        }
    }

    /// Looks at settings of a tool, written into their file, that name a program which the tool starts from then on.
    pub(in crate::domain::policy) fn names_programs(&mut self, path: &str, text: &str) {
        const FILES: [&str; 5] = [
            "/.cargo/config.toml",
            "/.cargo/config",
            "/.npmrc",
            "/.yarnrc",
            "/.yarnrc.yml",
        ];
        if !FILES.iter().any(|file| path.ends_with(file)) {
            return;
        }
        for (key, value) in text.lines().filter_map(|line| line.split_once(['=', ':'])) {
            self.sets_program(key, value);
        }
    }

    /// Looks at a setting that may name a program which a tool starts.
    fn sets_program(&mut self, key: &str, value: &str) {
        let value = value.trim_matches([' ', '"', '\'', '[', ']']);
        if is_in(STARTS, key.trim()) && value.contains('/') {
            self.runs_file(value);
        }
    }

    /// Looks through the files that the command itself wrote, when a tool of the project runs that may run them.
    pub(super) fn runs_project(&mut self) {
        let away = self
            .resolve_all(".")
            .into_iter()
            .find(|place| matches!(place, ResolvedPath::Outside(_) | ResolvedPath::Home(_)));
        if let Some(place) = away {
            self.reading.opaque(format!(
                "what lies in {}, which is not the project",
                place.shown()
            ));
        }
        if self.was_unpacked(".") {
            self.reading
                .opaque("what was unpacked here and is none of the project".to_owned());
        }
        let files: Vec<(String, String)> = self
            .written_files()
            .filter(|(path, _)| !path.starts_with("/dev/"))
            .collect();
        for (path, text) in files {
            let name = base_name(&path);
            // Files that were changed where they lie, of which only a pattern is known, are the project's.
            if is_vague(name) && text.chars().all(|c| [UNKNOWN, OWN].contains(&c)) {
                continue;
            }
            // A script that runs a tool of the project is read once.
            if self.reading.is_inside(name) {
                continue;
            }
            let ending = name.rsplit_once('.').map_or(name, |(_, ending)| ending);
            let language = match ending {
                "py" => Language::Python,
                "js" | "mjs" | "cjs" | "ts" | "mts" | "cts" | "jsx" | "tsx" => Language::JavaScript,
                "rb" | "rake" | "gemspec" | "Rakefile" | "Gemfile" => Language::Ruby,
                "php" => Language::Php,
                "pl" | "pm" | "t" => Language::Perl,
                "lua" => Language::Lua,
                "rs" | "c" | "cc" | "cpp" | "go" => Language::C,
                "sh" | "bash" | "bats" => {
                    vague_code(self, &text, name);
                    drop(self.aside(|shell| shell.run_text(&text, name, String::new())));
                    continue;
                }
                "yml" | "yaml" | "toml" | "json" | "ini" | "cfg" | "justfile" | "Justfile"
                | "Procfile" | "pylintrc" | "flake8" | "coveragerc" | "npmrc" => {
                    self.commands_in_settings(&text, name);
                    continue;
                }
                "Rprofile" => Language::R,
                "pryrc" | "irbrc" => Language::Ruby,
                _ => continue,
            };
            // What it runs may run what it is in.
            if self.reading.enter(name) {
                scan_file(self, language, &text);
                self.reading.leave();
            }
        }
    }
}
