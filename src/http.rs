//! What a request says, read as knowledge: which page or file it names, in which form it wants it, and under which
//! conditions.
//!
//! Enters: the raw bytes of a request head, the raw request target, and single field values as `&str`.
//! Leaves: [`HeadFacts`], [`Route`], [`Format`], [`Encoding`], answers about ranges, validators, hosts and origins.
//! Must not know: Pingora, sockets, files, the database, the clock; nothing here waits, reads or writes.

mod condition;
mod cookie;
mod credentials;
mod encoding;
mod format;
mod head;
mod hosts;
mod quality;
mod range;
mod route;
mod site;
mod way;

pub use condition::{CacheDirectives, cache_directives, if_range, not_modified};
pub use cookie::cookie;
pub use credentials::{TOKEN_USER, credentials};
pub use encoding::{Encoding, encoding};
pub use format::{Format, Negotiated, negotiate, wants_page, wants_plain_json};
pub use head::{Body, Field, HEAD_BYTES_MAX, HEAD_FIELDS_MAX, HeadError, HeadFacts, check_head};
pub use hosts::{HostAnswer, HostEntryError, Hosts, Via};
pub use range::{RangeAnswer, range};
pub use route::{
    FileWhat, IndexForm, IndexRef, Query, Route, Routed, Spelling, TARGET_BYTES_MAX, authority, docs_path, index_path,
    route,
};
pub use site::{CrossSite, FetchFacts, fetch_site, our_own_page};
pub use way::way_back;
