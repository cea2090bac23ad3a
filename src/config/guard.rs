//! The rules of the guard: those of this person, then those of the project, which win.
//!
//! Danger: the guard cannot judge by a file it cannot read, so every fault is an error with its place; nothing is passed over.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    config::files,
    domain::{
        command::CommandKind,
        job::rules::PolicyRules,
        policy::{Decision, Policy, PolicyPreset, PolicyRule},
        state_folder::tos_path,
        text::line_and_column,
    },
};

/// Where a project has its rules, from its root.
pub const PROJECT_FILE: &str = tos_path!("guard.toml");

/// The settings of the guard.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardSettings {
    /// The shipped rules.
    pub preset: PolicyPreset,
    /// Rules of this person, and of the project where it may loosen anything.
    pub rules: Vec<PolicyRule>,
    /// Rules that came with the project: they decide besides the others and never in their place.
    pub stricter: Vec<PolicyRule>,
    /// Nothing is blocked, only reported.
    pub observe: bool,
    /// The most files of a checkpoint.
    pub max_files: usize,
    /// The most megabytes of a checkpoint.
    pub max_megabytes: u64,
    /// Folders besides the project that commands may fill and empty.
    pub scratch: Vec<PathBuf>,
    /// The files that were read.
    pub sources: Vec<PathBuf>,
    /// What a file that came with the project wanted to loosen, and nobody here has agreed to.
    pub ignored: Option<String>,
    /// Projects whose files may loosen the rules.
    trust: Vec<PathBuf>,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self {
            preset: PolicyPreset::Guard,
            rules: Vec::new(),
            stricter: Vec::new(),
            observe: false,
            max_files: 20_000,
            max_megabytes: 512,
            scratch: Vec::new(),
            sources: Vec::new(),
            ignored: None,
            trust: Vec::new(),
        }
    }
}

/// One file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GuardFile {
    preset: Option<PolicyPreset>,
    observe: Option<bool>,
    max_files: Option<usize>,
    max_megabytes: Option<u64>,
    #[serde(default)]
    scratch: Vec<PathBuf>,
    #[serde(default)]
    trust: Vec<PathBuf>,
    #[serde(default, rename = "rule")]
    rules: Vec<PolicyRule>,
}

impl GuardFile {
    fn read(name: &str, text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let (line, column) = line_and_column(text, at);
            format!(
                "{name}:{line}:{column}: {}",
                error.message().replace('\n', ", ")
            )
        })?;
        let mild = match file.preset {
            Some(PolicyPreset::Original) => Some("original"),
            Some(PolicyPreset::Minimal) => Some("minimal"),
            _ => None,
        };
        if let Some(mild) = mild {
            return Err(format!(
                "{name}: `preset = \"{mild}\"` is milder than the guard; it has to be one of `guard`, `careful`, `strict`"
            ));
        }
        for (key, folders) in [("scratch", &file.scratch), ("trust", &file.trust)] {
            if let Some(folder) = folders.iter().find(|folder| !folder.is_absolute()) {
                return Err(format!(
                    "{name}: `{key}` has `{}`, which is no absolute path",
                    folder.display()
                ));
            }
        }
        // Checked file by file, so that the error names the right one.
        made(PolicyPreset::Guard, &file.rules)
            .map(drop)
            .map_err(|why| format!("{name}: {why}"))?;
        Ok(file)
    }

    /// Takes out what makes rules milder; returns what that was, in words.
    fn tighten(&mut self, preset: PolicyPreset) -> Option<String> {
        let mut taken = Vec::new();
        if self.observe.take().unwrap_or(false) {
            taken.push("`observe`".to_owned());
        }
        if let Some(wanted) = self.preset
            && strictness(wanted) <= strictness(preset)
        {
            self.preset = None;
            if wanted != preset {
                taken.push("`preset`".to_owned());
            }
        }
        for (key, given) in [
            ("max_files", self.max_files.take().is_some()),
            ("max_megabytes", self.max_megabytes.take().is_some()),
            ("scratch", !std::mem::take(&mut self.scratch).is_empty()),
        ] {
            if given {
                taken.push(format!("`{key}`"));
            }
        }
        self.rules.retain(|rule| {
            let is_milder = rule.decision == Decision::Allow;
            if is_milder {
                taken.push(format!("rule `{}`", rule.name));
            }
            !is_milder
        });
        (!taken.is_empty()).then(|| taken.join(", "))
    }
}

