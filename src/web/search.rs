use super::act::Acted;
use super::forms::{Form, hidden, post};
use super::parts::{badge, index_link, time};
use super::{Asked, Note, Page};
use crate::http::{Query, index_path};
use crate::index::{Hit, HitKind, HitWhy, IndexError, ListStanding, ListState, SearchAnswer, SearchAsk};
use crate::names::IndexName;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Hits on one page.
const HITS_PER_PAGE: usize = 20;

/// Pages that one can ask for; there is nothing on those after them.
const PAGES_MAX: usize = 100;

/// Indexes that the search can be narrowed to by choosing; of more than that one writes the address.
const CHOICES_MAX: usize = 200;

/// What the address of a search asks for, and on which page it is. `query` is how devpi-web calls what is typed.
pub fn search_ask(query: &Query) -> Result<(SearchAsk, usize), IndexError> {
    let text = query.field("q").or_else(|| query.field("query")).unwrap_or_default();
    let index = query.field("index").filter(|index| !index.is_empty());
    let index = index.map(|index| {
        IndexName::parse(&index)
            .map_err(|_| IndexError::Invalid("an index is named by its user and its name: index=user/name".to_owned()))
    });
    let page = query.field("page").and_then(|page| page.parse().ok()).unwrap_or(1).clamp(1, PAGES_MAX);
    let from = (page - 1) * HITS_PER_PAGE;
    Ok((SearchAsk { text, index: index.transpose()?, from, count: HITS_PER_PAGE }, page))
}

/// `/+search`
pub async fn search(asked: &Asked<'_>, query: &Query) -> Result<Page, IndexError> {
    let (ask, page) = search_ask(query)?;
    // What cannot be searched for is said beside what was typed.
    let (answer, wrong) = match asked.index.search(&asked.viewer.subject, &ask).await {
        Ok(answer) => (answer, None),
        Err(IndexError::Invalid(why)) => (SearchAnswer::default(), Some(why)),
        Err(why) => return Err(why),
    };
    let body = html! {
        h1 { "Search" }
        form #search-form .filter action="/+search" {
            div .field {
                label for="search-text" { "Name, or words of a summary" }
                input #search-text type="search" name="q" value=(ask.text) autocomplete="off" aria-describedby="search-state";
            }
            div .field {
                label for="search-index" { "Seen through" }
                select #search-index name="index" {
                    option value="" { "all indexes" }
                    @for name in choices(asked, ask.index.as_ref()) {
                        option value=(name) selected[Some(&name) == ask.index.as_ref()] { (name) }
                    }
                }
            }
            button .main type="submit" { "Search" }
        }
        div #results {
            p #search-state role="status" { (state(&ask, &answer, wrong.as_deref())) }
            ul .hits {
                @for hit in &answer.hits { (shown(&ask, hit)) }
            }
            (pages(&ask, &answer, page))
        }
        (lists(asked, &answer.lists))
    };
    let title = if ask.text.trim().is_empty() { "Search".to_owned() } else { format!("{} · Search", ask.text) };
    Ok(Page::new(title, body))
}

/// The button under the results: fetches the whole list of a mirror.
pub(super) fn fetch_list(asked: &Asked<'_>, form: &Form) -> Result<Acted, IndexError> {
    asked.index.want_whole_list(&asked.viewer.subject, &form.index()?)?;
    Ok(Acted::Done { to: form.back().unwrap_or("/+search").to_owned(), note: Note::ListWanted })
}

/// The indexes that this person may read.
fn choices(asked: &Asked<'_>, chosen: Option<&IndexName>) -> Vec<IndexName> {
    let catalog = asked.index.catalog();
    let subject = &asked.viewer.subject;
    let readable =
        catalog.indexes.values().filter(|entry| entry.public || asked.index.readable(subject, &entry.name).is_ok());
    let mut names: Vec<_> = readable.map(|entry| entry.name.clone()).take(CHOICES_MAX).collect();
    if let Some(chosen) = chosen.filter(|chosen| !names.contains(chosen)) {
        names.push(chosen.clone());
    }
    names
}

fn state(ask: &SearchAsk, answer: &SearchAnswer, wrong: Option<&str>) -> String {
    match (wrong, answer.hits.len()) {
        (Some(why), _) => why.to_owned(),
        (None, 0) if ask.text.trim().is_empty() => "Type a part of a name.".to_owned(),
        (None, 0) => "Nothing is found.".to_owned(),
        (None, 1) if ask.from == 0 => "One project is found.".to_owned(),
        (None, count) => {
            format!("Projects {} to {}{}.", ask.from + 1, ask.from + count, if answer.more { " of more" } else { "" })
        }
    }
}

fn shown(ask: &SearchAsk, hit: &Hit) -> Markup {
    let through = ask.index.as_ref().unwrap_or(&hit.index);
    html! {
        li {
            p .hit {
                a href={ (index_path(through)) "/" (hit.project) } { (hit.project) }
                @if let Some(version) = &hit.version { " " span .soft { (version) } }
                " " (kind(hit.kind))
                @if let HitWhy::Similar(_) = hit.why { " " (badge("quiet", "similar")) }
                " " span .small.soft { "in " (index_link(&hit.index)) }
            }
            @if let Some(summary) = &hit.summary { p .small { (summary) } }
        }
    }
}

fn kind(kind: HitKind) -> Markup {
    match kind {
        HitKind::Private => badge("private", "private"),
        HitKind::Cached => badge("mirror", "mirrored"),
        HitKind::Listed => badge("quiet", "not asked for yet"),
    }
}

fn pages(ask: &SearchAsk, answer: &SearchAnswer, page: usize) -> Markup {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let index = ask.index.as_ref().map(|index| format!("index={}&", encoded(index.as_str()))).unwrap_or_default();
    let to = |page: usize| format!("/+search?q={}&{index}page={page}", encoded(&ask.text));
    html! {
        @if page > 1 || answer.more {
            nav .pager aria-label="Pages" {
                @if page > 1 { a rel="prev" href=(to(page - 1)) { "Before" } }
                @if answer.more { a rel="next" href=(to(page + 1)) { "More" } }
            }
        }
    }
}

/// How far the search reaches beyond what was ever asked for.
fn lists(asked: &Asked<'_>, lists: &[ListState]) -> Markup {
    html! {
        @if !lists.is_empty() {
            section aria-labelledby="reach" {
                h2 #reach { "What is searched" }
                p .small { "Projects of our own, and those of mirrors that somebody has asked for. Of the names that upstream lists beyond that:" }
                ul .small {
                    @for list in lists { li { (index_link(&list.mirror)) ": " (reach(asked, list)) } }
                }
            }
        }
    }
}

fn reach(asked: &Asked<'_>, list: &ListState) -> Markup {
    let fetch = |label: &str| {
        html! {
            @if list.may_fetch {
                (post(asked, "list", html! {
                    (hidden("index", list.mirror.as_str()))
                    (hidden("back", "/+search"))
                    button type="submit" aria-label={ (label) " " (list.mirror) } { (label) }
                }))
            }
        }
    };
    match &list.standing {
        ListStanding::Absent => html! {
            "its whole list is not searched."
            (fetch("Search the whole list too"))
        },
        ListStanding::Fetching { names } => html! { "its whole list is on its way; " (names) " names have come." },
        ListStanding::Ready { names, built, renewing } => html! {
            (names) " names, from " (time(asked, *built))
            @if *renewing { "; a newer list is on its way" }
            "."
        },
        ListStanding::Failed { why } => html! {
            "its whole list could not be fetched: " (why)
            (fetch("Try again"))
        },
    }
}
