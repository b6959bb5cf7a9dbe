//! Builds the component for wasm32-wasip2 and puts it where the host embeds it.
//!
//! The component has its own target folder and profile. `PILLARBOX_COMPONENT=FILE` embeds a
//! component that was built elsewhere instead.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::{env, fs};

const TARGET: &str = "wasm32-wasip2";

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for watched in [
        "wit",
        "component",
        "Cargo.toml",
        "Cargo.lock",
        "rust-toolchain.toml",
    ] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    println!("cargo::rerun-if-env-changed=PILLARBOX_COMPONENT");
    let out = PathBuf::from(need("OUT_DIR"));
    let built = match env::var_os("PILLARBOX_COMPONENT") {
        Some(path) => PathBuf::from(path),
        None => {
            need_target();
            build(&root, &out)
        }
    };
    let embedded = out.join("component.wasm");
    if let Err(error) = fs::copy(&built, &embedded) {
        fail(&format!("cannot embed {}: {error}", built.display()));
    }
    println!("cargo::rustc-env=PILLARBOX_EMBEDDED={}", embedded.display());
}

fn build(root: &Path, out: &Path) -> PathBuf {
    let folder = out.join("component-target");
    let mut command = Command::new(need("CARGO"));
    command
        .current_dir(root)
        .args(["build", "--package", "pillarbox-component", "--locked"])
        .args(["--target", TARGET, "--profile", "component"])
        .arg("--target-dir")
        .arg(&folder)
        // Flags meant for the host's own target do not fit this one.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        // Searching for line ends and octets above 127 goes 16 at a time. The stack lies first in
        // memory; a small one keeps all that a session touches within what the pool keeps resident,
        // and an ordinary session never has to grow its memory.
        .env(
            "RUSTFLAGS",
            "-C target-feature=+simd128 -C link-arg=-zstack-size=131072 -C link-arg=--initial-memory=524288",
        );
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!(
            "building the component failed ({status}); see above"
        )),
        Err(error) => fail(&format!("cannot run cargo for the component: {error}")),
    }
    folder
        .join(TARGET)
        .join("component/pillarbox_component.wasm")
}

/// rustup fetches the targets of rust-toolchain.toml with a new toolchain, but not for one that is
/// there already.
fn need_target() {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let installed = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .is_some_and(|folder| Path::new(folder.trim()).is_dir());
    if installed {
        return;
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    if let Some(toolchain) = env::var_os("RUSTUP_TOOLCHAIN") {
        rustup.arg("--toolchain").arg(toolchain);
    }
    match rustup.status() {
        Ok(status) if status.success() => {}
        _ => fail(&format!(
            "the Rust target {TARGET} is not installed and could not be added; run: rustup target add {TARGET}"
        )),
    }
}

fn need(name: &str) -> String {
    match env::var(name) {
        Ok(value) => value,
        Err(_) => fail(&format!("cargo did not set {name}")),
    }
}

fn fail(text: &str) -> ! {
    println!("cargo::error={text}");
    exit(1)
}
