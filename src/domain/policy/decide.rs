//! Holds what a command would do against the rules.
//!
//! Every effect is decided on its own: by the strictest of the user's rules that match it, else by the strictest of
//! the preset's rules, else it is allowed. The command gets the strictest decision of its effects. Adding a rule
//! that denies can therefore never make a verdict milder.

use std::sync::OnceLock;

use crate::domain::policy::{
    Decision, PolicyContext, PolicyFinding, PolicyPreset, PolicyRule, PolicyVerdict,
    interpretation::{CommandEffect, Interpretation, SimpleCommand},
    loss, ordinary,
    partial_text::{base_name, glob_overlaps, globs_meet},
    programs::{PathBase, persistent_path},
    resolved_path::{ResolvedPath, has_drive, is_whole_folder},
    rule::EffectKind,
    verdict::one_line,
};

/// Folders whose programs are taken to be what their names say.
const SYSTEM_FOLDERS: [&str; 10] = [
    "/bin/",
    "/usr/bin/",
    "/sbin/",
    "/usr/sbin/",
    "/usr/local/bin/",
    "/usr/local/sbin/",
    "/opt/",
    "/snap/bin/",
    "/nix/store/",
    "/run/current-system/",
];

/// Folders that the machine does not do without, below `/` or a drive.
const MACHINE_FOLDERS: &str = "bin boot dev etc home lib lib32 lib64 libx32 media mnt nix opt proc root run sbin snap srv sys usr var \
    usr/bin usr/include usr/lib usr/lib64 usr/local usr/sbin usr/share var/lib var/log \
    Applications Library Program* System Users Volumes Windows private private/etc private/var";

/// The name under which it is decided about what is not understood.
const OPAQUE: &str = "opaque";
/// Findings that a verdict lists.
const MOST_FINDINGS: usize = 64;

/// The rules in force.
#[derive(Debug)]
pub(super) struct RuleSet {
    own: Vec<PolicyRule>,
    preset: PolicyPreset,
    on_opaque: Decision,
}

impl RuleSet {
    /// Puts the user's rules in front of a preset's.
    pub(super) const fn new(
        own: Vec<PolicyRule>,
        preset: PolicyPreset,
        on_opaque: Decision,
    ) -> Self {
        Self {
            own,
            preset,
            on_opaque,
        }
    }

