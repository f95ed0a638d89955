use url::Url;

/// What stands before every id of a description, so that none is one of the page's.
pub const ID_PREFIX: &str = "readme-";

/// Longest id, in bytes; a title of some lines.
const ID_BYTES_MAX: usize = 300;

/// Pictures that stand in the text itself: of these kinds a browser runs nothing.
const DATA_PICTURES: [&str; 4] = ["data:image/png;", "data:image/gif;", "data:image/jpeg;", "data:image/webp;"];

/// Where a link of a description leads, as it is written into the page. What is relative has no base here.
pub fn link(raw: &str) -> Option<String> {
    let raw = raw.trim();
    if let Some(fragment) = raw.strip_prefix('#') {
        return id(fragment).map(|id| format!("#{id}"));
    }
    if raw.starts_with("//") {
        return web_address(&format!("https:{raw}"));
    }
    let url = Url::parse(raw).ok()?;
    match url.scheme() {
        "http" | "https" => web_address(raw),
        "mailto" if !url.path().is_empty() => Some(url.into()),
        _ => None,
    }
}

/// Where a picture lies that a page may show.
pub fn picture(raw: &str) -> Option<String> {
    let raw = raw.trim();
    let is_data = |kind: &&str| raw.get(..kind.len()).is_some_and(|head| head.eq_ignore_ascii_case(kind));
    if DATA_PICTURES.iter().any(is_data) {
        let (kind, data) = raw.split_once(',')?;
        let is_base64 = kind.to_ascii_lowercase().ends_with(";base64");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=%".contains(&byte) || byte.is_ascii_whitespace();
        return (is_base64 && data.bytes().all(plain)).then(|| raw.to_owned());
    }
    link(raw).filter(|url| url.starts_with("https://"))
}

/// The pictures among which a browser may choose (`srcset`): all of them may be shown, or none.
pub fn pictures(raw: &str) -> Option<String> {
    let candidates = raw.split(',').map(|candidate| {
        let mut words = candidate.split_ascii_whitespace();
        let url = link(words.next()?).filter(|url| url.starts_with("https://") && !url.contains(','))?;
        match (words.next(), words.next()) {
            (None, _) => Some(url),
            (Some(size), None) if is_descriptor(size) => Some(format!("{url} {size}")),
            _ => None,
        }
    });
    Some(candidates.collect::<Option<Vec<_>>>()?.join(", "))
}

/// An id or the fragment that leads to it.
pub fn id(raw: &str) -> Option<String> {
    let decoded = percent_encoding::percent_decode_str(raw.trim()).decode_utf8_lossy();
    let fits = !decoded.is_empty() && decoded.len() <= ID_BYTES_MAX;
    let plain = |char: char| !char.is_whitespace() && !char.is_control() && !"<>\"'`=&%#".contains(char);
    fits.then(|| {
        format!("{ID_PREFIX}{}", decoded.chars().map(|char| if plain(char) { char } else { '-' }).collect::<String>())
    })
}

fn web_address(raw: &str) -> Option<String> {
    let url = Url::parse(raw).ok()?;
    url.host_str().is_some_and(|host| !host.is_empty()).then(|| url.into())
}

/// `2x`, `1.5x`, `640w`
fn is_descriptor(word: &str) -> bool {
    let number = word.strip_suffix(['x', 'w']).unwrap_or_default();
    !number.is_empty() && number.len() <= 8 && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}
