//! Whether code shows one variable whose name says that its value is a key: `print(os.environ["API_KEY"])`.
//!
//! Handing a key to what needs it is ordinary work, and so is asking whether it is set. Only what reaches the screen counts, directly or
//! through one name that the code gave it. Danger: code that takes the value further is not followed.

use crate::domain::policy::{
    programs::{environment::names_secret, is_in},
    shell::ShellInterpreter,
};

/// What stands in front of the name of a variable, quotation marks aside.
const ACCESS: [&str; 20] = [
    "os.environ[",
    "os.environ.get(",
    "environ[",
    "environ.get(",
    "os.getenv(",
    "System.getenv(",
    "getenv(",
    "process.env.",
    "process.env[",
    "process.env?.",
    "Deno.env.get(",
    "Bun.env.",
    "import.meta.env.",
    "ENV[",
    "ENV.fetch(",
    "$ENV{",
    "$_ENV[",
    "$_SERVER[",
    "ENVIRON[",
    "get_env(",
];
/// Words with which a statement shows something.
const SHOWS: &str = "print println printf puts p pp say echo warn pprint write writeln log error info debug dir table inspect exit die
    fail raise display cat message output print_r var_dump";
/// Calls that hand a text on as it is, or in another spelling.
const HANDS_ON: &str = "str repr dumps stringify format String join b64encode encode decode strip trim Buffer from toString btoa
    to_s list tuple f fetch";

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns where the access of a variable begins that stands in front of its name.
fn access_before(head: &str) -> Option<&str> {
    let bare = head.trim_end_matches(['\'', '"', '`', '\\', ' ']);
    ACCESS.iter().find_map(|access| bare.strip_suffix(access))
}

/// Returns whether what follows asks something of a value rather than taking it.
fn asks(behind: &str) -> bool {
    let behind = behind.trim_start_matches(['\'', '"', '`', '\\', ']', ')', '}', ' ']);
    let tests = [
        "? ",
        "?\"",
        "?'",
        "!=",
        "==",
        "&& ",
        "is ",
        "and ",
        ".length",
        ".size",
        ".nil",
        ".empty",
        ".present",
        "in ",
        "if ",
        "eq ",
        "ne ",
        ".bytes",
        ".startswith",
        ".startsWith",
        ".start_with",
    ];
    tests.iter().any(|test| behind.starts_with(test))
}

/// Returns the last word of a text that shows, and what stands behind it.
fn shown_by(head: &str) -> Option<&str> {
    let mut found = None;
    let mut from = 0;
    while let Some(start) = head.get(from..)?.find(is_name).map(|at| from + at) {
        let rest = head.get(start..)?;
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let word = rest.get(..end)?;
        let behind = rest.get(end..)?;
        if is_in(SHOWS, word) && behind.starts_with(['(', ' ', '!', '"', '\'', '$']) {
            found = Some(behind);
        }
        from = start + end;
    }
    found
}

/// Returns whether what stands between a word that shows and a value hands the value on.
fn hands_on(between: &str) -> bool {
    let tests = ["!!", " if ", " ? ", "==", "not ", "bool", "Boolean"];
    if tests.iter().any(|test| between.contains(test)) {
        return false;
    }
    let calls = between.match_indices('(').filter_map(|(at, _)| {
        let head = between.get(..at)?;
        let start = head.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
        head.get(start..)
    });
    // A call that is closed again has nothing to do with the value.
    let open = between.matches('(').count() > between.matches(')').count();
    calls
        .into_iter()
        .all(|call| call.is_empty() || is_in(HANDS_ON, call) || !open)
}

/// Returns the name that a statement gives a value.
fn given_name(head: &str) -> Option<&str> {
    let head = head.trim_end().strip_suffix('=')?.trim_end();
    let start = head
        .rfind(|c| !(is_name(c) || c == '$'))
        .map_or(0, |at| at + 1);
    head.get(start..).filter(|name| !name.is_empty())
}

