use super::index::segment;
use super::parts::{Pager, badge, count, index_link, time, to_index};
use super::releases::{meant, releases};
use super::{Asked, Page};
use crate::http::{Query, index_path};
use crate::index::{IndexError, ToxResult};
use crate::names::{IndexName, ProjectName};
use maud::{Markup, html};
use serde_json::{Map, Value};

/// Results on one page.
const RESULTS_PER_PAGE: usize = 10;

/// Environments of a result and commands of an environment that are shown.
const ENVIRONMENTS_MAX: usize = 60;
const COMMANDS_MAX: usize = 40;

/// Most of one command's output that is shown, in bytes: its end, where the failures are.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// Most output on one page, in bytes.
const OUTPUTS_BYTES_MAX: usize = 200 * 1024;

/// Most of any other text of a result that is shown, in characters.
const TEXT_CHARS_MAX: usize = 300;

/// `/{user}/{index}/{project}/{version}/+toxresults`: what tests said of the files of a version.
pub async fn toxresults(
    asked: &Asked<'_>,
    index: &IndexName,
    name: &ProjectName,
    version: &str,
    query: &Query,
) -> Result<Page, IndexError> {
    let entry = asked.index.readable(&asked.viewer.subject, index)?;
    let seen = asked.index.seen(&entry, name).await?;
    let releases = releases(asked, &seen, name).await?;
    let Some(release) = meant(&releases, version) else {
        return Err(IndexError::NotThere(format!("The version {version} of project {name} does not exist.")));
    };
    let mut results = Vec::new();
    for staged in release.stages.iter().filter(|staged| !staged.is_mirror) {
        let found = asked.index.tox_results(staged.index, name, &staged.version).await?;
        results.extend(found.into_iter().map(|result| (staged.index, result)));
    }
    let path = format!("{}/{name}/{}", index_path(index), segment(&release.version));
    let pager = Pager::new(query.field("page").as_deref(), results.len(), RESULTS_PER_PAGE);
    let mut room = OUTPUTS_BYTES_MAX;
    let mut shown = Vec::new();
    for (stage, result) in results.get(pager.range()).unwrap_or_default() {
        let said = match asked.index.read_tox(result).await {
            Ok(Some(bytes)) => Said::read(&bytes, &mut room),
            Ok(None) => Said::Not("It is too large to be shown here."),
            Err(IndexError::Damaged(_)) => Said::Not("The stored file is damaged; the server's log says more."),
            Err(why) => return Err(why),
        };
        shown.push(one(asked, stage, result, &said));
    }
    let body = html! {
        h1 { "Test results of " (name) " " (release.version) }
        @if results.is_empty() {
            p { "Nobody has posted results for this version. They come from " code { "devpi test" } "." }
        }
        @for result in &shown { (result) }
        (pager.links(&format!("{path}/+toxresults"), ""))
    };
    let mut above = to_index(index);
    above.push((name.to_string(), format!("{}/{name}", index_path(index))));
    above.push((release.version.clone(), path));
    Ok(Page::new(format!("Test results of {name} {}", release.version), body).below(above))
}

