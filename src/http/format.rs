//! The form of a page: content negotiation of the simple API (PEP 691, "Version + Format Selection").

use super::quality::{Quality, weighted};

/// A form in which a page of the simple API can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `text/html`
    Html,
    /// `application/vnd.pypi.simple.v1+html`: the same bytes under the name of PEP 691.
    HtmlV1,
    /// `application/vnd.pypi.simple.v1+json`
    JsonV1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negotiated {
    Format(Format),
    /// 406: the client excludes every form that we have, or asks for one by `format=` that we do not have.
    NotAcceptable,
}

impl Format {
    /// What we can send, in the order that wildcards prefer: HTML first, because `*/*` comes from people and from
    /// tools that read anchors (hatch, pipenv); PyPI offers them in this order too.
    pub const ALL: [Self; 3] = [Self::Html, Self::HtmlV1, Self::JsonV1];

    /// The value of `Content-Type`. HTML says its charset; JSON has none to say (RFC 8259 §8.1).
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::HtmlV1 => "application/vnd.pypi.simple.v1+html; charset=utf-8",
            Self::JsonV1 => "application/vnd.pypi.simple.v1+json",
        }
    }

    /// The media type's names, without parameters: its own, and for the simple API's forms the moving name `latest`,
    /// which may be asked for but is never answered (PEP 691).
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Html => &["text/html"],
            Self::HtmlV1 => &["application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.latest+html"],
            Self::JsonV1 => &["application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.latest+json"],
        }
    }

    fn is_named(self, media_type: &str) -> bool {
        self.names().iter().any(|name| name.eq_ignore_ascii_case(media_type))
    }

    /// How a media range covers this form, if it does.
    fn fit(self, range: &str) -> Option<Fit> {
        let family = match self {
            Self::Html => "text/*",
            Self::HtmlV1 | Self::JsonV1 => "application/*",
        };
        if self.is_named(range) {
            Some(Fit::Exact)
        } else if range.eq_ignore_ascii_case(family) {
            Some(Fit::Family)
        } else {
            (range == "*/*" || range == "*").then_some(Fit::Any)
        }
    }
}

/// How well a range of an `Accept` field fits; a more exact range decides over a less exact one (RFC 9110 §12.5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Any,
    Family,
    Exact,
}

/// Chooses the form of a page.
///
/// `accept` is the field's value, several lines joined by `, `; `format_query` is the decoded value of `?format=`,
/// which wins over `Accept`. The highest weight wins; at equal weight a form that was named wins over one that only a
/// wildcard covers, then JSON over HTML among named forms, HTML over JSON among wildcards. When nothing that we know
/// was asked for, the answer is `text/html`, as PyPI gives it, unless the client excludes even that by `q=0`.
pub fn negotiate(accept: Option<&str>, format_query: Option<&str>) -> Negotiated {
    if let Some(wanted) = format_query {
        let known = Format::ALL.into_iter().find(|format| format.is_named(wanted));
        return known.map_or(Negotiated::NotAcceptable, Negotiated::Format);
    }
    let mut weights = Format::ALL.map(|format| (format, None));
    for (range, quality) in weighted(accept.unwrap_or_default()) {
        for (format, weight) in &mut weights {
            *weight = (*weight).max(format.fit(range).map(|fit| (fit, quality)));
        }
    }
    let mut best: Option<(Quality, bool, Format)> = None;
    let mut html_excluded = false;
    for (format, weight) in weights {
        let Some((fit, quality)) = weight else {
            continue;
        };
        let exact = fit == Fit::Exact;
        if quality == 0 {
            html_excluded |= format == Format::Html;
            continue;
        }
        // Forms come HTML first: an equal later one wins only where it was named.
        let better = match best {
            None => true,
            Some((other, other_exact, _)) => (quality, exact) > (other, other_exact) || (quality == other && exact),
        };
        if better {
            best = Some((quality, exact, format));
        }
    }
    match best {
        Some((_, _, format)) => Negotiated::Format(format),
        None if html_excluded => Negotiated::NotAcceptable,
        None => Negotiated::Format(Format::Html),
    }
}

/// Whether an `Accept` names `application/json` at least as dearly as HTML: how devpi's clients ask for its API.
pub fn wants_plain_json(accept: Option<&str>) -> bool {
    let best = |name: &str| {
        let named =
            weighted(accept.unwrap_or_default()).filter(|(media_type, _)| media_type.eq_ignore_ascii_case(name));
        named.map(|(_, quality)| quality).max().unwrap_or(0)
    };
    let json = best("application/json");
    json > 0 && json >= best("text/html")
}

