//! The doors of the house for those who own something: each narrates one journey.

use super::accounts::{Claim, Login, TokenWish};
use super::catalog::{Catalog, IndexEntry};
use super::info::VersionInfo;
use super::push::{PushAsk, PushTarget, Pushed};
use super::releases::{NewDocs, NewFile, NewRelease, Removal, Stored};
use super::{FileAnswer, FileKey, House, Index, IndexError};
use crate::cache::Disk;
use crate::config::Secret;
use crate::names::{DigestPrefix, DistFilename, IndexName, ProjectName, UserName};
use crate::rules::Subject;
use crate::store::{TokenRow, UserRow};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

impl Index {
    /// Who asks; see `House::authenticate`.
    pub async fn authenticate(&self, claim: &Claim, peer: Option<IpAddr>) -> Result<Subject, IndexError> {
        self.0.authenticate(claim, peer).await
    }

    /// Whether anybody may read the index: then nobody need be asked who he is. `None`: there is no such index.
    pub fn is_public(&self, index: &IndexName) -> Option<bool> {
        self.0.catalog.read().index(index).map(|entry| entry.public)
    }

    pub fn readable(&self, subject: &Subject, index: &IndexName) -> Result<Arc<IndexEntry>, IndexError> {
        self.0.readable(subject, index)
    }

    pub fn entry(&self, index: &IndexName) -> Result<Arc<IndexEntry>, IndexError> {
        self.0.entry(index)
    }

    /// The users and indexes as they are now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.0.catalog()
    }

    /// The directory that uploads land in.
    pub fn disk(&self) -> &Arc<Disk> {
        &self.0.disk
    }

    pub async fn login(&self, claim: &Claim, peer: Option<IpAddr>) -> Result<Login, IndexError> {
        self.0.login(claim, peer).await
    }

    pub async fn create_user(
        &self,
        subject: &Subject,
        name: &UserName,
        given: &Map<String, Value>,
    ) -> Result<UserRow, IndexError> {
        self.0.create_user(subject, name, given).await
    }

    pub async fn modify_user(
        &self,
        subject: &Subject,
        name: &UserName,
        given: &Map<String, Value>,
        proof: Option<&Claim>,
    ) -> Result<Option<Login>, IndexError> {
        self.0.modify_user(subject, name, given, proof).await
    }

    pub async fn delete_user(&self, subject: &Subject, name: &UserName) -> Result<(), IndexError> {
        self.0.delete_user(subject, name).await
    }

    /// The user of this name.
    pub fn user(&self, name: &UserName) -> Result<UserRow, IndexError> {
        self.0.user(name)
    }

    /// Sets root's password when there is none yet; says whether it did.
    pub async fn first_password(&self, password: &Secret) -> Result<bool, IndexError> {
        self.0.first_password(password).await
    }

    /// Whether somebody can log in as root.
    pub fn root_has_password(&self) -> bool {
        super::accounts::root_name().and_then(|root| self.0.user(&root)).is_ok_and(|root| root.password.is_some())
    }

    pub async fn create_token(&self, wish: TokenWish) -> Result<Secret, IndexError> {
        self.0.create_token(wish).await
    }

    pub async fn tokens(&self, user: Option<&UserName>) -> Result<Vec<TokenRow>, IndexError> {
        let mut rows = self.0.private.tokens(user).await?;
        for row in &mut rows {
            let noted = self.0.last_uses.tokens.of(&row.id);
            row.used = row.used.max((noted > 0).then_some(noted));
        }
        Ok(rows)
    }

    pub async fn revoke_token(&self, id: &str) -> Result<bool, IndexError> {
        let revoked = self.0.private.remove_token(id).await?;
        self.0.auth.forget_all();
        Ok(revoked)
    }

    /// The same of one's own tokens; another's is none.
    pub async fn revoke_token_of(&self, user: &UserName, id: &str) -> Result<bool, IndexError> {
        match self.0.private.token(id).await?.filter(|row| row.user == *user) {
            Some(_) => self.revoke_token(id).await,
            None => Ok(false),
        }
    }

    pub async fn create_index(
        &self,
        subject: &Subject,
        name: &IndexName,
        given: &Map<String, Value>,
    ) -> Result<Arc<IndexEntry>, IndexError> {
        self.0.create_index(subject, name, given).await
    }

    pub async fn modify_index(
        &self,
        subject: &Subject,
        name: &IndexName,
        change: &Value,
        error_on_noop: bool,
    ) -> Result<Arc<IndexEntry>, IndexError> {
        self.0.modify_index(subject, name, std::slice::from_ref(change), error_on_noop).await
    }

    /// Several changes of an index at once: all or none.
    pub async fn change_index(
        &self,
        subject: &Subject,
        name: &IndexName,
        changes: &[Value],
    ) -> Result<Arc<IndexEntry>, IndexError> {
        self.0.modify_index(subject, name, changes, false).await
    }

    pub async fn delete_index(&self, subject: &Subject, name: &IndexName) -> Result<(), IndexError> {
        self.0.delete_index(subject, name).await
    }

    pub fn may_upload(&self, subject: &Subject, index: &IndexName) -> Result<Arc<IndexEntry>, IndexError> {
        self.0.may_upload(subject, index)
    }

    pub async fn publish(&self, subject: &Subject, index: &IndexName, file: NewFile) -> Result<Stored, IndexError> {
        self.0.publish(subject, index, file).await
    }

    pub async fn publish_docs(
        &self,
        subject: &Subject,
        index: &IndexName,
        docs: NewDocs,
    ) -> Result<Stored, IndexError> {
        self.0.publish_docs(subject, index, docs).await
    }

    pub async fn register(&self, subject: &Subject, index: &IndexName, release: NewRelease) -> Result<(), IndexError> {
        self.0.register(subject, index, release).await
    }

    /// The path of the stored result, and its digest as a fragment.
    pub async fn store_toxresult(
        &self,
        subject: &Subject,
        index: &IndexName,
        filename: &DistFilename,
        prefix: DigestPrefix,
        result: Bytes,
    ) -> Result<String, IndexError> {
        self.0.store_toxresult(subject, index, filename, prefix, result).await
    }

    pub async fn remove(
        &self,
        subject: &Subject,
        index: &IndexName,
        what: &Removal<'_>,
        force: bool,
    ) -> Result<(), IndexError> {
        self.0.remove(subject, index, what, force).await
    }

    /// Yanks with a reason (empty: without one), or takes it back; how many files that changed.
    pub async fn yank(
        &self,
        subject: &Subject,
        index: &IndexName,
        what: &Removal<'_>,
        yanked: Option<String>,
    ) -> Result<u64, IndexError> {
        self.0.yank(subject, index, what, yanked).await
    }

    pub async fn push(
        &self,
        subject: &Subject,
        source: &IndexName,
        ask: PushAsk,
        target: &IndexName,
    ) -> Result<Pushed, IndexError> {
        self.0.push(subject, source, ask, target).await
    }

    pub async fn push_outside(
        &self,
        subject: &Subject,
        source: &IndexName,
        ask: PushAsk,
        target: &PushTarget,
    ) -> Result<Pushed, IndexError> {
        self.0.push_outside(subject, source, ask, target).await
    }

    /// Asks upstream anew about a project in all mirrors that the index draws from.
    pub async fn refresh(&self, entry: &Arc<IndexEntry>, project: &ProjectName) -> Result<(), IndexError> {
        self.0.refresh_now(entry, project).await
    }

    pub async fn project_info(
        &self,
        entry: &Arc<IndexEntry>,
        project: &ProjectName,
        ignore_bases: bool,
    ) -> Result<BTreeMap<String, VersionInfo>, IndexError> {
        self.0.project_info(entry, project, ignore_bases).await
    }

    pub async fn project_names(&self, entry: &IndexEntry) -> Result<Vec<String>, IndexError> {
        self.0.project_names(entry).await
    }

    /// A test result that was stored for a file of a stage.
    pub async fn toxresult(&self, file: &FileKey, stamp: &str) -> Result<FileAnswer, IndexError> {
        self.0.toxresult(file, stamp).await
    }

    /// The provenance of a stage's file, made of the attestations that came with it (PEP 740).
    pub async fn provenance(&self, file: &FileKey) -> Result<String, IndexError> {
        self.0.provenance(file).await
    }

    /// When the last change was made (Unix seconds), or this run began where that was later.
    pub fn last_change(&self) -> u64 {
        self.0.change.lock().1
    }

    /// The number of the last change, and who this server is.
    pub async fn identity(&self) -> Result<(u64, String), IndexError> {
        let (serial, uuid) = self.0.private.identity().await?;
        let mut change = self.0.change.lock();
        if change.0 != serial {
            *change = (serial, self.0.clock.unix());
        }
        Ok((serial, uuid))
    }
}

