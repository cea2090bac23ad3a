//! Where a command reads from and writes to.

use brush_parser::ast;

use crate::domain::policy::{
    partial_text::UNKNOWN,
    programs::leads_here,
    rule::EffectKind,
    shell::{ShellInterpreter, state::unknown},
};

/// The input of a command, and where its output goes.
#[derive(Debug, Default)]
pub(super) struct CommandStreams {
    /// What it would read.
    pub(super) stdin: String,
    /// The file its output goes to, and whether it is appended.
    pub(super) file: Option<(String, bool)>,
    /// Commands its output is fed to.
    pub(super) sinks: Vec<ast::SubshellCommand>,
}

impl CommandStreams {
    /// Starts with the given input and the output going on.
    pub(super) fn new(stdin: String) -> Self {
        Self {
            stdin,
            ..Self::default()
        }
    }
}

impl ShellInterpreter<'_, '_> {
    /// Reads a list of redirections.
    pub(super) fn streams(
        &mut self,
        redirects: Option<&ast::RedirectList>,
        stdin: String,
    ) -> CommandStreams {
        let mut streams = CommandStreams::new(stdin);
        for redirect in redirects.into_iter().flat_map(|list| &list.0) {
            self.redirect(redirect, &mut streams);
        }
        streams
    }

    /// Passes output on to where it goes; returns what the next command would read of it.
    pub(super) fn deliver(&mut self, streams: &CommandStreams, printed: String) -> String {
        for sink in &streams.sinks {
            let text = printed.clone();
            drop(self.aside(|shell| shell.list_with(&sink.list, text)));
        }
        match &streams.file {
            Some((file, append)) => {
                if printed.is_empty() && !append {
                    self.empties(file);
                }
                self.remember(file, &printed, *append);
                String::new()
            }
            None if streams.sinks.is_empty() => printed,
            None => String::new(),
        }
    }

    /// Reads one redirection.
    pub(super) fn redirect(&mut self, redirect: &ast::IoRedirect, streams: &mut CommandStreams) {
        match redirect {
            ast::IoRedirect::File(fd, kind, target) => self.file(*fd, kind, target, streams),
            ast::IoRedirect::HereDocument(_, document) => {
                let text = &document.doc.value;
                streams.stdin = if document.requires_expansion {
                    self.expand_quoted(text)
                } else {
                    text.clone()
                };
            }
            ast::IoRedirect::HereString(_, word) => {
                streams.stdin = format!("{}\n", self.expand_one(&word.value));
            }
            ast::IoRedirect::OutputAndError(word, append) => {
                let file = self.expand_one(&word.value);
                self.output(file, *append, true, streams);
            }
        }
    }

    fn file(
        &mut self,
        fd: Option<i32>,
        kind: &ast::IoFileRedirectKind,
        target: &ast::IoFileRedirectTarget,
        streams: &mut CommandStreams,
    ) {
        match target {
            ast::IoFileRedirectTarget::Fd(_) => {}
            ast::IoFileRedirectTarget::ProcessSubstitution(substitution, shell) => {
                if matches!(substitution, ast::ProcessSubstitutionKind::Read) {
                    streams.stdin = self.aside(|inner| inner.list_with(&shell.list, unknown()));
                } else if fd.is_none_or(|fd| fd == 1) {
                    streams.sinks.push(shell.clone());
                } else {
                    // What is written to it later is not followed.
                    drop(self.aside(|inner| inner.list_with(&shell.list, unknown())));
                }
            }
            ast::IoFileRedirectTarget::Filename(word)
            | ast::IoFileRedirectTarget::Duplicate(word) => {
                let file = self.expand(&word.value).concat();
                let number = file.parse::<u32>().is_ok() || file == "-" || file.ends_with('-');
                let duplicate = matches!(target, ast::IoFileRedirectTarget::Duplicate(_));
                if duplicate && number {
                    // What another descriptor holds is not kept.
                    let input = matches!(kind, ast::IoFileRedirectKind::DuplicateInput);
                    if input && fd.is_none_or(|fd| fd == 0) && !["0", "-"].contains(&file.as_str())
                    {
                        streams.stdin = unknown();
                    }
                    return;
                }
                self.named(fd, kind, file, streams);
            }
        }
    }

    fn named(
        &mut self,
        fd: Option<i32>,
        kind: &ast::IoFileRedirectKind,
        file: String,
        streams: &mut CommandStreams,
    ) {
        if self.is_socket(&file) {
            return;
        }
        let stdout = fd.is_none_or(|fd| fd == 1);
        match kind {
            ast::IoFileRedirectKind::Read | ast::IoFileRedirectKind::DuplicateInput => {
                self.reads(&file);
                if fd.is_none_or(|fd| fd == 0) {
                    streams.stdin = self.contents(&file);
                }
            }
            ast::IoFileRedirectKind::Append => self.output(file, true, stdout, streams),
            ast::IoFileRedirectKind::ReadAndWrite => {
                self.writes(&file);
                streams.stdin = self.contents(&file);
            }
            ast::IoFileRedirectKind::Write
            | ast::IoFileRedirectKind::Clobber
            | ast::IoFileRedirectKind::DuplicateOutput => self.output(file, false, stdout, streams),
        }
    }

    fn output(&mut self, file: String, append: bool, stdout: bool, streams: &mut CommandStreams) {
        if file.is_empty() || self.is_socket(&file) {
            return;
        }
        match (stdout, append) {
            (true, true) => self.appends(&file),
            (true, false) => self.makes(&file),
            (false, _) => self.writes(&file),
        }
        if stdout {
            streams.file = Some((file, append));
        }
    }

    /// Returns whether the shell would open a connection instead of a file, and records it.
    fn is_socket(&mut self, file: &str) -> bool {
        let socket = file.starts_with("/dev/tcp/") || file.starts_with("/dev/udp/");
        let host = file.split('/').nth(3).unwrap_or("");
        if socket && !leads_here(host) {
            self.reading
                .does(EffectKind::Network, format!("a connection through {file}"));
        }
        socket
    }

    /// Reads `<(…)` or `>(…)` given as an argument; returns the path the program would see.
    pub(super) fn process_substitution(
        &mut self,
        kind: &ast::ProcessSubstitutionKind,
        shell: &ast::SubshellCommand,
    ) -> String {
        let path = format!(
            "/dev/fd/{}",
            63_usize.saturating_add(self.state.files.len())
        );
        let text = self.aside(|inner| inner.list_with(&shell.list, String::new()));
        if matches!(kind, ast::ProcessSubstitutionKind::Read) {
            drop(self.state.files.insert(path.clone(), text));
        } else {
            // What the program writes there is not known yet: read the sink again with anything as input.
            drop(self.aside(|inner| inner.list_with(&shell.list, UNKNOWN.to_string())));
        }
        path
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape of its neighbours, which keep the value"
    )]
    fn list_with(&mut self, list: &ast::CompoundList, stdin: String) -> String {
        self.list(list, &stdin)
    }
}
