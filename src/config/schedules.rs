//! Reads `config/schedules.toml`, and changes it as text, so that what people wrote around it stays.

use super::{
    task_list::Error,
    toml_file::{Table, TomlFile, did_you_mean},
};
use crate::domain::schedule::{
    CronExpression, DEFAULT_ZONE, MissedPolicy, Schedule, ScheduleTarget, Trigger, Zone, zone_names,
};

/// The place of the file below a root.
pub const FILE: &str = "config/schedules.toml";

const TARGETS: [&str; 4] = ["job", "plan", "tasks", "night"];
const MODES: [&str; 3] = ["run", "test", "cleanrun"];

/// Reads the text; `name` is for messages.
pub fn parse(text: &str, name: &str) -> Result<Vec<Schedule>, Error> {
    let wrong = |message: String| Error::Notify { message };
    let file = TomlFile::new(name, text);
    let entries = file.parse().map_err(wrong)?;
    let schedules = {
        let table = file.table(&entries);
        let tables = table.tables("schedule").unwrap_or_default();
        let mut schedules: Vec<Schedule> = Vec::new();
        for one in tables {
            if let Some(schedule) = self::one(one, &schedules) {
                schedules.push(schedule);
            }
        }
        table.finish(|_| None);
        schedules
    };
    file.faults()
        .map_or(Ok(schedules), |faults| Err(wrong(faults)))
}

fn one(table: Table<'_, '_>, before: &[Schedule]) -> Option<Schedule> {
    let name = name(&table, before);
    let zone = zone(&table);
    let missed = match table.choice("missed", &["once", "never"]) {
        Some("never") => MissedPolicy::Never,
        _ => MissedPolicy::Once,
    };
    let target = target(&table);
    let when = when(&table, target.as_ref());
    let args = table.texts("args").unwrap_or_default();
    table.finish(|_| None);
    Some(Schedule {
        name: name?,
        when: when?,
        zone: zone?,
        missed,
        target: target?,
        args,
    })
}

