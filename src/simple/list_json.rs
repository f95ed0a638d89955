use super::PageError;
use super::draft::texts_are_short;
use super::json::{Loose, Meta};
use super::list::{ENTRY_BYTES_MAX, Guard, ListTranscoder};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt;
use std::io::{BufReader, Read, Write};

/// Reads a list, handing each project to `output` as it comes. Leaves its `meta` and the keys that we do not know.
pub(super) fn read<J: Write, H: Write>(
    output: &mut ListTranscoder<J, H>,
    input: impl Read,
) -> Result<(Meta, Map<String, Value>), PageError> {
    let spent = Cell::new(0);
    let mut problem = None;
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(Guard { input, spent: &spent }));
    let seed = ListSeed { output, spent: &spent, problem: &mut problem };
    let read = seed.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    match (read, problem) {
        (_, Some(problem)) => Err(problem),
        (Ok(found), None) => Ok(found),
        (Err(_), None) if spent.get() > ENTRY_BYTES_MAX => Err(PageError::EntryTooLong),
        (Err(error), None) => Err(PageError::from_json(error)),
    }
}

struct ListSeed<'a, J: Write, H: Write> {
    output: &'a mut ListTranscoder<J, H>,
    spent: &'a Cell<usize>,
    /// Why reading was broken off; serde's errors carry only text.
    problem: &'a mut Option<PageError>,
}

fn refuse<E: serde::de::Error>(slot: &mut Option<PageError>, problem: PageError) -> E {
    let error = E::custom(&problem);
    *slot = Some(problem);
    error
}

impl<'de, J: Write, H: Write> DeserializeSeed<'de> for ListSeed<'_, J, H> {
    type Value = (Meta, Map<String, Value>);
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, J: Write, H: Write> Visitor<'de> for ListSeed<'_, J, H> {
    type Value = (Meta, Map<String, Value>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of projects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut meta, mut extra, mut has_projects) = (Meta::default(), Map::new(), false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "meta" => {
                    let stated = map.next_value::<Option<Map<String, Value>>>()?.unwrap_or_default();
                    meta = Meta::read(stated).map_err(|problem| refuse(self.problem, problem))?;
                }
                "projects" if has_projects => return Err(refuse(self.problem, PageError::TwoLists)),
                "projects" => {
                    has_projects = true;
                    map.next_value_seed(Projects { output: self.output, spent: self.spent, problem: self.problem })?;
                }
                _ => {
                    let value: Value = map.next_value()?;
                    if !texts_are_short(&value) {
                        return Err(refuse(self.problem, PageError::TooLong("top level")));
                    }
                    extra.insert(key, value);
                }
            }
        }
        if has_projects { Ok((meta, extra)) } else { Err(A::Error::missing_field("projects")) }
    }
}

struct Projects<'a, J: Write, H: Write> {
    output: &'a mut ListTranscoder<J, H>,
    spent: &'a Cell<usize>,
    problem: &'a mut Option<PageError>,
}

impl<'de, J: Write, H: Write> DeserializeSeed<'de> for Projects<'_, J, H> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, J: Write, H: Write> Visitor<'de> for Projects<'_, J, H> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the projects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut projects: A) -> Result<(), A::Error> {
        let mut project = Project::default();
        while projects.next_element_seed(&mut project)?.is_some() {
            let name = project.has_name.then_some(project.name.as_str());
            self.output.project(name, &project.extra).map_err(|problem| refuse(self.problem, problem))?;
            self.spent.set(0);
        }
        Ok(())
    }
}

/// One entry; its buffers serve all entries in turn.
#[derive(Default)]
struct Project {
    has_name: bool,
    name: String,
    extra: Map<String, Value>,
}

impl<'de> DeserializeSeed<'de> for &mut Project {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Project {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a project")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.has_name = false;
        self.extra.clear();
        let read_key = |key: &str| if key == "name" { None } else { Some(key.to_owned()) };
        while let Some(key) = map.next_key_seed(Loose(read_key))?.flatten() {
            if let Some(key) = key {
                self.extra.insert(key, map.next_value()?);
                continue;
            }
            self.name.clear();
            self.has_name = map.next_value_seed(Loose(|name: &str| self.name.push_str(name)))?.is_some();
        }
        Ok(())
    }
}
