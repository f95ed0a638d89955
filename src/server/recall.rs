//! What texts of heads were read as before. The same few come again and again: every client of a kind sends the same
//! `Accept`, and a site's builds ask for the same addresses.
//!
//! Each worker remembers for itself, so nothing is locked. What is remembered is a pure function of the text, so it is
//! never out of date.

use crate::http::{self, Encoding, Negotiated, Routed};
use std::cell::RefCell;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Addresses remembered by a worker: more than several large installations have; full, they take less than 1 MiB.
const TARGETS: usize = 2048;

/// The same of other fields, of which there are as many values as kinds of clients.
const FIELDS: usize = 32;

/// Longer texts are read anew each time, in bytes: they are rare, and would make the memory's bound a large one.
const TEXT_BYTES_MAX: usize = 256;

/// What an `Accept` means, as far as it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// See [`http::wants_plain_json`].
    pub plain_json: bool,
    /// See [`http::negotiate`], without a query.
    pub format: Negotiated,
}

/// See [`http::route`].
pub fn route(target: &str) -> Arc<Routed> {
    thread_local! {
        static TARGETS_READ: RefCell<Recall<Arc<Routed>>> = RefCell::new(Recall::new(TARGETS));
    }
    TARGETS_READ.with_borrow_mut(|read| read.get(target, |target| Arc::new(http::route(target))))
}

pub fn accept(field: Option<&str>) -> Accepted {
    thread_local! {
        static ACCEPTS_READ: RefCell<Recall<Accepted>> = RefCell::new(Recall::new(FIELDS));
    }
    let read = |field: Option<&str>| Accepted {
        plain_json: http::wants_plain_json(field),
        format: http::negotiate(field, None),
    };
    match field {
        Some(field) => ACCEPTS_READ.with_borrow_mut(|all| all.get(field, |field| read(Some(field)))),
        None => read(None),
    }
}

/// See [`http::encoding`].
pub fn encoding(field: Option<&str>) -> Encoding {
    thread_local! {
        static ENCODINGS_READ: RefCell<Recall<Encoding>> = RefCell::new(Recall::new(FIELDS));
    }
    match field {
        Some(field) => ENCODINGS_READ.with_borrow_mut(|all| all.get(field, |field| http::encoding(Some(field)))),
        None => http::encoding(None),
    }
}

/// A text's place is given by its hash; a newer text takes the place of an older one.
struct Recall<T> {
    places: Vec<Option<(Box<str>, T)>>,
    hasher: foldhash::fast::RandomState,
}

impl<T: Clone> Recall<T> {
    fn new(places: usize) -> Self {
        Self { places: (0..places).map(|_| None).collect(), hasher: Default::default() }
    }

    fn get(&mut self, text: &str, read: impl FnOnce(&str) -> T) -> T {
        if text.len() > TEXT_BYTES_MAX {
            return read(text);
        }
        let at = self.hasher.hash_one(text) as usize % self.places.len().max(1);
        let Some(place) = self.places.get_mut(at) else { return read(text) };
        match place {
            Some((known, value)) if **known == *text => value.clone(),
            _ => {
                let value = read(text);
                *place = Some((text.into(), value.clone()));
                value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_once_and_never_taken_for_another() {
        let mut recall = Recall::new(4);
        let mut times = 0;
        for text in ["a", "a", "b", "a"] {
            let value = recall.get(text, |text| {
                times += 1;
                text.to_owned()
            });
            assert_eq!(value, text);
        }
        assert!((2..=3).contains(&times), "read {times} times");
        for number in 0..1000 {
            let text = number.to_string();
            assert_eq!(recall.get(&text, str::to_owned), text);
        }
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        assert_eq!(recall.get(&long, str::to_owned), long);
        let held = |place: &Option<(Box<str>, String)>| place.as_ref().map_or(0, |(text, _)| text.len());
        assert!(recall.places.iter().map(held).max() <= Some(3), "a long text is held");
    }

    #[test]
    fn what_is_recalled_is_what_is_read() {
        for _ in 0..2 {
            for target in ["/root/pypi/+simple/six/", "/+health", "/a//b", "*", "/root/pypi/+simple/six/?format=x"] {
                assert_eq!(*route(target), http::route(target), "{target}");
            }
            for field in [None, Some(""), Some("application/json"), Some("text/html"), Some("gzip, br")] {
                let read = accept(field);
                assert_eq!(
                    (read.plain_json, read.format),
                    (http::wants_plain_json(field), http::negotiate(field, None))
                );
                assert_eq!(encoding(field), http::encoding(field));
            }
        }
    }
}
