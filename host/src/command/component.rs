//! `pillarbox component inspect FILE` and `extract FILE`.

use super::failed;
use crate::embedded;
use crate::sandbox::verifier::Verifier;
use crate::sandbox::{Build, Engine, SandboxError, SandboxLimits};
use crate::users::ScramDigest;
use crate::users::verifiers::{Arithmetic, DeriveError, ScramKeys};
use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

/// Arguments of `component`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Imports, exports, contract version, size, digest, and whether this host can run it.
    Inspect {
        /// The component; without it, the one embedded in this program.
        file: Option<PathBuf>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Write the embedded component to a file, for other hosts.
    Extract {
        /// Where to.
        file: PathBuf,
    },
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.verb {
        Verb::Inspect { file, json } => inspect(file.as_deref(), *json),
        Verb::Extract { file } => match std::fs::write(file, embedded::COMPONENT) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(format!("cannot write {}: {error}", file.display())),
        },
    }
}

/// An engine for one look or one answer.
pub(crate) fn small_engine() -> Result<Arc<Engine>, String> {
    Engine::new(small()).map_err(|error| error.to_string())
}

fn small() -> SandboxLimits {
    SandboxLimits {
        sandboxes: 4,
        ..SandboxLimits::default()
    }
}

fn inspect(file: Option<&Path>, json: bool) -> ExitCode {
    let octets = match file {
        None => embedded::COMPONENT.to_vec(),
        Some(path) => match std::fs::read(path) {
            Ok(octets) => octets,
            Err(error) => return failed(format!("cannot read {}: {error}", path.display())),
        },
    };
    let engine = match small_engine() {
        Ok(engine) => engine,
        Err(error) => return failed(error),
    };
    let inspection = Build::inspect(&engine, &octets);
    if json {
        match serde_json::to_string(&inspection) {
            Ok(text) => println!("{text}"),
            Err(error) => return failed(error),
        }
    } else {
        println!("digest   sha256:{}", inspection.digest);
        println!("size     {} octets", inspection.size);
        println!(
            "version  {}",
            inspection.version.as_deref().unwrap_or("(none)")
        );
        for (label, names) in [
            ("imports", &inspection.imports),
            ("exports", &inspection.exports),
        ] {
            for (index, name) in names.iter().enumerate() {
                println!("{:8} {name}", if index == 0 { label } else { "" });
            }
        }
        match &inspection.reason {
            None => println!("accepted yes"),
            Some(reason) => println!("accepted no: {reason}"),
        }
    }
    if inspection.accepted {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

/// For `check`: what is wrong with the configured component, if anything.
pub fn finding(file: Option<&Path>) -> Option<String> {
    small_engine()
        .and_then(|engine| embedded::load(&engine, file, None).map_err(|error| error.to_string()))
        .err()
}

/// For `user`: the arithmetic of the embedded component's verifier, loaded when it is needed.
#[derive(Default)]
pub struct Embedded(OnceLock<Verifier>);

impl Embedded {
    fn verifier(&self) -> Result<&Verifier, DeriveError> {
        if let Some(verifier) = self.0.get() {
            return Ok(verifier);
        }
        let failed = |error: SandboxError| DeriveError::Component(Box::new(error));
        let engine = Engine::new(small()).map_err(failed)?;
        let build = embedded::load(&engine, None, None).map_err(failed)?;
        Ok(self.0.get_or_init(|| Verifier::new(build)))
    }
}

impl Arithmetic for Embedded {
    fn nt(&self, password: &str) -> Result<[u8; 16], DeriveError> {
        self.verifier()?.nt(password)
    }

    fn cram(&self, password: &str) -> Result<[u8; 32], DeriveError> {
        self.verifier()?.cram(password)
    }

    fn scram(&self, digest: ScramDigest, salted: &[u8]) -> Result<ScramKeys, DeriveError> {
        Arithmetic::scram(self.verifier()?, digest, salted)
    }
}
