use fst::{Automaton, IntoStreamer, Set, Streamer};
use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder, SINK_STATE};
use std::sync::OnceLock;

/// Shortest text that is taken for one with a slip in it, in bytes; in shorter ones a slip makes another word.
const ONE_SLIP_BYTES: usize = 4;

/// From here on two slips are forgiven.
const TWO_SLIPS_BYTES: usize = 8;

/// Longest text that slips are looked for in, in bytes: its automaton has some hundred states.
const SLIPS_BYTES_MAX: usize = 40;

/// Keys that begin with a text, or nearly so.
pub(super) enum Near {
    Exactly(Vec<u8>),
    Slips(Box<DFA>),
}

/// How far a walk has come: what of the text was met, and how many bytes.
#[derive(Clone, Copy)]
pub(super) struct Met {
    near: u32,
    bytes: usize,
}

/// The state of who has left the way to the text.
const LOST: u32 = u32::MAX;

impl Near {
    /// What begins with `text`.
    pub(super) fn exactly(text: &str) -> Self {
        Self::Exactly(text.as_bytes().to_vec())
    }

    /// What begins with something that differs from `text` by a slip or two: a byte that is missing, too many, another,
    /// or in its neighbour's place. `None`: too short or too long for that.
    pub(super) fn with_slips(text: &str) -> Option<Self> {
        static ONE: OnceLock<LevenshteinAutomatonBuilder> = OnceLock::new();
        static TWO: OnceLock<LevenshteinAutomatonBuilder> = OnceLock::new();
        let builder = match text.len() {
            ..ONE_SLIP_BYTES => return None,
            ONE_SLIP_BYTES..TWO_SLIPS_BYTES => ONE.get_or_init(|| LevenshteinAutomatonBuilder::new(1, true)),
            TWO_SLIPS_BYTES..=SLIPS_BYTES_MAX => TWO.get_or_init(|| LevenshteinAutomatonBuilder::new(2, true)),
            _ => return None,
        };
        Some(Self::Slips(Box::new(builder.build_prefix_dfa(text))))
    }

    /// How many slips `key` has, if it is near at all.
    pub(super) fn slips(&self, key: &[u8]) -> Option<u8> {
        match self {
            Self::Exactly(text) => key.starts_with(text).then_some(0),
            Self::Slips(dfa) => match dfa.eval(key) {
                Distance::Exact(slips) => Some(slips),
                Distance::AtLeast(_) => None,
            },
        }
    }

    fn start(&self) -> u32 {
        match self {
            Self::Exactly(_) => 0,
            Self::Slips(dfa) => dfa.initial_state(),
        }
    }

    fn goes_on(&self, state: u32) -> bool {
        match self {
            Self::Exactly(_) => state != LOST,
            Self::Slips(_) => state != SINK_STATE,
        }
    }

    fn arrived(&self, state: u32) -> bool {
        match self {
            Self::Exactly(text) => state as usize == text.len(),
            Self::Slips(dfa) => matches!(dfa.distance(state), Distance::Exact(_)),
        }
    }

    fn step(&self, state: u32, byte: u8) -> u32 {
        match self {
            Self::Exactly(text) => match text.get(state as usize) {
                None => state,
                Some(wanted) if *wanted == byte => state + 1,
                Some(_) => LOST,
            },
            Self::Slips(dfa) => dfa.transition(state, byte),
        }
    }
}

/// Those of them that are longer than `over` bytes and not longer than `up_to`: going on from short keys to long ones
/// finds the short ones of thousands without looking at all.
struct OfLength<'a> {
    near: &'a Near,
    over: usize,
    up_to: usize,
}

impl Automaton for OfLength<'_> {
    type State = Met;

    fn start(&self) -> Met {
        Met { near: self.near.start(), bytes: 0 }
    }

    fn is_match(&self, met: &Met) -> bool {
        met.bytes > self.over && met.bytes <= self.up_to && self.near.arrived(met.near)
    }

    fn can_match(&self, met: &Met) -> bool {
        met.bytes <= self.up_to && self.near.goes_on(met.near)
    }

    fn accept(&self, met: &Met, byte: u8) -> Met {
        // A key that is too long is left at once.
        let near = if met.bytes > self.up_to { met.near } else { self.near.step(met.near, byte) };
        Met { near, bytes: met.bytes + 1 }
    }
}

/// Bytes by which keys may be longer than what is looked for, round after round.
pub(super) const LONGER: [usize; 6] = [0, 2, 5, 10, 20, 255];

/// Hands the keys of a set to `take` that are near and of this round's length, until it says that this is enough;
/// whether it did.
pub(super) fn walk<D: AsRef<[u8]>>(
    set: &Set<D>,
    near: &Near,
    lengths: (usize, usize),
    mut take: impl FnMut(&[u8]) -> bool,
) -> bool {
    let (over, up_to) = lengths;
    let mut keys = set.search(OfLength { near, over, up_to }).into_stream();
    while let Some(key) = keys.next() {
        if !take(key) {
            return true;
        }
    }
    false
}

/// The lengths of a round: more bytes than the first, not more than the second.
pub(super) fn lengths(text: usize, round: usize) -> Option<(usize, usize)> {
    let longer = LONGER.get(round)?;
    let over = round.checked_sub(1).and_then(|before| LONGER.get(before)).map_or(0, |before| text + before);
    Some((over, text + longer))
}