/// How often it is looked whether the command line has changed something in the database. A token that is revoked
/// there ends within this time.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// How many of those rounds lie between two sweeps of tokens and sessions that ran out.
const SWEEP_ROUNDS: u32 = 600;

impl House {
    /// Forgets who was recognised when another process wrote the database.
    pub(super) async fn watch_tokens(self: Arc<Self>) {
        let weak: Weak<Self> = Arc::downgrade(&self);
        let mut seen = self.private.data_version().await.ok();
        drop(self);
        for round in 0_u32.. {
            tokio::time::sleep(WATCH_EVERY).await;
            let Some(house) = weak.upgrade().filter(|house| !house.stopping()) else { return };
            let now = house.private.data_version().await.ok();
            if now != seen {
                seen = now;
                house.auth.forget_all();
            }
            if round % SWEEP_ROUNDS == 0 {
                house.write_last_uses().await;
                house.sweep().await;
            }
        }
    }

    /// Removes the tokens and sessions that have ended by themselves.
    async fn sweep(&self) {
        if let Err(why) = self.private.remove_expired_tokens(self.clock.unix()).await {
            self.disk_trouble(&why);
        }
        if let Err(why) = self.sweep_sessions().await {
            self.disk_trouble(&why);
        }
    }

    async fn refresh_now(self: &Arc<Self>, entry: &Arc<IndexEntry>, project: &ProjectName) -> Result<(), IndexError> {
        for name in self.sources(entry, project).await?.mirrors {
            let mirror = self.mirror(&name)?;
            let document = super::pages::page_of(&name, project);
            let state = self.state(&document).await?;
            match self.settle(&mirror, &document, &state, true).await {
                Ok(_) | Err(IndexError::UnknownProject(..) | IndexError::Offline(_)) => {}
                Err(why) => return Err(why),
            }
        }
        Ok(())
    }
}
