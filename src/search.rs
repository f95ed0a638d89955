//! Finding projects by what somebody types.
//!
//! Enters: names; a text that somebody typed. Leaves: the bytes of an index of names; matches in their order.
//! Must not know: files, databases, who may see what.
