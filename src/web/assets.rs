use crate::names::Sha256;
use bytes::Bytes;
use std::sync::OnceLock;

/// What the pages are drawn with.
pub struct Asset {
    pub content_type: &'static str,
    pub bytes: Bytes,
}

/// Name, media type, text.
const ASSETS: [(&str, &str, &str); 6] = [
    ("style.css", "text/css; charset=utf-8", include_str!("assets/style.css")),
    ("app.js", "text/javascript; charset=utf-8", include_str!("assets/app.js")),
    ("status.js", "text/javascript; charset=utf-8", include_str!("assets/status.js")),
    ("search.js", "text/javascript; charset=utf-8", include_str!("assets/search.js")),
    ("upload.js", "text/javascript; charset=utf-8", include_str!("assets/upload.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// Characters of the digest in a path: two versions of a file do not share them by chance.
const DIGEST_CHARS: usize = 12;

/// The asset that is called so in a path; its name holds its digest, so it never changes.
pub fn asset(name: &str) -> Option<Asset> {
    let at = names().iter().position(|known| known == name)?;
    let (_, content_type, text) = ASSETS.get(at)?;
    Some(Asset { content_type, bytes: Bytes::from_static(text.as_bytes()) })
}

/// Where an asset is found.
pub(super) fn path_of(name: &str) -> String {
    let at = ASSETS.iter().position(|(known, ..)| *known == name);
    let found = at.and_then(|at| names().get(at)).map_or(name, String::as_str);
    format!("/+static/{found}")
}

fn names() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let named = |(name, _, text): &(&str, &str, &str)| {
            let digest = Sha256::of(text.as_bytes()).to_hex();
            let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
            format!("{stem}.{}.{ending}", digest.get(..DIGEST_CHARS).unwrap_or_default())
        };
        ASSETS.iter().map(named).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_found_by_its_whole_name() {
        for (name, content_type, text) in ASSETS {
            let path = path_of(name);
            let found = asset(path.strip_prefix("/+static/").unwrap()).unwrap();
            assert_eq!((found.content_type, &*found.bytes), (content_type, text.as_bytes()));
            assert!(asset(name).is_none(), "without its digest it could be kept too long");
        }
    }
}
