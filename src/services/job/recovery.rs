//! Puts a state together from what is on the disk, and mends every record that does not agree with it.
//!
//! The run log is the truth. A record that is missing is written again; one that is torn, empty, of
//! another shape or changed by hand is kept under another name first, and every repair is said aloud.

use serde_json::Value;

use crate::{
    domain::{
        job::{
            event::{EventKind, ImportedState, RunLogEvent},
            outcome::StepOutcome,
            record,
            state::{JobLoopState, StepOverview},
        },
        time::local_text,
    },
    ports::store::{Error, RecordFile, Store},
    services::job::event_bus::{pretty_json, records_changed_by},
};

/// What recovery found.
#[derive(Debug, Default)]
pub struct RecoveryResult {
    /// The state to go on with.
    pub state: JobLoopState,
    /// The state of an older layout that has to be taken over.
    pub adopted: Option<ImportedState>,
    /// One sentence for every repair.
    pub repairs: Vec<String>,
}

/// Folds events into a state.
pub fn fold_events(state: JobLoopState, events: &[RunLogEvent]) -> JobLoopState {
    events.iter().fold(state, |mut state, event| {
        state.apply(event);
        state
    })
}

/// Reads everything, finishes an interrupted clean start, and mends the records.
pub fn recover(store: &dyn Store) -> Result<RecoveryResult, Error> {
    let mut recovered = load(store)?;
    if let Some(archive) = recovered.state.cleaning.clone() {
        store.archive(&archive)?;
        let note =
            format!("an interrupted clean start was finished; the old records are in {archive}");
        recovered = load(store)?;
        recovered.repairs.push(note);
    }
    Ok(recovered)
}

/// Loads the state and mends the records; after a damaged log, what it lost is taken from the records.
fn load(store: &dyn Store) -> Result<RecoveryResult, Error> {
    let loaded = store.load()?;
    let mut recovered = RecoveryResult {
        state: fold_events(loaded.snapshot.unwrap_or_default(), &loaded.events),
        adopted: None,
        repairs: loaded.repairs,
    };
    if recovered.state.cleaning.is_some() {
        return Ok(recovered);
    }
    if recovered.state.seq == 0 {
        recovered.adopted = adopt(store, &mut recovered.repairs)?;
        return Ok(recovered);
    }
    recovered.adopted = skip_taken_numbers(store, &recovered.state);
    if loaded.damaged {
        keep_job_index(store, &mut recovered)?;
    }
    mend_steps(store, &mut recovered)?;
    for (record, name) in [
        (RecordFile::PhaseState, "phase_state.json"),
        (RecordFile::PhaseSummary, "phase_summary.json"),
        (RecordFile::JobResult, "job_result.json"),
    ] {
        mend(store, &mut recovered, record, name)?;
    }
    Ok(recovered)
}

/// A job that the lost part of the log had finished stays finished.
fn keep_job_index(store: &dyn Store, recovered: &mut RecoveryResult) -> Result<(), Error> {
    let Some(bytes) = store.read(RecordFile::PhaseState)? else {
        return Ok(());
    };
    let index = job_index_of(&bytes).ok().flatten();
    if let Some(index) = index.filter(|index| *index > recovered.state.job_index) {
        let adopted = recovered.adopted.take().unwrap_or_default();
        recovered.adopted = Some(ImportedState {
            from: "workspace/phase_state.json".to_owned(),
            job_index: Some(index),
            next_step: adopted.next_step.max(recovered.state.next_step),
            step_logs: adopted.step_logs,
        });
    }
    Ok(())
}

/// Takes over the state of a program that kept no run log.
fn adopt(store: &dyn Store, repairs: &mut Vec<String>) -> Result<Option<ImportedState>, Error> {
    let there = store.record_files().step_logs;
    let next_step = there.last().map_or(1, |last| last + 1);
    let step_logs = count(there.len());
    for record in [RecordFile::PhaseState, RecordFile::OldPhaseState] {
        let Some(bytes) = store.read(record)? else {
            continue;
        };
        match job_index_of(&bytes) {
            Ok(job_index) => {
                let from = match record {
                    RecordFile::OldPhaseState => "workspace/artifacts/phase_state.json",
                    _ => "workspace/phase_state.json",
                };
                return Ok(Some(ImportedState {
                    from: from.to_owned(),
                    job_index,
                    next_step,
                    step_logs,
                }));
            }
            Err(why) if record == RecordFile::PhaseState => {
                let kept = store.set_aside(record, "damaged")?;
                repairs.push(format!(
                    "phase_state.json {why}; it is kept as {kept} and a new one begins"
                ));
            }
            Err(why) => repairs.push(format!(
                "workspace/artifacts/phase_state.json {why}; it is left alone"
            )),
        }
    }
    Ok((next_step > 1).then(|| ImportedState {
        from: String::new(),
        job_index: None,
        next_step,
        step_logs,
    }))
}

fn count(logs: usize) -> u32 {
    u32::try_from(logs).unwrap_or(u32::MAX)
}

fn job_index_of(bytes: &[u8]) -> Result<Option<u32>, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err("is empty".to_owned());
    }
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("is not JSON ({error})"))?;
    let map = value.as_object().ok_or("is not a JSON object")?;
    if let Some(phase) = map.get("current_phase").and_then(Value::as_str)
        && !StepOutcome::is_known(phase)
    {
        return Err(format!("holds an unexpected phase `{phase}`"));
    }
    match map.get("job_index") {
        None | Some(Value::Null) => Ok(None),
        Some(index) => {
            let index = index
                .as_u64()
                .and_then(|index| u32::try_from(index).ok())
                .filter(|index| *index > 0);
            index
                .map(Some)
                .ok_or_else(|| "holds a job_index that is not a number from 1".to_owned())
        }
    }
}

