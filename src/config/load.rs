//! Loads the settings: finds the file, lays the layers, builds the values, and places every fault in the text.

use std::path::{Path, PathBuf};

use crate::{
    config::{
        discover,
        error::{ConfigFault, Error, PathSegment, segments},
        files, json,
        layers::{FlagOverrides, Layers},
        settings::Settings,
        settings_reader,
        source::ValueSource,
    },
    domain::policy::Policy,
};

/// The words that `tos init` puts where the goal belongs.
const GOAL_PLACEHOLDER: &str = "DESCRIBE THE GOAL HERE";
/// What to write instead.
const GOAL_REMEDY: &str = "write what the job is for, e.g. \"goal\": \"Every test of `make test` passes.\", or name a text file in \
     `goal_file`";

impl Settings {
    /// Reads and resolves everything: the file (`config_flag`, relative to the root, or the one found),
    /// the environment, the flags. Without a file the defaults hold.
    pub fn load(
        root: &Path,
        config_flag: Option<&Path>,
        environment: &[(String, String)],
        overrides: &FlagOverrides,
    ) -> Result<Self, Error> {
        let root = files::canonical(root);
        let config_file = match config_flag {
            Some(named) => Some(root.join(named)),
            None => discover::usable_config_in(&root)?,
        };
        let mut layers = Layers::new(&root);
        let text = match &config_file {
            Some(file) => Some(read(&root, file)?),
            None => None,
        };
        if let (Some(file), Some(text)) = (&config_file, &text) {
            let named = named(&root, file);
            layers.lay_file(&json::parse(text, &named)?, &named);
        }
        layers.lay_environment(environment);
        layers.lay_flags(overrides);
        let (sources, faults, warnings) = layers.finish();
        let input = settings_reader::SettingsInput {
            root,
            config_file,
            environment,
            sources,
            warnings,
        };
        let (settings, more) = settings_reader::settings(input);
        let faults: Vec<ConfigFault> = faults.into_iter().chain(more).collect();
        if faults.is_empty() {
            return Ok(settings);
        }
        Err(Error::Faults(placed(faults, text.as_deref())))
    }

    /// Makes the policy ready, once; a rule or an example that does not hold is a configuration error.
    pub fn policy(&self) -> Result<Policy, Error> {
        Policy::new(&self.rules.policy).map_err(|fault| {
            let (path, problem) = (
                vec![PathSegment::Key("execution_policy".into())],
                chain(&fault),
            );
            let source = self
                .config_file
                .as_ref()
                .map_or(ValueSource::Default, |file| {
                    ValueSource::File(named(&self.root, file))
                });
            Error::Faults(vec![ConfigFault {
                source,
                place: None,
                path,
                problem,
                remedy: "correct it there; docs/policy.md shows how rules are written".into(),
            }])
        })
    }

    /// Returns an error where nobody has said what the job is for: a run would be paid for nothing.
    pub fn require_goal(&self) -> Result<(), Error> {
        let Some((key, problem)) = self.goal_problem() else {
            return Ok(());
        };
        let source = self.sources.get(key).map(|value| value.source.clone());
        let fault = ConfigFault {
            source: source.unwrap_or(ValueSource::Default),
            place: None,
            path: segments(key),
            problem,
            remedy: GOAL_REMEDY.to_owned(),
        };
        // What cannot be read any more has no line to name.
        let text = self.config_file.as_deref();
        let text = text.and_then(|file| read(&self.root, file).ok());
        Err(Error::Faults(placed(vec![fault], text.as_deref())))
    }

    /// Returns which key leaves a goal that nobody has filled in, and how.
    pub fn goal_problem(&self) -> Option<(&'static str, String)> {
        let templates = &self.rules.templates;
        let roles = [
            (
                "draft_prompt_template",
                "draft_prompt_file",
                &templates.draft,
            ),
            (
                "review_prompt_template",
                "review_prompt_file",
                &templates.review,
            ),
            (
                "final_prompt_template",
                "final_prompt_file",
                &templates.final_,
            ),
        ];
        let is_given = |key: &str| {
            let value = self.sources.get(key);
            value.is_some_and(|value| !value.value.is_null())
        };
        let says = |words: &str| roles.iter().find(|(_, _, text)| text.contains(words));
        let of_prompt = |(template, file, _): &(&'static str, &'static str, &String)| {
            if is_given(file) { *file } else { *template }
        };
        if let Some(role) = says(GOAL_PLACEHOLDER) {
            let goals = ["goal", "goal_file"].into_iter();
            let key = goals.rev().find(|key| is_given(key));
            let key = key.unwrap_or_else(|| of_prompt(role));
            return Some((key, format!("still the placeholder `{GOAL_PLACEHOLDER}`")));
        }
        let role = says("{goal}")?;
        let problem = "a prompt says `{goal}` and there is none".to_owned();
        Some((of_prompt(role), problem))
    }

    /// Returns an error where no configuration file was found: without one there is no job to work on, and
    /// a run would spend money on a prompt without a goal.
    pub fn require_file(&self) -> Result<(), Error> {
        let root = self.root.clone();
        match self.config_file {
            Some(_) => Ok(()),
            None => Err(Error::Missing { root }),
        }
    }
}

/// Returns a file as messages name it: relative to the root where it lies below it.
fn named(root: &Path, file: &Path) -> PathBuf {
    file.strip_prefix(root).unwrap_or(file).to_path_buf()
}