/// What a posted result says.
enum Said {
    Environments {
        facts: Vec<(&'static str, String)>,
        environments: Vec<Environment>,
        more: usize,
    },
    /// Why nothing is told.
    Not(&'static str),
}

struct Environment {
    name: String,
    python: String,
    /// None where it ran nothing.
    passed: Option<bool>,
    /// Seconds, where the result tells them.
    seconds: Option<f64>,
    commands: Vec<Command>,
    more: usize,
}

struct Command {
    /// Of the test itself, not of what was set up for it.
    is_test: bool,
    line: String,
    code: Option<i64>,
    /// None where the page is full.
    output: Option<String>,
    cut: bool,
}

impl Said {
    /// `room`: bytes of output that the page still takes.
    fn read(bytes: &[u8], room: &mut usize) -> Self {
        let Ok(Value::Object(result)) = serde_json::from_slice::<Value>(bytes) else {
            return Self::Not("It is no JSON object, so nothing can be told of it.");
        };
        let Some(environments) = result.get("testenvs").and_then(Value::as_object) else {
            return Self::Not("It names no test environments.");
        };
        let facts = [("Platform", "platform"), ("Host", "host"), ("tox", "toxversion")];
        let facts = facts.into_iter().map(|(label, key)| (label, text(&result, key)));
        Self::Environments {
            facts: facts.filter(|(_, text)| !text.is_empty()).collect(),
            environments: environments
                .iter()
                .take(ENVIRONMENTS_MAX)
                .map(|(name, said)| Environment::read(name, said, room))
                .collect(),
            more: environments.len().saturating_sub(ENVIRONMENTS_MAX),
        }
    }
}

impl Environment {
    fn read(name: &str, said: &Value, room: &mut usize) -> Self {
        let commands = |key: &str| said.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let (setup, test) = (commands("setup"), commands("test"));
        // What failed is to be seen even if the page is full.
        let all: Vec<_> =
            test.iter().map(|command| (true, command)).chain(setup.iter().map(|it| (false, it))).collect();
        let codes: Vec<_> = all.iter().map(|(_, command)| code_of(command)).collect();
        let told = said.get("result").and_then(|result| result.get("success")).and_then(Value::as_bool);
        let by_codes = (!codes.is_empty()).then(|| codes.iter().all(|code| *code == Some(0)));
        let python = said.get("python").and_then(Value::as_object);
        let python = python.map(|python| {
            let version = text(python, "version");
            let short = version.split_whitespace().next().unwrap_or_default();
            // PyPy says the version of the language first.
            let is_number = short.starts_with(|char: char| char.is_ascii_digit());
            if is_number { short.to_owned() } else { version }
        });
        let duration = |value: &Value| value.get("duration").and_then(Value::as_f64);
        let seconds = said.get("result").and_then(duration).or_else(|| {
            let spans: Vec<f64> = all.iter().filter_map(|(_, command)| duration(command)).collect();
            (!spans.is_empty()).then(|| spans.iter().sum())
        });
        Self {
            name: short(name),
            python: python.unwrap_or_default(),
            passed: told.or(by_codes),
            seconds: seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0),
            more: all.len().saturating_sub(COMMANDS_MAX),
            commands: all
                .into_iter()
                .take(COMMANDS_MAX)
                .map(|(is_test, command)| Command::read(is_test, command, room))
                .collect(),
        }
    }
}

impl Command {
    fn read(is_test: bool, said: &Value, room: &mut usize) -> Self {
        let words = |value: &Value| match value {
            Value::String(line) => line.clone(),
            Value::Array(words) => words.iter().take(100).filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
            _ => String::new(),
        };
        let output = match said.get("output") {
            Some(Value::String(output)) => output.trim_end(),
            _ => "",
        };
        let bytes_max = OUTPUT_BYTES_MAX.min(*room);
        let end = output.get(output.ceil_char_boundary(output.len().saturating_sub(bytes_max))..).unwrap_or_default();
        let has_room = output.is_empty() || !end.is_empty();
        *room -= end.len();
        Self {
            is_test,
            line: short(&said.get("command").map(words).unwrap_or_default()),
            code: code_of(said),
            cut: end.len() < output.len(),
            output: has_room.then(|| without_colours(end)),
        }
    }
}

fn code_of(command: &Value) -> Option<i64> {
    let code = command.get("retcode")?;
    code.as_i64().or_else(|| code.as_str()?.trim().parse().ok())
}

fn text(object: &Map<String, Value>, key: &str) -> String {
    short(object.get(key).and_then(Value::as_str).unwrap_or_default())
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Without what terminals take for colours.
fn without_colours(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            chars.by_ref().find(|char| ('@'..='~').contains(char));
        } else if !char.is_control() || matches!(char, '\n' | '\t') {
            out.push(char);
        }
    }
    out
}

fn one(asked: &Asked<'_>, stage: &IndexName, result: &ToxResult, said: &Said) -> Markup {
    html! {
        section {
            h2 { (result.tested) }
            p .soft {
                "Posted " (time(asked, result.posted)) " to " (index_link(stage)) " · "
                a href=(result.path) { "the whole result" }
            }
            @match said {
                Said::Not(why) => div .notice.warn { p { (why) } },
                Said::Environments { facts, environments, more } => {
                    @if !facts.is_empty() {
                        dl .facts { @for (label, text) in facts { dt { (label) } dd { (text) } } }
                    }
                    @if environments.is_empty() { p .soft { "It names no test environments." } }
                    @for environment in environments { (environment_of(environment)) }
                    @if *more > 0 { p .soft { "And " (count(*more, "environment")) " more in the whole result." } }
                }
            }
        }
    }
}

