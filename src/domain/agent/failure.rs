//! Why an agent ended: its work, its limit, its provider, its login, or itself.
//!
//! Only a failure of the agent's own is evidence against it. A provider that is down, a limit that is used up and a login
//! that is missing say nothing about the work, and a person's night is lost if they are taken for it. What a program says
//! about itself is read from its envelope; prose is read only where there is none, and the program's own standard error.

use std::sync::LazyLock;

use chrono::{DateTime, FixedOffset, TimeDelta};
use regex::Regex;

use super::{Agent, AgentKind, AgentOutput};
use crate::domain::{
    agent::quota,
    process::ExitStatus,
    text::{escape_control_chars, head, tail},
};

/// How an agent ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentEnd {
    /// It says that it is done; its work can be looked at.
    Done,
    /// A limit of its account is used up; it is renewed in so many seconds, where that is said.
    LimitReached {
        /// In how many seconds.
        seconds: Option<u64>,
        /// What it said.
        reason: String,
    },
    /// Its provider does not answer as it should: the same may work later.
    ProviderDown {
        /// What it said.
        reason: String,
        /// After how many seconds the provider wants to be asked again.
        seconds: Option<u64>,
    },
    /// Nothing will work until a person did something.
    NeedsPerson {
        /// What it said.
        reason: String,
        /// What the person has to do.
        remedy: String,
    },
    /// It failed.
    Failed {
        /// What it said.
        reason: String,
        /// The same may work on a second try.
        again: bool,
    },
}

impl AgentEnd {
    /// Says in a few words why it did not do what it was asked.
    pub fn describe(&self, now: DateTime<FixedOffset>) -> String {
        match self {
            Self::Done => "it is done".to_owned(),
            Self::LimitReached { seconds, reason } => {
                let when = quota_reset_day(*seconds, now)
                    .map_or(String::new(), |when| format!("; {when}"));
                format!("its quota is used up{when} ({reason})")
            }
            Self::ProviderDown { reason, .. } => {
                format!("its provider does not answer as it should: {reason}")
            }
            Self::NeedsPerson { reason, remedy } => format!("{reason}; {remedy}"),
            Self::Failed { reason, .. } => reason.clone(),
        }
    }
}

impl AgentEnd {
    /// Says which hosts the wall has refused meanwhile: to the agent that looks like a provider that forbids it or is not
    /// there. `known`: the hosts that the list or the kind of agent names.
    #[must_use]
    pub fn with_refused_hosts(self, refused: &[String], known: &[String]) -> Self {
        if refused.is_empty() {
            return self;
        }
        let names: Vec<String> = refused
            .iter()
            .take(SHOWN_HOSTS)
            .map(|host| {
                escape_control_chars(host.strip_suffix(":443").unwrap_or(host)).into_owned()
            })
            .collect();
        let more = refused.len().saturating_sub(SHOWN_HOSTS);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let hosts = format!("{}{more}", names.join(", "));
        let told = |reason: String| {
            format!("{reason}; its wall refused {hosts}, which `hosts` of the agent does not name")
        };
        match self {
            Self::NeedsPerson { reason, .. } => Self::NeedsPerson {
                remedy: format!(
                    "if its server is among them, name it in `hosts` (now {}), then run it again; else log in",
                    known.join(", ")
                ),
                reason: told(reason),
            },
            Self::ProviderDown { reason, seconds } => Self::ProviderDown {
                reason: told(reason),
                seconds,
            },
            Self::Failed { reason, again } => Self::Failed {
                reason: told(reason),
                again,
            },
            Self::Done | Self::LimitReached { .. } => self,
        }
    }
}

/// Says on which day a limit is renewed; programs name the hour alone.
pub fn quota_reset_day(seconds: Option<u64>, now: DateTime<FixedOffset>) -> Option<String> {
    let wait = TimeDelta::try_seconds(i64::try_from(seconds?).ok()?)?;
    let until = now.checked_add_signed(wait)?;
    Some(format!(
        "it is renewed on {}",
        until.format("%a %Y-%m-%d at %H:%M")
    ))
}

