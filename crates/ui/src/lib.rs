//! The web pages, embedded in the binary.
//!
//! The build script makes the pages with npm, or, where there is no npm, one plain page ([`FALLBACK`] tells which). This crate
//! only hands out their bytes: [`asset`] by the path below `/ui/`, and [`shell`] for every other path there, because the pages
//! choose by the URL what they show. How they are served is the server's business; only the shell
//! names `/ui/`, so rewriting it there puts everything behind a route prefix.
//!
//! ```
//! let shell = barograph_ui::shell();
//! assert!(shell.content_type.starts_with("text/html"));
//! assert!(barograph_ui::asset("no/such/file.js").is_none());
//! ```

/// One file of the pages.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// The content as it is.
    pub bytes: &'static [u8],
    /// The content in gzip form; `None` where that would not be smaller.
    pub gzip: Option<&'static [u8]>,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Whether the name carries a hash of the content, so that it may be cached for ever. Anything else is to be asked for again.
    pub immutable: bool,
    /// Value of `ETag`, quotes included: equal exactly for equal content.
    pub etag: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// The file at a path below `/ui/`, without a leading slash.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    FILES.binary_search_by(|(name, _)| (*name).cmp(path)).ok().map(|index| FILES[index].1)
}

/// The page that every path of the pages answers.
///
/// # Panics
/// Never: the build script refuses a folder without it.
#[must_use]
pub fn shell() -> Asset {
    asset("index.html").expect("the build script refuses a folder without index.html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_names_only_files_that_are_here() {
        let html = std::str::from_utf8(shell().bytes).unwrap();
        let names: Vec<&str> =
            html.split("\"/ui/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(!names.is_empty(), "the shell loads nothing");
        for name in names {
            assert!(asset(name).is_some(), "{name} is named by the shell and missing");
        }
    }

    #[test]
    fn the_shell_runs_no_inline_script() {
        let html = std::str::from_utf8(shell().bytes).unwrap();
        for script in html.split("<script").skip(1) {
            assert!(
                script.split('>').next().is_some_and(|tag| tag.contains("src=")),
                "inline script in the shell"
            );
        }
    }

    #[test]
    fn only_hashed_names_are_immutable() {
        for (name, asset) in FILES {
            assert_eq!(asset.immutable, name.starts_with("assets/"), "{name}");
            assert!(asset.gzip.is_none_or(|gzip| gzip.len() < asset.bytes.len()), "{name}");
        }
        assert!(!shell().immutable);
    }

    #[test]
    fn the_first_visit_fits_its_budget() {
        // What Overview loads before it draws: the script and the style that the shell names.
        let html = std::str::from_utf8(shell().bytes).unwrap();
        let total: usize = html
            .split("\"/ui/")
            .skip(1)
            .filter_map(|rest| asset(rest.split('"').next()?))
            .filter_map(|asset| asset.gzip.map(<[u8]>::len))
            .sum();
        assert!(total <= 70_000, "{total} bytes of script and style on the first visit");
    }
}
