//! Reads every stored file once in a while, so that damage is found before somebody asks for the file: what can be fetched
//! again is, what cannot is set aside and told.

use super::{House, Index, IndexError};
use crate::cache::{Look, Pace, ReadThrough, Seen, Shelf, read_through};
use crate::metrics::{Event, Level};
use crate::names::Sha256;
use crate::platform;
use crate::store::{ScrubRow, StoreError};
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Most that is read in a second, in bytes: less than any disk gives, so that clients do not notice.
const RATE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// It sleeps no longer than this at once, so that a stop is not waited for and a clock that was set is noticed.
const NAP_MAX: Duration = Duration::from_secs(60);

/// How far it has come is written at least every so many bytes; more would be read twice after a kill.
const NOTE_EVERY_BYTES: u64 = 256 * 1024 * 1024;

/// A private file that no row names is left by a kill between its name and its row. It goes when it is older than this,
/// in seconds: an import writes its rows long after its files.
const ORPHAN_AGE_SECONDS: u64 = 86_400;

/// Orphans that are removed under one hold of the shelf's lock.
const ORPHANS_BATCH: usize = 200;

/// In this order: what nobody can fetch again comes first.
const SHELVES: [(Shelf, &str); 2] = [(Shelf::Private, "private"), (Shelf::Cache, "files")];

impl Index {
    /// Reads every stored file once in `period`, again and again until the house is gone.
    pub fn scrub_every(&self, period: Duration) {
        tokio::spawn(scrub_on(Arc::downgrade(&self.0), period));
    }

    /// Ends the pass that is under way, or does a new one, now and as fast as it goes.
    pub async fn scrub_now(&self) -> Result<ScrubRow, IndexError> {
        match pass(&Arc::downgrade(&self.0), None).await {
            Ok(row) => Ok(row),
            Err(Ended::Failed(why)) => Err(why),
            Err(Ended::Gone) => Err(IndexError::Lost),
        }
    }
}

/// Why a pass did not come to its end.
enum Ended {
    /// The house is gone, or stops.
    Gone,
    Failed(IndexError),
}

impl From<StoreError> for Ended {
    fn from(why: StoreError) -> Self {
        Self::Failed(why.into())
    }
}

/// What a file is that was read through.
#[derive(Debug, PartialEq, Eq)]
enum Health {
    Good,
    Damaged,
    /// It was removed meanwhile.
    Gone,
    Unreadable(String),
    Stopped,
}

async fn scrub_on(house: Weak<House>, period: Duration) {
    if let Some(house) = house.upgrade() {
        house.show_damage().await;
    }
    loop {
        let next = match pass(&house, Some(period)).await {
            Ok(row) => {
                let (files, bytes, damaged) = (row.files, row.bytes, row.damaged);
                tracing::info!(files, bytes, damaged, "every stored file was read through");
                row.began + period.as_secs()
            }
            Err(Ended::Gone) => return,
            Err(Ended::Failed(why)) => {
                let Some(house) = house.upgrade() else { return };
                house.disk_trouble(&why);
                house.clock.unix() + NAP_MAX.as_secs()
            }
        };
        if rest_until(&house, next).await.is_err() {
            return;
        }
    }
}

/// When what is to be read.
#[derive(Debug, Clone, Copy)]
struct Plan {
    began: u64,
    /// None: at once.
    seconds: Option<u64>,
    total: u64,
}

impl Plan {
    /// When, in Unix seconds, so many bytes shall have been read. Who is late reads on without a rest.
    fn due(&self, bytes: u64) -> u64 {
        let seconds = self.seconds.unwrap_or(0);
        let part = u128::from(seconds) * u128::from(bytes.min(self.total)) / u128::from(self.total.max(1));
        self.began + u64::try_from(part).unwrap_or(seconds)
    }
}

