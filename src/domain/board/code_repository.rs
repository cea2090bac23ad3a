//! Addresses: of a repository on GitHub or on a server of one's own, of its API, of its git.

/// A repository on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GithubRepository {
    /// Where the API answers, without a slash at its end.
    pub api: String,
    /// Where the pages and git are, without a slash at its end.
    pub web: String,
    /// Whose.
    pub owner: String,
    /// Its name.
    pub name: String,
}

impl GithubRepository {
    /// Reads `https://HOST/OWNER/NAME`, with or without `.git`; without an address of the API, it is the usual one of the host.
    pub fn read(url: &str, api: &str) -> Result<Self, String> {
        check_server_url(url)?;
        let url = url.trim().trim_end_matches('/');
        let shape = || {
            format!(
                "\"{url}\" names no repository; write its address, such as https://github.com/owner/name"
            )
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(shape)?;
        let mut parts = rest.split('/');
        let host = parts.next().unwrap_or_default();
        let (owner, name) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let name = name.strip_suffix(".git").unwrap_or(name);
        let is_plain = |text: &str| {
            !text.is_empty()
                && text != "."
                && text != ".."
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        if parts.next().is_some() || !is_plain(owner) || !is_plain(name) {
            return Err(shape());
        }
        let web = format!("{scheme}://{host}");
        let api = if api.trim().is_empty() {
            usual_api(scheme, host)
        } else {
            check_server_url(api)?;
            api.trim().trim_end_matches('/').to_owned()
        };
        Ok(Self {
            api,
            web,
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Returns the address of something of the repository, such as `/issues`.
    pub fn endpoint(&self, rest: &str) -> String {
        format!("{}/repos/{}/{}{rest}", self.api, self.owner, self.name)
    }

    /// Returns where git pushes.
    pub fn git_url(&self) -> String {
        format!("{}/{}/{}.git", self.web, self.owner, self.name)
    }

    /// Returns the number of an issue of this repository, if an address is that of one.
    pub fn issue_number(&self, link: &str) -> Option<u64> {
        let start = format!("{}/{}/{}/issues/", self.web, self.owner, self.name);
        let rest = link.strip_prefix(&start)?;
        rest.split(['#', '?']).next()?.parse().ok()
    }

    /// Returns whether an address is one of the API's server, so that the token may be sent there.
    pub fn is_api_origin(&self, url: &str) -> bool {
        origin(url).is_some() && origin(url) == origin(&self.api)
    }
}

/// The API that belongs to a host: GitHub's own, a tenant of it, or a server of one's own.
fn usual_api(scheme: &str, host: &str) -> String {
    if host == "github.com" || host.ends_with(".ghe.com") {
        format!("{scheme}://api.{host}")
    } else {
        format!("{scheme}://{host}/api/v3")
    }
}

fn origin(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    Some((scheme, host))
}

/// Says what is wrong with an address that a token is sent to: it has to be encrypted, except on this machine.
pub fn check_server_url(url: &str) -> Result<(), String> {
    let url = url.trim();
    let (scheme, host) = origin(url)
        .filter(|(_, host)| !host.is_empty())
        .ok_or_else(|| format!("\"{url}\" is no address; write one that begins with https://"))?;
    if host.contains('@') || url.contains(['?', '#', ' ']) || url.chars().any(char::is_control) {
        return Err(
            "an address has no user, no password, no query; the token goes into GITHUB_TOKEN"
                .to_owned(),
        );
    }
    let bare = if let Some(rest) = host.strip_prefix('[') {
        rest.split(']').next().unwrap_or_default()
    } else {
        host.split(':').next().unwrap_or_default()
    };
    let is_here = bare == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match scheme {
        "https" => Ok(()),
        "http" if is_here => Ok(()),
        "http" => Err(format!(
            "\"{url}\" is not encrypted, and the token would be read on the way; write https://"
        )),
        _ => Err(format!(
            "\"{url}\" begins with {scheme}://; git is used over https:// here, with the token"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_github_of_tenants_and_of_own_servers_are_read() {
        for (url, api, expected) in [
            ("https://github.com/o/n", "", "https://api.github.com"),
            ("https://github.com/o/n.git/", "", "https://api.github.com"),
            ("https://acme.ghe.com/o/n", "", "https://api.acme.ghe.com"),
            ("https://git.example/o/n", "", "https://git.example/api/v3"),
            (
                "http://127.0.0.1:9/o/n",
                "http://127.0.0.1:8/",
                "http://127.0.0.1:8",
            ),
        ] {
            let read = GithubRepository::read(url, api).unwrap();
            assert_eq!(
                (read.api.as_str(), read.owner.as_str(), read.name.as_str()),
                (expected, "o", "n"),
                "{url}"
            );
            assert!(read.git_url().ends_with("/o/n.git"));
            assert!(read.is_api_origin(&read.endpoint("/issues?page=2")));
            assert!(!read.is_api_origin("https://evil.example/repos/o/n/issues"));
            assert!(!read.is_api_origin("nonsense"));
        }
    }

    #[test]
    fn addresses_that_would_give_the_token_away_are_refused() {
        for wrong in [
            "",
            "o/n",
            "git@github.com:o/n.git",
            "ssh://github.com/o/n",
            "http://github.com/o/n",
            "https://user:pw@github.com/o/n",
            "https://github.com/o",
            "https://github.com/o/n/x",
            "https://github.com/../n",
            "https://github.com/o/n?x",
            "https://github.com/o/a\nb",
            "https:///o/n",
        ] {
            let read = GithubRepository::read(wrong, "");
            assert!(read.is_err(), "{wrong:?}: {read:?}");
        }
        assert!(GithubRepository::read("https://github.com/o/n", "http://proxy.example").is_err());
    }

    #[test]
    fn an_issue_of_this_repository_is_known_by_its_address() {
        let at = GithubRepository::read("https://github.com/o/n", "").unwrap();
        assert_eq!(
            at.issue_number("https://github.com/o/n/issues/12"),
            Some(12)
        );
        assert_eq!(
            at.issue_number("https://github.com/o/n/issues/12#issuecomment-1"),
            Some(12)
        );
        for other in [
            "https://github.com/o/m/issues/12",
            "https://github.com/o/n/pull/12",
            "notes.md",
            "",
        ] {
            assert_eq!(at.issue_number(other), None, "{other}");
        }
    }
}