/// Returns whether a name is shown anywhere in the code.
fn shows_name(code: &str, name: &str) -> bool {
    code.split(['\n', ';']).any(|statement| {
        statement.match_indices(name).any(|(at, _)| {
            let head = statement.get(..at).unwrap_or("");
            let behind = statement.get(at + name.len()..).unwrap_or("");
            let whole = !head.ends_with(is_name) && !behind.starts_with(is_name);
            whole && !asks(behind) && shown_by(head).is_some_and(hands_on)
        })
    })
}

/// Returns the first variable with the name of a key whose value the code shows.
fn shown(code: &str) -> Option<&str> {
    let mut from = 0;
    while let Some(start) = code
        .get(from..)?
        .find(|c: char| c.is_ascii_uppercase())
        .map(|at| from + at)
    {
        let rest = code.get(start..)?;
        let name = rest.get(..rest.find(|c| !is_name(c)).unwrap_or(rest.len()))?;
        from = start + name.len();
        if !names_secret(name) {
            continue;
        }
        let Some(head) = access_before(code.get(..start)?) else {
            continue;
        };
        let behind = code.get(from..)?;
        let statement = head.rsplit(['\n', ';']).next().unwrap_or(head);
        let alone = head.trim().is_empty()
            && behind
                .trim_end_matches(['\'', '"', ']', ')', ' ', '\n', ';'])
                .is_empty();
        let direct = shown_by(statement).is_some_and(hands_on) && !asks(behind);
        let later = given_name(statement).is_some_and(|given| shows_name(behind, given));
        if alone || direct || later {
            return Some(name);
        }
    }
    None
}

/// Returns whether code shows what it parsed of a file with keys. What `node -p` is given, it prints.
fn shows_parsed(code: &str) -> bool {
    const PRINTS: [&str; 5] = [
        "console.log",
        "console.table",
        "print(",
        "stdout.write",
        "puts ",
    ];
    let has = |text: &str, marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
    let names_only = |text: &str| {
        text.contains("Object.keys") && !has(text, &["Object.entries", "Object.values"])
    };
    let is_whole = !has(code, &[";", "=>", "write", "const ", "let ", "\n"])
        && code.contains("JSON.stringify");
    code.split(['\n', ';']).any(|statement| {
        let mut places = statement.match_indices(".parsed");
        places.any(|(at, mark)| {
            let (head, behind) = (
                statement.get(..at).unwrap_or(""),
                statement.get(at + mark.len()..).unwrap_or(""),
            );
            let one = behind
                .strip_prefix('.')
                .is_some_and(|name| !names_secret(name));
            let given = head.split('=').next().filter(|_| head.contains('='));
            let name = given.and_then(|head| head.split_whitespace().last());
            let is_loop =
                has(statement, &["for ", "forEach", "for("]) && code.contains("console.log");
            let later = || name.is_some_and(|name| shows_name(code, name));
            !one && !names_only(statement)
                && (is_whole || has(statement, &PRINTS) || is_loop || later())
        })
    })
}

/// Returns whether a statement of PowerShell or cmd shows a key; `mark` stands in front of the names of variables.
fn statement_shows(statement: &str, mark: &str) -> bool {
    const PRINTS: &str = "echo write-output write-host write write-warning write-verbose write-error write-information @echo";
    let text = statement.trim().to_ascii_lowercase();
    let mut words = text.split([' ', '\t', '.']).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or("");
    if first == "set" && mark == "%" {
        let listed = words.next().unwrap_or("");
        return !listed.contains('=')
            && words.next().is_none()
            && names_secret(&listed.to_ascii_uppercase());
    }
    let bare = text.trim_start_matches(['"', '$', '{', '(']);
    let prints = is_in(PRINTS, first) || mark == "env:" && bare.starts_with("env:");
    // What goes on to another program, or to a file, is shown to nobody.
    if !prints || text.contains(['|', '>']) {
        return false;
    }
    text.match_indices(mark).any(|(at, _)| {
        let rest = text.get(at + mark.len()..).unwrap_or("");
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let behind = behind.trim_start_matches(['}', ')', ' ']);
        let tests = [
            "=", ".length", "-eq", "-ne", "-like", "-match", "-and", ":~0,0",
        ];
        names_secret(&name.to_ascii_uppercase())
            && !tests.iter().any(|test| behind.starts_with(test))
    })
}

