//! Texts that the shell parser does not come back from: the judge ends the attempt and refuses.
//!
//! The child that parses is the built program, so these tests run it.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use tempfile::TempDir;

const TOS: &str = env!("CARGO_BIN_EXE_tos");

/// Texts on which the parser collects memory until it is ended. The first are known by their looks and are refused without
/// an attempt; what holds the others is only the limits.
const HANGS: [&str; 9] = [
    "cat${ <<'' x ",
    "''<<''<<'''' << ",
    "<<$[ $[ $[ << $[$[<< $[$[ << $[",
    "<< \r # <$[9 \r",
    "<<-'' ",
    "<<EOF$(\r ",
    "<< *$[ |&* ",
    "<<-$( <<-#&& ",
    "<<case$(( ))  ",
];

fn explain(code: &str) -> (Option<i32>, String) {
    let folder = TempDir::new().unwrap();
    let ran = Command::new(TOS)
        .args(["policy", "explain", code])
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    (ran.status.code(), said)
}

/// Gives a text to the child itself, past everything that looks at it before; returns what it said.
fn parse_in_child(code: &str) -> (Option<i32>, String) {
    let mut child = Command::new(TOS)
        .arg("__parse")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(code.as_bytes()).unwrap();
    drop(input);
    let ran = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    (ran.status.code(), said)
}

#[test]
fn a_parser_that_does_not_come_back_is_ended_by_its_limits() {
    for code in HANGS {
        let (status, said) = parse_in_child(code);
        assert_ne!(status, Some(0), "{code:?}");
        assert_eq!(said, "", "{code:?}");
    }
    for code in ["cat <<EOF\nx\nEOF\n", "rm -rf (", "a 22222222222>b"] {
        assert_eq!(
            parse_in_child(code),
            (Some(0), "done\n".to_owned()),
            "{code}"
        );
    }
}

#[test]
fn a_text_that_hangs_the_parser_is_refused_and_the_judge_lives() {
    for code in HANGS {
        let (status, said) = explain(code);
        assert_eq!(status, Some(1), "{code:?}: {said}");
        assert!(said.starts_with("deny"), "{code:?}: {said}");
    }
}

#[test]
fn the_reason_says_that_the_text_could_not_be_read_in_time() {
    let (_, said) = explain("ls; bash -c '<<EOF$(\r '");
    assert!(said.contains("could not be read in time"), "{said}");
    // Slow, not endless: brackets that the parser tries in two ways each.
    let (_, said) = explain(&"((a ".repeat(12));
    assert!(said.contains("nested too deeply"), "{said}");
}

#[test]
fn documents_are_judged_as_before_through_the_child() {
    let (status, said) = explain("cat > notes.txt <<'EOF'\nrm -rf /srv\nEOF\n");
    assert_eq!(
        (status, said.starts_with("allow")),
        (Some(0), true),
        "{said}"
    );
    let (status, said) = explain("bash <<'EOF'\nrm -rf /srv/data\nEOF\n");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("removes /srv/data"), "{said}");
}
