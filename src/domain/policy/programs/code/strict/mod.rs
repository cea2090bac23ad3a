//! What in a code string is not followed, so that nobody can say what it does.
//!
//! Calls with consequences are looked at one by one (see [`words`]). Everything else that code calls, loads or
//! reaches has to stand on a list of what is harmless (see [`super::known`]). What stands on neither is not understood,
//! whatever it would do. Modules of the project's own may be used as long as the code hands nothing to them that lies
//! elsewhere: running what the project holds is what a project is for.

mod others;

use std::collections::HashSet;

use crate::domain::policy::programs::{
    code::{
        Language,
        known::{Lists, lists},
        lex::Token,
        words,
    },
    is_in,
};

/// Returns the part of the code that is not understood, if there is one. `reach` finds what leads out of the project.
pub(super) fn unfollowed(
    language: Language,
    tokens: &[Token],
    reach: &dyn Fn() -> Option<String>,
    away: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let lists = lists(language)?;
    let mut reader = Reader {
        language,
        tokens,
        lists,
        own: own_names(tokens, lists),
        foreign: None,
        away,
    };
    reader.note_modules();
    let part = (0..tokens.len()).find_map(|at| reader.part(at));
    let given = |module: String| Some(format!("{module}, which is given {}", reach()?));
    part.or_else(|| reader.foreign.clone().and_then(given))
}

/// Words behind which a name is defined.
const DEFINES: [&str; 12] = [
    "def", "class", "function", "sub", "func", "as", "lambda", "let", "const", "var", "module",
    "proc",
];

/// Returns the bare names that the code gives a meaning itself.
fn own_names<'t>(tokens: &'t [Token], lists: &Lists) -> HashSet<&'t str> {
    let mut own = HashSet::new();
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let is_called = matches!(tokens.get(at + 1), Some(Token::Sign('(')));
        let is_defined = word_before(tokens, at).is_some_and(|word| DEFINES.contains(&word));
        if !word.contains('.')
            && (!is_called || is_defined)
            && !lists.functions.contains(word.as_str())
        {
            own.insert(word.trim_start_matches(['$', '@']));
        }
    }
    own
}

/// Words before a bracket that call nothing.
const KEYWORDS: [&str; 14] = [
    "if", "for", "in", "and", "or", "not", "while", "return", "assert", "print", "switch", "catch",
    "await", "of",
];

/// Functions that only read, or compute with, the path they are given.
const READS: &str = "
open read load loads exists isfile isdir islink listdir glob iglob walk scandir stat lstat access join basename dirname abspath realpath
relpath normpath expanduser splitext split commonpath Path PurePath PosixPath PurePosixPath read_csv read_json read_excel read_parquet
read_table read_text read_bytes parse imread fromfile loadtxt genfromtxt match fullmatch search sub subn compile findall finditer fnmatch
quote unquote which startswith endswith replace get append print log strip lstrip rstrip removeprefix removesuffix index find count len str
repr format dumps stringify relative_to is_relative_to joinpath with_name rglob iterdir samefile getsize getmtime disk_usage chdir run
readFileSync readFile readdirSync readdir existsSync statSync lstatSync realpathSync readlinkSync createReadStream accessSync resolve
relative normalize extname isAbsolute includes indexOf startsWith endsWith matchAll test exec replaceAll String Set Map URL require import
error warn info debug readTextFile readTextFileSync file Error RegExp equal strictEqual deepEqual assertEqual expect toBe toEqual
getLogger parse_args add_argument ZipFile TarFile is_zipfile is_tarfile getoutput Counter list set tuple dict sorted max min
";

/// Methods that run, send or reach something whatever they belong to.
const RISKY: &str = "
system popen exec execfile execv execve execl spawn spawnl spawnv fork kill killpg send_signal exec_module load_module run_module run_path
runsource runcode addsitedir sendall sendto sendmail storbinary dlopen setuid setgid chroot runInThisContext runInContext runInNewContext execSync
execFile execFileSync spawnSync evaluate eval binding createRequire loadLibrary LoadLibrary CDLL syscall communicate_raw putenv unsetenv
load_extension enable_load_extension find_class get_code source_to_code create_connection open_connection makefile
";

struct Reader<'t> {
    language: Language,
    tokens: &'t [Token],
    lists: &'static Lists,
    own: HashSet<&'t str>,
    /// The first module of which nothing is known.
    foreign: Option<String>,
    /// Tells whether a text leads out of the project.
    away: &'t dyn Fn(&str) -> bool,
}

