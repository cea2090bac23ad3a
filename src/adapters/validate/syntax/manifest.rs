//! Manifests by their parts, so that a new description is told from a new dependency.

use std::collections::BTreeMap;

/// Returns each part and its canonical text; empty where the file is no manifest or not understood.
pub fn parts(path: &str, text: &str) -> BTreeMap<String, String> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    if name == "pipfile" || has_ending(&name, "toml") {
        return toml::from_str::<toml::Table>(text)
            .map(|table| tables(&table))
            .unwrap_or_default();
    }
    if has_ending(&name, "json") {
        let value = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
        return value
            .unwrap_or_default()
            .into_iter()
            .map(|(key, value)| (key, value.to_string()))
            .collect();
    }
    if name == "go.mod" || name.starts_with("requirements") {
        let line = |line: &str| {
            line.split(['#'])
                .next()
                .unwrap_or_default()
                .split("//")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        return text
            .lines()
            .map(line)
            .filter(|line| !line.is_empty())
            .map(|line| (line.clone(), line))
            .collect();
    }
    BTreeMap::new()
}

fn has_ending(name: &str, ending: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, last)| last == ending)
}

fn tables(table: &toml::Table) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                parts.extend(
                    inner
                        .iter()
                        .map(|(name, value)| (format!("{key}.{name}"), value.to_string())),
                );
            }
            other => drop(parts.insert(key.clone(), other.to_string())),
        }
    }
    parts
}
