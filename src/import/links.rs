use super::ImportError;
use super::read::Stated;
use super::taker::Taker;
use crate::names::{DistFilename, IndexName, ProjectName};
use crate::simple::{self, File, ProjectPage, RequiresPython, Yanked};
use serde_json::Value;

/// A link of a mirror's page, as another server keeps it.
pub struct KnownLink {
    pub filename: String,
    /// Where upstream has the file.
    pub url: String,
    pub stated: Stated,
    pub requires_python: Option<String>,
    /// Null, a reason, or a flag.
    pub yanked: Value,
}

impl Taker<'_> {
    /// Keeps the links of a project as a page. `whole`: upstream told no others.
    pub async fn page(
        &mut self,
        index: &IndexName,
        project: ProjectName,
        links: Vec<KnownLink>,
        whole: bool,
    ) -> Result<(), ImportError> {
        let what = format!("{index}: page of {project}");
        let given = links.len();
        let mut page = ProjectPage::new(project);
        page.files = links.into_iter().filter_map(file).collect();
        // Read again as a foreign page is: what cannot be used is dropped.
        let page = match simple::from_stored(&simple::to_stored(&page)) {
            Ok(page) if !page.files.is_empty() || given == 0 => page,
            Ok(_) => {
                self.report.left_out("pages", what, "none of its links can be used");
                return Ok(());
            }
            Err(why) => {
                self.report.left_out("pages", what, why);
                return Ok(());
            }
        };
        let Some(ours) = self.index else {
            self.report.came("pages");
            return Ok(());
        };
        let took = ours.take_page(index, &page, whole && page.files.len() == given).await;
        self.account("pages", &what, took)?;
        Ok(())
    }
}

fn file(link: KnownLink) -> Option<File> {
    let mut file = File::new(DistFilename::parse(&link.filename).ok()?, link.url);
    file.sha256 = link.stated.sha256;
    file.other_hashes = link.stated.md5.into_iter().map(|hex| ("md5".to_owned(), hex)).collect();
    file.requires_python =
        link.requires_python.map_or(RequiresPython::Absent, |said| RequiresPython::Specifier(said.into()));
    file.yanked = match link.yanked {
        Value::String(reason) if !reason.is_empty() => Yanked::Reason(reason),
        Value::String(_) | Value::Bool(true) => Yanked::Yes,
        _ => Yanked::Absent,
    };
    Some(file)
}
