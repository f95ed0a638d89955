//! The pages of our own program's file that are in this process's memory.

use std::ops::Range;

/// The parts of the program's file, as they are mapped, of which nothing was ever written: code and constants.
#[derive(Default)]
pub struct Program {
    parts: Vec<Range<usize>>,
}

impl Program {
    /// Empty where the system does not tell it, and so does nothing there.
    pub fn of_this_process() -> Self {
        let read = || {
            let path = std::fs::read_link("/proc/self/exe").ok()?;
            let told = std::fs::read_to_string("/proc/self/smaps").ok()?;
            Some(Self { parts: untouched(&told, path.to_str()?) })
        };
        read().unwrap_or_default()
    }

    /// Lets go of what is not being executed: the start needs twice the code that a server at rest does. What is needed again
    /// is taken from the system's cache of the file, some hundred microseconds for all of it.
    ///
    /// Measured: `bench/LOG.md`.
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "the idle server is half as large; there is no safe door to madvise")]
    pub fn let_go(&self) {
        for part in &self.parts {
            // SAFETY: each part is a private mapping of our own program's file, which stays mapped as long as we run, and
            // can never have been written to: what is dropped is read from the file again.
            let _ = unsafe { rustix::mm::madvise(part.start as *mut _, part.len(), rustix::mm::Advice::LinuxDontNeed) };
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub fn let_go(&self) {}
}

/// Reads `/proc/self/smaps` (proc(5)): the private mappings of `path` that cannot be written and hold no page of their own.
fn untouched(smaps: &str, path: &str) -> Vec<Range<usize>> {
    let (mut parts, mut candidate) = (Vec::new(), None);
    for line in smaps.lines() {
        if let Some(mapping) = Mapping::read(line) {
            candidate = (mapping.private && mapping.path == path).then_some(mapping.range);
        } else if line.strip_prefix("Anonymous:").is_some_and(|rest| rest.trim() == "0 kB") {
            parts.extend(candidate.take());
        }
    }
    parts
}

struct Mapping<'a> {
    range: Range<usize>,
    /// Nobody else's, and not to be written.
    private: bool,
    /// Of the file; empty where there is none.
    path: &'a str,
}

impl<'a> Mapping<'a> {
    /// Reads a mapping's first line; the lines that follow it are none.
    fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let range = address(start)?..address(end)?;
        let rights = fields.next()?;
        let private = !rights.contains('w') && rights.ends_with('p');
        Some(Self { range, private, path: fields.nth(3).unwrap_or_default().trim_start() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_is_let_go_of() {
        let smaps = "\
55d0-55d4 r--p 00000000 fe:00 77                         /opt/a b/sidewheel
Size:                 16 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
55d4-55dc r-xp 00004000 fe:00 77                         /opt/a b/sidewheel
Anonymous:             0 kB
55dc-55dd r--p 0000c000 fe:00 77                         /opt/a b/sidewheel
Anonymous:             4 kB
55dd-55de rw-p 0000d000 fe:00 77                         /opt/a b/sidewheel
Anonymous:             0 kB
55de-55df r--s 0000d000 fe:00 77                         /opt/a b/sidewheel
Anonymous:             0 kB
7f00-7f01 r-xp 00000000 fe:00 78                         /usr/lib/libc.so.6
Anonymous:             0 kB
7f01-7f02 r--p 00000000 00:00 0 
Anonymous:             0 kB
7ffc-7ffd rw-p 00000000 00:00 0                          [stack]
Anonymous:             0 kB
";
        assert_eq!(untouched(smaps, "/opt/a b/sidewheel"), [0x55d0..0x55d4, 0x55d4..0x55dc]);
        assert!(untouched(smaps, "/opt/sidewheel").is_empty() && untouched("Anonymous: 0 kB\n", "/a").is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_let_go_of_is_there_again_when_it_is_needed() {
        let program = Program::of_this_process();
        assert!(program.parts.len() >= 2, "code and constants: {:?}", program.parts);
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        program.let_go();
        let after = resident();
        assert!(after < before, "{before} kB before, {after} kB after");
        assert!("still here".contains("here"));
    }
}
