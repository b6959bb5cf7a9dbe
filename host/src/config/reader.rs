//! Reads TOML tables so that every mistake is found, with its line and the path of its key.
//!
//! A [`Report`] gathers the findings; a [`Section`] is one table, whose unknown keys it reports when
//! it is opened; a [`Value`] turns into the type that is wanted or reports why it cannot. Absent
//! and wrong both give `None`: the default then keeps the reading going, and the finding keeps the
//! result from being used.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{Finding, Level};

/// The keys of a kind of table.
#[derive(Debug)]
pub struct Shape {
    /// How messages name it, as in `[auth]`; empty for the top of the file.
    pub table: &'static str,
    /// All keys that it may have.
    pub keys: &'static [&'static str],
    /// The other kinds in the same file: a key may have been put in the wrong one.
    pub family: &'static [&'static Shape],
}

/// Findings about one file, and where each key stood.
#[derive(Debug)]
pub struct Report {
    file: PathBuf,
    /// Offset of the first octet of each line.
    starts: Vec<usize>,
    findings: RefCell<Vec<Finding>>,
    lines: RefCell<BTreeMap<String, usize>>,
}

impl Report {
    /// Nothing found yet in `text`, which stands in `file`.
    pub fn new(file: &Path, text: &str) -> Self {
        let ends = text
            .bytes()
            .enumerate()
            .filter(|(_, octet)| *octet == b'\n');
        Self {
            file: file.to_path_buf(),
            starts: std::iter::once(0)
                .chain(ends.map(|(at, _)| at + 1))
                .collect(),
            findings: RefCell::default(),
            lines: RefCell::default(),
        }
    }

    /// Parses `text` as far as it can be parsed; syntax errors become findings.
    pub fn parse<'i>(&self, text: &'i str) -> Spanned<DeTable<'i>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map(|span| span.start);
            self.add(
                Level::Error,
                at,
                "",
                format!("not TOML: {}", error.message()),
            );
        }
        table
    }

    /// Records a finding; `at` is an offset in the file.
    pub fn add(&self, level: Level, at: Option<usize>, key: &str, text: impl Into<String>) {
        self.findings.borrow_mut().push(Finding {
            line: at.map(|at| self.line(at)),
            ..Finding::new(level, &self.file, key, text)
        });
    }

    /// Line of an offset; the first is 1.
    pub fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).max(1)
    }

    /// Whether an error was found so far.
    pub fn has_errors(&self) -> bool {
        self.findings.borrow().iter().any(Finding::is_error)
    }

    /// All findings in the order of their lines, and the line of each key that was there.
    pub fn finish(self) -> (Vec<Finding>, BTreeMap<String, usize>) {
        let mut findings = self.findings.into_inner();
        findings.sort_by_key(|finding| finding.line);
        (findings, self.lines.into_inner())
    }
}

/// One table.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    report: &'a Report,
    path: String,
    at: Option<usize>,
    table: Option<&'a DeTable<'a>>,
}

impl<'a> Section<'a> {
    /// The top of the file.
    pub fn top(report: &'a Report, table: &'a DeTable<'a>, shape: &Shape) -> Self {
        Self::open(report, String::new(), None, table, shape)
    }

    fn open(
        report: &'a Report,
        path: String,
        at: Option<usize>,
        table: &'a DeTable<'a>,
        shape: &Shape,
    ) -> Self {
        let section = Self {
            report,
            path,
            at,
            table: Some(table),
        };
        for (key, _) in table {
            if !shape.keys.contains(&key.get_ref().as_ref()) {
                let path = section.key(key.get_ref());
                let text = unknown(key.get_ref(), shape);
                report.add(Level::Error, Some(key.span().start), &path, text);
            }
        }
        section
    }

    /// Path of a key in this table.
    pub fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// The value of `key`, if it is there.
    pub fn value(&self, key: &'static str) -> Option<Value<'a>> {
        let (found, value) = self.table?.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Value::new(
            self.report,
            self.key(key),
            found.span().start,
            value.get_ref(),
        ))
    }

    /// The table under `key`: empty if it is absent or no table.
    pub fn section(&self, key: &'static str, shape: &Shape) -> Self {
        match self.value(key) {
            Some(value) => value.section(shape),
            None => Self {
                report: self.report,
                path: self.key(key),
                at: self.at,
                table: None,
            },
        }
    }

