/// The media type of a file of documents by the end of its name; none for what a browser should not show by itself.
/// Nothing is guessed from the bytes.
pub fn docs_type(name: &str) -> Option<&'static str> {
    let file = name.rsplit('/').next().unwrap_or_default();
    let ending = file.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    Some(match ending.as_str() {
        "html" | "htm" | "xhtml" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "txt" | "rst" | "md" | "py" | "toml" | "cfg" | "ini" | "csv" | "xml" | "log" | "yaml" | "yml" => {
            "text/plain; charset=utf-8"
        }
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "svg" => "image/svg+xml",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_name_tells_the_type() {
        assert_eq!(docs_type("a/Index.HTML"), Some("text/html; charset=utf-8"));
        assert_eq!(docs_type("_static/x.min.css"), Some("text/css; charset=utf-8"));
        for name in ["objects.inv", "x.html/y", "x", "x.exe", "x.pdf", ".html.", ""] {
            assert_eq!(docs_type(name), None, "{name}");
        }
    }
}
