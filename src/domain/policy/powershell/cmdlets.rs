//! What the commands of PowerShell do.

use crate::domain::policy::{
    cmd,
    partial_text::{FRESH, NAME, UNKNOWN, is_vague, stripped},
    powershell::{
        Arg, Reader,
        given::ParsedArguments,
        names,
        objects::{ends_own, listed, made, own_process},
        run,
    },
    programs::leads_here,
    rule::EffectKind,
    windows,
    windows::path,
};

impl Reader<'_, '_, '_> {
    /// Looks at a command by name, and returns what it would print.
    pub(super) fn invoke(&mut self, name: &str, args: Vec<Arg>, input: &str) -> String {
        if !self.shell.reading.spend() {
            return UNKNOWN.to_string();
        }
        if name.is_empty() {
            return String::new();
        }
        self.shell.reading.act(&shown(name, &args));
        if is_vague(name) && !name.contains(['\\', '/']) || stripped(name).is_empty() {
            return self.vague_name(name, args, input);
        }
        let bare = bare_name(name);
        if let Some(code) = self.defined(&bare)
            && self.shell.reading.enter(&bare)
        {
            self.bind_parameters(&bare, &args);
            let values: Vec<String> = args
                .iter()
                .flat_map(|arg| {
                    if let Arg::Values(values) = arg {
                        values.clone()
                    } else {
                        Vec::new()
                    }
                })
                .collect();
            self.shell.assign("args", values);
            let printed = self.block(&code, input);
            self.shell.reading.leave();
            return printed;
        }
        let alias = self
            .shell
            .lookup(&format!("alias:{bare}"))
            .map(|value| bare_name(&value.concat()));
        let target = alias.unwrap_or(bare);
        let is_script = name.to_lowercase().ends_with(".ps1");
        let written = self
            .shell
            .remembered(&path(name))
            .filter(|_| name.contains(['\\', '/']) || is_script);
        if let Some(code) = written {
            run(self.shell, &code, name);
            if is_script {
                return UNKNOWN.to_string();
            }
        }
        // `sc.exe` is the program, whatever `sc` stands for.
        let program = name.to_lowercase().ends_with(".exe");
        let command = if program {
            target.as_str()
        } else {
            names::command(&target)
        };
        let command = command.to_owned();
        let is_path = name.contains(['/', '\\']);
        let typed = if is_path { name } else { &target };
        self.command(&command, typed, args, input)
    }

    fn defined(&mut self, name: &str) -> Option<String> {
        let key = format!("function:{name}");
        self.shell
            .is_known(&key)
            .then(|| self.shell.lookup(&key))
            .flatten()
            .map(|body| body.concat())
    }

    fn vague_name(&mut self, name: &str, args: Vec<Arg>, input: &str) -> String {
        self.shell
            .reading
            .opaque("the name of the command is only known at run time");
        let rest = stripped(name);
        if rest.is_empty() {
            UNKNOWN.to_string()
        } else {
            self.invoke(&rest, args, input)
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each name, and an arm is a line or two"
    )]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape of its neighbours, which keep the value"
    )]
    fn command(&mut self, command: &str, typed: &str, args: Vec<Arg>, input: &str) -> String {
        let harmless = "get- test- measure- select- sort- group- compare- format- convertto- convertfrom- convert- write- out-host out-null out-string out-default where- show- find- resolve- split- join- wait- debug- trace- assert- read- push- pop- update-list start-sleep new-timespan receive-job remove-job stop-job";
        let given = ParsedArguments::new(args.clone());
        if given.has("whatif", 2) || given.rest.iter().any(|word| word == "/?") {
            return UNKNOWN.to_string();
        }
        self.reads_paths(command, &given);
        self.hands_out(command, &given);
        match command {
            "remove-item" | "clear-item" | "clear-content" | "clear-recyclebin" => {
                self.removes(command, &given, input);
            }
            "rename-item" | "move-item" => self.moves(&given, input),
            "copy-item"
            | "new-item"
            | "mkdir"
            | "set-item"
            | "set-content"
            | "add-content"
            | "out-file"
            | "tee-object"
            | "export-csv"
            | "export-clixml"
            | "expand-archive"
            | "compress-archive"
            | "start-transcript"
            | "set-acl"
            | "unblock-file"
            | "new-itemproperty"
            | "set-itemproperty"
            | "remove-itemproperty"
            | "rename-itemproperty"
            | "move-itemproperty"
            | "copy-itemproperty"
            | "clear-itemproperty"
            | "export-alias" => {
                self.changes(command, &given, input);
                if command == "new-item" || command == "mkdir" {
                    return made(&given);
                }
            }
            "invoke-expression" => self.evaluates(&given, input),
            "invoke-command"
            | "start-job"
            | "start-threadjob"
            | "foreach-object"
            | "where-object"
            | "measure-command"
            | "invoke-history"
            | "trace-command"
            | "register-objectevent"
            | "register-engineevent"
            | "use-transaction"
            | "foreach" => {
                return self.blocks(command, &given, input);
            }
            "start-process" => {
                self.starts(&given);
                if given.has("passthru", 2) {
                    return own_process();
                }
            }
            "stop-process" if ends_own(&given, input) => {}
            "invoke-item" => self.invokes_item(&given),
            "invoke-webrequest"
            | "invoke-restmethod"
            | "test-netconnection"
            | "test-connection"
            | "send-mailmessage"
            | "start-bitstransfer"
            | "new-pssession"
            | "enter-pssession"
            | "resolve-dnsname"
            | "new-webserviceproxy"
            | "connect-pssession"
            | "invoke-rest" => self.talks(command, &given),
            "new-object" => return self.new_object(&given),
            "set-alias" | "new-alias" => self.aliases(&given),
            "set-location" | "push-location" => {
                if let Some(folder) = given.all(&["path", "literalpath"]).first() {
                    self.shell.go_to(&path(folder));
                }
            }
            "set-variable" | "new-variable" => {
                let names = given.all(&["name"]);
                let value = [
                    given.values("value"),
                    names.get(1..).unwrap_or_default().to_vec(),
                ]
                .concat();
                if let Some(name) = names.first() {
                    self.shell.assign(&name.to_lowercase(), value);
                }
            }
            "get-variable" => {
                let name = given
                    .all(&["name"])
                    .first()
                    .map(|name| name.to_lowercase())
                    .unwrap_or_default();
                return self
                    .shell
                    .lookup(&name)
                    .map_or_else(|| UNKNOWN.to_string(), |value| value.join("\n"));
            }
            "get-command" | "get-alias" => {
                let name = given.all(&["name"]).first().cloned().unwrap_or_default();
                let pattern = name.to_lowercase().replace(NAME, "*");
                if pattern.contains(['*', '?', '[']) {
                    return names::matching(&pattern)
                        .map_or_else(|| format!("{NAME}"), str::to_owned);
                }
                return if command == "get-alias" {
                    names::command(&pattern).to_owned()
                } else {
                    name
                };
            }
            "write-output" | "write-host" | "out-string" => {
                let words = given.all(&["inputobject", "object"]);
                return if words.is_empty() {
                    input.to_owned()
                } else {
                    words.join("\n")
                };
            }
            "get-childitem" => return listed(&given),
            "get-item" | "resolve-path" | "convert-path" | "get-itemproperty" => {
                return given.all(&["path", "literalpath"]).join("\n");
            }
            "join-path" => {
                let mut parts = given.all(&["path", "childpath"]);
                if let Some(first) = parts.first_mut() {
                    let kept = first.trim_end_matches(['/', '\\']).len();
                    first.truncate(kept.max(1));
                }
                return parts.join("/");
            }
            "split-path" => return format!("{NAME}"),
            "get-content" => {
                let files = given.all(&["path", "literalpath"]);
                for file in &files {
                    self.shell.reads(&path(file));
                    // Where it goes from here is not followed.
                    self.shell.copies_keys(&path(file), "");
                }
                return files
                    .iter()
                    .map(|file| self.shell.contents(&path(file)))
                    .collect();
            }
            "select-object" | "sort-object" | "get-unique" | "tee" => return input.to_owned(),
            "get-date" | "get-random" | "new-guid" | "get-location" | "measure-object"
            | "get-host" | "get-culture" => return format!("{NAME}"),
            "new-temporaryfile" => return format!("/tmp/{FRESH}"),
            _ => {
                let mut heads = harmless.split_ascii_whitespace();
                let asks = command.contains('-') && heads.any(|head| command.starts_with(head));
                if !self.machine_command(command, &given) && !asks {
                    return self.native(typed, &args, input);
                }
            }
        }
        UNKNOWN.to_string()
    }

    /// Looks at what a cmdlet takes the content of.
    fn reads_paths(&mut self, command: &str, given: &ParsedArguments) {
        let takes = "copy-item compress-archive select-string get-filehash format-hex import-csv import-clixml send-mailmessage
            convertfrom-json convertfrom-csv test-json";
        if takes.split_ascii_whitespace().any(|own| own == command) {
            for file in given.all(&["path", "literalpath", "attachments"]) {
                self.shell.reads(&path(&file));
            }
        }
    }

    fn moves(&mut self, given: &ParsedArguments, input: &str) {
        let mut words = given.all(&["path", "literalpath", "destination", "newname"]);
        if words.len() < 2 && !input.is_empty() {
            words.splice(0..0, input.lines().map(str::to_owned));
        }
        let count = words.len();
        for source in words.iter().take(count.saturating_sub(1).max(1)) {
            self.shell.deletes(&path(source));
        }
        if let Some(target) = words.last().filter(|_| count > 1) {
            self.shell.writes(&path(target));
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each name, and an arm is a line or two"
    )]
    fn changes(&mut self, command: &str, given: &ParsedArguments, input: &str) {
        let mut words = given.all(&[
            "path",
            "literalpath",
            "filepath",
            "destination",
            "destinationpath",
            "outputdirectory",
            "name",
        ]);
        if command.ends_with("itemproperty") {
            let key = words.iter().find(|word| windows::is_registry(word));
            let key = key.or(words.first()).cloned().unwrap_or_default();
            if windows::is_registry(&key) {
                windows::registry(self.shell, &key);
            } else {
                self.shell.writes(&path(&key));
            }
            return;
        }
        if ["copy-item", "expand-archive", "compress-archive"].contains(&command) {
            let target = given
                .values("destination")
                .pop()
                .or_else(|| given.values("destinationpath").pop())
                .or_else(|| (words.len() > 1).then(|| words.pop()).flatten());
            let target = target.or_else(|| words.first().map(|_| ".".to_owned()));
            if let Some(target) = target {
                self.shell.writes(&path(&target));
                for source in words.iter().filter(|source| **source != target) {
                    self.shell.copies_keys(&path(source), &path(&target));
                    self.shell.bind(&path(&target), &path(source));
                }
            }
            return;
        }
        let contents = [
            given.values("value"),
            words.get(1..).unwrap_or_default().to_vec(),
        ]
        .concat()
        .join("\n");
        let block = given.blocks.first().filter(|_| contents.is_empty());
        let contents = block.cloned().unwrap_or(contents);
        let contents = if contents.is_empty() {
            input.to_owned()
        } else {
            contents
        };
        let named = command == "new-item" || command == "mkdir";
        let folder = given.values("path").pop();
        let target = match (named, folder, given.values("name").pop()) {
            (true, Some(folder), Some(name)) => Some(format!("{folder}/{name}")),
            _ => words.first().cloned(),
        };
        let Some(target) = target else {
            return;
        };
        let lower = target.to_lowercase();
        if windows::is_registry(&target) {
            windows::registry(self.shell, &target);
        } else if let Some(name) = lower
            .strip_prefix("alias:")
            .or_else(|| lower.strip_prefix("function:"))
        {
            let kind = if lower.starts_with("alias") {
                "alias"
            } else {
                "function"
            };
            self.shell.assign(
                &format!("{kind}:{}", name.trim_start_matches(['\\', '/'])),
                vec![contents],
            );
        } else if !lower.starts_with("env:") && !lower.starts_with("variable:") {
            let target = path(&target);
            if given.values("itemtype").iter().any(|kind| {
                kind.to_lowercase().ends_with("link") || kind.eq_ignore_ascii_case("junction")
            }) {
                let to = given
                    .values("target")
                    .pop()
                    .or_else(|| given.values("value").pop())
                    .unwrap_or_default();
                self.shell.bind(&target, &path(&to));
            }
            let is_behind = command == "add-content";
            if ["set-content", "out-file"].contains(&command) && contents.trim().is_empty() {
                self.shell.empties(&target);
            }
            if is_behind {
                self.shell.appends(&target);
            } else {
                self.shell.makes(&target);
            }
            self.shell.remember(&target, &contents, is_behind);
        }
    }

    fn evaluates(&mut self, given: &ParsedArguments, input: &str) {
        let code = given.all(&["command"]).join(" ");
        let code = if code.is_empty() {
            input.to_owned()
        } else {
            code
        };
        let code = code
            .strip_prefix('{')
            .and_then(|code| code.strip_suffix('}'))
            .unwrap_or(&code);
        run(self.shell, code, "Invoke-Expression");
        for block in &given.blocks {
            run(self.shell, block, "Invoke-Expression");
        }
    }

    fn blocks(&mut self, command: &str, given: &ParsedArguments, input: &str) -> String {
        if given.has("computername", 2) || given.has("hostname", 4) || given.has("session", 3) {
            self.shell.reading.does(
                EffectKind::Network,
                format!("{command} runs on another machine"),
            );
        }
        let mut printed = String::new();
        for code in &given.blocks {
            printed.push_str(&self.block(code, input));
        }
        for file in given.values("filepath") {
            if let Some(code) = self.shell.remembered(&path(&file)) {
                run(self.shell, &code, command);
            }
        }
        // `% Delete` calls a method of every object.
        if command == "foreach-object"
            && given.blocks.is_empty()
            && let Some(member) = given.all(&["membername"]).first()
        {
            let value = input.lines().map(str::to_owned).collect::<Vec<_>>();
            drop(self.instance_member(
                &value,
                &member.clone(),
                Some(given.rest.get(1..).unwrap_or_default().to_vec()),
            ));
        }
        let vague = given.blocks.is_empty()
            && given
                .rest
                .iter()
                .chain(&given.values("scriptblock"))
                .any(|word| word.contains(UNKNOWN));
        if vague && command != "where-object" {
            self.shell.reading.opaque(format!(
                "{command} runs a block that is only known at run time"
            ));
        }
        if command == "where-object" {
            input.to_owned()
        } else {
            printed
        }
    }

    fn invokes_item(&mut self, given: &ParsedArguments) {
        for file in given.all(&["path", "literalpath"]) {
            if file.contains("://") {
                self.shell
                    .reading
                    .does(EffectKind::Network, "opens an address");
            }
            let text = self.shell.remembered(&path(&file));
            if let Some(code) = text {
                if file.to_lowercase().ends_with(".ps1") {
                    run(self.shell, &code, "Invoke-Item");
                } else {
                    cmd::run(self.shell, &code, "Invoke-Item");
                }
            } else if file.contains(['/', '\\', '.']) {
                self.shell.runs_file(&path(&file));
            }
        }
    }

    fn talks(&mut self, command: &str, given: &ParsedArguments) {
        let named = given.all(&["uri", "computername", "targetname"]);
        let here = !named.is_empty()
            && named.iter().take(1).all(|address| leads_here(address))
            && given.values("proxy").is_empty();
        if !here {
            self.shell.reading.does(
                EffectKind::Network,
                format!("{command} talks to another machine"),
            );
        }
        for file in given
            .values("outfile")
            .into_iter()
            .chain(given.values("destination"))
        {
            self.shell.writes(&path(&file));
        }
    }

    fn new_object(&mut self, given: &ParsedArguments) -> String {
        let name = given
            .all(&["typename"])
            .first()
            .cloned()
            .unwrap_or_default()
            .to_lowercase();
        let com = given.values("comobject").concat().to_lowercase();
        if name.contains("passwordvault") {
            self.shell
                .reading
                .opaque("the passwords that the machine keeps");
        }
        self.makes(
            if com.is_empty() { &name } else { &com },
            given.rest.get(1..).unwrap_or_default(),
        )
    }

    fn aliases(&mut self, given: &ParsedArguments) {
        let words = given.all(&["name", "value"]);
        if let [name, target, ..] = words.as_slice() {
            self.shell.assign(
                &format!("alias:{}", name.to_lowercase()),
                vec![target.clone()],
            );
        }
    }
}

/// Returns a command's name without folder, module, ending and case.
pub(super) fn bare_name(name: &str) -> String {
    let lower = name.to_lowercase().replace('\\', "/");
    let base = lower
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(&lower);
    [".exe", ".cmd", ".bat", ".com"]
        .iter()
        .find_map(|end| base.strip_suffix(end))
        .unwrap_or(base)
        .to_owned()
}

fn shown(name: &str, args: &[Arg]) -> Vec<String> {
    let mut words = vec![name.to_owned()];
    for arg in args {
        match arg {
            Arg::Values(values) => words.push(values.join(",")),
            Arg::Name(name, None) => words.push(name.clone()),
            Arg::Name(name, Some(value)) => words.push(format!("{name}:{value}")),
            Arg::Block(code) => words.push(format!("{{{code}}}")),
        }
    }
    words
}
