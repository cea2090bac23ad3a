//! Which folders and hooks an agent trusts, as far as its own files say it: both Codex and Gemini CLI skip what they do not
//! trust without a word.

use std::path::{Path, PathBuf};

use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::Value;

use crate::domain::guard::codex_trust::folder_remedy;

/// What Codex's `config.toml` says about a hook. Whether it holds only Codex knows: the hash in it is its own affair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodexTrustRecord {
    /// Nothing.
    None,
    /// The hook is switched off.
    SwitchedOff,
    /// There is a record; it may be of an earlier form of the hook.
    Recorded,
}

/// Returns what a `config.toml` says about the `PreToolUse` hooks of a file.
pub fn codex_trust_record(text: &str, hooks: &Path) -> CodexTrustRecord {
    let value: Option<toml::Value> = toml::from_str(text).ok();
    let state = value.as_ref().and_then(|value| {
        let state = value.get("hooks")?.get("state")?;
        state.as_table()
    });
    let named = format!("{}:pre_tool_use:", hooks.display());
    let own = state.into_iter().flatten();
    let own: Vec<&toml::Value> = own
        .filter(|(key, _)| key.starts_with(&named))
        .map(|(_, record)| record)
        .collect();
    let is_off =
        |record: &&toml::Value| record.get("enabled").and_then(toml::Value::as_bool) == Some(false);
    if own.iter().any(is_off) {
        CodexTrustRecord::SwitchedOff
    } else if own
        .iter()
        .any(|record| record.get("trusted_hash").is_some())
    {
        CodexTrustRecord::Recorded
    } else {
        CodexTrustRecord::None
    }
}

/// Returns why Codex passes over the settings of a project; `None` where its `config.toml` says that it trusts the folder.
pub fn codex_folder_reason(text: Option<&str>, folder: &Path) -> Option<String> {
    let value: Option<toml::Value> = text.and_then(|text| toml::from_str(text).ok());
    let level = value.as_ref().and_then(|value| {
        let projects = value.get("projects")?;
        let project = projects.get(folder.to_string_lossy().as_ref())?;
        project.get("trust_level")?.as_str()
    });
    (level != Some("trusted")).then(|| {
        format!(
            "Codex takes hooks of a project only in folders it trusts, and {} is none of them. {}",
            folder.display(),
            folder_remedy()
        )
    })
}

/// What decides whether Gemini CLI trusts a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeminiTrustSources {
    /// `GEMINI_CLI_TRUST_WORKSPACE`.
    pub workspace: Option<String>,
    /// `GEMINI_RESTRICTED_MODE`.
    pub restricted: Option<String>,
    /// The file of trusted folders.
    pub file: PathBuf,
}

/// Returns why Gemini CLI runs no hook in a folder, those of the person included; `None` where it does. `settings` and
/// `folders` are the texts of the person's settings and of the file of trusted folders, `real` resolves links.
pub fn gemini_folder_reason(
    sources: &GeminiTrustSources,
    settings: Option<&str>,
    folders: Option<&str>,
    folder: &Path,
    real: &dyn Fn(&Path) -> PathBuf,
) -> Option<String> {
    let told = |what: &str| {
        Some(format!(
            "Gemini CLI {what}, and there it runs no hook at all, those in your own settings included"
        ))
    };
    if sources.restricted.as_deref() == Some("true") {
        return told("is told by GEMINI_RESTRICTED_MODE to trust no folder");
    }
    match sources.workspace.as_deref() {
        Some("true") => return None,
        Some("false") => return told("is told by GEMINI_CLI_TRUST_WORKSPACE to trust no folder"),
        _ => {}
    }
    let enabled = settings
        .and_then(json)
        .and_then(|value| value.pointer("/security/folderTrust/enabled")?.as_bool());
    if enabled == Some(false) {
        return None;
    }
    let file = sources.file.display();
    let here = folder.display();
    let rules = match folders.map(|text| json(text).and_then(|value| value.as_object().cloned())) {
        Some(None) => {
            return Some(format!(
                "{file} is no JSON object: Gemini CLI does not start with it; mend it"
            ));
        }
        Some(Some(rules)) => rules,
        None => serde_json::Map::new(),
    };
    let place = real(folder);
    let mut best: Option<(usize, &str)> = None;
    for (path, level) in &rules {
        let Some(level) = level.as_str() else {
            continue;
        };
        let named = Path::new(path);
        let covers = match level {
            "TRUST_PARENT" => named.parent().unwrap_or(named),
            _ => named,
        };
        if place.starts_with(real(covers)) && best.is_none_or(|(length, _)| path.len() > length) {
            best = Some((path.len(), level));
        }
    }
    match best.map(|(_, level)| level) {
        Some("TRUST_FOLDER" | "TRUST_PARENT") => None,
        Some(_) => told(&format!(
            "does not trust {here} ({file}): start `gemini`, type `/permissions`, and trust it; until then it is not trusted"
        )),
        None => told(&format!(
            "has not been told to trust {here}: start `gemini` there and say yes to its question, or it is not trusted"
        )),
    }
}

