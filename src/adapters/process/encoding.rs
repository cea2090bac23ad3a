//! Text in other encodings than UTF-8: what programs print and what a done condition looks at.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, SHIFT_JIS, UTF_16BE, UTF_16LE};

/// Bytes that decide about the encoding of a long text.
const SAMPLE: usize = 256 * 1024;

/// Returns the text and the name of its encoding, or nothing where the bytes are no text in any known one.
///
/// A byte order mark decides, then UTF-8, then zeros (UTF-16 without a mark), then what the bytes look like; where that
/// is not certain, CP932, which the original promised.
pub(crate) fn decode(bytes: &[u8]) -> Option<(String, &'static str)> {
    if let Some((encoding, skip)) = Encoding::for_bom(bytes) {
        return strict(encoding, bytes.get(skip..).unwrap_or_default());
    }
    if bytes.contains(&0) {
        let own = utf_16_of(bytes);
        let other = if own == UTF_16LE { UTF_16BE } else { UTF_16LE };
        return strict(own, bytes).or_else(|| strict(other, bytes));
    }
    if bytes.contains(&0x1B)
        && let Some(found) = strict(ISO_2022_JP, bytes)
        && !found.0.is_ascii()
    {
        return Some(found);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some((text.to_owned(), "UTF-8"));
    }
    let guess = guess(bytes);
    let certain = is_certain(guess, bytes).then(|| strict(guess, bytes));
    certain
        .flatten()
        .or_else(|| strict(SHIFT_JIS, bytes))
        // Kana and kanji alone have no zeros in UTF-16 either.
        .or_else(|| strict(UTF_16LE, bytes))
        .or_else(|| strict(guess, bytes))
}

/// Returns the beginning and the end of an output as text, and the name of their encoding; nothing where they are
/// UTF-8, or no text that is recognised for certain.
///
/// Both parts may have been cut inside a character: what is torn at the cut is left out. `tail_at` is the place of the
/// tail in the whole.
pub(crate) fn decode_output(
    head: &[u8],
    tail: &[u8],
    tail_at: u64,
) -> Option<(String, String, &'static str)> {
    let is_cut = !tail.is_empty();
    if !is_cut && std::str::from_utf8(head).is_ok() && !head.contains(&0) && !head.contains(&0x1B) {
        return None;
    }
    let encoding = encoding_of(head, tail)?;
    let skip = Encoding::for_bom(head).map_or(0, |(_, skip)| skip);
    let start = tail_start(encoding, tail, tail_at);
    let head = readable(encoding, head.get(skip..)?, is_cut)?;
    let tail = readable(encoding, tail.get(start..)?, false)?;
    Some((head, tail, encoding.name()))
}

/// Returns the encoding of an output, where it is certain and not UTF-8.
fn encoding_of(head: &[u8], tail: &[u8]) -> Option<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return (encoding != encoding_rs::UTF_8).then_some(encoding);
    }
    let both = [head, tail].concat();
    if both.contains(&0) {
        // Every second byte of ordinary text is zero; a few zeros are a binary file.
        let zeros: usize = both.iter().map(|byte| usize::from(*byte == 0)).sum();
        return (zeros * 4 >= both.len()).then(|| utf_16_of(head));
    }
    if both.contains(&0x1B) {
        let japanese = strict(ISO_2022_JP, head).is_some_and(|(text, _)| !text.is_ascii());
        if japanese {
            return Some(ISO_2022_JP);
        }
    }
    if without_torn_end(head) && without_torn_end(tail) {
        return None;
    }
    // One part alone: where they meet, characters may be torn.
    let part = if head.is_ascii() {
        tail.get(line_start(tail)..)?
    } else {
        head
    };
    let guess = guess(part);
    if is_certain(guess, part) {
        return Some(guess);
    }
    // A few words are too little to tell; wide characters that all fit are enough.
    (wide(SHIFT_JIS, part) >= 2).then_some(SHIFT_JIS)
}

/// Whether the bytes are UTF-8 but for a character torn at the end.
fn without_torn_end(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// Returns which of the two UTF-16 has its zeros where these bytes have them.
fn utf_16_of(bytes: &[u8]) -> &'static Encoding {
    let zeros = |first: usize| {
        bytes
            .iter()
            .skip(first)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    if zeros(0) > zeros(1) {
        UTF_16BE
    } else {
        UTF_16LE
    }
}

/// Returns what the bytes look like most.
fn guess(bytes: &[u8]) -> &'static Encoding {
    guess_from(bytes, None)
}

fn guess_from(bytes: &[u8], country: Option<&[u8]>) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    // Never the last piece: a character torn at the end must not speak against its encoding.
    detector.feed(bytes.get(..SAMPLE).unwrap_or(bytes), false);
    detector.guess(country, Utf8Detection::Deny)
}

/// Whether a guess can be relied on: its wide characters all fit, or it is the same wherever the bytes come from.
fn is_certain(guess: &'static Encoding, bytes: &[u8]) -> bool {
    if !guess.is_single_byte() {
        return wide(guess, bytes) >= 4;
    }
    let countries: [&[u8]; 5] = [b"jp", b"cn", b"kr", b"ru", b"de"];
    let same = |country: &&[u8]| guess_from(bytes, Some(country)) == guess;
    countries.iter().all(same)
}

