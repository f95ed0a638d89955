use super::names::{Directory, KEY_BYTES_MAX, Segment, rotations};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

/// A place for what is too much for memory, written at its end and read anywhere.
pub trait Scratch {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Reads some bytes from `offset` on.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// Makes the index of a list of names, which come in any order and more than once.
///
/// A bounded number of keys is in memory: they are sorted, put aside as a run, and all runs merged in the end.
pub struct Builder<S> {
    scratch: S,
    /// The keys that are not put aside, one after the other.
    text: Vec<u8>,
    keys: Vec<(u32, u8)>,
    /// Where each run begins and ends in the scratch.
    runs: Vec<(u64, u64)>,
    written: u64,
    names: u64,
}

/// What an index came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Built {
    pub names: u64,
    pub keys: u64,
    pub bytes: u64,
}

/// Bytes of keys that are sorted at once.
const RUN_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a run that are read at once.
const READ_BYTES: usize = 32 * 1024;

/// Keys of a segment: some hundred kilobytes, read and held as one.
const SEGMENT_KEYS: usize = 32_768;

/// Names of an index, at most: four times as many as PyPI has.
pub const NAMES_MAX: u64 = 4_000_000;

impl<S: Scratch> Builder<S> {
    pub fn new(scratch: S) -> Self {
        Self { scratch, text: Vec::new(), keys: Vec::new(), runs: Vec::new(), written: 0, names: 0 }
    }

    /// Adds a normalised name. Beyond [`NAMES_MAX`] none is taken; whether this one was.
    pub fn add(&mut self, name: &str) -> io::Result<bool> {
        if self.names >= NAMES_MAX {
            return Ok(false);
        }
        self.names += 1;
        self.key(name.as_bytes())?;
        for rotation in rotations(name) {
            self.key(rotation.as_bytes())?;
        }
        Ok(true)
    }

    /// Merges the runs into segments, which `output` gets one after another, and their directory after them.
    pub fn finish(mut self, mut output: impl Write) -> io::Result<Built> {
        self.put_aside()?;
        let Self { scratch, text, keys, runs, .. } = self;
        drop((text, keys));
        let mut readers: Vec<_> = runs.iter().map(|(start, end)| Run::new(*start, *end)).collect();
        let mut heap = BinaryHeap::new();
        for (number, reader) in readers.iter_mut().enumerate() {
            if let Some(key) = reader.next(&scratch)? {
                heap.push(Reverse((key, number)));
            }
        }
        let mut segments = Segments::default();
        let mut last: Vec<u8> = Vec::new();
        while let Some(Reverse((key, number))) = heap.pop() {
            if let Some(next) = readers.get_mut(number).map(|reader| reader.next(&scratch)).transpose()?.flatten() {
                heap.push(Reverse((next, number)));
            }
            if key != last {
                segments.add(&key, &mut output)?;
                last = key;
            }
        }
        segments.finish(output)
    }

    fn key(&mut self, key: &[u8]) -> io::Result<()> {
        // Names are shorter; what is not cannot be told apart by a byte of length.
        let Some(len) = u8::try_from(key.len()).ok().filter(|len| usize::from(*len) <= KEY_BYTES_MAX) else {
            return Ok(());
        };
        if self.text.len() + key.len() > RUN_BYTES {
            self.put_aside()?;
        }
        self.keys.push((self.text.len() as u32, len));
        self.text.extend_from_slice(key);
        Ok(())
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let text = &self.text;
        let of = |(start, len): (u32, u8)| {
            let start = start as usize;
            text.get(start..start + usize::from(len)).unwrap_or_default()
        };
        self.keys.sort_unstable_by(|one, other| of(*one).cmp(of(*other)));
        let begin = self.written;
        let mut piece = Vec::with_capacity(READ_BYTES + KEY_BYTES_MAX + 1);
        for key in &self.keys {
            piece.push(key.1);
            piece.extend_from_slice(of(*key));
            if piece.len() >= READ_BYTES {
                self.scratch.append(&piece)?;
                self.written += piece.len() as u64;
                piece.clear();
            }
        }
        self.scratch.append(&piece)?;
        self.written += piece.len() as u64;
        if self.written > begin {
            self.runs.push((begin, self.written));
        }
        self.keys.clear();
        self.text.clear();
        Ok(())
    }
}

/// A run that is read key by key.
struct Run {
    next: u64,
    end: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl Run {
    fn new(start: u64, end: u64) -> Self {
        Self { next: start, end, buffer: Vec::new(), at: 0 }
    }

    fn next(&mut self, scratch: &impl Scratch) -> io::Result<Option<Vec<u8>>> {
        let Some(len) = self.take(scratch, 1)?.and_then(|byte| byte.first().copied()) else { return Ok(None) };
        self.take(scratch, usize::from(len))?.map(Some).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn take(&mut self, scratch: &impl Scratch, count: usize) -> io::Result<Option<Vec<u8>>> {
        while self.buffer.len() - self.at < count {
            if self.next >= self.end {
                return Ok(None);
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let have = self.buffer.len();
            let want = READ_BYTES.min(usize::try_from(self.end - self.next).unwrap_or(READ_BYTES));
            self.buffer.resize(have + want, 0);
            let read = scratch.read_at(self.buffer.get_mut(have..).unwrap_or_default(), self.next)?;
            self.buffer.truncate(have + read);
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.next += read as u64;
        }
        let taken = self.buffer.get(self.at..self.at + count).map(<[u8]>::to_vec);
        self.at += count;
        Ok(taken)
    }
}

/// Writes sorted keys as segments.
#[derive(Default)]
struct Segments {
    directory: Directory,
    keys: Vec<Vec<u8>>,
    built: u64,
}

impl Segments {
    fn add(&mut self, key: &[u8], output: &mut impl Write) -> io::Result<()> {
        self.directory.names += u64::from(!key.contains(&super::names::TURN));
        self.keys.push(key.to_vec());
        if self.keys.len() >= SEGMENT_KEYS { self.write(output) } else { Ok(()) }
    }

    fn write(&mut self, output: &mut impl Write) -> io::Result<()> {
        let Some(first) = self.keys.first().cloned() else { return Ok(()) };
        let mut set = fst::SetBuilder::memory();
        set.extend_iter(self.keys.iter()).map_err(io::Error::other)?;
        let bytes = set.into_inner().map_err(io::Error::other)?;
        output.write_all(&bytes)?;
        self.directory.segments.push(Segment {
            first: String::from_utf8_lossy(&first).into_owned(),
            offset: self.built,
            len: bytes.len() as u64,
        });
        self.built += bytes.len() as u64;
        self.directory.keys += self.keys.len() as u64;
        self.keys.clear();
        Ok(())
    }

    fn finish(mut self, mut output: impl Write) -> io::Result<Built> {
        self.write(&mut output)?;
        let end = self.directory.to_end();
        output.write_all(&end)?;
        output.flush()?;
        let (names, keys) = (self.directory.names, self.directory.keys);
        Ok(Built { names, keys, bytes: self.built + end.len() as u64 })
    }
}
