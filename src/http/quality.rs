//! Lists of names with weights: `a;q=0.5, b` (RFC 9110 §12.4.2).

/// A weight in thousandths, 0 to 1000.
pub(super) type Quality = u16;

/// The names of a list with their weights, in the order sent. Other parameters are passed over, and so is an item
/// whose weight cannot be read: a field nobody can read must never fail a request.
pub(super) fn weighted(list: &str) -> impl Iterator<Item = (&str, Quality)> {
    list.split(',').filter_map(|item| {
        let mut parts = item.split(';');
        let name = parts.next()?.trim_ascii();
        let mut quality = 1000;
        for parameter in parts {
            if let Some((key, value)) = parameter.split_once('=')
                && key.trim_ascii().eq_ignore_ascii_case("q")
            {
                quality = parse(value.trim_ascii())?;
            }
        }
        (!name.is_empty()).then_some((name, quality))
    })
}

/// `0`, `1`, or either with up to three decimals; never above 1.
fn parse(value: &str) -> Option<Quality> {
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut quality: Quality = match whole {
        "0" => 0,
        "1" => 1,
        _ => return None,
    };
    for place in 0..3 {
        let digit = decimals.as_bytes().get(place).map_or(0, |byte| byte - b'0');
        quality = quality * 10 + Quality::from(digit);
    }
    (quality <= 1000).then_some(quality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_names_and_weights() {
        let list: Vec<_> = weighted(" a ; q=0.5,b;Q = 1.000 , c;x=y;q=0.001,d;q=0.,,;q=1,e").collect();
        assert_eq!(list, [("a", 500), ("b", 1000), ("c", 1), ("d", 0), ("e", 1000)]);
    }

    #[test]
    fn passes_over_weights_that_it_cannot_read() {
        for junk in ["2", "1.1", "0.1234", "-1", ".5", "", "+1", "0.5x", "1e0", "nan"] {
            let list = format!("a;q={junk}, b;q=0.2");
            assert_eq!(weighted(&list).collect::<Vec<_>>(), [("b", 200)], "{junk:?}");
        }
    }

    proptest! {
        #[test]
        fn never_leaves_the_scale(list in "[a-z*/;=, q0-9.]{0,60}|.{0,40}") {
            for (name, quality) in weighted(&list) {
                prop_assert!(!name.is_empty() && quality <= 1000);
            }
        }
    }
}
