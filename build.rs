//! Says how the program is linked: at fixed addresses, and with the unwinder inside.
//!
//! A program that can lie anywhere has its 75,000 addresses written anew at every start, which takes longer than everything else
//! that `tos --version` or a hook does. Heap, stack and libraries still lie where chance puts them. The C library stays a shared
//! one: names of hosts and users are looked up through what it loads. Where the compiler knows no such archive, or on another
//! system, everything is linked as usual. docs/performance.md has the figures.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script asks the environment and the compiler"
)]

use std::{path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let is_for_here = variable("HOST") == variable("TARGET");
    if variable("CARGO_CFG_TARGET_OS") != "linux"
        || variable("CARGO_CFG_TARGET_ENV") != "gnu"
        || variable("CARGO_CFG_TARGET_ARCH") != "x86_64"
        || !is_for_here
    {
        return;
    }
    println!("cargo:rustc-link-arg-bins=-no-pie");
    let asked = Command::new("cc")
        .arg("-print-file-name=libgcc_eh.a")
        .output();
    let path = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let path = path.unwrap_or_default();
    let path = Path::new(&path);
    if let (true, Some(folder)) = (path.is_absolute() && path.exists(), path.parent()) {
        println!("cargo:rustc-link-search=native={}", folder.display());
        println!("cargo:rustc-link-lib=static:-bundle,+verbatim=libgcc_eh.a");
    }
}