/// An agent that tos ended because it said nothing, and why it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SilenceCause {
    /// It was not silent for too long.
    No,
    /// It waited for its provider.
    ForProvider {
        /// How long it was silent, in seconds.
        seconds: u64,
    },
    /// Its provider refused its login again and again.
    Unauthorised,
}

/// What failed for want of a person.
static NEEDS_PERSON: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r#"(?ix) \b(invalid|incorrect|missing|expired|revoked)\ (x-)?(api|auth)[\ -]?key | api\ key\ (not\ (valid|found)|is\ (invalid|missing|required))
          | \bnot\ logged\ in\b | please\ run\ /login | please\ (log\ out\ and\ )?(sign|log)\ in\b | invalid\ auth\ method | (set|select)\ an?\ auth\ method
          | oauth\ (access\ )?token\ (has\ )?(expired|been\ revoked)|refresh[\ _]token\ (was|has\ been|is|already)|refresh_token_reused
          | authentication[_\ ](error|failed|required) | invalid\ (authentication|bearer\ token|credentials)
          | (status|error:?)\ 40[13]\b | \b40[13]\ (unauthorized|forbidden) | "code":\ ?40[13]\b | "?status"?:\ 40[13]\b | unauthenticated\b | permission_denied\b
          | credit\ balance\ is\ too\ low | insufficient[_\ ]quota | check\ your\ plan\ and\ billing | billing[_\ ](hard[_\ ]limit|not[_\ ]active|details)
          | payment\ required | out\ of\ credits | organization\ has\ been\ disabled | account\ (is|has\ been)\ (suspended|disabled|deactivated)
          | authenticationerror | model_not_found | issue\ with\ the\ selected\ model | \bmodel\b.{1,80}\bdoes\ not\ exist\b | unknown\ model"#,
    )
});
/// What failed because the provider did not answer as it should.
static PROVIDER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(
        r#"(?ix) \boverloaded\b | \bstatus\ (429|408|409|5\d\d)\b | \b(429|408|5\d\d)\ (too\ many|internal|bad\ gateway|service|gateway|request\ timeout)
          | \((429|5\d\d)\) | "code":\ ?(429|5\d\d)\b | api\ error:\ (429|5\d\d)\b | last\ status:\ (429|5\d\d)
          | too\ many\ requests | rate[\ _-]?limit | service\ unavailable | server\ error | internal_server_error | at\ capacity
          | stream\ (disconnected|closed|ended|error) | connection\ (error|reset|refused|closed|timed\ out) | socket\ (hang\ up|connection)
          | fetch\ failed | network\ (error|is\ unreachable) | unable\ to\ connect | error\ sending\ request | timed?[\ -]?out\ (waiting|while)|request\ timed\ out|\betimedout\b
          | \beconnre(fused|set)\b | \benotfound\b | \beai_again\b | \bgetaddrinfo\b | dns\ error | failed\ to\ parse\ json | unexpected\ (end\ of\ json|token) | invalid\ json\ response
          | resource_exhausted | \bunavailable\b | deadline_exceeded | premature\ close | terminated\ unexpectedly | reconnecting"#,
    )
});
/// How long a provider wants to be left alone.
static RETRY_AFTER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    expression(r#"(?i)retry[ -]?(?:after|in|delay)"?:?\s*"?(\d{1,5})(?:\.\d+)?\s*(?:s\b|sec|"|$)"#)
});

/// What programs print on standard error that is no complaint.
const NOISE: [&str; 7] = [
    "Input is not a terminal",
    "responses_websocket",
    "Failed to fetch models.dev",
    "Reading additional input from stdin",
    "YOLO mode is enabled",
    "Ripgrep is not available",
    "could not create PATH aliases",
];

/// How many complaints of an envelope, or lines of prose, say why an agent ended.
const DECISIVE_COMPLAINTS: usize = 2;
const DECISIVE_LINES: usize = 3;
/// How many refused hosts are named.
const SHOWN_HOSTS: usize = 3;
/// How many characters of a reason are told.
const REASON: usize = 300;
/// How much of standard error is read; it may hold a whole log.
const STDERR: usize = 4000;

