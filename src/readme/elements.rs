/// What an element is to those around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Has no content.
    Void,
    Inline,
    /// Inline, and a parser opens it again where it was not closed: never left open, and few at a time.
    Formatting,
    Link,
    Paragraph,
    Heading,
    Block,
    Pre,
    Details,
    Summary,
    Figure,
    Figcaption,
    List,
    Item,
    Definitions,
    Term,
    Table,
    Caption,
    Section,
    Row,
    Cell,
    Picture,
}

/// An element that descriptions may have: how it is written in them, what it becomes, its kind.
pub struct Element {
    pub name: &'static str,
    pub kind: Kind,
}

/// Elements of the page's own frame (`section`, `nav` and the like) become plain ones: a reader who steps from landmark
/// to landmark is to find ours.
const ELEMENTS: [(&str, &str, Kind); 66] = [
    ("a", "a", Kind::Link),
    ("abbr", "abbr", Kind::Inline),
    ("acronym", "abbr", Kind::Inline),
    ("address", "div", Kind::Block),
    ("article", "div", Kind::Block),
    ("aside", "div", Kind::Block),
    ("b", "b", Kind::Formatting),
    ("blockquote", "blockquote", Kind::Block),
    ("br", "br", Kind::Void),
    ("caption", "caption", Kind::Caption),
    ("center", "div", Kind::Block),
    ("cite", "cite", Kind::Inline),
    ("code", "code", Kind::Formatting),
    ("dd", "dd", Kind::Term),
    ("del", "del", Kind::Inline),
    ("details", "details", Kind::Details),
    ("dfn", "dfn", Kind::Inline),
    ("div", "div", Kind::Block),
    ("dl", "dl", Kind::Definitions),
    ("dt", "dt", Kind::Term),
    ("em", "em", Kind::Formatting),
    ("figcaption", "figcaption", Kind::Figcaption),
    ("figure", "figure", Kind::Figure),
    ("footer", "div", Kind::Block),
    ("h1", "h1", Kind::Heading),
    ("h2", "h2", Kind::Heading),
    ("h3", "h3", Kind::Heading),
    ("h4", "h4", Kind::Heading),
    ("h5", "h5", Kind::Heading),
    ("h6", "h6", Kind::Heading),
    ("header", "div", Kind::Block),
    ("hr", "hr", Kind::Void),
    ("i", "i", Kind::Formatting),
    ("img", "img", Kind::Void),
    ("input", "input", Kind::Void),
    ("ins", "ins", Kind::Inline),
    ("kbd", "kbd", Kind::Inline),
    ("li", "li", Kind::Item),
    ("main", "div", Kind::Block),
    ("mark", "mark", Kind::Inline),
    ("nav", "div", Kind::Block),
    ("ol", "ol", Kind::List),
    ("p", "p", Kind::Paragraph),
    ("picture", "picture", Kind::Picture),
    ("pre", "pre", Kind::Pre),
    ("q", "q", Kind::Inline),
    ("s", "s", Kind::Formatting),
    ("samp", "samp", Kind::Inline),
    ("section", "div", Kind::Block),
    ("small", "small", Kind::Formatting),
    ("source", "source", Kind::Void),
    ("span", "span", Kind::Inline),
    ("strike", "s", Kind::Formatting),
    ("strong", "strong", Kind::Formatting),
    ("sub", "sub", Kind::Inline),
    ("summary", "summary", Kind::Summary),
    ("sup", "sup", Kind::Inline),
    ("table", "table", Kind::Table),
    ("tbody", "tbody", Kind::Section),
    ("td", "td", Kind::Cell),
    ("tfoot", "tfoot", Kind::Section),
    ("th", "th", Kind::Cell),
    ("thead", "thead", Kind::Section),
    ("tr", "tr", Kind::Row),
    ("tt", "code", Kind::Formatting),
    ("ul", "ul", Kind::List),
];

/// What goes with all that is in it: it is no text for a reader.
pub const DROPPED: [&str; 14] = [
    "applet", "audio", "embed", "iframe", "math", "noembed", "noframes", "noscript", "object", "script", "style",
    "svg", "title", "video",
];

/// The element that is written so; none for what is not on the list.
pub fn element(written: &str) -> Option<Element> {
    let at = ELEMENTS.binary_search_by_key(&written, |(known, ..)| known).ok()?;
    ELEMENTS.get(at).map(|(_, name, kind)| Element { name, kind: *kind })
}

/// The names of all that a description can become.
pub fn names() -> impl Iterator<Item = &'static str> {
    ELEMENTS.iter().map(|(_, name, _)| *name).filter(|name| *name != "input")
}

impl Kind {
    /// Ends a paragraph that is open.
    pub fn is_block(self) -> bool {
        !matches!(self, Self::Void | Self::Inline | Self::Formatting | Self::Link | Self::Picture)
    }

    /// Part of a table's frame, which text cannot stand in.
    pub fn is_frame(self) -> bool {
        matches!(self, Self::Table | Self::Section | Self::Row)
    }

    /// What is inside does not reach through this to what is outside.
    pub fn is_wall(self) -> bool {
        matches!(self, Self::Table | Self::Cell | Self::Caption)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(ELEMENTS.is_sorted_by_key(|(written, ..)| *written));
        assert!(DROPPED.is_sorted());
        assert!(DROPPED.iter().all(|name| element(name).is_none()));
    }
}
