//! A folder of built pages as Rust: one entry a file, its bytes and their gzip form included at compile time.

use flate2::{Compression, GzBuilder};
use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Files whose names carry a hash of their content lie below this folder.
const HASHED: &str = "assets/";

/// Writes `OUT_DIR/table.rs`, sorted by path, for `lib.rs` to include.
pub(crate) fn write(out: &Path, dist: &Path, is_fallback: bool) -> io::Result<()> {
    let mut paths = Vec::new();
    collect(dist, &mut paths)?;
    let mut files =
        paths.iter().map(|path| Ok((name_in(dist, path)?, path))).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    if !files.iter().any(|(name, _)| name == "index.html") {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no index.html in {}", dist.display()),
        ));
    }
    let packed = out.join("gzip");
    fs::create_dir_all(&packed)?;
    let mut table = format!(
        "/// Whether these are the plain pages of a build without npm.\npub const FALLBACK: bool = {is_fallback};\n\nstatic FILES: &[(&str, Asset)] = &[\n"
    );
    for (index, (name, path)) in files.iter().enumerate() {
        let bytes = fs::read(path)?;
        let small = gzip(&bytes)?;
        let gzip = if small.len() < bytes.len() {
            let place = packed.join(format!("{index}.gz"));
            fs::write(&place, &small)?;
            format!("Some(include_bytes!({place:?}))")
        } else {
            "None".to_owned()
        };
        let path = fs::canonicalize(path)?;
        writeln!(
            table,
            "    ({name:?}, Asset {{ bytes: include_bytes!({path:?}), gzip: {gzip}, content_type: {:?}, immutable: {}, etag: {:?} }}),",
            content_type(name),
            name.starts_with(HASHED),
            etag(&bytes),
        )
        .expect("a string takes all that is written");
    }
    table.push_str("];\n");
    fs::write(out.join("table.rs"), table)
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}

/// The path below `dist` with slashes, as a URL has it.
fn name_in(dist: &Path, path: &Path) -> io::Result<String> {
    let below = path.strip_prefix(dist).map_err(io::Error::other)?;
    let parts = below
        .iter()
        .map(|part| part.to_str().ok_or_else(|| io::Error::other("a file name is not UTF-8")))
        .collect::<io::Result<Vec<_>>>()?;
    Ok(parts.join("/"))
}

/// No name and no time goes into the header, so the same pages give the same bytes.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// An entity tag from the content: 64-bit FNV-1a, in the quotes that HTTP wants.
fn etag(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("\"{hash:016x}\"")
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "woff2" => "font/woff2",
        "png" => "image/png",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
