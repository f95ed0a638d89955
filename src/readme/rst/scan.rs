//! Where marked text may begin and end.

/// Whether a mark between these two may begin something.
pub fn begins(before: Option<char>, after: Option<char>) -> bool {
    let Some(after) = after.filter(|after| !after.is_whitespace()) else { return false };
    let Some(before) = before else { return true };
    // Quoted marks mean themselves.
    let closes = match before {
        '\'' | '"' => before,
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '<' => '>',
        _ => ' ',
    };
    let stands_apart =
        before.is_whitespace() || "-:/'\"<([{".contains(before) || (!before.is_ascii() && !before.is_alphanumeric());
    stands_apart && after != closes
}

/// Whether a mark between these two may end something.
pub fn ends(before: Option<char>, after: Option<char>) -> bool {
    before.is_some_and(|before| !before.is_whitespace()) && is_edge(after)
}

/// Whether a word may end before it.
pub fn is_edge(after: Option<char>) -> bool {
    after.is_none_or(|after| {
        after.is_whitespace() || "-.,:;!?\\/'\")]}>".contains(after) || (!after.is_ascii() && !after.is_alphanumeric())
    })
}

/// The text without the signs that keep others from meaning something.
pub fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => out.extend(chars.next().filter(|next| !next.is_whitespace())),
            _ => out.push(char),
        }
    }
    out
}

/// Whether the character before this place takes the meaning of what stands there.
pub fn is_escaped(text: &str, at: usize) -> bool {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().rev().take_while(|byte| **byte == b'\\').take(64).count() % 2 == 1
}

/// A name as references are written without back quotes: letters and digits, with single signs between them.
pub fn word(text: &str) -> &str {
    let mut end = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        if char.is_alphanumeric() {
            end = at + char.len_utf8();
        } else if !("-_.+:".contains(char) && chars.peek().is_some_and(|(_, next)| next.is_alphanumeric())) {
            break;
        }
    }
    text.get(..end).unwrap_or_default()
}

/// The address that a text begins with.
pub fn address(text: &str) -> Option<&str> {
    let schemes = ["https://", "http://", "mailto:"];
    let scheme = schemes.iter().find(|scheme| text.starts_with(**scheme))?;
    let stops = |char: char| char.is_whitespace() || "<>\"`|\\".contains(char);
    let end = text.find(stops).unwrap_or(text.len());
    let mut found = text.get(..end)?;
    let opens = found.contains('(');
    loop {
        let last = found.chars().next_back()?;
        // A bracket belongs to it when its other half does.
        let is_last = ".,:;!?'*_]}".contains(last) || (last == ')' && !opens);
        match is_last {
            true => found = found.strip_suffix(last)?,
            false => break,
        }
    }
    (found.len() > scheme.len()).then_some(found)
}

/// The mail address whose part before the `@` is `name`.
pub fn mail_address<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let domain = word(text.get(name.len()..)?.strip_prefix('@')?);
    let is_domain = domain.contains('.') && !domain.contains(['_', ':', '+']);
    is_domain.then(|| text.get(..name.len() + 1 + domain.len())).flatten()
}
