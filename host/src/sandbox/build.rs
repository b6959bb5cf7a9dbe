//! One build of the component: what it is, whether this host can run it, and its compiled code.

use super::SandboxError;
use super::engine::Engine;
use super::imports::State;
use super::v0_1::{self, SubmissionPre};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre, types::ComponentItem};

/// The contract's package and the versions of it that this host runs.
const PACKAGE: &str = "pillarbox:submission";
const VERSIONS: [&str; 1] = ["0.1.0"];
/// What a component may import; versions are matched by the linker.
const IMPORTS: [&str; 3] = [
    "pillarbox:submission/types",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
];
/// What a component must export.
const EXPORTS: [&str; 3] = ["server", "client", "verifier"];

/// What `component inspect` tells.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// SHA-256 of the file, hex.
    pub digest: String,
    /// Octets of the file.
    pub size: usize,
    /// Names of all imports.
    pub imports: Vec<String>,
    /// Names of all exports.
    pub exports: Vec<String>,
    /// Version of the contract, if it exports one.
    pub version: Option<String>,
    /// Whether this host can run it.
    pub accepted: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// A component that is compiled and can be instantiated.
pub struct Build {
    /// SHA-256 of the file, hex: the build's name in logs.
    pub digest: String,
    /// The engine it was compiled for.
    pub engine: Arc<Engine>,
    pre: InstancePre<State>,
    server: v0_1::server::GuestIndices,
    client: v0_1::client::GuestIndices,
    verifier: v0_1::verifier::GuestIndices,
    /// Sessions that run on it now.
    pub sessions: AtomicU64,
    /// Sessions that have begun on it.
    pub served: AtomicU64,
    /// Sessions that it ended by a trap or by breaking the contract.
    pub faults: AtomicU64,
}

impl Build {
    /// Compiles a component, or takes its compiled code from `cache` (a folder that only its owner
    /// can read), and checks that it imports and exports what the contract says.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Refused`] with the reason.
    pub fn load(
        engine: &Arc<Engine>,
        octets: &[u8],
        cache: Option<&Path>,
    ) -> Result<Arc<Self>, SandboxError> {
        let digest = digest(octets);
        let component = compiled(engine, octets, &digest, cache)?;
        let inspection = describe(engine, &component, octets.len(), digest.clone());
        if let Some(reason) = inspection.reason {
            return Err(SandboxError::Refused(reason));
        }
        let refused = |error: wasmtime::Error| SandboxError::Refused(format!("{error:#}"));
        let pre = engine.linker.instantiate_pre(&component).map_err(refused)?;
        let server = v0_1::server::GuestIndices::new(&pre).map_err(refused)?;
        let client = v0_1::client::GuestIndices::new(&pre).map_err(refused)?;
        let verifier = v0_1::verifier::GuestIndices::new(&pre).map_err(refused)?;
        let build = Arc::new(Self {
            digest,
            engine: Arc::clone(engine),
            pre,
            server,
            client,
            verifier,
            sessions: AtomicU64::new(0),
            served: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        });
        // The types of its functions are compared here, once, so that no session finds out.
        let differs = |error: SandboxError| SandboxError::Refused(error.to_string());
        build.server().map_err(differs)?;
        build.client().map_err(differs)?;
        build.verifier().map_err(differs)?;
        Ok(build)
    }

    /// What a file holds, without running any of it.
    pub fn inspect(engine: &Arc<Engine>, octets: &[u8]) -> Inspection {
        let digest = digest(octets);
        match Component::new(&engine.engine, octets) {
            Ok(component) => {
                let mut inspection = describe(engine, &component, octets.len(), digest);
                if inspection.accepted
                    && let Err(error) = engine
                        .linker
                        .instantiate_pre(&component)
                        .and_then(SubmissionPre::new)
                {
                    inspection.accepted = false;
                    inspection.reason = Some(format!("{error:#}"));
                }
                inspection
            }
            Err(error) => Inspection {
                digest,
                size: octets.len(),
                imports: Vec::new(),
                exports: Vec::new(),
                version: None,
                accepted: false,
                reason: Some(format!("not a WebAssembly component: {error:#}")),
            },
        }
    }

    fn instance(&self) -> Result<(Store<State>, Instance), SandboxError> {
        let mut store = self.engine.store();
        let instance = self
            .pre
            .instantiate(&mut store)
            .map_err(|error| SandboxError::instance(&error))?;
        Ok((store, instance))
    }

    /// A fresh instance, and its `server` interface. Only one interface is looked up: looking up
    /// all three would cost as much as making the instance.
    pub(crate) fn server(&self) -> Result<(Store<State>, v0_1::server::Guest), SandboxError> {
        let (mut store, instance) = self.instance()?;
        let guest = self.server.load(&mut store, &instance);
        Ok((store, guest.map_err(|error| SandboxError::trap(&error))?))
    }

    /// A fresh instance, and its `client` interface.
    pub(crate) fn client(&self) -> Result<(Store<State>, v0_1::client::Guest), SandboxError> {
        let (mut store, instance) = self.instance()?;
        let guest = self.client.load(&mut store, &instance);
        Ok((store, guest.map_err(|error| SandboxError::trap(&error))?))
    }

