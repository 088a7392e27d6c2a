//! Labels as senders write them, marked with a tenant.

use barograph_model::{Labels, encode_label};
use barograph_tenancy::{LABEL, Marked, Tenant, strip};
use barograph_wire::remote_write::parse_labels;

use crate::Target;

/// Whatever comes, what can be read of it afterwards is of the tenant that it was marked for.
pub(super) const TENANT_LABELS: Target = Target {
    name: "tenant_labels",
    run: |input, shape| {
        let Ok(tenant) = Tenant::named("b") else { return };
        for (tenant, own) in [(tenant, Some("b")), (Tenant::DEFAULT, None)] {
            let mut marked = Marked::new(&tenant, 0);
            let range = marked.add(input);
            shape.size(range.len());
            shape.kind(marked.dropped());
            if let Ok(labels) = parse_labels(&marked.bytes()[range]) {
                assert_eq!(labels.value(LABEL), own, "it is marked for another tenant");
                shape.size(labels.len());
            }
        }
        let without = strip(input);
        if let Ok(labels) = parse_labels(&without) {
            assert_eq!(labels.value(LABEL), None);
        }
        shape.kind(Labels::from_canonical_bytes(&without).is_some());
    },
    seeds: || {
        let sets: [&[(&str, &str)]; 4] = [
            &[("__name__", "up"), ("job", "a")],
            &[("__name__", "up"), (LABEL, "a"), ("job", "a")],
            &[(LABEL, "a")],
            &[("A", "1"), ("__name__", "up"), ("z", "__tenant__")],
        ];
        let seed = |pairs: &&[(&str, &str)]| {
            let mut bytes = Vec::new();
            pairs.iter().for_each(|(name, value)| encode_label(&mut bytes, name, value));
            bytes
        };
        let mut seeds: Vec<_> = sets.iter().map(seed).collect();
        // The value before the name, and lengths that take more bytes than they need.
        seeds.push(b"\x0a\x0f\x12\x01a\x0a\x0a__tenant__".to_vec());
        seeds.push(b"\x0a\x91\x00\x0a\x8a\x00__tenant__\x12\x81\x00a".to_vec());
        seeds
    },
};
