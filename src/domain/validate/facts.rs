//! What a grammar sees in a source text, in the same words for every language.

/// A language with a grammar here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Language {
    Python,
    JavaScript,
    TypeScript,
    Tsx,
    Rust,
    Go,
    Shell,
}

impl Language {
    /// Tells the language by the ending, else by the first line.
    pub fn of(path: &str, text: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        let by_ending = match ending {
            Some("py" | "pyi" | "pyw") => Some(Self::Python),
            Some("js" | "mjs" | "cjs" | "jsx") => Some(Self::JavaScript),
            Some("ts" | "mts" | "cts") => Some(Self::TypeScript),
            Some("tsx") => Some(Self::Tsx),
            Some("rs") => Some(Self::Rust),
            Some("go") => Some(Self::Go),
            Some("sh" | "bash" | "zsh" | "ksh" | "bats") => Some(Self::Shell),
            _ => None,
        };
        by_ending.or_else(|| Self::of_shebang(text))
    }

    fn of_shebang(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("#!")?;
        let words = line
            .split(['/', ' '])
            .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'));
        words.into_iter().find_map(|word| match word {
            "python" => Some(Self::Python),
            "node" => Some(Self::JavaScript),
            "bun" | "deno" | "tsx" | "ts-node" => Some(Self::TypeScript),
            "sh" | "bash" | "zsh" | "ksh" | "dash" => Some(Self::Shell),
            _ => None,
        })
    }
}

/// A module that is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleImport {
    /// The module, as written.
    pub module: String,
    /// The line, from 1.
    pub line: u32,
    /// Everything of the module becomes visible without its name.
    pub wildcard: bool,
    /// Only types are imported; nothing of the module runs.
    pub types_only: bool,
}

/// A name that is used, followed to where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameUse {
    /// Dotted, beginning at the module or the global: `subprocess.run`, `std.process.Command.new`.
    pub name: String,
    /// The line, from 1.
    pub line: u32,
    /// The first argument, where the name is called and the argument is a literal text.
    pub argument: Option<String>,
    /// The name is used as a whole: not only one member of it.
    pub whole: bool,
}

/// Something that has no name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeMarker {
    /// What it is.
    pub what: String,
    /// The line, from 1.
    pub line: u32,
}

/// One piece of code: a statement, the head of one, or a row of a table, without comments and however it is spaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeFragment {
    /// Its tokens.
    pub what: String,
    /// The line it begins in, from 1.
    pub line: u32,
    /// It stands in a test within a file of other code.
    pub in_test: bool,
    /// It keeps what follows or what it holds from running or from failing.
    pub mutes: bool,
}

/// Everything a grammar saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyntaxFacts {
    /// Lines the grammar does not understand.
    pub errors: Vec<u32>,
    /// Imports.
    pub imports: Vec<ModuleImport>,
    /// Names used.
    pub uses: Vec<NameUse>,
    /// Members reached by a computed name: the object's name, and the line.
    pub computed: Vec<CodeMarker>,
    /// Imports of a computed name, unsafe blocks, attributes that include files, and the like.
    pub marks: Vec<CodeMarker>,
    /// Files taken into the code by their path.
    pub files: Vec<CodeMarker>,
    /// Literal texts.
    pub strings: Vec<CodeMarker>,
    /// Test cases by name.
    pub tests: Vec<CodeMarker>,
    /// Assertions.
    pub assertions: u32,
    /// Markers that keep tests from running, and assertions that cannot fail.
    pub muted: Vec<CodeMarker>,
    /// The pieces that tests are made of.
    pub pieces: Vec<CodeFragment>,
    /// A number for the code without its comments, white space and inner tests; 0 = there is none, or it was not read.
    pub code: u64,
}