impl ShellInterpreter<'_, '_> {
    /// Looks at statements of PowerShell and cmd that show the value of a key.
    pub(in crate::domain::policy) fn secrets_on_windows(
        &mut self,
        code: &str,
        mark: &str,
        ends: [char; 2],
    ) {
        if code
            .split(ends)
            .any(|statement| statement_shows(statement, mark))
        {
            self.reading.opaque(
                "what it prints holds the value of a variable whose name says that it is a key",
            );
        }
    }

    /// Looks at code that shows the value of a key from the environment.
    pub(in crate::domain::policy) fn secrets_in_code(&mut self, code: &str) {
        if code.contains("dotenv") && shows_parsed(code) {
            self.reading
                .opaque("the code, which shows what a file with keys says");
        }
        if let Some(name) = shown(code) {
            self.reading
                .opaque(format!("the code, which shows the value of {name}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_windows_that_show_a_key_are_told_from_others() {
        for line in [
            "Write-Output $env:API_KEY",
            "echo \"t $env:GITHUB_TOKEN\"",
            "$env:AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(statement_shows(line, "env:"), "{line}");
        }
        for line in ["echo %GITHUB_TOKEN%", "@echo %API_KEY%", "set API_KEY"] {
            assert!(statement_shows(line, "%"), "{line}");
        }
        for line in [
            "$env:API_KEY = 'x'",
            "echo $env:PATH",
            "echo $env:API_KEY.Length",
            "$env:API_KEY | docker login --password-stdin",
            "Invoke-RestMethod http://localhost -Headers @{ a = $env:API_KEY }",
        ] {
            assert!(!statement_shows(line, "env:"), "{line}");
        }
        for line in ["set API_KEY=x", "echo %PATH%", "set", "npm run %API_KEY%"] {
            assert!(!statement_shows(line, "%"), "{line}");
        }
    }

    #[test]
    fn code_that_shows_a_key_is_told_from_code_that_uses_it() {
        for code in [
            "import os; print(os.environ[\"OPENAI_API_KEY\"])",
            "import os; print('key', os.environ.get('GITHUB_TOKEN', ''))",
            "import os\nkey = os.getenv('AWS_SECRET_ACCESS_KEY')\nprint(key)",
            "import os; print(f\"{os.environ['DB_PASSWORD']}\")",
            "console.log(process.env.STRIPE_SECRET_KEY)",
            "const k = process.env.API_TOKEN; console.log(`k ${k}`)",
            "process.env.NPM_TOKEN",
            "process.stdout.write(process.env['NPM_TOKEN'])",
            "puts ENV['API_KEY']",
            "p ENV.fetch(\"API_KEY\")",
            "print $ENV{API_KEY}",
            "echo getenv('API_KEY');",
            "BEGIN{print ENVIRON[\"API_KEY\"]}",
            "import os,base64; print(base64.b64encode(os.environ['API_KEY'].encode()))",
        ] {
            assert!(shown(code).is_some(), "{code}");
        }
        for code in [
            "import os; client = Client(api_key=os.environ['API_KEY']); print(client.models())",
            "import os; print(len(os.environ['API_KEY']))",
            "import os; print('set' if os.environ.get('API_KEY') else 'unset')",
            "import os; print('API_KEY' in os.environ)",
            "import os; print(os.environ['PATH'])",
            "import os; print(bool(os.environ.get('API_KEY')))",
            "console.log(!!process.env.API_KEY)",
            "console.log(process.env.API_KEY ? 'set' : 'unset')",
            "console.log('x'); const c = new C(process.env.API_KEY)",
            "puts ENV['API_KEY'].nil?",
            "print(API_KEY)",
        ] {
            assert_eq!(shown(code), None, "{code}");
        }
    }
}
