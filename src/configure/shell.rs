use super::Wish;

/// For whom lines of the environment are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    Sh,
    Fish,
    Powershell,
    /// Lines for the file that `$GITHUB_ENV` names.
    Github,
    Dotenv,
}

impl Shell {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "sh" | "bash" | "zsh" | "dash" | "ksh" => Self::Sh,
            "fish" => Self::Fish,
            "powershell" | "pwsh" => Self::Powershell,
            "github" => Self::Github,
            "dotenv" => Self::Dotenv,
            _ => return None,
        })
    }

    /// The line that sets a variable. A value is a URL or a user's name: quoted all the same.
    pub fn set(self, name: &str, value: &str) -> String {
        match self {
            Self::Sh => format!("export {name}='{}'", value.replace('\'', r"'\''")),
            Self::Fish => format!("set -gx {name} '{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
            Self::Powershell => format!("$env:{name} = '{}'", value.replace('\'', "''")),
            Self::Github => format!("{name}={value}"),
            Self::Dotenv => format!("{name}=\"{}\"", value.replace('\\', r"\\").replace('"', "\\\"")),
        }
    }

    /// The line that takes it back; a file of variables has none.
    pub fn unset(self, name: &str) -> String {
        match self {
            Self::Sh => format!("unset {name}"),
            Self::Fish => format!("set -e {name}"),
            Self::Powershell => format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue"),
            Self::Github => format!("{name}="),
            Self::Dotenv => format!("# {name}"),
        }
    }
}

/// The variables by which tools are pointed at an index.
pub fn variables(wish: &Wish) -> Vec<(&'static str, String)> {
    let simple = wish.simple();
    let mut variables = vec![
        ("UV_DEFAULT_INDEX", simple.clone()),
        ("PIP_INDEX_URL", simple.clone()),
        ("PDM_PYPI_URL", simple),
        ("DEVPI_INDEX", format!("{}/{}", wish.base, wish.index)),
    ];
    if wish.stage {
        variables.push(("UV_PUBLISH_URL", wish.upload()));
        variables.push(("TWINE_REPOSITORY_URL", wish.upload()));
    }
    variables
}
