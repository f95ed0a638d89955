/// The language of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    Markdown,
    ReStructuredText,
    Plain,
}

/// Most lines of a description whose type nobody told that are looked at.
const LINES_LOOKED_AT_MAX: usize = 2_000;

impl Markup {
    /// What a content type (core metadata: `Description-Content-Type`) says, whatever its parameters. Where it says
    /// nothing, reStructuredText is meant; but many who wrote Markdown forgot to say so, so the text is looked at.
    pub fn of(content_type: Option<&str>, text: &str) -> Self {
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        let subtype = essence.rsplit('/').next().unwrap_or_default();
        match subtype {
            "" | "unknown" => Self::guess(text),
            "markdown" | "x-markdown" | "md" | "gfm" => Self::Markdown,
            "x-rst" | "rst" | "restructuredtext" | "x-restructuredtext" | "prs.fallenstein.rst" => {
                Self::ReStructuredText
            }
            _ => Self::Plain,
        }
    }

    fn guess(text: &str) -> Self {
        let (mut markdown, mut structured) = (0, 0);
        let mut above = "";
        for line in text.lines().take(LINES_LOOKED_AT_MAX) {
            let line = line.trim_end();
            markdown += usize::from(is_markdown(line));
            structured += usize::from(is_structured(line, above));
            above = line;
        }
        if markdown > structured { Self::Markdown } else { Self::ReStructuredText }
    }
}

/// What reads as Markdown and would be noise in reStructuredText.
fn is_markdown(line: &str) -> bool {
    let heading = line.trim_start_matches('#');
    let hashes = line.len() - heading.len();
    let is_heading = (1..=6).contains(&hashes) && heading.starts_with(' ') && heading.trim().len() > 1;
    is_heading || line.starts_with("```") || line.starts_with("~~~ ") || line.contains("](")
}

fn is_structured(line: &str, above: &str) -> bool {
    let adornment = line.chars().next().filter(|char| char.is_ascii_punctuation() && *char != '#');
    let is_title = adornment.is_some_and(|first| line.len() >= 3 && line.chars().all(|char| char == first))
        && !above.is_empty()
        && above.chars().count() <= line.len()
        // Both languages underline with these, where the line is longer than the title it is a table's or a rule.
        && above.chars().any(char::is_alphanumeric);
    is_title || line.starts_with(".. ") || line.ends_with("::") || line.contains("`_") || line.contains(">`__")
}
