//! Uploads: the multipart form that twine, uv, flit and their kin send.
//!
//! Enters: a stream of bytes and a boundary. Leaves: a checked upload and its landed blob.
//! Must not know: index rules, users.
