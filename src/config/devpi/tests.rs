use super::*;
use crate::config::{Config, Flags, Listen};
use std::time::Duration;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let home = [("HOME", "/home/a")];
    home.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn given(options: &[(&'static str, &str)]) -> DevpiGiven {
    let mut all: Vec<(&'static str, Vec<String>)> = Vec::new();
    for (name, value) in options {
        let values = if value.is_empty() { Vec::new() } else { vec![(*value).to_owned()] };
        all.push((name, values));
    }
    DevpiGiven { options: all, file: None }
}

fn flags(options: &[(&'static str, &str)]) -> Flags {
    Flags { devpi: given(options), ..Flags::default() }
}

fn load(options: &[(&'static str, &str)]) -> Result<Config, ConfigError> {
    Config::load(None, &env(&[]), &flags(options))
}

fn listens(config: &Config) -> Vec<String> {
    config.server.listen.iter().map(Listen::to_string).collect()
}

/// What an option is expected to do, by its name: a setting that it gives, nothing, or an end.
enum Expected {
    Setting(&'static str),
    Nothing,
    End,
}

#[test]
fn every_option_of_devpi_server_means_something() {
    use Expected::{End, Nothing, Setting};
    // The names in its help (6.20.3), its hidden ones, and those of plugins that many have.
    let table = [
        ("absolute-urls", "", Nothing),
        ("argon2-memory-cost", "65536", Nothing),
        ("argon2-parallelism", "1", Nothing),
        ("argon2-time-cost", "1", Nothing),
        ("autocreate-users", "", Nothing),
        ("configfile", "devpi-server.yml", Nothing),
        ("connection-limit", "100", Nothing),
        ("debug", "", Nothing),
        ("debug-macros", "", Nothing),
        ("documentation-path", "/docs", Nothing),
        ("enable-core-metadata", "", Nothing),
        ("file-replication-skip-indexes", "mirror", Nothing),
        ("file-replication-threads", "5", Nothing),
        ("hard-links", "", Nothing),
        ("host", "0.0.0.0", Setting("listen")),
        ("indexer-backend", "whoosh", Nothing),
        ("keep-docs-packed", "", Nothing),
        ("keyfs-cache-size", "10000", Nothing),
        ("ldap-config", "ldap.yml", End),
        ("listen", "localhost:8080", Setting("listen")),
        ("logger-cfg", "log.yml", Nothing),
        ("master-url", "https://pypi.example.org", End),
        ("max-request-body-size", "1073741824", Setting("upload_max")),
        ("mirror-cache-expiry", "1800", Setting("page_ttl")),
        ("no-replica-streaming", "", Nothing),
        ("offline-mode", "", Setting("offline")),
        ("outside-url", "https://pypi.example.org", Setting("public_url")),
        ("passwd", "root", End),
        ("port", "3141", Setting("listen")),
        ("primary-url", "https://pypi.example.org", End),
        ("profile-requests", "10", Nothing),
        ("proxy-timeout", "30", Nothing),
        ("replica-cert", "c", Nothing),
        ("replica-file-search-path", "/f", Nothing),
        ("replica-max-retries", "3", Nothing),
        ("request-timeout", "5", Setting("upstream_timeout")),
        ("requests-only", "", Nothing),
        ("restrict-modify", "root", Setting("user_creation")),
        ("role", "standalone", Nothing),
        ("secretfile", "/s", Nothing),
        ("serverdir", "/d", Setting("data")),
        ("storage", "sqlite", Nothing),
        ("theme", "/t", Nothing),
        ("threads", "50", Nothing),
        ("trusted-proxy", "127.0.0.1", Nothing),
        ("trusted-proxy-count", "1", Nothing),
        ("trusted-proxy-headers", "x-forwarded-for", Nothing),
        ("unix-socket", "/s", Setting("listen")),
        ("unix-socket-perms", "666", Nothing),
    ];
    assert_eq!(table.len(), DEVPI_OPTIONS.len());
    for (name, value, expected) in table {
        let option = option(name).unwrap_or_else(|| panic!("{name} is unknown"));
        assert_eq!(option.takes_value, !value.is_empty(), "{name}");
        let variable = format!("DEVPISERVER_{}", name.to_ascii_uppercase().replace('-', "_"));
        let by_flag = translate(&given(&[(option.name, value)]), &env(&[]));
        let by_variable =
            translate(&DevpiGiven::default(), &env(&[(&variable, if value.is_empty() { "yes" } else { value })]));
        let text = format!("devpi-server:\n  {name}: {}\n", if value.is_empty() { "true" } else { value });
        let file = DevpiGiven { options: Vec::new(), file: Some(("d.yml".to_owned(), text)) };
        let by_file = translate(&file, &env(&[]));
        for (place, told) in
            [(format!("--{name}"), by_flag), (variable.clone(), by_variable), (format!("{name} in d.yml"), by_file)]
        {
            match (&expected, told) {
                (End, told) => {
                    let Err(ConfigError::Devpi { place: at, way_out, .. }) = told else { panic!("{place}: {told:?}") };
                    assert!(at == place && way_out.len() > 20, "{way_out}");
                }
                (Setting(key), Ok(told)) => {
                    let [renamed] = told.renamed.as_slice() else { panic!("{place}: {told:?}") };
                    assert_eq!((renamed.key, &renamed.place), (*key, &place));
                    let notice = renamed.notice(&place);
                    let now = key.replace('_', "-");
                    let says = [&now, *key, &key.to_ascii_uppercase()].iter().any(|word| notice.contains(*word));
                    assert!(notice.starts_with(&place) && says, "{notice}");
                }
                (Nothing, Ok(told)) => {
                    assert!(told.renamed.is_empty(), "{place}");
                    match told.notices.as_slice() {
                        [] => assert_eq!(name, "configfile"),
                        [notice] => assert!(notice.starts_with(&place) && notice.len() > 60, "{notice}"),
                        notices => panic!("{notices:?}"),
                    }
                }
                (_, Err(why)) => panic!("{place}: {why}"),
            }
        }
    }
}

#[test]
fn a_typical_command_line_works_as_meant() {
    let options = [
        ("serverdir", "/srv/devpi"),
        ("host", "127.0.0.1"),
        ("port", "3142"),
        ("outside-url", "https://pypi.example.org/devpi"),
        ("restrict-modify", "root"),
        ("mirror-cache-expiry", "900"),
        ("request-timeout", "20"),
        ("offline-mode", ""),
        ("max-request-body-size", "5000000"),
        ("threads", "8"),
        ("role", "standalone"),
    ];
    let config = load(&options).unwrap();
    assert_eq!(listens(&config), ["127.0.0.1:3142"]);
    assert_eq!(config.cache.data, PathBuf::from("/srv/devpi"));
    assert_eq!(config.server.public_url.as_ref().map(url::Url::as_str), Some("https://pypi.example.org/devpi/"));
    assert!(!config.owners.anyone_makes_users && config.upstream.offline);
    assert_eq!(config.mirrors.first().map(|mirror| mirror.page_ttl), Some(Duration::from_secs(900)));
    assert_eq!(config.upstream.page_timeout, Duration::from_secs(20));
    assert_eq!(config.owners.upload_bytes_max, 5_000_000);
    // Host and port are one setting.
    assert_eq!(config.notices.len(), options.len() - 1, "{:#?}", config.notices);
    assert!(config.notices.iter().any(|notice| notice == "--serverdir is devpi-server's name of --data"));
    assert!(config.notices.iter().any(|notice| notice == "--host and --port are devpi-server's names of --listen"));
}

#[test]
fn host_and_port_make_an_address() {
    for (options, expected) in [
        (&[("port", "4000")][..], &["127.0.0.1:4000"][..]),
        (&[("host", "0.0.0.0")], &["0.0.0.0:3141"]),
        (&[("host", "localhost"), ("port", "1")], &["127.0.0.1:1"]),
        (&[("host", "*"), ("port", "1")], &["0.0.0.0:1"]),
        (&[("host", "::1"), ("port", "1")], &["[::1]:1"]),
        (&[("host", "[::1]"), ("port", "1")], &["[::1]:1"]),
        (&[("unix-socket", "/run/d.sock")], &["unix:/run/d.sock"]),
        (&[("unix-socket", "/run/d.sock"), ("port", "1")], &["127.0.0.1:1", "unix:/run/d.sock"]),
    ] {
        assert_eq!(listens(&load(options).unwrap()), expected, "{options:?}");
    }
    for options in [&[("host", "pypi.example.org")][..], &[("port", "x")], &[("unix-socket", "d.sock")]] {
        let why = load(options).unwrap_err().to_string();
        assert!(why.contains("127.0.0.1:3141") || why.contains("starts with /"), "{why}");
    }
    let open = load(&[("host", "0.0.0.0")]).unwrap();
    assert!(open.notices.iter().any(|notice| notice.contains("--allowed-host")), "{:?}", open.notices);
}

#[test]
fn our_own_names_win_and_flags_win_over_the_environment_over_files() {
    let devpi = |data: &str| given(&[("serverdir", data), ("port", "1")]);
    let both = Flags { data: Some("/ours".to_owned()), devpi: devpi("/theirs"), ..Flags::default() };
    let config = Config::load(None, &env(&[("SIDEWHEEL_LISTEN", "127.0.0.1:2")]), &both).unwrap();
    assert_eq!(config.cache.data, PathBuf::from("/ours"));
    assert_eq!(listens(&config), ["127.0.0.1:1"], "a flag wins over the environment");
    let overruled = "--serverdir is devpi-server's name of --data; overruled by --data";
    assert!(config.notices.iter().any(|notice| notice == overruled), "{:?}", config.notices);

    let yaml = "devpi-server:\n  port: 5\n  host: 127.0.0.2\n  serverdir: /yaml\n  offline-mode: true\n";
    let file = Some(("d.yml".to_owned(), yaml.to_owned()));
    let flags = Flags { devpi: DevpiGiven { options: Vec::new(), file }, ..Flags::default() };
    let variables = env(&[("DEVPISERVER_PORT", "6"), ("DEVPISERVER_OFFLINE_MODE", "no"), ("DEVPISERVER_HOST", "")]);
    let config = Config::load(Some(("s.toml", "data = '/toml'")), &variables, &flags).unwrap();
    assert_eq!((listens(&config), config.upstream.offline), (vec!["127.0.0.2:6".to_owned()], false));
    assert_eq!(config.cache.data, PathBuf::from("/toml"));
    assert!(config.notices.iter().any(|notice| notice.contains("overruled by s.toml")), "{:?}", config.notices);

    let listen = flags_with_listen();
    let config = Config::load(None, &env(&[("DEVPISERVER_LISTEN", "*:7,[::1]:8")]), &listen).unwrap();
    assert_eq!(listens(&config), ["127.0.0.1:9"]);
    let config = Config::load(None, &env(&[("DEVPISERVER_LISTEN", "*:7,[::1]:8")]), &Flags::default()).unwrap();
    assert_eq!(listens(&config), ["0.0.0.0:7", "[::1]:8"]);
    let older = Config::load(None, &env(&[("DEVPI_SERVERDIR", "/older")]), &Flags::default()).unwrap();
    assert_eq!(older.cache.data, PathBuf::from("/older"));
}

fn flags_with_listen() -> Flags {
    Flags { listen: vec!["localhost:9".to_owned()], ..Flags::default() }
}

#[test]
fn what_would_do_something_else_is_refused_with_the_way_out() {
    for (name, value, way_out) in [
        ("role", "replica", "--upstream"),
        ("primary-url", "https://p.example.org", "--upstream"),
        ("storage", "pg8000:host=db", "devpi-export"),
        ("offline-mode", "", ""),
    ] {
        let told = load(&[(name, value)]);
        assert_eq!(told.is_err(), !way_out.is_empty(), "{name}");
        if let Err(why) = told {
            assert!(why.to_string().contains(way_out) && why.to_string().contains(name), "{why}");
        }
    }
    assert!(load(&[("storage", "sqlite:fsbackend=hash_hl")]).is_ok());
    assert!(load(&[("role", "primary")]).unwrap().notices.iter().any(|notice| notice.contains("replicate")));
    let variables = env(&[("DEVPISERVER_OFFLINE_MODE", "perhaps")]);
    assert!(matches!(Config::load(None, &variables, &Flags::default()), Err(ConfigError::Devpi { .. })));
    let secret = load(&[("outside-url", "https://u:hunter2@pypi.example.org/")]).unwrap_err().to_string();
    assert!(secret.contains("--outside-url") && !secret.contains("hunter2"), "{secret}");
}

#[test]
fn what_is_more_than_we_take_is_the_most() {
    let config = load(&[("request-timeout", "300"), ("mirror-cache-expiry", "31536000")]).unwrap();
    assert_eq!(config.upstream.page_timeout, Duration::from_secs(120));
    assert_eq!(config.mirrors.first().map(|mirror| mirror.page_ttl), Some(Duration::from_secs(30 * 86_400)));
    assert!(config.notices.iter().any(|notice| notice.contains("120 seconds")), "{:?}", config.notices);
    let why = load(&[("request-timeout", "soon")]).unwrap_err().to_string();
    assert!(why.contains("--request-timeout"), "{why}");
}

#[test]
fn reads_devpis_file() {
    let yaml = "---\n# ours\ndevpi-client:\n  a: b\ndevpi-server:\n  listen:\n    - localhost:3141\n    - '*:3142'\n  \
                storage:\n    name: sqlite\n    path: x\n  offline-mode: no\n  threads: 010\n  outside-url: \
                \"https://pypi.example.org\"\n  colour: blue\n";
    let file = |text: &str| DevpiGiven { options: Vec::new(), file: Some(("d.yml".to_owned(), text.to_owned())) };
    let flags = Flags { devpi: file(yaml), ..Flags::default() };
    let config = Config::load(None, &env(&[]), &flags).unwrap();
    assert_eq!(listens(&config), ["127.0.0.1:3141", "0.0.0.0:3142"]);
    assert!(!config.upstream.offline && config.server.public_url.is_some());
    let unknown = "colour in d.yml is no option of devpi-server that is known here; it does nothing";
    assert!(config.notices.iter().any(|notice| notice == unknown), "{:?}", config.notices);
    for nothing in ["", "# nothing\n", "devpi-client:\n  a: b\n", "a\n", "devpi-server:\n", "- a\n"] {
        assert_eq!(translate(&file(nothing), &env(&[])), Ok(Translation::default()), "{nothing:?}");
    }
    let deep = format!("devpi-server: {}", "[".repeat(5_000));
    for bad in ["devpi-server:\n  a: [1\n", "devpi-server:\n\t- x: {\n", "a: &b c\ndevpi-server:\n  host: *b\n", &deep]
    {
        let told = translate(&file(bad), &env(&[]));
        assert!(matches!(told, Err(ConfigError::Yaml { .. })), "{told:?}");
    }
}

#[test]
fn unknown_variables_are_said_and_do_nothing() {
    let variables = env(&[("DEVPISERVER_COLOUR", "blue"), ("DEVPI_INDEX", "root/pypi")]);
    let config = Config::load(None, &variables, &Flags::default()).unwrap();
    let [notice] = config.notices.as_slice() else { panic!("{:?}", config.notices) };
    assert!(notice.starts_with("DEVPISERVER_COLOUR "));
}
