use super::ExportError;
use super::dump::{Cached, Dump};
use crate::cache::{Look, Shelf};
use crate::index::page_of;
use crate::names::{IndexName, ProjectName};
use crate::simple::{self, RequiresPython, Yanked};
use crate::store::{DocumentKind, Store};
use serde_json::{Map, Value};

/// What a mirror's pages list and the cache holds. A page that cannot be read lists nothing.
pub(super) async fn dump_mirror(
    dump: &mut Dump,
    store: &Store,
    look: &Look,
    index: &IndexName,
) -> Result<(), ExportError> {
    for name in store.document_names(index, DocumentKind::Page).await? {
        let Ok(project) = ProjectName::parse(&name) else { continue };
        let Some(document) = store.document(&page_of(index, &project)).await? else { continue };
        let Ok(page) = simple::from_stored(&document.body) else { continue };
        let mut cached = Vec::new();
        for file in &page.files {
            let digest = match file.sha256 {
                Some(digest) => Some(digest),
                None => store.unhashed(index, &file.url).await?.map(|(digest, _)| digest),
            };
            let (Some(digest), Some(version)) = (digest, file.filename.version_text(&project)) else { continue };
            let Some(size) = look.len(Shelf::Cache, &digest) else { continue };
            let mut says = Map::new();
            if let RequiresPython::Specifier(specifier) = &file.requires_python {
                says.insert("requires_python".to_owned(), (&**specifier).into());
            }
            match &file.yanked {
                Yanked::Yes => drop(says.insert("yanked".to_owned(), Value::Bool(true))),
                Yanked::Reason(reason) => drop(says.insert("yanked".to_owned(), reason.as_str().into())),
                Yanked::Absent | Yanked::No => {}
            }
            let filename = file.filename.as_str().to_owned();
            let modified = look.changed(Shelf::Cache, &digest).unwrap_or_default();
            cached.push(Cached { filename, version, url: file.url.clone(), digest, size, modified, says });
        }
        dump.mirrored(index, &project, cached);
    }
    Ok(())
}
