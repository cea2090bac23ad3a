//! One value of a plan with everything a message about it needs: whose it is, what it is called, where it stands.

use std::collections::BTreeMap;

use crate::domain::plan::{
    node::{PlanError, YamlEntry, YamlNode, YamlValue},
    scalar::ScalarValue,
    scope::VariableScope,
};

/// A value to be read, and the words for a message about it.
#[derive(Clone, Copy)]
pub(super) struct PlanField<'a> {
    pub(super) node: &'a YamlNode,
    pub(super) name: &'a str,
    pub(super) owner: &'a str,
    pub(super) scope: &'a VariableScope<'a>,
}

impl<'a> PlanField<'a> {
    /// Returns the fault «this field breaks `rule`».
    pub(super) fn fault(&self, rule: &str) -> PlanError {
        let Self {
            node, name, owner, ..
        } = self;
        PlanError::new(
            node.mark,
            format!(
                "field `{name}` of {owner} {rule}, found {}",
                node.display_short()
            ),
        )
    }

    /// Returns the same field seen through one of its values.
    pub(super) const fn at(&self, node: &'a YamlNode) -> Self {
        Self { node, ..*self }
    }

    pub(super) fn is_null(&self) -> bool {
        self.node.is_null()
    }

    /// Returns a text, which may be empty.
    pub(super) fn any_text(&self) -> Result<String, PlanError> {
        let text = match self.node.scalar_value() {
            Some(ScalarValue::Text(text)) => text,
            Some(_) => {
                return Err(self
                    .fault("must be text")
                    .with_remedy("put the value in quotes"));
            }
            None => return Err(self.fault("must be text")),
        };
        let text = self.scope.interpolate(text, self.node.mark)?;
        if text.contains('\0') {
            return Err(self.fault("must not contain a NUL character"));
        }
        Ok(text)
    }

    /// Returns a text that is not blank.
    pub(super) fn text(&self) -> Result<String, PlanError> {
        let text = self.any_text()?;
        if text.trim().is_empty() {
            return Err(self.fault("must not be blank"));
        }
        Ok(text)
    }

    pub(super) fn optional_text(&self) -> Result<Option<String>, PlanError> {
        if self.is_null() {
            Ok(None)
        } else {
            self.text().map(Some)
        }
    }

    pub(super) fn list(&self) -> Result<&'a [YamlNode], PlanError> {
        match &self.node.value {
            YamlValue::List(items) => Ok(items),
            YamlValue::Scalar { .. } | YamlValue::Map(_) => Err(self.fault("must be a list")),
        }
    }

    pub(super) fn map(&self) -> Result<&'a [YamlEntry], PlanError> {
        match &self.node.value {
            YamlValue::Map(entries) => Ok(entries),
            YamlValue::Scalar { .. } | YamlValue::List(_) => Err(self.fault("must be a mapping")),
        }
    }

    /// Returns a list of texts that are not blank; nothing is an empty list.
    pub(super) fn texts(&self) -> Result<Vec<String>, PlanError> {
        if self.is_null() {
            return Ok(Vec::new());
        }
        self.list()?
            .iter()
            .map(|item| self.at(item).text())
            .collect()
    }

    /// Like [`PlanField::texts`], and one text stands for a list of one.
    pub(super) fn one_or_more(&self) -> Result<Vec<String>, PlanError> {
        if matches!(self.node.value, YamlValue::Scalar { .. }) && !self.is_null() {
            return Ok(vec![self.text()?]);
        }
        self.texts()
    }

    /// Like [`PlanField::texts`], without repeats, upper and lower case being the same.
    pub(super) fn distinct_texts(&self) -> Result<Vec<String>, PlanError> {
        let texts = self.texts()?;
        for (index, text) in texts.iter().enumerate() {
            let same = |other: &String| other.eq_ignore_ascii_case(text);
            if texts.iter().take(index).any(same) {
                return Err(self.fault(&format!("names `{text}` twice")));
            }
        }
        Ok(texts)
    }

    pub(super) fn integer_at_least(&self, least: i64) -> Result<u32, PlanError> {
        if let Some(ScalarValue::Int(value)) = self.meaning()
            && value >= least
            && let Ok(value) = u32::try_from(value)
        {
            return Ok(value);
        }
        let is_too_large = match self.meaning() {
            Some(ScalarValue::Int(value)) => value > i64::from(u32::MAX),
            Some(ScalarValue::HugeInt) => true,
            _ => false,
        };
        let rule = if is_too_large {
            format!("must be an integer from {least} to {}", u32::MAX)
        } else {
            format!("must be an integer of at least {least}")
        };
        Err(self.fault(&rule))
    }

    pub(super) fn integer(&self) -> Result<i32, PlanError> {
        match self.meaning() {
            Some(ScalarValue::Int(value)) => {
                i32::try_from(value).map_err(|_| self.fault("is out of range"))
            }
            _ => Err(self.fault("must be an integer")),
        }
    }

    pub(super) fn flag(&self) -> Result<bool, PlanError> {
        match self.meaning() {
            Some(ScalarValue::Bool(value)) => Ok(value),
            _ => Err(self.fault("must be true or false")),
        }
    }

    /// Returns a finite number that is at least 0, and above it where zero is refused.
    pub(super) fn seconds(&self, zero_is_fine: bool) -> Result<f64, PlanError> {
        let rule = if zero_is_fine {
            "must be a finite number of 0 or more"
        } else {
            "must be a finite number above 0"
        };
        let value = match self.meaning() {
            #[expect(
                clippy::cast_precision_loss,
                reason = "seconds beyond 2^52 are all the same to a clock"
            )]
            Some(ScalarValue::Int(value)) => value as f64,
            Some(ScalarValue::Float(value)) => value,
            Some(ScalarValue::Text(text))
                if text.contains(['e', 'E']) && text.parse::<f64>().is_ok() =>
            {
                return Err(self
                    .fault(rule)
                    .with_remedy("YAML 1.1 reads this as text; write it without an exponent"));
            }
            Some(ScalarValue::Text(text)) => {
                let fault = self.fault(rule);
                let seconds = seconds_of(text).filter(|seconds| *seconds > 0);
                return Err(match seconds {
                    Some(seconds) => {
                        fault.with_remedy(format!("it counts seconds; write {seconds}"))
                    }
                    None => fault,
                });
            }
            _ => return Err(self.fault(rule)),
        };
        if value.is_finite() && (value > 0.0 || (zero_is_fine && value >= 0.0)) {
            Ok(value)
        } else {
            Err(self.fault(rule))
        }
    }

    /// Returns names and texts, as of variables.
    pub(super) fn variables(&self) -> Result<BTreeMap<String, String>, PlanError> {
        let mut variables = BTreeMap::new();
        for entry in self.map()? {
            if entry.key.trim().is_empty() || entry.key.contains(['=', '\0']) {
                let message = format!(
                    "field `{}` of {} has a key that is blank or has `=` in it",
                    self.name, self.owner
                );
                return Err(PlanError::new(entry.mark, message));
            }
            variables.insert(entry.key.to_string(), self.at(&entry.value).any_text()?);
        }
        Ok(variables)
    }

    /// Returns what a value means; a text that was filled from parameters is read again.
    fn meaning(&self) -> Option<ScalarValue<'a>> {
        self.node.scalar_value()
    }
}

