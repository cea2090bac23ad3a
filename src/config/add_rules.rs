//! Adds rules to a configuration file that a person keeps: only what is added changes, every other byte stays.
//!
//! Danger: the file decides what may run, so a text that does not read back as what was meant is never returned.

use std::path::Path;

use jsonc_parser::{ParseOptions, cst::CstRootNode};
use serde_json::Value;

use crate::{config::json, domain::policy::PolicyRule};

/// Returns the text of a configuration file with more rules in `execution_policy.rules`; the error names the file and
/// what to do.
pub fn with_rules(file: &Path, bytes: &[u8], rules: &[PolicyRule]) -> Result<String, String> {
    let text = json::decode(bytes, file).map_err(|error| error.to_string());
    text.and_then(|text| appended(&text, rules)).map_err(|why| {
        let shown = file.display();
        format!("{shown}: {why}; add the rule to execution_policy.rules by hand (docs/policy.md)")
    })
}

fn appended(text: &str, rules: &[PolicyRule]) -> Result<String, String> {
    let tree = CstRootNode::parse(text, &ParseOptions::default()).map_err(|e| e.to_string())?;
    let strange = || "execution_policy.rules is no list".to_owned();
    let top = tree.object_value_or_create().ok_or_else(strange)?;
    let policy = top.object_value_or_create("execution_policy");
    let list = policy.and_then(|policy| policy.array_value_or_create("rules"));
    let list = list.ok_or_else(strange)?;
    for rule in rules {
        let value = serde_json::to_value(rule).map_err(|error| error.to_string())?;
        drop(list.append(json::as_input(value)));
    }
    let longer = tree.to_string();
    let back: Value = serde_json::from_str(&longer).map_err(|error| error.to_string())?;
    let last = back
        .pointer("/execution_policy/rules")
        .and_then(Value::as_array);
    let last = last.map(|all| all.iter().skip(all.len().saturating_sub(rules.len())));
    let wanted: Vec<Value> = rules
        .iter()
        .filter_map(|rule| serde_json::to_value(rule).ok())
        .collect();
    if !last.is_some_and(|last| last.eq(wanted.iter())) {
        return Err("the longer text does not read back as it was meant".to_owned());
    }
    Ok(longer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Decision;

    fn rule() -> PolicyRule {
        PolicyRule {
            name: "yes-to-rm".to_owned(),
            decision: Decision::Allow,
            program: vec!["rm".to_owned()],
            deletes: vec!["a \"b\"".to_owned()],
            ..PolicyRule::default()
        }
    }

    const ADDED: &str = r#"{
        "name": "yes-to-rm",
        "decision": "allow",
        "program": ["rm"],
        "deletes": ["a \"b\""]
      }"#;

    #[test]
    fn only_what_is_added_changes() {
        let before = "{\n  \"max_steps\":   3,\n  \"execution_policy\": {\n    \"rules\": [\n      {\"name\":\"x\",\"decision\":\"deny\",\"program\":[\"y\"]}\n    ]\n  },\n  \"other\": [1,2]\n}\n";
        let after = appended(before, &[rule()]).unwrap();
        let expected = before.replace("[\"y\"]}", &format!("[\"y\"]}},\n      {ADDED}"));
        assert_eq!(after, expected);
    }

    #[test]
    fn a_file_without_a_policy_gets_one() {
        for before in [
            "{}",
            "{\n}\n",
            "{ \"max_steps\": 3 }",
            "{\"execution_policy\": {}}",
        ] {
            let after = appended(before, &[rule()]).unwrap();
            let value: Value = serde_json::from_str(&after).unwrap();
            let rules = value.pointer("/execution_policy/rules/0/name");
            assert_eq!(rules, Some(&Value::from("yes-to-rm")), "{after}");
        }
    }

    #[test]
    fn a_policy_of_another_shape_is_left_alone() {
        for before in [
            "[]",
            "{\"execution_policy\": 3}",
            "{\"execution_policy\": {\"rules\": {}}}",
        ] {
            assert!(appended(before, &[rule()]).is_err(), "{before}");
        }
    }
}