impl Reader<'_> {
    /// Notes the first module that stands on no list.
    fn note_modules(&mut self) {
        let unknown = (0..self.tokens.len()).find_map(|at| {
            let named = match (self.language, self.tokens.get(at)?) {
                (Language::Python, Token::Word(word)) if self.is_imported(at) => {
                    if self.is_named_by_known(at) {
                        return None;
                    }
                    root(word)
                }
                (Language::JavaScript, Token::Text(text)) if self.is_loaded(at) => {
                    bare_module(text)
                }
                (Language::Ruby, Token::Text(text)) if self.is_loaded(at) => text,
                (Language::Ruby, Token::Word(word)) if is_constant(word) => root(word),
                (Language::Perl, Token::Word(word)) if self.is_used(at) => word,
                (Language::Php, Token::Word(word))
                    if word_before(self.tokens, at) == Some("new") =>
                {
                    word
                }
                _ => return None,
            };
            (!self.is_known_module(named)).then(|| module(named))
        });
        self.foreign = unknown;
    }

    /// Returns whether a word behind `import` is another name for a module, or a part of one that is known.
    fn is_named_by_known(&self, at: usize) -> bool {
        if word_before(self.tokens, at) == Some("as") {
            return true;
        }
        let before = self.tokens.get(..at).unwrap_or_default();
        let is_order = |token: &Token| matches!(token, Token::Word(word) if word == "import" || word == "from");
        let order = before.iter().rposition(is_order);
        let from = order.filter(
            |order| matches!(before.get(*order), Some(Token::Word(word)) if word == "import"),
        );
        let from = from.and_then(|order| order.checked_sub(2).map(|from| (from, order)));
        from.is_some_and(|(from, order)| {
            matches!(before.get(from), Some(Token::Word(word)) if word == "from")
                && matches!(before.get(order - 1), Some(Token::Word(module)) if self.is_known_module(module))
        })
    }

    fn is_known_module(&self, name: &str) -> bool {
        let lists = self.lists;
        lists.is_of_module(name)
            || lists.guarded.contains(root(name))
            || lists.types.contains(root(name))
            || lists.functions.contains(name)
            || lists.is_refused(name)
            || self.is_defined(name)
            || words::is_network_module(name)
            || is_data(name)
    }

    /// Returns whether the code itself defines a class or function of this name.
    fn is_defined(&self, name: &str) -> bool {
        let defined = |at: usize| {
            matches!(self.tokens.get(at), Some(Token::Word(word)) if word == name)
                && word_before(self.tokens, at)
                    .is_some_and(|word| DEFINES.contains(&word) && word != "as")
        };
        (0..self.tokens.len()).any(defined)
    }

    /// Returns what is not understood at one place.
    fn part(&self, at: usize) -> Option<String> {
        match self.tokens.get(at)? {
            Token::Word(word) => self.word(at, word).or_else(|| self.handed(at, word)),
            Token::Text(text) => self.text(at, text),
            Token::Sign('(') => self.computed(at),
            Token::Sign(c) => self.sign(at, *c),
            Token::Command(_) | Token::End => None,
        }
    }

    fn word(&self, at: usize, word: &str) -> Option<String> {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        match self.language {
            Language::Python => self.python(at, word),
            Language::JavaScript => self.javascript(at, word),
            Language::Ruby => self.ruby(at, word),
            Language::Perl => self.perl(at, word),
            Language::Php => self.php(at, word),
            Language::Lua => self.lua(at, word),
            Language::R => self.little(at, word),
            Language::Awk => self.awk(at, word),
            Language::Tcl | Language::C => None,
        }
    }

    /// Finds a path outside of the project that is handed to a function which is not known to only read it.
    fn handed(&self, at: usize, word: &str) -> Option<String> {
        let last = word.rsplit(['.', ':']).next().unwrap_or(word);
        let reads = is_in(READS, last);
        let looks = matches!(self.language, Language::Python | Language::JavaScript);
        let skipped = !looks || reads || !self.is_called(at) || self.is_judged(word);
        if skipped || KEYWORDS.contains(&word) || self.is_defined(word) {
            return None;
        }
        let mut depth = 0_u32;
        for token in self.tokens.get(at + 1..)? {
            match token {
                Token::Sign('(') => depth += 1,
                Token::Sign(')') if depth < 2 => return None,
                Token::Sign(')') => depth -= 1,
                Token::Text(text) if depth == 1 && (self.away)(text) => {
                    return Some(format!("`{word}` with {text}"));
                }
                Token::Word(_)
                | Token::Text(_)
                | Token::Command(_)
                | Token::Sign(_)
                | Token::End => {}
            }
        }
        None
    }

    /// Returns whether a bracket follows.
    fn is_called(&self, at: usize) -> bool {
        matches!(self.tokens.get(at + 1), Some(Token::Sign('(')))
    }

    fn sign_at(&self, at: Option<usize>, sign: char) -> bool {
        at.and_then(|at| self.tokens.get(at)) == Some(&Token::Sign(sign))
    }

    fn is_judged(&self, word: &str) -> bool {
        words::call(self.language, word).is_some()
    }

    /// Finds one of the names through which anything can be reached.
    fn named(&self, word: &str) -> Option<String> {
        // A member that is listed by its whole name is known.
        if self.lists.members.contains(word) {
            return None;
        }
        word.split(['.', ':'])
            .map(|part| part.trim_start_matches(['$', '@']))
            .find(|part| !part.is_empty() && self.lists.names.contains(part))
            .map(|part| format!("`{part}`, through which anything can be reached"))
    }

    /// Judges a member of a guarded module, unless the name has another meaning here.
    fn member(&self, at: usize, word: &str) -> Option<String> {
        // `const {execSync} = require(…)` gives the function no other name, under which it would be called.
        let is_taken = self.language == Language::JavaScript
            && self.is_judged(word)
            && (self.sign_at(at.checked_sub(1), '{') || self.sign_at(at.checked_sub(1), ','))
            && (self.sign_at(Some(at + 1), '}') || self.sign_at(Some(at + 1), ','))
            && self.is_unpacked(at);
        if is_taken {
            return None;
        }
        if root(word) == word {
            return Some(format!("`{word}` as a value"));
        }
        let judged = self.is_called(at) && self.is_judged(word);
        let known = judged || self.lists.is_member(word) || self.lists.is_of_module(word);
        (!known).then(|| format!("`{word}`"))
    }

    /// Returns whether a name stands in the braces into which a module is unpacked: `{ a, b } = require(…)`, `import { a, b } from …`.
    fn is_unpacked(&self, at: usize) -> bool {
        let rest = self.tokens.get(at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|token| *token == Token::Sign('}')) else {
            return false;
        };
        let is_flat = rest.get(..end).is_some_and(|inside| {
            inside
                .iter()
                .all(|token| matches!(token, Token::Word(_) | Token::Sign(',')))
        });
        let loads = matches!(rest.get(end + 2), Some(Token::Word(word)) if words::is_loader(word));
        let imports = matches!(rest.get(end + 1), Some(Token::Word(word)) if word == "from");
        is_flat && (imports || loads && rest.get(end + 1) == Some(&Token::Sign('=')))
    }

    /// Judges the method at the end of a dotted name.
    fn method(&self, word: &str) -> Option<String> {
        let last = word.rsplit('.').next().unwrap_or(word);
        // Where a value comes from was looked at already: what it can be asked is seldom more than that.
        let is_tame = matches!(self.language, Language::Python | Language::JavaScript)
            && !last.starts_with('_')
            && !is_in(RISKY, last);
        // `$file->getExtension()`, `$entry->isDir()`.
        let asks = self.language == Language::Php
            && ["get", "is", "has"].iter().any(|start| {
                let rest = last.strip_prefix(start);
                rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
            });
        let known = self.foreign.is_some()
            || is_tame
            || asks
            || self.lists.methods.contains(last)
            || self.own.contains(last)
            || self.lists.types.contains(last)
            || self.is_judged(word)
            || self.is_defined(last);
        (!known).then(|| format!("the method `{last}`"))
    }

    /// Judges the call of a bare name.
    fn function(&self, word: &str) -> Option<String> {
        let plain = word.trim_start_matches(['$', '@']);
        let known = self.lists.functions.contains(plain)
            || self.own.contains(plain)
            || self.is_judged(word)
            || self.is_defined(plain)
            || self.lists.types.contains(root(word));
        (!known).then(|| format!("the call of `{word}`"))
    }

    fn python(&self, at: usize, word: &str) -> Option<String> {
        let is_statement = word == "import" && !self.is_called(at);
        if is_statement && !self.sign_at(Some(at + 1), '*') {
            return None;
        }
        if self.is_imported(at) {
            return self.lists.is_refused(word).then(|| module(word));
        }
        let is_import = word == "import" || word_before(self.tokens, at) == Some("import");
        if is_import && self.sign_at(Some(at + 1), '*') {
            return Some("everything of a module without its name".to_owned());
        }
        if self.sign_at(Some(at + 1), '=') && !word.contains('.') {
            return None;
        }
        if let Some(part) = self.named(word) {
            return Some(part);
        }
        let head = root(word);
        let own = self.own.contains(head) && head != word && !self.is_imported_somewhere(head);
        if !own && self.lists.is_refused(word) && word.contains('.') {
            return Some(module(word));
        }
        if !own && self.lists.guarded.contains(head) {
            return self.member(at, word);
        }
        let called = self.is_called(at);
        if !called {
            let value = self.is_judged(word)
                && (word.contains('.') || !self.own.contains(word) || is_evaluator(word));
            return value.then(|| format!("`{word}` as a value"));
        }
        if !word.contains('.') {
            return self.function(word);
        }
        if !own && (self.lists.is_of_module(word) || self.is_imported_somewhere(head)) {
            let hidden = word
                .split('.')
                .skip(1)
                .find(|part| part.starts_with('_') && !part.starts_with("__"));
            return hidden.map(|part| format!("`{part}`, which a module keeps for itself"));
        }
        self.method(word)
    }

    /// Returns whether the word is a module behind `import` or `from`.
    fn is_imported(&self, at: usize) -> bool {
        let mut at = at;
        loop {
            match at.checked_sub(1).and_then(|at| self.tokens.get(at)) {
                Some(Token::Word(word)) if word == "import" || word == "from" => return true,
                Some(Token::Word(word)) if word == "as" => at = at.saturating_sub(2),
                Some(Token::Sign(',')) => at = at.saturating_sub(2),
                Some(Token::Sign('(')) => at = at.saturating_sub(1),
                _ => return false,
            }
            if at == 0 {
                return false;
            }
        }
    }

    fn is_imported_somewhere(&self, head: &str) -> bool {
        (0..self.tokens.len()).any(|at| {
            matches!(self.tokens.get(at), Some(Token::Word(word)) if root(word) == head)
                && self.is_imported(at)
        })
    }

    fn javascript(&self, at: usize, word: &str) -> Option<String> {
        let called = self.is_called(at);
        if words::is_loader(word) && called {
            let end = crate::domain::policy::programs::code::fold::call_end(self.tokens, at + 1);
            let by_index = self.sign_at(Some(end), '[');
            return by_index.then(|| "a function whose name is computed".to_owned());
        }
        let next = self.tokens.get(at + 1);
        let assigned = matches!(next, Some(Token::Sign('='))) && !word.contains('.');
        let declares = word_before(self.tokens, at)
            .is_some_and(|word| ["const", "let", "var", "import"].contains(&word));
        let from = matches!(next, Some(Token::Word(word)) if word == "from");
        // `{ promises: fs }` and `key: value` name nothing.
        let is_key = matches!(next, Some(Token::Sign(':')));
        let renames = is_key
            && self.is_judged(word)
            && (self.sign_at(at.checked_sub(1), '{') || self.sign_at(at.checked_sub(1), ','))
            && self.lists.guarded.iter().any(|module| self.loads(module));
        if renames {
            return Some(format!("`{word}` as a value"));
        }
        if assigned || declares || from || is_key {
            return None;
        }
        if word.contains('.') && self.lists.is_refused(word) && !self.own.contains(root(word)) {
            return Some(module(word));
        }
        if let Some(part) = self.named(word) {
            return Some(part);
        }
        let head = root(word);
        if self.lists.guarded.contains(head) && !self.is_own_variable(head) {
            return self.member(at, word);
        }
        if matches!(next, Some(Token::Text(_)))
            && word.contains('.')
            && word != "String.raw"
            && !word.ends_with('$')
        {
            return Some(format!("the tag `{word}`"));
        }
        if !called {
            let value = self.is_judged(word) && (word.contains('.') || is_evaluator(word));
            return value.then(|| format!("`{word}` as a value"));
        }
        if word.contains('.') {
            self.method(word)
        } else {
            self.function(word)
        }
    }

    /// Returns whether a name is a variable of the code and no module that it loads.
    fn is_own_variable(&self, head: &str) -> bool {
        let usual = [
            "fs",
            "child_process",
            "process",
            "require",
            "module",
            "Bun",
            "Deno",
            "globalThis",
            "global",
        ];
        !usual.contains(&head) && !self.loads(head)
    }

    fn loads(&self, name: &str) -> bool {
        let fits = |text: &str| bare_module(text).rsplit('/').next() == Some(name);
        (0..self.tokens.len()).any(|at| {
            matches!(self.tokens.get(at), Some(Token::Text(text)) if fits(text))
                && self.is_loaded(at)
        })
    }

    /// Returns whether the text is the name of a module that is loaded here.
    fn is_loaded(&self, at: usize) -> bool {
        let back = |steps: usize| at.checked_sub(steps).and_then(|at| self.tokens.get(at));
        let loader = |token: Option<&Token>| matches!(token, Some(Token::Word(word)) if words::is_loader(word) || word == "from" || word == "require_relative");
        loader(back(1)) || self.sign_at(at.checked_sub(1), '(') && loader(back(2))
    }

    /// Returns whether the word is a module behind `use` or `require`.
    fn is_used(&self, at: usize) -> bool {
        self.language == Language::Perl
            && word_before(self.tokens, at)
                .is_some_and(|word| word == "use" || word == "require" || word == "no")
    }

    fn text(&self, at: usize, text: &str) -> Option<String> {
        match self.language {
            Language::JavaScript => {
                let name = bare_module(text);
                if self.is_loaded(at) && self.lists.is_refused(name) {
                    return Some(module(text));
                }
                let reaches =
                    ["constructor", "__proto__", "mainModule", "_load", "binding"].contains(&text);
                reaches.then(|| format!("`{text}`, through which anything can be reached"))
            }
            Language::Python => {
                let reaches = [
                    "__globals__",
                    "__subclasses__",
                    "__builtins__",
                    "__import__",
                ];
                let found = reaches.iter().find(|name| text.contains(*name));
                found.map(|name| format!("`{name}`, through which anything can be reached"))
            }
            Language::Php if is_runner(text) => Some(format!("the name of `{text}` as a value")),
            Language::Php
            | Language::Ruby
            | Language::Perl
            | Language::Lua
            | Language::R
            | Language::Awk
            | Language::Tcl
            | Language::C => None,
        }
    }

    /// Judges a call of what another expression gives.
    fn computed(&self, at: usize) -> Option<String> {
        let back = |steps: usize| at.checked_sub(steps).and_then(|at| self.tokens.get(at));
        let by_index = back(1) == Some(&Token::Sign(']'));
        let by_name = matches!(back(1), Some(Token::Text(_))) && self.language == Language::Php
            || back(1) == Some(&Token::Sign('}'))
                && self.language == Language::Perl
                && self.has_code_sigil(at);
        let by_arrow = self.language == Language::Perl
            && back(1) == Some(&Token::Sign('>'))
            && back(2) == Some(&Token::Sign('-'));
        let by_name = by_name || by_arrow;
        let number = matches!(back(2), Some(Token::Word(word)) if word.chars().all(|c| c.is_ascii_digit()))
            && back(3) == Some(&Token::Sign('['));
        let applies = matches!(
            self.language,
            Language::JavaScript | Language::Php | Language::Lua
        );
        (by_index && applies && !number || by_name)
            .then(|| "a function whose name is computed".to_owned())
    }
}

