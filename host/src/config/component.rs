//! `[component]`: the WebAssembly build that speaks with peers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::{Section, Value};

/// Where the component comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Component {
    /// A build to use instead of the one embedded in the binary. Default `None`: the embedded one,
    /// which was tested together with this host.
    pub path: Option<PathBuf>,
}

impl Component {
    pub(super) fn read(section: &Section<'_>, base: &Path) -> Self {
        let idle = |value: &Value<'_>| {
            value.warning("live swapping comes later; the key has no effect yet");
        };
        if let Some(value) = section.value("watch")
            && value.boolean().is_some()
        {
            idle(&value);
        }
        if let Some(value) = section.value("canary")
            && value.number(0..=100).is_some()
        {
            idle(&value);
        }
        if let Some(value) = section.value("drain")
            && value
                .duration(Duration::ZERO..=Duration::from_hours(24))
                .is_some()
        {
            idle(&value);
        }
        Self {
            path: section.value("path").and_then(|value| value.file(base)),
        }
    }
}
