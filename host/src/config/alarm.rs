//! `[alarm]`: who is told when somebody must do something.

use super::reader::Section;

/// Who is told when somebody must do something: a route that is paused because its password is
/// wrong, a report that nobody takes, a damaged message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alarm {
    /// Run by `/bin/sh -c` once for each alarm. Default `None`: alarms stand in the log.
    pub command: Option<String>,
}

impl Alarm {
    pub(super) fn read(section: &Section<'_>) -> Self {
        if section.is_there() && section.value("command").is_none() {
            section.warning("", "has no command, so that alarms stand in the log alone");
        }
        let command = section
            .value("command")
            .and_then(|value| value.words("a command, such as \"/usr/local/bin/page-me\""));
        Self {
            command: command.map(ToOwned::to_owned),
        }
    }
}