fn name(table: &Table<'_, '_>, before: &[Schedule]) -> Option<String> {
    let Some(name) = table.text("name") else {
        if !table.has("name") {
            table.fault("name", "`name` is missing");
        }
        return None;
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.len() > 64 || !name.chars().all(fits) {
        table.fault("name", "`name` is 1 to 64 letters, digits, `_` and `-`");
        return None;
    }
    if before.iter().any(|other| other.name == name) {
        table.fault("name", &format!("two schedules are called `{name}`"));
        return None;
    }
    Some(name)
}

fn zone(table: &Table<'_, '_>) -> Option<Zone> {
    let Some(text) = table.text("zone") else {
        return (!table.has("zone")).then_some(DEFAULT_ZONE);
    };
    let zone = text.parse().ok();
    if zone.is_none() {
        let example = || "a zone is named like `Europe/Brussels` or `UTC`".to_owned();
        let near = did_you_mean(&text, &zone_names(), example);
        table.fault("zone", &format!("`zone` does not know `{text}`; {near}"));
    }
    zone
}

fn target(table: &Table<'_, '_>) -> Option<ScheduleTarget> {
    let job = table.choice("job", &MODES);
    let files = ["plan", "tasks", "night"].map(|key| (key, table.text(key)));
    let given = TARGETS.iter().filter(|key| table.has(key)).count();
    if given != 1 {
        let what = format!(
            "a schedule runs one thing: give one of `job`, `plan`, `tasks`, `night`, not {given} of them"
        );
        table.fault("name", &what);
        return None;
    }
    if let Some(mode) = job {
        return Some(ScheduleTarget::Job(mode.to_owned()));
    }
    let (key, file) = files
        .into_iter()
        .find_map(|(key, file)| Some((key, file?)))?;
    if file.starts_with('-') {
        table.fault(
            key,
            &format!("`{key}` is a file, not an option; options go into `args`"),
        );
        return None;
    }
    Some(match key {
        "plan" => ScheduleTarget::Plan(file),
        "tasks" => ScheduleTarget::Tasks(file),
        _ => ScheduleTarget::Night(file),
    })
}

fn when(table: &Table<'_, '_>, target: Option<&ScheduleTarget>) -> Option<Trigger> {
    let cron = table.text("cron");
    let word = table.choice("when", &["quota_renewed"]);
    if table.has("cron") == table.has("when") {
        let what = "give either `cron` (a cron expression) or `when = \"quota_renewed\"`";
        table.fault(if table.has("when") { "when" } else { "name" }, what);
        return None;
    }
    if word.is_some() {
        if matches!(target, Some(ScheduleTarget::Plan(_))) {
            let what = "a plan has no quota that could be renewed; give `cron`";
            table.fault("when", what);
        }
        return Some(Trigger::QuotaRenewed);
    }
    match CronExpression::parse(&cron?) {
        Ok(expression) => Some(Trigger::Cron(Box::new(expression))),
        Err(why) => {
            table.fault("cron", &format!("`cron`: {why}"));
            None
        }
    }
}

/// Returns the text of a file with one more schedule at its end.
pub fn append_schedule(text: &str, schedule: &Schedule) -> String {
    let quote = |word: &str| toml::Value::String(word.to_owned()).to_string();
    let mut lines = vec![
        "[[schedule]]".to_owned(),
        format!("name = {}", quote(&schedule.name)),
    ];
    lines.push(match &schedule.when {
        Trigger::Cron(expression) => format!("cron = {}", quote(expression.as_str())),
        Trigger::QuotaRenewed => "when = \"quota_renewed\"".to_owned(),
    });
    lines.push(format!("zone = {}", quote(schedule.zone.name())));
    lines.push(format!("missed = {}", quote(schedule.missed.as_str())));
    let (key, value) = schedule.target.key_and_value();
    lines.push(format!("{key} = {}", quote(value)));
    if !schedule.args.is_empty() {
        let words: Vec<String> = schedule.args.iter().map(|word| quote(word)).collect();
        lines.push(format!("args = [{}]", words.join(", ")));
    }
    let before = text.trim_end();
    let gap = if before.is_empty() { "" } else { "\n\n" };
    format!("{before}{gap}{}\n", lines.join("\n"))
}

/// Returns the text of a file without one schedule; `None` where it cannot be taken out without harm.
pub fn remove_schedule(text: &str, name: &str) -> Option<String> {
    let before = parse(text, FILE).ok()?;
    let at = before.iter().position(|one| one.name == name)?;
    let is_header = |line: &str| line.trim_start().starts_with('[');
    let is_ours = |line: &str| {
        let line: String = line.split('#').next()?.split_whitespace().collect();
        (line == "[[schedule]]").then_some(())
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let starts = lines.iter().enumerate();
    let start = starts
        .filter(|(_, line)| is_ours(line).is_some())
        .nth(at)?
        .0;
    let rest = lines.iter().skip(start + 1);
    let end = rest
        .clone()
        .position(|line| is_header(line))
        .map_or(lines.len(), |found| start + 1 + found);
    let kept = [lines.get(..start)?.concat(), lines.get(end..)?.concat()].concat();
    // Only if nothing else went with it.
    let after = parse(&kept, FILE).ok()?;
    let wanted: Vec<&Schedule> = before.iter().filter(|one| one.name != name).collect();
    (after.iter().collect::<Vec<_>>() == wanted).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# ours\n[[schedule]]\nname = \"a\"\ncron = \"0 2 * * *\"\nzone = \"Europe/Brussels\"\nplan = \"p.yaml\"\n\n[[schedule]] # two\nname = \"b\"\nwhen = \"quota_renewed\"\nnight = \"n.toml\"\nargs = [\"--for\", \"4h\"]\n";

    #[test]
    fn schedules_are_read_and_know_their_command() {
        let schedules = parse(GOOD, "s").unwrap();
        assert_eq!(schedules[0].command_args(), ["plan", "run", "p.yaml"]);
        assert_eq!(schedules[0].missed, MissedPolicy::Once);
        assert_eq!(schedules[1].zone, DEFAULT_ZONE);
        assert_eq!(
            schedules[1].command_args(),
            ["night", "resume", "--for", "4h"]
        );
    }

    #[test]
    fn faults_name_place_and_nearest_word() {
        for (text, said) in [
            (
                "[[schedule]]\nname = \"a\"\ncron = \"0 2 * *\"\nplan = \"p\"\n",
                "s:3:8: `cron`: a cron expression has five fields",
            ),
            (
                "[[schedule]]\nname = \"a\"\ncorn = \"0 2 * * *\"\nplan = \"p\"\n",
                "s:3:1: unknown key `corn`; did you mean `cron`?",
            ),
            (
                "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\nzone = \"Europe/Brusels\"\nplan = \"p\"\n",
                "s:4:8: `zone` does not know `Europe/Brusels`; did you mean `Europe/Brussels`?",
            ),
            (
                "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\n",
                "s:2:8: a schedule runs one thing",
            ),
            (
                "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\nplan = \"p\"\nnight = \"n\"\n",
                "not 2 of them",
            ),
            (
                "[[schedule]]\nname = \"a b\"\ncron = \"@daily\"\nplan = \"p\"\n",
                "s:2:8: `name` is 1 to 64 letters",
            ),
            (
                "[[schedule]]\nname = \"a\"\nplan = \"p\"\n",
                "give either `cron`",
            ),
            (
                "[[schedule]]\nname = \"a\"\nwhen = \"quota_renewd\"\nnight = \"p\"\n",
                "did you mean `quota_renewed`?",
            ),
            (
                "[[schedule]]\nname = \"a\"\nwhen = \"quota_renewed\"\nplan = \"p\"\n",
                "a plan has no quota",
            ),
            (
                "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\njob = \"rollback\"\n",
                "s:4:7: `job` does not know `rollback`",
            ),
            (
                "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\nplan = \"--help\"\n",
                "`plan` is a file, not an option",
            ),
            (
                "[[schedule]]\nname = \"a\"\ncron = \"@daily\"\nplan = \"p\"\nmissed = \"twice\"\n",
                "it has to be one of `once`, `never`",
            ),
            (
                "[[scedule]]\nname = \"a\"\n",
                "s:1:3: unknown key `scedule`; did you mean `schedule`?",
            ),
        ] {
            let error = parse(text, "s").unwrap_err().to_string();
            assert!(error.contains(said), "{error}\n{said}");
        }
    }

    #[test]
    fn what_is_added_can_be_read_and_what_is_removed_leaves_the_rest() {
        let schedules = parse(GOOD, FILE).unwrap();
        let mut text = "# mine\n".to_owned();
        for schedule in &schedules {
            text = append_schedule(&text, schedule);
        }
        assert!(
            text.starts_with("# mine\n\n[[schedule]]\nname = \"a\"\n"),
            "{text}"
        );
        assert_eq!(parse(&text, FILE).unwrap(), schedules);
        let left = remove_schedule(GOOD, "a").unwrap();
        assert!(
            left.starts_with("# ours\n[[schedule]] # two\nname = \"b\""),
            "{left}"
        );
        assert_eq!(remove_schedule(GOOD, "c"), None);
        assert_eq!(remove_schedule("[[schedule]]\n[x]\n", "a"), None);
    }
}
