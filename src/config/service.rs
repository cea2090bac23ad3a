//! Reads `config/service.toml`: what the tasks of the service have in common, and the settings of its board.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    config::{
        files,
        service_models::{self, JudgeConfig, PlannerConfig},
        toml_file,
    },
    domain::{
        board::{BoardSettings, KEYS},
        night::BOARD_LIST_NAME,
        state_folder::{TOS_FOLDER, tos_path},
        tasks::{self, Agent, SandboxDemand, TaskList},
        text::line_and_column,
        validate::ChangeLimits,
    },
};

/// The file, from the root.
pub const FILE: &str = "config/service.toml";
/// Settings that were changed while the service ran, from the root; they win over the file.
pub const RUNTIME_SETTINGS_FILE: &str = tos_path!("service-settings.toml");

/// Reads the settings that were changed while the service ran; a file that is none counts as empty.
pub fn load_runtime_settings(root: &Path) -> BTreeMap<String, String> {
    let text = files::read_text(&root.join(RUNTIME_SETTINGS_FILE)).unwrap_or_default();
    toml::from_str(&text).unwrap_or_default()
}

/// Returns the text of such a file.
pub fn runtime_settings_toml(settings: &BTreeMap<String, String>) -> String {
    let head = "# Written by `tos serve` when settings are changed on its page or by its API.\n";
    let lines = settings
        .iter()
        .map(|(name, value)| format!("{name} = {value:?}\n"));
    head.to_owned() + &lines.collect::<String>()
}

/// What the service is told.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// What tasks have in common; it holds no tasks.
    pub list: TaskList,
    /// Further agents, by name.
    pub agents: BTreeMap<String, Agent>,
    /// The command that tests a change.
    pub test_command: Vec<String>,
    /// The settings of the board.
    pub settings: BoardSettings,
    /// Where the API listens.
    pub port: u16,
    /// Who plans.
    pub planner: PlannerConfig,
    /// Who reviews.
    pub judge: JudgeConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    agent: Agent,
    #[serde(default)]
    agents: BTreeMap<String, Agent>,
    test_command: Vec<String>,
    #[serde(default)]
    sandbox: SandboxDemand,
    #[serde(default)]
    limits: Option<ChangeLimits>,
    #[serde(default)]
    share: Vec<String>,
    #[serde(default)]
    share_files: Vec<String>,
    #[serde(default)]
    allowed_imports: Vec<String>,
    #[serde(default)]
    test_seconds: Option<u64>,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
    #[serde(default)]
    planner: PlannerConfig,
    #[serde(default)]
    judge: JudgeConfig,
}

