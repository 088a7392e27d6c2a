//! Every kept input of every target is read within the limits, and so are those each target begins with.

use std::{fs, path::Path};

use barograph_fuzz::{TARGETS, check};

#[test]
fn every_input() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut inputs = 0;
    for target in TARGETS {
        let folder = root.join(target.name);
        let listed = fs::read_dir(&folder).expect("every target has a corpus");
        let kept = listed.map(|entry| entry.expect("the folder is listed").path()).collect::<Vec<_>>();
        assert!(!kept.is_empty(), "{} has a corpus", target.name);
        let kept =
            kept.iter().map(|path| (path.display().to_string(), fs::read(path).expect("it is a file")));
        let seeds = (target.seeds)().into_iter().map(|seed| ("a seed".to_owned(), seed));
        for (name, input) in kept.chain(seeds) {
            let outcome = check(target, &input);
            assert!(outcome.is_ok(), "{}: {name}: {outcome:?}", target.name);
            inputs += 1;
        }
    }
    assert!(inputs > 100, "{inputs}");
}

#[test]
fn the_seeds_of_decoders_decode() {
    // A seed that is refused would leave its target at the door.
    for name in ["log_record", "block_footer", "block_index", "catalog", "histograms", "remote_write"] {
        let target = TARGETS.iter().find(|target| target.name == name).expect("it is there");
        let nothing = check(target, &[]).expect("nothing is read");
        for seed in (target.seeds)() {
            assert_ne!(check(target, &seed).expect("a seed is read"), nothing, "{name}");
        }
    }
}
