//! What is generated from the table of keys: the JSON Schema and the table of the documentation.
//!
//! `config/schema.json` and the marked part of `docs/configuration.md` hold exactly this text; a test
//! compares them, and `TOS_REGENERATE=1 cargo test --lib config::reference` writes them anew.

use serde_json::{Map, Value, json};

use crate::config::{
    keys,
    keys::{ConfigKey, KeyDefault},
    layers::env_name,
};

/// Returns the JSON Schema of the configuration file.
pub fn schema() -> Value {
    let mut top = section();
    for key in keys::all() {
        insert(&mut top, &key.path, leaf(key));
    }
    let mut schema = Map::new();
    schema.insert(
        "$schema".into(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    schema.insert(
        "title".into(),
        json!("Configuration of tos (config_v0_3.json)"),
    );
    schema.extend(top);
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("$schema".into(), json!({"type": "string"}));
    }
    Value::Object(schema)
}

/// Returns the schema as the file holds it.
pub fn schema_text() -> String {
    let text = serde_json::to_string_pretty(&schema()).expect("a JSON value has a text");
    format!("{text}\n")
}

fn section() -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("additionalProperties".into(), json!(false));
    object.insert("properties".into(), json!({}));
    object
}

fn insert(into: &mut Map<String, Value>, path: &str, schema: Value) {
    let Some(Value::Object(properties)) = into.get_mut("properties") else {
        return;
    };
    match path.split_once('.') {
        None => drop(properties.insert(path.to_owned(), schema)),
        Some((name, rest)) => {
            let below = properties
                .entry(name.to_owned())
                .or_insert_with(|| Value::Object(section()));
            if let Value::Object(below) = below {
                insert(below, rest, schema);
            }
        }
    }
}

fn leaf(key: &ConfigKey) -> Value {
    let mut schema = key.shape.schema();
    if key.default == KeyDefault::Absent {
        schema = json!({"anyOf": [schema, {"type": "null"}]});
    }
    if let Value::Object(object) = &mut schema {
        object.insert("description".into(), json!(key.doc));
        if key.default != KeyDefault::Absent {
            object.insert("default".into(), key.default.value());
        }
        if let Ok(example) = serde_json::from_str::<Value>(key.example) {
            object.insert("examples".into(), json!([example]));
        }
    }
    schema
}

/// Returns the tables of all keys in Markdown.
pub fn tables() -> String {
    let themes = keys::keys_by_theme().into_iter();
    let tables: Vec<String> = themes.map(|(title, keys)| table(title, &keys)).collect();
    tables.join("\n")
}

fn table(title: &str, keys: &[ConfigKey]) -> String {
    let head = format!(
        "### {title}\n\n| key | value | default | meaning | example |\n|---|---|---|---|---|\n"
    );
    keys.iter().map(row).fold(head, |text, row| text + &row)
}

fn row(key: &ConfigKey) -> String {
    let ours = if key.original { "" } else { " ⁺" };
    let default = match key.default {
        KeyDefault::Absent => "–".to_owned(),
        KeyDefault::Json(text) if text.len() > 60 => {
            format!("{}…", code(text.get(..40).unwrap_or(text)))
        }
        KeyDefault::Json(text) => code(text),
        KeyDefault::Text(_, file) => format!("the text of `{file}`"),
    };
    format!(
        "| {}{ours} | {} | {default} | {} | {} |\n",
        code(&key.path),
        escape(&key.shape.describe()),
        escape(key.doc),
        code(key.example),
    )
}

fn code(text: &str) -> String {
    if text.contains('`') {
        format!("`` {} ``", escape(text))
    } else {
        format!("`{}`", escape(text))
    }
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Returns what a person wants to know about one key.
pub fn describe(key: &ConfigKey) -> String {
    let default = match key.default {
        KeyDefault::Absent => "absent".to_owned(),
        KeyDefault::Json(text) => text.to_owned(),
        KeyDefault::Text(_, file) => format!("the text of {file}"),
    };
    format!(
        "{}\n  {}\n  value:   {}\n  default: {default}\n  example: {}\n  env:     {}\n",
        key.path,
        key.doc,
        key.shape.describe(),
        key.example,
        env_name(&key.path),
    )
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::config::{FlagOverrides, Settings, files};

    const BEGIN: &str = "<!-- keys: generated, see src/config/reference.rs -->\n";
    const END: &str = "<!-- end of keys -->\n";

    fn repository() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    }

    fn read(path: &Path) -> String {
        let bytes = files::read(path).unwrap_or_default();
        String::from_utf8(bytes).unwrap()
    }

    fn assert_holds(path: &str, expected: &str) {
        let file = repository().join(path);
        if std::env::vars().any(|(name, _)| name == "TOS_REGENERATE") {
            files::write(&file, expected);
        }
        let remedy = "run TOS_REGENERATE=1 cargo test --lib config::reference";
        assert!(read(&file) == expected, "{path} is out of date: {remedy}");
    }

    #[test]
    fn the_shipped_schema_is_what_the_table_of_keys_says() {
        assert_holds("config/schema.json", &schema_text());
    }

    #[test]
    fn the_documented_keys_are_what_the_table_of_keys_says() {
        let text = read(&repository().join("docs/configuration.md"));
        let (before, rest) = text.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", tables());
        assert_holds("docs/configuration.md", &expected);
    }

    #[test]
    fn the_shipped_configuration_loads_and_its_policy_holds() {
        let settings = Settings::load(&repository(), None, &[], &FlagOverrides::default()).unwrap();
        settings.policy().unwrap();
        assert_eq!(settings.warnings, Vec::<String>::new());
        let job_loop = settings.rules.job_loop.unwrap();
        assert_eq!((job_loop.max_jobs, job_loop.name.as_str()), (3, "sample"));
    }

    #[test]
    fn the_configuration_of_a_new_root_loads_too() {
        let root = tempfile::tempdir().unwrap();
        let blank = read(&repository().join("config/blank.json"));
        files::write(&root.path().join("config/config_v0_3.json"), blank);
        let settings = Settings::load(root.path(), None, &[], &FlagOverrides::default()).unwrap();
        settings.policy().unwrap();
        assert_eq!(settings.warnings, Vec::<String>::new());
    }

    #[test]
    fn every_json_block_of_the_documentation_is_a_valid_configuration() {
        let text = read(&repository().join("docs/configuration.md"));
        let blocks: Vec<&str> = text
            .split("```json\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .collect();
        assert!(blocks.len() >= 4, "{}", blocks.len());
        for block in blocks {
            let root = tempfile::tempdir().unwrap();
            files::write(&root.path().join("config_v0_3.json"), block);
            let loaded = Settings::load(root.path(), None, &[], &FlagOverrides::default());
            assert!(loaded.is_ok(), "{block}\n{loaded:?}");
        }
    }
}