fn json(text: &str) -> Option<Value> {
    let options = ParseOptions {
        allow_trailing_commas: false,
        ..ParseOptions::default()
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options).ok()?;
    Some(parsed.value?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_codex_is_found_and_one_that_is_switched_off() {
        let hooks = Path::new("/h/.codex/hooks.json");
        let of = |text: &str| codex_trust_record(text, hooks);
        let table = "[hooks.state.\"/h/.codex/hooks.json:pre_tool_use:0:0\"]\n";
        assert_eq!(of(""), CodexTrustRecord::None);
        assert_eq!(of("[broken"), CodexTrustRecord::None);
        assert_eq!(of(table), CodexTrustRecord::None);
        assert_eq!(
            of("[hooks.state.\"/other/hooks.json:pre_tool_use:0:0\"]\ntrusted_hash = \"x\"\n"),
            CodexTrustRecord::None
        );
        let recorded = format!("{table}trusted_hash = \"x\"\n");
        assert_eq!(of(&recorded), CodexTrustRecord::Recorded);
        let off = format!("{recorded}enabled = false\n");
        assert_eq!(of(&off), CodexTrustRecord::SwitchedOff);
    }

    #[test]
    fn a_folder_is_trusted_by_codex_only_by_its_word() {
        let of = |text: &str| codex_folder_reason(Some(text), Path::new("/p"));
        assert_eq!(of("[projects.\"/p\"]\ntrust_level = \"trusted\"\n"), None);
        assert!(of("[projects.\"/p\"]\ntrust_level = \"untrusted\"\n").is_some());
        assert!(of("[projects.\"/q\"]\ntrust_level = \"trusted\"\n").is_some());
        let none = codex_folder_reason(None, Path::new("/p")).unwrap();
        assert!(none.contains("/p is none of them"), "{none}");
    }

    #[test]
    fn gemini_trusts_by_the_longest_rule_that_covers_a_folder() {
        let sources = GeminiTrustSources::default();
        let of = |folders: Option<&str>| {
            let same = |path: &Path| path.to_owned();
            gemini_folder_reason(&sources, None, folders, Path::new("/a/b"), &same)
        };
        for trusted in [
            r#"{"/a/b":"TRUST_FOLDER"}"#,
            r#"{"/a":"TRUST_FOLDER"} // mine"#,
            r#"{"/a/x":"TRUST_PARENT"}"#,
            r#"{"/a":"DO_NOT_TRUST","/a/b":"TRUST_FOLDER"}"#,
        ] {
            assert_eq!(of(Some(trusted)), None, "{trusted}");
        }
        for (other, part) in [
            (
                r#"{"/a":"TRUST_FOLDER","/a/b":"DO_NOT_TRUST"}"#,
                "does not trust /a/b",
            ),
            (
                r#"{"/a/bc":"TRUST_FOLDER"}"#,
                "has not been told to trust /a/b",
            ),
            (r#"{"/a/x/y":"TRUST_PARENT"}"#, "has not been told"),
            ("[", "does not start with it"),
        ] {
            assert!(of(Some(other)).unwrap().contains(part), "{other}");
        }
        assert!(
            of(None)
                .unwrap()
                .contains("those in your own settings included")
        );
    }

    #[test]
    fn variables_and_settings_of_gemini_come_first() {
        let of = |workspace: Option<&str>, restricted: Option<&str>, settings: &str| {
            let sources = GeminiTrustSources {
                workspace: workspace.map(str::to_owned),
                restricted: restricted.map(str::to_owned),
                file: PathBuf::new(),
            };
            let same = |path: &Path| path.to_owned();
            let here = Path::new("/a");
            gemini_folder_reason(
                &sources,
                Some(settings),
                Some(r#"{"/a":"TRUST_FOLDER"}"#),
                here,
                &same,
            )
        };
        assert_eq!(of(Some("true"), None, "{}"), None);
        assert_eq!(of(None, None, "{}"), None);
        assert!(of(Some("false"), None, "{}").is_some());
        assert!(of(Some("true"), Some("true"), "{}").is_some());
        let off = r#"{"security":{"folderTrust":{"enabled":false}}}"#;
        let sources = GeminiTrustSources::default();
        let same = |path: &Path| path.to_owned();
        let told = gemini_folder_reason(&sources, Some(off), None, Path::new("/a"), &same);
        assert_eq!(told, None);
    }
}