    /// Returns whether there is anything to hold a command against.
    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.preset == PolicyPreset::Original
    }

    /// Returns these rules with more of the user's.
    pub(super) fn with(&self, more: &[PolicyRule]) -> Self {
        Self::new(
            [self.own.as_slice(), more].concat(),
            self.preset,
            self.on_opaque,
        )
    }

    /// Returns why a rule decides as it does.
    pub(super) fn reason_of(&self, name: &str) -> &str {
        let mut all = self.own.iter().chain(preset_rules(self.preset));
        all.find(|rule| rule.name == name)
            .map_or("", |rule| rule.reason.as_str())
    }

    /// Returns the names of the user's rules.
    pub(super) fn names(&self) -> Vec<&str> {
        self.own.iter().map(|rule| rule.name.as_str()).collect()
    }

    /// Returns what a person would be asked about: the part of the command, and the effect where it is one.
    pub(super) fn asked_about(
        &self,
        reading: &Interpretation<'_>,
    ) -> Vec<(usize, Option<CommandEffect>)> {
        let none = SimpleCommand::default();
        let mut asked = Vec::new();
        let mut findings = Vec::new();
        let mut note = |findings: &mut Vec<PolicyFinding>, at, effect| {
            let asks = |finding: &PolicyFinding| finding.decision == Decision::Ask;
            if findings.iter().any(asks) {
                asked.push((at, effect));
            }
            findings.clear();
        };
        for (at, effect) in all_effects(reading) {
            let act = reading.acts.get(at).unwrap_or(&none);
            self.about_effect(at, act, &effect, reading.world, &mut findings);
            note(&mut findings, at, Some(effect));
        }
        for (at, act) in reading.acts.iter().enumerate() {
            self.about_program(at, act, &mut findings);
            note(&mut findings, at, None);
        }
        asked
    }

    /// Decides about everything that was found in a command.
    pub(super) fn decide(&self, reading: &Interpretation<'_>) -> PolicyVerdict {
        if let Some(why) = reading.given_up.filter(|_| self.preset.doubts()) {
            return PolicyVerdict::refused(
                &format!("the command was not read to its end: {why}"),
                None,
            );
        }
        let none = SimpleCommand::default();
        let mut findings = Vec::new();
        for (at, effect) in all_effects(reading) {
            let act = reading.acts.get(at).unwrap_or(&none);
            self.about_effect(at, act, &effect, reading.world, &mut findings);
        }
        for (at, act) in reading.acts.iter().enumerate() {
            self.about_program(at, act, &mut findings);
        }
        findings.sort_by_key(|finding| finding.at);
        findings.dedup();
        verdict(findings, reading.world)
    }

    fn about_effect(
        &self,
        at: usize,
        act: &SimpleCommand,
        effect: &CommandEffect,
        world: &PolicyContext,
        findings: &mut Vec<PolicyFinding>,
    ) {
        let own: Vec<&PolicyRule> = self
            .own
            .iter()
            .filter(|rule| matches_effect(rule, act, effect))
            .collect();
        if own.is_empty() && self.is_excused(act, effect) {
            return;
        }
        let preset: Vec<&PolicyRule> = if own.is_empty() {
            preset_rules(self.preset)
                .iter()
                .filter(|rule| matches_effect(rule, act, effect))
                .collect()
        } else {
            Vec::new()
        };
        let strictest = own.iter().chain(&preset).max_by_key(|rule| rule.decision);
        if let Some(rule) = strictest {
            if is_news(findings, rule.decision) {
                findings.push(finding(rule, at, act, described(effect)));
            }
        } else if is_opaque(effect) && self.preset.doubts() {
            self.about_opaque(at, act, effect, world, findings);
        }
    }

    /// Returns whether the guard lets something pass that other presets refuse: what a checkpoint holds, and what is ordinary
    /// beside a person.
    fn is_excused(&self, act: &SimpleCommand, effect: &CommandEffect) -> bool {
        self.preset == PolicyPreset::Guard
            && (loss::is_checkpointable(act, effect) || ordinary::is_guard_exception(act, effect))
    }

    /// Decides about what cannot be known from the text, when no rule does.
    fn about_opaque(
        &self,
        at: usize,
        act: &SimpleCommand,
        effect: &CommandEffect,
        world: &PolicyContext,
        findings: &mut Vec<PolicyFinding>,
    ) {
        let decision = match (world.sandbox_proved, world.attended) {
            (true, _) => self.on_opaque,
            (false, true) => Decision::Ask,
            (false, false) => Decision::Deny,
        };
        let rule = PolicyRule {
            name: OPAQUE.to_owned(),
            decision,
            ..PolicyRule::default()
        };
        if is_news(findings, decision) {
            findings.push(finding(&rule, at, act, described(effect)));
        }
    }

    /// Decides by the program alone.
    fn about_program(&self, at: usize, act: &SimpleCommand, findings: &mut Vec<PolicyFinding>) {
        let by_program = |rule: &&PolicyRule| !is_about_effects(rule) && matches_program(rule, act);
        let own = self
            .own
            .iter()
            .filter(by_program)
            .max_by_key(|rule| rule.decision);
        let strictest = own.or_else(|| {
            preset_rules(self.preset)
                .iter()
                .filter(by_program)
                .max_by_key(|rule| rule.decision)
        });
        if let Some(rule) = strictest.filter(|rule| is_news(findings, rule.decision)) {
            findings.push(finding(rule, at, act, "runs this program".to_owned()));
        }
    }
}

/// Returns whether one more finding of this decision is worth telling. A person reads a few; what decides is never left
/// out.
fn is_news(findings: &[PolicyFinding], decision: Decision) -> bool {
    let strictest = findings.iter().map(|finding| finding.decision).max();
    decision > Decision::Allow && (findings.len() < MOST_FINDINGS || Some(decision) > strictest)
}

/// Returns whether a rule, alone, matches anything in what was read.
pub(super) fn matches_reading(rule: &PolicyRule, reading: &Interpretation<'_>) -> bool {
    let none = SimpleCommand::default();
    all_effects(reading)
        .iter()
        .any(|(at, effect)| matches_effect(rule, reading.acts.get(*at).unwrap_or(&none), effect))
        || (!is_about_effects(rule) && reading.acts.iter().any(|act| matches_program(rule, act)))
}

