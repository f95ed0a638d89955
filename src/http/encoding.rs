//! The compression of a page (RFC 9110 §12.5.3). Files are never compressed: their bytes are what was hashed.

use super::quality::{Quality, weighted};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    Identity,
    Gzip,
    Zstd,
    Br,
}

impl Encoding {
    pub const ALL: [Self; 4] = [Self::Identity, Self::Gzip, Self::Zstd, Self::Br];

    /// The value of `Content-Encoding`; `None` when the field is left out.
    pub fn token(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Br => Some("br"),
        }
    }
}

/// Chooses a page's compression from `Accept-Encoding`, several lines joined by `, `.
///
/// The highest weight wins; at equal weight zstd, then br, then gzip, then none. No field means none, as does a field
/// that nobody can read. `*` is answered with gzip only: it names no decoder, and gzip is the one that all have.
pub fn encoding(accept_encoding: Option<&str>) -> Encoding {
    let (mut gzip, mut zstd, mut br, mut identity, mut any) = (None, None, None, None, None);
    for (name, quality) in weighted(accept_encoding.unwrap_or_default()) {
        let is = |token: &str| name.eq_ignore_ascii_case(token);
        let slot: &mut Option<Quality> = if is("gzip") || is("x-gzip") {
            &mut gzip
        } else if is("zstd") {
            &mut zstd
        } else if is("br") {
            &mut br
        } else if is("identity") {
            &mut identity
        } else if is("*") {
            &mut any
        } else {
            continue;
        };
        *slot = (*slot).max(Some(quality));
    }
    let mut best = (Encoding::Identity, identity.unwrap_or(0));
    // The dearest of ours comes last: it takes the place of an equal one.
    for (coding, quality) in [(Encoding::Gzip, gzip.or(any)), (Encoding::Br, br), (Encoding::Zstd, zstd)] {
        if let Some(quality) = quality
            && quality > 0
            && quality >= best.1
        {
            best = (coding, quality);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_what_clients_send() {
        use Encoding::*;
        for (field, expected) in [
            ("gzip, deflate", Gzip),
            ("gzip, deflate, zstd", Zstd),
            ("zstd,gzip,deflate", Zstd),
            ("gzip, deflate, br, zstd", Zstd),
            ("gzip, deflate, br", Br),
            ("identity", Identity),
            ("gzip;q=1.0, zstd;q=0.5", Gzip),
            ("zstd;q=0, gzip", Gzip),
            ("gzip;q=0", Identity),
            ("gzip;q=0.5, identity", Identity),
            ("gzip, identity", Gzip),
            ("*", Gzip),
            ("*;q=0", Identity),
            ("gzip;q=0, *", Identity),
            ("zstd;q=0.2, *;q=0.1", Zstd),
            ("X-GZIP", Gzip),
            ("GZip ; q=0.001", Gzip),
            ("", Identity),
            ("gzip;q=x", Identity),
            ("\u{fffd},,;;=", Identity),
            ("deflate, compress", Identity),
            ("gzip;q=0.1, gzip;q=0.9, br;q=0.5", Gzip),
        ] {
            assert_eq!(encoding(Some(field)), expected, "{field}");
        }
        assert_eq!(encoding(None), Identity);
    }

    proptest! {
        #[test]
        fn never_sends_what_was_not_named(field in "[a-z*;=, q0-9.]{0,40}|(gzip|br|zstd|;q=0|;q=0.5|, ){0,8}") {
            let chosen = encoding(Some(&field));
            if let Some(token) = chosen.token() {
                prop_assert!(field.contains(token) || (chosen == Encoding::Gzip && field.contains('*')));
            }
        }
    }
}
