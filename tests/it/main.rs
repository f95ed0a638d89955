//! The one binary of integration tests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod backup;
mod cachetools;
mod control;
mod files;
mod hostile;
mod imports;
mod metadata;
mod pages;
mod private;
mod review;
mod search;
mod status;
mod stop;
mod support;
mod takeover;
mod tidy;
mod upstream;
mod web;