/// Returns the rules of a preset.
pub(super) fn preset_rules(preset: PolicyPreset) -> &'static [PolicyRule] {
    static CAREFUL: OnceLock<Vec<PolicyRule>> = OnceLock::new();
    static STRICT: OnceLock<Vec<PolicyRule>> = OnceLock::new();
    static GUARD: OnceLock<Vec<PolicyRule>> = OnceLock::new();
    static MINIMAL: OnceLock<Vec<PolicyRule>> = OnceLock::new();
    const CAREFUL_TEXT: &str = include_str!("../../../config/policy/careful.json");
    const STRICT_TEXT: &str = include_str!("../../../config/policy/strict.json");
    const GUARD_TEXT: &str = include_str!("../../../config/policy/guard.json");
    const MINIMAL_TEXT: &str = include_str!("../../../config/policy/minimal.json");
    let careful = || CAREFUL.get_or_init(|| parsed(CAREFUL_TEXT));
    match preset {
        PolicyPreset::Careful => careful(),
        PolicyPreset::Strict => {
            STRICT.get_or_init(|| [careful().clone(), parsed(STRICT_TEXT)].concat())
        }
        PolicyPreset::Guard => GUARD.get_or_init(|| parsed(GUARD_TEXT)),
        PolicyPreset::Minimal => MINIMAL.get_or_init(|| parsed(MINIMAL_TEXT)),
        PolicyPreset::Original => &[],
    }
}

#[expect(
    clippy::expect_used,
    reason = "the text is part of the program and a test reads it"
)]
fn parsed(text: &str) -> Vec<PolicyRule> {
    serde_json::from_str(text).expect("shipped rules are valid")
}

/// Returns the effects, and those that follow from where they fall.
fn all_effects(reading: &Interpretation<'_>) -> Vec<(usize, CommandEffect)> {
    let mut effects = reading.effects.clone();
    for (at, effect) in &reading.effects {
        if let CommandEffect::Write(place) = effect
            && let Some(path) = stays(place)
        {
            effects.push((
                *at,
                CommandEffect::Does(
                    EffectKind::Persistence,
                    format!("changes {path}, which takes effect later by itself"),
                ),
            ));
        }
    }
    effects
}

fn stays(place: &ResolvedPath) -> Option<String> {
    let (kind, path) = match place {
        ResolvedPath::Home(path) => (PathBase::Home, path),
        ResolvedPath::Outside(path) => (PathBase::Outside, path),
        ResolvedPath::Inside(path) => (PathBase::Inside, path),
        ResolvedPath::Scratch(_) | ResolvedPath::Device | ResolvedPath::Unknown(_) => return None,
    };
    persistent_path(kind, path).then(|| place.shown())
}

fn is_opaque(effect: &CommandEffect) -> bool {
    matches!(
        effect,
        CommandEffect::Does(EffectKind::Opaque, _)
            | CommandEffect::Write(ResolvedPath::Unknown(_))
            | CommandEffect::Delete(ResolvedPath::Unknown(_))
    )
}

const fn is_about_effects(rule: &PolicyRule) -> bool {
    !(rule.effect.is_empty()
        && rule.writes.is_empty()
        && rule.deletes.is_empty()
        && rule.reads.is_empty())
}

fn matches_effect(rule: &PolicyRule, act: &SimpleCommand, effect: &CommandEffect) -> bool {
    if !matches_program(rule, act) {
        return false;
    }
    if !is_about_effects(rule) {
        return true;
    }
    let denies = rule.decision != Decision::Allow;
    let leads = |globs: &[String], place: &ResolvedPath| {
        globs.iter().any(|glob| leads_to(glob, place, denies))
    };
    match effect {
        CommandEffect::Read(place) => leads(&rule.reads, place),
        CommandEffect::Write(place) => leads(&rule.writes, place) || unknown(rule, place),
        CommandEffect::Delete(place) => leads(&rule.deletes, place) || unknown(rule, place),
        CommandEffect::Does(what, _) => rule.effect.contains(what),
    }
}

/// A path nobody knows is opaque too.
fn unknown(rule: &PolicyRule, place: &ResolvedPath) -> bool {
    matches!(place, ResolvedPath::Unknown(_)) && rule.effect.contains(&EffectKind::Opaque)
}

