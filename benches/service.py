#!/usr/bin/env python3
"""What a real service takes from one step of a task to the next, and what it does to files that a person has not committed.

    benches/service.py TOS [TASKS]

Works in a temporary folder: a repository whose person stands on a branch of their own with a changed and an untracked file, a service, and TASKS
tasks (100 unless said) one after the other, each answered with yes at once. Times are those of the board's own events. Then five `kill -9`, each
while a task is under way, and how long the next start takes until it answers.
"""
import hashlib, json, os, signal, subprocess, sys, tempfile, time, urllib.error, urllib.request

TOS = os.path.abspath(sys.argv[1])
TASKS = int(sys.argv[2]) if len(sys.argv) > 2 else 100
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = tempfile.TemporaryDirectory(prefix="tos-service-", dir=os.environ.get("COMPARE_DIR"))
TOP, HOME = FOLDER.name + "/project", FOLDER.name + "/home"
ENV = {**os.environ, "HOME": HOME}
os.makedirs(HOME)


def run(*words):
    return subprocess.run(words, cwd=TOP, env=ENV, capture_output=True, text=True, check=True).stdout


def write(name, text):
    with open(f"{TOP}/{name}", "w") as file:
        file.write(text)


def lay_out():
    subprocess.run(["cp", "-R", HERE + "/examples/service/project", TOP], check=True)
    write("agent.sh", "#!/bin/sh\ntest -e slow && sleep 2\necho \"$1\" | head -1 >> notes.txt\ndate +%N >> notes.txt\n")
    write("test.sh", "#!/bin/sh\ntest -e greet.sh\n")
    write("mine.txt", "committed\n")
    with open(TOP + "/config/service.toml", "a") as file:
        file.write('BASE_BRANCH = "main"\n')
    run("git", "init", "-q", "-b", "main", ".")
    run("git", "config", "user.name", "t")
    run("git", "config", "user.email", "t@localhost")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "start")
    run("git", "switch", "-qc", "mine")
    write("mine.txt", "not committed\n")
    write("untracked.txt", "not even added\n")


def persons_files():
    def one(name):
        path = f"{TOP}/{name}"
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest(), os.stat(path).st_mode, os.stat(path).st_mtime_ns

    return [one(name) for name in ("mine.txt", "untracked.txt")], run("git", "status", "--porcelain"), run("git", "rev-parse", "mine")


class Service:
    def __init__(self):
        place = TOP + "/.tos/serve.json"
        if os.path.exists(place):
            os.remove(place)
        began = time.monotonic()
        self.child = subprocess.Popen([TOS, "serve"], cwd=TOP, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not os.path.exists(place):
            if self.child.poll() is not None:
                sys.exit("the service did not start")
            time.sleep(0.002)
        time.sleep(0.002)
        with open(place) as file:
            self.address = json.load(file)["address"]
        with open(TOP + "/.tos/service-token") as file:
            self.token = file.read().strip()
        self.ask("GET", "/tasks")
        self.start = time.monotonic() - began

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        heads = {"Authorization": "Bearer " + self.token, "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://{self.address}{path}", method=method, data=data, headers=heads)
        while True:
            try:
                return json.load(urllib.request.urlopen(request, timeout=30))
            except urllib.error.HTTPError as error:
                if error.code != 429:
                    raise
                time.sleep(0.2)

    def add(self, title):
        return self.ask("POST", "/tasks", {"title": title})["task"]["id"]

    def allow(self):
        for line in run(TOS, "board", "questions").splitlines():
            number = line.split(":")[0].strip()
            if number.isdigit():
                subprocess.run([TOS, "board", "allow", number], cwd=TOP, env=ENV, capture_output=True)

    def until(self, task, *wanted):
        for _ in range(1200):
            status = self.ask("GET", f"/tasks/{task}")["task"]["status"]
            if status in wanted:
                return status
            self.allow()
            time.sleep(0.05)
        sys.exit(f"task {task} is still {status}")


def spread(values):
    values = sorted(values)
    at = lambda share: values[min(len(values) - 1, int(len(values) * share))]
    return f"median {at(0.5)} ms, 99 of 100 at most {at(0.99)} ms, worst {values[-1]} ms ({len(values)} times)"


lay_out()
before = persons_files()
service = Service()
ends = {}
for number in range(TASKS):
    end = service.until(service.add(f"note {number}"), "done", "failed", "cancelled")
    ends[end] = ends.get(end, 0) + 1
print(f"tasks: {ends}; branch main has {run('git', 'rev-list', '--count', 'mine..main').strip()} commits more")
print("the person's files, branch and status:", "byte for byte as before" if persons_files() == before else "CHANGED")
starts = []
open(TOP + "/slow", "w").close()
for number in range(5):
    task = service.add(f"killed {number}")
    service.until(task, "running", "done", "blocked")
    service.child.send_signal(signal.SIGKILL)
    service.child.wait()
    service = Service()
    starts.append(round(service.start * 1000))
print(f"from the start after kill -9 to the first answer: {spread(starts)}")
service.child.terminate()
service.child.wait()
events = [json.loads(line) for line in run(TOS, "board", "export").splitlines()]
ready, finished, enqueued, waits = {}, {}, {}, {"queued or answered to running": [], "run ended to judge at work": [], "accepted to merged": []}
again = [at for at, event in enumerate(events) if event["what"]["type"] == "system.started"][1:]
for event in events[: again[0]]:
    what, at = event["what"], event["at"]
    kind, task = what["type"], what.get("task")
    if kind == "approval.answered":
        ready[what["approval"]] = at
    elif kind == "run.started" and ready:
        waits["queued or answered to running"].append(at - max(ready.values()))
        ready.clear()
    elif kind == "run.finished":
        finished[what["run"]] = at
    elif kind == "judge.started" and what["run"] in finished:
        waits["run ended to judge at work"].append(at - finished[what["run"]])
    elif kind == "judge.merge_queue_enqueued":
        enqueued[what["merge"]] = at
    elif kind == "judge.merge_queue_finished" and what["merge"] in enqueued:
        waits["accepted to merged"].append(at - enqueued.pop(what["merge"]))
for name, values in waits.items():
    print(f"{name}: {spread(values)}")
