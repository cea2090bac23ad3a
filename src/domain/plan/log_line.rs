//! A line of the run log, read. Nearly all lines of a long run are of two short forms, which are read here by hand, ten
//! times as fast as JSON in general; whatever looks different in the least goes to the general reader.

use crate::domain::plan::{
    event::{AttemptEnded, AttemptStarted, PlanEvent},
    state::TaskStatus,
};

/// Reads one line, with or without its line end.
pub fn parse(line: &[u8]) -> Result<PlanEvent, serde_json::Error> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    match quick(line) {
        Some(event) => Ok(event),
        None => serde_json::from_slice(line),
    }
}

fn quick(line: &[u8]) -> Option<PlanEvent> {
    let mut rest = LineRest(line);
    if rest.eats(br#"{"started":{"task":"#) {
        let started = AttemptStarted {
            task: rest.number()?,
            at: rest.after(br#","at":"#)?.number()?,
            attempt: rest.after(br#","attempt":"#)?.number()?,
            wall: None,
        };
        return rest.ends_with(b"}}").then_some(PlanEvent::Started(started));
    }
    if !rest.eats(br#"{"ended":{"task":"#) {
        return None;
    }
    let ended = AttemptEnded {
        task: rest.number()?,
        at: rest.after(br#","at":"#)?.number()?,
        us: rest.after(br#","us":"#)?.number()?,
        status: rest.after(br#","status":""#)?.status()?,
        code: if rest.eats(br#","code":"#) {
            Some(rest.number()?)
        } else {
            None
        },
        reason: None,
        message: None,
        timed_out: false,
        cached: false,
        wait_ms: None,
        artifacts: Vec::new(),
    };
    rest.ends_with(b"}}").then_some(PlanEvent::Ended(ended))
}

/// What is left of a line.
struct LineRest<'a>(&'a [u8]);

impl LineRest<'_> {
    fn eats(&mut self, text: &[u8]) -> bool {
        match self.0.strip_prefix(text) {
            None => false,
            Some(rest) => {
                self.0 = rest;
                true
            }
        }
    }

    fn after(&mut self, text: &[u8]) -> Option<&mut Self> {
        self.eats(text).then_some(self)
    }

    /// Reads an integer as JSON writes it: no sign but a minus, no zero in front.
    fn number<N: TryFrom<i64>>(&mut self) -> Option<N> {
        let is_negative = self.eats(b"-");
        let length = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        let is_plain = match digits {
            [] => false,
            [b'0'] => !is_negative,
            [first, ..] => *first != b'0' && length <= 18,
        };
        if !is_plain {
            return None;
        }
        self.0 = rest;
        let value = digits
            .iter()
            .fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        N::try_from(if is_negative { -value } else { value }).ok()
    }

    fn status(&mut self) -> Option<TaskStatus> {
        let length = self.0.iter().position(|byte| *byte == b'"')?;
        let (word, rest) = self.0.split_at_checked(length)?;
        self.0 = rest.strip_prefix(b"\"")?;
        TaskStatus::ALL
            .into_iter()
            .find(|status| status.name().as_bytes() == word)
    }

    fn ends_with(&self, text: &[u8]) -> bool {
        self.0 == text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::plan::state::StatusReason;

    fn ended() -> impl Strategy<Value = PlanEvent> {
        let status = prop::sample::select(TaskStatus::ALL.to_vec());
        (
            any::<(u32, i64, u64)>(),
            status,
            any::<Option<i32>>(),
            prop::option::of(Just(StatusReason::RunCanceled)),
            prop::option::of("[a-z\"\\\\é]{0,5}"),
            any::<(bool, bool, Option<u64>)>(),
        )
            .prop_map(|((task, at, us), status, code, reason, message, rest)| {
                PlanEvent::Ended(AttemptEnded {
                    task,
                    at,
                    us,
                    status,
                    code,
                    reason,
                    message,
                    timed_out: rest.0,
                    cached: rest.1,
                    wait_ms: rest.2,
                    artifacts: Vec::new(),
                })
            })
    }

    proptest! {
        #[test]
        fn every_event_is_read_as_it_was_written(event in prop_oneof![
            ended(),
            any::<(u32, i64, u32)>().prop_map(|(task, at, attempt)| {
                PlanEvent::Started(AttemptStarted { task, at, attempt, wall: None })
            }),
        ]) {
            let mut line = serde_json::to_vec(&event).unwrap();
            line.push(b'\n');
            prop_assert_eq!(parse(&line).unwrap(), event);
        }

        #[test]
        fn both_readers_agree_about_spoilt_lines(event in ended(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut line = serde_json::to_vec(&event).unwrap();
            let at = at.index(line.len());
            line[at] = byte;
            if let Some(found) = quick(&line) {
                prop_assert_eq!(serde_json::from_slice::<PlanEvent>(&line).unwrap(), found);
            }
        }
    }

    #[test]
    fn the_two_common_forms_are_read_by_hand() {
        for line in [
            br#"{"started":{"task":99999,"at":1763650000999,"attempt":1}}"#.as_slice(),
            br#"{"ended":{"task":0,"at":1763650000999,"us":1480,"status":"SUCCESS","code":0}}"#,
            br#"{"ended":{"task":7,"at":1763650000999,"us":1480,"status":"FAILED","code":-9}}"#,
        ] {
            assert!(quick(line).is_some(), "{}", String::from_utf8_lossy(line));
        }
        assert!(quick(br#"{"started":{"task":01,"at":1,"attempt":1}}"#).is_none());
        assert!(quick(br#"{"started":{"task":4294967296,"at":1,"attempt":1}}"#).is_none());
    }
}
