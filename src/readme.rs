//! Descriptions of releases as pages show them.
//!
//! Enters: a text and its content type (core metadata: `Description-Content-Type`). Leaves: HTML that is safe to show.
//! Must not know: where the text came from, what stands around it.
