//! Builds the component in `tests/hostile`, once a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The built component that lies.
///
/// Its target folder is `hostile` below the workspace's, so that it is built again only where it
/// changed.
///
/// # Errors
///
/// What cargo said.
pub fn component() -> Result<&'static Path, &'static str> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match BUILT.get_or_init(build) {
        Ok(path) => Ok(path),
        Err(text) => Err(text),
    }
}

fn build() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile");
    let target = target_folder().join("hostile");
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            "wasm32-wasip2",
        ])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(&folder)
        // Flags for the host's code are not for WebAssembly.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "cannot build {}: {}",
            folder.display(),
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Ok(target.join("wasm32-wasip2/release/pillarbox_hostile.wasm"))
}

/// The workspace's target folder: where the running test was built.
fn target_folder() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    // target/release/deps/test-1234
    match test.ancestors().nth(3) {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    }
}
