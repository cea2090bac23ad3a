//! Paths that code puts together: the home folder, the folder it runs in, and what is joined to them.

use std::borrow::Cow;

use crate::domain::policy::{
    partial_text::{FRESH, UNKNOWN, base_name, is_vague},
    programs::code::{Language, Scanner, lex::Token},
    resolved_path::{self, has_drive},
    shell::ShellInterpreter,
};

/// Returns whether a text is a format, whose holes are filled in at run time.
pub(super) fn is_format(text: &str) -> bool {
    let holes = ["%s", "%d", "%q", "%@", "{}", "{0}"];
    holes.iter().any(|hole| text.contains(hole))
}

/// Returns whether a literal can only be meant as the path of a file somewhere else.
pub(super) fn is_place(text: &str) -> bool {
    text.len() > 1 && text.len() < 200 && text.starts_with(['/', '~']) && !text.contains('\n')
}

impl Scanner<'_, '_, '_> {
    /// Returns a path as the language reads it: R leads `~` home by itself.
    pub(super) fn expanded(&self, path: &str) -> String {
        let at_home = path
            .strip_prefix('~')
            .filter(|_| self.language == Language::R);
        let home = || resolved_path::home(self.shell.reading.world);
        at_home.map_or_else(|| path.to_owned(), |rest| format!("{}{rest}", home()))
    }
}

/// What is known about the folders that code may ask for.
#[derive(Debug, Clone)]
pub(super) struct KnownFolders {
    home: String,
    folder: String,
}

impl KnownFolders {
    /// Takes them from the shell that the code is started from.
    pub(super) fn new(shell: &ShellInterpreter<'_, '_>) -> Self {
        let unknown = || UNKNOWN.to_string();
        Self {
            home: resolved_path::home(shell.reading.world),
            folder: shell.folder().map_or_else(unknown, str::to_owned),
        }
    }