/// Returns whether a path outside the root is all of a folder that the machine or one of its users lives in, or
/// everything in it.
fn is_of_the_machine(path: &str) -> bool {
    let path = if has_drive(path) {
        path.get(2..)
    } else {
        Some(path)
    };
    let mut folder = path.unwrap_or("").trim_matches('/');
    while let Some(name) = folder
        .rsplit('/')
        .next()
        .filter(|name| is_whole_folder(name))
    {
        let above = folder.len() - name.len();
        folder = folder.get(..above).unwrap_or("").trim_end_matches('/');
        if folder.is_empty() {
            return true;
        }
    }
    let of_a_user = folder
        .split_once('/')
        .is_some_and(|(homes, user)| ["home", "Users"].contains(&homes) && !user.contains('/'));
    of_a_user
        || MACHINE_FOLDERS
            .split_whitespace()
            .any(|known| glob_overlaps(folder, known))
}

/// Returns whether a glob of a rule names a place. Where the rule `denies`, a pattern of the shell for files at home or elsewhere counts as
/// soon as it may mean one of those.
fn leads_to(glob: &str, place: &ResolvedPath, denies: bool) -> bool {
    let fits = |glob: &str, path: &str| {
        let may_mean = || path.contains(['*', '?']) && globs_meet(glob, path);
        glob_overlaps(glob, path) || denies && may_mean()
    };
    match (glob, place) {
        ("@outside", ResolvedPath::Outside(_) | ResolvedPath::Home(_)) => true,
        ("@home", ResolvedPath::Home(_))
        | ("@scratch", ResolvedPath::Scratch(_))
        | ("@unknown", ResolvedPath::Unknown(_)) => true,
        ("@root", ResolvedPath::Inside(path)) | ("@home-folder", ResolvedPath::Home(path)) => {
            is_whole_folder(path)
        }
        ("@machine", ResolvedPath::Outside(path)) => is_of_the_machine(path),
        (_, ResolvedPath::Inside(path)) => {
            !glob.starts_with(['/', '~', '@']) && glob_overlaps(glob, path)
        }
        (_, ResolvedPath::Home(path)) => {
            glob.strip_prefix("~/").is_some_and(|glob| fits(glob, path))
        }
        (_, ResolvedPath::Outside(path)) => glob.starts_with('/') && fits(glob, path),
        (_, ResolvedPath::Scratch(path)) => glob.starts_with('/') && glob_overlaps(glob, path),
        (_, ResolvedPath::Device | ResolvedPath::Unknown(_)) => false,
    }
}

fn matches_program(rule: &PolicyRule, act: &SimpleCommand) -> bool {
    if rule.program.is_empty() && rule.args.is_empty() && rule.any_arg.is_empty() {
        return true;
    }
    let Some((first, args)) = act.words.split_first() else {
        return false;
    };
    // A program that only looks like the one that is allowed is not allowed.
    if rule.decision == Decision::Allow
        && first.contains('/')
        && !SYSTEM_FOLDERS
            .iter()
            .any(|folder| first.starts_with(folder))
    {
        return false;
    }
    let name = base_name(first).to_lowercase();
    let named = rule.program.is_empty()
        || rule
            .program
            .iter()
            .any(|glob| glob_overlaps(&glob.to_lowercase(), &name));
    let fits = |globs: &str, arg: &str| globs.split('|').any(|glob| wild(glob, arg));
    let first_args = rule
        .args
        .iter()
        .enumerate()
        .all(|(at, globs)| args.get(at).is_some_and(|arg| fits(globs, arg)));
    let some_args = rule
        .any_arg
        .iter()
        .all(|globs| args.iter().any(|arg| fits(globs, arg)));
    // One argument that is allowed does not allow the others.
    let all_args = rule.decision != Decision::Allow
        || rule.any_arg.is_empty()
        || args.iter().enumerate().all(|(at, arg)| {
            let own = rule.args.get(at).is_some_and(|globs| fits(globs, arg));
            own || rule.any_arg.iter().any(|globs| fits(globs, arg))
        });
    named && first_args && some_args && all_args
}

fn wild(glob: &str, arg: &str) -> bool {
    super::shell::wild_fits(glob, arg)
}

fn described(effect: &CommandEffect) -> String {
    match effect {
        CommandEffect::Write(place @ ResolvedPath::Unknown(_)) => {
            format!("not understood: it changes {}", place.shown())
        }
        CommandEffect::Delete(place @ ResolvedPath::Unknown(_)) => {
            format!("not understood: it removes {}", place.shown())
        }
        CommandEffect::Read(place) => format!("reads {}", place.shown()),
        CommandEffect::Write(place) => format!("changes {}", place.shown()),
        CommandEffect::Delete(place) => format!("removes {}", place.shown()),
        CommandEffect::Does(EffectKind::Opaque, words) => format!("not understood: {words}"),
        CommandEffect::Does(_, words) => words.clone(),
    }
}

