//! tos is killed while an agent works.

use std::process::Stdio;

use crate::{
    BOTH,
    bench::{Bench, REPAIR, Task, is_alive},
    model_server::ModelRequest,
};

#[test]
fn a_night_whose_tos_is_killed_leaves_no_agent_and_goes_on() {
    for (agent, seconds) in BOTH.into_iter().zip(["61427", "61428"]) {
        let Some(bench) = Bench::new(agent) else {
            return;
        };
        let before = bench.untouched();
        // The third request is never answered; those after the crash are.
        let prompt =
            format!("{REPAIR}\nDO: sleep {seconds} >/dev/null 2>&1 &\nFAULT: hang after=2 times=3");
        bench.list(&[Task("T-1", prompt, "")]);
        let words = bench.start();
        let mut child = bench
            .command(&["night", "start", "--for", "1h", &words[2]])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let is_there = |one: &ModelRequest| one.results.len() == 2;
        let came = bench
            .server
            .wait_for(is_there, || child.try_wait().unwrap().is_none());
        if !came {
            let output = child.wait_with_output().unwrap();
            panic!("it ended: {}", String::from_utf8_lossy(&output.stdout));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let ended = bench.tos(&["night", "resume"]);
        assert_eq!(ended.code, Some(0), "{agent:?}: {}", ended.said);
        assert!(!is_alive(&format!("sleep {seconds}")), "{agent:?}");
        assert_eq!(bench.untouched(), before);
        assert!(bench.accepted("app.py").contains("a + b"));
        let ends = bench.records("session.end");
        assert_eq!(ends[0]["end"]["ended_by"], "crash", "{ends:?}");
        assert_eq!(bench.tos(&["ledger", "verify"]).code, Some(0));
    }
}