/// What other tools call our fields, and how we call them.
const ELSEWHERE: &[(&str, &[&str])] = &[
    (
        "depends_on",
        &[
            "needs",
            "depends",
            "deps",
            "dependencies",
            "requires",
            "after",
        ],
    ),
    ("shell", &["run", "script", "bash", "sh"]),
    ("cmd", &["command", "cmds", "exec", "args", "argv"]),
    (
        "cwd",
        &[
            "workdir",
            "working_dir",
            "working_directory",
            "working-directory",
            "dir",
            "directory",
        ],
    ),
    ("env", &["environment", "variables", "envs"]),
    ("env_file", &["dotenv", "envfile", "env_files"]),
    (
        "timeout_sec",
        &["timeout", "timeout_seconds", "timeout-minutes"],
    ),
    ("idle_timeout_sec", &["idle_timeout", "no_output_timeout"]),
    (
        "grace_seconds",
        &["grace", "stop_grace_period", "kill_after"],
    ),
    ("retries", &["retry", "max_retries", "attempts"]),
    ("outputs", &["artifacts", "output", "produces", "generates"]),
    ("when", &["if", "condition", "only_if"]),
    (
        "allow_failure",
        &["continue_on_error", "continue-on-error", "ignore_errors"],
    ),
    ("matrix", &["strategy"]),
    ("id", &["name"]),
    ("needs_files", &["sources", "preconditions"]),
    ("tasks", &["jobs", "steps", "stages"]),
    ("params", &["vars", "parameters", "inputs"]),
    ("max_parallel", &["parallel", "parallelism", "concurrency"]),
    ("goal", &["description", "title"]),
];

/// Returns how many whole seconds a time with units is, as `5m` or `1h 30min`; `None` where it is no such time.
fn seconds_of(text: &str) -> Option<u64> {
    let (mut rest, mut sum) = (text.trim(), 0_u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, behind) = rest.split_at_checked(digits)?;
        let behind = behind.trim_start();
        let end = behind.find(|c: char| !c.is_ascii_alphabetic());
        let (unit, behind) = behind.split_at_checked(end.unwrap_or(behind.len()))?;
        let seconds = match unit.to_ascii_lowercase().as_str() {
            "s" | "sec" | "secs" | "second" | "seconds" => 1,
            "m" | "min" | "mins" | "minute" | "minutes" => 60,
            "h" | "hr" | "hour" | "hours" => 3600,
            "d" | "day" | "days" => 86_400,
            _ => return None,
        };
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(seconds)?)?;
        rest = behind.trim_start();
    }
    Some(sum)
}

/// Refuses the first key that is not among `known`. Keys that begin with `x-` are nobody's: they hold anchors.
pub(super) fn reject_unknown_fields(
    entries: &[YamlEntry],
    known: &[&str],
    owner: &str,
) -> Result<(), PlanError> {
    let is_foreign =
        |entry: &&YamlEntry| !known.contains(&&*entry.key) && !entry.key.starts_with("x-");
    let Some(entry) = entries.iter().find(is_foreign) else {
        return Ok(());
    };
    let key: String = entry.key.chars().take(60).collect();
    let message = format!("unknown field `{}` of {owner}", key.escape_debug());
    let fault = PlanError::new(entry.mark, message);
    let lower = key.to_ascii_lowercase();
    let ours = ELSEWHERE
        .iter()
        .find(|(ours, theirs)| known.contains(ours) && theirs.contains(&&*lower));
    Err(match ours {
        Some((ours, _)) => fault.with_remedy(format!("that is `{ours}` here")),
        None => fault.with_suggestions(&key, known.iter().copied()),
    })
}

#[cfg(test)]
mod tests {
    use super::seconds_of;

    #[test]
    fn a_time_with_units_is_so_many_seconds() {
        for (text, seconds) in [
            ("5m", Some(300)),
            ("90 s", Some(90)),
            ("1h30min", Some(5400)),
            ("2 days", Some(172_800)),
            ("", Some(0)),
            ("5", None),
            ("m", None),
            ("5 parsecs", None),
            ("1.5h", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(seconds_of(text), seconds, "{text}");
        }
    }
}
