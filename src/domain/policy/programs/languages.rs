//! Interpreters of other languages: where their code comes from.

use crate::domain::policy::{
    programs::{Language, Options, is_stream, scan_code},
    rule::Trait,
    shell::Machine,
    text::UNKNOWN,
};

impl Machine<'_, '_> {
    /// Looks at an interpreter of another language.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything that is not named has no meaning here"
    )]
    pub(super) fn language(
        &mut self,
        language: Language,
        name: &str,
        args: &[String],
        stdin: &str,
    ) -> String {
        let (codes, values): (&[&str], &str) = match language {
            Language::Python => (&["c"], "cmWXQ"),
            Language::Perl => (&["e", "E"], "eEIMmCD"),
            Language::Ruby => (&["e"], "eIrCEKFx"),
            Language::JavaScript => (&["e", "eval", "p", "print", "pe"], "eprC"),
            Language::Php => (&["r", "B", "R", "E"], "rBREdcfFStz"),
            Language::Lua => (&["e"], "el"),
            _ => (&["e", "E", "eval"], "eEL"),
        };
        if name == "osascript" && !args.is_empty() {
            self.reading.opaque("code of AppleScript");
        }
        let clustered = split_code_letters(args, language);
        let options = Options::leading(
            &clustered,
            values,
            &["eval", "print", "require", "import", "loader", "execute"],
        );
        for file in options.values(&["r", "require", "import", "loader", "I"]) {
            if file.contains('/') && !file.contains("://") {
                self.runs_file(file);
            }
        }
        let mut found = false;
        for code in options.values(codes) {
            found = true;
            scan_code(self, language, code);
        }
        if let (Language::Perl, true) = (
            language,
            args.iter().any(|arg| {
                arg.starts_with("-i") || arg.starts_with("-pi") || arg.starts_with("-ni")
            }),
        ) {
            for file in &options.rest {
                self.writes(file);
            }
        }
        for module in options.values(&["r", "require", "import", "loader"]) {
            if language == Language::JavaScript
                && let Some(code) = self.remembered(module)
            {
                scan_code(self, language, &code);
            }
        }
        if language == Language::Python
            && let Some(module) = options.value("m")
        {
            self.python_module(module, &options);
            return UNKNOWN.to_string();
        }
        if !found {
            self.language_file(language, name, &options, stdin);
        }
        UNKNOWN.to_string()
    }

    /// Reads the program file, or the input, of an interpreter.
    fn language_file(&mut self, language: Language, name: &str, options: &Options, stdin: &str) {
        let mut rest = options.rest.iter();
        let mut file = rest.next();
        if ["deno", "bun"].contains(&name)
            && file.is_some_and(|verb| verb == "run" || verb == "eval")
        {
            let eval = file.is_some_and(|verb| verb == "eval");
            file = rest.next();
            if let (true, Some(code)) = (eval, file) {
                scan_code(self, language, &code.clone());
                return;
            }
        }
        match file {
            Some(file) if !is_stream(file) || self.remembered(file).is_some() => {
                self.reads(&file.clone());
                if let Some(code) = self.remembered(file) {
                    scan_code(self, language, &code);
                } else if file.contains("://") {
                    self.reading.does(
                        Trait::Network,
                        format!("{name} runs code from another machine"),
                    );
                } else if file.contains(UNKNOWN) {
                    self.reading.opaque(format!(
                        "{name} reads a file that is only known at run time"
                    ));
                } else {
                    self.runs_file(&file.clone());
                    self.runs_project();
                }
            }
            _ if !options.given.is_empty() && stdin.is_empty() => {}
            _ => scan_code(self, language, stdin),
        }
    }

    fn python_module(&mut self, module: &str, options: &Options) {
        match module {
            "pip" | "ensurepip" | "easy_install" => drop(self.install(
                if module == "ensurepip" {
                    "easy_install"
                } else {
                    module
                },
                &options.rest,
                "",
            )),
            // It serves the folder to whoever asks.
            "http.server" => {}
            "http" | "smtpd" | "ftplib" | "telnetlib" | "webbrowser" | "socketserver"
            | "pyftpdlib" | "xmlrpc.server" => {
                self.reading.does(
                    Trait::Network,
                    format!("python -m {module} opens a connection"),
                );
            }
            "timeit" | "trace" | "cProfile" | "profile" | "pdb" => {
                for code in &options.rest {
                    scan_code(self, Language::Python, code);
                }
            }
            "code" | "runpy" | "zipapp" | "idlelib" | "pty" => {
                self.reading.opaque(format!("python -m {module}"));
            }
            _ => {
                self.told(module, &options.rest);
                self.runs_project();
            }
        }
    }
}

/// Takes letters of interpreters apart where code follows a cluster, as in `-lane CODE`.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
fn split_code_letters(args: &[String], language: Language) -> Vec<String> {
    let codes = match language {
        Language::Perl => "eE",
        Language::Ruby => "e",
        Language::JavaScript => "ep",
        _ => return args.to_vec(),
    };
    let mut words = Vec::with_capacity(args.len());
    for arg in args {
        let cluster = arg.strip_prefix('-').filter(|cluster| {
            cluster.len() > 1
                && !cluster.starts_with('-')
                && cluster.chars().all(char::is_alphanumeric)
        });
        match cluster {
            Some(cluster)
                if cluster.ends_with(|c| codes.contains(c))
                    && !cluster.starts_with(['I', 'M', 'r']) =>
            {
                words.push(format!("-{}", cluster.chars().last().unwrap_or('e')));
            }
            _ => words.push(arg.clone()),
        }
    }
    words
}
