//! How code opens a file: to read, or to write into it.

use crate::domain::policy::{
    partial_text::is_in,
    programs::code::{Scanner, fold, lex::Token},
};

impl Scanner<'_, '_, '_> {
    /// Returns whether C or Rust opens files to write into them.
    pub(super) fn opens_to_write(&self, word: &str) -> bool {
        const MODES: &str = "O_WRONLY O_RDWR O_CREAT O_TRUNC O_APPEND os.O_WRONLY os.O_RDWR os.O_CREATE os.O_APPEND";
        const METHODS: &str = ".write .append .create .create_new .truncate";
        let modes = if word.starts_with('.') {
            METHODS
        } else {
            MODES
        };
        let mut words = self.tokens.iter();
        words.any(|token| matches!(token, Token::Word(word) if is_in(modes, word)))
    }

    /// Adds the file and the mode that a call of Python is given by name.
    pub(super) fn with_names(
        &self,
        at: usize,
        mut args: Vec<Option<String>>,
    ) -> Vec<Option<String>> {
        let end = fold::call_end(self.tokens, at + 1);
        let inside = self.tokens.get(at..end).unwrap_or_default();
        let named = |name: &str| {
            inside.windows(3).find_map(|three| match three {
                [Token::Word(word), Token::Sign('='), Token::Text(text)] if word == name => {
                    Some(text.clone())
                }
                _ => None,
            })
        };
        if let Some(file) = named("file").or_else(|| named("filename")) {
            args.insert(0, Some(file));
        }
        args.extend(named("mode").map(Some));
        args
    }
}
