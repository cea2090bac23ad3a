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
    node::{Entry, Fault, Mark, Node, Value},
    scalar::{self, Meaning},
};

const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 8_000_000;

/// Parses the one document in `text`; `file` goes into every mark.
pub(crate) fn parse(text: &str, file: u16) -> Result<Node, Fault> {
    let mut builder = Builder {
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
            Fault::new(builder.mark_of(*error.marker()), message)
        })?;
        let mark = builder.mark(span);
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                let message = "a plan is one YAML document, and here a second one begins";
                return Err(Fault::new(mark, message));
            }
        }
        builder.take(event, mark)?;
    }
    Ok(builder.root.unwrap_or_else(|| Node {
        mark: Mark {
            file,
            line: 1,
            column: 1,
        },
        value: Value::Scalar {
            text: "".into(),
            quoted: false,
        },
    }))
}

fn core_only(tag: Option<&Cow<'_, Tag>>, suffix: &str, mark: Mark) -> Result<(), Fault> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == suffix) => {
            Err(foreign(tag, mark))
        }
        _ => Ok(()),
    }
}

fn foreign(tag: &Tag, mark: Mark) -> Fault {
    Fault::new(
        mark,
        format!(
            "the tag `{}{}` means nothing in a plan",
            tag.handle, tag.suffix
        ),
    )
    .with("remove it")
}

struct Frame {
    mark: Mark,
    anchor: usize,
    shape: Shape,
}

enum Shape {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<(Box<str>, Mark)>,
        merged: Vec<Node>,
    },
}

struct Builder {
    file: u16,
    open: Vec<Frame>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder {
    /// Takes one event of the parser into account.
    fn take(&mut self, event: Event<'_>, mark: Mark) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), mark)?;
            }
            Event::SequenceStart(anchor, tag) => {
                core_only(tag.as_ref(), "seq", mark)?;
                self.begin(Frame {
                    mark,
                    anchor,
                    shape: Shape::List(Vec::new()),
                })?;
            }
            Event::MappingStart(anchor, tag) => {
                core_only(tag.as_ref(), "map", mark)?;
                let shape = Shape::Map {
                    entries: Vec::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.begin(Frame {
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

    fn mark(&self, span: Span) -> Mark {
        self.mark_of(span.start)
    }

    fn mark_of(&self, marker: saphyr_parser::Marker) -> Mark {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Mark {
            file: self.file,
            line: number(marker.line()),
            column: number(marker.col()).saturating_add(1),
        }
    }

    fn count(&mut self, more: usize, mark: Mark) -> Result<(), Fault> {
        self.nodes += more;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        Err(
            Fault::new(mark, format!("the plan has more than {MAX_NODES} values"))
                .with("split it, or use fewer aliases"),
        )
    }

    fn begin(&mut self, frame: Frame) -> Result<(), Fault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Fault::new(
                frame.mark,
                format!("nested more than {MAX_DEPTH} levels deep"),
            ));
        }
        if self.expects_key() {
            return Err(Fault::new(
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
            Some(Frame {
                shape: Shape::Map { key: None, .. },
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
        mark: Mark,
    ) -> Result<(), Fault> {
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
        let node = Node {
            mark,
            value: Value::Scalar {
                text: text.into(),
                quoted,
            },
        };
        if self.expects_key() {
            return self.key(text, quoted, mark);
        }
        self.place(node, anchor)
    }

    fn key(&mut self, text: &str, quoted: bool, mark: Mark) -> Result<(), Fault> {
        let meaning = if quoted {
            Meaning::Text(text)
        } else {
            scalar::meaning(text)
        };
        if !matches!(meaning, Meaning::Text(_)) {
            let message = format!("a key must be text, found {}`{text}`", meaning.kind());
            return Err(Fault::new(mark, message).with("put the key in quotes"));
        }
        // A quoted `<<` is an ordinary key; the mark remembers nothing of that, so it is told apart here.
        let name = if quoted && text == "<<" {
            "\u{0}<<"
        } else {
            text
        };
        if let Some(Frame {
            shape: Shape::Map { key, .. },
            ..
        }) = self.open.last_mut()
        {
            *key = Some((name.into(), mark));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), Fault> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Fault::new(
                mark,
                "an alias is used inside the value it stands for",
            ));
        };
        self.count(size(&node), mark)?;
        if let (true, Value::Scalar { text, quoted }) = (self.expects_key(), &node.value) {
            return self.key(text, *quoted, mark);
        }
        if self.expects_key() {
            return Err(Fault::new(
                mark,
                "a key must be text, found a list or a mapping",
            ));
        }
        self.place(node, 0)
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.open.pop() else {
            return Ok(());
        };
        let value = match frame.shape {
            Shape::List(mut items) => {
                items.shrink_to_fit();
                Value::List(items)
            }
            Shape::Map {
                mut entries,
                merged,
                ..
            } => {
                refuse_repeats(&entries)?;
                merge(&mut entries, merged)?;
                entries.shrink_to_fit();
                Value::Map(entries)
            }
        };
        self.place(
            Node {
                mark: frame.mark,
                value,
            },
            frame.anchor,
        )
    }

    fn place(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if anchor > 0 {
            self.count(size(&node), node.mark)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Frame {
                shape: Shape::List(items),
                ..
            }) => items.push(node),
            Some(Frame {
                shape:
                    Shape::Map {
                        entries,
                        key,
                        merged,
                    },
                ..
            }) => match key.take() {
                Some((key, _)) if &*key == "<<" => merged.push(node),
                Some((key, mark)) => {
                    let key = if &*key == "\u{0}<<" { "<<".into() } else { key };
                    entries.push(Entry {
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

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Scalar { .. } => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => {
            1 + entries
                .iter()
                .map(|entry| size(&entry.value))
                .sum::<usize>()
        }
    }
}

fn refuse_repeats(entries: &[Entry]) -> Result<(), Fault> {
    let repeated = if entries.len() < 24 {
        let is_repeat = |(index, entry): &(usize, &Entry)| {
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
    Err(Fault::new(entry.mark, message).with("keep one of them"))
}

/// Adds what `<<` brings: own keys win, then earlier merges.
fn merge(entries: &mut Vec<Entry>, merged: Vec<Node>) -> Result<(), Fault> {
    for node in merged {
        let mark = node.mark;
        let sources = match node.value {
            Value::List(items) => items,
            value => vec![Node { mark, value }],
        };
        for source in sources {
            let Value::Map(more) = source.value else {
                return Err(Fault::new(
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
