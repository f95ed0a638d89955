/// One of devpi-server's options, by its name without the dashes.
#[derive(Debug)]
pub struct DevpiOption {
    pub name: &'static str,
    /// Else it is a switch.
    pub takes_value: bool,
    pub(super) meaning: Meaning,
}

#[derive(Debug)]
pub(super) enum Meaning {
    /// It does nothing here, and why nothing is missed.
    Needless(&'static str),
    /// Leaving it out would do something else than what was asked; the way out.
    Refused(&'static str),
    /// Its value says.
    Depends(fn(&str) -> Said),
    /// It says where to listen, together with others.
    Listens,
    /// It names a file that is read before.
    Reads,
}

pub(super) enum Said {
    Becomes { key: &'static str, value: String, note: Option<&'static str> },
    Needless(&'static str),
    Refused(&'static str),
}

use Meaning::{Depends, Listens, Needless, Reads, Refused};

/// Every option of devpi-server 6 (its help, and the hidden ones), and those of devpi-web and devpi-ldap.
pub static DEVPI_OPTIONS: [DevpiOption; 49] = [
    switch("absolute-urls", Needless("links are relative, and right behind every proxy")),
    value("argon2-memory-cost", Needless(SECRET)),
    value("argon2-parallelism", Needless(SECRET)),
    value("argon2-time-cost", Needless(SECRET)),
    switch("autocreate-users", Needless("there is no outside service that users could come from; root makes them")),
    value("configfile", Reads),
    value("connection-limit", Needless("as many connections are taken as the system's limit of open files bears")),
    switch("debug", Needless("set RUST_LOG=debug in the environment to see more in the log")),
    switch("debug-macros", Needless(WEB)),
    value("documentation-path", Needless(WEB)),
    switch("enable-core-metadata", Needless("core metadata is always served")),
    value("file-replication-skip-indexes", Needless(REPLICAS)),
    value("file-replication-threads", Needless(REPLICAS)),
    switch("hard-links", Needless("files are linked instead of copied wherever the file system lets them be")),
    value("host", Listens),
    value("indexer-backend", Needless("searching needs no index of its own")),
    switch("keep-docs-packed", Needless("documentation is kept as it was uploaded")),
    value("keyfs-cache-size", Needless("there is one budget for everything in memory: --memory")),
    value(
        "ldap-config",
        Refused(
            "users from LDAP could not log in; make them here with devpi-client, or let the proxy \
                                  in front ask who they are",
        ),
    ),
    value("listen", Listens),
    value("logger-cfg", Needless("--log-format and RUST_LOG say what the log looks like")),
    value("master-url", Refused(REPLICA)),
    value(
        "max-request-body-size",
        Depends(|bytes| Said::Becomes { key: "upload_max", value: format!("{bytes}B"), note: None }),
    ),
    value("mirror-cache-expiry", Depends(|seconds| bounded(seconds, "page_ttl", EXPIRY_SECONDS_MAX, EXPIRY_NOTE))),
    switch("no-replica-streaming", Needless(REPLICAS)),
    switch("offline-mode", Depends(|_| Said::Becomes { key: "offline", value: "true".to_owned(), note: None })),
    value("outside-url", Depends(|url| Said::Becomes { key: "public_url", value: url.to_owned(), note: None })),
    value("passwd", Refused("passwords are changed while the server runs: `devpi user -m USER password=NEW`")),
    value("port", Listens),
    value("primary-url", Refused(REPLICA)),
    value("profile-requests", Needless("/+metrics says how long requests take")),
    value("proxy-timeout", Needless(REPLICAS)),
    value("replica-cert", Needless(REPLICAS)),
    value("replica-file-search-path", Needless(REPLICAS)),
    value("replica-max-retries", Needless(REPLICAS)),
    value(
        "request-timeout",
        Depends(|seconds| bounded(seconds, "upstream_timeout", TIMEOUT_SECONDS_MAX, TIMEOUT_NOTE)),
    ),
    switch("requests-only", Needless("one process does everything: start one, not several")),
    value("restrict-modify", Depends(restrict_modify)),
    value(
        "role",
        Depends(|role| match role {
            "replica" => Said::Refused(REPLICA),
            "primary" | "master" => Said::Needless(
                "nothing can replicate from this server; let another one mirror its \
                                                indexes instead",
            ),
            _ => Said::Needless("a server is always standalone here"),
        }),
    ),
    value("secretfile", Needless(SECRET)),
    value("serverdir", Depends(|path| Said::Becomes { key: "data", value: path.to_owned(), note: None })),
    value("storage", Depends(storage)),
    value("theme", Needless(WEB)),
    value("threads", Needless("connections are not bound to threads")),
    value("trusted-proxy", Needless(PROXY)),
    value("trusted-proxy-count", Needless(PROXY)),
    value("trusted-proxy-headers", Needless(PROXY)),
    value("unix-socket", Listens),
    value(
        "unix-socket-perms",
        Needless("a Unix socket is for its user and group (660): put the proxy into that group"),
    ),
];

const EXPIRY_SECONDS_MAX: u64 = 30 * 86_400;
const EXPIRY_NOTE: &str = "30 days is the most here; --offline says what is meant by more";
const TIMEOUT_SECONDS_MAX: u64 = 120;
const TIMEOUT_NOTE: &str = "120 seconds is the most here, and it is for a whole page";

const REPLICA: &str = "Sidewheel is no replica; make it a mirror of the other server instead, with --upstream and the \
                       URL of an index there, like https://pypi.example.org/root/pypi/+simple/";
const REPLICAS: &str = "there are no replicas";
const SECRET: &str = "logins are kept in the database and outlast a restart without a secret";
const WEB: &str = "it is a setting of devpi-web's pages";
const PROXY: &str = "links are relative, and right behind every proxy; where a whole URL is needed, --public-url or \
                     the proxy's X-Outside-URL says it";

const fn value(name: &'static str, meaning: Meaning) -> DevpiOption {
    DevpiOption { name, takes_value: true, meaning }
}

const fn switch(name: &'static str, meaning: Meaning) -> DevpiOption {
    DevpiOption { name, takes_value: false, meaning }
}

pub(super) fn option(name: &str) -> Option<&'static DevpiOption> {
    DEVPI_OPTIONS.iter().find(|option| option.name == name)
}

/// Our own flag of a setting that a devpi option may give.
pub(super) fn flag_of(key: &str) -> Option<&'static str> {
    match key {
        "data" => Some("--data"),
        "listen" => Some("--listen"),
        "offline" => Some("--offline"),
        "page_ttl" => Some("--page-ttl"),
        "public_url" => Some("--public-url"),
        "upload_max" => Some("--upload-max"),
        "user_creation" => Some("--user-creation"),
        _ => None,
    }
}

/// Seconds as a duration of ours; more than we take is the most that we take.
fn bounded(seconds: &str, key: &'static str, max: u64, note: &'static str) -> Said {
    match seconds.parse::<u64>() {
        Ok(seconds) if seconds > max => Said::Becomes { key, value: format!("{max}s"), note: Some(note) },
        _ => Said::Becomes { key, value: format!("{seconds}s"), note: None },
    }
}

/// Who may make users. Anyone is devpi's default, which nobody asks for by this option.
fn restrict_modify(who: &str) -> Said {
    let note = match who.split(',').map(str::trim).all(|name| name == "root") {
        true => "owners make and change their own indexes, as before",
        false => "only root makes users here, so the others named lose that; owners make and change their own indexes",
    };
    Said::Becomes { key: "user_creation", value: "root".to_owned(), note: Some(note) }
}

/// The backend and its settings: `sqlite:key=value`.
fn storage(spec: &str) -> Said {
    match spec.split(':').next().unwrap_or_default() {
        "sqlite" | "sqlite_db_files" => Said::Needless("data is always kept in SQLite and files"),
        _ => Said::Refused(
            "data is kept in SQLite and files only: write the old data out with devpi-export, take it over with \
             `sidewheel import devpi-export`, and leave this option out",
        ),
    }
}
