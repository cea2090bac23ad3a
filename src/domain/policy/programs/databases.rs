//! Clients of databases: texts that run programs, reach files, or leave nothing of what a server holds.

use crate::domain::policy::{
    partial_text::FRESH,
    programs::{Options, is_in},
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Words of databases that reach files or programs.
const REACHES: [&str; 20] = [
    ".OUTPUT |",
    ".ONCE |",
    "TO PROGRAM",
    "FROM PROGRAM",
    "LOAD_EXTENSION",
    "WRITEFILE",
    "READFILE",
    "EDIT(",
    "FSDIR",
    ".LOAD ",
    ".IMPORT |",
    "INTO OUTFILE",
    "INTO DUMPFILE",
    "SYS_EXEC",
    "DBLINK",
    "PG_READ_FILE",
    "LO_EXPORT",
    "ATTACH ",
    "VACUUM INTO",
    "-CMD",
];

/// Words with which a server loses more than rows and tables.
const DESTROYS: [&str; 6] = [
    "DROP DATABASE",
    "DROP SCHEMA",
    "DROP OWNED",
    "DROP USER",
    "DROP ROLE",
    "DROP TABLESPACE",
];

impl ShellInterpreter<'_, '_> {
    /// Looks at the file that a database starts with.
    fn started_with(&mut self, args: &[String]) {
        let started = args.windows(2).find_map(|pair| match pair {
            [option, file] if option == "-init" => Some(file.clone()),
            _ => None,
        });
        if let Some(file) = started {
            self.runs_file(&file);
        }
    }

    /// Looks at files and other machines that a text for a database names.
    fn database_reaches(&mut self, name: &str, line: &str, upper: &str) {
        let brings = [
            "INSTALL ",
            "LOAD ",
            "EXPORT DATABASE",
            "IMPORT DATABASE",
            "COPY ",
            "HTTPFS",
            "GETENV(",
        ];
        if name == "duckdb"
            && (brings.iter().any(|word| upper.contains(word)) || line.contains("://"))
        {
            self.reading
                .opaque("duckdb with a text that reaches files or other machines");
        }
        for path in line.split(['\'', '"']).skip(1).step_by(2) {
            if path.starts_with(['/', '~']) && name != "psql" {
                self.reads(path);
                if self.foreign_path(path) {
                    self.reading
                        .opaque(format!("{name} with {path}, which is none of the project"));
                }
            }
        }
    }

    /// Looks for a server on another machine.
    fn database_elsewhere(&mut self, name: &str, args: &[String]) {
        let remote = args.iter().any(|arg| {
            arg.starts_with("-h") && arg.len() > 1 && arg != "-help"
                || arg.starts_with("--host")
                || arg.contains("://")
        });
        if remote && !super::loopback::is_local_host(args) && !["sqlite3", "duckdb"].contains(&name)
        {
            self.reading.does(
                EffectKind::Network,
                format!("{name} talks to another machine"),
            );
        }
    }

    /// Looks for a statement that leaves nothing of a table, unless the database is there to be tried on.
    fn empties_tables(&mut self, name: &str, args: &[String], text: &str) {
        let text = plain_statements(text);
        let words: Vec<String> = text.split_whitespace().map(str::to_uppercase).collect();
        let whole = words.join(" ");
        let parts: Vec<&str> = whole.split(';').map(str::trim).collect();
        let mut last = parts.iter().rev().filter(|part| !part.is_empty());
        let is_undone = parts.first().is_some_and(|part| part.starts_with("BEGIN"))
            && last.next() == Some(&"ROLLBACK")
            && !whole.contains("COMMIT");
        let empties = |statement: &str| {
            let statement = statement.trim_start();
            let rest = statement.strip_prefix("DELETE FROM ");
            let deletes = |rest: &str| {
                rest.split_once(" WHERE ")
                    .is_none_or(|(_, which)| is_always(which))
            };
            let sets = statement.starts_with("UPDATE ") && statement.contains(" SET ");
            rest.is_some_and(deletes)
                || sets && deletes(statement)
                || ["DROP TABLE ", "TRUNCATE "]
                    .iter()
                    .any(|start| statement.starts_with(start))
        };
        let is_file = name == "sqlite3";
        let is_tried = |arg: &String| {
            let mut parts = arg.split(|c: char| !c.is_alphanumeric());
            let own = "test tests testing tmp temp scratch";
            let of_files = "build target dist cache memory fixture fixtures demo example sample dev development local";
            !arg.contains(char::is_whitespace)
                && !arg.contains('=')
                && (parts.clone().any(|part| is_in(own, part))
                    || is_file && parts.any(|part| is_in(of_files, part))
                    || is_file && (arg.contains(FRESH) || self.has_written(arg)))
        };
        if !is_undone && parts.into_iter().any(empties) && !args.iter().any(is_tried) {
            self.reading.does(
                EffectKind::System,
                format!("{name} throws away or changes what every row of a table holds"),
            );
        }
    }

    pub(super) fn database(&mut self, name: &str, args: &[String], stdin: &str) {
        self.started_with(args);
        let scripts = Options::parse(
            args,
            "fdUhpPe",
            &["file", "dbname", "username", "host", "port"],
        );
        for file in scripts.values(&["f", "file"]).filter(|_| name == "psql") {
            self.runs_file(file);
        }
        let mut texts: Vec<&str> = args.iter().map(String::as_str).collect();
        texts.push(stdin);
        for text in &texts {
            self.empties_tables(name, args, text);
        }
        for line in texts.iter().flat_map(|text| text.lines()) {
            let line = line.trim();
            let words = [
                ".shell ",
                ".system ",
                "\\! ",
                "\\!",
                "system ",
                "\\o |",
                ".output |",
                ".once |",
                ".import |",
                ".import '|",
                ".import \"|",
            ];
            if let Some(code) = words.iter().find_map(|word| line.strip_prefix(word)) {
                drop(self.run_text(code, name, String::new()));
            }
            let upper = line.to_uppercase();
            self.database_reaches(name, line, &upper);
            if DESTROYS.iter().any(|word| upper.contains(word)) {
                self.reading.does(
                    EffectKind::System,
                    format!("{name} destroys what a server holds"),
                );
            }
            let changes = [
                "INSERT ", "UPDATE ", "DELETE ", "DROP ", "CREATE ", "ALTER ", "REPLACE ", "VACUUM",
            ];
            let file = args.iter().find(|arg| !arg.starts_with('-'));
            let changing = name == "sqlite3" && changes.iter().any(|word| upper.starts_with(word));
            if let Some(file) = file.filter(|_| changing) {
                self.writes(&file.clone());
            }
            if REACHES.iter().any(|word| upper.contains(word)) {
                self.reading
                    .opaque(format!("{name} with a text that reaches files or programs"));
            }
            for word in [".output ", ".once ", ".backup ", ".save "] {
                if let Some(file) = line
                    .strip_prefix(word)
                    .filter(|file| !file.starts_with('|'))
                {
                    self.writes(file.trim());
                }
            }
        }
        self.database_elsewhere(name, args);
    }
}

/// Returns statements without comments, and without the semicolons that stand in quotes.
fn plain_statements(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    let mut is_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                is_quoted = !is_quoted;
                found.push(c);
            }
            ';' if is_quoted => found.push(' '),
            '-' if !is_quoted && chars.peek() == Some(&'-') => {
                while chars.next_if(|c| *c != '\n').is_some() {}
            }
            _ => found.push(c),
        }
    }
    found
}

