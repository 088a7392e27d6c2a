//! What the system collector tells of the disk and the network.

use super::Definition;
use crate::Unit;

pub(super) static DISK_TOTAL: Definition =
    Definition::gauge("system.disk.total", Unit::Bytes, "Bytes of the file system.").plain();
pub(super) static DISK_USED: Definition =
    Definition::gauge("system.disk.used", Unit::Bytes, "Bytes of the file system in use.").plain();
pub(super) static DISK_PERCENTAGE: Definition =
    Definition::gauge("system.disk.percentage", Unit::Percent, "Share of the file system in use.").plain();
pub(super) static NETWORK_RECEIVED: Definition =
    Definition::counter("system.network.received", Unit::Bytes, "Bytes received from other machines.")
        .plain();
pub(super) static NETWORK_SENT: Definition =
    Definition::counter("system.network.sent", Unit::Bytes, "Bytes sent to other machines.").plain();
pub(super) static NETWORK_RATE: Definition = Definition::gauge(
    "system.network.rate",
    Unit::Custom("bytes_per_second"),
    "Bytes a second in the busier direction since the last reading.",
)
.plain();
pub(super) static NETWORK_CAPACITY: Definition = Definition::gauge(
    "system.network.capacity",
    Unit::Custom("bytes_per_second"),
    "Bytes a second that the links carry each way.",
)
.plain();

/// All metrics of disk and network.
pub(super) static ALL: [&Definition; 7] = [
    &DISK_TOTAL,
    &DISK_USED,
    &DISK_PERCENTAGE,
    &NETWORK_RECEIVED,
    &NETWORK_SENT,
    &NETWORK_RATE,
    &NETWORK_CAPACITY,
];
