//! Flows of the page in a real Chromium: a requirement becomes a plan that is changed and accepted, sessions, a run that is
//! cancelled, an agent's question; with a script and without one.

use serde_json::json;
use tos::{
    domain::board::{Input, SessionId, SessionInput},
    ports::board::ServiceBackend as _,
};

use super::{browser::signed_in, server::Server};

const FRESH: &str = "document.getElementById('live').textContent === 'Up to date'";

/// Does something with and without a script; without one, only forms and reloads lead on.
fn in_both_ways(act: impl Fn(&Server, &mut super::browser::Browser, &str, bool)) {
    for has_script in [true, false] {
        let server = Server::start();
        let Some((mut browser, base)) = signed_in(&server) else {
            return;
        };
        browser.scripts(has_script);
        act(&server, &mut browser, &base, has_script);
        // A refusal that the test provokes is told by the browser, too.
        let mut faults = std::mem::take(&mut browser.faults);
        faults.retain(|fault| !fault.contains("status of 400"));
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn a_requirement_becomes_a_plan_that_is_changed_and_accepted() {
    in_both_ways(|server, browser, base, has_script| {
        browser.open(&format!("{base}/ui/requirement"));
        browser.write("textarea[name=content]", "# A greeting\nIt says hello.");
        browser.click("button[value=preview]");
        browser.wait(
            "location.pathname === '/ui/plans' && document.body.innerText.includes('planning')",
        );
        if has_script {
            browser.wait(FRESH);
        }
        server
            .memory
            .propose(&["Say hello", "Test it", "Tell of it"]);
        if !has_script {
            browser.open(&format!("{base}/ui/plans"));
        }
        browser.wait("document.body.innerText.includes('waits for your answer')");
        assert_eq!(server.memory.snapshot().tasks().count(), 0);
        browser.click("a[data-key=change1]");
        browser.wait(
            "location.pathname === '/ui/plans/1' && !!document.querySelector('[name=title-1]')",
        );
        browser.write("[name=title-1]", "Say hello to everybody");
        browser.write(
            "[name=goal-1]",
            "Say it.\n\nIt is done when:\n- everybody heard it",
        );
        browser.click("[name=remove-2]");
        browser.write("[name=after-3]", "1");
        browser.click("button[value=keep]");
        browser.wait("document.querySelectorAll('fieldset').length === 2");
        let kept = browser.value("document.querySelector('[name=title-1]').value");
        assert_eq!(kept.unwrap(), "Say hello to everybody");
        // What is wrong is said, and nothing is made.
        browser.write("[name=after-1]", "2");
        browser.click("button[value=accept]");
        browser.wait("document.body.innerText.includes('wait for each other in a circle')");
        assert_eq!(server.memory.snapshot().tasks().count(), 0);
        browser.open(&format!("{base}/ui/plans/1"));
        browser.click("button[value=accept]");
        browser.wait(
            "location.pathname === '/ui/plans' && document.body.innerText.includes('planned')",
        );
        let tasks = server.get("/tasks").json();
        assert_eq!(tasks["tasks"][1]["title"], "Say hello to everybody");
        assert_eq!(tasks["tasks"][0]["dependencies"][0]["task"], 1, "{tasks}");
        assert_eq!(tasks["tasks"].as_array().unwrap().len(), 2);
    });
}

#[test]
fn a_run_is_cancelled_and_a_question_answered_on_the_page() {
    in_both_ways(|server, browser, base, has_script| {
        server.memory.start_everything();
        server.post("/tasks", &json!({"title": "one", "goal": "x"}));
        browser.open(&format!("{base}/ui/tasks/1"));
        if has_script {
            browser.wait(FRESH);
        }
        server.memory.ask("npm install left-pad");
        if !has_script {
            browser.open(&format!("{base}/ui/tasks/1"));
        }
        browser.wait("document.body.innerText.includes('npm install left-pad')");
        browser.click("#why-part button[value=no]");
        browser.wait(
            "location.pathname === '/ui/approvals' && document.body.innerText.includes('denied')",
        );
        let asked = server.get("/approvals").json();
        assert_eq!(asked["approvals"][0]["allowed"], false);
        let run = server.memory.live_run().id.0;
        browser.open(&format!("{base}/ui/tasks/1"));
        browser.write(
            &format!("form[action='/ui/runs/{run}/cancel'] input[name=note]"),
            "not like this",
        );
        browser.click(&format!("form[action='/ui/runs/{run}/cancel'] button"));
        browser.wait("document.body.innerText.includes('cancelled')");
        assert_eq!(
            server.get(&format!("/runs/{run}")).json()["run"]["status"],
            "cancelled"
        );
        let lessons = server.get("/tasks/1").json()["task"]["lessons"].clone();
        assert!(lessons.to_string().contains("not like this"), "{lessons}");
    });
}

#[test]
fn sessions_are_seen_and_ended_on_the_page() {
    in_both_ways(|server, browser, base, has_script| {
        browser.open(&format!("{base}/ui/nights"));
        if has_script {
            browser.wait(FRESH);
        }
        server.memory.start_everything();
        server.post("/sessions", &json!({"run": "r1"}));
        server.post("/sessions", &json!({"run": "r1-again"}));
        for session in [SessionId(1), SessionId(2)] {
            let ready = SessionInput::Ready { session };
            server.memory.tell(&Input::Session(ready)).unwrap();
        }
        let board = server.memory.snapshot();
        let turn = board.session(SessionId(1)).unwrap().turn.unwrap();
        let wait = SessionInput::StandAside {
            session: SessionId(1),
            run: turn.run,
            fence: board.run(turn.run).unwrap().lease.fence,
            until: None,
            detail: "the limit of the agent is reached".to_owned(),
        };
        server.memory.tell(&Input::Session(wait)).unwrap();
        if !has_script {
            browser.open(&format!("{base}/ui/nights"));
        }
        for words in [
            "session-1",
            "session-2",
            "the limit of the agent is reached",
            "running",
            "waiting",
            "session-1 waits: the limit of the agent is reached",
        ] {
            browser.wait(&format!("document.body.innerText.includes({words:?})"));
        }
        browser.click("form[action='/ui/sessions/1/cancel'] button");
        browser.wait("location.pathname === '/ui/nights' && document.body.innerText.includes('Nothing further starts')");
        let open = server.get("/sessions").json();
        assert_eq!(open["sessions"][1]["status"], "ending", "{open}");
        assert_eq!(open["sessions"][0]["status"], "running", "{open}");
    });
}

#[test]
fn a_log_shows_its_newest_lines_and_follows_them() {
    let line = |number: usize| format!("2026-11-29T01:00:00Z worker-1 line {number}\n");
    let last_is_seen = |number: usize| {
        format!(
            "(() => {{ const box = document.getElementById('log-text'); return box && box.scrollTop === 0 \
             && box.scrollHeight > box.clientHeight + 100 && box.innerText.trimEnd().endsWith('line {number}'); }})()"
        )
    };
    in_both_ways(|server, browser, base, has_script| {
        let log: String = (1..=300).map(line).collect();
        server.memory.write_log("worker-1", &log);
        browser.open(&format!("{base}/ui/logs?source=worker-1"));
        browser.wait(&last_is_seen(300));
        if !has_script {
            return;
        }
        server.memory.write_log("worker-1", &line(301));
        browser.wait(&last_is_seen(301));
        // Who reads further above is left there.
        let top = "document.getElementById('log-text').getBoundingClientRect().top";
        let above = "[...document.querySelectorAll('#log-text')].map((box) => { box.scrollTop = -400; return box.scrollTop; })[0]";
        browser.value(above).unwrap();
        let before = browser.value(top).unwrap();
        server.memory.write_log("worker-1", &line(302));
        browser.wait("document.getElementById('log-text').innerText.includes('line 302')");
        browser.wait("document.getElementById('log-text').scrollTop < -400");
        assert_eq!(browser.value(top).unwrap(), before);
    });
}

#[test]
fn the_log_of_a_run_grows_on_its_page() {
    in_both_ways(|server, browser, base, has_script| {
        server.memory.start_everything();
        let task = server.post("/tasks", &json!({"title": "Talk", "goal": "x"}));
        assert_eq!(task.status, 201);
        server.memory.write_log("run 1", "I read the task\n");
        let page = format!("{base}/ui/tasks/1");
        browser.open(&page);
        browser.wait("document.querySelector('#log-text')?.innerText.includes('I read the task')");
        assert_eq!(server.get("/tasks/1").json()["task"]["status"], "running");
        // No event tells of it.
        server.memory.write_log("run 1", "now I write <b>it</b>\n");
        if !has_script {
            browser.open(&page);
        }
        browser.wait(
            "document.querySelector('#log-text').innerText.includes('now I write <b>it</b>')",
        );
        let cancelled = server.post("/runs/1/cancel", &json!({}));
        assert_eq!(cancelled.status, 200, "{}", cancelled.text());
        let later = format!("{page}?run=1");
        browser.open(&later);
        browser.wait("document.querySelector('#log-text')?.innerText.includes('now I write')");
    });
}
