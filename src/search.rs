//! Finding names and words by what somebody types.
//!
//! Enters: names, a text somebody typed. Leaves: the bytes of an index of names, matches in their order.
//! Must not know: files, who may see what.
//!
//! The index of a list of names is made of sets of keys (finite state transducers): each name, and each name turned so
//! that another of its words comes first. So whatever is typed is the beginning of a key, and a slip of the finger is
//! found by walking the set with an automaton that allows for it. Sets are small parts of a file, each read when a
//! search needs it: nothing is read at start, and no more is held than the memory's budget has room for.

mod build;
mod names;
mod near;
mod query;
mod words;

pub use build::{Builder, Built, NAMES_MAX, Scratch};
pub use names::{Directory, Match, NamesPart, TAIL_BYTES, Why};
pub use query::{QUERY_BYTES_MAX, QUERY_WORDS_MAX, Query, QueryError};
pub use words::Words;

#[cfg(test)]
mod tests;
