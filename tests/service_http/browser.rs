//! The page in a real Chromium: sign in, create, watch, approve, stop all, resume; what assistive technology hears; contrast;
//! a picture of every page at the width of a phone and of a desk, kept as build output.
//!
//! The browser is spoken to over its own pipe, in the `DevTools` protocol. Where there is none these tests
//! are skipped and say so; with `TOS_TEST_BROWSER_REQUIRED=1`, as in `.ci/run`, they fail.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    page::{PAGES, fill, fill_with_a_plan},
    server::Server,
};

pub(crate) struct Browser {
    child: Child,
    to: File,
    from: Receiver<Value>,
    session: String,
    number: u64,
    /// Faults that the browser told of.
    pub(crate) faults: Vec<String>,
    _folder: TempDir,
}

/// Reads what the browser says, message by message.
fn listen(pipe: File) -> Receiver<Value> {
    let (told, from) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while reader
            .read_until(0, &mut bytes)
            .is_ok_and(|count| count > 0)
        {
            bytes.pop();
            let Ok(message) = serde_json::from_slice(&bytes) else {
                return;
            };
            if told.send(message).is_err() {
                return;
            }
            bytes.clear();
        }
    });
    from
}

impl Browser {
    #[expect(
        clippy::print_stderr,
        reason = "whoever runs the tests has to know that these did not run"
    )]
    fn start() -> Option<Self> {
        let known = [
            "/usr/bin/chromium",
            "/usr/bin/chromium-browser",
            "/usr/bin/google-chrome",
        ];
        let program = known.iter().find(|path| Path::new(path).exists());
        let Some(program) = program else {
            let is_required = std::env::var_os("TOS_TEST_BROWSER_REQUIRED").is_some();
            assert!(!is_required, "there is no Chromium");
            eprintln!("skipped: there is no Chromium");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let pipe = |name: &str| {
            let path = folder.path().join(name);
            assert!(
                Command::new("mkfifo")
                    .arg(&path)
                    .status()
                    .unwrap()
                    .success()
            );
            path
        };
        let (there, back) = (pipe("there"), pipe("back"));
        let line = format!(
            "exec {program} --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars \
             --remote-debugging-pipe --user-data-dir={}/profile about:blank 3<{} 4>{}",
            folder.path().display(),
            there.display(),
            back.display()
        );
        let child = Command::new("sh")
            .args(["-c", &line])
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = OpenOptions::new().write(true).open(&there).unwrap();
        let from = listen(File::open(&back).unwrap());
        let mut browser = Self {
            child,
            to,
            from,
            session: String::new(),
            number: 0,
            faults: Vec::new(),
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        session["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, String> {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to
            .write_all(format!("{message}\0").as_bytes())
            .unwrap();
        loop {
            let answer = self
                .from
                .recv_timeout(Duration::from_secs(60))
                .expect("the browser answers");
            if answer["id"] == self.number {
                return match answer.get("error") {
                    Some(error) => Err(error.to_string()),
                    None => Ok(answer["result"].clone()),
                };
            }
            self.note(&answer);
        }
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn note(&mut self, message: &Value) {
        let entry = &message["params"]["entry"];
        if message["method"] == "Log.entryAdded" && entry["level"] == "error" {
            self.faults.push(entry.to_string());
        }
        if message["method"] == "Runtime.exceptionThrown" {
            self.faults.push(message["params"].to_string());
        }
    }

    /// Opens an address and waits until it is loaded.
    pub(crate) fn open(&mut self, address: &str) {
        self.call("Page.navigate", json!({"url": address}));
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// Returns what an expression is on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Result<Value, String> {
        let parameters =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.try_call("Runtime.evaluate", parameters)?;
        match answer.get("exceptionDetails") {
            Some(fault) => Err(fault.to_string()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until an expression is true, over loads of pages, with the scripts of pages or without.
    pub(crate) fn wait(&mut self, expression: &str) {
        let script =
            format!("(() => {{ try {{ return !!({expression}); }} catch {{ return false; }} }})()");
        let mut last = String::new();
        for _ in 0..2000 {
            match self.value(&script) {
                Ok(Value::Bool(true)) => return,
                Ok(_) => {}
                // A page that is left takes the question along.
                Err(error) => last = error,
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let text = self.value("document.body.innerText");
        panic!("never so: {expression} {last}\n{text:?}");
    }

    /// Lets the scripts of pages run, or not; questions of the test are answered in both cases.
    pub(crate) fn scripts(&mut self, run: bool) {
        self.call(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": !run}),
        );
    }

    /// Writes into a field.
    pub(crate) fn write(&mut self, selector: &str, text: &str) {
        let script = format!(
            "document.querySelector({selector:?}).value = {}; 0",
            json!(text)
        );
        self.value(&script)
            .unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let code = if key == "Tab" { 9 } else { 13 };
            let text = if key == "Enter" && kind == "keyDown" {
                "\r"
            } else {
                ""
            };
            self.call(
                "Input.dispatchKeyEvent",
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}),
            );
        }
    }

    fn size(&mut self, width: u32) {
        let is_phone = width < 600;
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": is_phone}),
        );
    }

    fn colours(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    fn picture(&mut self, file: &Path) {
        let taken = self.call(
            "Page.captureScreenshot",
            json!({"captureBeyondViewport": true}),
        );
        let bytes = decode(taken["data"].as_str().unwrap());
        assert!(bytes.starts_with(b"\x89PNG"));
        fs::write(file, bytes).unwrap();
    }

    pub(crate) fn click(&mut self, selector: &str) {
        let found = self
            .value(&format!("!!document.querySelector({selector:?})"))
            .unwrap();
        assert_eq!(found, true, "{selector}");
        // The page may be gone before the answer comes.
        drop(self.value(&format!("document.querySelector({selector:?}).click()")));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(
            self.to
                .write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0"),
        );
        for _ in 0..500 {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            drop(self.from.recv_timeout(Duration::from_millis(10)));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn decode(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let letters: Vec<u8> = text
        .bytes()
        .filter(|byte| *byte != b'=')
        .map(value)
        .collect();
    let mut bytes = Vec::new();
    for four in letters.chunks(4) {
        let all = four
            .iter()
            .fold(0_u32, |all, six| all << 6 | u32::from(*six))
            << (6 * (4 - four.len()));
        bytes.extend(all.to_be_bytes()[1..].iter().take(four.len() - 1));
    }
    bytes
}

pub(crate) fn signed_in(server: &Server) -> Option<(Browser, String)> {
    let mut browser = Browser::start()?;
    let base = format!("http://{}", server.address);
    let code = server.ask("POST", "/sign-in/codes", None).json();
    browser.open(&format!("{base}{}", code["path"].as_str().unwrap()));
    browser.wait("document.querySelector('h1')?.textContent === 'Now'");
    Some((browser, base))
}

#[test]
fn a_person_lives_with_it() {
    let server = Server::start();
    let Some((mut browser, base)) = signed_in(&server) else {
        return;
    };
    // Without a session there is only the question for a code.
    let cookies = browser.value("document.cookie").unwrap();
    assert_eq!(cookies, "", "a script must not see the session");
    browser.wait("document.getElementById('live').textContent === 'Up to date'");

    browser.click("form[action='/ui/start-all'] button");
    browser.wait(
        "location.pathname === '/' && !!document.querySelector(\"form[action='/ui/stop-all']\")",
    );
    browser.open(&format!("{base}/ui/board"));
    browser
        .value("document.querySelector('input[name=title]').value = 'From the browser'; document.querySelector('textarea[name=goal]').value = 'Do it'; 0")
        .unwrap();
    browser.click("form[action='/ui/tasks'] button");
    browser.wait("location.pathname === '/ui/tasks/1' && document.body.innerText.includes('worker-1 works on it')");
    browser.wait("document.getElementById('live').textContent === 'Up to date'");

    // What happens elsewhere comes by itself.
    server.memory.ask("git push origin main");
    browser.wait("document.body.innerText.includes('git push origin main')");
    browser.wait("document.querySelector('nav .badge')?.textContent === '1'");
    // Nobody who writes is disturbed, and a button keeps its focus.
    browser.click("#why-part button[value=yes]");
    browser.wait(
        "location.pathname === '/ui/approvals' && document.body.innerText.includes('allowed')",
    );
    assert_eq!(
        server.get("/approvals").json()["approvals"][0]["allowed"],
        true
    );

    browser.open(&format!("{base}/ui/board"));
    browser.wait("document.getElementById('live').textContent === 'Up to date'");
    browser.value("document.querySelector('#new').open = true; document.querySelector('input[name=title]').value = 'half written'; 0").unwrap();
    server.memory.commit();
    browser.wait("document.querySelector('#columns').innerText.includes('awaiting judge')");
    let kept = browser
        .value("document.querySelector('input[name=title]').value")
        .unwrap();
    assert_eq!(kept, "half written");

    browser.open(&base);
    browser.click("form[action='/ui/stop-all'] button");
    browser.wait("document.body.innerText.includes('Nothing is running')");
    assert_eq!(server.get("/system/hatch").json()["armed"], false);
    browser.click("form[action='/ui/start-all'] button");
    browser.wait("!document.body.innerText.includes('Nothing is running')");
    browser.click("form[action='/ui/hold'] button");
    browser.wait("document.body.innerText.includes('Nothing new is started')");
    browser.click("form[action='/ui/resume'] button");
    browser.wait("!!document.querySelector(\"form[action='/ui/hold']\")");

    browser.click("form[action='/ui/language'] button");
    browser.wait("document.documentElement.lang === 'ja' && document.querySelector('h1').textContent === '現在'");
    // Whoever signs out while the events are being asked for sees that refused.
    browser.wait("document.getElementById('live').textContent === '最新の状態を表示中'");
    browser.click("form[action='/ui/sign-out'] button");
    browser
        .wait("location.pathname === '/sign-in' && !!document.querySelector('input[name=code]')");
    let faults = &browser.faults;
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Returns what of a page is too faint: text against what lies behind it, as the browser computed both.
const CONTRAST: &str = r"(() => {
  const parse = (text) => { const n = text.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (node) => { for (let at = node; at; at = at.parentElement) { const c = parse(getComputedStyle(at).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
  const bad = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || node.closest('svg,noscript,.skip,script') || !node.offsetParent) continue;
    const a = light(parse(getComputedStyle(node).color)), b = light(behind(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.add(`${node.tagName}.${node.className} ${ratio.toFixed(2)}: ${walk.currentNode.textContent.trim().slice(0, 30)}`);
  }
  return [...bad];
})()";

/// Returns headings that leave a level out.
const HEADINGS: &str = r"(() => { let last = 0; const bad = [];
  for (const one of document.querySelectorAll('h1,h2,h3,h4')) { const level = +one.tagName[1]; if (level > last + 1) bad.push(one.outerHTML); last = level; }
  if (document.querySelectorAll('h1').length !== 1) bad.push('h1');
  return bad; })()";

fn unnamed(browser: &mut Browser) -> Vec<String> {
    const ROLES: [&str; 10] = [
        "button",
        "link",
        "textbox",
        "combobox",
        "spinbutton",
        "checkbox",
        "searchbox",
        "navigation",
        "region",
        "image",
    ];
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap().clone();
    let mut controls = 0;
    let mut found = Vec::new();
    for node in nodes.iter().filter(|node| node["ignored"] == false) {
        let role = node["role"]["value"].as_str().unwrap_or("");
        if !ROLES.contains(&role) {
            continue;
        }
        controls += 1;
        if node["name"]["value"]
            .as_str()
            .unwrap_or("")
            .trim()
            .is_empty()
        {
            found.push(node.to_string());
        }
    }
    assert!(controls > 10, "{controls} controls");
    found
}

/// What sticks out of the card, cell or entry that it belongs to.
const OUTSIDE: &str = "[...document.querySelectorAll('main .badge, main button, main a, main input, main time, main b')].filter((one) => {
  const place = one.closest('td,th,.item,dd,.card,fieldset');
  return one.offsetParent && place && one.getBoundingClientRect().right > place.getBoundingClientRect().right + 1;
}).map((one) => one.outerHTML)";

/// Takes the pictures of a page in both widths and colours; returns where it is too wide.
fn pictures(browser: &mut Browser, path: &str, file: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for width in [1280, 390] {
        browser.size(width);
        browser.wait(&format!("innerWidth === {width}"));
        let wide = browser
            .value("document.documentElement.scrollWidth")
            .unwrap();
        if wide.as_u64() > Some(u64::from(width)) {
            faults.push(format!("{path}: {wide} wide at {width}"));
        }
        let outside = browser.value(OUTSIDE).unwrap();
        let outside = outside.as_array().unwrap().iter();
        faults.extend(outside.map(|one| format!("{path} at {width}: out of its place: {one}")));
        for scheme in ["light", "dark"] {
            browser.colours(scheme);
            browser.picture(&PathBuf::from(format!(
                "{}-{width}-{scheme}.png",
                file.display()
            )));
        }
    }
    faults
}

/// Fills a board so that each page has something to show.
fn fill_everything(server: &Server) {
    fill_with_a_plan(server);
    fill(server);
    // One with a long word for where it stands.
    let linked = json!({"title": "Link it", "goal": "x", "link": "an issue"});
    assert_eq!(server.post("/tasks", &linked).status, 201);
    for run in ["r1", "r1-again"] {
        server.post("/sessions", &json!({"run": run}));
    }
}

#[test]
fn every_page_can_be_used_by_everybody_and_has_its_picture() {
    let server = Server::start();
    fill_everything(&server);
    let Some((mut browser, base)) = signed_in(&server) else {
        return;
    };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page");
    fs::create_dir_all(&folder).unwrap();
    let mut pages: Vec<String> = PAGES.map(String::from).to_vec();
    pages.push("/ui/tasks/1".into());
    pages.push("/ui/plans/1".into());
    let mut faults = Vec::new();
    for path in &pages {
        browser.size(1280);
        browser.open(&format!("{base}{path}"));
        browser.wait("document.getElementById('live').textContent === 'Up to date'");
        let name = name_of(path);
        faults.extend(
            unnamed(&mut browser)
                .into_iter()
                .map(|one| format!("{path}: no name: {one}")),
        );
        let order = browser.value(HEADINGS).unwrap();
        faults.extend(
            order
                .as_array()
                .unwrap()
                .iter()
                .map(|one| format!("{path}: heading: {one}")),
        );
        for scheme in ["light", "dark"] {
            browser.colours(scheme);
            let faint = browser.value(CONTRAST).unwrap();
            faults.extend(
                faint
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| format!("{path} {scheme}: {one}")),
            );
        }
        faults.extend(pictures(&mut browser, path, &folder.join(name)));
        let small = browser
            .value("[...document.querySelectorAll('button,input,select')].filter((one) => one.offsetParent && one.offsetHeight < 24).map((one) => one.outerHTML)")
            .unwrap();
        faults.extend(
            small
                .as_array()
                .unwrap()
                .iter()
                .map(|one| format!("{path}: too small: {one}")),
        );
    }
    browser.open(&base);
    browser.click("form[action='/ui/language'] button");
    browser.wait("document.documentElement.lang === 'ja'");
    for path in &pages {
        browser.size(1280);
        browser.open(&format!("{base}{path}"));
        browser.wait("document.getElementById('live').textContent === '最新の状態を表示中'");
        let file = folder.join(format!("ja-{}", name_of(path)));
        faults.extend(pictures(&mut browser, path, &file));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let told = &browser.faults;
    assert!(told.is_empty(), "{told:#?}");
}

/// Returns what the picture of a page is called.
fn name_of(path: &str) -> &str {
    match path.rsplit('/').next().unwrap() {
        "" => "now",
        "1" if path.contains("plans") => "plan",
        "1" => "task",
        other => other,
    }
}

#[test]
fn the_keyboard_is_enough_and_shows_where_it_is() {
    let server = Server::start();
    fill(&server);
    let Some((mut browser, base)) = signed_in(&server) else {
        return;
    };
    browser.open(&format!("{base}/ui/approvals"));
    browser.wait("document.getElementById('live').textContent === 'Up to date'");
    browser.press("Tab");
    let first = browser.value("document.activeElement.className").unwrap();
    assert_eq!(first, "skip");
    let mut reached = false;
    for _ in 0..60 {
        browser.press("Tab");
        let shown = browser
            .value("(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2; })()")
            .unwrap();
        assert_eq!(shown, true, "the focus is not seen");
        let at = browser.value("document.activeElement.value").unwrap();
        if at == "yes" {
            reached = true;
            break;
        }
    }
    assert!(reached);
    // What comes meanwhile does not take the focus away.
    server.post("/tasks", &json!({"title": "meanwhile", "goal": "x"}));
    browser.press("Enter");
    browser.wait("document.body.innerText.includes('allowed')");
    assert_eq!(
        server.get("/approvals?open=false").json()["approvals"][0]["allowed"],
        true
    );
}
