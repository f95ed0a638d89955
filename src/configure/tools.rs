use super::splice::{Draft, Splice, Step};
use super::tables::{self, add_line, count, get, quoted, set_element, steps};
use super::{ENTRY_NAME, EditError, Place, Wish, ini, json};
use std::fmt;

/// The tools whose configuration is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    Uv,
    Pip,
    Poetry,
    Pdm,
    Twine,
    Devpi,
    /// Installs with pip, so it has no configuration of its own.
    PreCommit,
}

impl Tool {
    pub const ALL: [Self; 7] =
        [Self::Uv, Self::Pip, Self::Poetry, Self::Pdm, Self::Twine, Self::Devpi, Self::PreCommit];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Uv => "uv",
            Self::Pip => "pip",
            Self::Poetry => "poetry",
            Self::Pdm => "pdm",
            Self::Twine => "twine",
            Self::Devpi => "devpi",
            Self::PreCommit => "pre-commit",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text after the edit, and what leads back. `pyproject` says that the text is a `pyproject.toml`.
pub fn edit(
    tool: Tool,
    place: Place,
    pyproject: bool,
    text: &str,
    wish: &Wish,
) -> Result<(String, Vec<Splice>), EditError> {
    let mut draft = Draft::new(text);
    match tool {
        Tool::Uv => uv(&mut draft, if pyproject { &["tool", "uv"] } else { &[] }, wish)?,
        Tool::Pip | Tool::PreCommit => {
            ini::check(text)?;
            pip(&mut draft, wish);
        }
        Tool::Poetry if place == Place::Project => poetry(&mut draft, wish)?,
        Tool::Poetry => {
            needs_stage(wish)?;
            tables::check(text)?;
            tables::set(&mut draft, &steps(&["repositories", ENTRY_NAME]), "url", &wish.upload())?;
        }
        Tool::Pdm if place == Place::Project => pdm_project(&mut draft, wish)?,
        Tool::Pdm => {
            tables::check(text)?;
            tables::set(&mut draft, &steps(&["pypi"]), "url", &wish.simple())?;
        }
        Tool::Twine => twine(&mut draft, wish)?,
        Tool::Devpi => devpi(&mut draft, wish)?,
    }
    Ok((draft.text, draft.splices))
}

/// The default index: an entry that is marked so, ours, one that means this index elsewhere, or the setting of old.
fn uv(draft: &mut Draft, prefix: &[&str], wish: &Wish) -> Result<(), EditError> {
    tables::check(&draft.text)?;
    let under = |more: &[&str]| steps(&[prefix, more].concat());
    let list = under(&["index"]);
    let of = |text: &str, place: usize, key: &str| {
        get(text, &[&list[..], &[Step::Place(place), Step::Name(key.to_owned())]].concat())
    };
    let places = 0..count(&draft.text, &list);
    let marked = places.clone().find(|place| of(&draft.text, *place, "default").as_deref() == Some("true"));
    let chosen = marked.or_else(|| chosen(&draft.text, &list, wish));
    let of_old = under(&["index-url"]);
    if chosen.is_none() && get(&draft.text, &of_old).is_some() {
        tables::set(draft, &under(&[]), "index-url", &wish.simple())?;
    } else {
        let lines = [("name", quoted(ENTRY_NAME)), ("url", quoted(&wish.simple())), ("default", "true".to_owned())];
        set_element(draft, &list, wish, chosen, ENTRY_NAME, &lines)?;
        if let (None, Some(place)) = (marked, chosen) {
            let path = [&list[..], &[Step::Place(place), Step::Name("url".to_owned())]].concat();
            add_line(draft, &path, "default", "true")?;
        }
    }
    // What `uv pip` alone is told wins over the rest.
    if get(&draft.text, &under(&["pip", "index-url"])).is_some() {
        tables::set(draft, &under(&["pip"]), "index-url", &wish.simple())?;
    }
    Ok(())
}

/// The entry of a list that is ours, or means this index on another server.
fn chosen(text: &str, list: &[Step], wish: &Wish) -> Option<usize> {
    let of = |place: usize, key: &str| {
        get(text, &[list, &[Step::Place(place), Step::Name(key.to_owned())]].concat()).unwrap_or_default()
    };
    let mut places = 0..count(text, list);
    places
        .clone()
        .find(|place| of(*place, "name") == ENTRY_NAME)
        .or_else(|| places.find(|place| wish.same_index(&of(*place, "url"))))
}

fn pip(draft: &mut Draft, wish: &Wish) {
    ini::set(draft, "global", "index-url", &wish.simple());
    // What stands for one command wins over [global].
    for section in ["install", "download", "wheel"] {
        if ini::get(&draft.text, section, "index-url").is_some() {
            ini::set(draft, section, "index-url", &wish.simple());
        }
    }
}

fn poetry(draft: &mut Draft, wish: &Wish) -> Result<(), EditError> {
    tables::check(&draft.text)?;
    let list = steps(&["tool", "poetry", "source"]);
    let chosen = chosen(&draft.text, &list, wish);
    let lines = [("name", quoted(ENTRY_NAME)), ("url", quoted(&wish.simple())), ("priority", quoted("primary"))];
    set_element(draft, &list, wish, chosen, ENTRY_NAME, &lines)
}

/// pdm knows PyPI as the source of that name: who takes the name takes its place.
fn pdm_project(draft: &mut Draft, wish: &Wish) -> Result<(), EditError> {
    const PLACE_OF_PYPI: &str = "pypi";
    tables::check(&draft.text)?;
    let list = steps(&["tool", "pdm", "source"]);
    let named = |text: &str, place: usize| {
        get(text, &[&list[..], &[Step::Place(place), Step::Name("name".to_owned())]].concat())
    };
    let chosen = (0..count(&draft.text, &list))
        .find(|place| named(&draft.text, *place).as_deref() == Some(PLACE_OF_PYPI))
        .or_else(|| chosen(&draft.text, &list, wish));
    let lines = [("name", quoted(PLACE_OF_PYPI)), ("url", quoted(&wish.simple())), ("verify_ssl", "true".to_owned())];
    set_element(draft, &list, wish, chosen, PLACE_OF_PYPI, &lines)
}

/// The repository `sidewheel`, for `twine upload -r sidewheel`. A password is never written.
fn twine(draft: &mut Draft, wish: &Wish) -> Result<(), EditError> {
    needs_stage(wish)?;
    ini::check(&draft.text)?;
    let known = ini::get(&draft.text, "distutils", "index-servers");
    // Without the list twine knows these two.
    let mut names: Vec<&str> = known.unwrap_or("pypi testpypi").split_whitespace().collect();
    if !names.contains(&ENTRY_NAME) {
        names.push(ENTRY_NAME);
        let end = draft.line_end();
        let list: String = names.iter().map(|name| format!("{end}    {name}")).collect();
        ini::set(draft, "distutils", "index-servers", &list);
    }
    ini::set(draft, ENTRY_NAME, "repository", &wish.upload());
    let username = wish.username.clone().unwrap_or_else(|| wish.index.user().to_owned());
    if wish.username.is_some() || ini::get(&draft.text, ENTRY_NAME, "username").is_none() {
        ini::set(draft, ENTRY_NAME, "username", &username);
    }
    Ok(())
}

/// What `devpi use` notes about an index.
fn devpi(draft: &mut Draft, wish: &Wish) -> Result<(), EditError> {
    let index = format!("{}/{}", wish.base, wish.index);
    let mut pairs = vec![("index", index)];
    pairs.push(("login", format!("{}/+login", wish.base)));
    if wish.stage {
        pairs.push(("pypisubmit", wish.upload()));
    }
    pairs.push(("simpleindex", wish.simple()));
    json::set(draft, &pairs)
}

fn needs_stage(wish: &Wish) -> Result<(), EditError> {
    match wish.stage {
        true => Ok(()),
        false => Err(EditError::NotHere(format!(
            "{} is a mirror and takes no uploads; name a private index with --index USER/INDEX",
            wish.index
        ))),
    }
}
