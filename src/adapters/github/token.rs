//! Where a secret of GitHub lies, its token or that of its webhook: in the environment, or in a file that only its owner may
//! read. It is written, never shown.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::PathBuf,
};

/// The name of the setting and of the variable.
pub const TOKEN_NAME: &str = "GITHUB_TOKEN";
/// The name of the secret that GitHub signs the deliveries of its webhook with.
pub const WEBHOOK_SECRET_NAME: &str = "GITHUB_WEBHOOK_SECRET";
/// The longest token that is taken.
const LONGEST: usize = 4096;

/// Knows where the token, or another secret, lies.
#[derive(Clone)]
pub struct GitHubSecret {
    name: &'static str,
    file: PathBuf,
    /// What the environment held, which wins.
    given: Option<String>,
}

impl std::fmt::Debug for GitHubSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitHubSecret")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl GitHubSecret {
    /// Names the file; a token of the environment wins over it.
    pub fn new(file: PathBuf, given: Option<String>) -> Self {
        Self::named(TOKEN_NAME, file, given)
    }

    /// The same for another secret.
    pub fn named(name: &'static str, file: PathBuf, given: Option<String>) -> Self {
        let given = given.map(|token| token.trim().to_owned());
        Self {
            name,
            file,
            given: given.filter(|token| !token.is_empty()),
        }
    }

    /// Returns where the token comes from; `None` = there is none.
    pub fn origin(&self) -> Option<&'static str> {
        if self.given.is_some() {
            return Some("environment");
        }
        self.file.is_file().then_some("file")
    }

    /// Reads the token.
    pub fn read(&self) -> Result<Option<String>, String> {
        if let Some(token) = &self.given {
            return self.check(token).map(Some);
        }
        let about = match fs::symlink_metadata(&self.file) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(&error.to_string())),
        };
        if !about.is_file() || about.mode() & 0o077 != 0 {
            return Err(self.fault("others can read it; remove it and write the secret again"));
        }
        let text = fs::read_to_string(&self.file);
        let text = text.map_err(|error| self.fault(&error.to_string()))?;
        self.check(&text).map(Some)
    }

    /// Writes the token; an empty one removes it.
    pub fn write(&self, token: &str) -> Result<(), String> {
        if self.given.is_some() {
            return Err(format!(
                "{} is set in the environment of the service, which would win again; change it there",
                self.name
            ));
        }
        let fault = |error: io::Error| self.fault(&error.to_string());
        if token.trim().is_empty() {
            return match fs::remove_file(&self.file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fault(error)),
                _ => Ok(()),
            };
        }
        let token = self.check(token)?;
        let next = self.file.with_extension("next");
        // One that a killed service left may have other rights.
        drop(fs::remove_file(&next));
        let mut options = fs::OpenOptions::new();
        let mut made = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&next)
            .map_err(fault)?;
        made.write_all(token.as_bytes()).map_err(fault)?;
        made.sync_all().map_err(fault)?;
        fs::rename(&next, &self.file).map_err(fault)
    }

    fn fault(&self, why: &str) -> String {
        format!("{}: {why}", self.file.display())
    }

    /// It is one word: whatever else it were would end up in a header as something else.
    fn check(&self, token: &str) -> Result<String, String> {
        let token = token.trim();
        let is_plain = token.chars().all(|c| c.is_ascii_graphic());
        if is_plain && (1..=LONGEST).contains(&token.len()) {
            return Ok(token.to_owned());
        }
        Err(format!(
            "{} has to be one word without spaces, of at most {LONGEST} letters",
            self.name
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_written_for_its_owner_only_and_can_be_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let place = GitHubSecret::new(folder.path().join("github-token"), None);
        assert_eq!((place.read(), place.origin()), (Ok(None), None));
        place.write(" ghp_abcdef \n").unwrap();
        assert_eq!(place.read().unwrap().as_deref(), Some("ghp_abcdef"));
        assert_eq!(place.origin(), Some("file"));
        let mode = fs::metadata(&place.file).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&place.file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(place.read().unwrap_err().contains("others can read it"));
        assert!(place.write("two words").is_err());
        place.write("").unwrap();
        place.write("").unwrap();
        assert_eq!(place.read(), Ok(None));
        assert!(!format!("{place:?}").contains("ghp"));
    }

    #[test]
    fn a_token_of_the_environment_wins_and_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let place = GitHubSecret::new(folder.path().join("t"), Some("given-token".to_owned()));
        assert_eq!(place.read().unwrap().as_deref(), Some("given-token"));
        assert!(place.write("other").unwrap_err().contains("environment"));
        assert!(!format!("{place:?}").contains("given"));
    }
}
