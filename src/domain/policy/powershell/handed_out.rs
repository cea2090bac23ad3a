//! What PowerShell shows that is secret, and what only a text as a whole tells: loops that start processes without end.

use crate::domain::policy::{
    partial_text::NAME,
    powershell::{Reader, given::ParsedArguments},
    rule::EffectKind,
    shell::ShellInterpreter,
};

impl Reader<'_, '_, '_> {
    /// Looks at cmdlets that show what is secret: keys, passwords, the environment as a whole.
    pub(super) fn hands_out(&mut self, command: &str, given: &ParsedArguments) {
        const SECRETS: [&str; 6] = [
            "secret",
            "token",
            "credential",
            "password",
            "keyvault",
            "apikey",
        ];
        let shows = command.starts_with("get-")
            || command.starts_with("export-")
            || command.starts_with("convertfrom-secure");
        if shows && SECRETS.iter().any(|word| command.contains(word)) {
            self.shell
                .reading
                .opaque(format!("{command}, which hands out keys"));
        }
        let lists = [
            "get-childitem",
            "get-item",
            "get-itemproperty",
            "get-content",
        ]
        .contains(&command);
        let whole = |path: &String| {
            let lower = path.to_lowercase();
            lower.strip_prefix("env:").is_some_and(|rest| {
                let rest = rest.trim_matches(['\\', '/', NAME, '*']);
                rest.is_empty()
            })
        };
        let narrows = given.has("filter", 2) || given.has("include", 1);
        if lists && !narrows && given.all(&["path", "literalpath"]).iter().any(whole) {
            self.shell.shows_environment(command);
        }
    }
}

/// Looks for a disk by its own name: it is written for nothing but to write to it, in whatever language stands in the text.
pub(super) fn names_disk(shell: &mut ShellInterpreter<'_, '_>, code: &str) {
    let small = code.to_lowercase();
    if small.contains("\\\\.\\physicaldrive") || small.contains("\\\\.\\c:") {
        let text = "it opens a disk as a whole";
        shell.reading.does(EffectKind::System, text);
    }
}

/// Looks at what only the text as a whole shows: loops that start processes without end, and members that hand out what is kept.
pub(super) fn whole_text(shell: &mut ShellInterpreter<'_, '_>, code: &str) {
    let plain: String = code.to_lowercase().split_whitespace().collect();
    let endless = [
        "while($true)",
        "while(1)",
        "for(;;)",
        "while(!$false)",
        "until($false)",
    ];
    let starts = [
        "start-process",
        "start-job",
        "startprocess",
        "saps",
        "process]::start",
        "start-threadjob",
    ];
    if endless.iter().any(|text| plain.contains(text))
        && starts.iter().any(|text| plain.contains(text))
    {
        shell
            .reading
            .does(EffectKind::System, "a loop starts processes without end");
    }
    let ends = [
        "start-sleep",
        "sleep",
        "break",
        "return",
        "exit",
        "throw",
        "read-host",
        "wait-",
        "receive-",
    ];
    let forever = ["while($true){", "while(1){", "for(;;){"];
    if forever.iter().any(|text| plain.contains(text))
        && !ends.iter().any(|text| plain.contains(text))
    {
        shell.reading.does(
            EffectKind::System,
            "a loop goes on without end and without a pause",
        );
    }
    let keeps = [
        (
            "historysavepath",
            "the history of commands, which holds keys",
        ),
        (
            "consolehost_history",
            "the history of commands, which holds keys",
        ),
        (
            "protecteddata]::unprotect",
            "what was encrypted for the account",
        ),
        (".getnetworkcredential(", "a password"),
        ("securestringtobstr(", "a password"),
        ("securestringtoglobalalloc", "a password"),
    ];
    for (text, what) in keeps {
        if plain.contains(text) {
            shell.reading.opaque(format!("code that reads {what}"));
        }
    }
    if plain.contains(".clearlog(") {
        shell
            .reading
            .does(EffectKind::System, "clears a log of the machine");
    }
}
