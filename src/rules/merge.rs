use crate::names::{DistFilename, IndexName, ProjectName};
use crate::simple::{ApiVersion, File, ProjectPage};
use std::collections::HashSet;

/// The pages of a project in several indexes as one, as seen through `asked`: of two files with one name the first
/// counts, versions are those of all. What belongs to one upstream alone (its serial, its status) goes where there is
/// one page.
pub fn merge(asked: &IndexName, project: &ProjectName, pages: &[(IndexName, &ProjectPage)]) -> ProjectPage {
    let mut merged = ProjectPage::new(project.clone());
    merged.api_version = pages.iter().map(|(_, page)| page.api_version).min().unwrap_or(ApiVersion::NEWEST);
    if let [(_, page)] = pages {
        merged.project_status = page.project_status.clone();
        merged.meta_extra = page.meta_extra.clone();
        merged.extra = page.extra.clone();
    }
    let mut seen: HashSet<DistFilename> = HashSet::new();
    let mut versions: Vec<String> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    for (index, page) in pages {
        for file in page.files_offered() {
            if seen.insert(file.filename.clone()) {
                let home = Some(index.clone()).filter(|index| index != asked);
                merged.files.push(File { home, ..file.clone() });
            }
        }
        for version in page.versions.iter().flatten() {
            if known.insert(version.clone()) {
                versions.push(version.clone());
            }
        }
    }
    // As soon as one page does not know its versions, nobody knows all of them (PEP 700).
    merged.versions = pages.iter().all(|(_, page)| page.versions.is_some()).then_some(versions);
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn index(name: &str) -> IndexName {
        IndexName::parse(name).unwrap()
    }

    fn page(files: &[&str], versions: Option<&[&str]>) -> ProjectPage {
        let mut page = ProjectPage::new(ProjectName::parse("demo").unwrap());
        page.files = files
            .iter()
            .map(|name| File::new(DistFilename::parse(name).unwrap(), format!("https://files.example/{name}")))
            .collect();
        page.versions = versions.map(|versions| versions.iter().map(|version| (*version).to_owned()).collect());
        page.last_serial = Some(7);
        page
    }

    fn merged(pages: &[(&str, ProjectPage)]) -> ProjectPage {
        let pages: Vec<_> = pages.iter().map(|(name, page)| (index(name), page)).collect();
        merge(&index("ada/dev"), &ProjectName::parse("demo").unwrap(), &pages)
    }

    #[test]
    fn the_first_of_two_equal_names_counts_and_says_where_it_lies() {
        let both = merged(&[
            ("ada/dev", page(&["demo-1.0.tar.gz"], Some(&["1.0"]))),
            ("root/pypi", page(&["demo-1.0.tar.gz", "demo-2.0.tar.gz"], Some(&["1.0", "2.0"]))),
        ]);
        let files: Vec<_> = both.files.iter().map(|file| (file.filename.as_str(), file.home.clone())).collect();
        assert_eq!(files, [("demo-1.0.tar.gz", None), ("demo-2.0.tar.gz", Some(index("root/pypi")))]);
        assert_eq!((both.versions, both.last_serial), (Some(vec!["1.0".to_owned(), "2.0".to_owned()]), None));
    }

    #[test]
    fn a_page_without_versions_makes_the_whole_one_of_them() {
        let both = merged(&[("ada/dev", page(&[], Some(&["1.0"]))), ("root/pypi", page(&["demo-2.0.tar.gz"], None))]);
        assert_eq!(both.versions, None);
        assert_eq!(both.told_api_version(), ApiVersion::OLDEST);
    }

    #[test]
    fn a_status_belongs_to_a_page_that_stands_alone() {
        let mut quarantined = page(&["demo-2.0.tar.gz"], Some(&["2.0"]));
        quarantined.project_status = Some(json!({ "status": "quarantined" }));
        let alone = merged(&[("root/pypi", quarantined.clone())]);
        assert_eq!((alone.status(), alone.files.len()), (Some("quarantined"), 0));
        let both = merged(&[("ada/dev", page(&["demo-1.0.tar.gz"], Some(&["1.0"]))), ("root/pypi", quarantined)]);
        assert_eq!((both.status(), both.files.len()), (None, 1), "what is quarantined upstream stays away");
    }
}