impl GuardSettings {
    /// Reads the settings of a person and of a project; a file that is not there says nothing. A project's file that came
    /// with it makes rules stricter only, unless the person trusts the project.
    pub fn load(
        person: Option<&Path>,
        root: &Path,
        came_with_it: &dyn Fn() -> bool,
    ) -> Result<Self, String> {
        let mut settings = Self::default();
        if let Some(path) = person
            && let Some(text) = text_of(path)?
        {
            let file = GuardFile::read(&path.display().to_string(), &text)?;
            settings.trust.clone_from(&file.trust);
            settings.add(file);
            settings.sources.push(path.to_owned());
        }
        let path = root.join(PROJECT_FILE);
        if let Some(text) = text_of(&path)? {
            let name = path.display().to_string();
            let mut file = GuardFile::read(&name, &text)?;
            if !file.trust.is_empty() {
                return Err(format!(
                    "{name}: `trust` belongs into your own file, ~/.config/tos/guard.toml"
                ));
            }
            let is_trusted = settings
                .trust
                .iter()
                .any(|trusted| root.starts_with(trusted));
            if !is_trusted && came_with_it() {
                settings.ignored = file.tighten(settings.preset).map(|what| {
                    format!(
                        "{name} came with the project and makes rules stricter only; not followed: {what}. `trust = \
                         [\"{}\"]` in ~/.config/tos/guard.toml changes that",
                        root.display()
                    )
                });
                settings.stricter = std::mem::take(&mut file.rules);
            }
            settings.add(file);
            settings.sources.push(path);
        }
        Ok(settings)
    }

    fn add(&mut self, file: GuardFile) {
        self.preset = file.preset.unwrap_or(self.preset);
        self.observe = file.observe.unwrap_or(self.observe);
        self.max_files = file.max_files.unwrap_or(self.max_files);
        self.max_megabytes = file.max_megabytes.unwrap_or(self.max_megabytes);
        self.scratch.extend(file.scratch);
        self.rules.extend(file.rules);
    }

    /// Makes the policy. A stricter preset stands beside that of the guard, as do rules that came with the project: the
    /// strictest of all decides, so that none of them takes a question or a refusal back.
    pub fn policy(&self) -> Result<Policy, String> {
        let mut policy = made(PolicyPreset::Guard, &self.rules)?;
        if self.preset != PolicyPreset::Guard {
            policy = policy.combined_with(made(self.preset, &self.rules)?);
        }
        if !self.stricter.is_empty() {
            let all: Vec<PolicyRule> = self.all_rules().cloned().collect();
            policy = policy.combined_with(made(PolicyPreset::Guard, &all)?);
        }
        Ok(policy)
    }

    fn all_rules(&self) -> impl Iterator<Item = &PolicyRule> {
        self.rules.iter().chain(&self.stricter)
    }

    /// Returns how many rules there are besides those of the preset.
    pub fn rule_count(&self) -> usize {
        self.all_rules().count()
    }

    /// Returns what is to be said about rules that allow more than they seem to.
    pub fn warnings(&self) -> Vec<String> {
        let each = self.all_rules();
        each.filter_map(|rule| Some(format!("rule `{}` {}", rule.name, rule.overbroad_reason()?)))
            .collect()
    }

    /// Returns how many examples the rules have.
    pub fn example_count(&self) -> usize {
        let each = self.all_rules();
        each.map(|rule| rule.matches.len() + rule.no_match.len())
            .sum()
    }
}

/// Orders the presets: what a stricter one lets pass, a milder one does too.
const fn strictness(preset: PolicyPreset) -> u8 {
    match preset {
        PolicyPreset::Original | PolicyPreset::Minimal => 0,
        PolicyPreset::Guard => 1,
        PolicyPreset::Careful => 2,
        PolicyPreset::Strict => 3,
    }
}

