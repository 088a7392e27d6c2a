//! The index answers as it was built, and to any bytes.

use barograph_model::MatchOp;
use proptest::prelude::*;

use super::*;

fn sample() -> Vec<u8> {
    let mut builder = Builder::default();
    for (job, pod) in [("a", "1"), ("a", "2"), ("b", "3"), ("b", "")] {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", job), ("pod", pod)]).unwrap();
        builder.add_series(&labels, vec![0]);
    }
    let chunk = |kind, pages| WrittenChunk { kind, meta_len: 3, meta_crc: 1, pages };
    builder.chunks = vec![chunk(Kind::Timestamps, vec![(5, 2)]), chunk(Kind::Values, vec![(7, 3); 4])];
    builder.spans = vec![Span { count: 2, first: 100, last: 200 }];
    let mut bytes = Vec::new();
    let mut keep = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok::<_, std::convert::Infallible>(())
    };
    builder.encode(50, &mut keep).unwrap();
    bytes
}

fn check(index: &Index, matchers: &[(&str, MatchOp, &str)], expected: &[u32]) {
    let matchers: Vec<_> = matchers.iter().map(|(n, op, v)| Matcher::new(n, *op, v).unwrap()).collect();
    assert_eq!(index.matching(&matchers).unwrap(), expected, "{matchers:?}");
}

#[test]
fn answers_as_it_was_built() {
    let index = Index::decode(&sample(), 50, 1000).unwrap();
    assert_eq!(index.series_count(), 4);
    assert_eq!(index.labels(1).unwrap().to_string(), r#"up{job="a", pod="2"}"#);
    assert_eq!(index.labels(3).unwrap().to_string(), r#"up{job="b"}"#);
    assert_eq!(index.pages(2), 2..3);
    assert_eq!(index.span(2), Span { count: 2, first: 100, last: 200 });
    assert_eq!(index.value_pages[1].at, 16 + 3 + 5 + 3 + 7);
    assert_eq!(index.label_names().collect::<Vec<_>>(), ["__name__", "job", "pod"]);
    assert_eq!(index.label_values("pod").collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(index.label_values("none").count(), 0);
}

#[test]
fn matches_as_matchers_do() {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let index = Index::decode(&sample(), 50, 1000).unwrap();
    check(&index, &[], &[0, 1, 2, 3]);
    check(&index, &[("job", Equal, "a")], &[0, 1]);
    check(&index, &[("job", NotEqual, "a")], &[2, 3]);
    check(&index, &[("pod", Equal, "")], &[3]);
    check(&index, &[("pod", NotEqual, "")], &[0, 1, 2]);
    check(&index, &[("pod", Regex, "1|3")], &[0, 2]);
    check(&index, &[("pod", Regex, "[12]?")], &[0, 1, 3]);
    check(&index, &[("pod", NotRegex, "1|2"), ("job", Equal, "b")], &[2, 3]);
    check(&index, &[("none", Equal, "")], &[0, 1, 2, 3]);
    check(&index, &[("none", Equal, "x")], &[]);
}

#[test]
fn cut_bytes_are_refused() {
    let bytes = sample();
    assert!((0..bytes.len()).all(|len| Index::decode(&bytes[..len], 50, 1000).is_none()));
    assert!(Index::decode(&bytes, 50, 20).is_none());
}

proptest! {
    #[test]
    fn changed_bytes_are_an_answer(at in 0usize..80, byte: u8) {
        let mut bytes = sample();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Some(index) = Index::decode(&bytes, 50, 1000) {
            for id in 0..index.series_count() {
                let _ = index.labels(id);
                index.pages(id).for_each(|page| { index.span(page); });
            }
            let _ = index.matching(&[Matcher::equal("job", "a"), Matcher::new("pod", MatchOp::NotEqual, "1").unwrap()]);
        }
    }
}
