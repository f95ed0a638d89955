use super::{Form, Refusal};

/// What the client wants done with its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    FileUpload,
    DocUpload,
    /// A release's metadata without a file.
    Submit,
}

impl Action {
    /// Reads the field `:action`.
    pub fn of(form: &Form) -> Result<Self, Refusal> {
        match form.get(":action") {
            None => Err(Refusal::NoAction),
            Some("file_upload") => Ok(Self::FileUpload),
            Some("doc_upload") => Ok(Self::DocUpload),
            Some("submit") => Ok(Self::Submit),
            Some(other) => Err(Refusal::UnknownAction(other.to_owned())),
        }
    }
}
