//! Methods of .NET and COM objects with consequences.

use crate::domain::policy::{
    cmd,
    interpretation::CommandEffect,
    partial_text::{FRESH, NAME, UNKNOWN},
    powershell::{Reader, decoded, fold::character, objects::own_process, run},
    programs,
    rule::EffectKind,
    windows,
    windows::path,
};

impl Reader<'_, '_, '_> {
    /// Looks at `[Type]::Member(…)`.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each name, and an arm is a line or two"
    )]
    pub(super) fn static_member(
        &mut self,
        kind: &str,
        member: &str,
        args: Option<Vec<String>>,
    ) -> Vec<String> {
        let member = member.to_lowercase();
        let kind = kind.trim_start_matches("system.");
        let args = args.unwrap_or_default();
        self.shell
            .reading
            .act(&[format!("[{kind}]::{member}"), args.join(",")]);
        if member == "new" {
            return vec![self.makes(kind, &args)];
        }
        if let Some(values) = constant(kind, &member, &args) {
            return values;
        }
        let first = args.first().cloned().unwrap_or_default();
        match kind {
            "io.file"
            | "io.directory"
            | "io.fileinfo"
            | "io.directoryinfo"
            | "io.filesystem"
            | "microsoft.visualbasic.fileio.filesystem" => self.file_method(&member, &args),
            "io.compression.zipfile" | "io.compression.zipfileextensions" => {
                if let Some(target) = args.get(1) {
                    self.shell.writes(&path(target));
                }
            }
            "diagnostics.process" if member == "start" => self.start(&args),
            "scriptblock" => return vec![format!("{{{first}}}")],
            "powershell" | "management.automation.powershell" => return vec![UNKNOWN.to_string()],
            "environment" => self.environment(&member, &args),
            "net.webrequest"
            | "net.httpwebrequest"
            | "net.dns"
            | "net.networkinformation.ping"
            | "net.sockets.tcpclient" => {
                self.shell.reading.does(
                    EffectKind::Network,
                    format!("[{kind}]::{member} talks to another machine"),
                );
            }
            "reflection.assembly"
            | "appdomain"
            | "activator"
            | "runtime.interopservices.marshal"
            | "type"
            | "ref"
            | "assembly" => {
                let harmless = [
                    "loadwithpartialname",
                    "gettype",
                    "ptrtostringauto",
                    "sizeof",
                    "getassembly",
                    "getexecutingassembly",
                ];
                if !harmless.contains(&member.as_str()) {
                    self.shell.reading.opaque(format!(
                        "[{kind}]::{member} reaches code that is only known at run time"
                    ));
                }
            }
            "microsoft.win32.registry" => windows::registry(self.shell, &first),
            "microsoft.visualbasic.interaction" => cmd::run(self.shell, &first, "Shell"),
            "wmiclass" => self
                .shell
                .reading
                .does(EffectKind::System, "calls a method of the system"),
            _ if (kind.starts_with("net.") || kind.starts_with("wmi"))
                && ![
                    "securityprotocol",
                    "parse",
                    "tryparse",
                    "servercertificatevalidationcallback",
                ]
                .contains(&member.as_str())
                && !kind.starts_with("net.ipaddress")
                && !kind.starts_with("net.servicepoint")
                && !kind.starts_with("net.webutility")
                && !kind.starts_with("net.cred") =>
            {
                self.shell.reading.does(
                    EffectKind::Network,
                    format!("[{kind}]::{member} talks to another machine"),
                );
            }
            _ => {}
        }
        vec![UNKNOWN.to_string()]
    }

    fn environment(&mut self, member: &str, args: &[String]) {
        if member == "getenvironmentvariables" {
            self.shell
                .shows_environment("[Environment]::GetEnvironmentVariables");
        } else if member == "setenvironmentvariable" {
            let (name, value) = (
                args.first().cloned().unwrap_or_default(),
                args.get(1).cloned().unwrap_or_default(),
            );
            if args
                .get(2)
                .is_some_and(|scope| !scope.eq_ignore_ascii_case("process"))
            {
                self.shell.reading.does(
                    EffectKind::Persistence,
                    "changes the environment of the account",
                );
            }
            programs::inspect_variable(self.shell, &name.to_uppercase(), &value);
        } else if member == "failfast" {
            self.shell
                .reading
                .does(EffectKind::System, "ends the process");
        }
    }

    fn file_method(&mut self, member: &str, args: &[String]) {
        let at = |index: usize| args.get(index).map(|word| path(word));
        let (first, second) = (at(0), at(1));
        let takes = ["read", "open", "copy"]
            .iter()
            .any(|start| member.starts_with(start));
        if let Some(file) = first.as_ref().filter(|_| takes) {
            self.shell.reads(file);
        }
        if member.starts_with("delete") {
            self.delete_or_unknown(first);
        } else if member.starts_with("move")
            || member.starts_with("replace")
            || member.starts_with("rename")
        {
            self.delete_or_unknown(first);
            if let Some(target) = second {
                self.shell.writes(&target);
            }
        } else if member.starts_with("copy") || member == "createsymboliclink" {
            if let Some(target) = second {
                self.shell.writes(&target);
            }
        } else if (member.starts_with("write")
            || member.starts_with("append")
            || member.starts_with("create")
            || member.starts_with("set")
            || member.starts_with("open") && member != "openread" && member != "opentext"
            || member == "encrypt")
            && let Some(target) = first
        {
            let has_nothing = args.get(1).is_some_and(String::is_empty) || args.len() == 1;
            if has_nothing
                && (member.starts_with("write") || member == "create" || member == "createtext")
            {
                self.shell.empties(&target);
            }
            self.shell.writes(&target);
        }
    }

    fn delete_or_unknown(&mut self, target: Option<String>) {
        if let Some(target) = target.filter(|target| !target.is_empty()) {
            self.shell.deletes(&target);
        } else {
            let place =
                crate::domain::policy::resolved_path::ResolvedPath::Unknown("an object".to_owned());
            self.shell.reading.effect(CommandEffect::Delete(place));
        }
    }

    fn start(&mut self, args: &[String]) {
        let code = args.join(" ");
        if code.contains("://") {
            self.shell
                .reading
                .does(EffectKind::Network, "opens an address");
        }
        cmd::run(self.shell, &code, "Process.Start");
    }

    /// Looks at making an object, and returns a text that stands for it.
    pub(super) fn makes(&mut self, kind: &str, args: &[String]) -> String {
        let kind = kind.trim_start_matches("system.").to_lowercase();
        let network = [
            "net.sockets",
            "net.webclient",
            "net.http",
            "net.mail",
            "net.networkinformation.ping",
            "winhttp",
            "msxml2",
            "microsoft.xmlhttp",
            "internetexplorer.application",
            "net.webrequest",
        ];
        if network.iter().any(|head| kind.starts_with(head)) && !kind.contains("message") {
            self.shell.reading.does(
                EffectKind::Network,
                format!("{kind} talks to other machines"),
            );
        }
        if (kind.starts_with("io.streamwriter") || kind.starts_with("io.filestream"))
            && let Some(file) = args.first()
        {
            self.shell.writes(&path(file));
        }
        if kind.starts_with("io.fileinfo")
            || kind.starts_with("io.directoryinfo")
            || kind == "string"
            || kind == "text.stringbuilder"
            || kind == "uri"
        {
            return args.first().cloned().unwrap_or_default();
        }
        UNKNOWN.to_string()
    }

    /// Looks at `value.Member(…)`.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each name, and an arm is a line or two"
    )]
    pub(super) fn instance_member(
        &mut self,
        value: &[String],
        member: &str,
        args: Option<Vec<String>>,
    ) -> Vec<String> {
        let lower = member.to_lowercase();
        let text = value.concat();
        // Whatever is asked of a process of one's own, and that it ends.
        if text == own_process() {
            return value.to_vec();
        }
        let Some(args) = args else {
            return match lower.as_str() {
                "fullname" | "path" | "name" | "definition" | "pspath" | "value" | "tostring"
                | "source" | "providerpath" => value.to_vec(),
                "length" | "count" | "basename" | "extension" => vec![NAME.to_string()],
                _ => vec![UNKNOWN.to_string()],
            };
        };
        if let Some(values) = text_method(value, &text, &lower, &args) {
            return values;
        }
        let first = args.first().cloned();
        match lower.as_str() {
            "delete" | "deletefile" | "deletefolder" | "deletesubkey" | "deletesubkeytree"
            | "deletetree" => {
                let own = args.iter().find(|arg| {
                    !["true", "false"].contains(&arg.to_lowercase().as_str()) && !arg.is_empty()
                });
                let target = own
                    .cloned()
                    .or_else(|| (!text.is_empty()).then(|| text.clone()))
                    .map(|target| path(&target));
                self.delete_or_unknown(target);
            }
            "moveto" | "movefile" | "movefolder" | "replace" | "rename" => {
                self.delete_or_unknown(Some(path(if args.len() > 1 {
                    first.as_deref().unwrap_or("")
                } else {
                    &text
                })));
                if let Some(target) = args.last() {
                    self.shell.writes(&path(target));
                }
            }
            "copyto" | "copyfile" | "copyfolder" | "createtextfile" | "createfolder"
            | "opentextfile" | "savetofile" | "appendtext" | "createsubdirectory"
            | "createshortcut" => {
                if let Some(target) = args
                    .last()
                    .filter(|target| {
                        !["true", "false", "1", "2", "8"].contains(&target.to_lowercase().as_str())
                    })
                    .or(first.as_ref())
                {
                    self.shell.writes(&path(target));
                }
            }
            "downloadstring"
            | "downloaddata"
            | "downloadfile"
            | "downloadstringtaskasync"
            | "downloadfileasync"
            | "downloadfiletaskasync"
            | "uploadstring"
            | "uploadfile"
            | "uploaddata"
            | "uploadvalues"
            | "getasync"
            | "getstringasync"
            | "getbytearrayasync"
            | "getstreamasync"
            | "postasync"
            | "putasync"
            | "deleteasync"
            | "sendasync"
            | "sendmailasync"
            | "getresponse"
            | "connect"
            | "connectasync"
            | "beginconnect"
            | "sendto"
            | "openread"
            | "openwrite" => {
                self.shell.reading.does(
                    EffectKind::Network,
                    format!(".{member} talks to another machine"),
                );
                if let Some(file) = args.get(1).filter(|_| lower.starts_with("downloadfile")) {
                    self.shell.writes(&path(file));
                }
            }
            "invokescript" | "addscript" | "newscriptblock" | "expandstring" | "addcommand"
            | "executecommand" => {
                run(
                    self.shell,
                    &first.unwrap_or_else(|| UNKNOWN.to_string()),
                    member,
                );
            }
            "invoke" | "invokereturnasis" | "invokewithcontext" | "begininvoke" => {
                self.invoked(&text);
            }
            "run" | "exec" | "shellexecute" | "create" | "winexec" | "start" => {
                let code = args.iter().take(2).cloned().collect::<Vec<_>>().join(" ");
                if code.contains(UNKNOWN)
                    || code.is_empty()
                        && text.contains(UNKNOWN)
                        && lower != "create"
                        && lower != "start"
                {
                    self.shell.reading.opaque(format!(
                        ".{member} runs a command that is only known at run time"
                    ));
                }
                if args.iter().any(|arg| arg.eq_ignore_ascii_case("runas")) {
                    self.shell
                        .reading
                        .does(EffectKind::Privilege, "starts a program with other rights");
                }
                cmd::run(self.shell, &code, member);
            }
            "kill" | "terminate" | "stop" | "shutdown" | "reboot" | "win32shutdown" => {
                self.shell.reading.does(
                    EffectKind::System,
                    format!(".{member} ends processes or the machine"),
                );
            }
            "setvalue" | "createsubkey" | "regwrite" | "regdelete" => {
                windows::registry(self.shell, &first.unwrap_or_default());
            }
            "send" => self
                .shell
                .reading
                .does(EffectKind::Network, ".Send talks to another machine"),
            _ => {}
        }
        vec![UNKNOWN.to_string()]
    }

    fn invoked(&mut self, text: &str) {
        let code = text
            .strip_prefix('{')
            .and_then(|code| code.strip_suffix('}'));
        match code {
            Some(code) => run(self.shell, code, "Invoke"),
            None if text.contains(UNKNOWN) => self
                .shell
                .reading
                .opaque("a block that is only known at run time"),
            None => run(self.shell, text, "Invoke"),
        }
    }
}

