use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A file that is a vector.
#[derive(Default)]
struct Memory(Vec<u8>);

impl Scratch for Memory {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        // Short reads are allowed.
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len()).min(1_000);
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

struct Index {
    bytes: Vec<u8>,
    directory: Directory,
}

impl Index {
    fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut builder = Builder::new(Memory::default());
        for name in names {
            assert!(builder.add(name).unwrap());
        }
        let mut bytes = Vec::new();
        let built = builder.finish(&mut bytes).unwrap();
        assert_eq!(built.bytes, bytes.len() as u64);
        let tail = &bytes[bytes.len() - TAIL_BYTES as usize..];
        let place = Directory::place(built.bytes, tail).unwrap();
        let directory = Directory::read(&bytes[range(place)]).unwrap();
        assert_eq!((directory.names, directory.keys), (built.names, built.keys));
        Self { bytes, directory }
    }

    fn found(&self, typed: &str, count: usize) -> Vec<Match> {
        let Some(query) = Query::parse(typed).unwrap() else { return Vec::new() };
        let load = |part| {
            let bytes = self.bytes[range(self.directory.part(part).unwrap())].to_vec();
            NamesPart::read(bytes).map(Arc::new).ok_or_else(|| io::Error::other("damaged"))
        };
        self.directory.search(&query, count, load).unwrap()
    }

    fn names(&self, typed: &str, count: usize) -> Vec<String> {
        self.found(typed, count).into_iter().map(|found| found.name).collect()
    }
}

