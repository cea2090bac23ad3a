//! What a setting of a board may be, and how it is read and written.

use super::ids::{MAX_PROCESSES_PER_ROLE, Millis};

/// A year: nothing on a board is waited for longer.
const LONGEST: i64 = 366 * 24 * 3_600_000;

/// A setting in its place.
pub(super) enum SettingField<'a> {
    /// True or false.
    Switch(&'a mut bool),
    /// A time; a shorter one than the least becomes the least.
    Time(&'a mut Millis, Millis),
    /// How many; what is out of these bounds becomes the nearest.
    Count(&'a mut u32, u32, u32),
    /// At most so many; -1 = any number.
    Number(&'a mut i64, i64),
    /// How many agents of a role.
    Agents(&'a mut u16),
    /// What may be used up; -1 = anything.
    Limit(&'a mut Option<u64>),
    /// A word of a command line or of an address, of so many letters at most: it begins with no dash and is one line.
    Word(&'a mut String, usize),
    /// Any text.
    Text(&'a mut String),
}

impl SettingField<'_> {
    /// Returns it as it is written.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Switch(place) => place.to_string(),
            Self::Time(place, _) => place.to_string(),
            Self::Count(place, ..) => place.to_string(),
            Self::Number(place, _) => place.to_string(),
            Self::Agents(place) => place.to_string(),
            Self::Limit(place) => place.map_or_else(|| "-1".to_owned(), |limit| limit.to_string()),
            Self::Word(place, _) | Self::Text(place) => (*place).clone(),
        }
    }

    /// Takes what is written, or says why not.
    pub(super) fn read(self, name: &str, value: &str) -> Result<(), String> {
        let number = |least, most| number(name, value, least, most);
        match self {
            Self::Switch(place) => *place = switch(name, value)?,
            Self::Time(place, least) => *place = number(0, LONGEST)?.unsigned_abs().max(least),
            Self::Count(place, least, most) => {
                let read = u32::try_from(number(0, 1_000_000)?).unwrap_or(u32::MAX);
                *place = read.clamp(least, most);
            }
            Self::Number(place, most) => *place = number(-1, most)?,
            Self::Agents(place) => {
                let read = number(0, i64::from(MAX_PROCESSES_PER_ROLE))?;
                *place = u16::try_from(read).unwrap_or(0);
            }
            Self::Limit(place) => *place = u64::try_from(number(-1, i64::MAX)?).ok(),
            Self::Word(place, most) => *place = word(name, value, most)?,
            Self::Text(place) => value.clone_into(place),
        }
        Ok(())
    }
}

fn word(name: &str, value: &str, most: usize) -> Result<String, String> {
    let is_plain = !value.starts_with('-') && !value.chars().any(char::is_control);
    if is_plain && value.len() <= most {
        return Ok(value.to_owned());
    }
    Err(format!(
        "{name} is \"{}\"; write at most {most} letters that do not begin with a dash",
        value.escape_debug()
    ))
}

fn switch(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" | "on" | "yes" => Ok(true),
        "false" | "0" | "off" | "no" => Ok(false),
        _ => Err(format!("{name} is \"{value}\"; write true or false")),
    }
}

fn number(name: &str, value: &str, least: i64, most: i64) -> Result<i64, String> {
    let read = value
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    read.ok_or_else(|| {
        format!("{name} is \"{value}\"; write a whole number from {least} to {most}")
    })
}
