//! Configuration files by behaviour: bad ones with what is to be found in them, good ones with
//! what they mean.
//!
//! In `bad/*.toml` a comment `#! LEVEL KEY: TEXT` says that the line has a finding whose text
//! contains TEXT, and `#!! ...` that one has no line. All findings must be announced, and all
//! announced ones found.

#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod routes;
mod values;

use std::fs;
use std::path::Path;

use super::reader::Shape;
use super::*;

/// The package, whose sources and documents the tests read.
fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn announced(text: &str) -> Vec<(Level, Option<usize>, String, String)> {
    let mut announced = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for note in line.split("#!").skip(1) {
            let (at, note) = match note.strip_prefix('!') {
                Some(rest) => (None, rest),
                None => (Some(index + 1), note),
            };
            let (level, rest) = note.trim().split_once(' ').expect("level and key");
            let (key, text) = rest.split_once(':').expect("key and text");
            let level = match level {
                "error" => Level::Error,
                "warning" => Level::Warning,
                other => panic!("no level: {other}"),
            };
            let key = if key == "-" { "" } else { key };
            announced.push((level, at, key.to_owned(), text.trim().to_owned()));
        }
    }
    announced
}

fn compare(file: &Path) -> Result<(), String> {
    let text = fs::read_to_string(file).unwrap();
    let loaded = Config::load(file);
    let mut expected = announced(&text);
    let mut wrong = String::new();
    for finding in &loaded.findings {
        let fits = |(level, line, key, text): &(Level, Option<usize>, String, String)| {
            *level == finding.level
                && *line == finding.line
                && *key == finding.key
                && finding.text.contains(text.as_str())
        };
        match expected.iter().position(fits) {
            Some(at) => drop(expected.remove(at)),
            None => wrong += &format!("found but not announced: {} {finding}\n", finding.level),
        }
        assert_eq!(finding.file, file);
    }
    for (level, line, key, text) in expected {
        wrong += &format!("announced but not found: {file:?}:{line:?}: {level} {key}: {text}\n");
    }
    let errors = loaded.errors().count();
    if (errors > 0) != loaded.config.is_none() {
        wrong += &format!(
            "{file:?}: {errors} errors, but config is {:?}\n",
            loaded.config.is_some()
        );
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

#[test]
fn every_mistake_is_found_at_its_line() {
    let mut files = 0;
    let mut wrong = String::new();
    for entry in fs::read_dir(package().join("src/config/tests/bad")).unwrap() {
        files += 1;
        wrong += &compare(&entry.unwrap().path()).err().unwrap_or_default();
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(files >= 10, "only {files} files");
}

#[test]
fn every_key_is_documented_and_in_the_example() {
    let page = fs::read_to_string(package().join("../docs/configuration.md")).unwrap();
    let example = fs::read_to_string(package().join("../docs/pillarbox.example.toml")).unwrap();
    for shape in keys::ALL {
        // Tables within a route stand in one line: `auth = { user = ... }`.
        let inline = shape.table.contains(" of ");
        assert!(
            inline || example.contains(shape.table),
            "{} is not in the example",
            shape.table
        );
        for key in shape.keys {
            // At the top, the names of the other tables are keys too.
            let is_table = |table: &&&Shape| table.table.trim_matches(['[', ']']) == *key;
            if shape.table.is_empty()
                && let Some(table) = keys::ALL.iter().find(is_table)
            {
                assert!(
                    page.contains(&format!("## {}", table.table)),
                    "{key} is not documented"
                );
                continue;
            }
            let row = format!("| `{key}` |");
            assert!(
                page.contains(&row),
                "{key} of {} is not documented",
                shape.table
            );
            let shows = |line: &str| {
                let line = line
                    .trim_start_matches("# later: ")
                    .trim_start_matches("# ");
                line.strip_prefix(key)
                    .is_some_and(|rest| rest.trim_start().starts_with('='))
                    || (inline && line.contains(&format!(" {key} = ")))
            };
            assert!(
                example.lines().any(shows),
                "{key} of {} is not in the example",
                shape.table
            );
        }
    }
}

#[test]
fn the_example_of_the_documentation_is_good() {
    let loaded = Config::load(&package().join("../docs/pillarbox.example.toml"));
    let errors: Vec<_> = loaded.errors().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let config = loaded.config.unwrap();
    assert_eq!(config.listeners.len(), 3);
    assert_eq!(config.routes.len(), 4);
}