/// Counts wide characters (kana, kanji, hangul) in bytes that are text in this encoding but for a torn end; 0 where they are
/// not, or where other characters prevail.
fn wide(encoding: &'static Encoding, bytes: &[u8]) -> usize {
    let Some(text) = readable(encoding, bytes, true) else {
        return 0;
    };
    let foreign = text.chars().filter(|c| !c.is_ascii());
    let (wide, other) = foreign.fold((0_usize, 0_usize), |(wide, other), c| {
        let is_wide = c >= '\u{2E80}' && !('\u{FF61}'..='\u{FF9F}').contains(&c);
        if is_wide {
            (wide + 1, other)
        } else {
            (wide, other + 1)
        }
    });
    if wide > other { wide } else { 0 }
}

/// Returns where the first whole character of the tail begins.
fn tail_start(encoding: &'static Encoding, tail: &[u8], tail_at: u64) -> usize {
    if encoding == UTF_16LE || encoding == UTF_16BE {
        return usize::try_from(tail_at % 2).unwrap_or(0).min(tail.len());
    }
    line_start(tail)
}

/// Returns where the first line begins that is there from its beginning: in most encodings only an end of line is never
/// part of a longer character.
fn line_start(tail: &[u8]) -> usize {
    let line = tail.iter().take(4096).position(|byte| *byte == b'\n');
    line.map_or(0, |at| at + 1)
}

/// Decodes a part of an output; nothing where more than a torn end does not fit.
fn readable(encoding: &'static Encoding, bytes: &[u8], is_cut: bool) -> Option<String> {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    let text = if is_cut {
        Cow::from(text.trim_end_matches('\u{FFFD}'))
    } else {
        text
    };
    let is_text = !text.contains('\u{FFFD}') && !text.contains(is_control);
    is_text.then(|| text.into_owned())
}

/// Control characters that no text in an old encoding holds; escape sequences of terminals are ordinary.
fn is_control(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9F}')
}

fn strict(encoding: &'static Encoding, bytes: &[u8]) -> Option<(String, &'static str)> {
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some((text.into_owned(), encoding.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: &str = "合計: 600\n平均: 200\n件数: 3\n";

    fn encoded(label: &str, text: &str) -> Vec<u8> {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        let (bytes, _, is_lossy) = encoding.encode(text);
        assert!(!is_lossy, "{label}");
        bytes.into_owned()
    }

    #[test]
    fn text_in_common_encodings_is_read() {
        let long = "ファイルが見つかりません。もう一度確認してください。\n".repeat(3);
        for (label, text) in [
            ("shift_jis", GOAL),
            ("shift_jis", &long),
            ("euc-jp", &long),
            ("iso-2022-jp", GOAL),
            ("gbk", &"找不到文件，请再检查一次。\n".repeat(3)),
            (
                "euc-kr",
                &"파일을 찾을 수 없습니다. 다시 확인하십시오.\n".repeat(3),
            ),
            (
                "windows-1251",
                &"Файл не найден, проверьте путь ещё раз.\n".repeat(3),
            ),
        ] {
            let bytes = encoded(label, text);
            assert_eq!(decode(&bytes).unwrap().0, text, "{label}");
            let (head, tail, _) =
                decode_output(&bytes, b"", 0).unwrap_or_else(|| panic!("{label}"));
            assert_eq!((head.as_str(), tail.as_str()), (text, ""), "{label}");
        }
    }

    #[test]
    fn utf_16_is_read_with_and_without_its_mark() {
        for text in [GOAL, "plain\n"] {
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            for bytes in [
                [b"\xFF\xFE".as_slice(), &little].concat(),
                [b"\xFE\xFF".as_slice(), &big].concat(),
                little,
                big,
            ] {
                assert_eq!(decode(&bytes).unwrap().0, text);
                assert_eq!(decode_output(&bytes, b"", 0).unwrap().0, text);
            }
        }
    }

    #[test]
    fn what_is_torn_at_the_cut_is_left_out() {
        let text = "ファイルが見つかりません。\n".repeat(20);
        for label in ["shift_jis", "euc-jp"] {
            let bytes = encoded(label, &text);
            for cut in 60..80 {
                let (head, tail) = (&bytes[..cut], &bytes[bytes.len() - cut..]);
                let at = (bytes.len() - cut) as u64;
                let (head, tail, _) = decode_output(head, tail, at).unwrap();
                assert!(
                    text.starts_with(&head) && head.chars().count() >= 25,
                    "{head}"
                );
                assert!(text.ends_with(&tail) && !tail.is_empty(), "{tail}");
            }
        }
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for cut in 60..64 {
            let at = bytes.len() - cut;
            // No zeros here but those of the line ends: with the mark in front it is certain.
            let whole = [b"\xFF\xFE".as_slice(), &bytes[..cut]].concat();
            let (head, tail, _) = decode_output(&whole, &bytes[at..], at as u64).unwrap();
            assert!(
                text.starts_with(&head) && text.ends_with(&tail),
                "{head} {tail}"
            );
        }
    }

    #[test]
    fn utf_8_and_what_is_no_text_are_left_to_others() {
        for bytes in [
            "合計: 3\n".as_bytes(),
            b"plain",
            b"\x1b[31mred\x1b[0m",
            b"a\\b\xff\n",
            b"\x7fELF\x02\x01\x01\x00\x00\xff\xfe\x80\x81 binary",
            b"caf\xe9",
        ] {
            assert_eq!(decode_output(bytes, b"", 0), None, "{bytes:?}");
        }
        assert_eq!(decode(&[0xff, 0xfe, 0x00]), None);
    }
}
