//! Rules that make a yes last: what a person once allowed, said as narrowly as rules can say it.
//!
//! Decides only about questions: what is forbidden stays forbidden. Every proposal is tried before it is
//! offered, so a rule that would not do what the person means is never written.

use crate::domain::{
    command::Command,
    policy::{
        Decision, Policy, Rule, World,
        decide::Rules,
        judge::{matches_example, read},
        place::Place,
        reading::{Act, Effect, Reading},
        rule::Example,
        text::base_name,
    },
};

/// The most words a rule names; longer commands are asked about each time.
const MOST_WORDS: usize = 24;
/// Characters that mean something in the patterns of a rule.
const PATTERN: [char; 6] = ['*', '?', '[', '|', '\\', '\u{2026}'];

impl Policy {
    /// Returns rules that let this command pass without a question from now on; `None` where the command is
    /// not asked about, or where no rule can say it narrowly.
    pub fn rules_to_allow(&self, command: &Command, world: &World) -> Option<Vec<Rule>> {
        let world = World {
            attended: true,
            ..world.clone()
        };
        if self.judge(command, &world).decision != Decision::Ask {
            return None;
        }
        let mut reading = Reading::new(&world);
        read(command, &mut reading);
        let rules = proposed(&self.rules, &reading, command)?;
        let relaxed = self.rules.with(&rules);
        (relaxed.decide(&reading).decision == Decision::Allow).then_some(rules)
    }
}

fn proposed(rules: &Rules, reading: &Reading<'_>, command: &Command) -> Option<Vec<Rule>> {
    let mut found: Vec<Rule> = Vec::new();
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
        let example = Example {
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
fn narrowed(act: &Act, effect: Option<&Effect>) -> Option<Rule> {
    let (program, args) = act.words.split_first()?;
    let plain = |word: &String| !word.contains(PATTERN);
    if args.len() > MOST_WORDS || !act.words.iter().all(plain) {
        return None;
    }
    let mut rule = Rule {
        decision: Decision::Allow,
        reason: "a person allowed it for good".to_owned(),
        program: vec![base_name(program).to_owned()],
        args: args.to_vec(),
        ..Rule::default()
    };
    match effect {
        Some(Effect::Read(place)) => rule.reads = vec![glob(place)?],
        Some(Effect::Write(place)) => rule.writes = vec![glob(place)?],
        Some(Effect::Delete(place)) => rule.deletes = vec![glob(place)?],
        Some(Effect::Does(what, _)) => rule.effect = vec![*what],
        None => {}
    }
    Some(rule)
}

fn glob(place: &Place) -> Option<String> {
    match place {
        Place::Inside(path) if path.is_empty() => Some("@root".to_owned()),
        Place::Inside(_) | Place::Scratch(_) | Place::Home(_) | Place::Outside(_) => {
            Some(place.shown())
        }
        Place::Device | Place::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{command::Kind, policy::Preset, rules::PolicyRules};

    fn bash(code: &str) -> Command {
        Command {
            kind: Kind::Bash,
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
            allow_types: vec![Kind::Bash],
            ..PolicyRules::default()
        }
    }

    fn attended() -> World {
        World {
            attended: true,
            sandbox_proved: true,
            ..World::unattended("/srv/job/root")
        }
    }

    fn policy(preset: Preset) -> Policy {
        Policy::new(&PolicyRules { preset, ..base() }).unwrap()
    }

    #[test]
    fn what_is_not_asked_about_needs_no_rule() {
        let policy = policy(Preset::Careful);
        assert_eq!(policy.rules_to_allow(&bash("ls"), &attended()), None);
        assert_eq!(policy.rules_to_allow(&bash("rm -rf ~"), &attended()), None);
    }

    #[test]
    fn a_yes_for_good_is_about_these_words_and_this_effect() {
        let policy = policy(Preset::Strict);
        let rules = policy.rules_to_allow(&bash("rm -r build"), &attended());
        let rules = rules.unwrap();
        assert_eq!(
            rules,
            [Rule {
                name: "yes-to-rm".to_owned(),
                decision: Decision::Allow,
                reason: "a person allowed it for good".to_owned(),
                program: vec!["rm".to_owned()],
                args: vec!["-r".to_owned(), "build".to_owned()],
                deletes: vec!["build".to_owned()],
                matches: vec![Example::from("rm -r build".to_owned())],
                ..Rule::default()
            }]
        );
        let relaxed = Policy::new(&PolicyRules {
            preset: Preset::Strict,
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
        let policy = policy(Preset::Strict);
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
