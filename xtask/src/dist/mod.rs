//! `cargo xtask dist`: what is released, in one folder.
//!
//! A static binary, packed with its completions, manual pages, unit file, the licences of all that is in it and a bill of
//! materials; beside the archive its checksum. The same sources and the same binary make the same archive. `--binary` takes a
//! binary that is there already, so that all the rest can be looked at without a release build.

mod crates;
mod licences;
mod sbom;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{
    place,
    shell::{cargo, command, output, run},
};
use crates::Crates;

/// Where it is built for, unless that is said.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The shells that are completed in, and the names of their files.
const SHELLS: [(&str, &str); 3] =
    [("bash", "barograph.bash"), ("zsh", "_barograph"), ("fish", "barograph.fish")];
/// Manual pages are looked for so deep in the tree of commands.
const DEPTH_MAX: usize = 4;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Pack this binary rather than build one.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// The target to build for; one of musl is static by itself and needs `musl-gcc`.
    #[arg(long, default_value = TARGET)]
    target: String,
    /// The folder for what is made.
    #[arg(long, default_value = "target/dist")]
    out: PathBuf,
}

pub(crate) fn run_task(arguments: &Arguments) -> Result<()> {
    let binary = match &arguments.binary {
        Some(binary) => fs::canonicalize(binary).with_context(|| binary.display().to_string())?,
        None => build(&arguments.target)?,
    };
    let crates = Crates::read(&arguments.target)?;
    let name = format!("barograph-{}-{}", crates.version, arguments.target);
    let out = place::root().join(&arguments.out);
    let folder = out.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fill(&folder, &binary, &crates)?;
    let archive = pack(&out, &name)?;
    eprintln!("{}", archive.display());
    Ok(())
}

/// A binary that needs nothing of the system it runs on.
fn build(target: &str) -> Result<PathBuf> {
    let mut build =
        cargo(&["build", "--release", "--locked", "--package", "barograph-cli", "--target", target]);
    // With a target of their own, build scripts and macros are not concerned.
    run(build.env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    let folder =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| place::root().join("target"), PathBuf::from);
    Ok(folder.join(target).join("release/barograph"))
}

fn fill(folder: &Path, binary: &Path, crates: &Crates) -> Result<()> {
    let put = |path: &str, content: &[u8]| -> Result<()> {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, content).with_context(|| path.display().to_string())
    };
    fs::create_dir_all(folder.join("bin"))?;
    fs::copy(binary, folder.join("bin/barograph")).with_context(|| binary.display().to_string())?;
    let ask = |words: &[&str]| output(&mut command(&binary.display().to_string(), words));
    for (shell, file) in SHELLS {
        put(&format!("completions/{file}"), ask(&["completions", shell])?.as_bytes())?;
    }
    manual(&mut Vec::new(), &ask, &put)?;
    for (from, to) in [
        ("packaging/systemd/barograph.service", "systemd/barograph.service"),
        ("LICENSE-APACHE", "LICENSE-APACHE"),
        ("LICENSE-MIT", "LICENSE-MIT"),
        ("README.md", "README.md"),
        ("CHANGELOG.md", "CHANGELOG.md"),
        ("docs/install.md", "INSTALL.md"),
        ("docs/schemas/config.schema.json", "config.schema.json"),
        ("docs/openapi.json", "openapi.json"),
    ] {
        put(to, &fs::read(place::root().join(from)).with_context(|| from.to_owned())?)?;
    }
    put("LICENCES.txt", licences::text(crates).as_bytes())?;
    put("sbom.cdx.json", sbom::text(crates).as_bytes())
}

/// The page of a command and those of the commands below it, which it names.
fn manual(
    words: &mut Vec<String>,
    ask: &dyn Fn(&[&str]) -> Result<String>,
    put: &dyn Fn(&str, &[u8]) -> Result<()>,
) -> Result<()> {
    let asked: Vec<_> = std::iter::once("man").chain(words.iter().map(String::as_str)).collect();
    let page = ask(&asked)?;
    let name: Vec<_> = std::iter::once("barograph").chain(words.iter().map(String::as_str)).collect();
    put(&format!("man/man1/{}.1", name.join("-")), page.as_bytes())?;
    if words.len() == DEPTH_MAX {
        return Ok(());
    }
    for below in commands_below(&page) {
        words.push(below);
        manual(words, ask, put)?;
        words.pop();
    }
    Ok(())
}

/// The commands that a page names as those below its own.
fn commands_below(page: &str) -> Vec<String> {
    let named = page.lines().filter_map(|line| line.trim().strip_suffix("(1)"));
    let last = named.filter_map(|name| name.replace("\\-", "-").rsplit('-').next().map(str::to_owned));
    last.filter(|name| name != "help").collect()
}

/// Packs a folder, the same for the same content, and writes the checksum beside.
fn pack(out: &Path, name: &str) -> Result<PathBuf> {
    let archive = out.join(format!("{name}.tar.gz"));
    let (folder, path) = (out.display().to_string(), archive.display().to_string());
    let sorted = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    let mut words = sorted.to_vec();
    words.extend(["--use-compress-program=gzip -n9", "-cf", &path, "-C", &folder, name]);
    run(&mut command("tar", &words))?;
    let file = format!("{name}.tar.gz");
    let sums = output(command("sha256sum", &[&file]).current_dir(out))?;
    ensure!(sums.ends_with(&format!("  {file}\n")), "sha256sum printed {sums:?}");
    fs::write(out.join("SHA256SUMS"), sums)?;
    Ok(archive)
}