    /// The tables of an array of tables; `None` if `key` is absent or something else.
    pub fn sections(&self, key: &'static str, shape: &Shape) -> Option<Vec<Self>> {
        let values = self.value(key)?.list_of("tables")?;
        Some(values.iter().map(|value| value.section(shape)).collect())
    }

    /// Whether the table is written in the file.
    pub fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// An error about the table as a whole, or about a key that it lacks.
    pub fn error(&self, key: &str, text: impl Into<String>) {
        self.about(Level::Error, key, text);
    }

    /// A warning about the table as a whole, or about one of its keys.
    pub fn warning(&self, key: &str, text: impl Into<String>) {
        self.about(Level::Warning, key, text);
    }

    fn about(&self, level: Level, key: &str, text: impl Into<String>) {
        let path = if key.is_empty() {
            self.path.clone()
        } else {
            self.key(key)
        };
        let line = self
            .table
            .and_then(|table| table.iter().find(|(name, _)| name.get_ref() == key));
        let at = line.map(|(name, _)| name.span().start).or(self.at);
        self.report.add(level, at, &path, text);
    }
}

/// One value with its place.
#[derive(Debug, Clone)]
pub struct Value<'a> {
    report: &'a Report,
    path: String,
    at: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    fn new(report: &'a Report, path: String, at: usize, value: &'a DeValue<'a>) -> Self {
        report
            .lines
            .borrow_mut()
            .insert(path.clone(), report.line(at));
        Self {
            report,
            path,
            at,
            value,
        }
    }

    /// Path of the key.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Line of the key.
    pub fn line(&self) -> usize {
        self.report.line(self.at)
    }

    /// Records an error here.
    pub fn error(&self, text: impl Into<String>) {
        self.report
            .add(Level::Error, Some(self.at), &self.path, text);
    }

    /// Records a warning here.
    pub fn warning(&self, text: impl Into<String>) {
        self.report
            .add(Level::Warning, Some(self.at), &self.path, text);
    }

    /// Records that the value has another type than the one that is wanted.
    fn mismatch<T>(&self, wanted: &str) -> Option<T> {
        self.error(format!("must be {wanted}, is {}", described(self.value)));
        None
    }

    /// A string.
    pub fn text(&self) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) => Some(text.as_ref()),
            _ => self.mismatch("a string in quotes"),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(*value),
            _ => self.mismatch("true or false, without quotes"),
        }
    }

    /// A whole number in a range.
    pub fn number(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(integer) = self.value else {
            return self.mismatch(&wanted);
        };
        let digits = integer.as_str().replace('_', "");
        match u64::from_str_radix(&digits, integer.radix()) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => self.mismatch(&wanted),
        }
    }

    /// A number of octets: `"8MiB"`, or a plain number.
    pub fn octets(&self) -> Option<u64> {
        const WANTED: &str = "a size such as \"8MiB\"";
        match self.value {
            DeValue::Integer(_) => self.number(0..=i64::MAX.cast_unsigned()),
            DeValue::String(text) => match text.trim().parse::<ByteSize>() {
                Ok(size) => Some(size.as_u64()),
                Err(_) => self.mismatch(WANTED),
            },
            _ => self.mismatch(WANTED),
        }
    }

    /// A time span: `"10ms"`, `"1m 30s"`, `"5d"`.
    pub fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        const WANTED: &str =
            "a time span with its unit, such as \"10ms\", \"1m\", \"4h\" or \"5d\"";
        let DeValue::String(text) = self.value else {
            return self.mismatch(WANTED);
        };
        let Ok(span) = humantime::parse_duration(text.trim()) else {
            return self.mismatch(WANTED);
        };
        if range.contains(&span) {
            return Some(span);
        }
        let shown = |span: &Duration| humantime::format_duration(*span).to_string();
        let (least, most) = (shown(range.start()), shown(range.end()));
        self.error(format!(
            "must be from {least} to {most}, is {}",
            shown(&span)
        ));
        None
    }

    /// A file or folder; a relative one counts from `base`.
    pub fn file(&self, base: &Path) -> Option<PathBuf> {
        let text = self.text()?;
        if text.is_empty() || text.contains('\0') {
            return self.mismatch("the path of a file");
        }
        Some(base.join(text))
    }

    /// One of some words.
    pub fn choice<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let DeValue::String(text) = self.value else {
            return self.mismatch(&one_of(&names));
        };
        if let Some((_, value)) = words.iter().find(|(name, _)| name == text) {
            return Some(*value);
        }
        let near = nearest(text, &names).map(|near| format!("; nearest: \"{near}\""));
        self.error(format!(
            "\"{text}\" is not known; use {}{}",
            one_of(&names),
            near.unwrap_or_default()
        ));
        None
    }

    /// Whether it is `true` or `false`: some keys take a switch or a value.
    pub fn is_boolean(&self) -> bool {
        matches!(self.value, DeValue::Boolean(_))
    }

    /// Whether it is a string: some keys take a file or a table.
    pub fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    /// The keys and values of a table whose keys are free.
    pub fn entries(&self) -> Option<Vec<(&'a str, Self)>> {
        let DeValue::Table(table) = self.value else {
            return self.mismatch("a file, or a table");
        };
        let entry = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let key: &Spanned<std::borrow::Cow<'a, str>> = key;
            let name: &'a str = key.get_ref().as_ref();
            let path = format!("{}.{name}", self.path);
            let value = Self::new(self.report, path, key.span().start, value.get_ref());
            (name, value)
        };
        Some(table.iter().map(entry).collect())
    }

    /// Whether it is a list: some keys take one value or several.
    pub fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    /// A string that says something: not empty, without control characters.
    pub fn words(&self, wanted: &str) -> Option<&'a str> {
        let text = self.text()?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return self.mismatch(wanted);
        }
        Some(text)
    }

    /// The elements of a list.
    pub fn list(&self) -> Option<Vec<Self>> {
        self.list_of("strings")
    }

    fn list_of(&self, what: &str) -> Option<Vec<Self>> {
        let DeValue::Array(array) = self.value else {
            let wanted = match what {
                "tables" => format!("an array of tables: [[{}]]", self.path),
                _ => format!("a list of {what}: [\"...\"]"),
            };
            return self.mismatch(&wanted);
        };
        let element = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| {
            let span: Range<usize> = value.span();
            Self::new(
                self.report,
                format!("{}[{index}]", self.path),
                span.start,
                value.get_ref(),
            )
        };
        Some(array.iter().enumerate().map(element).collect())
    }

    /// A table; empty if it is none.
    pub fn section(&self, shape: &Shape) -> Section<'a> {
        let DeValue::Table(table) = self.value else {
            self.mismatch::<()>(&format!("a table: {}", shape.table));
            return Section {
                report: self.report,
                path: self.path.clone(),
                at: Some(self.at),
                table: None,
            };
        };
        Section::open(self.report, self.path.clone(), Some(self.at), table, shape)
    }
}

