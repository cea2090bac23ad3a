//! Scripts of `package.json` that the command itself wrote.

use crate::domain::policy::{programs::Options, shell::ShellInterpreter};

impl ShellInterpreter<'_, '_> {
    /// Looks at scripts that are written into the description of a package.
    pub(super) fn scripts_set(&mut self, name: &str, rest: &[String]) {
        let scripts = rest.iter().filter_map(|word| word.strip_prefix("scripts."));
        for (_, code) in scripts.filter_map(|word| word.split_once('=')) {
            drop(self.aside(|shell| shell.run_text(code, name, String::new())));
        }
    }

    /// Runs a script of `package.json` that the command itself wrote.
    pub(super) fn package_script(&mut self, verb: &str, rest: &[String]) {
        let Some(text) = self.remembered("package.json") else {
            return;
        };
        let options = Options::parse(rest, "", &[]);
        let wanted = if verb.starts_with("run") || verb == "rum" || verb == "urn" {
            options.rest.first().cloned().unwrap_or_default()
        } else {
            verb.to_owned()
        };
        let scripts = serde_json::from_str::<serde_json::Value>(&text).ok();
        let scripts = scripts
            .as_ref()
            .and_then(|value| value.get("scripts"))
            .and_then(|value| value.as_object());
        let Some(scripts) = scripts else {
            self.reading.opaque("a package.json that cannot be read");
            return;
        };
        for name in [
            format!("pre{wanted}"),
            wanted.clone(),
            format!("post{wanted}"),
        ] {
            if let Some(code) = scripts.get(&name).and_then(|code| code.as_str()) {
                drop(self.run_text(code, "npm run", String::new()));
            }
        }
    }
}
