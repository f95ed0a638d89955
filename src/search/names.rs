use super::Query;
use super::near::{Near, lengths, walk};
use fst::Set;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::ops::Range;

/// Why a name was found; the first is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// It is what was typed.
    Name,
    /// It begins so.
    Beginning,
    /// Words of it begin so.
    Words,
    /// What was typed has slips in it, so many; `inside`: and is not its beginning, but that of another word of it.
    Slips { slips: u8, inside: bool },
}

/// A name that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub name: String,
    pub why: Why,
}

impl Match {
    /// Sorts the best first: why, then the shorter, then by its letters.
    pub fn key(&self) -> (Why, usize, &str) {
        (self.why, self.name.len(), &self.name)
    }
}

/// Stands in a key between the words that were put first and those before them: `toolbelt` TURN `requests-`.
pub(super) const TURN: u8 = 1;

/// Longest key, in bytes: a name has 200 at most, and the mark of its turn takes one.
pub(super) const KEY_BYTES_MAX: usize = 201;

/// Words that a name is turned at, at most.
const TURNS_MAX: usize = 6;

/// The keys of a name beside itself: each word of it first, so that the beginning of any word is the beginning of a key.
pub(super) fn rotations(name: &str) -> impl Iterator<Item = String> {
    let cuts = name.match_indices('-').take(TURNS_MAX);
    cuts.filter_map(move |(at, _)| {
        let (before, after) = name.split_at_checked(at + 1)?;
        Some(format!("{after}\u{1}{before}"))
    })
}

/// The name that a key is of.
fn name_of(key: &[u8]) -> Option<(String, bool)> {
    let key = std::str::from_utf8(key).ok()?;
    Some(match key.split_once('\u{1}') {
        Some((after, before)) => (format!("{before}{after}"), true),
        None => (key.to_owned(), false),
    })
}

/// Where the parts of an index of names lie in its file: the segments, then this, then its length and a mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    pub names: u64,
    pub keys: u64,
    pub(super) segments: Vec<Segment>,
}

/// Keys in the order of their bytes, as a set of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) first: String,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// What a file of names ends in, after the length of its directory.
const MARK: &[u8; 8] = b"SWNAMES1";

/// The end of a file that is read to find its directory, in bytes.
pub const TAIL_BYTES: u64 = 16;

/// A larger directory is none, in bytes.
const DIRECTORY_BYTES_MAX: u64 = 1024 * 1024;

/// A segment that was read and found whole.
pub struct NamesPart(Set<Vec<u8>>);

impl NamesPart {
    /// `None`: these are not the bytes of one.
    pub fn read(bytes: Vec<u8>) -> Option<Self> {
        let set = Set::new(bytes).ok()?;
        // What is read later is not checked, and could lead out of it.
        set.as_fst().verify().ok()?;
        Some(Self(set))
    }

    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.as_fst().size()
    }
}

impl Directory {
    pub(super) fn to_end(&self) -> Vec<u8> {
        let mut end = serde_json::to_vec(self).unwrap_or_default();
        let len = end.len() as u64;
        end.extend_from_slice(&len.to_le_bytes());
        end.extend_from_slice(MARK);
        end
    }