/// Returns what is done, with the command that does it, where there is one: a redirection alone has no words to quote.
fn act_of(text: &str, effect: &str, words: &[String]) -> String {
    if !text.trim().is_empty() {
        return format!("`{}` {}", shortened(text), of_command(effect, words));
    }
    match effect.strip_prefix("not understood: ") {
        Some(what) => format!("the command is not understood: {what}"),
        None => format!("the command {effect}"),
    }
}

/// Returns what a command would do, to stand behind the command itself: its name is not said twice.
fn of_command(effect: &str, words: &[String]) -> String {
    let mut rest = effect;
    for word in words {
        let name = word.rsplit('/').next().unwrap_or(word);
        let Some(behind) = rest
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(' '))
        else {
            break;
        };
        rest = behind;
    }
    let first = words.first().map_or("", String::as_str);
    rest.replace(
        &format!("the program `{first}`, which is not described"),
        "a program that is not described",
    )
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape of its neighbours, which keep the value"
)]
fn finding(rule: &PolicyRule, at: usize, act: &SimpleCommand, effect: String) -> PolicyFinding {
    PolicyFinding {
        rule: rule.name.clone(),
        decision: rule.decision,
        effect: one_line(&effect),
        at: at + 1,
        via: act.via.clone(),
        words: act
            .words
            .iter()
            .take(64)
            .map(|word| shortened(word))
            .collect(),
        line: Some(act.line).filter(|line| *line > 0),
    }
}

fn shortened(word: &str) -> String {
    if word.chars().count() <= 200 {
        return word.to_owned();
    }
    word.chars().take(199).chain(['\u{2026}']).collect()
}

