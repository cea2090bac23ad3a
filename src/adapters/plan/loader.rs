//! Loads a plan: reads the file and its includes, and gives every fault its file, line and text.

use std::{
    collections::BTreeMap,
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    adapters::plan::{plan_copy, safe_open, yaml},
    domain::{
        plan::{
            Plan, PlanError, PlanRemedy,
            node::{YamlNode, YamlValue},
            read,
            read_agent::DEFAULT_PLAN_ID,
        },
        text::line_and_column,
    },
    ports::plan_store::LoadError,
};

/// A larger plan is refused before it is parsed.
pub(crate) const MAX_BYTES: u64 = 48 * 1024 * 1024;
const MAX_INCLUDES: usize = 256;

/// Loads the plan in `path` with the parameters `given`.
pub(crate) fn load(path: &Path, given: &BTreeMap<String, String>) -> Result<Plan, LoadError> {
    if path.as_os_str() == "-" {
        let mut plan = read_bytes(&standard_input()?, given)?;
        if let Some(list) = &mut plan.guarded
            && list.id == DEFAULT_PLAN_ID
        {
            "stdin".clone_into(&mut list.id);
        }
        return Ok(plan);
    }
    let mut files = PlanFiles::default();
    let text = files.open(path)?;
    let root = yaml::parse(&text, 0).map_err(|fault| files.locate(&fault, Some(&text)))?;
    drop(text);
    let mut included = Vec::new();
    files.include(&root, path, &mut included, 0)?;
    let mut plan = read::read(root, included, given).map_err(|fault| files.locate(&fault, None))?;
    if let Some(list) = &mut plan.guarded
        && list.id == DEFAULT_PLAN_ID
    {
        list.id = named_by(path);
    }
    plan.sources = files.names;
    Ok(plan)
}

/// Reads a plan that is not in a file, by the same rules; it has no place from which it could include others.
/// Whatever the bytes are, the answer is a plan or a fault with its place.
pub fn load_bytes(bytes: &[u8]) -> Result<Plan, LoadError> {
    read_bytes(bytes, &BTreeMap::new())
}

fn read_bytes(bytes: &[u8], given: &BTreeMap<String, String>) -> Result<Plan, LoadError> {
    let mut files = PlanFiles::default();
    files.names.push(PathBuf::from("-"));
    if bytes.len() as u64 > MAX_BYTES {
        return Err(files.place((1, 1), &format!("the plan has more than {MAX_BYTES} bytes")));
    }
    let text = files.text(bytes.to_vec())?;
    let wrong = |fault: PlanError| files.locate(&fault, Some(&text));
    let root = yaml::parse(&text, 0).map_err(wrong)?;
    if let Some(list) = root.get("include").filter(|list| !list.is_null()) {
        let message = "only a plan in a file can include others";
        return Err(wrong(PlanError::new(list.mark, message)));
    }
    read::read(root, Vec::new(), given).map_err(wrong)
}

/// Reads a plan from standard input, one byte more than a plan may have.
fn standard_input() -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .lock()
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| LoadError::Unreadable {
        path: PathBuf::from("-"),
        why: error.to_string(),
    })?;
    Ok(bytes)
}

/// Returns the copy of a plan that a run keeps: everything expanded, and read again as the same plan.
pub fn expanded_copy(plan: &Plan) -> std::io::Result<Vec<u8>> {
    let mut copy = Vec::new();
    plan_copy::write(plan, &mut copy)?;
    Ok(copy)
}

/// Returns the name of a plan that does not say one.
fn named_by(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    stem.chars().map(plain).take(60).collect()
}

#[derive(Default)]
struct PlanFiles {
    names: Vec<PathBuf>,
}

impl PlanFiles {
    fn open(&mut self, path: &Path) -> Result<String, LoadError> {
        let refuse = |why: String| LoadError::Unreadable {
            path: path.to_owned(),
            why,
        };
        self.names.push(path.to_owned());
        if let Some(link) = safe_open::symlink_in(path) {
            return Err(refuse(format!(
                "`{}` is a symbolic link; name the file itself",
                link.display()
            )));
        }
        let bytes =
            safe_open::read_regular(path, MAX_BYTES).map_err(|error| refuse(error.to_string()))?;
        self.text(bytes)
    }

