//! The pages without any script: forms and reload.

use serde_json::json;
use tos::{
    domain::{board::Verdict, ledger::LedgerEntry},
    ports::board::ServiceBackend as _,
};

use super::server::Server;

pub(crate) const PAGES: [&str; 11] = [
    "/",
    "/ui/board",
    "/ui/approvals",
    "/ui/processes",
    "/ui/plans",
    "/ui/nights",
    "/ui/gates",
    "/ui/logs",
    "/ui/costs",
    "/ui/settings",
    "/ui/requirement",
];

/// Fills a board with something of everything.
pub(crate) fn fill(server: &Server) {
    let memory = &server.memory;
    memory.start_everything();
    let evil = "</pre><script>alert(1)</script>\u{1b}[31m";
    let tasks = [
        json!({"title": "Read the settings once", "goal": evil, "paths": ["src/config/**"], "testCommand": ["cargo", "test"]}),
        json!({"title": "日本語の題名: 設定を一度だけ読む", "goal": "x", "dependencies": [{"task": 1}]}),
        json!({"title": "A title as long as a person might write it when nobody stops them from doing so, with_a_word_that_does_not_break_anywhere_at_all", "goal": "x", "paths": ["src/config/**"]}),
        json!({"title": "Document it", "goal": "x", "role": "docser"}),
    ];
    for task in tasks {
        assert_eq!(server.post("/tasks", &task).status, 201);
    }
    // The docser's task may run beside it; the worker's is the first.
    let run = memory.commit();
    memory.write_log(&format!("run {}", run.0), &format!("{evil}\n"));
    let reasons = vec![format!("a test is missing {evil}")];
    memory.judge(Verdict::RequestChanges { reasons });
    memory.write_log("worker-1", &format!("a line {evil}\n"));
    memory.ask(&format!("rm -rf build {evil}"));
    let reason = format!("a visit {evil}");
    memory.record(LedgerEntry::Hold { reason });
}

/// Hands a requirement in and proposes tasks, on a board without any; afterwards the rest can be filled.
pub(crate) fn fill_with_a_plan(server: &Server) {
    let evil = "</textarea><script>alert(1)</script>";
    let wish = json!({"content": format!("# A greeting {evil}"), "preview": true});
    assert_eq!(server.post("/plans", &wish).status, 200);
    let title = format!("Say hello {evil}");
    server.memory.propose(&[&title, "Test that it says hello"]);
}

#[test]
fn every_page_is_whole_and_takes_nothing_from_outside_for_markup() {
    let server = Server::start();
    fill_with_a_plan(&server);
    fill(&server);
    let cookie = server.sign_in();
    let mut pages: Vec<String> = PAGES.map(String::from).to_vec();
    pages.extend([
        "/ui/tasks/1".into(),
        "/ui/tasks/2".into(),
        "/ui/plans/1".into(),
        "/ui/board?status=queued".into(),
        "/ui/logs?source=worker-1".into(),
    ]);
    for path in pages {
        let reply = server.page(&cookie, &path, &[]);
        let text = reply.text();
        assert_eq!(reply.status, 200, "{path}: {text}");
        assert!(
            text.contains("<h1>") && text.contains("lang=\"en\""),
            "{path}"
        );
        assert!(
            !text.contains("<script>") && !text.contains('\u{1b}'),
            "{path}"
        );
        assert!(
            !text.contains(" onclick") && !text.contains(" style="),
            "{path}"
        );
        let japanese = server.page(&cookie, &path, &[("Accept-Language", "ja,en;q=0.5")]);
        assert!(japanese.text().contains("lang=\"ja\""), "{path}");
        assert!(japanese.text().contains("サインアウト"), "{path}");
    }
    let task = server.page(&cookie, "/ui/tasks/1", &[]).text();
    for wanted in [
        "&lt;script&gt;",
        "a test is missing",
        "class=\"add\"",
        "run-1",
        "request changes",
    ] {
        assert!(task.contains(wanted), "{wanted}: {task}");
    }
}