    /// Puts the home folder in place of a tilde at the start.
    fn expanded(&self, path: &str) -> String {
        match path.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                format!("{}{rest}", self.home)
            }
            _ => path.to_owned(),
        }
    }

    fn with_variables(&self, path: &str) -> String {
        path.replace("${HOME}", &self.home)
            .replace("$HOME", &self.home)
    }

    /// Returns the path a word stands for that is no call.
    pub(super) fn of_word(&self, language: Language, word: &str) -> Option<String> {
        let home = [
            "process.env.HOME",
            "Bun.env.HOME",
            "process.env.USERPROFILE",
        ];
        let folder = ["__dirname", "import.meta.dirname", "Dir.pwd"];
        let script = matches!(language, Language::JavaScript | Language::Ruby);
        if script && home.contains(&word) || language == Language::Ruby && word == "Dir.home" {
            Some(self.home.clone())
        } else if language == Language::Python && word == "sys.executable" {
            Some("python3".to_owned())
        } else if script && folder.contains(&word) {
            Some(self.folder.clone())
        } else {
            None
        }
    }

    /// Returns the path of an element of the environment: `os.environ["HOME"]` and its like.
    pub(super) fn of_element(&self, word: &str, key: &str) -> Option<String> {
        let environments = [
            "os.environ",
            "process.env",
            "ENV",
            "$ENV",
            "$_ENV",
            "$_SERVER",
        ];
        let known = ["HOME", "USERPROFILE"].contains(&key) && environments.contains(&word);
        known.then(|| self.home.clone())
    }

    /// Returns the path a call gives back.
    pub(super) fn of_call(&self, word: &str, args: &[Option<String>]) -> Option<String> {
        let first = || args.first().cloned().flatten();
        let last = word.rsplit(['.', ':']).next().unwrap_or(word);
        let head = word.get(..word.len() - last.len()).unwrap_or("");
        let head = head.trim_end_matches(['.', ':']);
        match (head, last) {
            ("os.path" | "path" | "osp" | "posixpath", "expanduser") => {
                Some(self.expanded(&first()?))
            }
            ("os.path" | "path", "expandvars") => Some(self.with_variables(&first()?)),
            (
                "os.path" | "path" | "posixpath",
                "abspath" | "realpath" | "normpath" | "normalize",
            ) => first(),
            ("os.path" | "path" | "osp" | "posixpath" | "path.posix" | "File", "dirname") => {
                folder_above(&first()?)
            }
            ("os.path" | "path" | "osp" | "posixpath" | "path.posix", "join") => joined(args),
            ("File", "join") | ("filepath", "Join") => joined(args),
            ("path" | "path.posix", "resolve") => joined(args),
            ("File", "expand_path" | "absolute_path" | "realpath") => {
                let path = self.expanded(&first()?);
                let base = args.get(1).cloned().flatten();
                Some(base.map_or_else(|| path.clone(), |base| beside(&base, &path)))
            }
            ("" | "pathlib", "Path" | "PosixPath" | "PurePath" | "Pathname") if args.is_empty() => {
                Some(self.folder.clone())
            }
            ("" | "pathlib", "Path" | "PosixPath" | "PurePath" | "Pathname") => joined(args),
            ("Pathname", "new") => first(),
            ("Path" | "pathlib.Path" | "Pathname" | "Dir", "home") | ("os", "homedir") => {
                Some(self.home.clone())
            }
            ("shlex", "split") => first(),
            ("tempfile" | "", "mkdtemp") if args.is_empty() => Some(format!("/tmp/{FRESH}")),
            ("tempfile" | "", "gettempdir") | ("os", "tmpdir") => Some("/tmp".to_owned()),
            ("fs" | "", "mkdtempSync") => Some(format!("{}{FRESH}", first()?)),
            ("os", "userInfo") => None,
            ("Path" | "pathlib.Path" | "process", "cwd")
            | ("os" | "", "getcwd")
            | ("Dir", "pwd") => Some(self.folder.clone()),
            ("os" | "", "getenv") | ("os.environ" | "Deno.env", "get") | ("ENV", "fetch") => {
                ["HOME", "USERPROFILE"]
                    .contains(&first()?.as_str())
                    .then(|| self.home.clone())
            }
            ("" | "File", "glob") => {
                let path = first()?;
                path.starts_with('~').then(|| self.expanded(&path))
            }
            _ => None,
        }
    }

    /// Returns the path a method of a path gives back.
    pub(super) fn of_method(
        &self,
        method: &str,
        path: &str,
        args: &[Option<String>],
    ) -> Option<String> {
        match method {
            "expanduser" | "expand_path" => Some(self.expanded(path)),
            "resolve" | "absolute" | "as_posix" | "realpath" | "to_path" => Some(path.to_owned()),
            "joinpath" | "join" if path.contains(['/', '~']) && method == "joinpath" => {
                let rest = joined(args)?;
                Some(beside(path, &rest))
            }
            "with_name" => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                Some(beside(folder, args.first()?.as_deref()?))
            }
            _ => None,
        }
    }
}

/// Returns the code with the home folder in the place of what stands for it inside of a text, before a slash.
pub(super) fn with_home<'t>(code: &'t str, known: &KnownFolders) -> Cow<'t, str> {
    const ASKS: [&str; 3] = [
        "env::var(\"HOME\")",
        "os.UserHomeDir()",
        "os.Getenv(\"HOME\")",
    ];
    const HOMES: [&str; 16] = [
        "$ENV{HOME}/",
        "$ENV{'HOME'}/",
        "#{ENV[\"HOME\"]}/",
        "#{ENV['HOME']}/",
        "#{Dir.home}/",
        "${process.env.HOME}/",
        "${os.homedir()}/",
        "${require('os').homedir()}/",
        "{os.environ['HOME']}/",
        "{os.environ[\"HOME\"]}/",
        "{os.path.expanduser('~')}/",
        "{os.path.expanduser(\"~\")}/",
        "{Path.home()}/",
        "{pathlib.Path.home()}/",
        "{$_SERVER['HOME']}/",
        "$_SERVER[HOME]/",
    ];
    let mut code = Cow::Borrowed(code);
    // Rust and Go keep it in a variable first.
    let asked = ASKS.iter().find_map(|ask| code.find(ask));
    if let Some(at) = asked {
        let before = code.get(..at).unwrap_or("");
        let line = before.rsplit(['\n', ';', '{']).next().unwrap_or("");
        let named = line.split(['=', ':', ',']).next().unwrap_or("");
        let name = named.split_whitespace().last().unwrap_or("").to_owned();
        if !name.is_empty() {
            let replaced = code.replace(&format!("{{{name}}}/"), &format!("{}/", known.home));
            code = Cow::Owned(
                replaced.replace(&format!("{name} + \"/"), &format!("\"{}/", known.home)),
            );
        }
    }
    for name in HOMES {
        if code.contains(name) {
            code = Cow::Owned(code.replace(name, &format!("{}/", known.home)));
        }
    }
    code
}

