//! Code that takes the values out of a file with keys: into another file, or onto the screen in another spelling.
//!
//! Reading such a file is ordinary work. What counts is where its values go: a file that is given to git goes to everybody.

use crate::domain::policy::programs::{code::lex::Token, git_added::is_key_file};

/// Returns the file with keys whose values the code takes, if there is one.
pub(super) fn taken<'t>(code: &str, tokens: &'t [Token]) -> Option<&'t str> {
    let named = tokens.iter().find_map(|token| match token {
        Token::Text(text) if is_key_file(text) => Some(text.as_str()),
        Token::Text(_) | Token::Word(_) | Token::Command(_) | Token::Sign(_) | Token::End => None,
    });
    named.filter(|_| !takes_names_only(code))
}

/// Returns whether code shows what it takes in another spelling.
pub(super) fn shows_spelled(code: &str) -> bool {
    const SPELLS: [&str; 10] = [
        "b64encode",
        "b85encode",
        "a85encode",
        "b32encode",
        "hexlify",
        ".hex()",
        "btoa(",
        "base64",
        "strict_encode64",
        "encode64",
    ];
    const SHOWS: [&str; 5] = ["console.log", "print(", "stdout.write", "puts ", "echo "];
    let has = |marks: &[&str]| marks.iter().any(|mark| code.contains(mark));
    has(&SPELLS) && has(&SHOWS) && !code.contains("decode")
}

/// Returns whether code takes the names of the variables, a digest or a count, and leaves the values where they are.
fn takes_names_only(code: &str) -> bool {
    let has = |marks: &[&str]| marks.iter().any(|mark| code.contains(mark));
    let later = has(&["[1]", "[2]", "[1:]", "[-1]", "group(2)"]);
    let lists_values = has(&[
        "Object.entries",
        "Object.values",
        "JSON.stringify",
        ".items()",
        ".values()",
    ]);
    let is_name = has(&["[1]", "group(1)"]) && !has(&["[2]", "group(2)", "(.", "split("]);
    has(&["=.*", "sha256", "sha1", "md5"])
        || has(&["[0]", "partition", "keys"]) && !later && !lists_values
        || is_name && !lists_values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_values() {
        for code in [
            "fs.writeFileSync('.env.example', text.replace(/=.*/g, '='))",
            "names = [l.split('=', 1)[0] for l in lines]",
            "Object.keys(parsed)",
            "const m = line.match(/^([A-Z_]+)=/); out.push(m[1])",
        ] {
            assert!(takes_names_only(code), "{code}");
        }
        for code in [
            "vals = [l.split('=', 1)[1] for l in lines]",
            "const m = line.match(/^([A-Z0-9_]+)=(.*)$/); cfg[m[1]] = m[2]",
            "shutil.copyfileobj(a, b)",
            "json.dump(dict(l.split('=', 1) for l in lines), out)",
        ] {
            assert!(!takes_names_only(code), "{code}");
        }
    }
}
