//! Before all stages, in tos itself: writes down the wall for one command ([`SandboxSpec`]) and turns the start of the command into
//! the start of the first jailer.
//!
//! Everything that is decided is decided here, outside, before the command exists; the jailers only carry it out.
//! Danger: paths may be links that others have put there, so each is resolved here, and what is shown is asked of `view`.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::fd::AsRawFd,
    path::PathBuf,
};

use super::{
    super::{
        options::Options,
        spec::{JAILER_ARG, SandboxSpec},
        taken_away, view,
    },
    bubblewrap, cgroup, process_limit, spec_file,
};
use crate::{
    adapters::temporary,
    domain::{
        process::SpawnError,
        sandbox::{ConfinementLevel, SandboxBackend},
    },
    ports::sandbox::{ConfinedEnvironment, InheritedFd, ProcessSpec},
};

/// Puts the start of a command behind the wall of one backend.
pub(in super::super) fn confine(
    options: &Options,
    backend: SandboxBackend,
    proxy: Option<PathBuf>,
    launch: ProcessSpec,
) -> Result<ProcessSpec, SpawnError> {
    let spec = spec(options, backend, proxy, &launch)?;
    let absent = match options.level {
        ConfinementLevel::Workspace => taken_away::missing_paths(options, &spec.root),
        ConfinementLevel::Off | ConfinementLevel::ReadOnly => Vec::new(),
    };
    let encoded = serde_json::to_string(&spec).map_err(|error| SpawnError {
        message: format!("a path of the workspace is not UTF-8 and cannot be confined: {error}; rename it or set `sandbox.level` to \"off\""),
    })?;
    let file = spec_file::written(&encoded).map_err(|error| SpawnError {
        message: format!("the sandbox cannot be described to its jailer: {error}; close some files or free some memory"),
    })?;
    let number = file.as_raw_fd().to_string();
    let own = spec.program.clone();
    let (mut program, mut arguments) = match backend {
        SandboxBackend::Bubblewrap => {
            let program = bubblewrap::find(&options.path).ok_or_else(|| SpawnError {
                message: "`bwrap` has gone from PATH since it was tried; install bubblewrap again"
                    .into(),
            })?;
            (program, bubblewrap::arguments(&spec, &number))
        }
        SandboxBackend::Namespaces => (spec.program.clone(), words(&["outer", &number])),
        SandboxBackend::Landlock => (spec.program.clone(), words(&["guard", &number])),
        SandboxBackend::None => return Ok(launch),
    };
    if cgroup::is_possible(&options.limits) {
        cgroup::sweep();
        let mut caged = words(&["cage", &number]);
        caged.push(program.into_os_string());
        caged.append(&mut arguments);
        (program, arguments) = (own, caged);
    } else if process_limit::is_needed(&options.limits) {
        let mut watched = words(&["watch", &number]);
        watched.push(program.into_os_string());
        watched.append(&mut arguments);
        (program, arguments) = (own, watched);
    }
    arguments.push(launch.program.into_os_string());
    arguments.push(launch.name);
    arguments.extend(launch.arguments);
    Ok(ProcessSpec {
        name: program.file_name().unwrap_or(OsStr::new("tos")).to_owned(),
        program,
        arguments,
        environment: launch.environment,
        directory: launch.directory,
        jailed: true,
        inside: ConfinedEnvironment::default(),
        inherited: Some(InheritedFd::new(file)),
        watched: spec
            .temporary
            .map(|folder| (folder, spec.limits.temporary_bytes)),
        absent,
    })
}

fn words(words: &[&str]) -> Vec<OsString> {
    std::iter::once(JAILER_ARG)
        .chain(words.iter().copied())
        .map(OsString::from)
        .collect()
}

fn spec(
    options: &Options,
    backend: SandboxBackend,
    proxy: Option<PathBuf>,
    launch: &ProcessSpec,
) -> Result<SandboxSpec, SpawnError> {
    let real = |path: &PathBuf| {
        path.canonicalize().map_err(|error| SpawnError {
            message: format!(
                "`{}` cannot be confined to: {error}; check the root",
                path.display()
            ),
        })
    };
    let root = real(&options.root)?;
    let mut protected = options.protected.clone();
    if backend != SandboxBackend::Landlock {
        protected.extend(options.protected_by_mounts.iter().cloned());
    }
    let program = real(&options.program)?;
    let temporary = options
        .temporary
        .as_deref()
        .map(temporary::blocking_create_folder);
    let temporary = match temporary.transpose() {
        // A root that nobody may write keeps no folder for the next command; this one has its own.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => None,
        made => made.map_err(|error| SpawnError {
            message: format!(
                "the temporary folder of the run cannot be made: {error}; free some space"
            ),
        })?,
    };
    let own = launch.environment.iter().find(|(name, _)| name == "PATH");
    let mut search = vec![options.path.as_os_str()];
    search.extend(own.map(|(_, value)| value.as_os_str()));
    let view = view::view(&view::ViewRequest {
        backend,
        root: &root,
        home: options.home.as_deref(),
        covered: &options.covered,
        hidden: &options.hidden,
        show: &options.show,
        search,
        program: &launch.program,
        self_process: &program,
    })
    .map_err(|message| SpawnError { message })?;
    Ok(SandboxSpec {
        backend,
        level: options.level,
        network: options.network,
        layers: view.layers.clone(),
        links: view.links.clone(),
        protected: match options.level {
            ConfinementLevel::Workspace => view::protected(&protected, &root),
            ConfinementLevel::Off | ConfinementLevel::ReadOnly => Vec::new(),
        },
        repository: if backend == SandboxBackend::Landlock
            || options.level != ConfinementLevel::Workspace
        {
            Vec::new()
        } else {
            options.repository.clone()
        },
        hidden: view.hidden.clone(),
        limits: options.limits,
        temporary,
        proxy,
        program,
        directory: real(&launch.directory)?,
        root,
        environment: launch.inside.environment,
        input: launch.inside.input,
        input_file: launch.inside.input_file.clone(),
        input_is_pipe: launch.inside.input_is_pipe,
    })
}
