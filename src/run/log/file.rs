use parking_lot::Mutex;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that were set aside and are kept, besides the one that is written: with the default size a week of a busy team.
const KEPT_FILES_MAX: u32 = 5;

/// Mode of a log file, less what the umask takes: names of users and projects are not for everybody.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// The log's file. Too large, it is set aside as `.1`, and the older ones move up. Moved, removed or cut by somebody else,
/// it is opened anew by the next line. A line that cannot be written goes to standard error, and the next one tries again:
/// losing the log is no reason to fail, so that writing never does.
#[derive(Clone)]
pub(super) struct LogFile(Arc<Mutex<Writer>>);

struct Writer {
    path: PathBuf,
    /// Size at which the file is set aside.
    bytes_max: u64,
    /// The size for now: larger where setting aside did not work, so that not every line tries it.
    set_aside_at: u64,
    open: Option<File>,
    /// The last line is not whole.
    torn: bool,
}

impl LogFile {
    pub fn open(path: PathBuf, bytes_max: u64) -> Self {
        let mut writer = Writer { path, bytes_max, set_aside_at: bytes_max, open: None, torn: false };
        writer.reopen();
        Self(Arc::new(Mutex::new(writer)))
    }

    pub fn reopen(&self) {
        self.0.lock().reopen();
    }
}

impl Write for LogFile {
    /// One call is one line, or some that are whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.lock().line(line).is_err() {
            let _ = io::stderr().write_all(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writer {
    fn reopen(&mut self) {
        self.open = open(&self.path).ok();
        self.set_aside_at = self.bytes_max;
        self.torn = false;
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        let mut facts = fs::metadata(&self.path);
        if !self.is_ours(&facts) {
            self.reopen();
            facts = fs::metadata(&self.path);
        }
        let len = facts.map_or(0, |facts| facts.len());
        if len > 0 && len.saturating_add(line.len() as u64) > self.set_aside_at {
            match set_aside(&self.path) {
                Ok(()) => self.reopen(),
                Err(_) => self.set_aside_at = len.saturating_add(self.bytes_max),
            }
        }
        let Some(file) = &mut self.open else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if self.torn {
            file.write_all(b"\n")?;
        }
        let written = file.write_all(line);
        self.torn = written.is_err();
        written
    }

    /// Whether the path still names the file that is open.
    fn is_ours(&self, facts: &io::Result<Metadata>) -> bool {
        let open = self.open.as_ref().map(File::metadata);
        match (facts, open) {
            (Ok(facts), Some(Ok(open))) => (facts.dev(), facts.ino()) == (open.dev(), open.ino()),
            _ => false,
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
    }
    // Never waits, should somebody have put a pipe there.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    OpenOptions::new().create(true).append(true).mode(FILE_MODE).custom_flags(flags).open(path)
}

/// Moves the file to `.1`, that one to `.2`, and so on; the oldest goes.
fn set_aside(path: &Path) -> io::Result<()> {
    let kept = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..KEPT_FILES_MAX).rev() {
        match fs::rename(kept(number), kept(number + 1)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => {}
        }
    }
    fs::rename(path, kept(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_file_that_is_too_large_is_set_aside_and_a_few_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("made/on/the/way/log");
        let mut log = LogFile::open(path.clone(), 25);
        for number in 10..30 {
            log.write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        assert_eq!(text(&path), "line 28\nline 29\n");
        let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names as u32, 1 + KEPT_FILES_MAX);
        let kept: String =
            (1..=KEPT_FILES_MAX).rev().map(|number| text(&path.with_extension(number.to_string()))).collect();
        let expected: String = (13..28).map(|number| format!("line {number}\n")).collect();
        assert_eq!(kept, expected, "no line is lost or out of order");
    }

    #[test]
    fn a_file_that_was_moved_removed_or_cut_is_opened_anew() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("logs/log");
        let mut log = LogFile::open(path.clone(), 1 << 20);
        log.write_all(b"a\n").unwrap();
        fs::rename(&path, path.with_extension("1")).unwrap();
        log.reopen();
        assert_eq!(text(&path), "", "SIGHUP alone makes the new file");
        log.write_all(b"b\n").unwrap();
        fs::rename(&path, path.with_extension("2")).unwrap();
        log.write_all(b"c\n").unwrap();
        assert_eq!(
            [text(&path.with_extension("1")), text(&path.with_extension("2")), text(&path)],
            ["a\n", "b\n", "c\n"]
        );
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        log.write_all(b"d\n").unwrap();
        assert_eq!(text(&path), "d\n");
        // copytruncate
        fs::write(&path, "").unwrap();
        log.write_all(b"e\n").unwrap();
        assert_eq!(text(&path), "e\n");
    }

    #[test]
    fn what_cannot_be_written_is_no_error_and_is_tried_again() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("logs");
        fs::write(&directory, "in the way").unwrap();
        let mut log = LogFile::open(directory.join("log"), 1 << 20);
        log.write_all(b"a\n").unwrap();
        fs::remove_file(&directory).unwrap();
        log.write_all(b"b\n").unwrap();
        assert_eq!(text(&directory.join("log")), "b\n");
    }
}
