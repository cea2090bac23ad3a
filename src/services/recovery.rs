//! Puts a state together from what is on the disk, and mends every record that does not agree with it.
//!
//! The run log is the truth. A record that is missing is written again; one that is torn, empty, of
//! another shape or changed by hand is kept under another name first, and every repair is said aloud.

use serde_json::Value;

use crate::{
    domain::{
        event::{Adopted, Event, EventKind},
        outcome::Phase,
        record,
        state::State,
    },
    ports::store::{Error, Record, Store},
    services::bus::{pretty, records_of},
};

/// What recovery found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// The state to go on with.
    pub state: State,
    /// The state of an older layout that has to be taken over.
    pub adopted: Option<Adopted>,
    /// One sentence for every repair.
    pub repairs: Vec<String>,
}

/// Folds events into a state.
pub fn fold(state: State, events: &[Event]) -> State {
    events.iter().fold(state, |mut state, event| {
        state.apply(event);
        state
    })
}

/// Reads everything, finishes an interrupted clean start, and mends the records.
pub fn recover(store: &dyn Store) -> Result<Recovered, Error> {
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

/// Returns the state without touching or mending anything but the log's own torn end.
fn load(store: &dyn Store) -> Result<Recovered, Error> {
    let loaded = store.load()?;
    let mut recovered = Recovered {
        state: fold(loaded.snapshot.unwrap_or_default(), &loaded.events),
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
    mend_steps(store, &mut recovered)?;
    mend_phase_state(store, &mut recovered)?;
    mend_rest(store, &mut recovered)?;
    recovered.adopted = skip_taken_numbers(store, &recovered.state);
    Ok(recovered)
}

/// Takes over the state of a program that kept no run log.
fn adopt(store: &dyn Store, repairs: &mut Vec<String>) -> Result<Option<Adopted>, Error> {
    let next_step = store.disk().step_logs.last().map_or(1, |last| last + 1);
    for record in [Record::PhaseState, Record::OldPhaseState] {
        let Some(bytes) = store.read(record)? else {
            continue;
        };
        match job_index_of(&bytes) {
            Ok(job_index) => {
                let from = match record {
                    Record::OldPhaseState => "workspace/artifacts/phase_state.json",
                    _ => "workspace/phase_state.json",
                };
                return Ok(Some(Adopted {
                    from: from.to_owned(),
                    job_index,
                    next_step,
                }));
            }
            Err(why) if record == Record::PhaseState => {
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
    Ok((next_step > 1).then(|| Adopted {
        from: String::new(),
        job_index: None,
        next_step,
    }))
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
        && !Phase::is_known(phase)
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
fn skip_taken_numbers(store: &dyn Store, state: &State) -> Option<Adopted> {
    let last = store.disk().step_logs.last().copied()?;
    (last >= state.next_step).then(|| Adopted {
        from: String::new(),
        job_index: None,
        next_step: last + 1,
    })
}

fn mend_steps(store: &dyn Store, recovered: &mut Recovered) -> Result<(), Error> {
    let mut broken = Vec::new();
    for line in &recovered.state.steps {
        let record = Record::Step(line.step);
        match store.read(record)? {
            Some(bytes) if step_is_sound(&bytes, line.step) => {}
            Some(_) => {
                let kept = store.set_aside(record, "damaged")?;
                broken.push((line.step, format!("was damaged and is kept as {kept}")));
            }
            None => broken.push((line.step, "was missing".to_owned())),
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    let mut state = State::default();
    for event in store.history()? {
        state.apply(&event);
        for (record, content) in records_of(&event, &state) {
            if let Record::Step(number) = record
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

fn step_is_sound(bytes: &[u8], number: u32) -> bool {
    let value = serde_json::from_slice::<Value>(bytes).ok();
    let found = value
        .as_ref()
        .and_then(|value| value.get("step_num")?.as_u64());
    found == Some(u64::from(number))
}

fn mend_phase_state(store: &dyn Store, recovered: &mut Recovered) -> Result<(), Error> {
    let state = &recovered.state;
    let wanted = record::phase_state(state);
    let found = store.read(Record::PhaseState)?;
    let value = found
        .as_ref()
        .map(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    let what = match value {
        // After a crash an older phase state is nothing strange; a run's end always brings it up to date.
        Some(Some(value)) if value == wanted || (state.running && value.is_object()) => {
            return Ok(());
        }
        None if state.last.phase.is_none() => return Ok(()),
        None => "was missing".to_owned(),
        Some(other) => {
            let word = if other.is_some_and(|value| value.is_object()) {
                "edited"
            } else {
                "damaged"
            };
            let kept = store.set_aside(Record::PhaseState, word)?;
            format!("was {word} outside tos and is kept as {kept}")
        }
    };
    store.write(Record::PhaseState, &pretty(&wanted))?;
    recovered.repairs.push(format!(
        "phase_state.json {what}; it was written again from the run log"
    ));
    Ok(())
}

fn mend_rest(store: &dyn Store, recovered: &mut Recovered) -> Result<(), Error> {
    let state = &recovered.state;
    let mut wanted = Vec::new();
    if state.last.phase.is_some() && !state.running {
        wanted.push((
            Record::PhaseSummary,
            "phase_summary.json",
            record::phase_summary(state),
        ));
    }
    let complete = state.last.phase == Some(Phase::JobLoopComplete);
    if let Some(result) = record::job_result(state).filter(|_| complete) {
        wanted.push((Record::JobResult, "job_result.json", result));
    }
    for (record, name, value) in wanted {
        let found = store.read(record)?;
        let sound =
            |bytes: &Vec<u8>| serde_json::from_slice::<Value>(bytes).is_ok_and(|v| v.is_object());
        let what = match &found {
            Some(bytes) if sound(bytes) => continue,
            Some(_) => format!(
                "was damaged and is kept as {}",
                store.set_aside(record, "damaged")?
            ),
            None => "was missing".to_owned(),
        };
        store.write(record, &pretty(&value))?;
        recovered.repairs.push(format!(
            "{name} {what}; it was written again from the run log"
        ));
    }
    Ok(())
}

/// Returns the events that record what recovery did.
pub fn notes(recovered: &Recovered) -> Vec<EventKind> {
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