/// One pass over all files, spread over `period`.
async fn pass(weak: &Weak<House>, period: Option<Duration>) -> Result<ScrubRow, Ended> {
    let house = present(weak)?;
    let (now, look) = (house.clock.unix(), house.disk.look());
    let mut row = match house.store.scrub().await? {
        // One from ahead of now was begun by a wrong clock; one without a shelf has ended.
        Some(row) if row.began <= now && SHELVES.iter().any(|(_, name)| *name == row.shelf) => row,
        before => ScrubRow {
            began: now,
            shelf: "private".to_owned(),
            finished: before.and_then(|row| row.finished),
            ..ScrubRow::default()
        },
    };
    let sizes = look.clone();
    let total = blocking(move || SHELVES.map(|(shelf, _)| bytes_on(&sizes, shelf)).iter().sum()).await?;
    let plan = Plan { began: row.began, seconds: period.map(|period| period.as_secs()), total };
    let mut pace = Pace::new(house.clock.clone(), period.map(|_| RATE_BYTES_MAX));
    drop(house);
    let mut noted = row.bytes;
    for (at, (shelf, name)) in SHELVES.into_iter().enumerate() {
        if row.shelf != name {
            continue;
        }
        let first = row.after.map_or(0, |after| after.as_bytes().first().copied().unwrap_or(0));
        for part in first..=u8::MAX {
            let listed = look.clone();
            let mut files = blocking(move || listed.scan_part(shelf, part)).await?;
            files.retain(|(digest, ..)| row.after.is_none_or(|after| *digest > after));
            for (digest, size, _) in files {
                let house = present(weak)?;
                let read;
                (read, pace) = read_one(&house, &look, shelf, digest, pace).await?;
                house.judge(shelf, &digest, read, &mut row).await?;
                row.bytes += size;
                row.after = Some(digest);
                let due = plan.due(row.bytes);
                if row.bytes >= noted + NOTE_EVERY_BYTES || due > house.clock.unix() {
                    house.store.put_scrub(&row).await?;
                    noted = row.bytes;
                }
                drop(house);
                rest_until(weak, due).await?;
            }
        }
        let house = present(weak)?;
        if shelf == Shelf::Private {
            house.look_for_lost(&look, &mut row).await?;
            house.sweep_orphans(&look).await?;
        }
        row.after = None;
        row.shelf = SHELVES.get(at + 1).map(|(_, name)| (*name).to_owned()).unwrap_or_default();
        if row.shelf.is_empty() {
            row.finished = Some(house.clock.unix());
        }
        house.store.put_scrub(&row).await?;
        house.show_damage().await;
    }
    Ok(row)
}

/// The house, as long as it stands and does not stop.
fn present(weak: &Weak<House>) -> Result<Arc<House>, Ended> {
    weak.upgrade().filter(|house| !house.stopping()).ok_or(Ended::Gone)
}

async fn rest_until(weak: &Weak<House>, due: u64) -> Result<(), Ended> {
    loop {
        let now = present(weak)?.clock.unix();
        if due <= now {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(due - now).min(NAP_MAX)).await;
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Ended> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Ended::Failed(IndexError::Lost))
}

fn bytes_on(look: &Look, shelf: Shelf) -> u64 {
    let mut bytes = 0;
    look.scan(shelf, |_, size| {
        bytes += size;
        true
    });
    bytes
}

async fn read_one(
    house: &Arc<House>,
    look: &Look,
    shelf: Shelf,
    digest: Sha256,
    mut pace: Pace,
) -> Result<(Health, Pace), Ended> {
    let (house, look) = (Arc::clone(house), look.clone());
    blocking(move || {
        let stopping = || house.stopping();
        let health = read_slowly(&look, shelf, &digest, &mut pace, stopping);
        (health, pace)
    })
    .await
}

