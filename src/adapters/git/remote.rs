//! Pushing to and fetching from a server over https, with a token that stands in no command line and no file.
//!
//! The token reaches git as a header that belongs to one address, through variables of git's own environment; redirects,
//! helpers for credentials and every other way to talk are off.

use std::{path::Path, time::Duration};

use super::program::GitProgram;

/// How long a push or a fetch may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// One repository on a server.
#[derive(Clone)]
pub(in crate::adapters) struct Remote {
    git: GitProgram,
    url: String,
}

impl Remote {
    /// Names the repository on the disk, the one on the server, and the token for it.
    pub(in crate::adapters) fn new(top: &Path, url: &str, token: &str) -> Self {
        let header = format!(
            "Authorization: Basic {}",
            base64(format!("x-access-token:{token}").as_bytes())
        );
        let settings = [
            (format!("http.{url}.extraHeader"), header),
            ("http.followRedirects".to_owned(), "false".to_owned()),
            ("credential.helper".to_owned(), String::new()),
            ("protocol.allow".to_owned(), "never".to_owned()),
            ("protocol.https.allow".to_owned(), "always".to_owned()),
            // Only this machine is asked without encryption; whoever made the address has seen to that.
            ("protocol.http.allow".to_owned(), "always".to_owned()),
        ];
        Self {
            git: GitProgram::new(top)
                .with_deadline(PATIENCE)
                .with_settings(&settings),
            url: url.to_owned(),
        }
    }

    /// Pushes a commit as a branch. A branch that is there with other work is left as it is, and that is an error.
    pub(in crate::adapters) fn push(&self, commit: &str, branch: &str) -> Result<(), String> {
        let what = format!("{commit}:refs/heads/{branch}");
        let words = ["push", "--quiet", "--no-verify", &self.url, &what];
        let pushed = self.git.run(&words, b"");
        pushed.map(drop).map_err(|error| error.to_string())
    }

    /// Fetches a branch, and returns its commit.
    pub(in crate::adapters) fn fetch(&self, branch: &str) -> Result<String, String> {
        let kept = format!("refs/tos/upstream/{branch}");
        let what = format!("+refs/heads/{branch}:{kept}");
        let words = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            &self.url,
            &what,
        ];
        let fault = |error: crate::domain::checkpoint::CheckpointError| error.to_string();
        self.git.run(&words, b"").map_err(fault)?;
        let commit = self.git.run(&["rev-parse", "--verify", &kept], b"");
        let commit = commit.map_err(fault)?;
        Ok(String::from_utf8_lossy(&commit).trim().to_owned())
    }
}

/// Writes bytes in base 64, as the header wants it.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let at = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let number = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let index = (number >> (18 - 6 * place)) & 63;
            text.push(if place <= group.len() {
                char::from(LETTERS[index as usize])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64_is_written_as_everywhere() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }
}