fn environment_of(environment: &Environment) -> Markup {
    html! {
        h3 {
            (environment.name) " "
            @match environment.passed {
                Some(true) => (badge("good", "passed")),
                Some(false) => (badge("bad", "failed")),
                None => (badge("quiet", "nothing run")),
            }
        }
        p .soft {
            @if !environment.python.is_empty() { "Python " (environment.python) }
            @if let Some(seconds) = environment.seconds { " · " (format!("{seconds:.1} s")) }
        }
        @for command in &environment.commands { (command_of(command)) }
        @if environment.more > 0 { p .soft { "And " (count(environment.more, "command")) " more in the whole result." } }
    }
}

fn command_of(command: &Command) -> Markup {
    let (kind, said) = match command.code {
        Some(0) => ("good", "exit 0".to_owned()),
        Some(code) => ("bad", format!("exit {code}")),
        None => ("quiet", "no code".to_owned()),
    };
    html! {
        details open[command.is_test && command.code != Some(0)] {
            summary {
                @if !command.is_test { span .soft { "setup: " } }
                code { @if command.line.is_empty() { "a command" } @else { (command.line) } }
                " " (badge(kind, &said))
            }
            @match &command.output {
                None => p .soft { "The page is full; the whole result has its output." },
                Some(output) if output.is_empty() => p .soft { "It wrote nothing." },
                Some(output) => {
                    @if command.cut { p .soft { "The end of its output:" } }
                    pre tabindex="0" { (output) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn environments(result: &Value) -> Vec<Environment> {
        let mut room = OUTPUTS_BYTES_MAX;
        match Said::read(result.to_string().as_bytes(), &mut room) {
            Said::Environments { environments, .. } => environments,
            Said::Not(why) => panic!("{why}"),
        }
    }

    #[test]
    fn an_environment_passed_when_all_it_ran_did() {
        let ran = |codes: &[Value]| {
            let commands: Vec<_> = codes.iter().map(|code| json!({ "command": ["pytest"], "retcode": code })).collect();
            environments(&json!({ "testenvs": { "py": { "test": commands } } }))[0].passed
        };
        assert_eq!(ran(&[json!(0), json!("0")]), Some(true));
        assert_eq!(ran(&[json!(0), json!(1)]), Some(false));
        assert_eq!(ran(&[json!("1")]), Some(false));
        assert_eq!(ran(&[Value::Null]), Some(false));
        assert_eq!(ran(&[]), None);
    }

    #[test]
    fn what_is_malformed_is_said_to_be() {
        for bytes in [&b""[..], b"{", b"[]", b"null", b"{}", b"{\"testenvs\": 1}", b"\xff"] {
            assert!(matches!(Said::read(bytes, &mut 100), Said::Not(_)));
        }
        for odd in [json!(1), json!(null), json!({ "test": 1, "setup": [1, null, {}], "python": "x" })] {
            let environment = environments(&json!({ "testenvs": { "py": odd } }));
            assert_ne!(environment[0].passed, Some(true));
        }
    }

    #[test]
    fn output_is_cut_at_its_beginning_and_the_page_at_its_end() {
        let long = format!("{}é the end", "x".repeat(OUTPUT_BYTES_MAX));
        let result =
            json!({ "testenvs": { "py": { "test": [{ "output": long }], "setup": [{ "output": "early" }] } } });
        let found = environments(&result);
        let command = &found[0].commands[0];
        assert!(command.cut && command.output.as_ref().unwrap().ends_with("the end"));
        assert!(command.output.as_ref().unwrap().len() <= OUTPUT_BYTES_MAX);
        let mut room = 3;
        let Said::Environments { environments, .. } = Said::read(result.to_string().as_bytes(), &mut room) else {
            panic!("it is an object");
        };
        assert_eq!(environments[0].commands[0].output.as_deref(), Some("end"));
        assert_eq!(environments[0].commands[1].output, None);
        assert_eq!(room, 0);
        assert_eq!(without_colours("\u{1b}[31mred\u{1b}[0m\u{7}\n"), "red\n");
    }
}
