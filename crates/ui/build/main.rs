//! Builds the web pages and writes the table by which `lib.rs` embeds them.
//!
//! The pages come from the first of these that is there:
//!
//! 1. the folder that `BAROGRAPH_UI_DIST` names: already built, taken as it is;
//! 2. `npm ci` and `npm run build`, run on a copy of the sources below `OUT_DIR`, so the source tree is never written to;
//! 3. one plain page that says how the server stands, with a warning. `BAROGRAPH_UI_REQUIRED=1` makes this an error.

mod npm;
mod table;

use std::{
    io,
    path::{Path, PathBuf},
};

/// What a person without npm gets: no script from elsewhere, no build.
const FALLBACK_PAGE: &str = include_str!("fallback.html");
const FALLBACK_SCRIPT: &str = include_str!("fallback.js");

fn main() {
    println!("cargo::rerun-if-env-changed=BAROGRAPH_UI_DIST");
    println!("cargo::rerun-if-env-changed=BAROGRAPH_UI_REQUIRED");
    let out = PathBuf::from(setting("OUT_DIR").expect("cargo sets OUT_DIR"));
    if let Err(error) = run(&out) {
        println!("cargo::error=barograph-ui: {error}");
    }
}

fn run(out: &Path) -> io::Result<()> {
    if let Some(dist) = setting("BAROGRAPH_UI_DIST") {
        println!("cargo::rerun-if-changed={dist}");
        return table::write(out, Path::new(&dist), false);
    }
    match npm::build(Path::new("."), out) {
        Ok(dist) => table::write(out, &dist, false),
        Err(reason) if setting("BAROGRAPH_UI_REQUIRED").is_some_and(|value| value == "1") => {
            Err(io::Error::other(format!("the web pages could not be built: {reason}")))
        }
        Err(reason) => {
            println!(
                "cargo::warning=the web pages could not be built ({reason}); the server will answer a plain status page instead. Install Node.js 20.19 or newer with npm, or name a built folder in BAROGRAPH_UI_DIST, and build again."
            );
            // A file that is never there: the next build tries again, npm may have come meanwhile.
            println!("cargo::rerun-if-changed=build/until-npm-is-there");
            table::write(out, &fallback(out)?, true)
        }
    }
}

/// Writes the plain page into a folder of its own.
fn fallback(out: &Path) -> io::Result<PathBuf> {
    let folder = out.join("fallback");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("index.html"), FALLBACK_PAGE)?;
    std::fs::write(folder.join("status.js"), FALLBACK_SCRIPT)?;
    Ok(folder)
}

#[expect(clippy::disallowed_methods, reason = "a build script is configured by its environment")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