/// Returns whether a condition, in capitals, holds for every row: `TRUE`, `1 = 1`, `ID = ID`, `ID > 0`, and what is joined to one by `OR`.
fn is_always(condition: &str) -> bool {
    let condition = condition.split(" RETURNING ").next().unwrap_or("");
    let ends = ['"', ' '];
    let is_whole = |part: &str| {
        let bare = part
            .trim()
            .trim_matches(|c| "() ".contains(c))
            .trim_end_matches('"');
        let plain: String = bare.chars().filter(|c| !c.is_whitespace()).collect();
        let sides = plain
            .split_once('=')
            .filter(|(left, _)| !left.ends_with(['<', '>', '!']));
        let same = sides
            .is_some_and(|(left, right)| !left.is_empty() && left == right.trim_start_matches('='));
        let numbers = plain.split_once(['<', '>']).is_some_and(|(left, right)| {
            let number = |text: &str| text.trim_matches('=').parse::<f64>().is_ok();
            number(left) && number(right)
        });
        let rest = ["ROWID", "ID", "_ROWID_", "OID"]
            .iter()
            .find_map(|key| plain.strip_prefix(key));
        let from_start =
            rest.is_some_and(|rest| [">0", ">=0", ">=1", ">-1", "ISNOTNULL"].contains(&rest));
        let any_text = plain.ends_with("LIKE'%'");
        is_in("TRUE 1 NOTFALSE NOT0 EXISTS(SELECT1)", &plain)
            || same
            || numbers
            || from_start
            || any_text
    };
    let all = |part: &str| part.split(" AND ").all(is_whole);
    condition.trim_matches(ends).split(" OR ").any(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_holds_for_every_row_is_none() {
        for all in [
            "TRUE",
            "1=1",
            "1",
            "ID = ID",
            "(ID > 0)",
            "NAME = 'A' OR 1 = 1",
            "'A'='A'",
            "NOT FALSE",
            "ROWID IS NOT NULL",
            "NAME LIKE '%'",
            "2 > 1",
        ] {
            assert!(is_always(all), "{all}");
        }
        for some in [
            "ID = 3",
            "EXPIRES < NOW()",
            "NAME = 'A' AND 1 = 1",
            "ID > 100",
            "NAME LIKE 'A%'",
            "A = B",
            "A <> A",
        ] {
            assert!(!is_always(some), "{some}");
        }
    }
}
