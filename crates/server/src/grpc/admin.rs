//! `barograph.v1.Admin`: what an operator asks of the server itself.

use barograph_proto::v1::{
    Backup, BackupRequest, BackupResponse, Document, Flaw, FlushRequest, FlushResponse, InfoRequest,
    InfoResponse, ListBackupsRequest, ListBackupsResponse, StorageStatsRequest, admin_server,
};
use barograph_tsdb::backup::Backup as Made;
use tonic::{Request, Response, Status};

use super::{Api, answers};
use crate::http::{
    admin::flushed,
    storage::{backed_up, backups_of, stats_of},
};

pub(super) struct Admin(pub(super) Api);

#[tonic::async_trait]
impl admin_server::Admin for Admin {
    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(InfoResponse {
            version: crate::VERSION.to_owned(),
            started_ms: self.0.app.started().0,
            ready: self.0.app.ready().is_some(),
        }))
    }

    async fn flush(&self, _: Request<FlushRequest>) -> Result<Response<FlushResponse>, Status> {
        let sizes = flushed(self.0.engine()?).await?;
        Ok(Response::new(FlushResponse {
            raw_bytes: sizes.raw_bytes,
            rollup_bytes: sizes.rollup_bytes,
            index_bytes: sizes.index_bytes,
            wal_bytes: sizes.wal_bytes,
            state_bytes: sizes.state_bytes,
            samples: sizes.samples,
            windows: sizes.windows,
        }))
    }

    async fn backup(&self, request: Request<BackupRequest>) -> Result<Response<BackupResponse>, Status> {
        let BackupRequest { target, keep } = request.into_inner();
        let keep = usize::try_from(keep).ok().filter(|keep| *keep > 0);
        let written = backed_up(self.0.engine()?, &target, keep).await?;
        Ok(Response::new(BackupResponse {
            backup: Some(made(&written.backup)),
            copied_files: written.files_copied as u64,
            copied_bytes: written.bytes_copied,
            removed: written.removed as u64,
            damaged: written.damaged.into_iter().map(flaw).collect(),
        }))
    }

    async fn list_backups(
        &self,
        request: Request<ListBackupsRequest>,
    ) -> Result<Response<ListBackupsResponse>, Status> {
        let engine = self.0.engine()?;
        let listed = backups_of(&engine, &request.get_ref().target).await?;
        Ok(Response::new(ListBackupsResponse {
            backups: listed.backups.iter().rev().map(made).collect(),
            unreadable: listed.unreadable.into_iter().map(flaw).collect(),
        }))
    }

    async fn storage_stats(&self, _: Request<StorageStatsRequest>) -> Result<Response<Document>, Status> {
        let document = stats_of(self.0.engine()?).await?;
        Ok(Response::new(answers::json(document.to_string())))
    }
}

fn made(backup: &Made) -> Backup {
    Backup {
        id: backup.id,
        made_at_ms: backup.made_at.0,
        files: backup.files.len() as u64,
        bytes: backup.bytes(),
    }
}

fn flaw((path, reason): (String, String)) -> Flaw {
    Flaw { path, reason }
}