/// Reads the file of a root; variables of the environment win over it.
pub fn load(
    root: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<ServiceConfig, String> {
    let path = root.join(FILE);
    let text = files::read_text(&path).map_err(|error| {
        format!(
            "{}: {error}; write which agent works and how its changes are tested:\n\n{EXAMPLE}",
            path.display()
        )
    })?;
    parse(&text, &load_runtime_settings(root), environment).map_err(|why| format!("{FILE}: {why}"))
}

/// Sets one of the settings of the board; an unknown name is told with the nearest known one.
fn set(settings: &mut BoardSettings, name: &str, value: &str) -> Result<(), String> {
    if KEYS.iter().any(|key| key.name == name) {
        return settings.set(name, value);
    }
    let known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    let others = || format!("they are {}", known.join(", "));
    let hint = toml_file::did_you_mean(name, &known, others);
    Err(format!("[settings]: no setting is called `{name}`; {hint}"))
}

/// The file that a running service leaves for its user, in the folder of tos.
pub const ADDRESS_FILE: &str = "serve.json";
/// The key in it that tells the folder it lies in from copies of that.
const FOLDER_KEY: &str = "folder";

/// Returns what a running service left for its user: address and token, as JSON. `None` = none runs, or it was killed
/// before it left anything, or this is a copy of the folder of another service.
pub fn read_address_file(root: &Path) -> Option<Value> {
    let folder = root.join(TOS_FOLDER);
    let text = files::read_text(&folder.join(ADDRESS_FILE)).ok()?;
    let document: Value = serde_json::from_str(&text).ok()?;
    let of = document[FOLDER_KEY].as_str();
    let is_own = of.is_none_or(|of| files::folder_identity(&folder).as_deref() == Some(of));
    is_own.then_some(document)
}

/// Adds to that document to which folder it belongs.
pub fn mark_address_file(root: &Path, document: &mut Value) {
    if let Some(folder) = files::folder_identity(&root.join(TOS_FOLDER)) {
        document[FOLDER_KEY] = folder.into();
    }
}

/// Reads a file in PEM that the command line names; the error names the file.
pub fn read_pem(path: &Path) -> Result<String, String> {
    files::read_text(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads a requirement that the command line names; the error names the file.
pub fn read_requirement(path: &Path) -> Result<String, String> {
    files::read_text(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What a file looks like.
const EXAMPLE: &str = "test_command = [\"cargo\", \"test\"]\n\n[agent]\nkind = \"claude\"\n";

/// The keys of the file.
const FIELDS: [&str; 13] = [
    "agent",
    "agents",
    "test_command",
    "sandbox",
    "limits",
    "share",
    "share_files",
    "allowed_imports",
    "test_seconds",
    "port",
    "settings",
    "planner",
    "judge",
];

/// Says which outermost key is not known, with the nearest one, or which is missing.
fn key_fault(text: &str) -> Option<String> {
    // What is no TOML is told by whoever reads it next.
    let table = toml::de::DeTable::parse(text).ok()?.into_inner();
    for (name, _) in &table {
        let key = name.get_ref();
        if !FIELDS.contains(&key.as_ref()) {
            let (line, _) = line_and_column(text, name.span().start);
            let others = || format!("known are {}", FIELDS.join(", "));
            let hint = toml_file::did_you_mean(key, &FIELDS, others);
            return Some(format!("line {line}: unknown key `{key}`; {hint}"));
        }
    }
    let missing: Vec<String> = ["test_command", "agent"]
        .into_iter()
        .filter(|key| !table.iter().any(|(name, _)| name.get_ref() == key))
        .map(|key| format!("`{key}`"))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "{} missing; write which agent works and how its changes are tested:\n\n{EXAMPLE}",
            match missing.as_slice() {
                [one] => format!("{one} is"),
                several => format!("{} are", several.join(" and ")),
            }
        )
    })
}

/// Says what is wrong with a value in one line: where it stands, and of several words the one that was probably meant.
fn value_fault(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let (line, _) = line_and_column(text, at);
    let key = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let key = key.split_once('=').map_or("", |(key, _)| key.trim());
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let told = match (message.starts_with("unknown variant"), quoted.next()) {
        (true, Some(word)) => {
            let known: Vec<&str> = quoted.collect();
            let others = || format!("it is one of {}", known.join(", "));
            let hint = toml_file::did_you_mean(word, &known, others);
            format!("there is no `{word}`; {hint}")
        }
        _ => message.replace('\n', ", "),
    };
    if key.is_empty() {
        format!("line {line}: {told}")
    } else {
        format!("line {line}: `{key}`: {told}")
    }
}

/// Returns whether a root has the file.
pub fn exists(root: &Path) -> bool {
    files::path_exists(&root.join(FILE))
}

fn parse(
    text: &str,
    kept: &BTreeMap<String, String>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<ServiceConfig, String> {
    if let Some(fault) = key_fault(text) {
        return Err(fault);
    }
    let file: ServiceFile = toml::from_str(text).map_err(|error| value_fault(text, &error))?;
    let usual = std::iter::once(("agent".to_owned(), &file.agent));
    let further = file.agents.iter();
    let further = further.map(|(name, agent)| (format!("agents.{name}"), agent));
    for (name, agent) in usual.chain(further) {
        if let Some(fault) = agent.validation_error() {
            return Err(format!("[{name}]: {fault}"));
        }
    }
    if file.test_command.first().is_none_or(String::is_empty) {
        return Err("`test_command` is empty".to_owned());
    }
    let known: Vec<&str> = file.agents.keys().map(String::as_str).collect();
    if let Some(fault) = service_models::fault(&file.planner, &file.judge, &known) {
        return Err(fault);
    }
    let mut settings = BoardSettings::default();
    for (name, value) in &file.settings {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        set(&mut settings, name, &value)?;
    }
    for (name, value) in kept {
        settings
            .set(name, value)
            .map_err(|why| format!("{why} ({RUNTIME_SETTINGS_FILE})"))?;
    }
    for key in KEYS {
        if let Some(value) = environment(key.name) {
            let told = settings.set(key.name, &value);
            told.map_err(|why| format!("{why} (a variable of the environment)"))?;
        }
    }
    let wrong = settings
        .contradiction()
        .or_else(|| settings.unknown_executor(file.agents.keys()));
    if let Some(why) = wrong {
        return Err(why);
    }
    let list = serde_json::json!({ "schema": 1, "id": BOARD_LIST_NAME, "agent": null, "task": [] });
    let mut list = list;
    list["agent"] = serde_json::json!({ "kind": "command", "args": ["true", "{prompt}"] });
    let mut list: TaskList = serde_json::from_value(list).map_err(|error| error.to_string())?;
    list.agent = file.agent;
    list.sandbox = file.sandbox;
    list.limits = file.limits.unwrap_or(tasks::DEFAULT_CHANGE_LIMITS);
    list.share = file.share;
    list.share_files = file.share_files;
    list.allowed_imports = file.allowed_imports;
    list.test_seconds = file.test_seconds.unwrap_or(tasks::DEFAULT_TEST_SECONDS);
    Ok(ServiceConfig {
        list,
        agents: file.agents,
        test_command: file.test_command,
        settings,
        port: file.port,
        planner: file.planner,
        judge: file.judge,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_changes_win_over_it_and_the_environment_over_both() {
        let text = "test_command = ['sh', 'test.sh']\n[agent]\nkind = 'claude'\n[settings]\nWORKER_COUNT = 3\nJUDGE_COUNT = 2\n";
        let kept = BTreeMap::from([("WORKER_COUNT".to_owned(), "5".to_owned())]);
        let read = parse(text, &kept, |name| {
            (name == "JUDGE_COUNT").then(|| "4".to_owned())
        })
        .unwrap();
        assert_eq!((read.settings.workers, read.settings.judges), (5, 4));
        for wrong in [
            "",
            "test_command = []\n[agent]\nkind='claude'",
            "test_command = ['a']\nnope = 1\n[agent]\nkind='claude'",
        ] {
            assert!(parse(wrong, &BTreeMap::new(), |_| None).is_err(), "{wrong}");
        }
        let unknown = "test_command = ['a']\n[agent]\nkind = 'claude'\n[settings]\nNOPE = 1\n";
        assert!(
            parse(unknown, &BTreeMap::new(), |_| None)
                .unwrap_err()
                .contains("NOPE")
        );
    }

    #[test]
    fn a_fault_is_told_with_what_to_write() {
        let told = |text: &str| parse(text, &BTreeMap::new(), |_| None).unwrap_err();
        let agent = "[agent]\nkind = 'claude'\n";
        assert_eq!(
            told(&format!("# tests\ntest_comand = ['a']\n{agent}")),
            "line 2: unknown key `test_comand`; did you mean `test_command`?"
        );
        assert_eq!(
            told("test_command = ['a']\n[agent]\nkind = 'clade'\n"),
            "line 3: `kind`: there is no `clade`; did you mean `claude`?"
        );
        let number = told(&format!("test_command = 3\n{agent}"));
        assert!(
            number.starts_with("line 1: `test_command`: invalid type"),
            "{number}"
        );
        assert_eq!(number.lines().count(), 1, "{number}");
        let empty = told("");
        assert!(
            empty.starts_with("`test_command` and `agent` are missing; "),
            "{empty}"
        );
        assert!(empty.contains(EXAMPLE));
        assert!(told(agent).starts_with("`test_command` is missing"));
        let command = "kind = 'command'\nargs = ['./agent.sh']\n";
        let tests = "test_command = ['a']\n";
        let first = told(&format!("{tests}[agent]\n{command}"));
        assert!(
            first.starts_with("[agent]: ") && first.contains("{prompt}"),
            "{first}"
        );
        let further = told(&format!("{tests}{agent}[agents.own]\n{command}"));
        assert!(further.starts_with("[agents.own]: "), "{further}");
    }
}
