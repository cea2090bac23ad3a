//! Parses the text of a plan into nodes with places.
//!
//! The parser is a library; this file guards it: depth and size are bounded (aliases count each time they are
//! used), keys are text and unique, and only the tags of YAML itself are understood.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use crate::domain::plan::{
    node::{PlanError, SourcePosition, YamlEntry, YamlNode, YamlValue},
    scalar,
    scalar::ScalarValue,
};

const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 8_000_000;

/// Parses the one document in `text`; `file` goes into every mark.
pub(crate) fn parse(text: &str, file: u16) -> Result<YamlNode, PlanError> {
    let mut builder = YamlBuilder {
        file,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        nodes: 0,
        root: None,
    };
    let mut documents = 0;
    for item in Parser::new_from_str(text) {
        let (event, span) = item.map_err(|error| {
            let message = format!("this is not YAML: {}", error.info());
            PlanError::new(builder.mark_of(*error.marker()), message)
        })?;
        let mark = builder.mark(span);
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                let message = "a plan is one YAML document, and here a second one begins";
                return Err(PlanError::new(mark, message));
            }
        }
        builder.take(event, mark)?;
    }
    Ok(builder.root.unwrap_or_else(|| YamlNode {
        mark: SourcePosition {
            file,
            line: 1,
            column: 1,
        },
        value: YamlValue::Scalar {
            text: "".into(),
            quoted: false,
        },
    }))
}

fn core_only(
    tag: Option<&Cow<'_, Tag>>,
    suffix: &str,
    mark: SourcePosition,
) -> Result<(), PlanError> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == suffix) => {
            Err(foreign(tag, mark))
        }
        _ => Ok(()),
    }
}

fn foreign(tag: &Tag, mark: SourcePosition) -> PlanError {
    PlanError::new(
        mark,
        format!(
            "the tag `{}{}` means nothing in a plan",
            tag.handle, tag.suffix
        ),
    )
    .with_remedy("remove it")
}

struct YamlFrame {
    mark: SourcePosition,
    anchor: usize,
    shape: YamlShape,
}

enum YamlShape {
    List(Vec<YamlNode>),
    Map {
        entries: Vec<YamlEntry>,
        key: Option<(Box<str>, SourcePosition)>,
        merged: Vec<YamlNode>,
    },
}

struct YamlBuilder {
    file: u16,
    open: Vec<YamlFrame>,
    anchors: BTreeMap<usize, YamlNode>,
    nodes: usize,
    root: Option<YamlNode>,
}

impl YamlBuilder {
    /// Takes one event of the parser into account.
    fn take(&mut self, event: Event<'_>, mark: SourcePosition) -> Result<(), PlanError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), mark)?;
            }
            Event::SequenceStart(anchor, tag) => {
                core_only(tag.as_ref(), "seq", mark)?;
                self.begin(YamlFrame {
                    mark,
                    anchor,
                    shape: YamlShape::List(Vec::new()),
                })?;
            }
            Event::MappingStart(anchor, tag) => {
                core_only(tag.as_ref(), "map", mark)?;
                let shape = YamlShape::Map {
                    entries: Vec::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(YamlFrame {
                    mark,
                    anchor,
                    shape,
                })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => self.alias(anchor, mark)?,
            Event::DocumentStart(_)
            | Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn mark(&self, span: Span) -> SourcePosition {
        self.mark_of(span.start)
    }

    fn mark_of(&self, marker: saphyr_parser::Marker) -> SourcePosition {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        SourcePosition {
            file: self.file,
            line: number(marker.line()),
            column: number(marker.col()).saturating_add(1),
        }
    }

    fn count(&mut self, more: usize, mark: SourcePosition) -> Result<(), PlanError> {
        self.nodes += more;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(
            PlanError::new(mark, format!("the plan has more than {MAX_NODES} values"))
                .with_remedy("split it, or use fewer aliases"),
        )
    }

    fn begin(&mut self, frame: YamlFrame) -> Result<(), PlanError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(PlanError::new(
                frame.mark,
                format!("nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        if self.expects_key() {
            return Err(PlanError::new(
                frame.mark,
                "a key must be text, found a list or a mapping",
            ));
        }
        self.count(1, frame.mark)?;
        self.open.push(frame);
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(YamlFrame {
                shape: YamlShape::Map { key: None, .. },
                ..
            })
        )
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        mark: SourcePosition,
    ) -> Result<(), PlanError> {
        self.count(1, mark)?;
        let quoted = match tag {
            None => style != ScalarStyle::Plain,
            Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
                "str" => true,
                "int" | "float" | "bool" | "null" => false,
                _ => return Err(foreign(tag, mark)),
            },
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => true,
            Some(tag) => return Err(foreign(tag, mark)),
        };
        let node = YamlNode {
            mark,
            value: YamlValue::Scalar {
                text: text.into(),
                quoted,
            },
        };
        if self.expects_key() {
            return self.key(text, quoted, mark);
        }
        self.place(node, anchor)
    }

    fn key(&mut self, text: &str, quoted: bool, mark: SourcePosition) -> Result<(), PlanError> {
        let meaning = if quoted {
            ScalarValue::Text(text)
        } else {
            scalar::parse_scalar(text)
        };
        if !matches!(meaning, ScalarValue::Text(_)) {
            let message = format!("a key must be text, found {}`{text}`", meaning.kind());
            return Err(PlanError::new(mark, message).with_remedy("put the key in quotes"));
        }
        // A quoted `<<` is an ordinary key; the mark remembers nothing of that, so it is told apart here.
        let name = if quoted && text == "<<" {
            "\u{0}<<"
        } else {
            text
        };
        if let Some(YamlFrame {
            shape: YamlShape::Map { key, .. },
            ..
        }) = self.open.last_mut()
        {
            *key = Some((name.into(), mark));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, mark: SourcePosition) -> Result<(), PlanError> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(PlanError::new(
                mark,
                "an alias is used inside the value it stands for",
            ));
        };
        self.count(size(&node), mark)?;
        if let (true, YamlValue::Scalar { text, quoted }) = (self.expects_key(), &node.value) {
            return self.key(text, *quoted, mark);
        }
        if self.expects_key() {
            return Err(PlanError::new(
                mark,
                "a key must be text, found a list or a mapping",
            ));
        }
        self.place(node, 0)
    }

