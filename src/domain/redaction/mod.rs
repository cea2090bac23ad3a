//! Removes secrets from text before it is written, sent or shown.
//!
//! Two ways to know a secret: its value (what the environment of tos held, also as base64, hex,
//! percent-encoded or JSON-escaped) and its shape (see `shapes`); in a command line also its place (see `command_line`). The scanner is written by hand
//! instead of with regexes, because compiling those would cost more than the rest of the start-up.
//! Danger: a secret may be cut by a read boundary; [`StreamRedactor`] therefore holds text back until no
//! secret can begin in it and end behind it.

mod command_line;
mod files;
pub mod secret_files;
mod shapes;
mod stream;
mod wide;

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

pub use files::secrets_in_file;
pub use shapes::is_secret_name;
pub use stream::StreamRedactor;

/// What stands where a secret stood.
pub const MARK: &str = "[redacted]";

/// Values shorter than this are too likely to be ordinary words.
const SHORTEST: usize = 6;
/// Values of variables shorter than this are switches and words (`SOME_KEY=enabled`) more often than secrets.
const SHORTEST_NAMED: usize = 8;
/// Values shorter than this are not searched for in encoded forms.
const SHORTEST_ENCODED: usize = 12;

/// Knows the secret values of this machine and the shapes of well-known tokens.
#[derive(Debug, Clone)]
pub struct Redactor {
    /// By first byte, and then the longest first, so that a secret that contains another one goes as a
    /// whole.
    values: BTreeMap<u8, Vec<Vec<u8>>>,
    /// Which bytes a secret can begin with.
    firsts: [bool; 256],
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new([])
    }
}

impl Redactor {
    /// Makes a redactor for these secret values; values shorter than six characters are ignored.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut forms: Vec<Vec<u8>> = values
            .into_iter()
            .flat_map(|value| lines_of(&value))
            .flat_map(|value| forms_of(&value))
            .filter(|form| form.len() >= SHORTEST && !contains(MARK.as_bytes(), form))
            .collect();
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        let mut values: BTreeMap<u8, Vec<Vec<u8>>> = BTreeMap::new();
        for form in forms {
            if let Some(first) = form.first() {
                values.entry(*first).or_default().push(form);
            }
        }
        let mut firsts = [false; 256];
        let starts = values.keys().chain(shapes::FIRST_BYTES);
        for first in starts.chain(MARK.as_bytes().first()) {
            if let Some(slot) = firsts.get_mut(usize::from(*first)) {
                *slot = true;
            }
        }
        Self { values, firsts }
    }

    /// Makes a redactor for the variables whose names say that they hold a secret; values shorter than eight
    /// characters are ignored.
    pub fn from_environment<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::new(
            pairs
                .into_iter()
                .filter(|(name, value)| is_secret_name(name) && value.len() >= SHORTEST_NAMED)
                .map(|(_, value)| value.to_owned()),
        )
    }

    /// Returns a redactor that knows these values as well.
    #[must_use]
    pub fn with_values(&self, values: impl IntoIterator<Item = String>) -> Self {
        let mut both = Self::new(values);
        for (first, forms) in &self.values {
            let own = both.values.entry(*first).or_default();
            own.extend(forms.iter().cloned());
            own.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            own.dedup();
        }
        for (own, other) in both.firsts.iter_mut().zip(&self.firsts) {
            *own |= other;
        }
        both
    }

    /// Returns the text with every secret replaced by `[redacted]`.
    pub fn clean(&self, text: &str) -> String {
        // Secrets begin and end between characters, so nothing is lost here.
        String::from_utf8_lossy(&self.clean_bytes(text.as_bytes())).into_owned()
    }

    /// Returns a command line with every secret replaced by `[redacted]`, also those told by where they stand
    /// (`API_KEY=value`, `--password value`).
    pub fn clean_command(&self, text: &str) -> String {
        let text = self.clean(text);
        let spans = command_line::spans(text.as_bytes());
        let bytes = replaced(text.as_bytes(), 0, text.len(), &spans);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the bytes with every secret replaced by `[redacted]`; borrowed where there is none.
    pub fn clean_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let spans = self.spans(bytes, 0);
        if spans.is_empty() {
            return Cow::Borrowed(bytes);
        }
        Cow::Owned(replaced(bytes, 0, bytes.len(), &spans))
    }

    /// Tells whether the text holds a secret.
    pub fn contains_secret(&self, text: &str) -> bool {
        !self.spans(text.as_bytes(), 0).is_empty()
    }

    /// Starts redacting a stream that arrives in pieces.
    pub fn stream(&self) -> StreamRedactor {
        StreamRedactor::new(self.clone())
    }

    /// Returns where the secrets are, in order and without overlap, looking from `from` on.
    fn spans(&self, bytes: &[u8], from: usize) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        let mut at = from;
        while let Some(here) = self.next_candidate(bytes, at) {
            if starts_with(bytes, here, MARK.as_bytes()) {
                at = here + MARK.len();
                continue;
            }
            let fresh = spans.last().is_some_and(|span| span.end == here);
            match self.secret_at(bytes, here, fresh) {
                Some(span) => {
                    at = span.end;
                    spans.push(span);
                }
                None => at = here + 1,
            }
        }
        spans
    }

    fn next_candidate(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let rest = bytes.get(from..)?;
        let interesting = |byte: &u8| self.firsts.get(usize::from(*byte)).is_some_and(|yes| *yes);
        rest.iter().position(interesting).map(|ahead| from + ahead)
    }

    fn secret_at(&self, bytes: &[u8], at: usize, fresh: bool) -> Option<Range<usize>> {
        if let Some(unit) = wide::char_width_at(bytes, at) {
            return self.wide_secret_at(bytes, at, unit, fresh);
        }
        let value = bytes
            .get(at)
            .and_then(|first| self.values.get(first))
            .and_then(|values| values.iter().find(|value| starts_with(bytes, at, value)))
            .map(|value| at..at + value.len());
        value.or_else(|| shapes::token_at(bytes, at, fresh || shapes::is_boundary(bytes, at)))
    }
}

