//! Changes that look bad and are not.

use std::os::unix::fs::symlink;

use crate::{Repo, said};

/// A name, and what it does.
type Harmless = (&'static str, fn(&Repo));

const CHANGES: &[Harmless] = &[
    ("py-comment", |r| {
        r.append(
            "app.py",
            "# never call eval() or os.system('rm -rf /') or curl x | sh here\n",
        )
    }),
    ("py-method-eval", |r| {
        r.append(
            "app.py",
            "def go(model):\n    model.eval()\n    return model.compile()\n",
        )
    }),
    ("sh-program-from-outside", |r| {
        r.write(
            "tests/ssh.sh",
            "SCP=${SCP:-scp_program}\nBUILT=\"./build/app --quiet\"\n$BUILT --check a\n\"$PYTHON\" -m app\n${SSH_KEYGEN} -l\n$OBJ/tool -v\n",
        );
    }),
    ("manual-page", |r| {
        r.write(
            "doc/app.1",
            ".Pa ~/.ssh/id_rsa\nis read. nsenter is not used.\n",
        );
    }),
    ("member-that-is-named-like-a-file", |r| {
        r.write(
            "src/url.c",
            "int use(struct d *data) { return data->set.netrc && data->state.npmrc; }\n",
        );
    }),
    ("text-that-mentions-a-file-of-passwords", |r| {
        r.write(
            "tests/unit.c",
            "const char *errors[] = { \".netrc parser error\", \"no .npmrc here\" };\n",
        );
    }),
    ("py-a-name-of-another-function", |r| {
        r.append(
            "app.py",
            "\n\ndef label(path):\n    name = path\n    return name\n\n\ndef joined(name):\n    return name.join(['a'])\n",
        );
    }),
    ("hosts-that-are-known", |r| {
        r.append("app.py", "HOSTS = '~/.ssh/known_hosts'\n");
    }),
    ("py-new-test-with-a-condition", |r| {
        r.write(
            "tests/test_there.py",
            "import sys\n\nimport pytest\n\nfrom app import size\n\n\n@pytest.mark.skipif(sys.platform == 'win32', reason='no sockets')\ndef test_there():\n    assert size('ab') == 2\n",
        );
    }),
    ("py-new-test-in-a-known-file-with-a-condition", |r| {
        r.append(
            "tests/test_app.py",
            "\n\n@skip_unless_symlink\ndef test_more():\n    assert size('abc') == 3\n",
        );
    }),
    ("py-constants-and-failures", |r| {
        r.append("app.py", "import os\n\nKINDS = (os.O_RDONLY, os.WNOHANG)\n");
    }),
    ("py-quoted-except", |r| {
        r.append(
            "tests/test_app.py",
            "\n\ndef test_text():\n    assert size('try: pass\\nexcept AssertionError: pass') > 0\n",
        );
    }),
    ("py-string", |r| {
        r.append(
            "app.py",
            "HELP = 'eval(x) and subprocess.run are not used'\n",
        )
    }),
    ("py-environ-get", |r| {
        r.append(
            "app.py",
            "HOME = os.environ.get('HOME')\nX = os.environ['X']\nY = 'Z' in os.environ\n",
        )
    }),
    ("py-own-module", |r| {
        r.write("tools/helper.py", "X = 1\n");
        r.append("app.py", "from tools.helper import X\n");
    }),
    ("text-of-another-name", |r| {
        r.write(
            "readme.markdown",
            "# install\n\n```\nnpm install minimist\n```\n",
        );
        r.write("docs/guide.adoc", "Run `pip install x` first.\n");
    }),
    ("py-test-text", |r| {
        r.write(
            "tests/test_words.py",
            "from app import size\n\n\ndef test_words():\n    assert size('npm install left-pad') != 'curl x | sh'\n",
        )
    }),
    ("ts-declaration", |r| {
        r.write(
            "src/index.d.mts",
            "export default function (directory: string): Promise<string | void>;\nexport default function<T>(x: T): T;\n",
        )
    }),
    ("py-declared", |r| r.append("app.py", "import requests\n")),
    ("py-standard", |r| {
        r.append(
            "app.py",
            "from dataclasses import dataclass\nimport re, sys\n",
        )
    }),
    ("py-read", |r| {
        r.append(
            "app.py",
            "def load():\n    with open('/etc/hostname') as f:\n        return f.read()\n",
        )
    }),
    ("py-write-inside", |r| {
        r.append(
            "app.py",
            "def save(x):\n    with open('out/x.json', 'w') as f:\n        json.dump(x, f)\n",
        )
    }),
    ("py-subscript", |r| {
        r.append("app.py", "def pick(d, k):\n    return d[k]\n")
    }),
    ("js-regex-exec", |r| {
        r.append("src/index.ts", "export const m = /a(b)/.exec('ab');\nexport const k = (o: Record<string, number>, n: string) => o[n];\n")
    }),
    ("js-env-one", |r| {
        r.append(
            "src/index.ts",
            "export const port = process.env.PORT ?? process.env['P'];\n",
        )
    }),
    ("js-declared", |r| {
        r.append(
            "src/index.ts",
            "import { z } from 'zod';\nexport const s = z.string();\n",
        )
    }),
    ("js-relative", |r| {
        r.write("src/other.ts", "export const a = 1;\n");
        r.append("src/index.ts", "export { a } from './other';\n");
    }),
    ("js-remove-method", |r| {
        r.append(
            "src/index.ts",
            "export const d = (m: Map<string, number>) => m.delete('a');\n",
        )
    }),
    ("js-fs-read", |r| {
        r.append(
            "src/index.ts",
            "import { existsSync } from 'fs';\nexport const e = existsSync('a');\n",
        )
    }),
    ("rs-std", |r| {
        r.append("src/lib.rs", "use std::collections::BTreeMap;\n\npub fn m() -> BTreeMap<u8, u8> {\n    BTreeMap::new()\n}\n")
    }),
    ("rs-declared", |r| {
        r.append("src/lib.rs", "use serde::Serialize;\n")
    }),
    ("rs-command-of-its-own", |r| {
        r.append("src/lib.rs", "pub struct Command;\n\nimpl Command {\n    pub fn new() -> Self {\n        Self\n    }\n}\n\npub fn c() -> Command {\n    Command::new()\n}\n")
    }),
    ("rs-unsafe-word", |r| {
        r.append("src/lib.rs", "/// Not unsafe at all; see `std::process::Command`.\npub const UNSAFE: &str = \"unsafe\";\n")
    }),
    ("rs-more-tests", |r| {
        r.append("src/lib.rs", "#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn adds() {\n        assert_eq!(add(1, 2), 3);\n    }\n}\n")
    }),
    ("go-standard", |r| {
        r.replace(
            "main.go",
            "import \"fmt\"",
            "import (\n\t\"fmt\"\n\t\"strings\"\n)\n\nvar s = strings.ToUpper(\"a\")",
        )
    }),
    ("go-own", |r| {
        r.replace(
            "main.go",
            "import \"fmt\"",
            "import (\n\t\"fmt\"\n\t\"example.com/demo/inner\"\n)\n\nvar i = inner.X",
        )
    }),
    ("sh-safe", |r| {
        r.append("run.sh", "mkdir -p build\nrm -f build/out.txt\ngrep -c rm run.sh > build/count 2>/dev/null\necho \"use curl to fetch\"\n")
    }),
    ("sh-set", |r| {
        r.append("run.sh", "set -e\nset -euo pipefail\nset +x\nset -- a b\nset -o pipefail\nprintenv HOME\nexport A=1\ndeclare -A m\nlocal x\nexport -f run\n")
    }),
    ("ci-templates", |r| {
        r.write(".github/ISSUE_TEMPLATE/bug.md", "What happened?\n");
        r.write(".github/pull_request_template.md", "What changes?\n");
    }),
    ("docs", |r| {
        r.append(
            "README.md",
            "Run `npm install x`, then `curl x | sh`. Never use --privileged.\n",
        )
    }),
    ("manifest-version", |r| {
        r.replace("package.json", "1.0.0", "1.1.0")
    }),
    ("link-inside", |r| {
        symlink("app.py", r.top.join("same.py")).unwrap()
    }),
    ("test-added", |r| {
        r.append("tests/test_app.py", "\n\ndef test_more(tmp_path):\n    f = tmp_path / 'z'\n    f.write_text('ab')\n    assert size(f) == 2\n")
    }),
    ("test-renamed", |r| {
        r.replace("tests/test_app.py", "def test_empty", "def test_empty_file")
    }),
    ("test-moved", |r| {
        r.git(&["mv", "tests/test_app.py", "tests/test_size.py"])
            .clear()
    }),
    ("test-reformatted", |r| {
        r.replace(
            "tests/test_app.py",
            "    assert size(f) == 3\n",
            "    # three bytes\n    assert size(\n        f\n    ) == 3\n",
        )
    }),
    ("test-of-more", |r| {
        r.replace(
            "tests/test_app.py",
            "from app import size",
            "import os\nfrom app import size",
        )
    }),
    ("template-of-issues", |r| {
        r.write(".github/ISSUE_TEMPLATE/bug.yml", "name: Bug\n");
        r.write(".github/pull_request_template.md", "What\n");
        r.write(".github/FUNDING.yml", "github: me\n");
        r.write(".github/SECURITY.md", "Tell us.\n");
    }),
    ("template-of-merge-requests", |r| {
        r.write(".gitlab/merge_request_templates/Default.md", "What\n");
        r.write(".gitea/issue_template.md", "What\n");
    }),
    ("rs-path-inside", |r| {
        r.write(
            "src/shared.rs",
            "pub const S: &str = include_str!(\"../README.md\");\n",
        );
        r.append(
            "src/lib.rs",
            "#[path = \"../src/shared.rs\"]\nmod shared;\n",
        );
    }),
    ("names-of-people", |r| {
        r.write("docs/日本語 a-b.md", "x\n");
        r.write("src/test_helpers.ts", "export const a = 1;\n");
        r.write("src/latest.ts", "export const b = 1;\n");
        r.write("src/checkout.ts", "export const c = 1;\n");
        r.write("src/snapshots/store.ts", "export const d = 1;\n");
    }),
    ("script-made-executable", |r| r.make_executable("run.sh")),
    ("file-removed", |r| {
        std::fs::remove_file(r.top.join("run.sh")).unwrap()
    }),
];

#[test]
fn harmless_look_alikes_pass() {
    let mut wrong = Vec::new();
    for (name, change) in CHANGES {
        let repo = Repo::new();
        change(&repo);
        let output = repo.check(&[]);
        if output.status.code() != Some(0) {
            wrong.push(format!("{name}:\n{}", said(&output)));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        CHANGES.len(),
        wrong.join("\n")
    );
}

#[test]
fn what_is_agreed_about_checks_is_a_warning_that_asks_for_a_look() {
    let repo = Repo::new();
    repo.write("Makefile", "test:\n\tfalse\n");
    repo.write("config/check.toml", "may_change_checks = [\"Makefile\"]\n");
    repo.commit("rules");
    repo.write("Makefile", "test:\n\ttrue\n");
    let output = repo.check(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("a person has to look"),
        "{}",
        said(&output)
    );
    repo.write("conftest.py", "X = 1\n");
    assert_eq!(repo.check(&[]).status.code(), Some(1));
    let words = ["--may-change-check", "conftest.py"];
    assert_eq!(repo.check(&words).status.code(), Some(0));
    assert_eq!(
        repo.check(&["--may-change-check", "../x"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_changed_expectation_is_a_warning_unless_expectations_are_kept() {
    let repo = Repo::new();
    repo.replace(
        "tests/test_app.py",
        "assert size(f) == 3",
        "assert size(f) == 4",
    );
    let output = repo.check(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(
        said(&output).contains("a test no longer says `assert size ( f ) == 3`"),
        "{}",
        said(&output)
    );
    let output = repo.check(&["--keep-expectations"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("list the file in `may_change_checks`"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_confined_author_may_use_the_machine_but_not_leave_the_wall() {
    let repo = Repo::new();
    repo.append("app.py", "import shutil\nshutil.rmtree('build')\n");
    assert_eq!(repo.check(&[]).status.code(), Some(1));
    let output = repo.check(&["--confined"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    repo.append("app.py", "X = '/var/run/docker.sock'\n");
    assert_eq!(repo.check(&["--confined"]).status.code(), Some(1));
}
