use super::ConfigError;
use saphyr_parser::{Event, Parser, ScanError, Span};
use std::iter::Peekable;

/// The mapping in devpi-server's file that is the server's; other programs of devpi have theirs.
const SECTION: &str = "devpi-server";

/// Nesting of a file: devpi's own needs three.
const DEPTH_MAX: u32 = 16;

enum Node {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Reads devpi-server's configuration file: its options and their values, as written. All scalars are text there.
pub(super) fn read(file: &str, text: &str) -> Result<Vec<(String, Vec<String>)>, ConfigError> {
    let fault = |(line, message): (usize, String)| ConfigError::Yaml { file: file.to_owned(), line, message };
    let Node::Map(top) = document(text).map_err(fault)? else { return Ok(Vec::new()) };
    let Some((_, Node::Map(options))) = top.into_iter().find(|(key, _)| key == SECTION) else { return Ok(Vec::new()) };
    Ok(options.into_iter().map(|(key, node)| (key, node.values())).filter(|(_, values)| !values.is_empty()).collect())
}

impl Node {
    /// A text or a list as it is; of a mapping, which only `storage` has, what its `name` says.
    fn values(self) -> Vec<String> {
        match self {
            Self::Text(text) if text.is_empty() => Vec::new(),
            Self::Text(text) => vec![text],
            Self::List(items) => items.into_iter().flat_map(Self::values).collect(),
            Self::Map(pairs) => {
                pairs.into_iter().filter(|(key, _)| key == "name").flat_map(|(_, v)| v.values()).collect()
            }
        }
    }
}

type Fault = (usize, String);

fn document(text: &str) -> Result<Node, Fault> {
    let mut events = Parser::new_from_str(text).peekable();
    loop {
        match events.peek() {
            None => return Ok(Node::Text(String::new())),
            Some(Ok((Event::Nothing | Event::StreamStart | Event::DocumentStart(_), _))) => drop(events.next()),
            Some(Ok((Event::StreamEnd | Event::DocumentEnd, _))) => return Ok(Node::Text(String::new())),
            Some(_) => return node(&mut events, 0),
        }
    }
}

fn node<'a>(
    events: &mut Peekable<impl Iterator<Item = Result<(Event<'a>, Span), ScanError>>>,
    depth: u32,
) -> Result<Node, Fault> {
    let (event, span) = match events.next() {
        Some(Ok(event)) => event,
        Some(Err(why)) => return Err((why.marker().line(), why.info().to_owned())),
        None => return Err((0, "it ends in the middle".to_owned())),
    };
    let fault = |message: &str| Err((span.start.line(), message.to_owned()));
    if depth > DEPTH_MAX {
        return fault("it is nested too deeply");
    }
    match event {
        Event::Scalar(text, ..) => Ok(Node::Text(text.into_owned())),
        Event::SequenceStart(..) => {
            let mut items = Vec::new();
            while !matches!(events.peek(), Some(Ok((Event::SequenceEnd, _)))) {
                items.push(node(events, depth + 1)?);
            }
            events.next();
            Ok(Node::List(items))
        }
        Event::MappingStart(..) => {
            let mut pairs = Vec::new();
            while !matches!(events.peek(), Some(Ok((Event::MappingEnd, _)))) {
                let Node::Text(key) = node(events, depth + 1)? else { return fault("a key here is no text") };
                pairs.push((key, node(events, depth + 1)?));
            }
            events.next();
            Ok(Node::Map(pairs))
        }
        Event::Alias(_) => fault("write the value out instead of *naming it; devpi-server takes no aliases either"),
        _ => fault("a value is missing"),
    }
}