/// Returns whether a module is a file of data.
fn is_data(name: &str) -> bool {
    name.rsplit('.').next() == Some("json")
}

/// Returns the first part of a dotted name.
fn root(word: &str) -> &str {
    word.split(['.', ':']).next().unwrap_or(word)
}

fn bare_module(name: &str) -> &str {
    name.strip_prefix("node:").unwrap_or(name)
}

/// Returns whether a word of Ruby is a constant.
fn is_constant(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Functions that run text as commands or code.
fn is_runner(name: &str) -> bool {
    [
        "system",
        "exec",
        "passthru",
        "shell_exec",
        "popen",
        "proc_open",
        "assert",
        "eval",
        "spawn",
        "fork",
    ]
    .contains(&name)
}

/// Functions of the language itself that run text as code.
fn is_evaluator(name: &str) -> bool {
    [
        "exec",
        "eval",
        "compile",
        "open",
        "Function",
        "fetch",
        "__import__",
        "require",
    ]
    .contains(&name)
}

fn module(word: &str) -> String {
    format!("the module of `{word}`")
}

fn word_before(tokens: &[Token], at: usize) -> Option<&str> {
    match at.checked_sub(1).and_then(|at| tokens.get(at)) {
        Some(Token::Word(word)) => Some(word),
        _ => None,
    }
}
