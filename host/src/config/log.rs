//! `[log]`: what is said on standard error, and how.

use super::reader::Section;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What is said on standard error, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How lines look. Default `Auto`: a person reads a terminal, a collector reads the rest.
    pub format: LogFormat,
    /// The least important level that is written. Default `INFO`: one line a message and a session.
    pub level: tracing::Level,
}

impl Log {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let formats = [
            ("auto", LogFormat::Auto),
            ("human", LogFormat::Human),
            ("json", LogFormat::Json),
        ];
        let levels = [
            ("error", tracing::Level::ERROR),
            ("warn", tracing::Level::WARN),
            ("info", tracing::Level::INFO),
            ("debug", tracing::Level::DEBUG),
            ("trace", tracing::Level::TRACE),
        ];
        Self {
            format: section
                .value("format")
                .and_then(|value| value.choice(&formats))
                .unwrap_or(LogFormat::Auto),
            level: section
                .value("level")
                .and_then(|value| value.choice(&levels))
                .unwrap_or(tracing::Level::INFO),
        }
    }
}
