//! Proofs of identity: passwords and tokens.
//!
//! Enters: credentials and the stored hash given to it. Leaves: whether they agree.
//! Must not know: the store, HTTP's headers, what the subject may do.
