/// A text without what may be secret in it: the user information of URLs, and values of keys that name passwords.
pub fn hidden(text: &str) -> String {
    text.split_inclusive('\n').map(hidden_line).collect()
}

fn hidden_line(line: &str) -> String {
    let key = line.split(['=', ':']).next().unwrap_or_default().to_ascii_lowercase();
    if let Some(sign) = line.find(['=', ':']).filter(|_| key.contains("password") || key.contains("token")) {
        let end = if line.ends_with('\n') { "\n" } else { "" };
        return format!("{} ***{end}", line.get(..=sign).unwrap_or_default());
    }
    let mut shown = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("://").map(|at| at + 3) {
        let (before, after) = rest.split_at(at);
        let stop = after.find(['/', '"', '\'', ' ', '\t', '\r', '\n', ',']).unwrap_or(after.len());
        let (authority, after) = after.split_at(stop);
        shown.push_str(before);
        match authority.rsplit_once('@') {
            Some((_, host)) => shown.push_str(&format!("***@{host}")),
            None => shown.push_str(authority),
        }
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::hidden;

    #[test]
    fn nothing_secret_is_shown() {
        for (text, shown) in [
            ("index-url = https://u:p@a.example/x\n", "index-url = https://***@a.example/x\n"),
            ("url = \"https://a.example/\", y = 'http://t@b'", "url = \"https://a.example/\", y = 'http://***@b'"),
            ("-password: geheim\r\n+x = 1\n", "-password: ***\n+x = 1\n"),
            ("plain @ text", "plain @ text"),
        ] {
            assert_eq!(hidden(text), shown);
        }
    }
}