/// Step logs that the log knows nothing of keep their numbers: ours go on after them.
fn skip_taken_numbers(store: &dyn Store, state: &JobLoopState) -> Option<ImportedState> {
    let there = store.record_files().step_logs;
    let last = there.last().copied()?;
    let foreign = there.iter().filter(|number| **number >= state.next_step);
    (last >= state.next_step).then(|| ImportedState {
        from: String::new(),
        job_index: None,
        next_step: last + 1,
        step_logs: count(foreign.count()),
    })
}

fn mend_steps(store: &dyn Store, recovered: &mut RecoveryResult) -> Result<(), Error> {
    let mut broken = Vec::new();
    for line in &recovered.state.steps {
        let record = RecordFile::Step(line.step);
        let Some(bytes) = store.read(record)? else {
            broken.push((line.step, "was missing".to_owned()));
            continue;
        };
        if let Some(word) = step_fault(&bytes, line) {
            let kept = store.set_aside(record, word)?;
            broken.push((line.step, format!("was {word} and is kept as {kept}")));
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let mut state = JobLoopState::default();
    for event in store.history()? {
        state.apply(&event);
        for (record, content) in records_changed_by(&event, &state) {
            if let RecordFile::Step(number) = record
                && broken.iter().any(|(step, _)| *step == number)
            {
                store.write(record, &content)?;
            }
        }
    }
    for (step, what) in broken {
        let name = record::step_file(step);
        recovered.repairs.push(format!(
            "{name} {what}; it was written again from the run log"
        ));
    }
    Ok(())
}

/// Says what is wrong with a step's log, if it is not the step that the run log tells of.
fn step_fault(bytes: &[u8], line: &StepOverview) -> Option<&'static str> {
    let found = serde_json::from_slice::<Value>(bytes).ok();
    let Some(found) = found.filter(Value::is_object) else {
        return Some("damaged");
    };
    let wanted = [
        ("step_num", Value::from(line.step)),
        ("phase", line.phase.as_str().into()),
        ("done_reason", line.reason.as_str().into()),
        ("stopped", line.stopped.into()),
        ("timestamp", local_text(line.at).into()),
    ];
    let differs = wanted
        .iter()
        .any(|(key, value)| found.get(*key) != Some(value));
    differs.then_some("edited")
}

/// Mends a record that is replaced again and again.
///
/// One that is as tos once wrote it is only behind, because a crash came between the log and the file; it
/// is brought up to date without a word. Anything else is somebody else's work and kept.
fn mend(
    store: &dyn Store,
    recovered: &mut RecoveryResult,
    record: RecordFile,
    name: &str,
) -> Result<(), Error> {
    let found = store.read(record)?;
    let now = renders_now(&recovered.state, record);
    if now.is_some() && now.as_deref().map(str::as_bytes) == found.as_deref() {
        return Ok(());
    }
    let written = written(store, record)?;
    let Some(last) = written.last() else {
        return Ok(());
    };
    let what = match &found {
        Some(bytes) if bytes == last.as_bytes() => return Ok(()),
        Some(bytes) if written.iter().any(|text| text.as_bytes() == bytes) => {
            return store.write(record, last);
        }
        None => "was missing".to_owned(),
        Some(bytes) => {
            let value = serde_json::from_slice::<Value>(bytes);
            let word = if value.is_ok_and(|value| value.is_object()) {
                "edited"
            } else {
                "damaged"
            };
            let kept = store.set_aside(record, word)?;
            format!("was {word} outside tos and is kept as {kept}")
        }
    };
    store.write(record, last)?;
    recovered.repairs.push(format!(
        "{name} {what}; it was written again from the run log"
    ));
    Ok(())
}

/// Returns a record as a run that has ended leaves it; `None` while one is under way.
fn renders_now(state: &JobLoopState, record: RecordFile) -> Option<String> {
    let value = match record {
        _ if state.running => return None,
        RecordFile::PhaseState => record::phase_state(state),
        RecordFile::PhaseSummary => record::phase_summary(state),
        RecordFile::JobResult => record::job_result(state)?,
        RecordFile::Step(_) | RecordFile::OldPhaseState => return None,
    };
    Some(pretty_json(&value))
}

/// Returns everything that was ever written to a record since the last clean start, oldest first.
fn written(store: &dyn Store, wanted: RecordFile) -> Result<Vec<String>, Error> {
    let mut state = JobLoopState::default();
    let mut written = Vec::new();
    for event in store.history()? {
        state.apply(&event);
        let records = records_changed_by(&event, &state).into_iter();
        written.extend(
            records
                .filter(|(record, _)| *record == wanted)
                .map(|(_, content)| content),
        );
    }
    Ok(written)
}

/// Returns the events that record what recovery did.
pub fn recovery_events(recovered: &RecoveryResult) -> Vec<EventKind> {
    let adopted = recovered
        .adopted
        .clone()
        .map(|adopted| EventKind::StateAdopted { adopted });
    let repairs = recovered
        .repairs
        .iter()
        .map(|note| EventKind::Repaired { note: note.clone() });
    adopted.into_iter().chain(repairs).collect()
}
