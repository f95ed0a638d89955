//! Sidewheel: the wheel server that rides beside Caddy. ARCHITECTURE.md draws the rooms.

pub mod cli;
pub mod config;
pub mod fresh;
pub mod http;
pub mod names;
