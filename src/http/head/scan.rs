//! The bytes of a head: lines, and a line's name and value. Eight bytes at a time, for this runs on every request.

use super::{HEAD_BYTES_MAX, HeadError};

pub(super) struct Scanner<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        Self { raw, at: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next line without its CR LF. The only control character it may hold is the tab.
    pub(super) fn next_line(&mut self) -> Result<&'a [u8], HeadError> {
        let window = self.raw.get(..HEAD_BYTES_MAX).unwrap_or(self.raw);
        let cut = if self.raw.len() > HEAD_BYTES_MAX { HeadError::TooLarge } else { HeadError::Incomplete };
        let rest = window.get(self.at..).unwrap_or_default();
        let mut end = 0;
        loop {
            end += plain(rest.get(end..).unwrap_or_default());
            match (rest.get(end), rest.get(end + 1)) {
                (Some(b'\t'), _) => end += 1,
                (Some(b'\r'), Some(b'\n')) => {
                    self.at += end + 2;
                    return Ok(rest.get(..end).unwrap_or_default());
                }
                (None, _) | (Some(b'\r'), None) => return Err(cut),
                (Some(b'\r' | b'\n'), _) => return Err(HeadError::LineEnd),
                (Some(_), _) => return Err(HeadError::Control),
            }
        }
    }
}

/// Splits a line at its colon; the value loses the blanks around it.
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), HeadError> {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(HeadError::Fold);
    }
    let end = line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len());
    match line.split_at_checked(end) {
        Some((name, [b':', value @ ..])) if !name.is_empty() => Ok((name, value.trim_ascii())),
        _ => Err(HeadError::FieldName),
    }
}

/// A character of a token (RFC 9110 §5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            let extra = matches!(
                byte as u8,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
            table[byte] = (byte as u8).is_ascii_alphanumeric() || extra;
            byte += 1;
        }
        table
    };
    // A byte cannot lie outside a table of 256.
    TOKEN[usize::from(byte)]
}

/// How many leading bytes are no control characters (below 0x20, or 0x7f).
fn plain(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    let clean = words.iter().take_while(|word| !has_control(u64::from_ne_bytes(**word))).count() * 8;
    let tail = bytes.get(clean..).unwrap_or_default();
    clean + tail.iter().take_while(|byte| !byte.is_ascii_control()).count()
}

/// Whether one of eight bytes is a control character: the classic tests "some byte is less than n" and "some byte is
/// n" on a whole word, exact as a yes or no.
fn has_control(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7f);
    let is_delete = delete.wrapping_sub(ONES) & !delete;
    (below_space | is_delete) & HIGH != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_and_bytes_agree(bytes: [u8; 8], calm in prop::collection::vec(0x1eu8..=0x80, 0..40)) {
            let any = bytes.iter().any(u8::is_ascii_control);
            prop_assert_eq!(has_control(u64::from_ne_bytes(bytes)), any);
            let expected = calm.iter().position(u8::is_ascii_control).unwrap_or(calm.len());
            prop_assert_eq!(plain(&calm), expected);
        }
    }
}