/// Returns an error with its causes in one line.
fn chain(fault: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(fault.source(), |cause| cause.source());
    causes.fold(fault.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn read(root: &Path, file: &Path) -> Result<String, Error> {
    let bytes = files::read(file).map_err(|source| Error::Unreadable {
        path: file.into(),
        source,
    })?;
    json::decode(&bytes, &named(root, file))
}

/// Adds line and column to the faults of the file and puts these first, in the order of the text.
fn placed(mut faults: Vec<ConfigFault>, text: Option<&str>) -> Vec<ConfigFault> {
    for fault in &mut faults {
        if let (ValueSource::File(_), Some(text)) = (&fault.source, text) {
            fault.place = json::locate(text, &fault.path);
        }
    }
    faults.sort_by_key(|fault| (fault.place.is_none(), fault.place));
    faults
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use std::time::Duration;

    use super::*;
    use crate::{
        config::{JobInputSettings, Network, keys},
        domain::{
            command::CommandKind,
            job::rules::{AfterCrash, DoneCheck, PerRole},
            model::ModelPrice,
            provider::{OpenAiApi, Provider},
        },
    };

    /// A root with a configuration file.
    struct Place {
        root: TempDir,
        environment: Vec<(String, String)>,
        flags: FlagOverrides,
    }

    impl Place {
        fn new(text: impl AsRef<[u8]>) -> Self {
            let root = tempfile::tempdir().unwrap();
            files::write(&root.path().join("config/config_v0_3.json"), text);
            Self {
                root,
                environment: Vec::new(),
                flags: FlagOverrides::default(),
            }
        }

        fn env(mut self, name: &str, text: &str) -> Self {
            self.environment.push((name.into(), text.into()));
            self
        }

        fn flag(mut self, flag: &str, key: &str, value: impl Into<serde_json::Value>) -> Self {
            self.flags.set(flag, key, value);
            self
        }

        fn load(&self) -> Result<Settings, Error> {
            Settings::load(self.root.path(), None, &self.environment, &self.flags)
        }

        /// Returns the message, with a fixed name for the root.
        fn fault(&self) -> String {
            let root = files::canonical(self.root.path());
            let message = chain(&self.load().unwrap_err());
            message.replace(&root.display().to_string(), "$ROOT")
        }
    }

    fn load(text: &str) -> Settings {
        Place::new(text).load().unwrap()
    }

    fn fault(text: &str) -> String {
        Place::new(text).fault()
    }

    #[test]
    fn without_a_file_the_defaults_of_the_original_hold() {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings::load(root.path(), None, &[], &FlagOverrides::default()).unwrap();
        let rules = &settings.rules;
        assert_eq!(settings.config_file, None);
        assert_eq!(
            (rules.max_steps, rules.json_retry, rules.retry.attempts),
            (8, 2, 2)
        );
        assert_eq!(rules.command_timeout, Duration::from_secs(120));
        assert_eq!(
            *rules.deadlines.of(crate::domain::model::ModelRole::Review),
            Duration::from_secs(120)
        );
        assert_eq!(
            rules.policy,
            crate::domain::job::rules::PolicyRules::default()
        );
        assert_eq!(rules.job_loop, None);
        assert_eq!(
            rules.job_result,
            Path::new("workspace/artifacts/job_result.json")
        );
        assert_eq!(
            (rules.idle_timeout, rules.on_unknown),
            (None, AfterCrash::Stop)
        );
        assert_eq!(settings.models.draft.model, "gpt-4o-mini");
        assert_eq!(settings.models.review.model, "claude-3-5-sonnet-20241022");
        assert_eq!(
            settings.paths.phase_state,
            Path::new("workspace/phase_state.json")
        );
        assert_eq!(settings.payload, None);
        assert_eq!(
            settings.missing_api_keys(),
            ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"]
        );
    }

    #[test]
    fn the_keys_of_the_original_arrive_where_they_belong() {
        let settings = load(
            r#"{
              "config_version": "v0.3", "sprint": "S-5",
              "s5_settings": {"enabled": true, "description": "x", "experimental_warning": true,
                "job_loop": {"enabled": true, "max_jobs": 3, "job_name": "sample",
                  "job_input": {"path": "workspace/artifacts/job_input.json", "required": true},
                  "job_result": {"path": "workspace/artifacts/other.json"}}},
              "openai_model": "o", "anthropic_model": "a", "max_steps": 4, "api_retry": 0,
              "json_retry": 1, "timeout_sec": 30, "workspace_dir": "ws", "logs_dir": "lg",
              "execution_policy": {"default_action": "allow", "stop_on_deny": false,
                "deny_if_contains": ["Remove-Item", "del "]},
              "allow_types": ["powershell", "bash"], "deny_patterns": ["del.*/f", "rmdir.*/s"],
              "draft_prompt_template": "d", "review_prompt_template": "r", "final_prompt_template": "f"
            }"#,
        );
        let rules = &settings.rules;
        assert!(rules.experimental && settings.experimental_warning);
        assert_eq!(rules.sprint.as_deref(), Some("S-5"));
        let job_loop = rules.job_loop.clone().unwrap();
        assert_eq!((job_loop.max_jobs, job_loop.name.as_str()), (3, "sample"));
        let payload = JobInputSettings {
            path: "workspace/artifacts/job_input.json".into(),
            required: true,
        };
        assert_eq!(settings.payload, Some(payload));
        assert_eq!(settings.models.final_.model, "o");
        assert_eq!(settings.models.review.model, "a");
        assert_eq!(rules.command_timeout, Duration::from_secs(30));
        assert_eq!(settings.paths.steps, Path::new("lg/steps"));
        assert!(!rules.policy.stop_on_deny);
        assert_eq!(rules.policy.deny_if_contains, ["Remove-Item", "del "]);
        assert_eq!(rules.policy.deny_patterns, ["del.*/f", "rmdir.*/s"]);
        assert_eq!(
            rules.policy.allow_types,
            [CommandKind::Powershell, CommandKind::Bash]
        );
        assert_eq!(rules.templates.review, "r");
    }

    #[test]
    fn w01_the_done_condition_is_configured() {
        let settings = load(
            r#"{"done_condition": {"fresh": false, "all": [
                {"file": "./workspace/results/report.txt", "contains": ["total:"]},
                {"file": "a.txt", "matches": "^x+$"}, {"file": "b.txt", "exists": false},
                {"command": ["true"]}]}}"#,
        );
        let expected = vec![
            DoneCheck::Contains {
                file: "workspace/results/report.txt".into(),
                texts: vec!["total:".into()],
            },
            DoneCheck::Matches {
                file: "a.txt".into(),
                pattern: "^x+$".into(),
            },
            DoneCheck::Exists {
                file: "b.txt".into(),
                exists: false,
            },
            DoneCheck::Command {
                argv: vec!["true".into()],
                exit_code: 0,
            },
        ];
        assert_eq!(settings.rules.done.all, expected);
        assert!(!settings.rules.done.fresh);
    }

    #[test]
    fn w01_the_usual_done_condition_follows_the_workspace() {
        let expected = vec![DoneCheck::Contains {
            file: "w/results/result_v2.txt".into(),
            texts: ["合計:", "平均:", "件数:"].map(String::from).to_vec(),
        }];
        let settings = load(r#"{"workspace_dir": "w"}"#);
        assert_eq!(settings.rules.done.all, expected);
        assert!(settings.rules.done.fresh);
    }

    #[test]
    fn w01_every_fault_of_a_done_condition_is_named() {
        insta::assert_snapshot!(fault(r#"{"done_condition": {"all": []}}"#), @r#"config error: config/config_v0_3.json:1:21: `done_condition.all`: expected a list of checks, at least one, found []; write for example {"file": "workspace/results/report.txt", "contains": ["total:"]}"#);
        insta::assert_snapshot!(fault(r#"{"done_condition": {"all": [
            {"file": "r.txt"},
            {"file": "r.txt", "contains": []},
            {"file": "r.txt", "contain": ["x"]},
            {"file": "../r.txt", "exists": true},
            {"file": "r.txt", "matches": "("},
            {"file": "r.txt", "exists": 1},
            {"command": ["x"], "file": "r.txt", "exit_code": "0"},
            7
        ]}}"#), @r#"
        config error: 9 faults
          config/config_v0_3.json:2:13: `done_condition.all[0]`: a check of a file needs exactly one of `contains`, `matches`, `exists`; write for example {"file": "workspace/results/report.txt", "contains": ["total:"]}
          config/config_v0_3.json:3:31: `done_condition.all[1].contains`: expected a list of texts that are not empty, at least one, found []; write for example ["total:"]
          config/config_v0_3.json:4:31: `done_condition.all[2].contain`: not a known key of a check (known: file, contains, matches, exists, command, exit_code; nearest: `contains`); rename or remove it
          config/config_v0_3.json:5:14: `done_condition.all[3].file`: the path `../r.txt` leaves the root; name a path below the root, e.g. "workspace/artifacts/file"
          config/config_v0_3.json:6:31: `done_condition.all[4].matches`: the regular expression `(` does not compile: unclosed group; correct it; brackets that mean themselves are written `\\(` and `\\[` in JSON
          config/config_v0_3.json:7:31: `done_condition.all[5].exists`: expected true or false; write for example true
          config/config_v0_3.json:8:32: `done_condition.all[6].file`: does not go together with `command`; make two checks of it
          config/config_v0_3.json:8:49: `done_condition.all[6].exit_code`: expected a whole number; write for example 0
          config/config_v0_3.json:9:13: `done_condition.all[7]`: expected an object, found 7; write for example {"file": "workspace/results/report.txt", "contains": ["total:"]}
        "#);
    }

    #[test]
    fn w09_a_loop_without_jobs_is_refused() {
        let text = |n| format!("{{\"s5_settings\": {{\"job_loop\": {{\"max_jobs\": {n}}}}}}}");
        insta::assert_snapshot!(fault(&text(0)), @"config error: config/config_v0_3.json:1:31: `s5_settings.job_loop.max_jobs`: expected a whole number from 1 to 1000000, found 0; write for example 3");
        insta::assert_snapshot!(fault(&text(-1)), @"config error: config/config_v0_3.json:1:31: `s5_settings.job_loop.max_jobs`: expected a whole number from 1 to 1000000, found -1; write for example 3");
    }

    #[test]
    fn w20_another_spelling_of_deny_never_means_allow() {
        let text = r#"{"execution_policy": {"default_action": "Deny"}}"#;
        insta::assert_snapshot!(fault(text), @r#"config error: config/config_v0_3.json:1:23: `execution_policy.default_action`: expected "allow" or "deny", found "Deny"; write "deny""#);
    }

    #[test]
    fn w21_a_pattern_that_does_not_compile_is_found_before_anything_runs() {
        insta::assert_snapshot!(fault(r#"{"deny_patterns": ["ok", "("]}"#), @r#"config error: config/config_v0_3.json:1:26: `deny_patterns[1]`: the regular expression `(` does not compile: unclosed group; correct it; brackets that mean themselves are written `\\(` and `\\[` in JSON"#);
        insta::assert_snapshot!(fault(r#"{"deny_patterns": ["(\\w{500}){500}"]}"#), @r#"config error: config/config_v0_3.json:1:20: `deny_patterns[0]`: the regular expression `(\w{500}){500}` does not compile: it grows too large; repeat less, or match less exactly"#);
    }

    #[test]
    fn w44_a_byte_order_mark_does_no_harm() {
        let text = r#"{"max_steps": 3}"#;
        let with_mark = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
        let little: Vec<u8> = [0xFEFF]
            .into_iter()
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let big: Vec<u8> = [0xFEFF]
            .into_iter()
            .chain(text.encode_utf16())
            .flat_map(u16::to_be_bytes)
            .collect();
        for bytes in [text.as_bytes().to_vec(), with_mark, little, big] {
            assert_eq!(Place::new(bytes).load().unwrap().rules.max_steps, 3);
        }
    }

    #[test]
    fn other_encodings_are_refused_with_the_place() {
        let sjis = b"{\"sprint\": \"\x8d\x87\x8cv\"}";
        insta::assert_snapshot!(Place::new(sjis).fault(), @"config error: config/config_v0_3.json: not UTF-8 text (line 1); save it as UTF-8");
        insta::assert_snapshot!(Place::new(b"\xFF\xFE{").fault(), @"config error: config/config_v0_3.json: not UTF-8 text (line 1); save it as UTF-8");
    }

    #[test]
    fn w47_a_result_outside_the_root_is_refused() {
        let at = |path: &str| {
            format!(
                "{{\"s5_settings\": {{\"job_loop\": {{\"job_result\": {{\"path\": \"{path}\"}}}}}}}}"
            )
        };
        insta::assert_snapshot!(fault(&at("../escaped.json")), @r#"config error: config/config_v0_3.json:1:46: `s5_settings.job_loop.job_result.path`: the path `../escaped.json` leaves the root; name a path below the root, e.g. "workspace/artifacts/file""#);
        insta::assert_snapshot!(fault(&at("/etc/r.json")), @r#"config error: config/config_v0_3.json:1:46: `s5_settings.job_loop.job_result.path`: the path `/etc/r.json` leaves the root; name a path below the root, e.g. "workspace/artifacts/file""#);
        insta::assert_snapshot!(fault(&at("a/../../r.json")), @r#"config error: config/config_v0_3.json:1:46: `s5_settings.job_loop.job_result.path`: the path `a/../../r.json` leaves the root; name a path below the root, e.g. "workspace/artifacts/file""#);
        insta::assert_snapshot!(fault(&at(".git/hooks/post-commit")), @r#"config error: config/config_v0_3.json:1:46: `s5_settings.job_loop.job_result.path`: the path `.git/hooks/post-commit` lies in git's own directory; name a path below the root, e.g. "workspace/artifacts/file""#);
        insta::assert_snapshot!(fault(&at("")), @r#"config error: config/config_v0_3.json:1:46: `s5_settings.job_loop.job_result.path`: the path is empty; name a path below the root, e.g. "workspace/artifacts/file""#);
        assert_eq!(
            load(&at("out/dir/r.json")).rules.job_result,
            Path::new("out/dir/r.json")
        );
        assert_eq!(
            load(&at("out/./x/../r.json")).rules.job_result,
            Path::new("out/r.json")
        );
    }

    #[cfg(unix)]
    #[test]
    fn w47_a_link_out_of_the_root_is_refused_even_when_it_leads_nowhere() {
        let link = |target: &str| {
            let place = Place::new(r#"{"logs_dir": "out/logs"}"#);
            std::os::unix::fs::symlink(target, place.root.path().join("out")).unwrap();
            place
        };
        insta::assert_snapshot!(link("/nowhere/at/all").fault(), @r#"config error: config/config_v0_3.json:1:2: `logs_dir`: the path `out/logs` leaves the root: a link leads to /nowhere/at/all/logs; name a path below the root, e.g. "workspace/artifacts/file""#);
        insta::assert_snapshot!(link("../x").fault().replace(std::env::temp_dir().to_str().unwrap(), "$TMP"), @r#"config error: config/config_v0_3.json:1:2: `logs_dir`: the path `out/logs` leaves the root: a link leads to $TMP/x/logs; name a path below the root, e.g. "workspace/artifacts/file""#);
        insta::assert_snapshot!(link("out").fault(), @r#"config error: config/config_v0_3.json:1:2: `logs_dir`: the path `out/logs` cannot be resolved: a circle of links, or no permission; name a path below the root, e.g. "workspace/artifacts/file""#);
        assert!(link("config").load().is_ok());
    }

    #[test]
    fn w48_the_configured_paths_are_the_ones_used() {
        let settings = load(
            r#"{"s5_settings": {"job_loop": {"enabled": true, "job_input": {"path": "in/x.json"},
                "job_result": {"path": "workspace/artifacts/other.json"}}}}"#,
        );
        assert_eq!(
            settings.rules.job_result,
            Path::new("workspace/artifacts/other.json")
        );
        assert_eq!(settings.payload.unwrap().path, Path::new("in/x.json"));
    }

    #[test]
    fn every_fault_of_a_file_is_reported_with_its_place() {
        let said = fault(
            r#"{
  "max_stepz": 1,
  "max_steps": 0,
  "timeout_sec": "120",
  "openai_model": " ",
  "allow_types": ["bash", 7, ""],
  "execution_policy": {
    "stop_on_denny": true,
    "deny_if_contains": "rm",
    "deny_patterns": ["["]
  },
  "s5_settings": [],
  "models": { "drat": {}, "draft": { "provider": "open-ai", "base_url": "localhost", "temperature": 3 } },
  "execution_policy.stop_on_deny": true,
  "environment": { "allow": ["A B", "OPENAI_API_KEY"] },
  "json_retry": 2, "json_retry": 3,
  "zebra": null,
  "on_unknown": null
}"#,
        );
        // These two lists grow with what they are made from.
        let known = keys::children("").join("`, `");
        let providers = Provider::CHOICES.join("\" or \"");
        let said = said.replace(&format!("`{known}`"), "KEYS");
        let said = said.replace(&format!("\"{providers}\""), "PROVIDERS");
        insta::assert_snapshot!(said, @r#"
config error: 20 faults
  config/config_v0_3.json:2:3: `max_stepz`: not a known key (nearest: `max_steps`); rename or remove it
  config/config_v0_3.json:3:3: `max_steps`: expected a whole number from 1 to 1000000, found 0; write for example 8
  config/config_v0_3.json:4:3: `timeout_sec`: expected a number above 0, at most 31536000, found "120"; write 120, without quotes
  config/config_v0_3.json:5:3: `openai_model`: expected a text that is not blank, found " "; write for example "gpt-4o-mini"
  config/config_v0_3.json:6:27: `allow_types[1]`: expected a text that is not empty, found 7; write a text in quotes, or remove it
  config/config_v0_3.json:6:30: `allow_types[2]`: expected a text that is not empty, found ""; write a text in quotes, or remove it
  config/config_v0_3.json:8:5: `execution_policy.stop_on_denny`: not a known key (nearest: `execution_policy.stop_on_deny`); rename or remove it
  config/config_v0_3.json:9:5: `execution_policy.deny_if_contains`: expected a list of texts, found "rm"; write for example ["Remove-Item", "rmdir"]
  config/config_v0_3.json:10:23: `execution_policy.deny_patterns[0]`: the regular expression `[` does not compile: unclosed character class; correct it; brackets that mean themselves are written `\\(` and `\\[` in JSON
  config/config_v0_3.json:12:3: `s5_settings`: expected an object with the keys `description`, `enabled`, `experimental_warning`, `job_loop`, found []; write for example {"description": "S-5 experimental features"}
  config/config_v0_3.json:13:15: `models.drat`: not a known key (nearest: `models.draft`); rename or remove it
  config/config_v0_3.json:13:38: `models.draft.provider`: expected PROVIDERS, found "open-ai"; write for example "openai"
  config/config_v0_3.json:13:61: `models.draft.base_url`: expected an address that begins with http:// or https://, found "localhost"; write for example "http://127.0.0.1:11434/v1"
  config/config_v0_3.json:13:86: `models.draft.temperature`: expected a number from 0 to 2, found 3; write for example 0.2
  config/config_v0_3.json:14:3: `["execution_policy.stop_on_deny"]`: written with a dot; `execution_policy.stop_on_deny` is a key inside an object; nest it, as in {"execution_policy": {"stop_on_deny": false}}
  config/config_v0_3.json:15:30: `environment.allow[0]`: `A B` is not the name of an environment variable; write the bare name, e.g. "JAVA_HOME"
  config/config_v0_3.json:15:37: `environment.allow[1]`: `OPENAI_API_KEY` holds an API key, which commands never receive; remove it
  config/config_v0_3.json:16:20: `json_retry`: given twice in this object; keep one of the two
  config/config_v0_3.json:17:3: `zebra`: not a known key here (known: KEYS); remove it
  config/config_v0_3.json:18:3: `on_unknown`: expected "stop" or "rerun" or "skip", found null; write for example "rerun"
"#);
    }

    #[test]
    fn what_is_not_json_is_refused_with_line_column_and_remedy() {
        insta::assert_snapshot!(fault("{\n  \"max_steps\": 8,\n}"), @"config error: config/config_v0_3.json:3:1: not JSON: trailing comma; remove the comma before the closing bracket");
        insta::assert_snapshot!(fault("{ // note\n}"), @"config error: config/config_v0_3.json:1:3: not JSON: key must be a string; write keys in double quotes, and no comments");
        insta::assert_snapshot!(fault("{'a': 1}"), @"config error: config/config_v0_3.json:1:2: not JSON: key must be a string; write keys in double quotes, and no comments");
        insta::assert_snapshot!(fault(""), @"config error: config/config_v0_3.json:1:1: not JSON: EOF while parsing a value; the file is empty, `{}` is the least");
        insta::assert_snapshot!(fault("{\"sprint\": \"a\nb\"}"), @r#"config error: config/config_v0_3.json:2:1: not JSON: control character (\u0000-\u001F) found while parsing a string; write a line break inside a text as \n"#);
        insta::assert_snapshot!(fault("{\"sprint\": \"C:\\Users\"}"), @r#"config error: config/config_v0_3.json:1:16: not JSON: invalid escape; write a backslash inside a text as \\"#);
        insta::assert_snapshot!(fault("{\"a\": [1, 2"), @"config error: config/config_v0_3.json:1:11: not JSON: EOF while parsing a list; a closing bracket or quote is missing");
        insta::assert_snapshot!(fault("{} {}"), @"config error: config/config_v0_3.json:1:4: not JSON: trailing characters");
        insta::assert_snapshot!(fault("[1]"), @r#"config error: config/config_v0_3.json:1:1: expected an object {...}, found [1]; write { "max_steps": 8 }"#);
    }

    #[test]
    fn a_file_that_was_named_and_is_not_there_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let named = Some(Path::new("nope.json"));
        let fault = Settings::load(root.path(), named, &[], &FlagOverrides::default()).unwrap_err();
        let real = files::canonical(root.path()).display().to_string();
        insta::assert_snapshot!(chain(&fault).replace(&real, "$ROOT"), @"config error: $ROOT/nope.json: cannot be read; check the path and its permissions: No such file or directory (os error 2)");
    }

    #[test]
    fn a_job_needs_a_file_although_settings_do_not() {
        let root = tempfile::tempdir().unwrap();
        let settings = Settings::load(root.path(), None, &[], &FlagOverrides::default()).unwrap();
        let fault = settings.require_file().unwrap_err().to_string();
        let fault = fault.replace(&settings.root.display().to_string(), "$ROOT");
        insta::assert_snapshot!(fault, @"config error: no config/config_v0_3.json and no config_v0_3.json in $ROOT; run `tos init --sample` for a working example, or name a file with `--config`");
        assert!(load("{}").require_file().is_ok());
    }

    #[test]
    fn no_value_of_any_key_makes_it_panic_and_every_refusal_is_a_config_error() {
        let values = [
            "null",
            "true",
            "-1",
            "3",
            "1e308",
            r#""""#,
            r#""x""#,
            r#""..""#,
            r#""\u0000""#,
            "[]",
            "[null]",
            r#"["("]"#,
            "[{}]",
            r#"{"a": 1}"#,
        ];
        let (place, mut refused) = (Place::new("{}"), 0);
        let file = place.root.path().join("config/config_v0_3.json");
        for key in crate::config::keys::all() {
            for value in values {
                let parts = key.path.rsplit('.');
                let nested = parts.fold(value.to_owned(), |inner, part| {
                    format!("{{\"{part}\": {inner}}}")
                });
                files::write(&file, &nested);
                if let Err(fault) = place.load() {
                    let text = fault.to_string();
                    assert!(text.starts_with("config error: "), "{nested}: {text}");
                    assert!(text.contains(key.path.as_ref()), "{nested}: {text}");
                    refused += 1;
                }
            }
        }
        assert!(refused > crate::config::keys::all().len() * 10, "{refused}");
    }

    #[test]
    fn a_named_file_wins_over_the_one_that_would_be_found() {
        let place = Place::new(r#"{"max_steps": 3}"#);
        files::write(&place.root.path().join("other.json"), r#"{"max_steps": 5}"#);
        let named = Some(Path::new("other.json"));
        let settings = Settings::load(place.root.path(), named, &[], &FlagOverrides::default());
        assert_eq!(settings.unwrap().rules.max_steps, 5);
    }

    #[test]
    fn later_layers_win_and_every_value_knows_its_layer() {
        let settings =
            Place::new(r#"{"max_steps": 3, "api_retry": 4, "$schema": "./schema.json"}"#)
                .env("TOS_API_RETRY", "5")
                .env("TOS_JSON_RETRY", "6")
                .flag("--json-retry", "json_retry", 7)
                .load()
                .unwrap();
        let shown = |key: &str| {
            let sourced = settings.sources.get(key).unwrap();
            format!("{} from {}", sourced.value, sourced.source)
        };
        assert_eq!(
            ["timeout_sec", "max_steps", "api_retry", "json_retry"].map(shown),
            [
                "120 from default",
                "3 from config/config_v0_3.json",
                "5 from env TOS_API_RETRY",
                "7 from --json-retry"
            ]
        );
        assert_eq!(settings.rules.json_retry, 7);
        assert_eq!(settings.rules.retry.attempts, 5);
    }

    #[test]
    fn the_environment_gives_texts_as_they_are_and_the_rest_as_json() {
        let settings = Place::new("{}")
            .env("TOS_DONE_CONDITION__FRESH", "false")
            .env("TOS_ALLOW_TYPES", "[\"bash\"]")
            .env("TOS_OPENAI_MODEL", "gpt 5")
            .env("TOS_SPRINT", "\"S-5\"")
            .env("TOS_MODELS__DRAFT__TIMEOUT_SEC", "0.5")
            .env("TOS_BUDGET", "{\"max_tokens\": 7}")
            .env("TOS_BUDGET__MAX_STEPS", "null")
            .env("TOS_LOG", "debug")
            .env("TOS_NO_SANDBOX", "1")
            .env("TOSHIBA", "1")
            .env("TOS_QXZ", "1")
            .load()
            .unwrap();
        assert!(!settings.rules.done.fresh);
        assert_eq!(settings.rules.policy.allow_types, [CommandKind::Bash]);
        assert_eq!(settings.models.draft.model, "gpt 5");
        assert_eq!(settings.rules.sprint.as_deref(), Some("S-5"));
        assert_eq!(settings.rules.deadlines.draft, Duration::from_millis(500));
        assert_eq!(settings.rules.budget.max_tokens, Some(7));
        let warning = "environment variable `TOS_QXZ` is not a setting of tos and is ignored";
        assert_eq!(settings.warnings, [warning]);
    }

    #[test]
    fn faults_of_the_environment_and_of_flags_name_the_variable_or_flag() {
        let place = Place::new("{}")
            .env("TOS_MAX_STEP", "3")
            .env("TOS_MAX_STEPS", "many")
            .env("TOS_API_RETRY", "")
            .env("TOS_DONE_CONDITION__FRESCH", "true")
            .env("TOS_EXECUTION_POLICY__DEFAULT_ACTION", "DENY")
            .env("TOS_BUDGET", "7")
            .env("TOS_ARCHIVE_KEEP", "0")
            .flag("--set", "max_stepz", 1)
            .flag("--record", "record", "../x");
        insta::assert_snapshot!(place.fault(), @r#"
        config error: 9 faults
          env TOS_MAX_STEP: `max_step`: not a setting (nearest: `TOS_MAX_STEPS`); rename or unset it
          env TOS_MAX_STEPS: `max_steps`: expected a whole number from 1 to 1000000 as JSON, found `many`; write for example 8
          env TOS_API_RETRY: `api_retry`: expected a whole number from 0 to 1000 as JSON, found ``; write for example 2
          env TOS_DONE_CONDITION__FRESCH: `done_condition.fresch`: not a setting (nearest: `TOS_DONE_CONDITION__FRESH`); rename or unset it
          env TOS_EXECUTION_POLICY__DEFAULT_ACTION: `execution_policy.default_action`: expected "allow" or "deny", found "DENY"; write "deny"
          env TOS_BUDGET: `budget`: expected a JSON object for this group of keys; write for example {"max_cost": 2.5}
          env TOS_ARCHIVE_KEEP: `archive_keep`: expected a whole number from 1 to 1000000, found 0; write for example 50
          --set: `max_stepz`: not a known key (nearest: `max_steps`); rename or remove it
          --record: `record`: the path `../x` leaves the root; name a path below the root, e.g. "workspace/artifacts/file"
        "#);
    }

    #[test]
    fn the_lists_of_the_policy_may_stand_inside_it_but_not_twice() {
        let settings =
            load(r#"{"execution_policy": {"allow_types": ["sh"], "deny_patterns": ["x"]}}"#);
        assert_eq!(settings.rules.policy.allow_types, [CommandKind::Sh]);
        assert_eq!(settings.rules.policy.deny_patterns, ["x"]);
        let twice = r#"{"allow_types": ["sh"], "execution_policy": {"allow_types": ["sh"]}}"#;
        insta::assert_snapshot!(fault(twice), @"config error: config/config_v0_3.json:1:46: `execution_policy.allow_types`: given here and as `allow_types`; keep one of the two");
    }

    #[test]
    fn w22_a_kind_nobody_can_start_is_mentioned() {
        let settings = load(r#"{"allow_types": ["powershell", "python"]}"#);
        let python =
            "`allow_types` names `python`, which tos cannot start; such commands are refused";
        assert_eq!(settings.warnings, [python]);
    }

    #[test]
    fn a_ceiling_on_cost_needs_the_price_of_every_live_role() {
        let text = r#"{"budget": {"max_cost": 1},
            "models": {"draft": {"price": {"input_per_mtok": 1, "output_per_mtok": 2}},
                       "final": {"provider": "replay", "replay_file": "r.jsonl"}}}"#;
        let replayed = load(text);
        let price = ModelPrice {
            input_per_mtok: 1.0,
            output_per_mtok: 2.0,
            cached_input_per_mtok: None,
            cache_write_per_mtok: None,
        };
        assert_eq!(replayed.rules.prices.draft, Some(price));
        let live = Place::new(text).env("ANTHROPIC_API_KEY", "sk-ant-1");
        insta::assert_snapshot!(live.fault(), @"config error: config/config_v0_3.json:1:13: `budget.max_cost`: needs a price for every live role, and `models.review.price` is missing; add input_per_mtok and output_per_mtok there, or use budget.max_tokens");
    }

    #[test]
    fn half_a_price_a_program_without_words_and_a_replay_without_file_are_refused() {
        insta::assert_snapshot!(fault(r#"{"models": {
            "draft": {"price": {"input_per_mtok": 1}},
            "review": {"provider": "command"},
            "final": {"provider": "replay"}}}"#), @r#"
            config error: 3 faults
              config/config_v0_3.json:2:33: `models.draft.price.input_per_mtok`: is given without `output_per_mtok`; a price needs input and output; add it; 0 is allowed
              config/config_v0_3.json:3:24: `models.review.provider`: "command" needs a program, and `models.review.argv` is missing; add it, for example ["claude", "-p"]
              config/config_v0_3.json:4:23: `models.final.provider`: "replay" needs a recording, and `models.final.replay_file` is missing; add it; a file below the root
            "#);
    }

    #[test]
    fn hosts_and_network_have_to_agree() {
        let hosts = load(r#"{"sandbox": {"network": "allow_hosts", "allow_hosts": ["a:443"]}}"#);
        assert_eq!(hosts.sandbox.network, Network::Hosts(vec!["a:443".into()]));
        let shown = load(r#"{"sandbox": {"show": ["/srv/models"]}}"#);
        assert_eq!(shown.sandbox.show, [PathBuf::from("/srv/models")]);
        insta::assert_snapshot!(fault(r#"{"sandbox": {"show": ["~/.ssh"]}}"#), @r#"config error: config/config_v0_3.json:1:14: `sandbox.show`: "~/.ssh" is a place of keys, tokens or histories; it stays hidden; copy what is harmless elsewhere"#);
        insta::assert_snapshot!(fault(r#"{"sandbox": {"network": "allow_hosts"}}"#), @r#"config error: config/config_v0_3.json:1:14: `sandbox.network`: "allow_hosts", but `sandbox.allow_hosts` names none; name hosts, or write "none""#);
        insta::assert_snapshot!(fault(r#"{"sandbox": {"allow_hosts": ["a"]}}"#), @r#"config error: config/config_v0_3.json:1:14: `sandbox.allow_hosts`: has no effect while `sandbox.network` is "none"; set sandbox.network to "allow_hosts", or remove the hosts"#);
    }

    #[test]
    fn each_role_has_its_own_model() {
        let settings = Place::new(
            r#"{"models": {
              "draft": {"provider": "anthropic", "model": "m", "version": "2026-10-21", "schema": false},
              "review": {"provider": "command", "argv": ["codex", "exec"], "timeout_sec": 600},
              "final": {"provider": "openai", "base_url": "http://127.0.0.1:1/v1", "api": "responses",
                        "temperature": 0, "max_tokens": 50}}}"#,
        )
        .env("OPENAI_API_KEY", "")
        .env("ANTHROPIC_API_KEY", "sk-secret")
        .env("ANTHROPIC_BASE_URL", "http://127.0.0.1:2")
        .load()
        .unwrap();
        let PerRole {
            draft,
            review,
            final_,
        } = &settings.models;
        assert_eq!((draft.provider, draft.auto), (Provider::Anthropic, false));
        assert_eq!(draft.base_url.as_deref(), Some("http://127.0.0.1:2"));
        assert_eq!(
            (draft.version.as_str(), draft.schema),
            ("2026-10-21", false)
        );
        assert_eq!(review.argv, ["codex", "exec"]);
        assert_eq!(settings.rules.deadlines.review, Duration::from_secs(600));
        assert_eq!(
            (final_.api, final_.temperature),
            (OpenAiApi::Responses, Some(0.0))
        );
        assert_eq!(
            (final_.api_key.clone(), final_.missing_api_key()),
            (None, None)
        );
        assert_eq!(settings.missing_api_keys(), Vec::<&str>::new());
        assert!(!format!("{settings:?}").contains("sk-secret"));
    }

    #[test]
    fn rules_of_the_policy_are_read_and_their_faults_named() {
        let settings = load(
            r#"{"execution_policy": {"preset": "strict", "on_opaque": "deny",
                "rules": [{"name": "d", "decision": "deny", "program": ["docker"]}]}}"#,
        );
        assert_eq!(settings.rules.policy.rules.len(), 1);
        assert!(settings.policy().is_ok());
        insta::assert_snapshot!(fault(
            r#"{"execution_policy": {"rules": [{"name": "d", "decision": "deny", "progam": ["x"]}, 1]}}"#), @"
            config error: 2 faults
              config/config_v0_3.json:1:33: `execution_policy.rules[0]`: not a rule: unknown field `progam`, expected one of `name`, `decision`, `reason`, `program`, `args`, `any_arg`, `effect`, `writes`, `deletes`, `reads`, `match`, `no_match`; see docs/policy.md
              config/config_v0_3.json:1:85: `execution_policy.rules[1]`: not a rule: invalid type: integer `1`, expected an object; see docs/policy.md
            ");
    }

    #[test]
    fn the_nearest_directory_with_a_configuration_is_the_root() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        files::write(&root.path().join("a/config_v0_3.json"), "{}");
        files::write(&deep.join("x"), "");
        assert_eq!(crate::config::find_root(&deep), root.path().join("a"));
        assert_eq!(crate::config::find_root(root.path()), root.path());
        files::write(&root.path().join("a/config/config_v0_3.json"), "{}");
        let found = crate::config::config_in(&root.path().join("a"));
        assert_eq!(found, Some(root.path().join("a/config/config_v0_3.json")));
    }

    #[test]
    fn a_repository_inside_a_project_is_a_project_of_its_own() {
        let top = tempfile::tempdir().unwrap();
        let deep = top.path().join("vendor/other/src");
        files::write(&top.path().join("config_v0_3.json"), "{}");
        files::write(&deep.join("x"), "");
        assert_eq!(crate::config::find_root(&deep), top.path());
        // A linked work tree and a submodule have a file there.
        files::write(&top.path().join("vendor/other/.git"), "gitdir: elsewhere\n");
        assert_eq!(
            crate::config::find_root(&deep),
            top.path().join("vendor/other")
        );
        files::write(&top.path().join("vendor/other/config_v0_3.json"), "{}");
        assert_eq!(
            crate::config::find_root(&deep),
            top.path().join("vendor/other")
        );
    }

    #[test]
    fn without_a_configuration_the_nearest_state_or_the_top_of_the_repository_is_the_root() {
        let top = tempfile::tempdir().unwrap();
        let deep = top.path().join("a/b");
        files::write(&deep.join("x"), "");
        assert_eq!(crate::config::find_root(&deep), deep);
        files::write(&top.path().join(".tos/x"), "");
        assert_eq!(crate::config::find_root(&deep), top.path());
        files::write(&top.path().join("a/.git/HEAD"), "");
        assert_eq!(crate::config::find_root(&deep), top.path().join("a"));
        files::write(&deep.join(".tos/x"), "");
        assert_eq!(crate::config::find_root(&deep), deep);
        // What is configured is the project, whatever lies in a part of it.
        files::write(&top.path().join("a/config_v0_3.json"), "{}");
        assert_eq!(crate::config::find_root(&deep), top.path().join("a"));
    }

    #[test]
    fn what_is_no_file_in_the_place_of_the_configuration_is_named() {
        use std::os::unix::fs::symlink;
        let said = |lay: &dyn Fn(&Path)| {
            let root = tempfile::tempdir().unwrap();
            files::write(&root.path().join("config/x"), "");
            files::write(&root.path().join("src/x"), "");
            let place = root.path().join("config/config_v0_3.json");
            lay(&place);
            assert_eq!(
                crate::config::find_root(&root.path().join("src")),
                root.path()
            );
            let loaded = Settings::load(root.path(), None, &[], &FlagOverrides::default());
            let said = loaded.unwrap_err().to_string();
            let top = files::canonical(root.path());
            said.replace(&format!("{}/", top.display()), "")
        };
        let whole = |what: &str| {
            format!(
                "config error: config/config_v0_3.json is {what}, not a file; move it away, or name another file with `--config`"
            )
        };
        assert_eq!(
            said(&|place| files::write(&place.join("x"), "")),
            whole("a folder")
        );
        assert_eq!(
            said(&|place| {
                drop(std::os::unix::net::UnixListener::bind(place).unwrap());
            }),
            whole("a socket")
        );
        assert_eq!(
            said(&|place| symlink("config_v0_3.json", place).unwrap()),
            whole("a link that leads in a circle")
        );
        assert_eq!(
            said(&|place| symlink("gone", place).unwrap()),
            whole("a link that leads nowhere")
        );
    }
}
