//! Label names and values are those of series that may have samples in the range, whether head or block holds them,
//! and whether the index alone answers or series have to be looked at.

use crate::support::*;
use barograph_disk::MemoryDisk;
use barograph_model::{Budget, MatchOp, Matcher, Selection, Source, TimeRange, Timestamp};
use barograph_tsdb::Store;

fn check(store: &Store, from: i64, to: i64, values: &[&str], names: &[&str]) {
    let every = [Matcher::new("job", MatchOp::Regex, "t.st").expect("the pattern compiles")];
    let (range, budget) = (TimeRange::new(Timestamp(from), Timestamp(to)), Budget::unlimited());
    for matchers in [&[][..], &every] {
        let selection = Selection { matchers, range };
        assert_eq!(
            store.label_values("__name__", &selection, &budget).expect("the store can be read"),
            values
        );
        assert_eq!(store.label_names(&selection, &budget).expect("the store can be read"), names);
        let any = store.has_series(&selection, &budget).expect("the store can be read");
        assert_eq!(any, !values.is_empty());
        for label in ["job", "n", "zone", "other"] {
            let matchers = [matchers, &[Matcher::present(label)]].concat();
            let any = store.has_series(&Selection { matchers: &matchers, range }, &budget);
            assert_eq!(any.expect("the store can be read"), names.contains(&label), "{label}");
        }
    }
}

#[test]
fn names_and_values_are_those_in_use() {
    let (store, _) = open(&MemoryDisk::new());
    put(&store, &[(&series("early", 1), START, 1.0)]);
    put(&store, &[(&series("late", 1).with("zone", "north"), START + HOUR, 1.0)]);
    let all = ["__name__", "job", "n", "zone"];
    check(&store, START + HOUR, START + HOUR + 1, &["late"], &all);
    check(&store, START, START + 1, &["early"], &["__name__", "job", "n"]);
    for _flushed in [false, true] {
        check(&store, START, START + 2 * HOUR, &["early", "late"], &all);
        check(&store, START - 10, START, &[], &[]);
        store.flush(Timestamp(START + HOUR)).expect("the store can be flushed");
    }
}