/// Joins the parts of a path; a part that is not known stays a mark, one that starts at the root starts again.
fn joined(args: &[Option<String>]) -> Option<String> {
    let unknown = UNKNOWN.to_string();
    let mut parts = args.iter().map(|arg| arg.as_deref().unwrap_or(&unknown));
    let first = parts.next()?.to_owned();
    Some(parts.fold(first, |path, part| beside(&path, part)))
}

/// Returns the path of `name` seen from `folder`.
pub(super) fn beside(folder: &str, name: &str) -> String {
    if name.starts_with('/') || folder.is_empty() {
        name.to_owned()
    } else {
        format!("{}/{name}", folder.trim_end_matches('/'))
    }
}

/// Returns the text that a token holds, if it is one.
pub(super) fn text_of(token: Option<&Token>) -> Option<&str> {
    match token {
        Some(Token::Text(text)) => Some(text),
        _ => None,
    }
}

/// Returns the folder in which a path lies; of a path that is not wholly known nobody can say.
fn folder_above(path: &str) -> Option<String> {
    let path = path.trim_end_matches('/');
    if is_vague(path) {
        return None;
    }
    let name = base_name(path);
    let (folder, _) = path.rsplit_once('/').unwrap_or((".", ""));
    Some(match name {
        "" | "." | ".." if path.starts_with('/') => "/".to_owned(),
        "" | "." | ".." => format!("{}/..", if path.is_empty() { "." } else { path }),
        _ if folder.is_empty() => "/".to_owned(),
        _ => folder.to_owned(),
    })
}

/// Returns the folder above a path where it is asked for, with what is asked of that, and how many tokens were used: `.parent`, `.parents[1]`.
pub(super) fn above(
    tokens: &[Token],
    at: usize,
    before: Option<&str>,
) -> Option<(Vec<Token>, usize)> {
    let Some(Token::Word(word)) = tokens.get(at) else {
        return None;
    };
    let mut path = folder_above(before.filter(|_| word.starts_with(".parent"))?)?;
    if word == ".parents" {
        let [Token::Sign('['), Token::Word(number), Token::Sign(']')] =
            tokens.get(at + 1..at + 4)?
        else {
            return None;
        };
        for _ in 0..number.parse::<u8>().ok()?.min(16) {
            path = folder_above(&path)?;
        }
        return Some((vec![Token::Text(path)], 4));
    }
    let mut rest = word.strip_prefix(".parent")?;
    while let Some(next) = rest
        .strip_prefix(".parent")
        .filter(|next| !next.starts_with('s'))
    {
        path = folder_above(&path)?;
        rest = next;
    }
    let mut found = vec![Token::Text(path)];
    match rest.chars().next() {
        None => {}
        Some('.') => found.push(Token::Word(rest.to_owned())),
        Some(_) => return None,
    }
    Some((found, 1))
}

/// Says whether a literal of code looks like a path.
pub(super) fn looks_like_path(text: &str) -> bool {
    !text.contains(['\n', '(', '<', '>'])
        && (text.contains(['/', '*', '\\'])
            || text.starts_with(['.', '~'])
            || is_vague(text)
            || has_drive(text))
}