fn expression(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

fn says(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern
        .as_ref()
        .is_some_and(|pattern| pattern.is_match(text))
}

/// Returns the line that tells most: the last one that speaks of an error, else the last one with words in it, fit for a
/// person's terminal. Lines that every start prints are left out.
pub fn most_informative_line(text: &str) -> Option<String> {
    let lines = || {
        let lines = text.lines().map(str::trim);
        lines.filter(|line| {
            line.chars().filter(|c| c.is_alphabetic()).count() > 1
                && !NOISE.iter().any(|noise| line.contains(noise))
        })
    };
    let speaks = |line: &&str| {
        let line = line.to_lowercase();
        !line.starts_with("at ")
            && ["error", "failed", "fatal", "panic", "denied", "cannot"]
                .iter()
                .any(|word| line.contains(word))
    };
    let line = lines().rfind(speaks).or_else(|| lines().next_back())?;
    let line = logged(line).unwrap_or(line);
    Some(escape_control_chars(&head(line, REASON, "...")).into_owned())
}

/// Returns the message of a line of a log in which values have names.
fn logged(line: &str) -> Option<&str> {
    let (_, message) = line.split_once("error.error=\"")?;
    message.split('"').next()
}

/// Says how an agent ended. `stderr`: what it wrote to standard error. `quiet`: whether tos ended it for its silence.
pub fn classify(
    agent: &Agent,
    report: &AgentOutput,
    exit: &ExitStatus,
    quiet: SilenceCause,
    stderr: &str,
    now: DateTime<FixedOffset>,
) -> AgentEnd {
    let well = matches!(exit, ExitStatus::Code { code: 0 }) && quiet == SilenceCause::No;
    if well && !report.is_error && (report.has_ended || !agent.kind.emits_json_lines()) {
        return AgentEnd::Done;
    }
    let texts = complaints(agent.kind, report, stderr);
    let reason = reason(agent, report, &texts);
    let all = texts.join("\n");
    let needs_person = |reason: String| AgentEnd::NeedsPerson {
        remedy: remedy(agent.underlying_kind(), &all),
        reason,
    };
    if quiet == SilenceCause::Unauthorised {
        return needs_person(reason);
    }
    if report.error_kind.is_some() {
        // A limit of tos's own making that the program kept to; the same limit ends the same work again.
        return AgentEnd::Failed {
            reason,
            again: false,
        };
    }
    let decisive = decisive(agent.kind, &texts);
    if let Some(end) = of_account(report, [&all, &decisive], &reason, now, needs_person) {
        return end;
    }
    let provider =
        matches!(report.status, Some(408 | 409 | 429 | 500..=599)) || says(&PROVIDER, &decisive);
    if let SilenceCause::ForProvider { seconds } = quiet {
        let silence = format!("it said nothing for {seconds} s while none of its commands ran");
        let reason = if all.is_empty() {
            silence
        } else {
            format!("{silence}; {reason}")
        };
        return AgentEnd::ProviderDown {
            reason,
            seconds: None,
        };
    }
    if provider {
        let seconds = RETRY_AFTER
            .as_ref()
            .and_then(|pattern| pattern.captures(&all)?.get(1)?.as_str().parse().ok());
        return AgentEnd::ProviderDown { reason, seconds };
    }
    if well && agent.kind.emits_json_lines() && !report.is_error {
        // It ended well and never said so: the stream was cut, or it is another program than tos knows.
        return AgentEnd::Failed {
            reason,
            again: true,
        };
    }
    AgentEnd::Failed {
        reason,
        again: !exit.hit_limit(),
    }
}

/// Says whether it is the account that ended the work: no login, no money, or a limit that is used up.
fn of_account(
    report: &AgentOutput,
    [all, decisive]: [&str; 2],
    reason: &str,
    now: DateTime<FixedOffset>,
    needs_person: impl Fn(String) -> AgentEnd,
) -> Option<AgentEnd> {
    let limit = quota::exhausted_quota(all, now);
    // A time of renewal says that waiting helps, whatever else is said.
    if let Some(limit) = limit.filter(|limit| limit.seconds.is_some()) {
        return Some(AgentEnd::LimitReached {
            seconds: limit.seconds,
            reason: reason.to_owned(),
        });
    }
    if matches!(report.status, Some(401..=403)) || says(&NEEDS_PERSON, decisive) {
        return Some(needs_person(reason.to_owned()));
    }
    limit.map(|_| AgentEnd::LimitReached {
        seconds: None,
        reason: reason.to_owned(),
    })
}

/// Returns what the program says about itself.
fn complaints(kind: AgentKind, report: &AgentOutput, stderr: &str) -> Vec<String> {
    let mut texts = report.complaints.clone();
    let stderr: Vec<&str> = stderr
        .lines()
        .filter(|line| !NOISE.iter().any(|noise| line.contains(noise)))
        .collect();
    let stderr = tail(&stderr.join("\n"), STDERR);
    if !kind.emits_json_lines() {
        texts.push(tail(&report.reply, quota::QUOTA_MESSAGE_TAIL));
        texts.push(tail(&stderr, quota::QUOTA_MESSAGE_TAIL));
    } else if texts.is_empty() {
        texts.push(stderr);
    }
    texts.retain(|text| !text.trim().is_empty());
    texts
}

/// Returns the part of the complaints that says why it ended: in an envelope the last two, because those before were
/// overcome; in prose the last lines, because those before are its work.
fn decisive(kind: AgentKind, texts: &[String]) -> String {
    if kind.emits_json_lines() {
        let from = texts.len().saturating_sub(DECISIVE_COMPLAINTS);
        return texts.get(from..).unwrap_or_default().join("\n");
    }
    let lines = texts.iter().flat_map(|text| {
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let from = lines.len().saturating_sub(DECISIVE_LINES);
        lines.get(from..).unwrap_or_default().to_vec()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Puts the real reason into one line.
fn reason(agent: &Agent, report: &AgentOutput, texts: &[String]) -> String {
    if let Some(kind) = &report.error_kind {
        let budget = agent
            .max_budget_usd
            .filter(|_| kind == "error_max_budget_usd");
        return match (budget, kind.as_str()) {
            (Some(dollars), _) => format!("it used up its budget of {dollars} USD ({kind})"),
            (None, "error_max_budget_usd") => format!("it used up its budget ({kind})"),
            (None, "error_max_turns") => format!("it used up its turns ({kind})"),
            (None, _) => texts
                .last()
                .and_then(|text| most_informative_line(text))
                .map_or_else(|| kind.clone(), |line| format!("{line} ({kind})")),
        };
    }
    let told = texts
        .iter()
        .rev()
        .find_map(|text| most_informative_line(text));
    let words =
        || most_informative_line(&report.reply).map(|line| format!("its last words: {line}"));
    told.or_else(words)
        .unwrap_or_else(|| "it said nothing".to_owned())
}

fn remedy(kind: AgentKind, all: &str) -> String {
    let lower = all.to_lowercase();
    let speaks = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let what = if speaks(&["credit", "billing", "quota", "payment"]) {
        "add credit or raise the limit of the account".to_owned()
    } else if lower.contains("model")
        && speaks(&["not exist", "not_found", "unknown model", "selected model"])
    {
        "correct the `model` of the agent in the list".to_owned()
    } else if speaks(&["403", "forbidden"]) {
        // The wall answers for hosts that the list does not name in the same way as a provider for a missing right.
        format!(
            "where its server is not the usual one, name it in `hosts`; else {}",
            kind.login_remedy()
        )
    } else {
        kind.login_remedy().to_owned()
    };
    format!("{what}, then run it again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::AgentOutputParser;

    fn ended(
        kind: AgentKind,
        lines: &[&str],
        code: i32,
        quiet: SilenceCause,
        stderr: &str,
    ) -> AgentEnd {
        let mut transcript = AgentOutputParser::new(kind);
        for line in lines {
            transcript.read_line(line);
        }
        let now = DateTime::parse_from_rfc3339("2026-11-29T07:17:25+00:00").unwrap();
        classify(
            &Agent::of_kind(kind),
            &transcript.finish(),
            &ExitStatus::Code { code },
            quiet,
            stderr,
            now,
        )
    }

    fn claude(result: &str, status: &str) -> AgentEnd {
        let line = format!(
            r#"{{"type":"result","subtype":"success","is_error":true,"api_error_status":{status},"result":"{result}"}}"#
        );
        ended(AgentKind::Claude, &[&line], 1, SilenceCause::No, "")
    }

    fn codex(message: &str, stderr: &str) -> AgentEnd {
        let line = serde_json::json!({ "type": "turn.failed", "error": { "message": message } })
            .to_string();
        ended(
            AgentKind::Codex,
            &[&line],
            1,
            SilenceCause::No,
            &format!("Reading additional input from stdin...\n{stderr}"),
        )
    }

    #[test]
    fn limits_say_when_they_are_renewed() {
        let cases = [
            (
                claude("You've hit your limit · resets 7:17am (UTC)", "429"),
                Some(60),
            ),
            (
                claude("You've hit your limit · resets 7:20am (UTC)", "429"),
                Some(3 * 60 - 25 + 60),
            ),
            (
                codex(
                    "You\u{2019}ve hit your usage limit. Upgrade to Pro (U), visit U to purchase more credits or try again at 7:18 AM.",
                    "",
                ),
                Some(35 + 60),
            ),
        ];
        for (end, wanted) in cases {
            let AgentEnd::LimitReached { seconds, reason } = end else {
                panic!("{end:?}")
            };
            assert_eq!(seconds, wanted, "{reason}");
            assert!(reason.contains("hit your"), "{reason}");
        }
    }

    #[test]
    fn trouble_of_a_provider_is_no_failure_of_the_work() {
        let all = [
            claude("API Error: Request rejected (429) · slow down", "429"),
            claude(
                "API Error: Repeated 529 Overloaded errors. The API is at capacity",
                "529",
            ),
            claude("API Error: Failed to parse JSON", "null"),
            codex(
                "exceeded retry limit, last status: 429 Too Many Requests",
                "",
            ),
            codex(
                "unexpected status 503 Service Unavailable: MSG, url: URL",
                "",
            ),
            codex(
                "stream disconnected before completion: stream closed before response.completed",
                "",
            ),
            ended(
                AgentKind::Opencode,
                &[],
                143,
                SilenceCause::ForProvider { seconds: 300 },
                "",
            ),
            ended(
                AgentKind::Gemini,
                &[
                    r#"{"type":"result","status":"error","error":{"message":"[API Error: {\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\"}}]"}}"#,
                ],
                1,
                SilenceCause::No,
                "}",
            ),
        ];
        for end in all {
            assert!(matches!(end, AgentEnd::ProviderDown { .. }), "{end:?}");
        }
    }

    #[test]
    fn a_missing_login_and_a_spent_balance_need_a_person() {
        let all = [
            claude("Invalid API key · Fix external API key", "401"),
            claude("Credit balance is too low", "400"),
            claude("Not logged in · Please run /login", "null"),
            claude(
                "There's an issue with the selected model (claud-5). It may not exist",
                "404",
            ),
            codex(
                "The model gpt-55 does not exist or you do not have access to it.",
                "",
            ),
            ended(
                AgentKind::Aider,
                &[
                    "litellm.AuthenticationError: bad key",
                    "The API provider is not able to authenticate you.",
                ],
                0,
                SilenceCause::No,
                "Warning: Input is not a terminal (fd=0).",
            ),
            codex("unexpected status 401 Unauthorized: MSG, url: URL", ""),
            codex("Quota exceeded. Check your plan and billing details.", ""),
            ended(
                AgentKind::Codex,
                &[],
                1,
                SilenceCause::No,
                "ERROR: your refresh token was already used. Please log out and sign in again.",
            ),
            ended(
                AgentKind::Gemini,
                &[
                    r#"{"type":"result","status":"error","error":{"type":"unknown","message":"[API Error: {\"error\":{\"code\":401,\"message\":\"nope\"}}]"}}"#,
                ],
                145,
                SilenceCause::No,
                "  status: 401\n}",
            ),
            ended(
                AgentKind::Gemini,
                &[],
                41,
                SilenceCause::No,
                "Invalid auth method selected.",
            ),
            ended(AgentKind::Claude, &[], 143, SilenceCause::Unauthorised, ""),
        ];
        for end in all {
            assert!(
                matches!(&end, AgentEnd::NeedsPerson { remedy, .. } if !remedy.is_empty()),
                "{end:?}"
            );
        }
        let AgentEnd::NeedsPerson { remedy, .. } = claude("Credit balance is too low", "400")
        else {
            panic!()
        };
        assert!(remedy.contains("credit"), "{remedy}");
    }

    #[test]
    fn what_commands_print_decides_nothing() {
        let greps = r#"{"type":"item.completed","item":{"id":"1","type":"command_execution","aggregated_output":"usage limit reached, credit balance is too low, 401 Unauthorized","exit_code":0,"status":"completed"}}"#;
        let failed = r#"{"type":"turn.failed","error":{"message":"the model gave up"}}"#;
        let end = ended(AgentKind::Codex, &[greps, failed], 1, SilenceCause::No, "");
        assert_eq!(
            end,
            AgentEnd::Failed {
                reason: "the model gave up".into(),
                again: true
            }
        );
        let done = [greps, r#"{"type":"turn.completed","usage":{}}"#];
        assert_eq!(
            ended(AgentKind::Codex, &done, 0, SilenceCause::No, ""),
            AgentEnd::Done
        );
    }

    #[test]
    fn what_was_overcome_and_what_only_looks_like_it_is_no_trouble_of_a_provider() {
        let retried = r#"{"type":"error","message":"Reconnecting... 1/5 (unexpected status 503)"}"#;
        let other = r#"{"type":"error","message":"the plan is empty"}"#;
        let gave_up = r#"{"type":"turn.failed","error":{"message":"the model gave up"}}"#;
        for (kind, lines, stderr) in [
            (AgentKind::Codex, vec![retried, other, gave_up], ""),
            (
                AgentKind::Command,
                vec![],
                "FileNotFoundError: no config.lock",
            ),
            (
                AgentKind::Command,
                vec!["connection refused", "a", "b", "c"],
                "tests failed",
            ),
        ] {
            let end = ended(kind, &lines, 1, SilenceCause::No, stderr);
            assert!(matches!(end, AgentEnd::Failed { .. }), "{end:?}");
        }
    }

    #[test]
    fn reasons_are_the_real_ones() {
        let reason = |end: AgentEnd| {
            let AgentEnd::Failed { reason, .. } = end else {
                panic!("{end:?}")
            };
            reason
        };
        let budget = r#"{"type":"result","subtype":"error_max_budget_usd","is_error":true}"#;
        assert_eq!(
            reason(ended(AgentKind::Claude, &[budget], 1, SilenceCause::No, "")),
            "it used up its budget (error_max_budget_usd)"
        );
        let words = r#"{"type":"item.completed","item":{"id":"1","type":"agent_message","text":"I stop here"}}"#;
        assert_eq!(
            reason(ended(
                AgentKind::Codex,
                &[words],
                1,
                SilenceCause::No,
                "Reading additional input from stdin...\n"
            )),
            "its last words: I stop here"
        );
        assert_eq!(
            reason(ended(
                AgentKind::Gemini,
                &[],
                145,
                SilenceCause::No,
                "TypeError: x is not a function\n    at f (a.js:1)\n}"
            )),
            "TypeError: x is not a function"
        );
        let line = "timestamp=2026 level=ERROR message=\"stream error\" error.error=\"AI_APICallError: slow down\" x=1";
        assert_eq!(
            most_informative_line(line).unwrap(),
            "AI_APICallError: slow down"
        );
        assert_eq!(
            reason(ended(AgentKind::Codex, &[], 1, SilenceCause::No, "")),
            "it said nothing"
        );
    }

    #[test]
    fn prose_is_read_where_there_is_no_envelope() {
        let limit = ended(
            AgentKind::Command,
            &["usage limit reached; resets_in_seconds: 1"],
            1,
            SilenceCause::No,
            "",
        );
        assert!(
            matches!(
                limit,
                AgentEnd::LimitReached {
                    seconds: Some(_),
                    ..
                }
            ),
            "{limit:?}"
        );
        let failed = ended(
            AgentKind::Command,
            &["working"],
            2,
            SilenceCause::No,
            "no such file\n",
        );
        assert_eq!(
            failed,
            AgentEnd::Failed {
                reason: "no such file".into(),
                again: true
            }
        );
    }
}
