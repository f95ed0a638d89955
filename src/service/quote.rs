//! How text is written into a unit (systemd.syntax(7), systemd.service(5)): what stands for itself, and what systemd would
//! read as something else. Line ends never come here: `Plain` has none.

/// A word of a list or a command line.
pub(super) fn word(text: &str) -> String {
    let stands_for_itself = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:=,+@".contains(&byte);
    if !text.is_empty() && text.bytes().all(stands_for_itself) {
        return text.to_owned();
    }
    format!("\"{}\"", value(&text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// A value that is one text to its end.
pub(super) fn value(text: &str) -> String {
    text.replace('%', "%%")
}

/// A command line. Without a dollar in it there is nothing to expand; with one, `:` says not to (systemd 244 and newer).
pub(super) fn command(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|text| word(text)).collect();
    let line = words.join(" ");
    match (line.contains('$'), line.strip_prefix('"')) {
        (false, _) => line,
        (true, Some(quoted)) => format!("\":{quoted}"),
        (true, None) => format!(":{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads words as systemd does: quotes, backslashes, and `%%`.
    fn read(line: &str) -> Option<Vec<String>> {
        let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            match character {
                ' ' if !quoted => words.extend(word.take()),
                '"' => {
                    quoted = !quoted;
                    word.get_or_insert_default();
                }
                '\\' => word.get_or_insert_default().push(characters.next().filter(|next| "\\\"".contains(*next))?),
                '%' => word.get_or_insert_default().push(characters.next().filter(|next| *next == '%')?),
                '\'' | ';' | '#' if !quoted => return None,
                character => word.get_or_insert_default().push(character),
            }
        }
        words.extend(word);
        (!quoted).then_some(words)
    }

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(
            command(&["/usr/bin/sidewheel", "serve", "--data", "/a b"]),
            r#"/usr/bin/sidewheel serve --data "/a b""#
        );
        assert_eq!(command(&["/a", "$HOME"]), r#":/a "$HOME""#);
        assert_eq!(command(&["/a $b"]), r#"":/a $b""#);
        assert_eq!(word("100%"), r#""100%%""#);
    }

    proptest! {
        #[test]
        fn systemd_reads_what_was_meant(words in proptest::collection::vec("[ -~é]{1,12}", 1..5)) {
            let words: Vec<_> = words.iter().map(|word| format!("/{word}")).collect();
            let line = command(&words.iter().map(String::as_str).collect::<Vec<_>>());
            let mut read = read(&line).unwrap();
            if line.contains('$') {
                let first = read.first_mut().unwrap();
                prop_assert_eq!(first.remove(0), ':');
            }
            prop_assert_eq!(read, words);
        }
    }
}
