//! What has been understood of a command so far: its parts, what they would do, and how much is left to spend.

use crate::domain::policy::{
    PolicyContext,
    partial_text::{base_name, readable},
    resolved_path::ResolvedPath,
    rule::EffectKind,
};

/// What one part of a command would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CommandEffect {
    /// Reads a file.
    Read(ResolvedPath),
    /// Changes or creates a file.
    Write(ResolvedPath),
    /// Removes or empties a file or folder.
    Delete(ResolvedPath),
    /// Does something that is not about a path; with what it is, in words.
    Does(EffectKind, String),
}

impl CommandEffect {
    /// Returns whether the path is a pattern that ends in a wildcard, so that nearly every rule may be about it.
    fn is_open(&self) -> bool {
        match self {
            Self::Read(place) | Self::Write(place) | Self::Delete(place) => {
                place.path().is_some_and(|path| path.ends_with('*'))
            }
            Self::Does(..) => false,
        }
    }
}

/// What an effect on an open pattern counts, in parts.
const OPEN_COST: u32 = 12;

/// One command inside the command.
#[derive(Debug, Clone, Default)]
pub(super) struct SimpleCommand {
    /// Program and arguments after all quoting and expansion.
    pub(super) words: Vec<String>,
    /// The programs through which it was reached.
    pub(super) via: Vec<String>,
    /// The folder it starts in, absolute, where that is known.
    pub(super) folder: Option<String>,
    /// What comes in at its standard input, for programs that apply a patch.
    pub(super) fed: String,
    /// The line of the text that it stands in, counted from 1; 0 where nobody knows.
    pub(super) line: usize,
}

impl SimpleCommand {
    /// Returns the name of the program, without folders; empty where there is no word.
    pub(super) fn program(&self) -> &str {
        self.words.first().map_or("", |word| base_name(word))
    }
}

/// A command of git that was read.
#[derive(Debug, Clone)]
pub(super) struct GitInvocation {
    /// The index of the command it is part of.
    pub(super) at: usize,
    /// What git is to do.
    pub(super) verb: String,
    /// What stands behind that.
    pub(super) args: Vec<String>,
    /// The folder it starts in, from the root; `None` = elsewhere, or not known.
    pub(super) folder: Option<String>,
}

/// The most a command may be made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct ParseLimits {
    /// Bytes of text.
    pub(super) bytes: usize,
    /// Parts visited.
    pub(super) nodes: u32,
    /// Words of one command.
    pub(super) words: usize,
    /// Texts inside texts.
    pub(super) depth: u32,
}

/// The limits in force; what is larger is refused.
pub(super) const LIMITS: ParseLimits = ParseLimits {
    bytes: 64 * 1024,
    nodes: 1_000,
    words: 1_200,
    depth: 24,
};

/// The state of reading one command.
#[derive(Debug)]
pub(super) struct Interpretation<'w> {
    /// The circumstances.
    pub(super) world: &'w PolicyContext,
    /// The commands found, in order.
    pub(super) acts: Vec<SimpleCommand>,
    /// What they would do: the index of the command, and the effect.
    pub(super) effects: Vec<(usize, CommandEffect)>,
    /// What git is to do, in order.
    pub(super) git: Vec<GitInvocation>,
    /// Why reading was given up, if it was.
    pub(super) given_up: Option<&'static str>,
    /// Texts that were given to an attempt at parsing elsewhere.
    pub(super) attempts: Vec<String>,
    via: Vec<String>,
    line: usize,
    nodes: u32,
    bytes: usize,
    produced: usize,
}

impl<'w> Interpretation<'w> {
    /// Starts with nothing understood.
    pub(super) const fn new(world: &'w PolicyContext) -> Self {
        Self {
            world,
            acts: Vec::new(),
            effects: Vec::new(),
            git: Vec::new(),
            given_up: None,
            attempts: Vec::new(),
            via: Vec::new(),
            line: 0,
            nodes: 0,
            bytes: 0,
            produced: 0,
        }
    }

    /// Spends a part of the budget; returns false when nothing more may be read.
    pub(super) fn spend(&mut self) -> bool {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > LIMITS.nodes {
            self.given_up = Some("it has too many parts");
        }
        self.given_up.is_none()
    }

    /// Spends for a text that is about to be read; returns false when it must not be.
    pub(super) fn spend_text(&mut self, text: &str) -> bool {
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > LIMITS.bytes * 4 || text.len() > LIMITS.bytes {
            self.given_up = Some("it is too long");
        }
        self.spend()
    }

    /// Returns whether one command may have this many words.
    pub(super) fn holds(&mut self, words: usize) -> bool {
        if words > LIMITS.words {
            self.given_up = Some("it has too many parts");
        }
        self.given_up.is_none()
    }

    /// Spends for text that was put together; returns false when it is too much.
    pub(super) fn spend_value(&mut self, bytes: usize) -> bool {
        self.produced = self.produced.saturating_add(bytes);
        if self.produced > LIMITS.bytes * 4 {
            self.given_up = Some("it puts together too much text");
        }
        self.given_up.is_none()
    }

    /// Records a command about to be looked at.
    pub(super) fn act(&mut self, words: &[String]) {
        self.acts.push(SimpleCommand {
            words: words.iter().map(|word| readable(word)).collect(),
            via: self.via.clone(),
            folder: None,
            fed: String::new(),
            line: self.line,
        });
    }

    /// Records which line of the text is read; lines of a text inside of the text are none of it.
    pub(super) fn starts_line(&mut self, line: Option<usize>) {
        if let Some(line) = line.filter(|_| self.via.is_empty()) {
            self.line = line;
        }
    }

    /// Records what the command looked at last is fed.
    pub(super) fn act_is_fed(&mut self, text: &str) {
        if let Some(act) = self.acts.last_mut() {
            text.clone_into(&mut act.fed);
        }
    }

    /// Records where the command looked at last starts.
    pub(super) fn act_starts_in(&mut self, folder: Option<String>) {
        if let Some(act) = self.acts.last_mut() {
            act.folder = folder;
        }
    }

    /// Records an effect of the command looked at last. Each is held against every rule, and one whose path is a pattern
    /// with an open end costs as much there as many others.
    pub(super) fn effect(&mut self, effect: CommandEffect) {
        let nodes = if effect.is_open() { OPEN_COST } else { 1 };
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > LIMITS.nodes {
            self.given_up = Some("it has too many parts");
            return;
        }
        if self.acts.is_empty() {
            self.acts.push(SimpleCommand {
                line: self.line,
                ..SimpleCommand::default()
            });
        }
        let at = self.acts.len().saturating_sub(1);
        self.effects.push((at, effect));
    }

    /// Records an effect that is not about a path.
    pub(super) fn does(&mut self, what: EffectKind, words: impl Into<String>) {
        self.effect(CommandEffect::Does(what, words.into()));
    }

    /// Records that something cannot be known.
    pub(super) fn opaque(&mut self, words: impl Into<String>) {
        self.does(EffectKind::Opaque, words);
    }

    /// Goes one level deeper, through `program`; returns false when that is too deep.
    pub(super) fn enter(&mut self, program: &str) -> bool {
        if self.via.len() >= LIMITS.depth as usize {
            self.given_up = Some("it is nested too deeply");
            return false;
        }
        self.via.push(program.to_owned());
        self.spend()
    }

    /// Returns whether the text of a file with this name is being read.
    pub(super) fn is_inside(&self, file: &str) -> bool {
        self.via.iter().any(|via| base_name(via) == file)
    }

    /// Comes back from one level deeper.
    pub(super) fn leave(&mut self) {
        drop(self.via.pop());
    }
}
