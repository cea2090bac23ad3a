//! Programs that ask for the home folder.

use crate::domain::policy::{programs::code::Language, shell::ShellInterpreter};

/// Looks at a program that looks for the home folder, and reads keys or removes something there.
pub(super) fn at_home(shell: &mut ShellInterpreter<'_, '_>, language: Language, code: &str) {
    const HOMES: [&str; 7] = [
        "os.UserHomeDir",
        "Getenv(\"HOME\")",
        "getenv(\"HOME\")",
        "home_dir()",
        "env::var(\"HOME\")",
        "user.home",
        "user.Current()",
    ];
    const HARMS: [&str; 18] = [
        "os.Remove",
        "os.Truncate",
        "remove_file",
        "remove_dir",
        "unlink(",
        "\".netrc",
        "\".ssh",
        "\".aws",
        "\".kube",
        "\".gnupg",
        "\".npmrc",
        "\".pypirc",
        "\".git-credentials",
        "\"id_rsa",
        "\"id_ed25519",
        "/.netrc",
        "/.ssh/",
        "/.aws/",
    ];
    let has = |marks: &[&str]| marks.iter().any(|mark| code.contains(mark));
    if language == Language::C && has(&HOMES) && has(&HARMS) {
        let why = "a program that reads keys or removes files in the home folder";
        shell.reading.opaque(why);
    }
}
