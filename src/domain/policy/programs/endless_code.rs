//! What only code as a whole tells: loops without an end that take more and more, values larger than any memory.
//!
//! The machine is not the project's alone. Nobody writes such a loop in an option to get work done.

use crate::domain::policy::{rule::EffectKind, shell::ShellInterpreter};

/// Starts of loops without an end, without blanks.
const LOOPS: [&str; 16] = [
    "for(;;)",
    "while(1)",
    "while(true)",
    "while(!0)",
    "whileTrue:",
    "while1:",
    "while(True):",
    "whiletruedo",
    "loop{",
    "loopdo",
    "while1;",
    "while(1);",
    "1whilepush",
    "whilepush@",
    "while(push@",
    "whilepush(@",
];
/// What hands out values without an end, behind `for … in`, without blanks.
const SOURCES: [&str; 6] = [
    "initertools.count(",
    "incount(",
    "initertools.cycle(",
    "incycle(",
    "initer(int,1)",
    "initer(bool,1)",
];
/// Starts of calls that collect whatever they are handed.
const COLLECTS: [&str; 5] = ["list", "tuple", "set", "sorted", "dict"];
/// What takes more each time.
const GROWS: [&str; 15] = [
    ".push(", "append(", ".extend(", "+=", "<<\"", "<<'", "push@", "fork", "#t+1]", ".=", "[i++]",
    "malloc(", ".concat(", ".add(", ".write(",
];
/// Words of a loop that ends, waits or serves.
const ENDS: [&str; 14] = [
    "break", "return", "exit", "sleep", "last", "throw", "raise", "read", "gets", "accept", "recv",
    "input", "await", "yield",
];

fn without_blanks(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Returns whether code, without its blanks, goes on without an end and takes more each time.
fn grows_forever(plain: &str) -> bool {
    let mut starts = LOOPS.iter().chain(&SOURCES);
    let loops = starts.any(|start| plain.contains(start)) || plain.ends_with("while1");
    let grows = GROWS.iter().any(|word| plain.contains(word));
    loops && grows && !ENDS.iter().any(|word| plain.contains(word))
}

/// Returns whether code, without its blanks, collects what is handed out without an end: `[x for x in itertools.count()]`.
fn collects_forever(plain: &str) -> bool {
    let places = SOURCES
        .iter()
        .flat_map(|source| plain.match_indices(source));
    let mut heads = places.filter_map(|(at, _)| plain.get(..at));
    heads.any(|head| {
        let mut open = 0_u32;
        let bracket = head.char_indices().rev().find(|(_, c)| match c {
            ')' | ']' | '}' => {
                open = open.saturating_add(1);
                false
            }
            '(' | '[' | '{' if open > 0 => {
                open = open.saturating_sub(1);
                false
            }
            '(' | '[' | '{' => true,
            _ => false,
        });
        let Some((at, bracket)) = bracket else {
            return false;
        };
        let before = head.get(..at).unwrap_or("");
        let loops = head.get(at..).is_some_and(|inner| inner.contains("for"));
        let collects = bracket != '(' || COLLECTS.iter().any(|call| before.ends_with(call));
        loops && collects
    })
}

/// Returns whether code, without its blanks, makes a value that no memory holds.
fn fills_memory(plain: &str) -> bool {
    let times = plain.match_indices("*10**1").any(|(at, found)| {
        let before = plain.get(..at).and_then(|text| text.chars().next_back());
        let after = plain
            .get(at + found.len()..)
            .and_then(|text| text.chars().next());
        before.is_some_and(|c| "]\"')".contains(c)) && after.is_some_and(|c| c.is_ascii_digit())
    });
    let made = [
        "bytearray(10**1",
        "bytes(10**1",
        "bytearray(1<<3",
        "bytearray(1<<4",
        "list(itertools.count",
        "list(iter(int",
        "(1..).map{",
        "(0..).map{",
        "(1..).to_a",
        "(1..Float::INFINITY).map{",
        "(1..Float::INFINITY).to_a",
    ];
    times || made.iter().any(|start| plain.contains(start))
}

impl ShellInterpreter<'_, '_> {
    /// Looks at code as a whole: what it shows of the environment, and whether it takes more and more.
    pub(in crate::domain::policy) fn whole_code(&mut self, code: &str) {
        self.environment_in_code(code);
        self.secrets_in_code(code);
        self.leaves_tests_out(code);
        let plain = without_blanks(code);
        self.empties_in_code(&plain);
        if grows_forever(&plain) || collects_forever(&plain) || fills_memory(&plain) {
            let text = "code that takes more and more without end";
            self.reading.does(EffectKind::System, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_that_take_more_are_told_from_those_that_end_or_wait() {
        for code in [
            "let a=[];for(;;)a.push(1)",
            "while True: a.append(1)",
            "push @a, 1 while 1",
            "loop { a << \"x\" }",
        ] {
            assert!(grows_forever(&without_blanks(code)), "{code}");
        }
        for code in [
            "while True:\n  x += 1\n  if x > 3: break",
            "for(;;){ sleep(1); n+=1 }",
            "for x in y: a.append(x)",
        ] {
            assert!(!grows_forever(&without_blanks(code)), "{code}");
        }
    }

    #[test]
    fn collections_of_what_has_no_end_are_told_from_what_takes_some_of_it() {
        for code in [
            "[x for x in itertools.count()]",
            "{x: f(x) for x in count(1) if x}",
            "list(x for x in itertools.cycle(a))",
            "[a.append(1) for _ in iter(int, 1)]",
        ] {
            assert!(collects_forever(&without_blanks(code)), "{code}");
        }
        for code in [
            "next(x for x in itertools.count() if ok(x))",
            "[x for x in itertools.islice(itertools.count(), 5)]",
            "for x in itertools.count(): print([x])",
            "[x for x in counts]",
        ] {
            assert!(!collects_forever(&without_blanks(code)), "{code}");
        }
    }

    #[test]
    fn values_that_no_memory_holds_are_told_from_large_numbers() {
        let fills_memory = |code: &str| super::fills_memory(&without_blanks(code));
        assert!(fills_memory("x = [0] * 10**12") && fills_memory("bytearray(1 << 40)"));
        assert!(
            !fills_memory("print(10**12)")
                && !fills_memory("[0] * 10**3")
                && !fills_memory("a * 10**1")
        );
    }
}
