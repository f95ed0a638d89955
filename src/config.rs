//! stub
pub enum Listen { Tcp(std::net::SocketAddr), Unix(std::path::PathBuf) }
