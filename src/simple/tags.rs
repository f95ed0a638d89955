use super::PageError;
use html5gum::emitters::callback::{Callback, CallbackEmitter, CallbackEvent};
use html5gum::{Readable, Reader, Span, Tokenizer};

/// The tags that a page or a list of the simple API may mean something by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    A,
    Base,
    Meta,
    Title,
    H1,
    Other,
}

/// The attributes that mean something; all others are forgotten at once, so that a tag stays small.
const ATTRIBUTES: [&str; 11] = [
    "href",
    "name",
    "content",
    "data-requires-python",
    "data-yanked",
    "data-core-metadata",
    "data-dist-info-metadata",
    "data-gpg-sig",
    "data-provenance",
    "data-size",
    "data-upload-time",
];

/// A start tag's attributes, entities decoded. Of two with one name the first counts, as in HTML.
#[derive(Default)]
pub(super) struct Attributes(Vec<(&'static str, String)>);

impl Attributes {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// Who listens to the tags. An error ends the reading.
pub(super) trait Sink {
    fn open(&mut self, tag: Tag, attributes: &Attributes) -> Result<(), PageError>;
    fn text(&mut self, text: &[u8]);
    fn close(&mut self, tag: Tag) -> Result<(), PageError>;
}

/// Reads HTML to its end. `lost` turns a failure of the input into an error.
pub(super) fn read_tags<'a, I: Readable<'a>>(
    input: I,
    sink: &mut impl Sink,
    lost: impl FnOnce(<I::Reader as Reader>::Error) -> PageError,
) -> Result<(), PageError> {
    let mut emitter =
        CallbackEmitter::new(Listener { sink, tag: Tag::Other, attributes: Attributes::default(), current: None });
    // What looks like a tag inside of <script> or <title> is none.
    emitter.naively_switch_states(true);
    match Tokenizer::new_with_emitter(input, emitter).next() {
        None => Ok(()),
        Some(Ok(problem)) => Err(problem),
        Some(Err(error)) => Err(lost(error)),
    }
}

struct Listener<'a, S> {
    sink: &'a mut S,
    tag: Tag,
    attributes: Attributes,
    /// The attribute whose value comes next, if it is one of ours.
    current: Option<usize>,
}

impl<S: Sink> Callback<PageError, ()> for Listener<'_, S> {
    fn handle_event(&mut self, event: CallbackEvent<'_>, _: Span<()>) -> Option<PageError> {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag = tag(name);
                self.attributes.0.clear();
                self.current = None;
                None
            }
            CallbackEvent::AttributeName { name } => {
                self.current = None;
                let known = ATTRIBUTES.into_iter().find(|known| known.as_bytes() == name)?;
                if self.attributes.get(known).is_none() {
                    self.current = Some(self.attributes.0.len());
                    self.attributes.0.push((known, String::new()));
                }
                None
            }
            CallbackEvent::AttributeValue { value } => {
                let (_, slot) = self.attributes.0.get_mut(self.current?)?;
                slot.push_str(&String::from_utf8_lossy(value));
                None
            }
            CallbackEvent::CloseStartTag { .. } => self.sink.open(self.tag, &self.attributes).err(),
            CallbackEvent::EndTag { name } => self.sink.close(tag(name)).err(),
            CallbackEvent::String { value } => {
                self.sink.text(value);
                None
            }
            CallbackEvent::Comment { .. } | CallbackEvent::Doctype { .. } | CallbackEvent::Error(_) => None,
        }
    }
}

/// html5gum has put the name in lower case.
fn tag(name: &[u8]) -> Tag {
    match name {
        b"a" => Tag::A,
        b"base" => Tag::Base,
        b"meta" => Tag::Meta,
        b"title" => Tag::Title,
        b"h1" => Tag::H1,
        _ => Tag::Other,
    }
}
