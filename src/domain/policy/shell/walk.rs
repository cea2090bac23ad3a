//! Follows the parsed tree in the order the shell would.

use std::sync::Arc;

use brush_parser::{ast, ast::SourceLocation};

use crate::domain::policy::{
    interpretation::LIMITS,
    programs,
    rule::EffectKind,
    shell::{
        ShellInterpreter,
        and_or::raw_words,
        arithmetic::is_expression,
        endless,
        parse::{ParsedText, parsed},
        redirect::CommandStreams,
        size,
        state::{MOST_VALUES, unknown},
    },
};

impl ShellInterpreter<'_, '_> {
    /// Reads a text reached through `via` and returns what it would print.
    pub(in crate::domain::policy) fn run_text(
        &mut self,
        code: &str,
        via: &str,
        stdin: String,
    ) -> String {
        // Other white space is the name of a program to a shell.
        if code.trim_matches([' ', '\t', '\n']).is_empty() {
            return String::new();
        }
        if !self.reading.enter(via) {
            return unknown();
        }
        let printed = self.run_top(code, stdin);
        self.reading.leave();
        printed
    }

    /// Reads a text and returns what it would print.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape of its neighbours, which keep the value"
    )]
    pub(in crate::domain::policy) fn run_top(&mut self, code: &str, stdin: String) -> String {
        if !self.reading.spend_text(code) {
            return unknown();
        }
        if let Some(why) = size::too_much(code) {
            self.reading.given_up = Some(why);
            return unknown();
        }
        self.starts_itself(code);
        let program = match parsed(code, self.reading) {
            ParsedText::Program(program) => program,
            ParsedText::Invalid => {
                self.reading
                    .does(EffectKind::Opaque, "text that is not valid shell");
                return unknown();
            }
            ParsedText::NotInTime(why) => {
                self.reading.given_up = Some(why);
                return unknown();
            }
        };
        let (choice, choices) = (self.choice, self.choices);
        let mut printed = String::new();
        let outer = std::mem::take(&mut self.state.traps);
        for list in &program.complete_commands {
            printed.push_str(&self.list(list, &stdin));
        }
        for code in std::mem::replace(&mut self.state.traps, outer) {
            drop(self.aside(|shell| shell.run_text(&code, "trap", String::new())));
        }
        (self.choice, self.choices) = (choice, choices);
        printed
    }

    pub(super) fn list(&mut self, list: &ast::CompoundList, stdin: &str) -> String {
        let mut printed = String::new();
        for ast::CompoundListItem(item, separator) in &list.0 {
            if !self.reading.spend() {
                return unknown();
            }
            let behind = matches!(separator, ast::SeparatorOperator::Async);
            self.state.pipes += u32::from(behind);
            let before = self.state.folders.clone();
            let text = self.and_or(item, stdin);
            if item.additional.is_empty()
                && (!self.state.stops_on_failure || self.state.conditions > 0)
                && self.may_not_be_there(&before)
            {
                self.may_also_be_in(before);
            }
            self.state.pipes = self.state.pipes.saturating_sub(u32::from(behind));
            if printed.len() + text.len() <= LIMITS.bytes {
                printed.push_str(&text);
            }
        }
        printed
    }

    /// Runs what may or may not happen: afterwards the shell may be where it was.
    fn maybe<T>(&mut self, inner: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.state.folders.clone();
        self.state.conditions += 1;
        let result = inner(self);
        self.state.conditions -= 1;
        self.may_also_be_in(before);
        result
    }

    pub(super) fn pipeline(&mut self, pipeline: &ast::Pipeline, stdin: &str) -> String {
        self.empties_its_input(&pipeline.seq);
        self.seals(&pipeline.seq);
        for command in &pipeline.seq {
            if let ast::Command::Simple(simple) = command
                && simple
                    .word_or_name
                    .as_ref()
                    .is_some_and(|name| name.value == "git")
            {
                self.tells_git_keys(raw_words(simple));
            }
        }
        if let [only] = pipeline.seq.as_slice() {
            if pipeline.bang {
                return self.without_stop(|shell| shell.command(only, stdin.to_owned()));
            }
            return self.command(only, stdin.to_owned());
        }
        self.endless_line(pipeline);
        let mut text = stdin.to_owned();
        for (at, command) in pipeline.seq.iter().enumerate() {
            self.state.pipes += 1;
            let behind = pipeline.seq.get(at + 1..).unwrap_or_default();
            text = self.aside(|shell| {
                shell.state.filters = behind.iter().any(is_filter);
                shell.command(command, text)
            });
            self.state.pipes = self.state.pipes.saturating_sub(1);
        }
        text
    }

    fn command(&mut self, command: &ast::Command, stdin: String) -> String {
        if !self.reading.spend() {
            return unknown();
        }
        let place = command.location();
        self.reading
            .starts_line(place.map(|place| place.start.line));
        match command {
            ast::Command::Simple(simple) => self.simple(simple, stdin),
            ast::Command::Compound(compound, redirects) => {
                let streams = self.streams(redirects.as_ref(), stdin);
                let before = self.reading.acts.len();
                let printed = self.compound(compound, &streams.stdin);
                if let Some((file, _)) = &streams.file {
                    self.group_prints_keys(before, file);
                }
                self.deliver(&streams, printed)
            }
            ast::Command::Function(function) => {
                self.define(function);
                String::new()
            }
            ast::Command::ExtendedTest(test, redirects) => {
                let streams = self.streams(redirects.as_ref(), stdin);
                self.extended_test(&test.expr);
                self.deliver(&streams, String::new())
            }
        }
    }

    fn compound(&mut self, compound: &ast::CompoundCommand, stdin: &str) -> String {
        match compound {
            ast::CompoundCommand::Arithmetic(command) => {
                drop(self.arithmetic(&command.expr.value));
                // The parser also takes `( ( command ) )` for arithmetic.
                if is_expression(&command.expr.value) {
                    return String::new();
                }
                self.perhaps_commands(&command.expr.value, stdin)
            }
            ast::CompoundCommand::ArithmeticForClause(clause) => {
                for part in [&clause.initializer, &clause.condition, &clause.updater]
                    .into_iter()
                    .flatten()
                {
                    drop(self.arithmetic(&part.value));
                }
                match &clause.condition {
                    None => self.endless(None, false, &clause.body.list),
                    Some(part) => self.many_jobs(&part.value, &clause.body.list),
                }
                self.repeated(&clause.body.list, stdin)
            }
            ast::CompoundCommand::BraceGroup(group) => self.list(&group.list, stdin),
            ast::CompoundCommand::Subshell(shell) => {
                self.aside(|inner| inner.list(&shell.list, stdin))
            }
            ast::CompoundCommand::ForClause(clause) => self.for_clause(clause, stdin),
            ast::CompoundCommand::CaseClause(clause) => self.case_clause(clause, stdin),
            ast::CompoundCommand::IfClause(clause) => self.if_clause(clause, stdin),
            ast::CompoundCommand::WhileClause(clause)
            | ast::CompoundCommand::UntilClause(clause) => {
                let until = matches!(compound, ast::CompoundCommand::UntilClause(_));
                self.endless(Some(&clause.0), until, &clause.1.list);
                let mut printed = self.list(&clause.0, stdin);
                printed.push_str(&self.repeated(&clause.1.list, stdin));
                printed
            }
            ast::CompoundCommand::Coprocess(process) => {
                // Anybody may write to it later.
                self.aside(|inner| inner.command(&process.body, unknown()))
            }
        }
    }

    /// Reads a loop's body twice, so that what one round sets the next one sees.
    fn repeated(&mut self, body: &ast::CompoundList, stdin: &str) -> String {
        let before = self.state.variables.len();
        let mut printed = self.maybe(|shell| shell.list(body, stdin));
        if self.state.variables.len() != before {
            printed.push_str(&self.maybe(|shell| shell.list(body, stdin)));
        }
        printed
    }

    /// Reads a text that may be commands; one that cannot be parsed is none.
    fn perhaps_commands(&mut self, code: &str, stdin: &str) -> String {
        let program = match parsed(code, self.reading) {
            ParsedText::Program(program) => program,
            ParsedText::Invalid => return String::new(),
            ParsedText::NotInTime(why) => {
                self.reading.given_up = Some(why);
                return String::new();
            }
        };
        let lists = program.complete_commands.iter();
        self.aside(|shell| lists.map(|list| shell.list(list, stdin)).collect())
    }

    fn for_clause(&mut self, clause: &ast::ForClauseCommand, stdin: &str) -> String {
        let values = match &clause.values {
            Some(words) => self.expand_all(words.iter().map(|word| word.value.as_str())),
            None => self.state.parameters.clone(),
        };
        let words = clause
            .values
            .iter()
            .flatten()
            .map(|word| word.value.as_str());
        let words: Vec<&str> = words.collect();
        // Plain words are counted, whatever number they are.
        let is_plain = |word: &&&str| word.chars().all(|c| c.is_ascii_digit());
        let count = words.len().to_string();
        let named = words.iter().filter(|word| !is_plain(word)).copied();
        let named: Vec<&str> = named.chain([count.as_str()]).collect();
        self.many_jobs(&named.join(" "), &clause.body.list);
        self.assign_all(&clause.variable_name, &values);
        self.repeated(&clause.body.list, stdin)
    }

    /// Expands words, taking every value their variables may have.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape of its neighbours, which keep the value"
    )]
    pub(super) fn expand_all<'a>(
        &mut self,
        words: impl Iterator<Item = &'a str> + Clone,
    ) -> Vec<String> {
        let kept = (self.choice, self.choices);
        (self.choice, self.choices) = (0, 1);
        let mut values = Vec::new();
        while self.choice < self.choices.min(MOST_VALUES) {
            for word in words.clone() {
                for value in self.expand(word) {
                    if !values.contains(&value) {
                        values.push(value);
                    }
                }
            }
            self.choice += 1;
        }
        (self.choice, self.choices) = kept;
        values
    }

    fn case_clause(&mut self, clause: &ast::CaseClauseCommand, stdin: &str) -> String {
        drop(self.expand_one(&clause.value.value));
        let mut printed = String::new();
        for item in &clause.cases {
            for pattern in &item.patterns {
                drop(self.expand_one(&pattern.value));
            }
            if let Some(list) = &item.cmd {
                printed.push_str(&self.maybe(|shell| shell.list(list, stdin)));
            }
        }
        printed
    }

    fn if_clause(&mut self, clause: &ast::IfClauseCommand, stdin: &str) -> String {
        let mut printed = self.without_stop(|shell| shell.list(&clause.condition, stdin));
        printed.push_str(&self.maybe(|shell| shell.list(&clause.then, stdin)));
        for branch in clause.elses.iter().flatten() {
            printed.push_str(&self.maybe(|shell| {
                let mut printed = branch
                    .condition
                    .as_ref()
                    .map_or_else(String::new, |condition| shell.list(condition, stdin));
                printed.push_str(&shell.list(&branch.body, stdin));
                printed
            }));
        }
        printed
    }

    fn define(&mut self, function: &ast::FunctionDefinition) {
        let name = self.expand_one(&function.fname.value);
        let body = Arc::new(function.body.clone());
        let by_itself = name == "command_not_found_handle";
        drop(self.state.functions.insert(name.clone(), body));
        if by_itself {
            drop(self.call(&name, &[], unknown()));
        }
    }

    /// Reads the body of a function with the given arguments.
    pub(in crate::domain::policy) fn call(
        &mut self,
        name: &str,
        args: &[String],
        stdin: String,
    ) -> String {
        let Some(body) = self.state.functions.get(name).cloned() else {
            return unknown();
        };
        let depth = self.state.calls.iter().filter(|call| *call == name).count();
        if depth > 0 && self.state.pipes > 0 {
            self.reading.does(
                EffectKind::System,
                format!("`{name}` starts itself again and again"),
            );
        }
        if depth > 1 || !self.reading.enter(name) {
            return unknown();
        }
        self.state.calls.push(name.to_owned());
        let outer = std::mem::replace(&mut self.state.parameters, args.to_vec());
        let streams = self.streams(body.1.as_ref(), stdin);
        let printed = self.compound(&body.0, &streams.stdin);
        let printed = self.deliver(&streams, printed);
        self.state.parameters = outer;
        drop(self.state.calls.pop());
        self.reading.leave();
        printed
    }

    fn extended_test(&mut self, test: &ast::ExtendedTestExpr) {
        match test {
            ast::ExtendedTestExpr::And(left, right) | ast::ExtendedTestExpr::Or(left, right) => {
                self.extended_test(left);
                self.extended_test(right);
            }
            ast::ExtendedTestExpr::Not(inner) | ast::ExtendedTestExpr::Parenthesized(inner) => {
                self.extended_test(inner);
            }
            ast::ExtendedTestExpr::UnaryTest(test, word) => {
                let value = self.expand_one(&word.value);
                if test.to_string() == "-v" {
                    self.hidden_substitutions(&value);
                }
            }
            ast::ExtendedTestExpr::BinaryTest(test, left, right) => {
                let counts = test.to_string().starts_with('-');
                for word in [left, right] {
                    let value = self.expand_one(&word.value);
                    if counts {
                        drop(self.arithmetic(&value));
                    }
                }
            }
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape of its neighbours, which keep the value"
    )]
    fn simple(&mut self, simple: &ast::SimpleCommand, stdin: String) -> String {
        let kept = (self.choice, self.choices);
        (self.choice, self.choices) = (0, 1);
        let mut printed = String::new();
        while self.choice < self.choices.min(MOST_VALUES) && self.reading.spend() {
            let text = self.simple_once(simple, stdin.clone());
            if self.choice == 0 {
                printed = text;
            } else if printed != text {
                printed.push_str(&text);
            }
            self.choice += 1;
        }
        (self.choice, self.choices) = kept;
        printed
    }

    fn simple_once(&mut self, simple: &ast::SimpleCommand, stdin: String) -> String {
        let mut streams = CommandStreams::new(stdin);
        let mut assigned: Vec<&ast::Assignment> = Vec::new();
        let mut words: Vec<String> = Vec::new();
        let prefix = simple.prefix.iter().flat_map(|prefix| &prefix.0);
        for item in prefix {
            if let ast::CommandPrefixOrSuffixItem::AssignmentWord(assignment, _) = item {
                assigned.push(assignment);
            } else {
                self.item(item, &mut words, &mut streams);
            }
        }
        let raw = simple.word_or_name.as_ref().map(|word| word.value.as_str());
        if let Some(raw) = raw {
            if let Some(alias) = self.state.aliases.get(raw).cloned() {
                return self.run_alias(raw, &alias, simple, streams);
            }
            words.extend(self.expand(raw));
        }
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            self.item(item, &mut words, &mut streams);
            if !self.reading.holds(words.len()) {
                return unknown();
            }
        }
        let printed = if words.is_empty() {
            for assignment in assigned {
                self.endless_value(&assignment.value.to_string());
                self.assignment(assignment);
            }
            String::new()
        } else {
            let input = std::mem::take(&mut streams.stdin);
            let file = streams.file.as_ref();
            if let Some((file, _)) = file.filter(|(file, _)| !file.starts_with("/dev/")) {
                self.prints_keys(&words, file);
            }
            self.fills(&words, file.map_or("/dev/null", |(file, _)| file));
            let stays = words == ["exec"];
            let printed = self.with_assignments(&assigned, |shell| shell.dispatch(words, input));
            // What comes later goes there, too.
            if stays { unknown() } else { printed }
        };
        self.deliver(&streams, printed)
    }

    /// Sets variables for the time of one command.
    fn with_assignments(
        &mut self,
        assigned: &[&ast::Assignment],
        inner: impl FnOnce(&mut Self) -> String,
    ) -> String {
        if assigned.is_empty() {
            return inner(self);
        }
        let names = assigned.iter().map(|assignment| match &assignment.name {
            ast::AssignmentName::VariableName(name)
            | ast::AssignmentName::ArrayElementName(name, _) => name.clone(),
        });
        // What a builtin sets besides, as in `IFS= read line`, stays.
        let kept: Vec<_> = names
            .map(|name| (self.state.variables.get(&name).cloned(), name))
            .collect();
        for assignment in assigned {
            self.assignment(assignment);
        }
        let printed = inner(self);
        for (before, name) in kept {
            match before {
                Some(before) => drop(self.state.variables.insert(name, before)),
                None => drop(self.state.variables.remove(&name)),
            }
        }
        printed
    }

    fn item(
        &mut self,
        item: &ast::CommandPrefixOrSuffixItem,
        words: &mut Vec<String>,
        streams: &mut CommandStreams,
    ) {
        match item {
            ast::CommandPrefixOrSuffixItem::IoRedirect(redirect) => {
                self.redirect(redirect, streams);
            }
            ast::CommandPrefixOrSuffixItem::Word(word) => {
                let at_home = self.assigned_home(&word.value);
                words.extend(self.expand(at_home.as_deref().unwrap_or(&word.value)));
            }
            ast::CommandPrefixOrSuffixItem::AssignmentWord(assignment, word) => {
                let at_home = self.assigned_home(&word.value);
                let raw = at_home.as_deref().unwrap_or(&word.value);
                words.push(self.assignment_word(assignment, raw));
            }
            ast::CommandPrefixOrSuffixItem::ProcessSubstitution(kind, shell) => {
                let path = self.process_substitution(kind, shell);
                words.push(path);
            }
        }
    }

    /// Expands `name=value` behind `export` and its like; a list is assigned here and now.
    fn assignment_word(&mut self, assignment: &ast::Assignment, raw: &str) -> String {
        if matches!(assignment.value, ast::AssignmentValue::Array(_)) {
            self.assignment(assignment);
            return raw.split('=').next().unwrap_or(raw).to_owned();
        }
        self.expand_one(raw)
    }

    fn assignment(&mut self, assignment: &ast::Assignment) {
        let name = match &assignment.name {
            ast::AssignmentName::VariableName(name) => name,
            ast::AssignmentName::ArrayElementName(name, index) => {
                drop(self.arithmetic(index));
                name
            }
        };
        let value = match &assignment.value {
            ast::AssignmentValue::Scalar(word) => vec![self.expand_one(&word.value)],
            ast::AssignmentValue::Array(items) => items
                .iter()
                .flat_map(|(_, word)| self.expand(&word.value))
                .collect(),
        };
        let element = matches!(assignment.name, ast::AssignmentName::ArrayElementName(..));
        let value = match (assignment.append || element, &assignment.value) {
            (false, _) => value,
            (true, ast::AssignmentValue::Scalar(_)) if !element => {
                let before = self.lookup(name).unwrap_or_default().concat();
                vec![format!("{before}{}", value.concat())]
            }
            (true, _) => [self.lookup(name).unwrap_or_default(), value].concat(),
        };
        programs::inspect_variable(self, name, &value.join(" "));
        self.assign(name, value);
    }

    fn run_alias(
        &mut self,
        name: &str,
        alias: &str,
        simple: &ast::SimpleCommand,
        streams: CommandStreams,
    ) -> String {
        let rest = simple
            .suffix
            .as_ref()
            .map_or_else(String::new, ToString::to_string);
        let kept = self.state.aliases.remove(name);
        let printed = self.run_text(&format!("{alias} {rest}"), name, streams.stdin);
        if let Some(alias) = kept {
            drop(self.state.aliases.insert(name.to_owned(), alias));
        }
        printed
    }
}

/// Returns whether a command picks a few of the lines that it is given.
fn is_filter(command: &ast::Command) -> bool {
    let ast::Command::Simple(simple) = command else {
        return false;
    };
    let suffix = simple.suffix.iter().flat_map(|suffix| &suffix.0);
    let args: Vec<&str> = suffix
        .filter_map(|item| match item {
            ast::CommandPrefixOrSuffixItem::Word(word) => Some(word.value.as_str()),
            ast::CommandPrefixOrSuffixItem::IoRedirect(_)
            | ast::CommandPrefixOrSuffixItem::AssignmentWord(..)
            | ast::CommandPrefixOrSuffixItem::ProcessSubstitution(..) => None,
        })
        .collect();
    programs::environment::narrows(endless::name_of(simple), &args)
}
