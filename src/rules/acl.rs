use super::subject::Subject;

/// Who may do something, in the order in which it was written (devpi's `acl_…` settings).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl(Vec<String>);

/// Everybody, also who has not logged in.
pub const ANONYMOUS: &str = ":ANONYMOUS:";
/// Everybody who has logged in.
pub const AUTHENTICATED: &str = ":AUTHENTICATED:";

impl Acl {
    /// The two words are taken in any case. Other words that begin with a colon are groups, of which we have none; they
    /// are kept and match nobody.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let known = |name: String| match name.to_uppercase() {
            upper if upper == ANONYMOUS || upper == AUTHENTICATED => upper,
            _ => name,
        };
        Self(names.into_iter().map(known).collect())
    }

    pub fn everybody() -> Self {
        Self(vec![ANONYMOUS.to_owned()])
    }

    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether nobody need prove who he is.
    pub fn is_public(&self) -> bool {
        self.has(ANONYMOUS)
    }

    pub fn admits(&self, subject: &Subject) -> bool {
        match subject.user() {
            None => self.is_public(),
            Some(user) => self.is_public() || self.has(AUTHENTICATED) || self.has(user.as_str()),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known == name)
    }
}
