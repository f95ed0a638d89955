use super::*;

#[test]
fn nothing_of_the_corpus_gets_through() {
    for case in cases() {
        for markup in [case.markup, Markup::Markdown, Markup::ReStructuredText, Markup::Plain] {
            let html = render(&case.text, markup);
            check(case.name, &html);
            assert!(!case.text.trim().is_empty());
        }
    }
}

/// Each layer is to hold alone: the list does not rely on what balances, nor does the balance on the list.
#[test]
fn each_layer_holds_alone() {
    for case in cases() {
        let html = match case.markup {
            Markup::Markdown => markdown::to_html(&case.text),
            _ => case.text.clone(),
        };
        check(case.name, &balance::balance(&html, HTML_BYTES_MAX, false));
        let cleaned = clean::clean(&html);
        for token in Tokenizer::new(&cleaned) {
            let Ok(Token::StartTag(tag)) = token else { continue };
            let name = String::from_utf8_lossy(&tag.name);
            for (attribute, value) in &tag.attributes {
                let (attribute, value) = (String::from_utf8_lossy(attribute), String::from_utf8_lossy(&value.value));
                let fits =
                    is_listed(&name, &attribute, &value) || attribute == "referrerpolicy" || attribute == "loading";
                assert!(fits, "{}: <{name} {attribute}={value:?}> in {cleaned}", case.name);
            }
        }
    }
}

/// What a browser parses a second time means the same: no text turns into markup.
#[test]
fn a_second_reading_finds_the_same() {
    for case in cases() {
        let once = render(&case.text, case.markup);
        assert_eq!(clean::clean(&once), once, "{}", case.name);
    }
}

/// A check that lets everything through would prove nothing.
#[test]
fn the_check_sees_what_is_wrong() {
    for wrong in [
        "<script>alert(1)</script>",
        "<p onclick=\"x\">x</p>",
        "<a href=\"javascript:alert(1)\">x</a>",
        "<p id=\"main\">x</p>",
        "<p class=\"skip\">x</p>",
        "<img src=\"http://example.org/\" alt=\"\">",
        "<p>x",
    ] {
        assert!(std::panic::catch_unwind(|| check("wrong", wrong)).is_err(), "{wrong}");
    }
}
