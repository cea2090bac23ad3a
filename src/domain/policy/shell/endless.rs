//! Loops that have no end and take more and more: processes that nobody waits for, a value that grows.

use brush_parser::ast;

use crate::domain::policy::{
    partial_text::{NAME, is_in, is_vague},
    rule::EffectKind,
    shell::ShellInterpreter,
};

/// Jobs in the background that one loop may start.
const MANY: u64 = 256;

/// Files that one loop may make.
const FILES: u64 = 100_000;

impl ShellInterpreter<'_, '_> {
    /// Looks at a loop whose condition never changes.
    pub(super) fn endless(
        &mut self,
        condition: Option<&ast::CompoundList>,
        until: bool,
        body: &ast::CompoundList,
    ) {
        let always = condition.is_none_or(|condition| {
            let text = condition.to_string();
            let words = text.trim().trim_end_matches(';').trim();
            let holds = [
                "true",
                ":",
                "(( 1 ))",
                "((1))",
                "[ 1 ]",
                "[[ 1 ]]",
                "test 1",
                "/bin/true",
            ];
            let fails = ["false", "(( 0 ))", "((0))", "/bin/false"];
            if until {
                fails.contains(&words)
            } else {
                holds.contains(&words)
            }
        });
        let fills = condition.is_some_and(|condition| {
            let words = condition.to_string();
            let name = words.split_whitespace().next().unwrap_or("");
            is_in("fallocate dd truncate mkfile", name)
        });
        if fills && !until && !body.to_string().contains("break") {
            self.takes_more("writes until the disk is full");
        }
        let text = body.to_string();
        // As long as something else does not come, a job more each time.
        let waits_for = condition.is_some_and(|condition| {
            let words = condition.to_string();
            let words = words.trim();
            let asks = !words.starts_with(['[', '('])
                && !words.starts_with("test ")
                && !words.contains("read");
            asks && (until || words.starts_with('!')) && !words.contains("sleep")
        });
        if waits_for
            && starts_jobs(body)
            && !["sleep", "wait", "break", "exit"]
                .iter()
                .any(|word| text.contains(word))
        {
            self.takes_more("starts processes without end");
        }
        if !always {
            return;
        }
        let ends = ["break", "exit", "return", "read ", "wait"];
        if ends.iter().any(|word| text.contains(word)) {
            return;
        }
        if starts_jobs(body) {
            self.takes_more("starts processes without end");
        } else if text.contains("+=") && !text.contains("sleep") {
            self.takes_more("lets a value grow without end");
        } else if !["sleep", "inotifywait", "timeout", "watch"]
            .iter()
            .any(|word| text.contains(word))
        {
            self.takes_more("goes on without end and without a pause");
        }
    }

    /// Looks at a loop over many values that starts a job for each.
    pub(super) fn many_jobs(&mut self, words: &str, body: &ast::CompoundList) {
        let text = body.to_string();
        let waits = ["wait", "break", "exit", "jobs"]
            .iter()
            .any(|word| text.contains(word));
        let makes = ["touch ", "mkdir ", "mktemp", "cp ", "dd "]
            .iter()
            .any(|start| text.trim_start_matches(['{', ' ', '\n']).starts_with(start));
        if makes && most(words) >= FILES {
            self.takes_more("makes more files than a disk holds");
        }
        if starts_jobs(body) && !waits && most(words) > MANY {
            self.takes_more("starts more processes than the machine holds");
        }
    }

    /// Looks for a text that starts itself over and over by the name it was started with.
    pub(super) fn starts_itself(&mut self, code: &str) {
        let plain: String = code
            .chars()
            .filter(|c| !c.is_whitespace() && !"\"'\\{}".contains(*c))
            .collect();
        if ["$0|$0", "$0&$0", "$0|&$0"]
            .iter()
            .any(|text| plain.contains(text))
        {
            self.reading
                .does(EffectKind::System, "it starts itself again and again");
        }
    }

