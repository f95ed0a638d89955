use super::{ImportError, Report, Watch};
use crate::index::{Index, IndexError, Took};
use crate::names::{IndexName, ProjectName};
use crate::store::ReleaseRow;
use std::collections::BTreeMap;

/// Takes things one after another and keeps the account of them.
pub struct Taker<'a> {
    /// None: nothing is written.
    pub index: Option<&'a Index>,
    pub now: u64,
    pub watch: Watch<'a>,
    pub report: Report,
    /// The foreign indexes that there are here now, and whether each is a mirror.
    pub mirrors: BTreeMap<IndexName, bool>,
}

impl<'a> Taker<'a> {
    pub fn new(index: Option<&'a Index>, now: u64, watch: Watch<'a>) -> Self {
        Self { index, now, watch, report: Report::default(), mirrors: BTreeMap::new() }
    }

    pub fn is_stage(&self, index: &IndexName) -> bool {
        self.mirrors.get(index) == Some(&false)
    }

    pub fn is_mirror(&self, index: &IndexName) -> bool {
        self.mirrors.get(index) == Some(&true)
    }

    /// Notes what became of a thing. What says that it makes no sense is left out; what says that this server cannot go
    /// on ends the import.
    pub fn account(
        &mut self,
        kind: &'static str,
        what: &str,
        took: Result<Took, IndexError>,
    ) -> Result<Option<Took>, ImportError> {
        match took {
            Ok(Took::New) => self.report.came(kind),
            Ok(Took::Same) => self.report.was_here(kind),
            Ok(Took::Differs) => {
                self.report.left_out(kind, what, "another one is here already, which stays as it is");
            }
            Err(why @ (IndexError::Store(_) | IndexError::Disk(_) | IndexError::Lost | IndexError::Busy)) => {
                return Err(why.into());
            }
            Err(why) => {
                self.report.left_out(kind, what, why);
                return Ok(None);
            }
        }
        Ok(took.ok())
    }
}

impl Taker<'_> {
    pub async fn release(&mut self, what: &str, release: &ReleaseRow) -> Result<Option<Took>, ImportError> {
        let Some(index) = self.index else {
            self.report.came("releases");
            return Ok(Some(Took::New));
        };
        let took = index.take_release(release).await;
        self.account("releases", what, took)
    }

    /// A name that a stage owns.
    pub async fn name(&mut self, index: &IndexName, project: &str) -> Result<(), ImportError> {
        let what = format!("{index}: {project}");
        let project = match ProjectName::parse(project) {
            Ok(project) => project,
            Err(why) => {
                self.report.left_out("names", what, why);
                return Ok(());
            }
        };
        let Some(ours) = self.index else { return Ok(()) };
        let took = ours.take_project(index, &project, self.now).await;
        // Those with releases are here by now; they are not counted again.
        if !matches!(took, Ok(Took::Same)) {
            self.account("names", &what, took)?;
        }
        Ok(())
    }
}
