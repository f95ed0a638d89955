//! What a tool is told already: the URLs in its files, and what each is for.

use super::{Tool, ini, json};
use toml::{Table, Value};

/// One setting that names a place to install from or publish to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub setting: String,
    /// A URL, or for `Trusted` a host.
    pub value: String,
    pub role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Where everything comes from.
    Index,
    /// Asked besides: who offers the higher version wins, whoever it is.
    Extra,
    Publish,
    /// A host whose certificate is not looked at.
    Trusted,
}

/// What a file tells; nothing where it cannot be read.
pub fn told(tool: Tool, pyproject: bool, text: &str) -> Vec<Told> {
    let table = || toml::from_str::<Table>(text).map(Value::Table).ok();
    match tool {
        Tool::Pip | Tool::PreCommit => pip(text),
        Tool::Uv => {
            let table = table();
            let told =
                if pyproject { table.as_ref().and_then(|table| table.get("tool")?.get("uv")) } else { table.as_ref() };
            told.map(uv).unwrap_or_default()
        }
        Tool::Poetry | Tool::Pdm if pyproject => {
            let table = table();
            let list = table.as_ref().and_then(|table| table.get("tool")?.get(tool.name())?.get("source")?.as_array());
            list.into_iter().flatten().filter_map(|source| self::source(tool, source)).collect()
        }
        Tool::Pdm => {
            let table = table();
            let url = table.as_ref().and_then(|table| table.get("pypi")?.get("url")?.as_str());
            url.map(|url| setting("pypi.url", url, Role::Index)).into_iter().collect()
        }
        Tool::Poetry => {
            let table = table();
            let all = table.as_ref().and_then(|table| table.get("repositories")?.as_table());
            let named = |(name, entry): (&String, &Value)| {
                Some(setting(&format!("repositories.{name}.url"), entry.get("url")?.as_str()?, Role::Publish))
            };
            all.into_iter().flatten().filter_map(named).collect()
        }
        Tool::Twine => {
            let names = ini::get(text, "distutils", "index-servers").unwrap_or_default().split_whitespace();
            let url = |name| {
                Some(setting(&format!("[{name}] repository"), ini::get(text, name, "repository")?, Role::Publish))
            };
            names.filter_map(url).collect()
        }
        Tool::Devpi => json::get(text, "index").map(|url| setting("index", &url, Role::Index)).into_iter().collect(),
    }
}

/// What the environment tells, by variables that win over files.
pub fn told_by_env(name: &str, value: &str) -> Option<(Tool, Vec<Told>)> {
    let (tool, role) = match name {
        "UV_DEFAULT_INDEX" | "UV_INDEX_URL" => (Tool::Uv, Role::Index),
        "UV_INDEX" | "UV_EXTRA_INDEX_URL" => (Tool::Uv, Role::Extra),
        "UV_INSECURE_HOST" => (Tool::Uv, Role::Trusted),
        "UV_PUBLISH_URL" => (Tool::Uv, Role::Publish),
        "PIP_INDEX_URL" => (Tool::Pip, Role::Index),
        "PIP_EXTRA_INDEX_URL" => (Tool::Pip, Role::Extra),
        "PIP_TRUSTED_HOST" => (Tool::Pip, Role::Trusted),
        "PDM_PYPI_URL" => (Tool::Pdm, Role::Index),
        "TWINE_REPOSITORY_URL" => (Tool::Twine, Role::Publish),
        "DEVPI_INDEX" => (Tool::Devpi, Role::Index),
        _ => return None,
    };
    // uv takes `name=url`.
    let url = |word: &str| match word.split_once('=') {
        Some((name, url)) if tool == Tool::Uv && !name.contains(':') => url.to_owned(),
        _ => word.to_owned(),
    };
    Some((tool, value.split_whitespace().map(|word| setting(name, &url(word), role)).collect()))
}

fn pip(text: &str) -> Vec<Told> {
    let mut all = Vec::new();
    for section in ["global", "install", "download", "wheel"] {
        for (key, role) in
            [("index-url", Role::Index), ("extra-index-url", Role::Extra), ("trusted-host", Role::Trusted)]
        {
            let values = ini::get(text, section, key).unwrap_or_default().split_whitespace();
            all.extend(values.map(|value| setting(&format!("[{section}] {key}"), value, role)));
        }
    }
    all
}

