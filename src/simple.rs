//! stub
use crate::names::*;
use serde_json::{Map, Value};
use url::Url;
#[derive(Clone)]
pub struct ProjectPage { pub name: ProjectName, pub last_serial: Option<u64>, pub extra: Map<String, Value>, pub files: Vec<File> }
#[derive(Clone)]
pub struct File { pub filename: DistFilename, pub url: String, pub sha256: Option<Sha256>, pub size: Option<u64>, pub core_metadata: CoreMetadata, pub yanked: Yanked }
#[derive(Clone)]
pub enum Yanked { No }
impl Yanked { pub fn is_yanked(&self) -> bool { false } }
#[derive(Clone, Debug)]
pub enum CoreMetadata { Absent, Yes, Sha256(Sha256) }
impl CoreMetadata { pub fn announced(&self) -> bool { false } }
impl File {
    pub fn upload_unix(&self) -> Option<u64> { None }
    pub fn link_directory(&self) -> String { String::new() }
    pub fn upstream_path(&self) -> String { String::new() }
}
#[derive(Debug, thiserror::Error)]
pub enum PageError { #[error("x")] X }
pub fn parse_json(_: &[u8], _: &Url, _: &ProjectName) -> Result<ProjectPage, PageError> { Err(PageError::X) }
pub fn parse_html(_: &[u8], _: &Url, _: &ProjectName) -> Result<ProjectPage, PageError> { Err(PageError::X) }
pub fn render_json(_: &ProjectPage, _: &str) -> Vec<u8> { vec![] }
pub fn render_html(_: &ProjectPage, _: &str) -> Vec<u8> { vec![] }
pub fn to_stored(_: &ProjectPage) -> Vec<u8> { vec![] }
pub fn from_stored(_: &[u8]) -> Result<ProjectPage, PageError> { Err(PageError::X) }
pub fn file_path(_: &Sha256, _: &DistFilename) -> String { String::new() }
pub enum ListFormat { Json, Html }
pub struct ListSummary { pub projects: usize, pub dropped: usize, pub last_serial: Option<u64> }
pub fn transcode_list(_: ListFormat, _: impl std::io::Read, _: &mut impl std::io::Write, _: &mut impl std::io::Write) -> Result<ListSummary, PageError> { Err(PageError::X) }