#[test]
fn gates_are_a_page_that_a_person_reads() {
    let server = Server::start();
    fill(&server);
    let cookie = server.sign_in();
    let page = server.page(&cookie, "/ui/gates", &[]).text();
    for wanted in [
        "Level 1: watched",
        "a person allows each task",
        "a work tree of its own, a minimal environment, a home of its own",
        "What the next level asks for: 2a",
        "0 / 3 conditions are met.",
        "0/5",
        "5 different tasks that succeeded",
        "tos autonomy promote 2a (you type its name)",
        "a visit",
        "eva",
        "S-4: basics",
    ] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
    // Nothing of it is there as data.
    for raw in ["&quot;criteria&quot;", "&quot;met&quot;", "env_min", "{"] {
        assert!(!page.contains(raw), "{raw}: {page}");
    }
    let japanese = server.page(&cookie, "/ui/gates", &[("Accept-Language", "ja")]);
    let japanese = japanese.text();
    for wanted in [
        "レベル 1: watched",
        "次のレベルの条件:",
        "専用の作業ツリー",
        "未達",
    ] {
        assert!(japanese.contains(wanted), "{wanted}: {japanese}");
    }
}

#[test]
fn whatever_waits_on_the_board_says_why_and_who_resolves_it() {
    let server = Server::start();
    let cookie = server.sign_in();
    let task = |title: &str, more: serde_json::Value| {
        let mut task = json!({"title": title, "goal": "x"});
        task.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        assert_eq!(server.post("/tasks", &task).status, 201);
    };
    task("one", json!({"paths": ["src/**"]}));
    let waiting = server.page(&cookie, "/ui/board", &[]).text();
    for wanted in [
        "dispatcher is idle, so nothing starts",
        "resolved by: person",
    ] {
        assert!(waiting.contains(wanted), "{wanted}: {waiting}");
    }
    server.memory.start_everything();
    task("two", json!({"dependencies": [{"task": 1}]}));
    task("three", json!({"paths": ["src/a.rs"]}));
    for path in ["/ui/board", "/ui/board?status=queued"] {
        let page = server.page(&cookie, path, &[]).text();
        for wanted in [
            "it needs task-1 merged first, which is running",
            "no worker is idle: 1 busy, 0 offline",
            "resolved by: other task",
        ] {
            assert!(page.contains(wanted), "{path} {wanted}: {page}");
        }
    }
    // The same decision and the same words as `tos why`.
    for id in [1, 2, 3] {
        let why = server.get(&format!("/tasks/{id}")).json()["task"].clone();
        assert_eq!(why["id"], id);
        let told = server.get(&format!("/tasks/{id}")).json()["why"][0]["text"].clone();
        let board = server.page(&cookie, "/ui/board", &[]).text();
        assert!(board.contains(told.as_str().unwrap()), "{told}: {board}");
    }
    let held = server.post("/system/hold", &json!({"reason": "lunch"}));
    assert_eq!(held.status, 200);
    let page = server.page(&cookie, "/ui/board", &[]).text();
    for wanted in ["nothing new is started: lunch", "resolved by: person"] {
        assert!(page.contains(wanted), "{wanted}: {page}");
    }
}

#[test]
fn one_call_is_one_and_a_missing_goal_is_said() {
    let server = Server::start();
    server.memory.start_everything();
    let cookie = server.sign_in();
    assert_eq!(server.post("/tasks", &json!({"title": "one"})).status, 201);
    let page = server.page(&cookie, "/ui/tasks/1", &[]).text();
    assert!(page.contains("1 call,"), "{page}");
    assert!(page.contains("Nothing beyond its title."), "{page}");
    assert!(!page.contains("aria-labelledby=\"wish\"></pre>"), "{page}");
}