fn text_of(path: &Path) -> Result<Option<String>, String> {
    // What is no file is not opened: a pipe would be waited for forever.
    if let Some(what) = files::not_a_file_reason(path) {
        return Err(format!("{}: it is {what} and no file", path.display()));
    }
    match files::read_text(path) {
        Ok(text) => Ok(Some(text)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn made(preset: PolicyPreset, rules: &[PolicyRule]) -> Result<Policy, String> {
    let rules = PolicyRules {
        preset,
        rules: rules.to_vec(),
        allow_types: CommandKind::KNOWN.to_vec(),
        ..PolicyRules::default()
    };
    Policy::new(&rules).map_err(|error| {
        let why = error.to_string();
        why.strip_prefix("execution_policy.rules: ")
            .map_or_else(|| why.clone(), |why| format!("[[rule]]: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    fn read(text: &str) -> Result<GuardSettings, String> {
        let mut settings = GuardSettings::default();
        settings.add(GuardFile::read("guard.toml", text)?);
        Ok(settings)
    }

    #[test]
    fn rules_are_read_and_their_examples_checked() {
        let text = "observe = true\nmax_files = 5\n\n[[rule]]\nname = \"mirror\"\ndecision = \"allow\"\n\
            program = [\"curl\"]\nany_arg = [\"https://mirror.example.org/*\"]\neffect = [\"network\"]\n\
            match = [\"curl https://mirror.example.org/x\"]\nno_match = [\"curl https://example.org/\"]\n";
        let settings = read(text).unwrap();
        assert!(settings.observe);
        assert_eq!((settings.max_files, settings.example_count()), (5, 2));
        assert_eq!(settings.rules[0].decision, Decision::Allow);
        let wrong = text.replace(
            "no_match = [\"curl https://example.org/\"]",
            "no_match = [\"curl https://mirror.example.org/y\"]",
        );
        assert_eq!(
            read(&wrong).unwrap_err(),
            "guard.toml: [[rule]]: rule `mirror` matches its counter-example: `curl https://mirror.example.org/y`"
        );
    }

    #[test]
    fn the_example_of_the_documentation_is_read_and_allows_no_more_than_it_says() {
        let document = include_str!("../../docs/guard.md");
        let text = document.split("```toml\n").nth(1).unwrap();
        let settings = read(text.split("```").next().unwrap()).unwrap();
        assert_eq!((settings.rules.len(), settings.example_count()), (1, 5));
        assert_eq!(settings.warnings(), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_came_with_a_project_makes_rules_stricter_only() {
        let text = "observe = true\nscratch = [\"/x\"]\n[[rule]]\nname = \"a\"\ndecision = \"allow\"\nprogram = [\"curl\"]\n\
            [[rule]]\nname = \"b\"\ndecision = \"deny\"\nprogram = [\"make\"]\n";
        let mut file = GuardFile::read("guard.toml", text).unwrap();
        assert_eq!(
            file.tighten(PolicyPreset::Guard).as_deref(),
            Some("`observe`, `scratch`, rule `a`")
        );
        assert_eq!(file.rules.len(), 1);
        let strict = "preset = \"strict\"\n";
        let mut file = GuardFile::read("guard.toml", strict).unwrap();
        assert_eq!(
            (file.tighten(PolicyPreset::Careful), file.preset),
            (None, Some(PolicyPreset::Strict))
        );
        let mut file = GuardFile::read("guard.toml", "preset = \"careful\"\n").unwrap();
        assert_eq!(
            (file.tighten(PolicyPreset::Strict).as_deref(), file.preset),
            (Some("`preset`"), None)
        );
    }

    #[test]
    fn a_preset_and_rules_that_came_with_a_project_make_nothing_milder() {
        let decision = |settings: &GuardSettings, code: &str| {
            let command =
                crate::domain::command::Command::with_code(CommandKind::Bash, code.to_owned());
            let world = crate::domain::policy::PolicyContext {
                attended: true,
                ..crate::domain::policy::PolicyContext::unattended("/srv/job/root")
            };
            settings.policy().unwrap().judge(&command, &world).decision
        };
        let plain = GuardSettings::default();
        let asks = "[[rule]]\nname = \"b\"\ndecision = \"ask\"\nprogram = [\"rm\"]\ndeletes = [\"@outside\"]\n";
        let came = GuardSettings {
            stricter: GuardFile::read("guard.toml", asks).unwrap().rules,
            ..GuardSettings::default()
        };
        for code in [
            "git push origin main",
            "cat .env",
            "rm -rf /srv/other",
            "curl https://example.org",
            "ls",
        ] {
            for preset in ["careful", "strict"] {
                let stricter = read(&format!("preset = \"{preset}\"\n")).unwrap();
                let found = decision(&stricter, code);
                assert!(
                    found >= decision(&plain, code),
                    "{preset} {code}: {found:?}"
                );
            }
            assert_eq!(decision(&came, code), decision(&plain, code), "{code}");
        }
        let careful = read("preset = \"careful\"\n").unwrap();
        assert_eq!(
            decision(&careful, "curl https://example.org"),
            Decision::Deny
        );
    }

    #[test]
    fn every_fault_names_its_place() {
        for (text, error) in [
            (
                "observe = 3\n",
                "guard.toml:1:11: invalid type: integer `3`, expected a boolean",
            ),
            (
                "\nprest = \"guard\"\n",
                "guard.toml:2:1: unknown field `prest`",
            ),
            ("[[rule]\n", "guard.toml:1:"),
            (
                "scratch = [\"x\"]\n",
                "guard.toml: `scratch` has `x`, which is no absolute path",
            ),
            (
                "preset = \"original\"\n",
                "guard.toml: `preset = \"original\"` is milder than the guard",
            ),
            (
                "preset = \"minimal\"\n",
                "guard.toml: `preset = \"minimal\"` is milder than the guard",
            ),
            (
                "[[rule]]\nname = \"x\"\ndecision = \"deny\"\n",
                "guard.toml: [[rule]]: rule `x` has no condition",
            ),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.starts_with(error), "{text}: {found}");
        }
    }
}
