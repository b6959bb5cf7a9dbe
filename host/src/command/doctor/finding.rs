//! What a check found, and how it is shown.

use crate::outbound::trace::printable;
use serde::Serialize;
use std::io::{self, Write};

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Not tried.
    Skip,
    /// Mail goes, but somebody should look.
    Warn,
    /// Mail does not go.
    Fail,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// How good it is.
    pub(super) level: Level,
    /// Name of the route; `None`: this host.
    pub(super) route: Option<String>,
    /// What was looked at.
    pub(super) check: &'static str,
    /// What was found.
    pub(super) text: String,
    /// What to do about it.
    pub(super) advice: Option<String>,
}

/// What all checks of one route, or of this host, found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Findings {
    route: Option<String>,
    /// In the order of the checks.
    pub(super) all: Vec<Finding>,
}

impl Findings {
    /// None so far.
    pub(super) fn of(route: Option<&str>) -> Self {
        Self {
            route: route.map(str::to_owned),
            all: Vec::new(),
        }
    }

    pub(super) fn ok(&mut self, check: &'static str, text: impl Into<String>) {
        self.add(Level::Ok, check, text.into(), None);
    }

    pub(super) fn skip(&mut self, check: &'static str, text: impl Into<String>) {
        self.add(Level::Skip, check, text.into(), None);
    }

    pub(super) fn warn(
        &mut self,
        check: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(Level::Warn, check, text.into(), Some(advice.into()));
    }

    pub(super) fn fail(
        &mut self,
        check: &'static str,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(Level::Fail, check, text.into(), Some(advice.into()));
    }

    fn add(&mut self, level: Level, check: &'static str, text: String, advice: Option<String>) {
        self.all.push(Finding {
            level,
            route: self.route.clone(),
            check,
            // A server said part of it.
            text: printable(&text),
            advice: advice.filter(|advice| !advice.is_empty()),
        });
    }

    /// Whether a check failed.
    pub(super) fn failed(&self) -> bool {
        self.all.iter().any(|finding| finding.level == Level::Fail)
    }
}

/// Shows findings under a heading, or as a JSON object a line.
pub(super) fn show(
    heading: &str,
    findings: &Findings,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    if json {
        for finding in &findings.all {
            writeln!(out, "{}", serde_json::to_string(finding)?)?;
        }
        return out.flush();
    }
    writeln!(out, "{heading}")?;
    for finding in &findings.all {
        writeln!(
            out,
            "  {:4}  {:13}  {}",
            finding.level.name(),
            finding.check,
            finding.text
        )?;
        if let Some(advice) = &finding.advice {
            writeln!(out, "{:23}-> {advice}", "")?;
        }
    }
    writeln!(out)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Findings {
        let mut findings = Findings::of(Some("smarthost"));
        findings.ok("address", "relay.example.org is 192.0.2.1");
        findings.fail("login", "535 no\u{1b}[2J", "correct the password");
        findings
    }

    #[test]
    fn people_see_a_line_a_check_and_the_advice_below() {
        let mut out = Vec::new();
        show("route smarthost", &found(), false, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "route smarthost\n  \
             ok    address        relay.example.org is 192.0.2.1\n  \
             FAIL  login          535 no\\u{1b}[2J\n                       \
             -> correct the password\n\n"
        );
        assert!(found().failed());
    }

    #[test]
    fn programs_see_an_object_a_line() {
        let mut out = Vec::new();
        show("route smarthost", &found(), true, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines[0],
            serde_json::json!({
                "level": "ok", "route": "smarthost", "check": "address",
                "text": "relay.example.org is 192.0.2.1", "advice": null,
            })
        );
        assert_eq!(lines[1]["level"], "fail");
        assert_eq!(lines.len(), 2);
    }
}