#[test]
fn forms_do_what_their_buttons_say() {
    let server = Server::start();
    let cookie = server.sign_in();
    let reply = server.form(&cookie, "/ui/start-all", "");
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    let form = "title=From+a+form&goal=line+1%0D%0Aline+2&test_command=cargo+test&paths=src%2F**%0D%0Adocs%2F**&dependencies=&role=worker&priority=7";
    let reply = server.form(&cookie, "/ui/tasks", form);
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some("/ui/tasks/1"))
    );
    let task = server.get("/tasks/1").json()["task"].clone();
    assert_eq!(task["goal"], "line 1\nline 2");
    assert_eq!(task["paths"], json!(["src/**", "docs/**"]));
    assert_eq!(task["testCommand"], json!(["cargo", "test"]));
    assert_eq!(
        (&task["priority"], &task["source"]),
        (&json!(7), &json!("page"))
    );
    assert_eq!(task["status"], "running");
    server.memory.ask("git push");
    let page = server.page(&cookie, "/ui/approvals", &[]).text();
    assert!(page.contains("git push"), "{page}");
    assert_eq!(
        server
            .form(&cookie, "/ui/approvals/1", "allow=maybe")
            .status,
        400
    );
    assert_eq!(
        server.form(&cookie, "/ui/approvals/1", "allow=yes").status,
        303
    );
    assert_eq!(
        server.get("/approvals").json()["approvals"][0]["allowed"],
        true
    );
    // What is refused is shown with its reason.
    let reply = server.form(&cookie, "/ui/approvals/1", "allow=no");
    assert_eq!(reply.status, 409);
    assert!(
        reply.text().contains("was allowed already"),
        "{}",
        reply.text()
    );
    assert_eq!(server.form(&cookie, "/ui/hold", "").status, 303);
    assert!(
        server
            .page(&cookie, "/", &[])
            .text()
            .contains("Nothing new is started")
    );
    assert_eq!(server.form(&cookie, "/ui/resume", "").status, 303);
    assert_eq!(
        server
            .form(&cookie, "/ui/processes/worker-1/restart", "")
            .status,
        303
    );
    assert_eq!(
        server.get("/system/processes/worker-1").json()["status"],
        "running"
    );
    assert_eq!(
        server
            .form(&cookie, "/ui/processes/worker-1/stop", "")
            .status,
        303
    );
    assert_eq!(server.get("/tasks/1").json()["task"]["status"], "queued");
    assert_eq!(server.form(&cookie, "/ui/stop-all", "").status, 303);
    assert_eq!(server.form(&cookie, "/ui/hatch/arm", "").status, 303);
    assert_eq!(server.form(&cookie, "/ui/tasks/1/cancel", "").status, 303);
    assert_eq!(
        server
            .form(&cookie, "/ui/tasks/1/requeue", "note=again")
            .status,
        303
    );
    assert_eq!(
        server.get("/tasks/1").json()["task"]["lessons"][0]["reasons"][0],
        "again"
    );
    assert_eq!(
        server.form(&cookie, "/ui/cleanup", "confirm=yes").status,
        400
    );
    assert_eq!(
        server.form(&cookie, "/ui/cleanup", "confirm=remove").status,
        303
    );
    assert_eq!(server.get("/tasks").json()["tasks"], json!([]));
}

