//! Options and words with which a program that is known for something harmless writes, loads, runs or reaches out.
//!
//! The families say what a program is for. A row here says what else one of its options does, so that the value of the option
//! is judged as what it is.

use crate::domain::policy::{
    interpretation::CommandEffect,
    partial_text::is_unknown,
    programs::{Options, environment::names_secret, is_in, leads_here},
    resolved_path::ResolvedPath,
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Rows: what it is (`W` writes the value, `L` loads or runs the file, `X` runs code, `N` reaches another machine, `P` brings in
/// programs) | programs | options and words.
const DOORS: &str = "
W | iconv | -o --output
W | mktemp | -p --tmpdir
W | less more | -o -O --log-file --LOG-FILE
L | less | -k --lesskey-src --lesskey-file
W | pg_dump pg_dumpall | -f --file
W | mysqldump mariadb-dump | -r --result-file --tab -T
W | psql | -o --output -L --log-file
W | ar | --output
W | cpio bsdcpio | -D --directory
W | uglifyjs terser csso cleancss | -o --output
L | helm | --post-renderer --values-script
L | git | --template
X | git | --unsafe-paths
P | nvm | --install
P | corepack | enable prepare install use up
P | perl perl5 | -MCPAN -MCPANPLUS
P | pyenv rbenv nodenv goenv jenv plenv phpenv | install uninstall update upgrade
X | gdb lldb | -p --pid --attach-pid
X | jupyter | --execute notebook lab server run execute
L | tmux | -f
L | screen | -c
X | kustomize | --enable-exec --enable-alpha-plugins --enable-star
X | gs gsnd ghostscript | -c -dNOSAFER -dDELAYSAFER
N | docker podman nerdctl buildah | --push
X | docker podman nerdctl buildah | --secret --ssh
N | pre-commit | try-repo autoupdate
P | playwright cypress puppeteer browserslist ng storybook conan vcpkg bundle-audit nuxt expo ember | install add update
N | rake | release release:rubygem_push build:push
P | ng vue ember | new create init
X | scons waf xmake b2 | install
X | prisma | --force-reset --accept-data-loss
X | nix | --option --post-build-hook
N | fab | -H --hosts
X | qpdf | --job-json-file
L | python python3 | -X
X | tar gtar bsdtar | --to-command
L | cowsay | -f
W | exiftool | -filename -FileName -o -out -directory -Directory
W | shuf | -o --output
X | kubectl | --raw
X | start-stop-daemon | -x --exec -a --startas
X | node nodejs | --inspect=0.0.0.0 --inspect-brk=0.0.0.0
N | parallel | -S --sshlogin --slf --sshloginfile
W | parallel | --results --joblog --tmpdir --tempdir
W | zip | -b --temp-path -O --output-file --out -lf
W | pip pip3 | --log
L | pip pip3 | --python
X | pip pip3 | --proxy
X | pylint | --init-hook
X | mypy dmypy | -c --command
X | isort | --formatter
N | docker podman nerdctl | --cache-to
W | python python3 | --cpu-prof-dir
L | find gfind | -files0-from
L | jq gojq jaq | -L --library-path
X | npm | edit explore
L | npm pnpm yarn node-gyp | --nodedir --globalconfig --userconfig
X | helm | --kube-apiserver --kube-token --kube-as-user --kube-as-group
N | helm | --kubeconfig
W | go | -test.outputdir -outputdir -test.coverprofile -test.cpuprofile -test.memprofile
L | go | -overlay -modfile
X | go | bug telemetry
L | perl perl5 | -Mlib -mlib -Mblib
X | xmllint | --noent --xinclude --dtdload --dtdvalid --loaddtd --postvalid --catalogs
X | xsltproc | --xinclude --writesubtree --nodtdattr
X | dotnet | user-secrets
X | tox | -x --override
X | pytest py.test | --pdbcls
X | clisp | -x
X | parallel | -j0 --jobs=0
X | rails | credentials:show credentials:edit credentials:fetch secrets:show encrypted:show encrypted:edit
X | heroku | config config:get
L | nox | -f --noxfile
L | phpstan | -a --autoload-file
L | composer | -d --working-dir
X | alembic | downgrade
X | knex typeorm sequelize-cli sequelize mikro-orm | migrate:rollback migrate:down migration:revert migration:down db:migrate:undo
X | knex typeorm sequelize-cli sequelize mikro-orm | db:migrate:undo:all schema:drop db:drop schema:sync schema:fresh schema:update
P | pio platformio | pkg lib platform update upgrade
P | arduino-cli | core lib upgrade update
P | melos | bootstrap bs
P | alr | get with update
P | cross quarto | install add update
N | pio platformio | remote account
N | dbt | run build seed snapshot deps clone retry
N | scrapy | crawl fetch shell view runspider
N | fastapi | run deploy
X | nix-instantiate | --eval -E --expr --impure
X | shadow-cljs boot | clj-eval cljs-eval clj-repl -e --config-merge
L | dotnet | --test-adapter-path --additionalprobingpath --depsfile --runtimeconfig -a --logger -l --settings
W | gradle gradlew | -g --gradle-user-home --project-cache-dir
X | go | -gccgoflags
X | 7z 7za 7zr | -sdel
L | perl perl5 | -x
X | perl perl5 ruby | -S
X | php | -z
L | gcc g++ cc c++ clang clang++ | -fuse-ld --ld-path
X | tmux | source source-file
X | openssl | -engine -provider -provider-path -pre
W | openssl | -writerand -keyout
L | openssl | -config
X | gpg gpg2 | --photo-viewer --exec-path --agent-program --dirmngr-program --pinentry-program -d --decrypt --import --export-ownertrust
X | gpg gpg2 | --import-ownertrust --export-secret-subkeys --passphrase-file --passphrase-fd --command-fd
L | bat batcat | --config-file --config-dir
L | lldb | -s --source -S --source-before-file
X | bazel bazelisk | --host_jvm_args --override_repository --override_module --sandbox_add_mount_pair
N | bazel bazelisk | --bes_backend --remote_executor --remote_cache fetch sync mod
L | bazel bazelisk | --bazelrc
L | nvim | -l -S
X | git | credential credential-store credential-cache
X | go | -exec -toolexec
X | bazel bazelisk | --run_under --workspace_status_command
X | tmux | kill-server
X | clj clojure | -e --eval -Sdeps -i --init -X -T
N | forge | --broadcast create verify-contract --fork-url --rpc-url publish
P | forge spago haxelib shards | install update
X | forge | --ffi
X | python python3 | -mpdb
L | gradle gradlew mvn mvnw | --init-script -I -s --settings -gs --global-settings
L | gradle gradlew | -b --build-file -c --settings-file
L | cmake | -P
L | lit llvm-lit | --path --config-prefix
L | latexindent | -l -c
X | go | -modcache
X | simctl | erase delete
X | keytool | -importpass -providerpath -providerclass
W | keytool | -file -destkeystore
L | java | -agentpath -XX:OnError -XX:OnOutOfMemoryError
X | batcat | --pager
X | ugrep ug ugrep+ | --filter --view --pager --query -Q --config --save-config
L | ack | --ackrc --pager
X | pcregrep pcre2grep | --callouts
X | sqlite-utils | install --load-extension memory-eval convert plugins
W | zipalign lipo dsymutil qrencode fonttools pyftsubset | -o -output --output --output-file
N | drizzle-kit | push migrate studio drop
L | fq jaq gojq jql jnv | -L --library-path -f --from-file
X | context mtxrun arara | --script --execute --shell -S
X | groff troff | -U --pipeline
X | latexindent pdfcrop ps2pdf pdftk | -dNOSAFER --gscmd --tex
X | magick mogrify montage composite gm vips | -script batch
X | nuitka pyinstaller | --run --runtime-hook
";

/// Addresses of databases and queues.
const SERVERS: [&str; 10] = [
    "postgres://",
    "postgresql://",
    "pgsql://",
    "mysql://",
    "mariadb://",
    "mongodb://",
    "mongodb+srv://",
    "redis://",
    "amqp://",
    "sqlserver://",
];
/// Sockets of servers that run what they are told with the rights of the machine.
const SOCKETS: [&str; 4] = ["docker.sock", "containerd.sock", "podman.sock", "crio.sock"];

/// Returns the values with which an option or a word is given; a word has itself as its value.
fn given<'a>(args: &'a [String], wanted: &str) -> Vec<&'a str> {
    if !wanted.starts_with('-') {
        let mut words = args.iter().filter(|arg| !arg.starts_with('-')).take(1);
        return words
            .by_ref()
            .filter(|arg| *arg == wanted)
            .map(String::as_str)
            .collect();
    }
    let mut found = Vec::new();
    for (at, arg) in args.iter().enumerate() {
        let next = args.get(at + 1).map_or("", String::as_str);
        if arg == wanted {
            found.push(next);
        } else if let Some(value) = arg.strip_prefix(wanted) {
            match value.strip_prefix(['=', ':']) {
                Some(value) => found.push(value),
                None if !wanted.starts_with("--") && wanted.len() == 2 => found.push(value),
                None => {}
            }
        }
    }
    found
}