fn range(range: Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

const NAMES: [&str; 16] = [
    "requests",
    "requests-toolbelt",
    "requests-oauthlib",
    "grequests",
    "types-requests",
    "flask",
    "flask-login",
    "django",
    "djangorestframework",
    "django-rest-swagger",
    "scikit-learn",
    "zope-interface",
    "python-dateutil",
    "tool",
    "toolz",
    "my-login-for-flask",
];

#[test]
fn the_best_comes_first() {
    let index = Index::of(NAMES.iter().rev().copied().chain(NAMES));
    assert_eq!(index.directory.names, 16, "a name that came twice is one");
    for (typed, found) in [
        ("requests", vec!["requests", "requests-oauthlib", "requests-toolbelt", "types-requests"]),
        ("REQ", vec!["requests", "requests-oauthlib", "requests-toolbelt", "types-requests"]),
        ("tool", vec!["tool", "toolz", "requests-toolbelt"]),
        ("dj", vec!["django", "django-rest-swagger", "djangorestframework"]),
        ("flask login", vec!["flask-login", "my-login-for-flask"]),
        ("login flask", vec!["flask-login", "my-login-for-flask"]),
        ("Zope.Inter", vec!["zope-interface"]),
    ] {
        let names = index.names(typed, 20);
        assert_eq!(names[..found.len()], found, "{typed}");
    }
    assert_eq!(index.names("requests", 2), ["requests", "requests-oauthlib"]);
    let whys: Vec<_> = index.found("requests", 20).into_iter().map(|found| found.why).take(4).collect();
    assert_eq!(whys, [Why::Name, Why::Beginning, Why::Beginning, Why::Words]);
}

#[test]
fn slips_are_forgiven() {
    let index = Index::of(NAMES);
    for (typed, meant) in [
        ("reqests", "requests"),
        ("reqeusts", "requests"),
        ("requsets", "requests"),
        ("equests", "requests"),
        ("xequests", "requests"),
        ("flaks", "flask"),
        ("djagno", "django"),
        ("scikitlearn", "scikit-learn"),
        ("scikit learn", "scikit-learn"),
        ("pythondateutil", "python-dateutil"),
        ("toolblet", "requests-toolbelt"),
        ("djangorsetframwork", "djangorestframework"),
        ("reqestst", "requests"),
    ] {
        assert_eq!(index.names(typed, 20).first().map(String::as_str), Some(meant), "{typed}");
    }
    for nothing in ["xyz", "flk", "abcdefgh", ""] {
        assert_eq!(index.names(nothing, 20), [""; 0], "{nothing}");
    }
}

#[test]
fn many_names_are_sorted_in_runs_and_found_in_parts() {
    let names: Vec<_> = (0..150_000_u32).map(|n| format!("{:x}-part-{n}", n.wrapping_mul(2_654_435_761))).collect();
    let index = Index::of(names.iter().map(String::as_str));
    assert_eq!((index.directory.names, index.directory.keys), (150_000, 450_000));
    assert!(index.directory.parts() > 10);
    for n in [0, 1, 77_777, 149_999_usize] {
        assert_eq!(index.names(&names[n], 5)[0], names[n]);
    }
    assert_eq!(index.names("part 149999", 5)[0], names[149_999]);
    // All of them have a word that begins so, more than are looked at: what is found is among the shortest of them.
    let found = index.names("part", 10);
    let mut lens: Vec<_> = names.iter().map(String::len).collect();
    lens.sort_unstable();
    let found: Vec<_> = found.iter().map(String::len).collect();
    assert!(found.is_sorted() && found[0] == lens[0] && found[9] <= lens[lens.len() / 100], "{found:?}");
}

#[test]
fn what_is_no_index_is_not_read() {
    assert_eq!(Directory::place(100, b"short"), None);
    assert_eq!(Directory::place(100, &[0; 16]), None);
    assert_eq!(Directory::place(20, &[&200_u64.to_le_bytes()[..], b"SWNAMES1"].concat()), None);
    assert_eq!(Directory::read(b"{}"), None);
    let mut index = Index::of(NAMES);
    assert!(NamesPart::read(Vec::new()).is_none());
    let part = range(index.directory.part(0).unwrap());
    for at in part.clone() {
        index.bytes[at] ^= 1;
        assert!(NamesPart::read(index.bytes[part.clone()].to_vec()).is_none(), "byte {at}");
        index.bytes[at] ^= 1;
    }
    assert_eq!(index.directory.part(9), None);
}

fn name() -> impl Strategy<Value = String> {
    "[ab]{1,3}(-[abc]{1,3}){0,3}"
}

proptest! {
    #[test]
    fn all_beginnings_are_found_and_nothing_else(names in prop::collection::btree_set(name(), 1..60), typed in name()) {
        let index = Index::of(names.iter().map(String::as_str));
        let found = index.found(&typed, 1_000);
        let query = Query::parse(&typed).unwrap().unwrap();
        for one in &found {
            prop_assert!(names.contains(&one.name));
        }
        let unique: BTreeSet<_> = found.iter().map(|one| one.name.clone()).collect();
        prop_assert_eq!(unique.len(), found.len());
        prop_assert!(found.is_sorted_by_key(Match::key));
        for name in &names {
            let begins = name.starts_with(&typed) || name.contains(&format!("-{typed}"));
            prop_assert!(!begins || unique.contains(name), "{name} for {typed} ({query})");
        }
        prop_assert_eq!(names.contains(&typed), found.first().is_some_and(|first| first.why == Why::Name));
    }

    #[test]
    fn one_slip_finds_the_name(name in "[a-z]{5,12}", at in 0_usize..5, kind in 0..3, letter in "[a-z]") {
        let mut typed: Vec<char> = name.chars().collect();
        match kind {
            0 => drop(typed.remove(at)),
            1 => typed.insert(at, letter.chars().next().unwrap()),
            _ => typed.swap(at, at.saturating_sub(1)),
        }
        let typed: String = typed.into_iter().collect();
        let index = Index::of([name.as_str(), "another", "and-another"]);
        prop_assert!(index.names(&typed, 20).contains(&name), "{name} for {typed}");
    }

    #[test]
    fn never_panics(names in prop::collection::vec(".{0,20}", 0..20), typed in ".{0,60}") {
        let index = Index::of(names.iter().map(String::as_str));
        if let Ok(Some(query)) = Query::parse(&typed) {
            index.found(&query.to_string(), 5);
        }
    }

    #[test]
    fn never_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), len in any::<u64>()) {
        let _ = Directory::place(len, &bytes);
        let _ = Directory::read(&bytes);
        let _ = NamesPart::read(bytes);
    }
}
