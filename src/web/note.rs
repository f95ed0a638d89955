use maud::{Markup, html};

/// What was done, said once at the top of the page that a person is sent to. The address carries the word alone, so
/// that nothing but these sentences can be said with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    LoggedOut,
    SessionEnded,
    TokenRevoked,
    PasswordChanged,
    UserMade,
    IndexMade,
    IndexChanged,
    IndexDeleted,
    Yanked,
    Unyanked,
    Purged,
    Refreshed,
    ListWanted,
    Removed,
    Undone,
}

const NOTES: [(Note, &str, &str); 15] = [
    (Note::LoggedOut, "logged-out", "You are logged out."),
    (Note::SessionEnded, "session-ended", "The other browser is logged out."),
    (Note::TokenRevoked, "token-revoked", "The token is revoked; what still uses it is refused from now on."),
    (
        Note::PasswordChanged,
        "password-changed",
        "The password is changed. Other browsers and devpi's logins have ended.",
    ),
    (Note::UserMade, "user-made", "The user is made."),
    (Note::IndexMade, "index-made", "The index is made."),
    (Note::IndexChanged, "index-changed", "The settings are saved."),
    (Note::IndexDeleted, "index-deleted", "The index is deleted."),
    (Note::Yanked, "yanked", "It is yanked: installers pass over it unless it is pinned."),
    (Note::Unyanked, "unyanked", "It is not yanked any more."),
    (Note::Purged, "purged", "The cached files and pages are gone; they are fetched anew when somebody asks."),
    (Note::Refreshed, "refreshed", "Upstream was asked anew."),
    (Note::ListWanted, "list-wanted", "The whole list is on its way. It is searched as soon as it is here."),
    (Note::Removed, "removed", "It is removed."),
    (Note::Undone, "undone", "It is back as it was."),
];

impl Note {
    /// The note that `?done=` names.
    pub fn of_word(word: &str) -> Option<Self> {
        NOTES.iter().find(|(_, known, _)| *known == word).map(|(note, ..)| *note)
    }

    /// `path` with the note in its query.
    pub fn at(self, path: &str) -> String {
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{path}{joint}done={}", self.known().0)
    }

    pub(super) fn shown(self) -> Markup {
        html! { p .notice .good role="status" { (self.known().1) } }
    }

    fn known(self) -> (&'static str, &'static str) {
        let found = NOTES.iter().find(|(note, ..)| *note == self);
        found.map_or(("", ""), |(_, word, sentence)| (word, sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_note_has_a_word_of_its_own() {
        for (note, word, sentence) in NOTES {
            assert_eq!((Note::of_word(word), note.known()), (Some(note), (word, sentence)));
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') && sentence.ends_with('.'));
        }
        assert_eq!(Note::of_word("<script>"), None);
        assert_eq!(Note::Yanked.at("/a/b"), "/a/b?done=yanked");
        assert_eq!(Note::Yanked.at("/a/b?page=2"), "/a/b?page=2&done=yanked");
    }
}
