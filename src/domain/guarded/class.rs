//! The kind of work a change really is, against what was declared.

use crate::domain::validate::{Change, is_test_path, manifest_name};

/// Returns the declared class where the change fits it, else `unclassified`.
pub fn checked_class(declared: &str, changes: &[Change]) -> String {
    let tests = |change: &&Change| is_test_path(&change.path);
    let manifests = |change: &&Change| manifest_name(&change.path);
    let any_source = changes
        .iter()
        .any(|change| !tests(&change) && !manifests(&change));
    let fits = match declared {
        "test" => !changes.is_empty() && changes.iter().all(|change| tests(&change)),
        "deps" => changes.iter().any(|change| manifests(&change)),
        "fix" | "feature" => any_source,
        // Behaviour stays, so what tests expect stays.
        "refactor" => {
            any_source
                && changes
                    .iter()
                    .filter(tests)
                    .all(|change| change.added == 0 && change.removed == 0)
        }
        _ => false,
    };
    if fits {
        declared.to_owned()
    } else {
        "unclassified".to_owned()
    }
}