/// Returns the address of a server elsewhere that a text names.
pub(super) fn server_elsewhere(text: &str) -> Option<&str> {
    let places = SERVERS.iter().flat_map(|scheme| text.match_indices(scheme));
    let addresses = places.filter_map(|(at, _)| text.get(at..));
    let mut away = addresses.filter(|address| {
        let host = address.split_once("://").map_or("", |(_, rest)| rest);
        let host = host.split(['/', '?']).next().unwrap_or("");
        let host = host.rsplit('@').next().unwrap_or(host);
        !host.is_empty() && !leads_here(host)
    });
    away.next()
}

impl ShellInterpreter<'_, '_> {
    /// Looks at what the options of a program do besides.
    pub(super) fn option_effects(&mut self, name: &str, args: &[String]) {
        // What stands behind the dashes belongs to the program inside.
        let own = args.iter().position(|arg| arg == "--" && name == "tox");
        let args = args.get(..own.unwrap_or(args.len())).unwrap_or(args);
        for row in DOORS.lines().filter(|row| row.contains(name)) {
            let mut parts = row.split('|').map(str::trim);
            let (Some(what), Some(names), Some(options)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            if !is_in(names, name) {
                continue;
            }
            for option in options.split_ascii_whitespace() {
                for value in given(args, option) {
                    self.side_door(what, name, option, value);
                }
            }
        }
        self.other_doors(name, args);
    }

    fn side_door(&mut self, what: &str, name: &str, option: &str, value: &str) {
        match what {
            "W" if value.is_empty() || value == "-" => {}
            "W" => self.writes(value),
            "L" => {
                let file = value.rsplit('=').next().unwrap_or(value);
                if file.contains('/') {
                    self.runs_file(file);
                } else if value.contains(char::is_whitespace) {
                    drop(self.run_text(value, name, String::new()));
                }
            }
            "N" => self.reading.does(
                EffectKind::Network,
                format!("{name} {option} reaches another machine"),
            ),
            "P" => self.reading.does(
                EffectKind::PackageInstall,
                format!("{name} {option} brings in foreign programs"),
            ),
            _ => self.reading.opaque(format!(
                "{name} with `{option}`, which runs or hands out something"
            )),
        }
    }

    fn other_doors(&mut self, name: &str, args: &[String]) {
        if args
            .iter()
            .any(|arg| SOCKETS.iter().any(|socket| arg.contains(socket)))
        {
            self.reading.does(
                EffectKind::System,
                format!("{name} talks to a service that acts with the rights of the machine"),
            );
        }
        if let Some(address) = args.iter().find_map(|arg| server_elsewhere(arg)) {
            let text = format!(
                "{name} talks to {}",
                address.split('@').next_back().unwrap_or("")
            );
            self.reading.does(EffectKind::Network, text);
        }
        match name {
            "xdg-open" if args.iter().any(|arg| arg.contains("://")) => self
                .reading
                .does(EffectKind::Network, "xdg-open opens a page"),
            "nix" => self.nix_fetches(args),
            "swift" => {
                let brings =
                    |verb: &String| ["update", "resolve", "reset"].contains(&verb.as_str());
                if args.first().is_some_and(|verb| verb == "package") && args.iter().any(brings) {
                    self.reading.does(
                        EffectKind::PackageInstall,
                        "swift package brings in foreign programs",
                    );
                }
            }
            "docker" | "podman" => {
                for target in args.iter().flat_map(|arg| arg.split(',')) {
                    if let Some(folder) = target.strip_prefix("dest=") {
                        self.writes(folder);
                    }
                }
            }
            "unrar" | "rar" => {
                let options = Options::parse(args, "", &[]);
                if let [verb, _, .., folder] = options.rest.as_slice()
                    && ["x", "e"].contains(&verb.as_str())
                {
                    self.writes(&format!("{folder}/x"));
                }
            }
            "rename" | "prename" => {
                let acts = |arg: &String| arg.contains("\\/") || arg.contains("system");
                if args.iter().any(acts) {
                    self.reading
                        .opaque("rename with code that moves files away");
                }
            }
            "parallel" => {
                let options = Options::leading(args, "ajILnNPSs", &["arg-file", "jobs"]);
                if options.has(&["a", "arg-file"]) && options.rest.is_empty() {
                    self.reading.opaque("parallel with commands from a file");
                }
            }
            "yq" | "xmlstarlet" | "meson" => self.files_named(name, args),
            "psql" | "mysql" | "mariadb" | "sqlite3" => self.database_files(name, args),
            _ => self.overrides(name, args),
        }
    }

    /// Looks at flakes of nix that lie elsewhere.
    fn nix_fetches(&mut self, args: &[String]) {
        let foreign = |arg: &String| {
            let away = [
                "github:",
                "gitlab:",
                "sourcehut:",
                "git+",
                "tarball+",
                "https:",
                "flake:",
            ];
            arg.contains('#') && !arg.starts_with(['.', '#', '/'])
                || away.iter().any(|start| arg.starts_with(start))
        };
        if args.iter().skip(1).any(foreign) {
            self.reading.does(
                EffectKind::PackageInstall,
                "nix fetches what is none of the project",
            );
        }
    }

    /// Looks at files that these programs change or load by words of their own.
    fn files_named(&mut self, name: &str, args: &[String]) {
        match name {
            "yq" => self.loaded_by_yq(args),
            "xmlstarlet"
                if args
                    .iter()
                    .any(|arg| ["-L", "--inplace"].contains(&arg.as_str())) =>
            {
                if let Some(file) = args.last() {
                    self.changes(file);
                }
            }
            "meson" => {
                let folders = args.iter().skip(1).filter(|arg| !arg.starts_with('-'));
                let folders: Vec<String> = folders
                    .filter(|arg| arg.starts_with(['/', '~', '.']))
                    .cloned()
                    .collect();
                if args.first().is_some_and(|verb| verb == "setup") {
                    for folder in &folders {
                        self.changes(folder);
                    }
                }
            }
            _ => {}
        }
    }

    /// Looks at what an expression of yq loads, and which variables it shows.
    fn loaded_by_yq(&mut self, args: &[String]) {
        for text in args {
            for (at, call) in text.match_indices("load").chain(text.match_indices("env(")) {
                let rest = text.get(at + call.len()..).unwrap_or("");
                let inside = rest
                    .split(['"', '\'', '(', ')'])
                    .find(|part| part.len() > 1 && !part.starts_with('_'));
                let inside = inside.unwrap_or("").to_owned();
                if call == "load" && rest.contains('(') {
                    self.reads(&inside);
                } else if call == "env(" && names_secret(&inside) {
                    self.shows_environment("yq");
                }
            }
        }
    }

    /// Looks at the files a client of a database takes its text from.
    fn database_files(&mut self, name: &str, args: &[String]) {
        let texts = args.iter().flat_map(|arg| arg.lines());
        let named = texts.filter_map(|line| {
            let line = line.trim();
            let starts = [".read ", "\\i ", "\\ir ", "\\include ", "source ", "\\. "];
            starts.iter().find_map(|start| line.strip_prefix(start))
        });
        let files: Vec<String> = named.map(|file| file.trim().to_owned()).collect();
        for file in files {
            self.runs_file(&file);
        }
        // The input was looked at last.
        let input = self.reading.effects.last().map(|(_, effect)| effect);
        if let Some(CommandEffect::Read(ResolvedPath::Outside(path))) = input {
            let text = format!("{name} runs {path}, which is none of the project");
            self.reading.opaque(text);
        }
        let address = args.iter().find(|arg| !arg.starts_with('-'));
        let elsewhere = |address: &String| is_unknown(address) || address.starts_with("service=");
        if name == "psql" && address.is_some_and(elsewhere) {
            self.reading.does(
                EffectKind::Network,
                "psql talks to a server that the command does not name",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_options_are_found_however_they_are_joined() {
        let args: Vec<String> = ["x", "-o", "a", "--output=b", "-oc", "--outputs", "d"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(given(&args, "-o"), ["a", "c"]);
        assert_eq!(given(&args, "--output"), ["b"]);
        assert_eq!(given(&args, "x"), ["x"]);
        assert!(given(&args, "d").is_empty());
    }

    #[test]
    fn a_server_is_elsewhere_unless_its_host_is_this_machine() {
        assert!(server_elsewhere("DATABASE_URL=postgres://u:p@db.example.com/x").is_some());
        assert!(server_elsewhere("postgres://u:p@localhost:5432/x").is_none());
        assert!(server_elsewhere("mongodb://127.0.0.1/dev").is_none());
        assert!(server_elsewhere("https://example.com").is_none());
    }
}
