//! Reads TOML so that every fault names its place (`file:line:column`), the key nearest to one that is not known, and
//! what to do. All faults of a file are told together.

use std::{borrow::Cow, cell::RefCell, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::domain::text::line_and_column;

/// One file being read, with the faults found so far.
#[derive(Debug)]
pub(crate) struct TomlFile<'t> {
    name: &'t str,
    text: &'t str,
    faults: RefCell<Vec<(usize, String)>>,
}

/// One table of a file; every key that is asked for is a known one.
#[derive(Debug)]
pub(crate) struct Table<'t, 'f> {
    file: &'f TomlFile<'t>,
    entries: &'f DeTable<'t>,
    known: RefCell<Vec<&'static str>>,
    start: usize,
}

impl<'t> TomlFile<'t> {
    /// Makes a reader; `name` is for messages.
    pub(crate) const fn new(name: &'t str, text: &'t str) -> Self {
        Self {
            name,
            text,
            faults: RefCell::new(Vec::new()),
        }
    }

    /// Parses the text; a text that is no TOML is one fault with its place.
    pub(crate) fn parse(&self) -> Result<DeTable<'t>, String> {
        DeTable::parse(self.text)
            .map(Spanned::into_inner)
            .map_err(|error| {
                let at = error.span().map_or(0, |span| span.start);
                format!(
                    "{}: not TOML: {}",
                    self.place(at),
                    error.message().replace('\n', ", ")
                )
            })
    }

    /// Returns `file:line:column` of a byte.
    pub(crate) fn place(&self, at: usize) -> String {
        let (line, column) = line_and_column(self.text, at);
        format!("{}:{line}:{column}", self.name)
    }

    /// Notes a fault.
    pub(crate) fn fault(&self, at: usize, text: &str) {
        self.faults
            .borrow_mut()
            .push((at, format!("{}: {text}", self.place(at))));
    }

    /// Returns every fault in the order of the file; `None` = there is none.
    pub(crate) fn faults(self) -> Option<String> {
        let mut faults = self.faults.into_inner();
        faults.sort();
        faults.dedup();
        let lines: Vec<String> = faults.into_iter().map(|(_, text)| text).collect();
        (!lines.is_empty()).then(|| lines.join("\n  "))
    }

    /// Looks at the outermost table.
    pub(crate) const fn table<'f>(&'f self, entries: &'f DeTable<'t>) -> Table<'t, 'f> {
        Table {
            file: self,
            entries,
            known: RefCell::new(Vec::new()),
            start: 0,
        }
    }
}

