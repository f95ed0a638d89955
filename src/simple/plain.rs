use super::draft::Draft;
use super::hashes::Hashes;
use super::stated::{FileKey, Said};
use memchr::memchr;
use std::borrow::Cow;

/// Reads the file that `text` begins with if it is written plainly, as the public index writes nearly all: known keys, texts
/// without escapes, whole numbers, at most a space after a mark. Yields it and how many bytes it took. Of anything else it
/// yields nothing, and the general reader has the say; so it does where the text ends within the file.
pub(super) fn file(text: &str) -> Option<(Draft<'_>, usize)> {
    let (mut plain, mut draft) = (Plain { text, at: 0 }, Draft::default());
    plain.mark(b'{')?;
    loop {
        let key = FileKey::of(plain.text()?)?;
        plain.mark(b':')?;
        plain.space();
        draft.state(key, plain.said(key)?);
        match plain.take()? {
            b',' => plain.space(),
            b'}' => return Some((draft.finish(), plain.at)),
            _ => return None,
        }
    }
}

/// Each byte is looked at, many at a time: for the short texts of a page that is faster than to stop at the first.
pub(super) fn every_byte(text: &str, is_so: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & is_so(byte))
}

/// Most digits that are a number for certain: more may be too large for 64 bits.
const DIGITS_MAX: usize = 19;

struct Plain<'a> {
    text: &'a str,
    /// How far it is read.
    at: usize,
}

impl<'a> Plain<'a> {
    fn said(&mut self, key: FileKey) -> Option<Said<'a>> {
        Some(match self.next()? {
            b'"' => Said::Text(Cow::Borrowed(self.text()?)),
            b'n' => self.word("null", Said::Null)?,
            // It may be anything, and is kept as it is.
            _ if key == FileKey::Provenance => return None,
            b't' => self.word("true", Said::Flag(true))?,
            b'f' => self.word("false", Said::Flag(false))?,
            b'0'..=b'9' => Said::Number(self.number()?),
            b'{' if key.has_hashes() => Said::Hashes(self.hashes()?),
            _ => return None,
        })
    }

    fn hashes(&mut self) -> Option<Hashes> {
        let mut hashes = Hashes::default();
        self.mark(b'{')?;
        loop {
            let name = self.text()?;
            self.mark(b':')?;
            self.space();
            hashes.add(name, self.text()?);
            match self.take()? {
                b',' => self.space(),
                b'}' => return Some(hashes),
                _ => return None,
            }
        }
    }

    /// A text in quotes with nothing in it that is written in another way than it is meant, or must not be there (RFC 8259).
    fn text(&mut self) -> Option<&'a str> {
        self.mark(b'"')?;
        let rest = self.text.get(self.at..)?;
        let (text, _) = rest.split_at_checked(memchr(b'"', rest.as_bytes())?)?;
        self.at += text.len() + 1;
        every_byte(text, |byte| (byte >= b' ') & (byte != b'\\')).then_some(text)
    }

    /// What comes after it says where it ends, and that it is whole.
    fn number(&mut self) -> Option<u64> {
        let rest = self.text.get(self.at..)?;
        let end = rest.bytes().position(|byte| !byte.is_ascii_digit())?;
        let digits = rest.get(..end)?;
        let is_plain = end <= DIGITS_MAX && (end == 1 || !digits.starts_with('0'));
        self.at += end;
        if is_plain { digits.parse().ok() } else { None }
    }

    fn word(&mut self, word: &str, said: Said<'a>) -> Option<Said<'a>> {
        let is_it = self.text.get(self.at..)?.starts_with(word);
        self.at += word.len();
        is_it.then_some(said)
    }

    fn mark(&mut self, mark: u8) -> Option<()> {
        (self.take()? == mark).then_some(())
    }

    fn space(&mut self) {
        if self.next() == Some(b' ') {
            self.at += 1;
        }
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.next()?;
        self.at += 1;
        Some(byte)
    }

    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    /// As the public index says it, the same with spaces, and what others say.
    fn files() -> [String; 4] {
        let name = "demo-1.0-py3-none-any.whl";
        let public = format!(
            r#"{{"core-metadata":{{"sha256":"{DIGEST}"}},"data-dist-info-metadata":{{"sha256":"{DIGEST}"}},"filename":"{name}","hashes":{{"sha256":"{DIGEST}"}},"provenance":null,"requires-python":">=3.8","size":12345,"upload-time":"2026-01-02T03:04:05.678901Z","url":"https://files.example/packages/{name}","yanked":false}}"#
        );
        let spaced = public.replace("\":", "\": ").replace(',', ", ");
        let others = format!(
            r#"{{"filename":"{name}","url":"../../{name}","hashes":{{"md5":"00","sha256":"zz"}},"requires-python":null,"size":0,"yanked":"broken ✓","gpg-sig":true,"provenance":"https://index.example/p","core-metadata":false,"dist-info-metadata":true,"yanked":true}}"#
        );
        let odd = r#"{"url":"x.whl","hashes":{"sha1":"0","sha256":""},"size":18446744073709551615}"#.to_owned();
        [public, spaced, others, odd]
    }

    fn generally(text: &str) -> Option<(Draft<'static>, usize)> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Draft<'static>>();
        let draft = values.next()?.ok()?;
        Some((draft, values.byte_offset()))
    }

    #[test]
    fn what_is_plain_is_what_the_general_reader_reads() {
        let [public, spaced, others, odd] = files();
        for text in [public, spaced, others] {
            assert_eq!(file(&format!("{text},{{")), generally(&text), "{text}");
            assert!(file(&text).is_some(), "{text}");
            for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
                assert!(file(&text[..cut]).is_none(), "{}", &text[..cut]);
            }
        }
        assert!(file(&odd).is_none() && generally(&odd).is_some());
    }

    /// Each byte of such files replaced, left out and doubled: what is read all the same, both read alike.
    #[test]
    fn nothing_is_read_in_another_way() {
        const ODD: &[u8] = b"\"\\\n\0 ,:{}[]-.0e9nt/x\x7f";
        let (mut read, mut left) = (0, 0);
        for text in files() {
            for at in 0..text.len() {
                let byte = text.as_bytes()[at];
                let changes = ODD.iter().map(|odd| vec![*odd]).chain([vec![], vec![byte; 2]]);
                for change in changes {
                    let bytes = [&text.as_bytes()[..at], &change, &text.as_bytes()[at + 1..]].concat();
                    let Ok(changed) = String::from_utf8(bytes) else { continue };
                    match file(&changed) {
                        Some(plainly) => {
                            read += 1;
                            assert_eq!(Some(plainly), generally(&changed), "{changed}");
                        }
                        None => left += 1,
                    }
                }
            }
        }
        assert!(read > 1_000 && left > 1_000, "{read} were read and {left} were not");
    }
}