/// Methods of texts and lists whose result is constant.
fn text_method(value: &[String], text: &str, member: &str, args: &[String]) -> Option<Vec<String>> {
    let arg = |at: usize| args.get(at).map(String::as_str);
    let number = |at: usize| arg(at).and_then(|text| text.parse::<usize>().ok());
    let one = |text: String| Some(vec![text]);
    match member {
        "replace" if args.len() == 2 => one(text.replace(arg(0)?, arg(1)?)),
        "tolower" | "tolowerinvariant" => one(text.to_lowercase()),
        "toupper" | "toupperinvariant" => one(text.to_uppercase()),
        "trim" | "trimstart" | "trimend" if args.is_empty() => one(text.trim().to_owned()),
        "trim" => one(text
            .trim_matches(|c| arg(0).is_some_and(|set| set.contains(c)))
            .to_owned()),
        "tostring" | "normalize" | "getunresolvedproviderpathfrompspath" => Some(value.to_vec()),
        "tochararray" => Some(text.chars().map(String::from).collect()),
        "substring" => one(text
            .chars()
            .skip(number(0)?)
            .take(number(1).unwrap_or(usize::MAX))
            .collect()),
        "insert" => {
            let at = number(0)?;
            let head: String = text.chars().take(at).collect();
            let tail: String = text.chars().skip(at).collect();
            one(format!("{head}{}{tail}", arg(1)?))
        }
        "remove" if number(0).is_some() => {
            let (at, count) = (number(0)?, number(1).unwrap_or(usize::MAX));
            let head: String = text.chars().take(at).collect();
            let tail: String = text.chars().skip(at.saturating_add(count)).collect();
            one(format!("{head}{tail}"))
        }
        "split" => Some(
            text.split(|c| arg(0).is_none_or(|set| set.contains(c)))
                .map(str::to_owned)
                .collect(),
        ),
        "padleft" | "padright" => Some(value.to_vec()),
        "reverse" => Some(value.iter().rev().cloned().collect()),
        "contains" | "startswith" | "endswith" | "indexof" | "equals" | "gettype"
        | "gethashcode" | "compareto" => one(NAME.to_string()),
        "getstring" | "getbytes" | "frombase64string" => Some(args.to_vec()),
        _ => None,
    }
}