#[test]
fn settings_and_requirement_are_kept_by_forms() {
    let server = Server::start();
    server.memory.start_everything();
    let cookie = server.sign_in();
    let reply = server.form(
        &cookie,
        "/ui/settings",
        "WORKER_COUNT=3&JUDGE_COUNT=1&GITHUB_TOKEN=",
    );
    assert_eq!(
        reply.header("location"),
        Some("/ui/settings?restart=worker-1")
    );
    let page = server
        .page(&cookie, "/ui/settings?restart=worker-1,%3Cb%3E", &[])
        .text();
    assert!(page.contains("/ui/processes/worker-1/restart") && !page.contains("<b>"));
    assert_eq!(server.memory.secret(), None);
    server.form(&cookie, "/ui/settings", "GITHUB_TOKEN=ghp_hidden");
    assert_eq!(server.memory.secret().as_deref(), Some("ghp_hidden"));
    assert!(
        !server
            .page(&cookie, "/ui/settings", &[])
            .text()
            .contains("ghp_hidden")
    );
    assert_eq!(
        server
            .form(&cookie, "/ui/settings", "WORKER_COUNT=many")
            .status,
        400
    );
    let reply = server.form(
        &cookie,
        "/ui/requirement",
        "content=%23+A+thing%0D%0Amore&then=keep",
    );
    assert_eq!(reply.header("location"), Some("/ui/requirement"));
    assert!(
        server
            .page(&cookie, "/ui/requirement", &[])
            .text()
            .contains("# A thing\nmore")
    );
    let reply = server.form(&cookie, "/ui/requirement", "content=%23+A+thing&then=plan");
    assert_eq!(reply.header("location"), Some("/ui/plans"));
    assert!(
        server
            .page(&cookie, "/ui/plans", &[])
            .text()
            .contains("A thing")
    );
}

