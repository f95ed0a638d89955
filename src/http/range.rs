//! `Range` requests for bytes (RFC 9110 §14).

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeAnswer {
    /// 200 with the whole file: no range, several ranges, another unit, or nothing that can be read (a server may
    /// ignore any `Range`, RFC 9110 §14.2).
    Whole,
    /// 206 with these bytes, both ends included; `start <= end_inclusive < len` holds.
    Part { start: u64, end_inclusive: u64 },
    /// 416 with `Content-Range: bytes */len`.
    Unsatisfiable,
}

/// What to answer to a `Range` field for a file of `len` bytes.
pub fn range(header: Option<&str>, len: u64) -> RangeAnswer {
    let Some((unit, spec)) = header.and_then(|header| header.split_once('=')) else {
        return RangeAnswer::Whole;
    };
    if !unit.trim_ascii().eq_ignore_ascii_case("bytes") {
        return RangeAnswer::Whole;
    }
    // A list has a comma, which no position can hold: several ranges are answered whole.
    let Some((first, last)) = spec.trim_ascii().split_once('-') else {
        return RangeAnswer::Whole;
    };
    match (position(first), position(last)) {
        (Position::At(start), Position::At(end)) if start > end => RangeAnswer::Whole,
        (Position::At(start), Position::Empty | Position::At(_)) if start >= len => RangeAnswer::Unsatisfiable,
        (Position::At(start), Position::At(end)) => part(start, end, len),
        (Position::At(start), Position::Empty) => part(start, u64::MAX, len),
        (Position::Empty, Position::At(0)) => RangeAnswer::Unsatisfiable,
        // The last bytes of nothing are all of it, and a 206 cannot describe them.
        (Position::Empty, Position::At(_)) if len == 0 => RangeAnswer::Whole,
        (Position::Empty, Position::At(suffix)) => part(len.saturating_sub(suffix), u64::MAX, len),
        (Position::Junk, _) | (_, Position::Junk) | (Position::Empty, Position::Empty) => RangeAnswer::Whole,
    }
}

enum Position {
    Empty,
    At(u64),
    Junk,
}

/// Digits only; a number beyond 64 bits is beyond every file too.
fn position(digits: &str) -> Position {
    if digits.is_empty() {
        Position::Empty
    } else if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Position::At(digits.parse().unwrap_or(u64::MAX))
    } else {
        Position::Junk
    }
}

fn part(start: u64, end: u64, len: u64) -> RangeAnswer {
    RangeAnswer::Part { start, end_inclusive: end.min(len.saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(start: u64, end_inclusive: u64) -> RangeAnswer {
        RangeAnswer::Part { start, end_inclusive }
    }

    #[test]
    fn answers_the_three_forms() {
        for (header, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-99", part(0, 99)),
            ("bytes=10-19", part(10, 19)),
            ("bytes=90-1000", part(90, 99)),
            ("bytes=50-", part(50, 99)),
            ("bytes=99-", part(99, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-10000", part(0, 99)),
            ("bytes=0-99999999999999999999999", part(0, 99)),
            ("bytes=-99999999999999999999999", part(0, 99)),
            ("Bytes= 1-2 ", part(1, 2)),
            ("bytes=100-", RangeAnswer::Unsatisfiable),
            ("bytes=100-200", RangeAnswer::Unsatisfiable),
            ("bytes=99999999999999999999999-", RangeAnswer::Unsatisfiable),
            ("bytes=-0", RangeAnswer::Unsatisfiable),
        ] {
            assert_eq!(range(Some(header), 100), expected, "{header}");
        }
    }

    #[test]
    fn sends_the_whole_for_what_it_need_not_understand() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=0-1,5-6",
            "bytes=0-1,",
            "bytes=1",
            "bytes=--1",
            "bytes=1--2",
            "bytes=+1-2",
            "bytes=1 - 2",
            "lines=0-1",
            "bytes=0x1-2",
            "0-1",
            "bytes:0-1",
        ] {
            assert_eq!(range(Some(header), 100), RangeAnswer::Whole, "{header}");
        }
        assert_eq!(range(None, 100), RangeAnswer::Whole);
    }

    #[test]
    fn an_empty_file_has_no_part() {
        assert_eq!(range(Some("bytes=0-"), 0), RangeAnswer::Unsatisfiable);
        assert_eq!(range(Some("bytes=-5"), 0), RangeAnswer::Whole);
        assert_eq!(range(None, 0), RangeAnswer::Whole);
    }

    proptest! {
        /// The reference keeps, byte by byte, what RFC 9110 §14.1.2 selects.
        #[test]
        fn agrees_with_the_definition(
            first in prop::option::of(0u64..40),
            last in prop::option::of(0u64..40),
            len in 1u64..30,
        ) {
            let text = |number: Option<u64>| number.map(|n| n.to_string()).unwrap_or_default();
            let header = format!("bytes={}-{}", text(first), text(last));
            let selected: Vec<u64> = (0..len)
                .filter(|at| match (first, last) {
                    (Some(first), Some(last)) => first <= *at && *at <= last,
                    (Some(first), None) => first <= *at,
                    (None, Some(suffix)) => *at + suffix >= len,
                    (None, None) => true,
                })
                .collect();
            let invalid = matches!((first, last), (Some(first), Some(last)) if first > last)
                || matches!((first, last), (None, None));
            let expected = match (selected.first(), selected.last()) {
                _ if invalid => RangeAnswer::Whole,
                (Some(start), Some(end)) => part(*start, *end),
                _ => RangeAnswer::Unsatisfiable,
            };
            prop_assert_eq!(range(Some(&header), len), expected);
        }

        #[test]
        fn a_part_lies_inside(header in "(bytes=)?[0-9,-]{0,30}|.{0,30}", len: u64) {
            if let RangeAnswer::Part { start, end_inclusive } = range(Some(&header), len) {
                prop_assert!(start <= end_inclusive && end_inclusive < len);
            }
        }
    }
}
