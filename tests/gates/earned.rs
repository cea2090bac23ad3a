//! The first promotion, earned through the program alone: watched tasks, drills, a person who types the phase.

use std::fs;

use super::{Root, out, repository};

impl Root {
    /// A repository in which there is work of several kinds.
    fn with_work() -> Self {
        let root = Self::empty();
        for (name, text) in [
            ("app.py", "def add(a, b):\n    return a + b\n"),
            ("check.sh", "#!/bin/sh\ngrep -q 'a + b' app.py\n"),
            (".gitignore", "/.tos/\n"),
        ] {
            repository::write(&root.root, name, text);
        }
        root.commit_all();
        root
    }

    /// Writes a plan; each task is an id, its class, and what its agent does in a shell.
    fn plan(&self, tasks: &[(&str, &str, &str)]) -> String {
        let tasks = tasks.iter().map(|(id, class, script)| {
            format!(
                "- id: {id}\n  class: {class}\n  prompt: do it\n  agent: {{kind: command, args: [sh, -c, '{script}', '{{prompt}}']}}\n"
            )
        });
        let head = "sandbox: off\ntest_command: sh check.sh\ntasks:\n".to_owned();
        let text: String = std::iter::once(head).chain(tasks).collect();
        let file = self.home.path().join("plan.yaml");
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

#[test]
fn the_first_promotion_is_earned_by_work_drills_and_a_person() {
    let root = Root::with_work();
    let status = || out(&root.tos(&["phase", "status"]));
    let test = "printf \"import unittest\\n\\n\\nclass T(unittest.TestCase):\\n    def test_add(self):\\n        self.assertEqual(1, 1)\\n\" > test_app.py";
    let plan = root.plan(&[
        ("one", "fix", "echo \"one = 1\" >> app.py"),
        ("two", "feature", "echo \"two = 2\" >> more.py"),
        ("three", "test", test),
        ("four", "fix", "echo \"four = 4\" >> app.py"),
        ("five", "feature", "echo \"five = 5\" >> more.py"),
    ]);
    assert_eq!(
        root.tos(&["plan", "run", &plan]).status.code(),
        Some(5),
        "nobody is there"
    );
    let (code, said) = root.at_terminal(&["plan", "run", &plan], "go\ngo\ngo\ngo\ngo");
    assert_eq!(code, 0, "{said}");
    assert!(
        status().contains("ok  successes            5/5"),
        "{}",
        status()
    );
    assert!(
        status().contains("ok  kinds                3/3"),
        "{}",
        status()
    );
    let (code, said) = root.at_terminal(&["phase", "promote"], "2a");
    assert_eq!(code, 5, "{said}");
    let drills = root.tos(&["drill", "--missing"]);
    assert_eq!(drills.status.code(), Some(0), "{}", out(&drills));
    assert!(
        status().contains("ready: tos autonomy promote 2a"),
        "{}",
        status()
    );
    let (code, said) = root.at_terminal(&["phase", "promote"], "2a");
    assert_eq!(code, 0, "{said}");
    let again = root.plan(&[("six", "fix", "echo \"six = 6\" >> app.py")]);
    let output = root.tos(&["plan", "run", &again]);
    assert_eq!(output.status.code(), Some(5), "{}", out(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("this autonomy level wants a look at health, sleep_guard")
            && said.contains("hint: tos night start"),
        "{said}"
    );
    let (code, said) = root.at_terminal(&["plan", "run", &again], "");
    assert_eq!(code, 0, "in this phase nobody has to say go: {said}");
    assert_eq!(root.tos(&["ledger", "verify"]).status.code(), Some(0));
}
