//! `Remove-Item` and its like: what goes, whether it is named or comes through the pipe.

use crate::domain::policy::{
    partial_text::NAME,
    powershell::{Reader, given::ParsedArguments},
    rule::EffectKind,
    windows::{self, path},
};

impl Reader<'_, '_, '_> {
    /// Looks at what a command removes or empties.
    pub(super) fn removes(&mut self, command: &str, given: &ParsedArguments, input: &str) {
        if command == "clear-recyclebin" {
            self.shell
                .reading
                .does(EffectKind::System, "empties the recycle bin");
            return;
        }
        let mut targets = given.all(&["path", "literalpath", "lp", "pspath"]);
        // With Unix tools of the same name, letters stand together.
        if targets.is_empty() {
            let is_setting = |name: &str| {
                ["ea", "wa", "ev"].contains(&name)
                    || [
                        "erroraction",
                        "warningaction",
                        "errorvariable",
                        "informationaction",
                    ]
                    .iter()
                    .any(|long| name.len() > 4 && long.starts_with(name))
            };
            let named = given.named.iter().filter(|(name, _)| !is_setting(name));
            let values = named.flat_map(|(_, values)| values.clone());
            targets.extend(
                values.filter(|value| !["true", "false"].contains(&value.to_lowercase().as_str())),
            );
        }
        let filtered = given.has("include", 1) || given.has("filter", 2);
        if targets.is_empty() {
            targets.extend(input.lines().map(str::to_owned));
        }
        for target in targets {
            let lower = target.to_lowercase();
            if ["env:", "variable:", "alias:", "function:"]
                .iter()
                .any(|drive| lower.starts_with(drive))
            {
                continue;
            }
            if windows::is_registry(&target)
                || lower.starts_with("cert:")
                || lower.starts_with("wsman:")
            {
                windows::registry(self.shell, &target);
                continue;
            }
            let name = if filtered {
                format!("{}/{NAME}x", path(&target).trim_end_matches(NAME))
            } else {
                path(&target)
            };
            if command == "clear-content" {
                self.shell.empties(&name);
            }
            self.shell.deletes(&name);
        }
    }
}
