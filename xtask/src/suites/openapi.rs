//! The description of the API, held against a running server by `schemathesis`, which makes requests of it that are right and
//! requests that are wrong, in an environment of its own under the target folder.
//!
//! What is asked only reads, or cannot harm: a server of its own is asked that has little in it. A run is bounded in time.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::Ground;
use crate::{barograph::Barograph, place, python, tally::Tally};

/// What is brought from PyPI.
const PACKAGE: &str = "schemathesis==4.32.*";
/// Requests of an operation at most.
const EXAMPLES: &str = "12";
/// Seconds in all.
const SECONDS: &str = "75";
/// What answers say that nobody described, and what no server should answer.
const CHECKS: &str =
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// Paths that never end, that end the server, or that answer when the disk has done its work.
const LEFT_OUT: &str = "^(/api/barograph/v1/(live|backup|admin|diagnostics|export|import)|/api/v1/(admin|write|import)|/diagnostics|/-/|/readyz|/livez|/healthz)";

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let program = match bring() {
        Ok(program) => program,
        Err(error) => {
            tally.skip("requests made of the description", &format!("{error:#}"));
            return Ok(());
        }
    };
    let folder = place::fresh("openapi")?;
    let server = Barograph::new(&ground.binary, &folder).start()?;
    let mut asked = Command::new(program);
    // It leaves notes where it runs.
    asked.current_dir(&folder);
    asked.args(["run", &format!("{}/api/barograph/v1/openapi.json", server.url())]);
    asked.args([
        "--url",
        &server.url(),
        "--checks",
        CHECKS,
        "--max-examples",
        EXAMPLES,
        "--max-time",
        SECONDS,
    ]);
    asked.args([
        "--phases",
        "examples,coverage,fuzzing",
        "--seed",
        "1",
        "--no-color",
        "--suppress-health-check",
        "all",
    ]);
    asked.args(["--include-method", "GET", "--exclude-path-regex", LEFT_OUT, "--request-timeout", "60"]);
    asked.env("no_proxy", "127.0.0.1,localhost").stdin(Stdio::null());
    let outcome = asked.status().context("schemathesis does not start");
    tally.check(
        "the server answers as it is described",
        outcome.and_then(|status| {
            ensure!(status.success(), "schemathesis: {status}");
            Ok(())
        }),
    );
    let lives = server.terminate().and_then(|status| {
        ensure!(status.success(), "the server: {status}");
        Ok(())
    });
    tally.check("it lives on and ends in order", lives);
    Ok(())
}

/// The program, in an environment of its own.
fn bring() -> Result<PathBuf> {
    Ok(python::bring("openapi", &[PACKAGE])?.with_file_name("schemathesis"))
}
