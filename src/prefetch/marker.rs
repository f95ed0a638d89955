use pep440_rs::{Version, VersionSpecifier};
use std::str::FromStr;

/// Where a requirement holds (the environment markers of PEP 508).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    All(Vec<Marker>),
    Any(Vec<Marker>),
    Compares { left: Value, operator: Operator, right: Value },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Variable(Variable),
    Text(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    PythonVersion,
    PythonFullVersion,
    ImplementationVersion,
    OsName,
    SysPlatform,
    PlatformMachine,
    PlatformSystem,
    PlatformRelease,
    PlatformVersion,
    PythonImplementation,
    ImplementationName,
    /// Nobody asks for extras here.
    Extra,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `==`, `>=`, `~=` and their like, as written.
    Compare(&'static str),
    In,
    NotIn,
}

/// What variables stand for in one place.
#[derive(Debug, Clone)]
pub struct Environment {
    pub python: String,
    pub python_full: String,
    pub os_name: &'static str,
    pub sys_platform: &'static str,
    pub system: &'static str,
    pub machine: String,
}

/// Longest marker that is read, in bytes: far above those of lockfiles with many forks.
const BYTES_MAX: usize = 16 * 1024;

/// Deepest nesting of parentheses: reading a marker goes deeper with each.
const DEPTH_MAX: usize = 32;

/// Longest first, so that `>=` is not read as `>`.
const COMPARISONS: [&str; 8] = ["===", "==", "!=", "<=", ">=", "~=", "<", ">"];

const VARIABLES: [(&str, Variable); 18] = [
    ("python_full_version", Variable::PythonFullVersion),
    ("python_version", Variable::PythonVersion),
    ("implementation_version", Variable::ImplementationVersion),
    ("implementation_name", Variable::ImplementationName),
    ("os_name", Variable::OsName),
    ("os.name", Variable::OsName),
    ("sys_platform", Variable::SysPlatform),
    ("sys.platform", Variable::SysPlatform),
    ("platform_machine", Variable::PlatformMachine),
    ("platform.machine", Variable::PlatformMachine),
    ("platform_system", Variable::PlatformSystem),
    ("platform_release", Variable::PlatformRelease),
    ("platform_version", Variable::PlatformVersion),
    ("platform.version", Variable::PlatformVersion),
    ("platform_python_implementation", Variable::PythonImplementation),
    ("platform.python_implementation", Variable::PythonImplementation),
    ("python_implementation", Variable::PythonImplementation),
    ("extra", Variable::Extra),
];

impl Marker {
    /// Reads a marker; none when it cannot be read.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > BYTES_MAX {
            return None;
        }
        let mut reader = Reader { rest: text };
        let marker = reader.any(0)?;
        reader.rest.trim_start().is_empty().then_some(marker)
    }

    pub fn holds(&self, environment: &Environment) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(environment)),
            Self::Any(any) => any.iter().any(|one| one.holds(environment)),
            Self::Compares { left, operator, right } => compares(left, *operator, right, environment),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn any(&mut self, depth: usize) -> Option<Marker> {
        let mut parts = vec![self.all(depth)?];
        while self.word("or") {
            parts.push(self.all(depth)?);
        }
        if parts.len() > 1 { Some(Marker::Any(parts)) } else { parts.pop() }
    }

    fn all(&mut self, depth: usize) -> Option<Marker> {
        let mut parts = vec![self.one(depth)?];
        while self.word("and") {
            parts.push(self.one(depth)?);
        }
        if parts.len() > 1 { Some(Marker::All(parts)) } else { parts.pop() }
    }

    fn one(&mut self, depth: usize) -> Option<Marker> {
        if self.sign("(") {
            let inner = if depth < DEPTH_MAX { self.any(depth + 1)? } else { return None };
            return self.sign(")").then_some(inner);
        }
        let left = self.value()?;
        let operator = self.operator()?;
        Some(Marker::Compares { left, operator, right: self.value()? })
    }

    fn operator(&mut self) -> Option<Operator> {
        if let Some(sign) = COMPARISONS.into_iter().find(|sign| self.sign(sign)) {
            return Some(Operator::Compare(sign));
        }
        match (self.word("in"), self.word("not")) {
            (true, false) => Some(Operator::In),
            (false, true) => self.word("in").then_some(Operator::NotIn),
            _ => None,
        }
    }

    fn value(&mut self) -> Option<Value> {
        self.rest = self.rest.trim_start();
        let quote = self.rest.chars().next()?;
        if matches!(quote, '\'' | '"') {
            let (text, rest) = self.rest.get(1..)?.split_once(quote)?;
            self.rest = rest;
            return Some(Value::Text(text.to_owned()));
        }
        let (_, variable) = VARIABLES.into_iter().find(|(name, _)| self.word(name))?;
        Some(Value::Variable(variable))
    }

    fn sign(&mut self, sign: &str) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A word, not the beginning of a longer one.
    fn word(&mut self, word: &str) -> bool {
        let is_longer = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.'));
        match self.rest.trim_start().strip_prefix(word).filter(|rest| !is_longer(rest)) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

fn compares(left: &Value, operator: Operator, right: &Value, environment: &Environment) -> bool {
    let sign = match operator {
        Operator::In => return environment.text(right).contains(environment.text(left)),
        Operator::NotIn => return !environment.text(right).contains(environment.text(left)),
        Operator::Compare(sign) => sign,
    };
    let by_version = |found: &str, sign: &str, wanted: &str| {
        let specifier = VersionSpecifier::from_str(&format!("{sign}{wanted}")).ok()?;
        Some(specifier.contains(&Version::from_str(found).ok()?))
    };
    let versions = match (left, right) {
        (Value::Variable(variable), Value::Text(wanted)) if variable.is_version() => {
            by_version(environment.of(*variable), sign, wanted)
        }
        (Value::Text(wanted), Value::Variable(variable)) if variable.is_version() => {
            by_version(environment.of(*variable), turned(sign), wanted)
        }
        _ => None,
    };
    let (left, right) = (environment.text(left), environment.text(right));
    versions.unwrap_or(match sign {
        "==" | "===" => left == right,
        "!=" => left != right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        ">=" => left >= right,
        _ => false,
    })
}

/// The comparison with its sides changed.
fn turned(sign: &'static str) -> &'static str {
    match sign {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}

impl Variable {
    fn is_version(self) -> bool {
        matches!(self, Self::PythonVersion | Self::PythonFullVersion | Self::ImplementationVersion)
    }
}

impl Environment {
    fn text<'a>(&'a self, value: &'a Value) -> &'a str {
        match value {
            Value::Variable(variable) => self.of(*variable),
            Value::Text(text) => text,
        }
    }

    fn of(&self, variable: Variable) -> &str {
        match variable {
            Variable::PythonVersion => &self.python,
            Variable::PythonFullVersion | Variable::ImplementationVersion => &self.python_full,
            Variable::OsName => self.os_name,
            Variable::SysPlatform => self.sys_platform,
            Variable::PlatformMachine => &self.machine,
            Variable::PlatformSystem => self.system,
            Variable::PythonImplementation => "CPython",
            Variable::ImplementationName => "cpython",
            Variable::PlatformRelease | Variable::PlatformVersion | Variable::Extra => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux() -> Environment {
        Environment {
            python: "3.12".to_owned(),
            python_full: "3.12.99".to_owned(),
            os_name: "posix",
            sys_platform: "linux",
            system: "Linux",
            machine: "x86_64".to_owned(),
        }
    }

    #[test]
    fn markers_hold_where_pip_says_so() {
        for (text, holds) in [
            ("python_version >= '3.9'", Some(true)),
            ("python_version<\"3.9\"", Some(false)),
            ("'3.9' <= python_version", Some(true)),
            ("python_version == '3.*'", Some(true)),
            ("python_version ~= '3.8'", Some(true)),
            ("python_full_version < '99'", Some(true)),
            ("python_version in '2.7 3.12'", Some(true)),
            ("python_version not  in '2.7 3.11'", Some(true)),
            ("sys_platform == 'win32' or os_name == 'posix' and platform_machine == 'arm64'", Some(false)),
            ("(sys_platform == 'win32' or os_name == 'posix') and platform_machine != 'arm64'", Some(true)),
            ("'linux' in sys_platform", Some(true)),
            ("platform_system == 'Linux' and implementation_name == 'cpython'", Some(true)),
            ("platform_python_implementation != 'PyPy'", Some(true)),
            ("sys.platform == 'linux'", Some(true)),
            ("extra == 'fast'", Some(false)),
            ("python_version >= '3.9' or extra == 'fast'", Some(true)),
            ("python_version", None),
            ("python_version >= 3.9", None),
            ("(python_version >= '3.9'", None),
            ("python_version >= '3.9' and", None),
            ("python_versions >= '3.9'", None),
            ("'dev' in dependency_groups", None),
            ("", None),
        ] {
            assert_eq!(Marker::parse(text).map(|marker| marker.holds(&linux())), holds, "{text}");
        }
        let nested = |depth| format!("{}os_name == 'posix'{}", "(".repeat(depth), ")".repeat(depth));
        assert!(Marker::parse(&nested(DEPTH_MAX)).is_some_and(|marker| marker.holds(&linux())));
        assert_eq!(Marker::parse(&nested(DEPTH_MAX + 1)), None);
    }
}
