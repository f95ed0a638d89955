//! Sidewheel: the wheel server that rides beside Caddy. ARCHITECTURE.md draws the rooms.

pub mod api;
pub mod auth;
pub mod backup;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod configure;
pub mod doctor;
pub mod export;
pub mod fresh;
pub mod http;
pub mod import;
pub mod index;
pub mod metrics;
pub mod names;
pub mod platform;
pub mod prefetch;
pub mod rules;
pub mod run;
pub mod server;
pub mod service;
pub mod simple;
pub mod store;
pub mod upload;
pub mod upstream;
