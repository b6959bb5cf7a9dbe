//! The configuration, its spool, and what can go wrong with both.

use crate::command::{chain, small_runtime};
use crate::config::{Config, USUAL_PLACE};
use crate::spool::{Access, SpoolError, Sqlite};
use std::io;
use std::path::PathBuf;

/// Where the configuration is.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = USUAL_PLACE)]
    config: PathBuf,
}

/// Why a verb could not be carried out.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A reader that went away (`| head`), which is no trouble.
    Nobody,
    /// What was asked makes no sense.
    Usage(String),
    /// What went wrong, as one line.
    Text(String),
}

impl From<SpoolError> for Trouble {
    fn from(error: SpoolError) -> Self {
        Self::Text(chain(&error))
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Nobody
        } else {
            Self::Text(format!("cannot write: {error}"))
        }
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

impl Place {
    /// The configuration and its spool; `None` where no service has run yet, which is an empty
    /// queue.
    pub(super) fn open(&self) -> Result<(Config, Option<Sqlite>), Trouble> {
        let loaded = Config::load(&self.config);
        let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
        let Some(config) = loaded.config else {
            return Err(Trouble::Text(format!(
                "the configuration cannot be used:\n{}",
                errors.join("\n")
            )));
        };
        match Sqlite::open(&config.state_dir, Access::Tool) {
            Ok(spool) => Ok((config, Some(spool))),
            Err(SpoolError::Absent { .. }) => Ok((config, None)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Carries out what needs the spool.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    small_runtime()
        .map_err(|error| Trouble::Text(error.to_string()))?
        .block_on(future)
}
