//! The past of a single series, all in one lane, is taken however long it is, if maintenance comes in between.

use std::sync::Arc;

use barograph_disk::MemoryDisk;
use barograph_model::{Labels, Timestamp};
use barograph_tsdb::{Error, Options, Reason, Row, Store};

#[test]
fn maintenance_makes_room_in_a_full_lane() {
    let now = Timestamp(1_700_000_000_000);
    let mut options = Options::default();
    options.late_bytes_max = 64 << 10;
    let (store, _) = Store::open(Arc::new(MemoryDisk::new()), options, now).unwrap();
    let labels = Labels::from_pairs([("__name__", "m")]).unwrap();
    let row = |at: i64| Row { labels: labels.as_bytes(), at, value: (at as f64).sin() };
    store.append(&[row(now.millis())], now).unwrap();
    let (mut taken, mut rounds) = (0i64, 0);
    while taken < 5_000 {
        let at = now.millis() - 86_400_000 + taken * 10_000;
        match store.append_any_age(&[row(at)], now) {
            Ok(appended) if appended.stored == 1 => {
                taken += 1;
                continue;
            }
            Ok(appended) => assert_eq!(appended.rejected[0].reason, Reason::TooManyLate),
            Err(Error::Overloaded { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        rounds += 1;
        store.maintain(now).unwrap();
        let again = store.append_any_age(&[row(at)], now).unwrap();
        assert_eq!(again.stored, 1, "after {taken} samples and {rounds} rounds");
        taken += 1;
    }
    assert!(rounds > 0, "the limit was never reached");
}