impl<'t, 'f> Table<'t, 'f> {
    fn value(&self, key: &'static str) -> Option<&'f Spanned<DeValue<'t>>> {
        self.known.borrow_mut().push(key);
        let found = self
            .entries
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key);
        found.map(|(_, value)| value)
    }

    fn wrong<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.file.fault(
            value.span().start,
            &format!("`{key}` is {found}; it has to be {wanted}"),
        );
        None
    }

    /// Returns a text.
    pub(crate) fn text(&self, key: &'static str) -> Option<String> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) if text.trim().is_empty() => {
                let what = format!("`{key}` is empty; give a value or leave the line out");
                self.file.fault(value.span().start, &what);
                None
            }
            DeValue::String(text) => Some(text.clone().into_owned()),
            _ => self.wrong(key, value, "a text in quotes"),
        }
    }

    /// Returns a text and where it stands.
    pub(crate) fn placed_text(&self, key: &'static str) -> Option<(String, usize)> {
        let text = self.text(key)?;
        Some((text, self.start_of(key)))
    }

    /// Returns a list of texts.
    pub(crate) fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        let value = self.value(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            return self.wrong(key, value, "a list of texts");
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => texts.push(text.clone().into_owned()),
                _ => {
                    self.wrong::<()>(key, item, "a list of texts");
                }
            }
        }
        if texts.is_empty() {
            let what = format!("`{key}` is empty; give a value or leave the line out");
            self.file.fault(value.span().start, &what);
            return None;
        }
        Some(texts)
    }

    /// Returns one word of a few.
    pub(crate) fn choice(&self, key: &'static str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(key)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            self.file
                .fault(self.start_of(key), &not_a_word(key, &text, words));
        }
        found
    }

    /// Returns several words of a few.
    pub(crate) fn choices(
        &self,
        key: &'static str,
        words: &[&'static str],
    ) -> Option<Vec<&'static str>> {
        let texts = self.texts(key)?;
        let mut found = Vec::new();
        for text in texts {
            match words.iter().find(|word| **word == text) {
                Some(word) => found.push(*word),
                None => self
                    .file
                    .fault(self.start_of(key), &not_a_word(key, &text, words)),
            }
        }
        Some(found)
    }

    /// Returns a list of tables.
    pub(crate) fn tables(&self, key: &'static str) -> Option<Vec<Self>> {
        let value = self.value(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            let wanted = format!("a list of tables, each begun by `[[{key}]]`");
            return self.wrong(key, value, &wanted);
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(entries) => tables.push(self.inner(entries, &item.span())),
                _ => {
                    self.wrong::<()>(key, item, &format!("a table, begun by `[[{key}]]`"));
                }
            }
        }
        Some(tables)
    }

    /// Returns a table.
    pub(crate) fn inner_table(&self, key: &'static str) -> Option<Self> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Table(entries) => Some(self.inner(entries, &value.span())),
            _ => self.wrong(key, value, &format!("a table, begun by `[{key}]`")),
        }
    }

    fn inner(&self, entries: &'f DeTable<'t>, span: &Range<usize>) -> Self {
        Self {
            file: self.file,
            entries,
            known: RefCell::new(Vec::new()),
            start: span.start,
        }
    }

    /// Returns where the value of a key stands, or where the table begins.
    pub(crate) fn start_of(&self, key: &str) -> usize {
        let found = self
            .entries
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key);
        found.map_or(self.start, |(_, value)| value.span().start)
    }

    /// Returns the place of a key, or of the table, in words.
    pub(crate) fn board_task_of(&self, key: &str) -> String {
        self.file.place(self.start_of(key))
    }

    /// Notes a fault at a key, or at the table where it has no such key.
    pub(crate) fn fault(&self, key: &str, text: &str) {
        self.file.fault(self.start_of(key), text);
    }

    /// Returns whether a key is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries
            .iter()
            .any(|(name, _)| name.get_ref().as_ref() == key)
    }

    /// Notes every key that nobody asked for. `advice` knows keys that deserve a word of their own.
    pub(crate) fn finish(self, advice: impl Fn(&str) -> Option<String>) {
        let known = self.known.borrow();
        for (name, _) in self.entries {
            let key: &Cow<'_, str> = name.get_ref();
            if known.contains(&key.as_ref()) {
                continue;
            }
            let what = advice(key).unwrap_or_else(|| {
                let near = did_you_mean(key, &known, || format!("known are {}", listed(&known)));
                format!("unknown key `{key}`; {near}")
            });
            self.file.fault(name.span().start, &what);
        }
    }
}

fn not_a_word(key: &str, text: &str, words: &[&'static str]) -> String {
    let others = || format!("it has to be one of {}", listed(words));
    let near = did_you_mean(text, words, others);
    format!("`{key}` does not know `{text}`; {near}")
}

/// Names the word nearest to one that is not known; small and large letters are the same. Where none is near, `otherwise` is said.
pub(crate) fn did_you_mean(
    word: &str,
    words: &[&str],
    otherwise: impl FnOnce() -> String,
) -> String {
    let wanted = word.to_lowercase();
    let likeness =
        |known: &str| strsim::normalized_damerau_levenshtein(&wanted, &known.to_lowercase());
    words
        .iter()
        .map(|known| (likeness(known), *known))
        .filter(|(score, _)| *score >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(otherwise, |(_, known)| format!("did you mean `{known}`?"))
}

fn listed(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}
