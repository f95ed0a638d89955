//! stub
pub enum Decision { Fresh, Stale, ServeThenRevalidate, Revalidate, Missing }
pub struct Facts { pub now: u64, pub unix: u64, pub checked: Option<u64>, pub fetched_unix: Option<u64>, pub missing: bool, pub failures: u32, pub failed_at: u64, pub ttl_ms: u64, pub no_cache: bool }
pub fn decide(_: &Facts) -> Decision { Decision::Missing }