    /// Returns the bytes of the newest file as text that the parser understands to the end.
    fn text(&self, bytes: Vec<u8>) -> Result<String, LoadError> {
        let bytes = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
            Some(rest) => rest.to_vec(),
            None => bytes,
        };
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            self.place(line_and_column(&text, at), "this is not UTF-8 text")
        })?;
        // The parser stops without a word at characters YAML does not allow.
        let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
        if let Some((at, found)) = text.char_indices().find(|(_, c)| odd(*c)) {
            let message = format!(
                "the character U+{:04X} is not allowed in YAML",
                u32::from(found)
            );
            return Err(self.place(line_and_column(&text, at), &message));
        }
        Ok(text)
    }

    fn place(&self, (line, column): (usize, usize), message: &str) -> LoadError {
        LoadError::Wrong {
            path: self.names.last().cloned().unwrap_or_default(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            message: message.to_owned(),
            excerpt: String::new(),
            remedy: String::new(),
        }
    }

    /// Opens what `node` includes, depth first.
    fn include(
        &mut self,
        node: &YamlNode,
        path: &Path,
        into: &mut Vec<YamlNode>,
        depth: usize,
    ) -> Result<(), LoadError> {
        let items = match node.get("include").map(|list| (&list.value, list)) {
            None => return Ok(()),
            Some((YamlValue::List(items), _)) => items.iter().collect(),
            Some((_, list)) if list.is_null() => return Ok(()),
            Some((_, one)) => vec![one],
        };
        for item in items {
            let YamlValue::Scalar { text, .. } = &item.value else {
                return Err(self.locate(
                    &PlanError::new(
                        item.mark,
                        format!("`include` names files, found {}", item.display_short()),
                    ),
                    None,
                ));
            };
            let target = path.parent().unwrap_or(Path::new("")).join(&**text);
            if depth > 8 || self.names.len() >= MAX_INCLUDES || self.names.contains(&target) {
                let message = format!("`{text}` is included twice, in a circle, or too deeply");
                return Err(self.locate(&PlanError::new(item.mark, message), None));
            }
            let file = u16::try_from(self.names.len()).unwrap_or(u16::MAX);
            let source = self.open(&target)?;
            let node =
                yaml::parse(&source, file).map_err(|fault| self.locate(&fault, Some(&source)))?;
            drop(source);
            self.include(&node, &target, into, depth + 1)?;
            into.push(node);
        }
        Ok(())
    }

    /// Gives a fault its file and the text of its line; the text is read again where it is not at hand.
    fn locate(&self, fault: &PlanError, text: Option<&str>) -> LoadError {
        let path = self
            .names
            .get(fault.mark.file as usize)
            .cloned()
            .unwrap_or_default();
        let again = match text {
            Some(_) => None,
            None => safe_open::read_regular(&path, MAX_BYTES)
                .ok()
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        };
        let text = text.or(again.as_deref()).unwrap_or_default();
        let line = text
            .lines()
            .nth((fault.mark.line as usize).saturating_sub(1))
            .unwrap_or_default();
        LoadError::Wrong {
            path,
            line: fault.mark.line,
            column: fault.mark.column,
            message: fault.message.clone(),
            excerpt: line.chars().take(160).collect(),
            remedy: remedy(&fault.remedy),
        }
    }
}

/// Returns the key that another tool calls so; what looks alike would be one for another kind of task.
fn meant_by(word: &str) -> Option<&'static str> {
    let others = [
        ("command", "cmd"),
        ("script", "cmd"),
        ("needs", "depends_on"),
    ];
    others
        .into_iter()
        .find(|(other, _)| strsim::normalized_damerau_levenshtein(word, other) >= 0.8)
        .map(|(_, key)| key)
}

fn remedy(remedy: &PlanRemedy) -> String {
    match remedy {
        PlanRemedy::None => String::new(),
        PlanRemedy::Do(text) => text.clone(),
        PlanRemedy::OneOf { word, known } => {
            if let Some(meant) = meant_by(word).filter(|meant| known.iter().any(|key| key == meant))
            {
                return format!("did you mean `{meant}`?");
            }
            let near = known
                .iter()
                .map(|candidate| {
                    (
                        strsim::normalized_damerau_levenshtein(word, candidate),
                        candidate,
                    )
                })
                .max_by(|left, right| left.0.total_cmp(&right.0));
            match near {
                Some((likeness, candidate)) if likeness >= 0.5 => {
                    format!("did you mean `{candidate}`?")
                }
                _ if known.is_empty() => String::new(),
                _ if known.len() <= 24 => format!("known are {}", known.join(", ")),
                _ => String::new(),
            }
        }
    }
}