    /// Where the directory lies in a file of `len` bytes that ends in `tail` ([`TAIL_BYTES`]).
    pub fn place(len: u64, tail: &[u8]) -> Option<Range<u64>> {
        let (size, mark) = tail.split_at_checked(8)?;
        let size = u64::from_le_bytes(size.try_into().ok()?);
        let end = len.checked_sub(TAIL_BYTES)?;
        (mark == MARK && size <= DIRECTORY_BYTES_MAX).then_some(())?;
        Some(end.checked_sub(size)?..end)
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Where a part lies in the file.
    pub fn part(&self, number: usize) -> Option<Range<u64>> {
        let segment = self.segments.get(number)?;
        Some(segment.offset..segment.offset.checked_add(segment.len)?)
    }

    pub fn parts(&self) -> usize {
        self.segments.len()
    }

    /// The names that a query finds, the best first, `count` at most. `load` gets the parts that it asks for.
    pub fn search<P: std::ops::Deref<Target = NamesPart>>(
        &self,
        query: &Query,
        count: usize,
        load: impl FnMut(usize) -> io::Result<P>,
    ) -> io::Result<Vec<Match>> {
        let name = query.as_name();
        let mut search = Search { directory: self, load, count, typed: &name, found: HashMap::new() };
        search.beginnings(&name, Why::Beginning, |_| true)?;
        if let [_, _, ..] = query.words() {
            search.beginnings(&query.words().concat(), Why::Beginning, |_| true)?;
            if let Some(longest) = query.words().iter().max_by_key(|word| word.len()) {
                search.beginnings(longest, Why::Words, |name| has_words(name, query.words()))?;
            }
        }
        if search.found.len() < SLIPS_BELOW.min(count) {
            search.slips()?;
        }
        let mut found: Vec<_> = search.found.into_iter().map(|(name, why)| Match { name, why }).collect();
        found.sort_by(|one, other| one.key().cmp(&other.key()));
        found.truncate(count);
        Ok(found)
    }

    /// The parts in which keys that begin with `text` can be.
    fn parts_with(&self, text: &str) -> Range<usize> {
        let begins = |segment: &Segment| segment.first.starts_with(text);
        let after = self.segments.partition_point(|segment| segment.first.as_str() <= text || begins(segment));
        let from = self.segments.partition_point(|segment| segment.first.as_str() <= text);
        from.saturating_sub(1)..after
    }
}

/// With so many names or more nothing is taken for a slip.
const SLIPS_BELOW: usize = 10;

/// Keys that are looked at in one part and round, at most.
const LOOKED_AT_MAX: usize = 4_000;

struct Search<'a, L> {
    directory: &'a Directory,
    load: L,
    count: usize,
    /// What was typed, as a name.
    typed: &'a str,
    found: HashMap<String, Why>,
}

impl<P: std::ops::Deref<Target = NamesPart>, L: FnMut(usize) -> io::Result<P>> Search<'_, L> {
    /// Names of which a word begins with `text`, the shortest of them; `begins` is why those that begin with it count.
    fn beginnings(&mut self, text: &str, begins: Why, fits: impl Fn(&str) -> bool) -> io::Result<()> {
        let (near, typed) = (Near::exactly(text), self.typed);
        self.rounds(&near, text.len(), self.directory.parts_with(text), |key| {
            let (name, turned) = name_of(key)?;
            let why = match turned {
                _ if name == typed => Why::Name,
                false => begins,
                true => Why::Words,
            };
            fits(&name).then_some(Match { name, why })
        })
    }

    /// Names that begin with something like what was typed, or of which a word does.
    fn slips(&mut self) -> io::Result<()> {
        let Some(near) = Near::with_slips(self.typed) else { return Ok(()) };
        self.rounds(&near, self.typed.len(), 0..self.directory.parts(), |key| {
            let slips = near.slips(key)?;
            let (name, turned) = name_of(key)?;
            Some(Match { name, why: Why::Slips { slips, inside: turned } })
        })
    }

    /// Goes from short keys to long ones until there are enough.
    fn rounds(
        &mut self,
        near: &Near,
        bytes: usize,
        parts: Range<usize>,
        read: impl Fn(&[u8]) -> Option<Match>,
    ) -> io::Result<()> {
        let before = self.found.len();
        for round in 0.. {
            let Some(lengths) = lengths(bytes, round) else { break };
            for number in parts.clone() {
                let part = (self.load)(number)?;
                let mut looked_at = 0;
                walk(&part.0, near, lengths, |key| {
                    looked_at += 1;
                    if let Some(found) = read(key) {
                        let known = self.found.entry(found.name).or_insert(found.why);
                        *known = (*known).min(found.why);
                    }
                    looked_at < LOOKED_AT_MAX
                });
            }
            if self.found.len() - before >= self.count {
                break;
            }
        }
        Ok(())
    }
}

/// Whether each of `words` begins a word of the name.
fn has_words(name: &str, words: &[String]) -> bool {
    words.iter().all(|word| name.split('-').any(|part| part.starts_with(word.as_str())))
}
