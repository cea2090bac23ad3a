//! How programs of a task end, and what is said of it.

use std::fs;

use crate::{FIXED, Root};

impl Root {
    /// A list with one agent of one's own and these lines for it and for the list.
    fn agent_list(&self, agent: &str, script: &str, list: &str, test: &str) {
        let file = self.home.path().join("agent.sh");
        fs::write(&file, format!("{script}\n")).unwrap();
        let text = format!(
            "schema = 1\nid = \"demo\"\n{list}\n[agent]\nkind = \"command\"\nargs = [\"sh\", \"-c\", \"\"\"{}\"\"\", \"sh\", \
             \"{{prompt}}\"]\n{agent}\n[[task]]\nid = \"T-1\"\ngoal = \"repair add\"\nprompt = \"Make add add.\"\nclass = \"fix\"\n\
             test_command = {test}\n",
            script.replace('\\', "\\\\")
        );
        fs::write(self.home.path().join("list.toml"), text).unwrap();
    }

    fn told(&self) -> String {
        let end = self.records("task")[0]["end"].clone();
        end["reason"].as_str().unwrap().to_owned()
    }
}

const TEST: &str = "[\"sh\", \"test.sh\"]";

#[test]
fn tests_that_do_nothing_are_ended_and_told_apart_from_busy_ones() {
    let root = Root::new();
    root.agent_list(
        "",
        FIXED,
        "sandbox = \"off\"\ntest_idle_seconds = 1\ngrace_seconds = 0",
        "[\"sh\", \"-c\", \"trap : TERM; sleep 600; sleep 600\"]",
    );
    let (code, said) = root.run();
    assert_eq!(code, Some(3), "{said}");
    let reason = root.told();
    assert!(reason.contains("the tests did nothing for 1 s"), "{reason}");
}

#[test]
fn a_host_that_the_wall_refused_is_named_and_no_empty_attempt_is_kept() {
    let root = Root::new();
    let ask = r#"python3 -c 'import os, socket
place = os.environ.get("HTTPS_PROXY", "")
if place:
    host, port = place.split("//")[1].strip("/").split(":")
    s = socket.create_connection((host, int(port)))
    s.sendall(b"CONNECT models.corp.example:443 HTTP/1.1\r\n\r\n")
    s.recv(99)'
echo 'error: 403 Forbidden' >&2
exit 1"#;
    root.agent_list("hosts = [\"api.example.com\"]", ask, "", TEST);
    let (code, said) = root.run();
    assert_eq!(code, Some(5), "{said}");
    let kept = root.git(&["for-each-ref", "--format=%(refname)", "refs/tos/attempts"]);
    assert_eq!(
        kept, "",
        "an agent that changed nothing leaves no reference"
    );
    let start = root.records("session.start")[0]["start"].clone();
    let words = start["capabilities"].as_array().unwrap();
    if !words.iter().any(|word| word == "net_allowlist") {
        println!("no wall on this machine: not counted");
        return;
    }
    let reason = root.told();
    assert!(
        reason.contains(
            "its wall refused models.corp.example, which `hosts` of the agent does not name"
        ),
        "{reason}"
    );
    assert!(
        reason.contains("name it in `hosts` (now api.example.com)"),
        "{reason}"
    );
}

#[test]
fn a_missing_login_and_a_budget_that_nothing_keeps_are_told_beforehand() {
    let root = Root::new();
    root.agent_list("credentials = [\".nothing/here.json\"]", FIXED, "", TEST);
    let (code, said) = root.run();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("needs ~/.nothing/here.json, which does not exist"),
        "{said}"
    );
    assert_eq!(root.records("session.start").len(), 0);
    root.agent_list("max_budget_usd = 2", FIXED, "", TEST);
    let list = root.home.path().join("list.toml");
    let (code, said) = root.tos(&["task", "check", list.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("`sh` cannot keep to `max_budget_usd = 2`"),
        "{said}"
    );
}

#[test]
fn names_with_control_characters_stay_on_their_line() {
    let root = Root::new();
    let script = format!(
        "{FIXED}; common=$(git rev-parse --git-common-dir); : > \"$common/hooks/a$(printf '\\nINJECTED \\033[2Jx')\""
    );
    root.list("stop", &[("T-1", &script, "")]);
    let (code, said) = root.run();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the user's repository was changed: hooks/a\\nINJECTED \\u{1b}[2Jx"),
        "{said}"
    );
    assert!(
        !said.lines().any(|line| line.starts_with("INJECTED")),
        "{said}"
    );
}
