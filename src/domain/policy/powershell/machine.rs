//! Commands that change the machine, and programs outside PowerShell.

use crate::domain::policy::{
    cmd,
    partial_text::UNKNOWN,
    powershell::{Arg, Reader, cmdlets::bare_name, given::ParsedArguments, program},
    programs::vague_code,
    rule::EffectKind,
    windows,
    windows::path,
};

impl Reader<'_, '_, '_> {
    pub(super) fn starts(&mut self, given: &ParsedArguments) {
        let verbs = given.values("verb");
        if verbs
            .iter()
            .any(|verb| verb.to_lowercase().starts_with("runas"))
            || given.has("credential", 4)
        {
            self.shell
                .reading
                .does(EffectKind::Privilege, "starts a program with other rights");
        }
        let program = given
            .values("filepath")
            .pop()
            .or_else(|| given.rest.first().cloned());
        let Some(program) = program else {
            return;
        };
        let skip = usize::from(given.values("filepath").is_empty());
        let mut words = given.rest.get(skip..).unwrap_or_default().to_vec();
        for value in given
            .values("argumentlist")
            .into_iter()
            .chain(given.values("args"))
        {
            words.push(value);
        }
        if program.contains("://") {
            self.shell
                .reading
                .does(EffectKind::Network, "opens an address");
        }
        let words: Vec<String> = words
            .iter()
            .flat_map(|word| word.split_whitespace())
            .map(str::to_owned)
            .collect();
        if self.shell.reading.enter("Start-Process") {
            drop(self.native(&program, &[Arg::Values(words)], ""));
            self.shell.reading.leave();
        }
    }

    /// Commands that change the machine.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each name, and an arm is a line or two"
    )]
    pub(super) fn machine_command(&mut self, command: &str, given: &ParsedArguments) -> bool {
        let groups: [(&str, EffectKind); 5] = [
            (
                "stop-computer restart-computer format-volume clear-disk initialize-disk remove-partition new-partition set-disk reset-computermachinepassword stop-service \
              set-service restart-service remove-service suspend-service stop-process clear-eventlog remove-eventlog limit-eventlog disable-computerrestore checkpoint-computer restore-computer \
              remove-psdrive remove-smbshare new-smbshare set-date set-timezone remove-wmiobject remove-ciminstance set-wmiinstance set-ciminstance set-mppreference add-mppreference \
              disable-netadapter set-netfirewallrule new-netfirewallrule set-netfirewallprofile disable-netfirewallrule rename-computer remove-computer add-computer uninstall-package \
              disable-windowsoptionalfeature enable-windowsoptionalfeature remove-appxpackage remove-windowsfeature dismount-volume remove-virtualdisk remove-vm stop-vm optimize-volume",
                EffectKind::System,
            ),
            (
                "register-scheduledtask new-scheduledtask register-scheduledjob set-scheduledtask unregister-scheduledtask start-scheduledtask new-service register-wmievent set-wmievent enable-scheduledtask add-jobtrigger new-scheduledtaskaction",
                EffectKind::Persistence,
            ),
            (
                "install-module install-package install-script save-module save-script update-module install-psresource update-help install-packageprovider register-psrepository add-appxpackage publish-module save-package install-windowsfeature add-windowscapability",
                EffectKind::PackageInstall,
            ),
            (
                "add-localgroupmember new-localuser set-localuser remove-localuser enable-localuser remove-localgroupmember set-aduser new-aduser enable-psremoting set-wsmanquickconfig unlock-bitlocker disable-bitlocker",
                EffectKind::Privilege,
            ),
            (
                "set-executionpolicy import-certificate",
                EffectKind::Privilege,
            ),
        ];
        if command == "set-executionpolicy"
            && given
                .values("scope")
                .iter()
                .any(|scope| scope.eq_ignore_ascii_case("process"))
        {
            return true;
        }
        if command == "invoke-wmimethod" || command == "invoke-cimmethod" {
            let values: Vec<String> =
                given.all(&["argumentlist", "arguments", "name", "class", "methodname"]);
            self.shell
                .reading
                .does(EffectKind::System, "calls a method of the system");
            for value in values {
                cmd::run(self.shell, &value, command);
            }
            return true;
        }
        if command == "add-type" || command == "import-module" {
            for file in given.all(&["typedefinition", "name", "path"]) {
                if file.contains("DllImport")
                    || file.contains("File.Delete")
                    || file.contains("Directory.Delete")
                    || file.contains("Process")
                {
                    self.shell.reading.opaque("compiles code of its own");
                }
                vague_code(self.shell, &file, command);
                if command == "import-module" && file.contains(['/', '\\']) {
                    self.shell
                        .runs_file(&crate::domain::policy::windows::path(&file));
                }
            }
            return true;
        }
        let found = groups
            .iter()
            .find(|(names, _)| names.split_ascii_whitespace().any(|name| name == command));
        if let Some((_, what)) = found {
            self.shell
                .reading
                .does(*what, format!("{command} changes the machine"));
        }
        found.is_some()
    }

    /// Looks at a program outside PowerShell.
    pub(super) fn native(&mut self, name: &str, args: &[Arg], input: &str) -> String {
        let mut words: Vec<String> = Vec::new();
        for arg in args {
            match arg {
                Arg::Values(values) => words.extend(values.iter().cloned()),
                Arg::Name(name, None) => words.push(name.clone()),
                Arg::Name(name, Some(value)) => words.push(format!("{name}:{value}")),
                Arg::Block(code) => words.push(code.clone()),
            }
        }
        match bare_name(name).as_str() {
            "cmd" => cmd::read_line(self.shell, &words),
            "powershell" | "pwsh" => program(self.shell, &words, input),
            "wmic" | "schtasks" | "reg" | "sc" | "net" | "forfiles" => {
                windows::program(self.shell, &bare_name(name), &words);
            }
            bare => {
                if !windows::program(self.shell, bare, &words) {
                    if bare.starts_with('.')
                        && bare
                            .trim_start_matches('.')
                            .starts_with(|c: char| c.is_ascii_digit())
                    {
                        // The rest of a number.
                        return UNKNOWN.to_string();
                    }
                    let is_path = name.contains(['/', '\\']);
                    let mut all = vec![if is_path { path(name) } else { bare.to_owned() }];
                    all.extend(words.iter().map(|word| {
                        if word.contains("://") {
                            word.clone()
                        } else {
                            path(word)
                        }
                    }));
                    return self.shell.dispatch(all, input.to_owned());
                }
            }
        }
        UNKNOWN.to_string()
    }
}
