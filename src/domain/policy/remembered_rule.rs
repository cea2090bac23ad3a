//! Rules that make a yes last: what a person once allowed, said as narrowly as rules can say it.
//!
//! Decides only about questions: what is forbidden stays forbidden. Every proposal is tried before it is
//! offered, so a rule that would not do what the person means is never written.

use crate::domain::{
    command::Command,
    policy::{
        Decision, Policy, PolicyContext, PolicyRule,
        decide::RuleSet,
        interpretation::{CommandEffect, Interpretation, SimpleCommand},
        judge::{matches_example, read},
        partial_text::base_name,
        resolved_path::ResolvedPath,
        rule::RuleExample,
    },
};

/// The most words a rule names; longer commands are asked about each time.
const MOST_WORDS: usize = 24;
/// Characters that mean something in the patterns of a rule.
const PATTERN: [char; 6] = ['*', '?', '[', '|', '\\', '\u{2026}'];

impl Policy {
    /// Returns rules that let this command pass without a question from now on; `None` where the command is
    /// not asked about, or where no rule can say it narrowly.
    pub fn rules_to_allow(
        &self,
        command: &Command,
        world: &PolicyContext,
    ) -> Option<Vec<PolicyRule>> {
        let world = PolicyContext {
            attended: true,
            ..world.clone()
        };
        if self.judge(command, &world).decision != Decision::Ask {
            return None;
        }
        let mut reading = Interpretation::new(&world);
        read(command, &mut reading);
        let rules = proposed(&self.rules, &reading, command)?;
        let relaxed = self.rules.with(&rules);
        (relaxed.decide(&reading).decision == Decision::Allow).then_some(rules)
    }
}

fn proposed(
    rules: &RuleSet,
    reading: &Interpretation<'_>,
    command: &Command,
) -> Option<Vec<PolicyRule>> {
    let mut found: Vec<PolicyRule> = Vec::new();
    for (at, effect) in rules.asked_about(reading) {
        let act = reading.acts.get(at)?;
        let rule = narrowed(act, effect.as_ref())?;
        if !found.contains(&rule) {
            found.push(rule);
        }
    }
    let names = rules.names();
    for rule in &mut found {
        let taken = |name: &String| names.contains(&name.as_str());
        let stem = format!("yes-to-{}", rule.program.first()?);
        let mut name = stem.clone();
        let mut number = 2;
        while taken(&name) {
            name = format!("{stem}-{number}");
            number += 1;
        }
        rule.name = name;
        let example = RuleExample {
            kind: command.kind.clone(),
            code: command.text(),
        };
        // An example is tried in a root that is not this one, so it may not hold there.
        if matches_example(rule, &example) {
            rule.matches.push(example);
        }
    }
    Some(found)
}

/// Returns a rule about one effect of one program with these very words in front.
fn narrowed(act: &SimpleCommand, effect: Option<&CommandEffect>) -> Option<PolicyRule> {
    let (program, args) = act.words.split_first()?;
    let plain = |word: &String| !word.contains(PATTERN);
    if args.len() > MOST_WORDS || !act.words.iter().all(plain) {
        return None;
    }
    let mut rule = PolicyRule {
        decision: Decision::Allow,
        reason: "a person allowed it for good".to_owned(),
        program: vec![base_name(program).to_owned()],
        args: args.to_vec(),
        ..PolicyRule::default()
    };
    match effect {
        Some(CommandEffect::Read(place)) => rule.reads = vec![glob(place)?],
        Some(CommandEffect::Write(place)) => rule.writes = vec![glob(place)?],
        Some(CommandEffect::Delete(place)) => rule.deletes = vec![glob(place)?],
        Some(CommandEffect::Does(what, _)) => rule.effect = vec![*what],
        None => {}
    }
    Some(rule)
}

fn glob(place: &ResolvedPath) -> Option<String> {
    match place {
        ResolvedPath::Inside(path) if path.is_empty() => Some("@root".to_owned()),
        ResolvedPath::Inside(_)
        | ResolvedPath::Scratch(_)
        | ResolvedPath::Home(_)
        | ResolvedPath::Outside(_) => Some(place.shown()),
        ResolvedPath::Device | ResolvedPath::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{command::CommandKind, job::rules::PolicyRules, policy::PolicyPreset};

    fn bash(code: &str) -> Command {
        Command {
            kind: CommandKind::Bash,
            code: code.to_owned(),
            argv: Vec::new(),
        }
    }

    fn asking(effect: &str) -> PolicyRules {
        let rule = format!(r#"{{"name": "ask", "decision": "ask", "effect": ["{effect}"]}}"#);
        PolicyRules {
            rules: vec![serde_json::from_str(&rule).unwrap()],
            ..base()
        }
    }

    fn base() -> PolicyRules {
        PolicyRules {
            allow_types: vec![CommandKind::Bash],
            ..PolicyRules::default()
        }
    }

    fn attended() -> PolicyContext {
        PolicyContext {
            attended: true,
            sandbox_proved: true,
            ..PolicyContext::unattended("/srv/job/root")
        }
    }

    fn policy(preset: PolicyPreset) -> Policy {
        Policy::new(&PolicyRules { preset, ..base() }).unwrap()
    }

    #[test]
    fn what_is_not_asked_about_needs_no_rule() {
        let policy = policy(PolicyPreset::Careful);
        assert_eq!(policy.rules_to_allow(&bash("ls"), &attended()), None);
        assert_eq!(policy.rules_to_allow(&bash("rm -rf ~"), &attended()), None);
    }

    #[test]
    fn a_yes_for_good_is_about_these_words_and_this_effect() {
        let policy = policy(PolicyPreset::Strict);
        let rules = policy.rules_to_allow(&bash("rm -r build"), &attended());
        let rules = rules.unwrap();
        assert_eq!(
            rules,
            [PolicyRule {
                name: "yes-to-rm".to_owned(),
                decision: Decision::Allow,
                reason: "a person allowed it for good".to_owned(),
                program: vec!["rm".to_owned()],
                args: vec!["-r".to_owned(), "build".to_owned()],
                deletes: vec!["build".to_owned()],
                matches: vec![RuleExample::from("rm -r build".to_owned())],
                ..PolicyRule::default()
            }]
        );
        let relaxed = Policy::new(&PolicyRules {
            preset: PolicyPreset::Strict,
            rules,
            ..base()
        });
        let relaxed = relaxed.unwrap();
        let decision = |code: &str| relaxed.judge(&bash(code), &attended()).decision;
        assert_eq!(decision("rm -r build"), Decision::Allow);
        assert_eq!(decision("rm -r build src"), Decision::Ask);
        assert_eq!(decision("rm -r src"), Decision::Ask);
        assert_eq!(
            relaxed
                .rules_to_allow(&bash("rm -r src"), &attended())
                .unwrap()[0]
                .name,
            "yes-to-rm-2"
        );
    }

    #[test]
    fn words_that_a_rule_would_read_as_a_pattern_are_asked_about_each_time() {
        let policy = policy(PolicyPreset::Strict);
        assert_eq!(policy.rules_to_allow(&bash("rm *.o"), &attended()), None);
        assert_eq!(policy.rules_to_allow(&bash("rm $X"), &attended()), None);
    }

    #[test]
    fn a_question_of_the_user_s_own_rule_stays_a_question() {
        let policy = Policy::new(&asking("package_install")).unwrap();
        let command = bash("cargo install ripgrep");
        assert_eq!(policy.judge(&command, &attended()).decision, Decision::Ask);
        assert_eq!(policy.rules_to_allow(&command, &attended()), None);
    }
}