    /// Looks at a program whose output never ends and goes to a file.
    pub(super) fn fills(&mut self, words: &[String], file: &str) {
        const SOURCES: [&str; 4] = ["/dev/zero", "/dev/urandom", "/dev/random", "/dev/full"];
        let name = words.first().map_or("", String::as_str);
        let takes_source = words.iter().any(|word| SOURCES.contains(&word.as_str()));
        // These want the end of it before they print anything.
        let waits = "tail sort tac wc md5sum sha1sum sha256sum sha512sum cksum b2sum";
        if takes_source && is_in(waits, name) {
            self.reading
                .does(EffectKind::System, format!("{name} reads without end"));
        }
        let copies = is_in("cp install ditto", name)
            && (takes_source || words.iter().any(|word| word == "/"));
        let huge = match name {
            "dd" => {
                let of = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
                let to_file = of("of=").is_some_and(|file| file != "/dev/null");
                let block = of("bs=").map_or(512, bytes);
                to_file && block.saturating_mul(of("count=").map_or(0, bytes)) > DISK
            }
            "head" | "tail" => words.iter().any(|word| bytes(word.trim_start_matches(['-', 'c', 'n', '='])) > DISK),
            "seq" => words.iter().any(|word| word.parse::<u64>().is_ok_and(|last| last > 10_000_000_000)),
            "fallocate" => words.iter().any(|word| word.starts_with('-') && word.contains(NAME))
                || words.windows(2).any(|pair| matches!(pair, [option, size] if ["-l", "--length"].contains(&option.as_str()) && is_vague(size))),
            _ => false,
        };
        let holds_none = file == "/dev/null" && !["dd", "fallocate"].contains(&name);
        let device = ["/dev/null", "/dev/stdout", "/dev/stderr"].contains(&file);
        let prints =
            takes_source && is_in("cat tac base64 xxd od tr pv hexdump", name) || name == "yes";
        if copies || huge && !holds_none || prints && !device {
            self.reading
                .does(EffectKind::System, format!("{name} fills the disk"));
        }
    }

    /// Looks at a line of programs whose first prints without end, and of which none ends before the others.
    pub(super) fn endless_line(&mut self, line: &ast::Pipeline) {
        const GO_ON: &str = "tee cat sort gzip tr base64 pv xxd od split wc tac md5sum sha256sum xz zstd bzip2 sponge openssl";
        let mut commands = line.seq.iter();
        let Some(ast::Command::Simple(first)) = commands.next() else {
            return;
        };
        let text = first.to_string();
        let source = text.starts_with("yes") && !text.starts_with("yes-")
            || ["cat", "base64", "xxd", "od", "tr"]
                .iter()
                .any(|name| text.starts_with(name))
                && ["/dev/zero", "/dev/urandom", "/dev/random"]
                    .iter()
                    .any(|file| text.contains(file));
        let source = source
            || text.starts_with("dd ")
                && text.contains("if=/dev/")
                && !text.contains("count=")
                && !text.contains("of=");
        let goes_on = |command: &ast::Command| {
            let ast::Command::Simple(simple) = command else {
                return false;
            };
            is_in(GO_ON, name_of(simple))
        };
        if source && line.seq.len() > 1 && commands.all(goes_on) {
            self.takes_more("prints without end");
        }
    }

    /// Looks at a value that is the output of a program without end.
    pub(super) fn endless_value(&mut self, value: &str) {
        let sources = [
            "$(yes",
            "$(cat /dev/zero",
            "$(cat /dev/urandom",
            "$(</dev/zero",
            "$(< /dev/zero",
            "`yes",
        ];
        let ends = ["head", "|"].iter().any(|word| value.contains(word));
        if !ends && sources.iter().any(|source| value.contains(source)) {
            self.takes_more("lets a value grow without end");
        }
    }

    fn takes_more(&mut self, what: &str) {
        self.reading.does(EffectKind::System, format!("it {what}"));
    }
}

/// More bytes than any file of a project has.
const DISK: u64 = 20 << 30;

/// Returns how many bytes a size with a unit means; none for what is no size.
fn bytes(text: &str) -> u64 {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let power = match unit.chars().next().map(|c| c.to_ascii_uppercase()) {
        None | Some('B' | 'C' | 'W') => 0,
        Some('K') => 1,
        Some('M') => 2,
        Some('G') => 3,
        Some('T') => 4,
        Some('P') => 5,
        Some('E' | 'Z' | 'Y') => 6,
        Some(_) => return 0,
    };
    number
        .parse::<u64>()
        .unwrap_or(0)
        .saturating_mul(1_u64 << (10 * power))
}

/// Returns the program of a command, as it is written; empty where there is none.
pub(super) fn name_of(simple: &ast::SimpleCommand) -> &str {
    let word = simple.word_or_name.as_ref();
    word.map_or("", |word| word.value.as_str())
}

/// Returns whether a command of a list is left to run by itself.
fn starts_jobs(list: &ast::CompoundList) -> bool {
    let mut items = list.0.iter();
    let async_ = |item: &ast::CompoundListItem| matches!(item.1, ast::SeparatorOperator::Async);
    let text = list.to_string();
    let inside = ["&)", "& )", "& }", "&;"].iter().any(|end| {
        let both = format!("&{end}");
        text.contains(end) && !text.contains(&both)
    });
    items.any(async_) || inside
}

/// Returns the largest number in a text.
fn most(text: &str) -> u64 {
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    numbers
        .filter_map(|number| number.parse().ok())
        .max()
        .unwrap_or(0)
}
