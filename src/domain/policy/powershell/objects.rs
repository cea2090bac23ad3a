//! Texts that stand for the objects PowerShell hands on: files that are listed or made, processes that were started.

use crate::domain::policy::{
    partial_text::NAME, powershell::given::ParsedArguments, windows::path,
};

/// Returns what stands for a process that the text itself started.
pub(super) fn own_process() -> String {
    format!("own process {NAME}")
}

/// Returns whether only processes are ended that the text itself started.
pub(super) fn ends_own(given: &ParsedArguments, input: &str) -> bool {
    let mut ended = given.all(&["id", "inputobject", "name"]);
    ended.extend(input.lines().map(str::to_owned));
    let own = own_process();
    !ended.is_empty() && ended.iter().all(|one| *one == own)
}

/// Returns the path of what `New-Item` makes.
pub(super) fn made(given: &ParsedArguments) -> String {
    let words = given.all(&["path", "name"]);
    let folder = given.values("path").pop();
    match (folder, given.values("name").pop()) {
        (Some(folder), Some(name)) => format!("{folder}/{name}"),
        _ => words.first().cloned().unwrap_or_default(),
    }
}

/// Returns what `Get-ChildItem` lists.
pub(super) fn listed(given: &ParsedArguments) -> String {
    let folders = given.all(&["path", "literalpath"]);
    let filter = given
        .values("filter")
        .into_iter()
        .chain(given.values("include"))
        .next()
        .filter(|filter| filter != "*");
    let is_deep = given.has("recurse", 1);
    let name = match filter.map(|filter| path(&filter)) {
        Some(filter) if is_deep => format!("{NAME}/{filter}"),
        Some(filter) => filter,
        None => NAME.to_string(),
    };
    if folders.is_empty() {
        return name;
    }
    folders
        .iter()
        .map(|folder| {
            if folder.contains(['*', NAME]) {
                path(folder)
            } else {
                format!("{}/{name}", path(folder))
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}
