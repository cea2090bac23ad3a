//! Shell patterns over plain text: `*`, `?` and sets, where `*` crosses everything.

/// Returns whether the whole of `text` fits `pattern`.
pub(in crate::domain::policy) fn wild_fits(pattern: &str, text: &str) -> bool {
    let pattern = items(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        let c = text.get(t).copied().unwrap_or_default();
        match pattern.get(p) {
            Some(Item::Star) => {
                back = Some((p, t));
                p += 1;
                continue;
            }
            Some(item) if item.fits(c) => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        let Some((star, from)) = back else {
            return false;
        };
        back = Some((star, from + 1));
        (p, t) = (star + 1, from + 1);
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|item| *item == Item::Star))
}

#[derive(Debug, PartialEq, Eq)]
enum Item {
    Star,
    Any,
    One(char),
    Set { not: bool, of: Vec<(char, char)> },
}

impl Item {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::One(own) => *own == c,
            Self::Set { not, of } => of.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not,
        }
    }
}

fn items(pattern: &str) -> Vec<Item> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut found = Vec::with_capacity(chars.len());
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        at += 1;
        match c {
            '*' => found.push(Item::Star),
            '?' => found.push(Item::Any),
            '\\' => {
                found.push(Item::One(chars.get(at).copied().unwrap_or('\\')));
                at += 1;
            }
            '[' => match set(&chars, at) {
                Some((item, end)) => {
                    found.push(item);
                    at = end;
                }
                None => found.push(Item::One('[')),
            },
            other => found.push(Item::One(other)),
        }
    }
    found
}

/// Reads a set from behind its bracket; returns it and the place behind its end.
fn set(chars: &[char], start: usize) -> Option<(Item, usize)> {
    let not = matches!(chars.get(start), Some('!' | '^'));
    let first = if not { start + 1 } else { start };
    let mut at = first;
    let mut of = Vec::new();
    loop {
        let c = chars.get(at).copied()?;
        if c == ']' && at > first {
            return Some((Item::Set { not, of }, at + 1));
        }
        let to = chars.get(at + 2).copied().filter(|to| *to != ']');
        if let (Some('-'), Some(to)) = (chars.get(at + 1), to) {
            of.push((c, to));
            at += 3;
        } else {
            of.push((c, c));
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        let cases = [
            ("r[m]", "rm", true),
            ("r[!m]", "rm", false),
            ("?m", "rm", true),
            ("*/", "a/b/", true),
            ("[a-c]*z", "bcz", true),
            ("[", "[", true),
            ("r\\m", "rm", true),
        ];
        for (pattern, text, wanted) in cases {
            assert_eq!(wild_fits(pattern, text), wanted, "{pattern} {text}");
        }
    }
}