fn uv(table: &Value) -> Vec<Told> {
    let mut all = Vec::new();
    let texts = |value: Option<&Value>| -> Vec<String> {
        match value {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(list)) => list.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect(),
            _ => Vec::new(),
        }
    };
    for (under, prefix) in [(Some(table), ""), (table.get("pip"), "pip.")] {
        for (key, role) in
            [("index-url", Role::Index), ("extra-index-url", Role::Extra), ("allow-insecure-host", Role::Trusted)]
        {
            let values = texts(under.and_then(|table| table.get(key)));
            all.extend(values.iter().map(|value| setting(&format!("{prefix}{key}"), value, role)));
        }
    }
    for entry in table.get("index").and_then(Value::as_array).into_iter().flatten() {
        let is = |key: &str| entry.get(key).and_then(Value::as_bool) == Some(true);
        if let Some(url) = entry.get("url").and_then(Value::as_str).filter(|_| !is("explicit")) {
            all.push(setting("[[index]] url", url, if is("default") { Role::Index } else { Role::Extra }));
        }
    }
    all
}

fn source(tool: Tool, source: &Value) -> Option<Told> {
    let text = |key: &str| source.get(key).and_then(Value::as_str);
    let role = match (tool, text("priority"), text("name")) {
        (Tool::Poetry, Some("explicit"), _) => return None,
        (Tool::Poetry, Some("supplemental" | "secondary"), _) => Role::Extra,
        (Tool::Poetry, ..) | (_, _, Some("pypi")) => Role::Index,
        _ => Role::Extra,
    };
    Some(setting(&format!("[[tool.{tool}.source]] url"), text("url")?, role))
}

fn setting(setting: &str, value: &str, role: Role) -> Told {
    Told { setting: setting.to_owned(), value: value.to_owned(), role }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_tools_are_told() {
        let found = |tool, pyproject, text: &str| -> Vec<(String, Role)> {
            told(tool, pyproject, text).into_iter().map(|told| (told.value, told.role)).collect()
        };
        let (index, extra) = (("a".to_owned(), Role::Index), ("b".to_owned(), Role::Extra));
        for (tool, pyproject, text) in [
            (Tool::Pip, false, "[global]\nindex-url = a\n[install]\nextra-index-url =\n    b\n"),
            (
                Tool::Uv,
                false,
                "[[index]]\nurl = 'a'\ndefault = true\n[[index]]\nurl='b'\n[[index]]\nurl='c'\nexplicit=true",
            ),
            (Tool::Uv, true, "[tool.uv]\nindex-url = 'a'\nextra-index-url = ['b']\n"),
            (
                Tool::Poetry,
                true,
                "[[tool.poetry.source]]\nurl='a'\n[[tool.poetry.source]]\nurl='b'\npriority='supplemental'",
            ),
            (Tool::Pdm, true, "[[tool.pdm.source]]\nname='pypi'\nurl='a'\n[[tool.pdm.source]]\nname='x'\nurl='b'"),
        ] {
            assert_eq!(found(tool, pyproject, text), [index.clone(), extra.clone()], "{text}");
        }
        assert_eq!(found(Tool::Pdm, false, "[pypi]\nurl = 'a'"), vec![index.clone()]);
        assert_eq!(found(Tool::Devpi, false, "{\"index\": \"a\"}"), [index]);
        let publish = ("a".to_owned(), Role::Publish);
        let pypirc = "[distutils]\nindex-servers = x y\n[x]\nrepository: a\n[z]\nrepository = b\n";
        assert_eq!(found(Tool::Twine, false, pypirc), vec![publish.clone()]);
        assert_eq!(found(Tool::Poetry, false, "[repositories.x]\nurl = 'a'"), [publish]);
        for tool in Tool::ALL {
            assert_eq!(found(tool, true, "= broken ["), []);
        }
        let by_env = |name, value| told_by_env(name, value).map(|(tool, told)| (tool, told[0].value.clone()));
        assert_eq!(
            by_env("UV_INDEX", "corp=https://a.example/?x=1"),
            Some((Tool::Uv, "https://a.example/?x=1".into()))
        );
        assert_eq!(
            by_env("PIP_INDEX_URL", "https://a.example/?x=1"),
            Some((Tool::Pip, "https://a.example/?x=1".into()))
        );
        assert_eq!(by_env("PATH", "x"), None);
    }
}