#[test]
fn a_plan_is_shown_before_its_tasks_are_made_by_a_button() {
    let server = Server::start();
    let cookie = server.sign_in();
    let reply = server.form(
        &cookie,
        "/ui/requirement",
        "content=%23+A+thing&then=preview",
    );
    assert_eq!(reply.header("location"), Some("/ui/plans"));
    server.memory.propose(&["Write <it>", "Test it"]);
    let shown = server.page(&cookie, "/ui/plans", &[]).text();
    for words in [
        "Write &lt;it&gt;",
        "Test it",
        "waits for your answer",
        "Make these tasks",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert_eq!(server.memory.snapshot().tasks().count(), 0);
    assert_eq!(
        server.form(&cookie, "/ui/plans/1", "accept=maybe").status,
        400
    );
    let reply = server.form(&cookie, "/ui/plans/1", "accept=yes");
    assert_eq!(reply.header("location"), Some("/ui/plans"));
    assert_eq!(server.memory.snapshot().tasks().count(), 2);
    assert_eq!(
        server.form(&cookie, "/ui/plans/1", "accept=yes").status,
        409
    );
}

#[test]
fn the_tasks_of_a_plan_are_changed_before_they_are_made_by_a_form() {
    let server = Server::start();
    let cookie = server.sign_in();
    server.form(&cookie, "/ui/requirement", "content=A+thing&then=preview");
    server
        .memory
        .propose(&["Write <it>", "Test it", "Tell of it"]);
    let now = server.page(&cookie, "/", &[]).text();
    assert!(now.contains("href=\"/ui/plans/1\""), "{now}");
    let shown = server.page(&cookie, "/ui/plans/1", &[]).text();
    for words in [
        "name=\"title-1\"",
        "value=\"Write &lt;it&gt;\"",
        "name=\"remove-3\"",
        "name=\"edits\" value=\"0\"",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let form = "edits=0&title-1=Write+it+well&goal-1=So%0D%0Athat+it+holds&paths-1=src%2Fa%0D%0A%0D%0Adocs&after-1=&\
                remove-2=yes&title-3=Tell+of+it&after-3=%231&then=keep";
    let reply = server.form(&cookie, "/ui/plans/1/edit", form);
    assert_eq!(reply.header("location"), Some("/ui/plans/1"));
    let plan = server.get("/plans/1").json();
    let (first, second) = (&plan["proposal"][0], &plan["proposal"][1]);
    assert_eq!(first["title"], "Write it well");
    assert_eq!(first["goal"], "So\nthat it holds");
    assert_eq!(first["paths"], json!(["src/a", "docs"]));
    assert_eq!(
        (&second["title"], &second["dependencies"]),
        (&json!("Tell of it"), &json!([1]))
    );
    // Whoever saw the plan as it was before overwrites nothing.
    let reply = server.form(&cookie, "/ui/plans/1/edit", form);
    assert_eq!(reply.status, 409);
    assert!(reply.text().contains("changed meanwhile"));
    for (wrong, words) in [
        ("edits=1&after-1=2&after-2=1&then=keep", "circle"),
        ("edits=1&after-1=soon&then=keep", "write numbers"),
        ("edits=1&title-1=&then=keep", "title"),
        ("edits=1&remove-1=yes&remove-2=yes&then=accept", "decline"),
        ("edits=one&then=keep", "write a number"),
        ("edits=1&then=perhaps", "keep or accept"),
    ] {
        let reply = server.form(&cookie, "/ui/plans/1/edit", wrong);
        assert_eq!(reply.status, 400, "{wrong}");
        assert!(reply.text().contains(words), "{wrong}: {}", reply.text());
    }
    assert_eq!(server.memory.snapshot().tasks().count(), 0);
    let form = "edits=1&title-2=Tell+everybody&then=accept";
    let reply = server.form(&cookie, "/ui/plans/1/edit", form);
    assert_eq!(reply.header("location"), Some("/ui/plans"));
    let tasks = server.get("/tasks").json();
    assert_eq!(tasks["tasks"][0]["title"], "Tell everybody");
    assert_eq!(tasks["tasks"][1]["goal"], "So\nthat it holds");
    assert_eq!(server.form(&cookie, "/ui/plans/1/edit", form).status, 409);
    assert_eq!(server.form(&cookie, "/ui/plans/9/edit", form).status, 404);
    let made = server.page(&cookie, "/ui/plans/1", &[]).text();
    assert!(made.contains("Tell everybody") && !made.contains("fieldset"));
    assert_eq!(server.page(&cookie, "/ui/plans/9", &[]).status, 404);
}

#[test]
fn a_run_is_cancelled_and_a_question_shows_its_end() {
    let server = Server::start();
    let cookie = server.sign_in();
    server.memory.start_everything();
    server.post("/tasks", &json!({"title": "one", "goal": "x"}));
    server.memory.ask("npm install");
    let asked = server.page(&cookie, "/ui/approvals", &[]).text();
    assert!(asked.contains("denied by itself"), "{asked}");
    let run = server.memory.live_run().id.0;
    let shown = server.page(&cookie, "/ui/tasks/1", &[]).text();
    assert!(shown.contains("Cancel this run"), "{shown}");
    let path = format!("/ui/runs/{run}/cancel");
    let reply = server.form(&cookie, &path, "note=not+so");
    assert_eq!(reply.header("location"), Some("/ui/tasks/1"));
    let board = server.memory.snapshot();
    assert!(board.open_approvals().next().is_none());
    assert_eq!(server.form(&cookie, &path, "").status, 409);
}

#[test]
fn the_language_is_kept_and_leads_only_back_here() {
    let server = Server::start();
    let cookie = server.sign_in();
    let reply = server.form(&cookie, "/ui/language", "to=ja&back=%2Fui%2Fboard");
    assert_eq!(reply.header("location"), Some("/ui/board"));
    let set = reply
        .header("set-cookie")
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    let both = format!("{cookie}; {set}");
    assert!(server.page(&both, "/", &[]).text().contains("lang=\"ja\""));
    for back in [
        "//evil.example",
        "https%3A%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "%2Fa%0D%0AX: y",
    ] {
        let reply = server.form(&cookie, "/ui/language", &format!("to=en&back={back}"));
        assert_eq!(reply.header("location"), Some("/"), "{back}");
    }
}

#[test]
fn people_without_a_session_are_asked_for_a_code() {
    let server = Server::start();
    for path in ["/", "/ui/board"] {
        let reply = server.send("GET", path, &[("Accept", "text/html")], b"");
        assert_eq!(reply.status, 401);
        assert!(reply.text().contains("name=\"code\""), "{}", reply.text());
    }
    let banner = server.get("/").json();
    assert_eq!(banner["openapi"], "/openapi.json");
}
