//! Words that make no sense, and the way to words that do.

use crate::sample;

#[test]
fn a_usage_error_shows_the_usage_and_leaves_with_2() {
    let machine = sample();
    insta::assert_snapshot!(machine.run(&[]), @r#"
    --- stderr
    error: nothing to do: give `--mode` or a command
    hint: there is a configuration here; three things to do next:
      tos status     where the job stands
      tos doctor     what is missing, and what to do about it
      tos run        work on the next job

    usage tos --mode run|test|cleanrun|checkpoint|rollback --clean --summary-file PATH
      checkpoint: --name <text>
      rollback: --target-commit <hash> (optional, uses last_checkpoint.txt if not specified)
    --- exit 2
    "#);
    insta::assert_snapshot!(machine.run(&["--mode", "dance"]), @r#"
    --- stderr
    error: invalid value 'dance' for '--mode <MODE>'
      [possible values: run, test, cleanrun, checkpoint, rollback]

    Usage: tos --mode <run|test|cleanrun|checkpoint|rollback> [OPTIONS]
           tos <COMMAND> [OPTIONS]

    For more information, try '--help'.
    --- exit 2
    "#);
    insta::assert_snapshot!(machine.run(&["--mode", "run", "--verify-only"]), @r#"
    --- stderr
    error: `--verify-only` goes with `--mode` test, rollback
    hint: `tos --help` shows every mode and command
    --- exit 2
    "#);
}

#[test]
fn help_and_version_are_no_errors() {
    let machine = sample();
    for words in [&["--help"][..], &["steps", "--help"], &["--version"]] {
        let ran = machine.run(words);
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(ran.stdout.contains("tos"), "{ran}");
        assert_eq!(ran.stderr, "", "{ran}");
    }
}
