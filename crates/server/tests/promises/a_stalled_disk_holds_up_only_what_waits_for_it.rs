//! While the disk does not come back from a sync, requests that need nothing of it are answered and counted as ever; what
//! was to be made durable waits, and is answered when the disk comes back.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::support::{configured, now_ms, start_on};
use barograph_disk::{Append, Disk, Edit, Entry, Error, Held, MemoryDisk, ReadAt};

/// Whether syncs have to wait.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Nobody passes until the guard is dropped, which a test that fails does, too.
    pub(crate) fn close(&self) -> Closed {
        *self.0.0.lock().unwrap() = true;
        Closed(self.clone())
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |closed| *closed).unwrap());
    }
}

pub(crate) struct Closed(Gate);

impl Drop for Closed {
    fn drop(&mut self) {
        let (closed, changed) = &*self.0.0;
        *closed.lock().unwrap_or_else(PoisonError::into_inner) = false;
        changed.notify_all();
    }
}

/// A disk whose syncs wait at a gate.
pub(crate) struct Stalling {
    pub(crate) disk: MemoryDisk,
    pub(crate) gate: Gate,
}

struct File {
    file: Box<dyn Append>,
    gate: Gate,
}

impl Append for File {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.append(bytes)
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.gate.pass();
        self.file.sync()
    }
}

impl Disk for Stalling {
    fn lock(&self) -> Result<Box<dyn Held>, Error> {
        self.disk.lock()
    }

    fn list(&self, dir: &str) -> Result<Vec<Entry>, Error> {
        self.disk.list(dir)
    }

    fn open(&self, path: &str) -> Result<Arc<dyn ReadAt>, Error> {
        self.disk.open(path)
    }

    fn create(&self, path: &str) -> Result<Box<dyn Append>, Error> {
        Ok(Box::new(File { file: self.disk.create(path)?, gate: self.gate.clone() }))
    }

    fn edit(&self, path: &str) -> Result<Box<dyn Edit>, Error> {
        self.disk.edit(path)
    }

    fn truncate(&self, path: &str, len: u64) -> Result<(), Error> {
        self.disk.truncate(path, len)
    }

    fn sync_file(&self, path: &str) -> Result<(), Error> {
        self.disk.sync_file(path)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<(), Error> {
        self.disk.remove(path)
    }

    fn create_dir(&self, dir: &str) -> Result<(), Error> {
        self.disk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), Error> {
        self.disk.sync_dir(dir)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_disk_holds_up_only_what_waits_for_it() {
    let gate = Gate::default();
    let disk = Stalling { disk: MemoryDisk::new(), gate: gate.clone() };
    let running = start_on(Arc::new(disk), configured("collectors: {built_in: false}\n")).await;
    let write =
        async |ms: i64| running.write_series(&[("__name__", "m")], &[(now_ms() - ms, 1.0)]).await.status;
    assert_eq!(write(2_000).await, 204);
    let before = running.get("/diagnostics/metrics").await.json()["total_requests"].as_u64().unwrap();
    let closed = gate.close();
    let others = async {
        for _ in 0..50 {
            assert_eq!(running.get("/health").await.status, 200);
            assert_eq!(running.data("/api/v1/query?query=m").await["result"][0]["value"][1], "1");
        }
        running.get("/diagnostics/metrics").await.json()["total_requests"].as_u64().unwrap()
    };
    let mut writing = Box::pin(write(1_000));
    let counted = tokio::select! {
        _ = &mut writing => panic!("it cannot be durable yet"),
        counted = tokio::time::timeout(Duration::from_secs(20), others) => counted.expect("nobody is held up"),
    };
    // The diagnostics before, and the hundred since.
    assert_eq!(counted - before, 101);
    drop(closed);
    assert_eq!(writing.await, 204);
    running.server.stop().await;
}