/// Static members whose result is constant.
fn constant(kind: &str, member: &str, args: &[String]) -> Option<Vec<String>> {
    let first = args.first();
    match (kind, member) {
        ("convert", "frombase64string") => {
            let bytes = programs::base64_bytes(first?)?;
            let wide = bytes
                .iter()
                .skip(1)
                .step_by(2)
                .filter(|byte| **byte == 0)
                .count()
                * 4
                > bytes.len();
            let text = if wide {
                decoded(first?)?
            } else {
                String::from_utf8_lossy(&bytes).into_owned()
            };
            Some(vec![text])
        }
        ("text.encoding", _) => Some(vec![String::new()]),
        ("char" | "convert", "tochar" | "convertfromutf32" | "parse") => {
            Some(vec![character(first?)])
        }
        ("convert", "toint32" | "tostring" | "tobyte") => Some(vec![first?.clone()]),
        ("string", "join") => Some(vec![args.get(1..)?.join(first?)]),
        ("string", "concat") => Some(vec![args.concat()]),
        ("string", "format") => {
            let mut text = first?.clone();
            for (at, value) in args.iter().skip(1).enumerate() {
                text = text.replace(&format!("{{{at}}}"), value);
            }
            Some(vec![text])
        }
        ("array", "reverse") => Some(Vec::new()),
        ("io.path", "gettemppath") => Some(vec!["/tmp/".to_owned()]),
        ("io.path", "gettempfilename" | "getrandomfilename") => Some(vec![format!("/tmp/{FRESH}")]),
        ("guid", "newguid") => Some(vec![FRESH.to_string()]),
        ("io.path", "combine" | "join") => Some(vec![args.join("/")]),
        ("io.path", "getfullpath") => Some(vec![first?.clone()]),
        ("regex", "replace") => Some(vec![first?.replace(args.get(1)?.as_str(), args.get(2)?)]),
        ("regex", "unescape" | "escape") => Some(vec![first?.replace('\\', "")]),
        ("uri", "unescapedatastring") | ("net.webutility" | "web.httputility", "urldecode") => {
            Some(vec![
                first?
                    .replace("%20", " ")
                    .replace("%2D", "-")
                    .replace("%2d", "-"),
            ])
        }
        (
            "guid"
            | "datetime"
            | "math"
            | "int"
            | "int32"
            | "timespan"
            | "random"
            | "stopwatch"
            | "diagnostics.stopwatch",
            _,
        ) => Some(vec![NAME.to_string()]),
        _ => None,
    }
}
