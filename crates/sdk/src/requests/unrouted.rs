//! Paths that were asked for and have no route: what still has to be instrumented.

/// How many paths are kept.
pub const UNROUTED_MAX: usize = 64;

/// The most bytes of a path that are kept.
const PATH_BYTES_MAX: usize = 256;

/// The paths asked for most often, by the algorithm Space-Saving (Metwally, Agrawal, El Abbadi, 2005): a path that
/// finds no room takes the place and the count of the least frequent, so a count may be too high by what that had,
/// and a path with more than one in [`UNROUTED_MAX`] of all requests is never missing.
#[derive(Clone, Debug, Default)]
pub struct Unrouted(Vec<(String, u64)>);

impl Unrouted {
    /// Counts a path, without its query.
    pub fn note(&mut self, path: &str) {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = &path[..path.floor_char_boundary(PATH_BYTES_MAX)];
        if let Some(known) = self.0.iter_mut().find(|(known, _)| known == path) {
            known.1 += 1;
        } else if self.0.len() < UNROUTED_MAX {
            self.0.push((path.to_owned(), 1));
        } else if let Some(least) = self.0.iter_mut().min_by_key(|(_, count)| *count) {
            *least = (path.to_owned(), least.1 + 1);
        }
    }

    /// The paths, the most frequent first.
    pub fn paths(&self) -> Vec<(String, u64)> {
        let mut paths = self.0.clone();
        paths.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_paths_stay() {
        let mut list = Unrouted::default();
        for i in 0..10_000 {
            list.note(&format!("/random/{i}"));
            if i % 20 == 0 {
                list.note("/wanted?page=1");
            }
        }
        let paths = list.paths();
        assert_eq!(paths.len(), UNROUTED_MAX);
        assert!(paths.iter().any(|(path, count)| path == "/wanted" && *count >= 500), "{paths:?}");
        list.note(&"é".repeat(1000));
        assert!(list.paths().iter().all(|(path, _)| path.len() <= PATH_BYTES_MAX));
    }
}