/// Turns findings into a verdict; a question that nobody can answer is a refusal.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything that is not named has no meaning here"
)]
fn verdict(findings: Vec<PolicyFinding>, world: &PolicyContext) -> PolicyVerdict {
    // The first of the strictest is the one to name.
    let Some(strictest) = findings.iter().rev().max_by_key(|finding| finding.decision) else {
        return PolicyVerdict::allowed();
    };
    let decision = match strictest.decision {
        Decision::Ask if !world.attended => Decision::Deny,
        other => other,
    };
    let alone = if decision == strictest.decision {
        ""
    } else {
        ", and nobody can be asked"
    };
    let words = strictest.words.join(" ");
    let remedy = if strictest.rule == OPAQUE && decision == Decision::Deny {
        "; it runs behind a proved wall, with a rule that allows it, or where somebody can be asked"
    } else {
        ""
    };
    let reason = format!(
        "rule `{}`: {}{alone}{remedy}",
        strictest.rule,
        act_of(&words, &strictest.effect, &strictest.words)
    );
    PolicyVerdict {
        decision,
        reason: one_line(&reason),
        matched: Some(strictest.rule.clone()),
        findings,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        command::{Command, CommandKind},
        job::rules::PolicyRules,
        policy::Policy,
    };

    fn rule(name: &str, decision: Decision, program: &str) -> PolicyRule {
        PolicyRule {
            name: name.into(),
            decision,
            program: vec![program.into()],
            ..PolicyRule::default()
        }
    }

    fn act(words: &[&str]) -> SimpleCommand {
        SimpleCommand {
            words: words.iter().map(ToString::to_string).collect(),
            ..SimpleCommand::default()
        }
    }

    fn judged(
        rules: Vec<PolicyRule>,
        preset: PolicyPreset,
        code: &str,
        attended: bool,
    ) -> PolicyVerdict {
        let policy = Policy::new(&PolicyRules {
            allow_types: CommandKind::KNOWN.to_vec(),
            rules,
            preset,
            ..PolicyRules::default()
        });
        let command = Command {
            kind: CommandKind::Bash,
            code: code.into(),
            argv: Vec::new(),
        };
        let world = PolicyContext {
            attended,
            ..PolicyContext::unattended("/srv/root")
        };
        policy.unwrap().judge(&command, &world)
    }

    #[test]
    fn only_the_original_preset_without_rules_has_nothing_to_hold_against() {
        let set = |own, preset| RuleSet::new(own, preset, Decision::Allow).is_empty();
        assert!(set(vec![], PolicyPreset::Original));
        assert!(!set(vec![], PolicyPreset::Careful));
        let own = vec![rule("a", Decision::Deny, "make")];
        assert!(!set(own, PolicyPreset::Original));
    }

    #[test]
    fn a_rule_tells_its_own_reason_and_an_unknown_one_none() {
        let mut own = rule("mine", Decision::Deny, "make");
        own.reason = "by hand only".into();
        let other = rule("other", Decision::Deny, "make");
        let set = RuleSet::new(vec![other, own], PolicyPreset::Careful, Decision::Allow);
        assert_eq!(set.reason_of("mine"), "by hand only");
        assert_eq!(set.reason_of("other"), "");
        assert_eq!(set.reason_of("nonsense"), "");
    }

    #[test]
    fn of_very_many_findings_the_first_are_told_and_whatever_is_stricter() {
        let found = |decision, count: usize| {
            let one = finding(
                &rule("r", decision, "p"),
                0,
                &SimpleCommand::default(),
                String::new(),
            );
            vec![one; count]
        };
        let few = MOST_FINDINGS - 1;
        assert!(is_news(&[], Decision::Ask));
        assert!(!is_news(&[], Decision::Allow));
        assert!(is_news(&found(Decision::Deny, few), Decision::Ask));
        assert!(!is_news(
            &found(Decision::Ask, MOST_FINDINGS),
            Decision::Ask
        ));
        assert!(!is_news(
            &found(Decision::Deny, MOST_FINDINGS),
            Decision::Ask
        ));
        assert!(is_news(
            &found(Decision::Ask, MOST_FINDINGS),
            Decision::Deny
        ));
        assert!(!is_news(&found(Decision::Ask, few), Decision::Allow));
    }

    #[test]
    fn an_allowed_program_is_the_one_of_the_system_and_a_denied_one_any_of_that_name() {
        let allowed = rule("a", Decision::Allow, "terraform");
        let denied = rule("d", Decision::Deny, "terraform");
        for (program, is_allowed) in [
            ("terraform", true),
            ("/usr/bin/terraform", true),
            ("./terraform", false),
            ("/srv/root/terraform", false),
        ] {
            assert_eq!(
                matches_program(&allowed, &act(&[program])),
                is_allowed,
                "{program}"
            );
            assert!(matches_program(&denied, &act(&[program])), "{program}");
        }
        assert!(!matches_program(&denied, &act(&["make"])));
        assert!(!matches_program(&denied, &act(&[])));
    }

    #[test]
    fn a_rule_without_a_program_is_about_the_arguments_of_any() {
        let mut first = rule("r", Decision::Deny, "");
        first.program.clear();
        first.args = vec!["push|send".into()];
        assert!(matches_program(&first, &act(&["git", "push"])));
        assert!(matches_program(&first, &act(&["mail", "send", "x"])));
        assert!(!matches_program(&first, &act(&["git", "pull", "push"])));
        first.args.clear();
        first.any_arg = vec!["--force*".into()];
        assert!(matches_program(
            &first,
            &act(&["git", "push", "--force-with-lease"])
        ));
        assert!(!matches_program(&first, &act(&["git", "push"])));
        first.args = vec!["pull".into()];
        assert!(!matches_program(&first, &act(&["git", "push", "--force"])));
        let mut both = first.clone();
        both.program = vec!["git".into()];
        assert!(matches_program(&both, &act(&["git", "pull", "--force"])));
        assert!(!matches_program(&both, &act(&["hg", "pull", "--force"])));
    }

    #[test]
    fn a_path_that_nobody_knows_is_opaque_to_rules() {
        let mut opaque = rule("o", Decision::Ask, "");
        opaque.program.clear();
        opaque.effect = vec![EffectKind::Opaque];
        let any = act(&["rm"]);
        let matches = |effect| matches_effect(&opaque, &any, &effect);
        let unknown = || ResolvedPath::Unknown("$X".into());
        assert!(matches(CommandEffect::Write(unknown())));
        assert!(matches(CommandEffect::Delete(unknown())));
        assert!(!matches(CommandEffect::Read(unknown())));
        assert!(!matches(CommandEffect::Write(ResolvedPath::Inside(
            "a".into()
        ))));
    }

    #[test]
    fn writing_where_something_takes_effect_later_is_told() {
        let found = judged(
            vec![],
            PolicyPreset::Careful,
            "echo x >>.git/hooks/pre-commit",
            false,
        );
        let later = "changes .git/hooks/pre-commit, which takes effect later by itself";
        assert!(
            found.findings.iter().any(|finding| finding.effect == later),
            "{found:?}"
        );
        assert_eq!(stays(&ResolvedPath::Inside("src/main.rs".into())), None);
        assert_eq!(stays(&ResolvedPath::Scratch("/tmp/a".into())), None);
    }

    #[test]
    fn a_verdict_names_the_rule_the_command_and_what_it_does() {
        let deny = || vec![rule("no-make", Decision::Deny, "make")];
        let verdict = judged(deny(), PolicyPreset::Careful, "echo a; make all", false);
        assert_eq!(verdict.decision, Decision::Deny);
        assert_eq!(
            verdict.reason,
            "rule `no-make`: `make all` runs this program"
        );
        assert_eq!(verdict.matched.as_deref(), Some("no-make"));
        let found = &verdict.findings[0];
        assert_eq!((found.at, found.words.join(" ").as_str()), (2, "make all"));

        let ask = || vec![rule("ask-make", Decision::Ask, "make")];
        let asked = judged(ask(), PolicyPreset::Careful, "make", true);
        assert_eq!(asked.decision, Decision::Ask);
        assert_eq!(asked.reason, "rule `ask-make`: `make` runs this program");
        let nobody = judged(ask(), PolicyPreset::Careful, "make", false);
        assert_eq!(nobody.decision, Decision::Deny);
        assert_eq!(
            nobody.reason,
            "rule `ask-make`: `make` runs this program, and nobody can be asked"
        );
    }

    #[test]
    fn only_what_is_not_understood_and_denied_says_how_it_could_run() {
        const REMEDY: &str = "; it runs behind a proved wall, with a rule that allows it, or where somebody can be asked";
        let opaque = |attended| judged(vec![], PolicyPreset::Careful, "\"$X\" a", attended);
        let denied = opaque(false);
        assert_eq!(denied.decision, Decision::Deny);
        assert!(denied.reason.ends_with(REMEDY), "{}", denied.reason);
        assert!(
            denied.reason.contains("not understood: "),
            "{}",
            denied.reason
        );
        let asked = opaque(true);
        assert_eq!(asked.decision, Decision::Ask);
        assert!(!asked.reason.contains(REMEDY), "{}", asked.reason);
        let rule = vec![rule("no-make", Decision::Deny, "make")];
        let denied = judged(rule, PolicyPreset::Careful, "make", false);
        assert!(!denied.reason.contains(REMEDY), "{}", denied.reason);
    }

    #[test]
    fn effects_are_told_in_words_and_the_program_is_not_named_twice() {
        let home = || ResolvedPath::Home("notes".into());
        for (effect, wanted) in [
            (CommandEffect::Read(home()), "reads ~/notes"),
            (CommandEffect::Write(home()), "changes ~/notes"),
            (CommandEffect::Delete(home()), "removes ~/notes"),
            (
                CommandEffect::Write(ResolvedPath::Unknown("$X".into())),
                "not understood: it changes `$X`, which is not known from the text",
            ),
            (
                CommandEffect::Delete(ResolvedPath::Unknown("$X".into())),
                "not understood: it removes `$X`, which is not known from the text",
            ),
            (
                CommandEffect::Does(EffectKind::Opaque, "it is long".into()),
                "not understood: it is long",
            ),
            (
                CommandEffect::Does(EffectKind::Network, "curl talks".into()),
                "curl talks",
            ),
        ] {
            assert_eq!(described(&effect), wanted);
        }
        let words = |words: &[&str]| act(words).words;
        assert_eq!(
            of_command("curl talks", &words(&["/usr/bin/curl", "x"])),
            "talks"
        );
        assert_eq!(
            of_command("git push sends", &words(&["git", "push"])),
            "sends"
        );
        assert_eq!(of_command("removes /", &words(&["rm", "/"])), "removes /");
        assert_eq!(
            of_command(
                "runs the program `frob`, which is not described",
                &words(&["frob"])
            ),
            "runs a program that is not described"
        );
    }

    #[test]
    fn long_words_are_cut_where_a_person_reads_them() {
        let (fits, long) = ("ä".repeat(200), "ä".repeat(201));
        assert_eq!(shortened(&fits), fits);
        assert_eq!(shortened(&long), format!("{}…", "ä".repeat(199)));
    }
}
