//! Clients of databases: texts that run programs, reach files, or leave nothing of what a server holds.

use crate::domain::policy::{
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
        let words: Vec<String> = text.split_whitespace().map(str::to_uppercase).collect();
        let empties = |statement: &str| {
            let statement = statement.trim_start();
            let deletes = statement.starts_with("DELETE FROM ") && !statement.contains(" WHERE ");
            deletes
                || ["DROP TABLE ", "TRUNCATE "]
                    .iter()
                    .any(|start| statement.starts_with(start))
        };
        let is_tried = |arg: &String| {
            let mut parts = arg.split(|c: char| !c.is_alphanumeric());
            !arg.contains(char::is_whitespace)
                && !arg.contains('=')
                && parts.any(|part| is_in("test tests tmp scratch", part))
        };
        if name != "sqlite3"
            && words.join(" ").split(';').any(empties)
            && !args.iter().any(is_tried)
        {
            self.reading.does(
                EffectKind::System,
                format!("{name} throws away what tables hold"),
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