    /// A fresh instance, and its `verifier` interface.
    pub(crate) fn verifier(&self) -> Result<(Store<State>, v0_1::verifier::Guest), SandboxError> {
        let (mut store, instance) = self.instance()?;
        let guest = self.verifier.load(&mut store, &instance);
        Ok((store, guest.map_err(|error| SandboxError::trap(&error))?))
    }
}

/// SHA-256, hex.
pub fn digest(octets: &[u8]) -> String {
    Sha256::digest(octets)
        .iter()
        .fold(String::with_capacity(64), |mut hex, octet| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{octet:02x}");
            hex
        })
}

fn describe(engine: &Engine, component: &Component, size: usize, digest: String) -> Inspection {
    let kind = component.component_type();
    let imports: Vec<String> = kind
        .imports(&engine.engine)
        .map(|(name, _)| name.to_owned())
        .collect();
    let exports: Vec<String> = kind
        .exports(&engine.engine)
        .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentInstance(_)))
        .map(|(name, _)| name.to_owned())
        .collect();
    let version = exports
        .iter()
        .find_map(|name| name.strip_prefix(PACKAGE)?.split_once('@'))
        .map(|(_, version)| version.to_owned());
    let reason = refusal(&imports, &exports, version.as_deref());
    Inspection {
        digest,
        size,
        imports,
        exports,
        version,
        accepted: reason.is_none(),
        reason,
    }
}

/// Why a component with these imports and exports will not be run.
fn refusal(imports: &[String], exports: &[String], version: Option<&str>) -> Option<String> {
    let unversioned = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
    if let Some(foreign) = imports
        .iter()
        .find(|name| !IMPORTS.contains(&unversioned(name).as_str()))
    {
        return Some(format!(
            "it imports {foreign}; a session gets the time and random octets, nothing else"
        ));
    }
    for needed in EXPORTS {
        let name = format!("{PACKAGE}/{needed}");
        if !exports.iter().any(|export| unversioned(export) == name) {
            return Some(format!("it does not export {name}"));
        }
    }
    match version {
        Some(version) if VERSIONS.contains(&version) => None,
        other => Some(format!(
            "it was built for version {} of {PACKAGE}; this host runs {}",
            other.unwrap_or("(none)"),
            VERSIONS.join(", ")
        )),
    }
}

/// Compiled code, from the cache if it is there and ours.
fn compiled(
    engine: &Engine,
    octets: &[u8],
    digest: &str,
    cache: Option<&Path>,
) -> Result<Component, SandboxError> {
    let Some(folder) = cache else {
        return Component::new(&engine.engine, octets)
            .map_err(|error| SandboxError::Refused(format!("{error:#}")));
    };
    let mut hasher = std::hash::DefaultHasher::new();
    engine
        .engine
        .precompile_compatibility_hash()
        .hash(&mut hasher);
    let path = folder.join(format!("{digest}-{:016x}.code", hasher.finish()));
    if is_private(&path) {
        // SAFETY: deserializing trusts the file. It lies in a folder and has a mode that only this
        // account can write (checked just now), and only the code below writes there.
        match unsafe { Component::deserialize_file(&engine.engine, &path) } {
            Ok(component) => return Ok(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), error = %format!("{error:#}"), "compiled code is not usable; compiling anew");
            }
        }
    }
    let code = engine
        .engine
        .precompile_component(octets)
        .map_err(|error| SandboxError::Refused(format!("{error:#}")))?;
    if let Err(error) = keep(folder, &path, &code) {
        tracing::warn!(path = %path.display(), %error, "cannot keep compiled code; the next start compiles again");
    }
    // SAFETY: these octets were produced by this engine a moment ago.
    unsafe { Component::deserialize(&engine.engine, &code) }
        .map_err(|error| SandboxError::Refused(format!("{error:#}")))
}

/// Whether only this account can have written it.
fn is_private(path: &Path) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    let private = |metadata: fs::Metadata| {
        metadata.uid() == own && metadata.permissions().mode() & 0o077 == 0
    };
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file() && private(metadata))
        && path
            .parent()
            .and_then(|folder| fs::metadata(folder).ok())
            .is_some_and(private)
}

fn keep(folder: &Path, path: &Path, code: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(code)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_foreign_import_is_named() {
        let exports = names(&[
            "pillarbox:submission/server@0.1.0",
            "pillarbox:submission/client@0.1.0",
            "pillarbox:submission/verifier@0.1.0",
        ]);
        let good = names(&["wasi:clocks/wall-clock@0.2.4", "wasi:random/random@0.2.4"]);
        assert_eq!(refusal(&good, &exports, Some("0.1.0")), None);
        let bad = names(&["wasi:random/random@0.2.4", "wasi:sockets/tcp@0.2.4"]);
        let reason = refusal(&bad, &exports, Some("0.1.0")).unwrap();
        assert!(reason.contains("wasi:sockets/tcp@0.2.4"), "{reason}");
        let reason = refusal(&good, &exports[..2], Some("0.1.0")).unwrap();
        assert!(reason.contains("verifier"), "{reason}");
        let reason = refusal(&good, &exports, Some("9.0.0")).unwrap();
        assert!(reason.contains("9.0.0"), "{reason}");
    }
}