/// What a key that nobody knows may have been meant for.
fn unknown(key: &str, shape: &Shape) -> String {
    // One letter wrong is a slip, not another table's key.
    let slip = shape
        .keys
        .iter()
        .any(|own| strsim::damerau_levenshtein(own, key) == 1);
    let home = shape
        .family
        .iter()
        .find(|other| other.keys.contains(&key) && !slip);
    if let Some(home) = home {
        return match home.table {
            "" => {
                "unknown key here; it belongs to the top of the file, before the first table".into()
            }
            table => format!("unknown key here; it belongs to {table}"),
        };
    }
    match nearest(key, shape.keys) {
        Some(near) => format!("unknown key; nearest known key: \"{near}\""),
        None => format!("unknown key; known here: {}", shape.keys.join(", ")),
    }
}

/// The word that looks most like `word`, if any looks like it at all.
pub fn nearest<'w>(word: &str, words: &[&'w str]) -> Option<&'w str> {
    let word = word.to_ascii_lowercase().replace('_', "-");
    let score = |other: &str| {
        // Half of a word's letters wrong is a different word, unless one begins the other.
        let alike = strsim::normalized_damerau_levenshtein(&word, other);
        let begins = word.len() >= 3 && (other.starts_with(&word) || word.starts_with(other));
        if begins { alike.max(0.5) } else { alike }
    };
    let best = words
        .iter()
        .map(|other| (score(other), *other))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.4).then_some(best.1)
}

/// `"a"`, `"b"` or `"c"`.
pub fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// The value as it should be shown to whoever wrote it.
fn described(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string \"{}\"", text.escape_debug()),
        DeValue::Integer(integer) => format!("the number {integer}"),
        DeValue::Float(float) => format!("the number {float}"),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