/// Reads a file through and leaves nothing of it in the system's memory, which others need more.
fn read_slowly(look: &Look, shelf: Shelf, digest: &Sha256, pace: &mut Pace, stopping: impl Fn() -> bool) -> Health {
    let file = match look.see(shelf, digest) {
        Ok(Seen::File(file)) => file,
        Ok(Seen::Missing) => return Health::Gone,
        Ok(Seen::Odd) => return Health::Damaged,
        Err(why) => return Health::Unreadable(why.to_string()),
    };
    let read = read_through(&file.file, file.len, |piece, at| {
        platform::forget_pages(&file.file, at, piece.len() as u64);
        pace.wait(piece.len() as u64);
        if stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match read {
        Ok(ReadThrough::Whole(found)) if found == *digest => Health::Good,
        Ok(ReadThrough::Whole(_) | ReadThrough::Cut(_)) => Health::Damaged,
        Ok(ReadThrough::Stopped) => Health::Stopped,
        Err(why) => Health::Unreadable(why.to_string()),
    }
}

impl House {
    /// Counts a file that was read, and does what its health asks for.
    async fn judge(&self, shelf: Shelf, digest: &Sha256, health: Health, row: &mut ScrubRow) -> Result<(), Ended> {
        match health {
            Health::Stopped => return Err(Ended::Gone),
            Health::Gone => return Ok(()),
            Health::Good => {}
            Health::Damaged => {
                row.damaged += 1;
                self.put_right(shelf, digest).await;
            }
            Health::Unreadable(why) => {
                row.damaged += 1;
                self.metrics.happened(Event::FileDamaged);
                tracing::error!(%digest, %why, "a stored file cannot be read; it stays where it is");
            }
        }
        row.files += 1;
        self.metrics.happened(Event::FileScrubbed);
        Ok(())
    }

    /// Sets a damaged file aside. One of the cache is fetched when it is asked for; one of a user's is taken from the
    /// cache, if that has the same bytes, and else noted as lost.
    async fn put_right(&self, shelf: Shelf, digest: &Sha256) {
        match shelf {
            Shelf::Cache => {
                self.set_aside_on(shelf, digest).await;
                if self.offline {
                    self.states.rerender_all();
                }
            }
            Shelf::Private => {
                // Nobody publishes the same bytes meanwhile.
                let _shelf = self.shelf.lock().await;
                self.set_aside_on(shelf, digest).await;
                let (disk, wanted) = (Arc::clone(&self.disk), *digest);
                let mended = tokio::task::spawn_blocking(move || disk.link_private(&wanted)).await;
                if matches!(mended, Ok(Ok(Some(_)))) {
                    tracing::warn!(%digest, "the damaged file was replaced by the cache's, which is good");
                    let _ = self.private.mended(&[*digest]).await;
                }
            }
        }
    }

    /// Notes that a user's file is lost, for who looks at the metrics and for the next run.
    pub(super) async fn note_loss(&self, digest: &Sha256) {
        if let Err(why) = self.private.note_damage(digest, self.clock.unix()).await {
            self.disk_trouble(&why);
        }
        self.show_damage().await;
    }

    /// Finds what rows refer to and no shelf has.
    async fn look_for_lost(&self, look: &Look, row: &mut ScrubRow) -> Result<(), Ended> {
        let (named, there) = (self.private.named().await?, look.clone());
        let on_shelf = move |digest: &Sha256| SHELVES.iter().any(|(shelf, _)| there.len(*shelf, digest).is_some());
        let missing = blocking(move || {
            let missing = named.into_iter().map(|(digest, _)| digest).filter(|digest| !on_shelf(digest));
            missing.collect::<Vec<_>>()
        });
        let missing = missing.await?;
        let known: HashSet<_> = self.private.damaged().await?.into_iter().collect();
        // Some were removed since the rows were read.
        let gone: HashSet<_> = self.private.unreferenced(&missing).await?.into_iter().collect();
        for digest in missing.iter().filter(|digest| !gone.contains(digest) && !known.contains(digest)) {
            row.damaged += 1;
            self.metrics.happened(Event::FileDamaged);
            tracing::error!(%digest, "an uploaded file is not on the disk any more: restore it from a backup");
            self.private.note_damage(digest, self.clock.unix()).await?;
        }
        let back = known.into_iter().filter(|digest| look.len(Shelf::Private, digest).is_some());
        self.private.mended(&back.collect::<Vec<_>>()).await?;
        Ok(())
    }

    /// Removes private files that no row names and that are too old to be on their way.
    async fn sweep_orphans(&self, look: &Look) -> Result<(), Ended> {
        let named: HashSet<_> = self.private.named().await?.into_iter().map(|(digest, _)| digest).collect();
        let (there, old) = (look.clone(), self.clock.unix().saturating_sub(ORPHAN_AGE_SECONDS));
        let orphans = blocking(move || {
            let mut orphans = Vec::new();
            there.scan(Shelf::Private, |digest, _| {
                if !named.contains(&digest) && there.changed(Shelf::Private, &digest).is_some_and(|at| at < old) {
                    orphans.push(digest);
                }
                true
            });
            orphans
        });
        for batch in orphans.await?.chunks(ORPHANS_BATCH) {
            let _shelf = self.shelf.lock().await;
            // Under the lock: a row may have come to name one of them.
            let unreferenced = self.private.unreferenced(batch).await?;
            tracing::info!(files = unreferenced.len(), "removed private files that nothing referred to");
            unreferenced.iter().for_each(|_| self.metrics.happened(Event::OrphanSwept));
            self.unreferenced(unreferenced).await;
        }
        Ok(())
    }

    /// Shows in the metrics what is lost, and when everything was last read.
    pub(super) async fn show_damage(&self) {
        if let Ok(damaged) = self.private.damaged().await {
            let (look, mut lost) = (self.disk.look(), damaged);
            lost.retain(|digest| look.len(Shelf::Private, digest).is_none());
            self.metrics.level(Level::PrivateLost, lost.len() as u64);
        }
        if let Ok(Some(row)) = self.store.scrub().await {
            self.metrics.level(Level::ScrubFinished, row.finished.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_spread_over_its_period_and_who_is_late_does_not_rest() {
        let plan = Plan { began: 1_000, seconds: Some(3_600), total: 100 };
        assert_eq!([0, 50, 100, 200].map(|bytes| plan.due(bytes)), [1_000, 2_800, 4_600, 4_600]);
        assert_eq!(Plan { total: 0, ..plan }.due(7), 1_000, "nothing was there when the pass began");
        assert_eq!(Plan { seconds: None, ..plan }.due(50), 1_000);
        assert_eq!(Plan { seconds: Some(u64::MAX / 2), total: u64::MAX, ..plan }.due(u64::MAX), 1_000 + u64::MAX / 2);
    }
}