/// Whether a browser asks: it names HTML, and nothing that programs read before it.
pub fn wants_page(accept: Option<&str>) -> bool {
    let mut named = weighted(accept.unwrap_or_default());
    let html = named.any(|(media_type, quality)| quality > 0 && media_type.eq_ignore_ascii_case("text/html"));
    html && !wants_plain_json(accept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JSON: &str = "application/vnd.pypi.simple.v1+json";
    const HTML: &str = "application/vnd.pypi.simple.v1+html";

    fn by_accept(accept: &str) -> Negotiated {
        negotiate(Some(accept), None)
    }

    #[test]
    fn answers_what_clients_send() {
        use Format::*;
        let table: &[(&str, Format)] = &[
            // The table of PEP 691.
            (JSON, JsonV1),
            (HTML, HtmlV1),
            ("text/html", Html),
            ("*/*", Html),
            ("*", Html),
            ("", Html),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", Html),
            ("application/vnd.pypi.simple.latest+json", JsonV1),
            ("application/vnd.pypi.simple.latest+html", HtmlV1),
            // pip, uv, poetry, devpi-server.
            (
                "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
                JsonV1,
            ),
            (
                "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01",
                JsonV1,
            ),
            ("application/vnd.pypi.simple.v1+json, */*;q=0.1", JsonV1),
            (
                "application/vnd.pypi.simple.v1+html;q=0.2, application/vnd.pypi.simple.v1+json, text/html;q=0.01",
                JsonV1,
            ),
            // Weights decide, order does not.
            ("text/html;q=0.9, application/vnd.pypi.simple.v1+json;q=0.8", Html),
            ("application/vnd.pypi.simple.v1+json;q=0.8, text/html;q=0.9", Html),
            ("application/vnd.pypi.simple.v1+json;q=0.001, text/html;q=0", JsonV1),
            ("application/vnd.pypi.simple.v1+json;q=0, */*", Html),
            ("text/html;q=0, */*", HtmlV1),
            ("*/*, application/vnd.pypi.simple.v1+json;q=0.5", Html),
            // Equal weights.
            ("text/html, application/vnd.pypi.simple.v1+json", JsonV1),
            ("application/vnd.pypi.simple.v1+json, text/html", JsonV1),
            ("text/html, application/vnd.pypi.simple.v1+html", HtmlV1),
            ("text/html, */*", Html),
            ("application/vnd.pypi.simple.v1+json, */*", JsonV1),
            // Wildcards only.
            ("application/*", HtmlV1),
            ("text/*", Html),
            ("text/*;q=0.5, application/*", HtmlV1),
            // Case, blanks, unknown parameters, repeats.
            ("APPLICATION/VND.PYPI.SIMPLE.V1+JSON ; Q=1.000", JsonV1),
            ("text/html;level=1;charset=utf-8", Html),
            (
                "application/vnd.pypi.simple.v1+json;q=0.1, application/vnd.pypi.simple.v1+json;q=1, text/html;q=0.5",
                JsonV1,
            ),
            // Nothing known, or junk.
            ("application/json", Html),
            ("application/vnd.pypi.simple.v2+json", Html),
            ("image/png;q=0.5", Html),
            ("application/vnd.pypi.simple.v1+json;q=0", Html),
            (";;;,,,=/*;q", Html),
            ("application/vnd.pypi.simple.v1+json;q=high", Html),
        ];
        for (accept, format) in table {
            assert_eq!(by_accept(accept), Negotiated::Format(*format), "{accept}");
        }
        assert_eq!(negotiate(None, None), Negotiated::Format(Html));
    }

    #[test]
    fn gives_up_only_when_html_itself_is_refused() {
        for accept in ["text/html;q=0", "*/*;q=0", "text/*;q=0, application/json", "*/*;q=0.0, text/html;q=0.000"] {
            assert_eq!(by_accept(accept), Negotiated::NotAcceptable, "{accept}");
        }
    }

    #[test]
    fn the_query_wins() {
        assert_eq!(negotiate(Some("text/html"), Some(JSON)), Negotiated::Format(Format::JsonV1));
        assert_eq!(negotiate(Some(JSON), Some("text/html")), Negotiated::Format(Format::Html));
        let latest = Some("application/vnd.pypi.simple.latest+html");
        assert_eq!(negotiate(None, latest), Negotiated::Format(Format::HtmlV1));
        for unknown in ["json", "", "application/vnd.pypi.simple.v1 json", "*/*"] {
            assert_eq!(negotiate(Some("*/*"), Some(unknown)), Negotiated::NotAcceptable, "{unknown:?}");
        }
    }

    #[test]
    fn the_type_announced_is_never_latest() {
        assert_eq!(Format::JsonV1.content_type(), JSON);
        assert_eq!(Format::HtmlV1.content_type().split(';').next(), Some(HTML));
        assert_eq!(Format::Html.content_type(), "text/html; charset=utf-8");
    }

    #[test]
    fn tells_devpi_clients_from_browsers() {
        for accept in
            ["application/json", "Application/JSON; q=0.9", "application/json, */*", "text/html, application/json"]
        {
            assert!(wants_plain_json(Some(accept)), "{accept}");
        }
        for accept in [JSON, "*/*", "", "text/html,application/json;q=0.9", "application/json;q=0", "application/*"] {
            assert!(!wants_plain_json(Some(accept)), "{accept}");
        }
        assert!(!wants_plain_json(None));
    }

    proptest! {
        #[test]
        fn order_has_no_meaning(
            mut items in prop::collection::vec(
                (prop::sample::select(vec!["text/html", JSON, HTML, "*/*", "text/*", "application/*", "x/y"]), 0u16..=10),
                0..6,
            ),
        ) {
            let list = |items: &[(&str, u16)]| {
                let item = |(name, tenths): &(&str, u16)| format!("{name};q={}.{}", tenths / 10, tenths % 10);
                items.iter().map(item).collect::<Vec<_>>().join(", ")
            };
            let there = by_accept(&list(&items));
            items.reverse();
            prop_assert_eq!(there, by_accept(&list(&items)));
        }

        #[test]
        fn never_panics(accept in ".{0,80}", query in prop::option::of(".{0,40}")) {
            negotiate(Some(&accept), query.as_deref());
            wants_plain_json(Some(&accept));
        }
    }
}