impl Redactor {
    /// Looks for a secret whose characters take several bytes each, as in UTF-16 and UTF-32.
    fn wide_secret_at(
        &self,
        bytes: &[u8],
        at: usize,
        unit: usize,
        fresh: bool,
    ) -> Option<Range<usize>> {
        let (before, text) = wide::narrowed(bytes, at, unit);
        let start = before.len();
        let whole = [before, text].concat();
        let found = self.secret_at(&whole, start, fresh)?;
        let end = at + (found.end - start) * unit;
        Some(at..end.min(bytes.len()))
    }
}

/// Copies `bytes[from..to]` with the spans replaced.
fn replaced(bytes: &[u8], from: usize, to: usize, spans: &[Range<usize>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(to.saturating_sub(from));
    let mut at = from;
    for span in spans.iter().filter(|span| span.start < to) {
        out.extend_from_slice(bytes.get(at..span.start).unwrap_or_default());
        wide::push_mark(bytes, span, &mut out);
        at = span.end;
    }
    out.extend_from_slice(bytes.get(at..to).unwrap_or_default());
    out
}

fn starts_with(bytes: &[u8], at: usize, needle: &[u8]) -> bool {
    bytes.get(at..at + needle.len()) == Some(needle)
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len().max(1)).any(|part| part == needle)
}

/// A value of several lines (a key file) is looked for line by line, since streams are cut at lines.
fn lines_of(value: &str) -> Vec<String> {
    let lines: Vec<&str> = value
        .split(['\r', '\n'])
        .filter(|l| !l.is_empty())
        .collect();
    match lines.as_slice() {
        [only] => vec![(*only).to_owned()],
        many => many
            .iter()
            .filter(|line| line.len() >= SHORTEST_ENCODED && !line.starts_with("-----"))
            .map(|line| (*line).to_owned())
            .collect(),
    }
}

/// The value itself and how tools commonly print it encoded.
fn forms_of(value: &str) -> Vec<Vec<u8>> {
    let bytes = value.as_bytes();
    let mut forms = vec![bytes.to_vec()];
    // Where every character is ASCII the text is made narrow before it is compared.
    if !value.is_ascii() {
        forms.push(value.encode_utf16().flat_map(u16::to_le_bytes).collect());
        forms.push(value.encode_utf16().flat_map(u16::to_be_bytes).collect());
    }
    if bytes.len() < SHORTEST_ENCODED {
        return forms;
    }
    forms.push(percent_encoded(bytes));
    forms.push(json_escaped(value));
    forms.push(hex(bytes, b"0123456789abcdef"));
    forms.push(hex(bytes, b"0123456789ABCDEF"));
    for lead in 0..3 {
        forms.push(base64(bytes, lead, b'+', b'/'));
        forms.push(base64(bytes, lead, b'-', b'_'));
    }
    forms
}

fn percent_encoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            out.push(*byte);
        } else {
            out.push(b'%');
            out.extend(hex(&[*byte], b"0123456789ABCDEF"));
        }
    }
    out
}

fn json_escaped(value: &str) -> Vec<u8> {
    value.replace('\\', r"\\").replace('"', "\\\"").into_bytes()
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    let digit = |nibble: u8| digits.get(usize::from(nibble)).copied().unwrap_or(b'0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The characters of the base64 form that depend on the value alone, where `lead` bytes of something
/// else come before it in its group of three.
fn base64(bytes: &[u8], lead: usize, plus: u8, slash: u8) -> Vec<u8> {
    let padded: Vec<u8> = [0, 0].iter().take(lead).chain(bytes).copied().collect();
    let symbol = |six: u8| match six {
        0..=25 => b'A' + six,
        26..=51 => b'a' + six - 26,
        52..=61 => b'0' + six - 52,
        62 => plus,
        _ => slash,
    };
    let bits = padded.len() * 8;
    let first = (lead * 8).div_ceil(6);
    (first..bits / 6)
        .map(|index| {
            let (byte, shift) = (index * 6 / 8, index * 6 % 8);
            let high = padded.get(byte).copied().unwrap_or(0);
            let low = padded.get(byte + 1).copied().unwrap_or(0);
            let both = (u16::from(high) << 8) | u16::from(low);
            symbol(u8::try_from((both >> (10 - shift)) & 63).unwrap_or(0))
        })
        .collect()
}

#[cfg(test)]
mod tests;
