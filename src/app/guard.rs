//! Builds what the guard needs, and is the outer layer of a hook: whatever fails inside, the answer is one that keeps the tool
//! from running unasked.

use std::{
    ffi::OsString,
    io::{Read, Write},
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use super::{adapter_options, confinement, context::AppContext};
use crate::{
    adapters::{
        files, git, guard,
        guard::{codex_server, install_record, log::LogFile, place, probe, settings_file},
        process,
    },
    config::{agent_trust::GeminiTrustSources, guard::GuardSettings},
    domain::{
        guard::{
            AttendanceMode, HookAgent, HookAnswer,
            codex_trust::{CodexHookList, hook_list_request, read_hook_list},
            installed::InstallRecord,
            protected::ProjectInspector,
            unjudged_answer,
        },
        policy::{GitUse, PolicyContext},
        sandbox::SandboxBackend,
    },
    interfaces::cli::{
        args::GlobalArgs,
        commands::guard as commands,
        exit::CliError,
        guard_services::{ExecServices, GuardServiceFactory, GuardedProject, HookTrialResult},
        services::ServiceFactory,
    },
    ports::guard::{GuardCheckpoints, GuardLog},
};

/// How long a hook may take; agents wait longer and then run the tool.
const BUDGET: Duration = Duration::from_secs(25);
/// The variable that shortens it, in milliseconds.
const BUDGET_VARIABLE: &str = "TOS_GUARD_BUDGET_MS";
/// The most bytes of a call.
const LONGEST: u64 = 64 << 20;
/// Why a command that writes settings of git cannot do that behind a wall.
const SETTINGS_ARE_CLOSED: &str = "it writes settings of git (`.git/config`), other work trees or submodules, which are \
     read-only behind the wall, for programs are started from them";
/// Why one that runs other programs cannot write with git.
const NOT_ONLY_GIT: &str = "other programs run in the same command; run git by itself";
/// Who commits, as variables say it: no secrets, and without them a commit would be another person's.
const GIT_IDENTITY: &[&str] = &[
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
    "EMAIL",
];
/// What a hook gets for its stack: texts nest.
const STACK: usize = 32 << 20;

/// What is known of a call when judging it fails.
type Known = Arc<Mutex<Option<(AttendanceMode, String)>>>;

/// Answers an agent: `tos guard hook AGENT [--observe]`.
pub(super) fn hook_main(words: &[OsString], environment: Vec<(OsString, OsString)>) -> ExitCode {
    guard::limits::fail_closed_on_exit();
    let agent = words
        .get(3)
        .and_then(|word| word.to_str())
        .and_then(HookAgent::of);
    let observe = words.get(4).is_some_and(|word| word == "--observe");
    let (Some(agent), true) = (agent, words.len() <= 4 + usize::from(observe)) else {
        let known = HookAgent::ALL.map(HookAgent::as_str).join(", ");
        let why = format!("usage: tos guard hook AGENT [--observe]; agents are {known}\n");
        return told(&HookAnswer {
            stdout: String::new(),
            stderr: why,
            code: 2,
        });
    };
    let budget = environment
        .iter()
        .find(|(name, _)| name == BUDGET_VARIABLE)
        .and_then(|(_, value)| value.to_str()?.parse().ok())
        .map_or(BUDGET, |wanted| Duration::from_millis(wanted).min(BUDGET));
    let context = environment.clone();
    let judge = move |known: &Known| judged(agent, observe, context, known);
    told(&answer_within(agent, budget, environment, judge))
}

/// Returns what `judge` answers; where it fails, panics or takes longer than `budget`, an answer that keeps the tool from running
/// unasked.
fn answer_within(
    agent: HookAgent,
    budget: Duration,
    environment: Vec<(OsString, OsString)>,
    judge: impl FnOnce(&Known) -> Result<HookAnswer, String> + Send + 'static,
) -> HookAnswer {
    let known: Known = Arc::default();
    let (send, receive) = mpsc::channel();
    let seen = Arc::clone(&known);
    let work = move || {
        let judged = catch_unwind(AssertUnwindSafe(|| judge(&seen)));
        drop(send.send(judged.map_err(|_| "tos failed on it, which is a fault of tos".to_owned())));
    };
    let started = std::thread::Builder::new().stack_size(STACK).spawn(work);
    let answer = match started {
        Err(error) => Err(format!("no thread could be started: {error}")),
        Ok(_) => match receive.recv_timeout(budget) {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => Err(why),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(format!("it took longer than {} ms", budget.as_millis()))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Err("the judgement broke off".to_owned()),
        },
    };
    answer.unwrap_or_else(|why| {
        let known = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        drop(catch_unwind(AssertUnwindSafe(|| {
            commands::hook::log_failure(agent, &why, &AppContext::new(environment, &[]));
        })));
        let (presence, event) = known.unwrap_or((
            AttendanceMode::Nobody("the call is not known"),
            String::new(),
        ));
        unjudged_answer(agent, presence, &event, &why)
    })
}

fn judged(
    agent: HookAgent,
    observe: bool,
    environment: Vec<(OsString, OsString)>,
    known: &Known,
) -> Result<HookAnswer, String> {
    let mut input = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(LONGEST + 1)
        .read_to_end(&mut input);
    read.map_err(|error| format!("its input cannot be read: {error}"))?;
    if input.len() as u64 > LONGEST {
        return Err(format!("the call is longer than {} MiB", LONGEST >> 20));
    }
    let context = AppContext::new(environment, &[]);
    let note = |presence: AttendanceMode, event: &str| {
        *known.lock().unwrap_or_else(PoisonError::into_inner) = Some((presence, event.to_owned()));
    };
    commands::hook::answer_hook(agent, &input, observe, &context, &note)
}

/// Prints an answer and returns its status; what cannot be printed is a refusal.
fn told(answer: &HookAnswer) -> ExitCode {
    let printed = || {
        let mut out = std::io::stdout().lock();
        out.write_all(answer.stdout.as_bytes())?;
        out.flush()?;
        std::io::stderr().lock().write_all(answer.stderr.as_bytes())
    };
    let failed = printed().is_err();
    ExitCode::from(if failed { 2 } else { answer.code })
}

impl AppContext {
    fn home(&self) -> Option<PathBuf> {
        let home = self.env_var("HOME").filter(|home| !home.is_empty());
        home.map(PathBuf::from).filter(|home| home.is_absolute())
    }

    /// Returns a folder that a variable names, else one below the home folder.
    fn folder_of(&self, variable: &str, below_home: &str) -> Result<PathBuf, CliError> {
        let named = self.env_var(variable).map(PathBuf::from);
        let named = named.filter(|folder| folder.is_absolute());
        // A home that is not there is nobody's, and none is made.
        let home = || {
            let home = self.home().filter(|home| home.is_dir())?;
            Some(home.join(below_home))
        };
        named.or_else(home).ok_or_else(|| {
            CliError::Setup(
                "HOME is not set, or no folder, so the settings of this person cannot be found"
                    .to_owned(),
            )
        })
    }

    /// Returns the folder in which tos keeps what belongs to this person and to no project.
    fn guard_state(&self) -> PathBuf {
        let state = self.folder_of("XDG_STATE_HOME", ".local/state");
        state
            .unwrap_or_else(|_| std::env::temp_dir())
            .join("tos/guard")
    }
}

impl GuardServiceFactory for AppContext {
    fn guard_project(&self, folder: Option<&Path>) -> GuardedProject {
        let folder = folder.map_or_else(files::current_folder, Path::to_owned);
        let named = self.env_var("CLAUDE_PROJECT_DIR").map(PathBuf::from);
        let found = place::project_of(&folder, self.home().as_deref(), named.as_deref());
        GuardedProject {
            root: found.root,
            folder: found.folder,
        }
    }

    fn guard_settings(&self, root: &Path) -> Result<GuardSettings, String> {
        let person = self.folder_of("XDG_CONFIG_HOME", ".config").ok();
        let person = person.map(|folder| folder.join("tos/guard.toml"));
        let committed = || git::guard::is_tracked(root, crate::config::guard::PROJECT_FILE);
        GuardSettings::load(person.as_deref(), root, &committed)
    }

    fn guard_context(&self, place: &GuardedProject, settings: &GuardSettings) -> PolicyContext {
        let usual = PolicyContext::unattended(place.root.clone());
        PolicyContext {
            folder: Some(place.folder.clone()),
            home: self.home(),
            attended: true,
            scratch: [usual.scratch.clone(), settings.scratch.clone()].concat(),
            eyes: Some(Arc::new(
                crate::adapters::policy::filesystem_view::LocalFilesystemView,
            )),
            ..usual
        }
    }

    fn agents_own_folders(&self) -> Vec<String> {
        const BELOW_HOME: [&str; 4] = [
            ".claude/plans",
            ".claude/projects",
            ".claude/todos",
            ".gemini/tmp",
        ];
        let home = self.home();
        let each = BELOW_HOME.iter();
        each.filter_map(|folder| Some(home.as_ref()?.join(folder).to_string_lossy().into_owned()))
            .collect()
    }

    fn project_view(&self, place: &GuardedProject) -> Box<dyn ProjectInspector> {
        Box::new(git::guard::DiskProjectView::new(place.root.clone()))
    }

    fn guard_checkpoints(&self) -> Arc<dyn GuardCheckpoints> {
        Arc::new(git::guard::GitGuardCheckpoints::new(self.guard_state()))
    }

    fn guard_log(&self) -> Arc<dyn GuardLog> {
        Arc::new(LogFile::new(self.guard_state()))
    }

    fn redact(&self, text: &str) -> String {
        self.redactor().clean_command(text)
    }

    fn time_stamp(&self) -> String {
        let now = self.clock().now();
        now.to_rfc3339_opts(chrono::SecondsFormat::Millis, false)
    }

    fn elapsed_micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn agent_settings_path(
        &self,
        agent: HookAgent,
        project: Option<&Path>,
    ) -> Result<PathBuf, CliError> {
        let (below, file) = match agent {
            HookAgent::Claude => (".claude", "settings.json"),
            HookAgent::Codex => (".codex", "hooks.json"),
            HookAgent::Gemini => (".gemini", "settings.json"),
            HookAgent::Opencode => (".opencode", "plugin/tos-guard.js"),
            HookAgent::Cursor => (".cursor", "hooks.json"),
        };
        if let Some(project) = project {
            return Ok(project.join(below).join(file));
        }
        let folder = match agent {
            HookAgent::Claude => self.folder_of("CLAUDE_CONFIG_DIR", below),
            HookAgent::Codex => self.folder_of("CODEX_HOME", below),
            HookAgent::Opencode => Ok(self
                .folder_of("XDG_CONFIG_HOME", ".config")?
                .join("opencode")),
            HookAgent::Gemini => {
                let home = self.env_var("GEMINI_CLI_HOME").map(PathBuf::from);
                home.filter(|home| home.is_absolute())
                    .map_or_else(|| self.folder_of("", below), |home| Ok(home.join(below)))
            }
            HookAgent::Cursor => self.folder_of("", below),
        };
        Ok(folder?.join(file))
    }

    fn uses_agent(&self, agent: HookAgent) -> bool {
        let file = self.agent_settings_path(agent, None).ok();
        let folder = file
            .as_deref()
            .and_then(Path::parent)
            .map(|folder| match agent {
                HookAgent::Opencode => folder.parent().unwrap_or(folder).to_owned(),
                _ => folder.to_owned(),
            });
        folder.is_some_and(|folder| folder.is_dir())
    }

    fn read_settings(&self, path: &Path) -> Result<Option<String>, String> {
        settings_file::read(path)
    }

    fn read_text(&self, path: &Path) -> Result<Option<String>, String> {
        settings_file::read_anything(path)
    }

    fn write_settings(
        &self,
        path: &Path,
        before: Option<&str>,
        after: Option<&str>,
    ) -> Result<(), String> {
        settings_file::write(path, before, after)
    }

    fn install_record(&self, path: &Path) -> Option<InstallRecord> {
        install_record::load_record(&self.guard_state(), path)
    }

    fn save_install_record(
        &self,
        path: &Path,
        record: Option<&InstallRecord>,
    ) -> Result<(), String> {
        install_record::save_record(&self.guard_state(), path, record)
    }

    fn missing_folders(&self, path: &Path) -> Vec<PathBuf> {
        settings_file::missing_folders(path)
    }

    fn remove_empty_folders(&self, folders: &[PathBuf]) {
        settings_file::remove_empty(folders);
    }

    fn current_exe(&self) -> Result<PathBuf, CliError> {
        let path = self.environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.clone()).unwrap_or_default();
        settings_file::hook_executable_path(&path).map_err(CliError::NotDone)
    }

    fn try_hook(
        &self,
        command: &str,
        input: &str,
        folder: &Path,
    ) -> Result<HookTrialResult, String> {
        let end = probe::run(command, input, folder)?;
        Ok(HookTrialResult {
            code: end.code,
            stdout: end.stdout,
            stderr: end.stderr,
        })
    }

    fn codex_hooks(&self, folder: &Path) -> Result<CodexHookList, String> {
        let path = self.environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.clone()).unwrap_or_default();
        let request = hook_list_request(folder);
        codex_server::ask(&path, folder, &self.environment, &request, read_hook_list)?
    }

    fn gemini_trust_sources(&self) -> GeminiTrustSources {
        let word = |name: &str| self.env_var(name);
        let own = self.agent_settings_path(HookAgent::Gemini, None);
        let own = own.map(|file| file.with_file_name("trustedFolders.json"));
        let named = word("GEMINI_CLI_TRUSTED_FOLDERS_PATH").filter(|file| !file.is_empty());
        GeminiTrustSources {
            workspace: word("GEMINI_CLI_TRUST_WORKSPACE"),
            restricted: word("GEMINI_RESTRICTED_MODE"),
            file: named.map_or_else(|| own.unwrap_or_default(), PathBuf::from),
        }
    }

    fn real_path(&self, path: &Path) -> PathBuf {
        files::canonical(path)
    }

    fn exec(
        &self,
        global: &GlobalArgs,
        place: &GuardedProject,
        most_output: u64,
        use_of_git: GitUse,
    ) -> Result<ExecServices, CliError> {
        let mut settings = self.settings(global)?;
        let is_project = !place.is_no_project();
        settings.root = if is_project {
            place.root.clone()
        } else {
            self.guard_state().join("no-project")
        };
        let identity = GIT_IDENTITY.iter().map(|name| (*name).to_owned());
        settings.environment_allow.extend(identity);
        let build = if is_project {
            confinement::build
        } else {
            confinement::build_without_project
        };
        let (usual_wall, report) = build(&settings, &self.environment)?;
        let hidden = usual_wall.blocking_hidden_folder(&place.folder);
        let (mut wall, mut open, mut closed) = (usual_wall, None, None);
        let is_closed = || confinement::closes_repository(&report, &settings.root);
        // Where there is no project, there is no repository to open or to make.
        match use_of_git {
            _ if !is_project => {}
            GitUse::Only | GitUse::Upkeep => {
                let tidies_up = use_of_git == GitUse::Upkeep;
                let environment = &self.environment;
                match confinement::build_with_git(&settings, environment, &report, tidies_up) {
                    Ok(None) => {}
                    Ok(Some((opened, repository))) => (wall, open) = (opened, Some(repository)),
                    Err(why) => closed = Some(why),
                }
            }
            GitUse::Settings if is_closed() => closed = Some(SETTINGS_ARE_CLOSED.to_owned()),
            GitUse::Mixed if is_closed() => closed = Some(NOT_ONLY_GIT.to_owned()),
            GitUse::Begins => {
                wall = confinement::with_new_repository(&settings, &self.environment)?;
            }
            GitUse::None | GitUse::Settings | GitUse::Mixed => {}
        }
        let usual = adapter_options::runner(&settings, &self.environment, self.redactor());
        let runner = process::LocalCommandRunner::new(
            process::CommandRunnerOptions {
                disk_bytes: most_output,
                ..usual
            },
            Some(wall),
        );
        let output = tempfile::tempdir()
            .map_err(|error| CliError::NotDone(format!("no temporary folder: {error}")))?;
        Ok(ExecServices {
            runner: Arc::new(runner),
            is_proved: confinement::is_proved(&report),
            wall: report.choice.backend().unwrap_or(SandboxBackend::None),
            notice: confinement::notice(&report),
            closed,
            hidden,
            take_back: Box::new(move || {
                let open = open.as_ref();
                open.map(git::write_access::RepositoryMounts::blocking_remove_git_redirects)
                    .unwrap_or_default()
            }),
            output: Box::new(output),
        })
    }

    fn standard_input(&self) -> Result<Option<Arc<OwnedFd>>, CliError> {
        let piped = process::blocking_standard_input();
        let piped = piped.map_err(|error| {
            CliError::NotDone(format!("standard input cannot be handed on: {error}"))
        })?;
        Ok(piped.map(Arc::new))
    }

    fn finds_program(&self, name: &str, folder: &Path) -> bool {
        let environment = process::minimal(&self.environment, &[], self.redactor());
        process::finds_program(name, folder, &environment)
    }

    fn can_execute(&self, name: &str, folder: &Path) -> bool {
        process::is_startable_program(name, folder)
    }

    fn version_of(&self, program: &Path) -> Option<String> {
        let quoted = program.to_string_lossy().replace('\'', "'\\''");
        let asked = format!("'{quoted}' --version </dev/null");
        let end = probe::run(&asked, "", Path::new("/")).ok()?;
        let version = end.stdout.trim().to_owned();
        (end.code == Some(0) && version.starts_with("tos ")).then_some(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any of these takes.
    const LONG: Duration = Duration::from_secs(600);

    /// How a judge fails.
    type Judge = fn(&Known) -> Result<HookAnswer, String>;

    /// Returns the answer where `judge` does the work, and what the log says of it.
    fn answered(agent: HookAgent, budget: Duration, judge: Judge) -> (HookAnswer, String) {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().as_os_str().to_owned();
        let environment = vec![("XDG_STATE_HOME".into(), state)];
        let answer = answer_within(agent, budget, environment.clone(), judge);
        let entries = AppContext::new(environment, &[]).guard_log().read();
        let reasons: Vec<String> = entries.into_iter().map(|entry| entry.reason).collect();
        (answer, reasons.join("\n"))
    }

    const PANICS: Judge = |_| panic!("a fault that a test has put in");
    const PANICS_AT_A_CALL: Judge = |known| {
        *known.lock().unwrap() = Some((AttendanceMode::Person, "PreToolUse".to_owned()));
        panic!("a fault that a test has put in")
    };
    const PANICS_WITH_THE_LOCK: Judge = |known| {
        let mut known = known.lock().unwrap();
        *known = Some((AttendanceMode::Person, "PermissionRequest".to_owned()));
        panic!("a fault that a test has put in")
    };
    const HANGS: Judge = |_| {
        loop {
            std::thread::park();
        }
    };
    const FAILS: Judge = |_| Err("the input is not JSON".to_owned());

    #[test]
    fn a_hook_that_panics_hangs_or_fails_refuses_for_every_agent_and_logs_it() {
        for agent in HookAgent::ALL {
            for (judge, budget, why) in [
                (PANICS, LONG, "tos failed on it, which is a fault of tos"),
                (
                    HANGS,
                    Duration::from_millis(10),
                    "it took longer than 10 ms",
                ),
                (FAILS, LONG, "the input is not JSON"),
            ] {
                let (answer, logged) = answered(agent, budget, judge);
                assert_eq!(
                    (answer.code, answer.stdout.as_str()),
                    (2, ""),
                    "{agent:?} {why}"
                );
                assert!(answer.stderr.contains(why), "{agent:?}: {}", answer.stderr);
                assert_eq!(logged, why, "{agent:?}");
            }
        }
    }

    #[test]
    fn a_panic_beside_a_person_is_a_question_where_one_can_be_put_and_a_refusal_elsewhere() {
        for agent in HookAgent::ALL {
            for judge in [PANICS_AT_A_CALL, PANICS_WITH_THE_LOCK] {
                let (answer, _) = answered(agent, LONG, judge);
                let asks = matches!(agent, HookAgent::Claude | HookAgent::Cursor);
                if asks {
                    assert!(
                        answer.code == 0 && answer.stdout.contains("\"ask\""),
                        "{answer:?}"
                    );
                } else {
                    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""), "{agent:?}");
                }
            }
        }
    }
}
