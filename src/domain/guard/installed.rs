//! What an installation of the hook did to a settings file, so that taking the hook out undoes exactly that.
//!
//! Only text of the guard's own and names of keys are in it, never a value of the file: settings may hold secrets.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A piece of text that came into a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsertedText {
    /// Where it begins, in bytes of the longer text.
    pub at: usize,
    /// The text.
    pub text: String,
}

/// What is known of one settings file with the hook in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstallRecord {
    /// What the file held before of what hooks stand in, as paths of keys.
    pub held: Vec<String>,
    /// What came into it, in the order of the text.
    pub inserted: Vec<InsertedText>,
    /// Folders that were made for it, the outermost first.
    pub made_folders: Vec<PathBuf>,
}

/// Puts one more piece into a text and notes it among those that came before it.
pub fn insert(text: &mut String, pieces: &mut Vec<InsertedText>, at: usize, new: &str) {
    text.insert_str(at, new);
    let mut is_part = false;
    for piece in pieces.iter_mut() {
        let end = piece.at + piece.text.len();
        if piece.at < at && at <= end {
            piece.text.insert_str(at - piece.at, new);
            is_part = true;
        } else if piece.at >= at {
            piece.at += new.len();
        }
    }
    if !is_part {
        pieces.push(InsertedText {
            at,
            text: new.to_owned(),
        });
        pieces.sort_by_key(|piece| piece.at);
    }
}

/// Returns the text without the pieces that came into it; `None` where they are not all there any more. A text that was
/// edited elsewhere keeps its edits.
pub fn remove_inserted_pieces(text: &str, pieces: &[InsertedText]) -> Option<String> {
    if pieces.is_empty() {
        return None;
    }
    let in_place = |piece: &InsertedText| {
        let end = piece.at.checked_add(piece.text.len());
        end.and_then(|end| text.get(piece.at..end)) == Some(piece.text.as_str())
    };
    let mut places: Vec<(usize, usize)> = if pieces.iter().all(in_place) {
        let own = pieces.iter();
        own.map(|piece| (piece.at, piece.text.len())).collect()
    } else {
        let only = |piece: &InsertedText| {
            let mut found = text.match_indices(&piece.text);
            let (at, _) = found.next()?;
            found.next().is_none().then_some((at, piece.text.len()))
        };
        pieces.iter().map(only).collect::<Option<_>>()?
    };
    places.sort_unstable();
    let mut shorter = text.to_owned();
    let mut next = text.len();
    for (at, length) in places.into_iter().rev() {
        if at + length > next {
            return None;
        }
        shorter.replace_range(at..at + length, "");
        next = at;
    }
    Some(shorter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_and_go_also_inside_each_other_and_after_an_edit() {
        let before = "{\"a\":1,\"b\":[]}";
        let (mut text, mut pieces) = (before.to_owned(), Vec::new());
        insert(&mut text, &mut pieces, 12, "x,z");
        insert(&mut text, &mut pieces, 14, "y,");
        insert(&mut text, &mut pieces, 6, "<first>");
        insert(&mut text, &mut pieces, 21, "0");
        assert_eq!(text, "{\"a\":1<first>,\"b\":[x,0y,z]}");
        assert_eq!(pieces.len(), 2, "{pieces:?}");
        assert_eq!(
            remove_inserted_pieces(&text, &pieces).as_deref(),
            Some(before)
        );
        let edited = text.replace("\"a\":1", "\"longer\":100");
        assert_eq!(
            remove_inserted_pieces(&edited, &pieces).as_deref(),
            Some("{\"longer\":100,\"b\":[]}")
        );
        assert_eq!(
            remove_inserted_pieces(&text.replace('y', "?"), &pieces),
            None
        );
        assert_eq!(remove_inserted_pieces("", &pieces), None);
    }
}