    fn end(&mut self) -> Result<(), PlanError> {
        let Some(frame) = self.open.pop() else {
            return Ok(());
        };
        let value = match frame.shape {
            YamlShape::List(mut items) => {
                items.shrink_to_fit();
                YamlValue::List(items)
            }
            YamlShape::Map {
                mut entries,
                merged,
                ..
            } => {
                refuse_repeats(&entries)?;
                merge(&mut entries, merged)?;
                entries.shrink_to_fit();
                YamlValue::Map(entries)
            }
        };
        self.place(
            YamlNode {
                mark: frame.mark,
                value,
            },
            frame.anchor,
        )
    }

    fn place(&mut self, node: YamlNode, anchor: usize) -> Result<(), PlanError> {
        if anchor > 0 {
            self.count(size(&node), node.mark)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(YamlFrame {
                shape: YamlShape::List(items),
                ..
            }) => items.push(node),
            Some(YamlFrame {
                shape:
                    YamlShape::Map {
                        entries,
                        key,
                        merged,
                    },
                ..
            }) => match key.take() {
                Some((key, _)) if &*key == "<<" => merged.push(node),
                Some((key, mark)) => {
                    let key = if &*key == "\u{0}<<" { "<<".into() } else { key };
                    entries.push(YamlEntry {
                        key,
                        mark,
                        value: node,
                    });
                }
                None => {}
            },
        }
        Ok(())
    }
}

fn size(node: &YamlNode) -> usize {
    match &node.value {
        YamlValue::Scalar { .. } => 1,
        YamlValue::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        YamlValue::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| size(&entry.value))
                .sum::<usize>()
        }
    }
}

fn refuse_repeats(entries: &[YamlEntry]) -> Result<(), PlanError> {
    let repeated = if entries.len() < 24 {
        let is_repeat = |(index, entry): &(usize, &YamlEntry)| {
            entries[..*index].iter().any(|other| other.key == entry.key)
        };
        entries
            .iter()
            .enumerate()
            .find(is_repeat)
            .map(|(_, entry)| entry)
    } else {
        let mut seen = BTreeSet::new();
        entries.iter().find(|entry| !seen.insert(&entry.key))
    };
    let Some(entry) = repeated else {
        return Ok(());
    };
    let first = entries
        .iter()
        .find(|other| other.key == entry.key)
        .map_or(0, |first| first.mark.line);
    let message = format!(
        "the key `{}` is given twice, first in line {first}",
        entry.key
    );
    Err(PlanError::new(entry.mark, message).with_remedy("keep one of them"))
}

/// Adds what `<<` brings: own keys win, then earlier merges.
fn merge(entries: &mut Vec<YamlEntry>, merged: Vec<YamlNode>) -> Result<(), PlanError> {
    for node in merged {
        let mark = node.mark;
        let sources = match node.value {
            YamlValue::List(items) => items,
            value => vec![YamlNode { mark, value }],
        };
        for source in sources {
            let YamlValue::Map(more) = source.value else {
                return Err(PlanError::new(
                    source.mark,
                    "`<<` needs a mapping, or a list of mappings",
                ));
            };
            for entry in more {
                if !entries.iter().any(|own| own.key == entry.key) {
                    entries.push(entry);
                }
            }
        }
    }
    Ok(())
}
