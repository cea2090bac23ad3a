#!/usr/bin/env python3
"""Runs the public corpora of this repository through the hooks of tos and of its peers, and prints the table of docs/guard.md.

Every command is handed to the hook as Claude Code would hand it over, one process a call, in a repository with work that is not
committed. Nothing is executed. Usage: benches/guard_peers.py [--tos PROGRAM] [--peer PROGRAM] [--level LEVEL]... [CORPUS...]
The peer is cc-safety-net from npm (`npm install cc-safety-net`); without it only tos is measured.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
CORPORA = ["bypass", "reported", "benign"]


def commands(names):
    for name in names:
        path = Path(name) if name.endswith(".jsonl") else HERE / f"tests/policy/corpus/{name}.jsonl"
        for line in path.read_text().split("\n"):
            if not line.strip():
                continue
            entry = json.loads(line)
            if entry["shell"] in ("bash", "posix", "sh"):
                harmful = entry.get("harmful", entry.get("intent") != "benign")
                yield harmful, entry["command"]


def project(folder):
    home = folder / "home"
    root = home / "project"
    root.mkdir(parents=True)

    def git(*words):
        subprocess.run(["git", "-C", root, *words], check=True, stdout=subprocess.DEVNULL)

    git("init", "-q", "-b", "main")
    git("config", "user.name", "Nobody")
    git("config", "user.email", "nobody@example.com")
    (root / "src").mkdir()
    (root / "src/lib.rs").write_text("fn main() {}\n")
    (root / "notes.txt").write_text("committed\n")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    (root / "notes.txt").write_text("not committed\n")
    (root / "idea.txt").write_text("untracked\n")
    return home, root


def ask(hook, environment, root, command):
    call = {
        "session_id": "peers",
        "cwd": str(root),
        "permission_mode": "default",
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": command},
    }
    start = time.perf_counter()
    ended = subprocess.run(hook, input=json.dumps(call), capture_output=True, text=True, env=environment, cwd=root)
    elapsed = 1000 * (time.perf_counter() - start)
    if ended.returncode == 2:
        return "deny", elapsed
    if ended.returncode != 0:
        return "allow", elapsed  # the agent runs the tool
    answer = json.loads(ended.stdout) if ended.stdout.strip() else {}
    word = answer.get("hookSpecificOutput", {}).get("permissionDecision", "allow")
    return ("kept" if word == "allow" and "undo" in answer.get("systemMessage", "") else word), elapsed


def measured(title, hook, variables, names):
    counts = {True: dict.fromkeys(("deny", "ask", "kept", "allow"), 0), False: dict.fromkeys(("deny", "ask", "kept", "allow"), 0)}
    times = []
    with tempfile.TemporaryDirectory(prefix="guard-peers-", dir=os.environ.get("GUARD_PEERS_DIR")) as folder:
        home, root = project(Path(folder))
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **variables}
        for harmful, command in commands(names):
            word, elapsed = ask(hook, environment, root, command)
            counts[harmful][word] += 1
            times.append(elapsed)
    bad, good = counts[True], counts[False]
    stopped = bad["deny"] + bad["ask"] + bad["kept"]
    all_bad, all_good = sum(bad.values()), sum(good.values())
    alarms = good["deny"] + good["ask"]
    print(
        f"| {title} | {bad['deny']} | {bad['ask']} | {bad['kept']} | {bad['allow']} | {100 * stopped / max(all_bad, 1):.1f} % "
        f"| {good['deny']} + {good['ask']} of {all_good} ({100 * alarms / max(all_good, 1):.1f} %) "
        f"| {statistics.median(times):.1f} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tos", default=shutil.which("tos") or HERE / "target/release/tos")
    parser.add_argument("--peer", default=shutil.which("cc-safety-net"))
    parser.add_argument("--level", action="append", help="levels of the peer (default: standard, paranoid)")
    parser.add_argument("corpus", nargs="*", default=CORPORA)
    given = parser.parse_args()
    print("| guard | refused | asked | kept first, then run | passed | stopped or kept | false alarms (refused + asked) | ms a call |")
    print("|---|---|---|---|---|---|---|---|")
    measured("tos guard", [str(given.tos), "guard", "hook", "claude"], {}, given.corpus)
    if given.peer:
        version = subprocess.run([given.peer, "--version"], capture_output=True, text=True).stdout.strip().split()[-1]
        for level in given.level or ["standard", "paranoid"]:
            hook = [given.peer, "hook", "--claude-code"]
            measured(f"cc-safety-net {version}, {level}", hook, {"CC_SAFETY_NET_LEVEL": level}, given.corpus)


if __name__ == "__main__":
    main()
