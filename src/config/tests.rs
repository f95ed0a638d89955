use super::*;
use proptest::prelude::*;

fn home() -> BTreeMap<String, String> {
    env(&[("HOME", "/home/a")])
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [("HOME", "/home/a")];
    base.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn from_file(text: &str) -> Result<Config, ConfigError> {
    Config::load(Some(("sidewheel.toml", text)), &home(), &Flags::default())
}

fn defaults() -> Config {
    Config::load(None, &home(), &Flags::default()).unwrap()
}

#[test]
fn has_defaults() {
    let config = defaults();
    assert_eq!(config.server.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:3141"]);
    assert_eq!((config.server.public_url.clone(), config.server.log_format), (None, LogFormat::Human));
    assert_eq!(config.server.log_file, None);
    assert!(config.server.host_names().is_empty());
    assert!(config.cache.data.starts_with("/home/a") && config.cache.data.ends_with("sidewheel"));
    assert_eq!((config.cache.memory_bytes, config.cache.disk_bytes), (268_435_456, 20_000_000_000));
    assert_eq!(config.upstream.connect_timeout + config.upstream.page_timeout, Duration::from_secs(15));
    assert!(!config.upstream.offline && config.upstream.metadata_backfill);
    let [mirror] = config.mirrors.as_slice() else { panic!("{:?}", config.mirrors) };
    assert_eq!((mirror.name.as_str(), mirror.page_ttl), ("root/pypi", Duration::from_secs(600)));
    assert_eq!((mirror.upstream.as_str(), mirror.credentials.as_ref()), (public_index::SIMPLE_URL, None));
    let origins: Vec<_> = mirror.file_origins.iter().map(ToString::to_string).collect();
    assert_eq!(origins, [public_index::FILE_ORIGIN]);
    let owners = &config.owners;
    assert_eq!((owners.root_password_file.clone(), owners.anyone_makes_users), (None, false));
    assert_eq!((owners.upload_bytes_max, owners.push_origins.len()), (1 << 30, 0));
    assert_eq!(from_file(""), Ok(config));
}

#[test]
fn needs_a_place_for_data() {
    let empty = BTreeMap::new();
    assert_eq!(Config::load(None, &empty, &Flags::default()), Err(ConfigError::NoHome));
    let flags = Flags { data: Some("/d".to_owned()), ..Flags::default() };
    assert_eq!(Config::load(None, &empty, &flags).unwrap().cache.data, PathBuf::from("/d"));
}

#[test]
fn flags_win_over_environment_over_file() {
    let file =
        Some(("f", "page_ttl = '1m'\nmemory = '32MiB'\ndisk = '1GB'\nlisten = ['127.0.0.1:1', '127.0.0.1:2']\n"));
    let env = env(&[
        ("SIDEWHEEL_MEMORY", "64MiB"),
        ("SIDEWHEEL_DISK", "2GB"),
        ("SIDEWHEEL_LISTEN", "127.0.0.1:3, [::1]:3,"),
        ("SIDEWHEEL_OFFLINE", "on"),
        ("SIDEWHEEL_PAGE_TTL", ""),
        ("SIDEWHEEL_UNKNOWN", ""),
        ("SIDEWHEEL_CONFIG", "elsewhere"),
        ("OTHER", "x"),
    ]);
    let config = Config::load(file, &env, &Flags::default()).unwrap();
    assert_eq!(config.mirrors.first().map(|mirror| mirror.page_ttl), Some(Duration::from_secs(60)));
    assert_eq!((config.cache.memory_bytes, config.cache.disk_bytes), (64 << 20, 2_000_000_000));
    assert_eq!(config.server.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:3", "[::1]:3"]);
    assert!(config.upstream.offline);

    let list = |item: &str| vec![item.to_owned()];
    let flags = Flags {
        listen: list("127.0.0.1:4"),
        data: Some("~/d".to_owned()),
        upstream: Some("https://index.example/simple".to_owned()),
        file_origins: list("https://files.example"),
        page_ttl: Some("3m".to_owned()),
        memory: Some("128MiB".to_owned()),
        disk: Some("3GB".to_owned()),
        offline: true,
        log_format: Some("json".to_owned()),
        log_file: Some("~/log".to_owned()),
        public_url: Some("https://pypi.example:8443".to_owned()),
        allowed_hosts: list("Wheels.example"),
        root_password_file: Some("~/secret".to_owned()),
        user_creation: Some("anyone".to_owned()),
        upload_max: Some("2GB".to_owned()),
        devpi: DevpiGiven::default(),
    };
    let config = Config::load(file, &env, &flags).unwrap();
    assert_eq!(config.owners.root_password_file, Some(PathBuf::from("/home/a/secret")));
    assert_eq!((config.owners.anyone_makes_users, config.owners.upload_bytes_max), (true, 2_000_000_000));
    assert_eq!(config.server.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:4"]);
    assert_eq!(config.server.host_names(), ["wheels.example", "pypi.example:8443"]);
    assert_eq!(config.server.log_format, LogFormat::Json);
    let log = LogFileConfig { path: PathBuf::from("/home/a/log"), bytes_max: LOG_FILE_BYTES_DEFAULT };
    assert_eq!(config.server.log_file, Some(log));
    assert_eq!((config.cache.memory_bytes, config.cache.disk_bytes), (128 << 20, 3_000_000_000));
    assert_eq!(config.cache.data, PathBuf::from("/home/a/d"));
    let mirror = config.mirror(&IndexName::parse("root/pypi").unwrap()).unwrap();
    assert_eq!(
        (mirror.upstream.as_str(), mirror.page_ttl),
        ("https://index.example/simple/", Duration::from_secs(180))
    );
    assert_eq!(mirror.file_origins.iter().map(ToString::to_string).collect::<Vec<_>>(), ["https://files.example"]);
}

#[test]
fn another_upstream_has_no_file_origin_of_its_own() {
    let mirror = |text: &str| from_file(text).unwrap().mirrors.remove(0);
    assert!(mirror("upstream = 'https://index.example/simple/'").file_origins.is_empty());
    let explicit = format!("upstream = '{}'", public_index::SIMPLE_URL.trim_end_matches('/'));
    assert_eq!(mirror(&explicit).file_origins.len(), 1);
    assert_eq!(mirror("file_origins = 'https://files.example'").file_origins.len(), 1);
}

#[test]
fn reads_mirrors() {
    let text = r#"
        page_ttl = "5m"
        [[mirror]]
        name = "team/one"
        upstream = "http://10.0.0.5:8081/simple"
        username = "__token__"
        password_env = "SIDEWHEEL_TEAM_PASSWORD"
        [[mirror]]
        name = "team/two"
        upstream = "https://index.example/simple/"
        file_origins = ["https://files.example", "http://10.0.0.6:80"]
        username = "reader"
        password_file = "~/two.password"
        page_ttl = "1h"
    "#;
    let env = env(&[("SIDEWHEEL_TEAM_PASSWORD", "hunter2")]);
    let config = Config::load(Some(("f", text)), &env, &Flags::default()).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let [default, one, two] = config.mirrors.as_slice() else { panic!("{:?}", config.mirrors) };
    assert_eq!(default.name.as_str(), DEFAULT_INDEX);
    assert_eq!((one.name.as_str(), one.upstream.as_str()), ("team/one", "http://10.0.0.5:8081/simple/"));
    assert_eq!((one.page_ttl, one.file_origins.len()), (Duration::from_secs(300), 0));
    let password = PasswordSource::Env(Secret::new("hunter2".to_owned()));
    assert_eq!(one.credentials, Some(Credentials { username: "__token__".to_owned(), password }));
    assert_eq!((two.page_ttl, two.file_origins.len()), (Duration::from_secs(3600), 2));
    let password = PasswordSource::File(PathBuf::from("/home/a/two.password"));
    assert_eq!(two.credentials, Some(Credentials { username: "reader".to_owned(), password }));
}

#[test]
fn every_error_names_key_place_and_way_out() {
    let mirror = |rest: &str| format!("[[mirror]]\nname = 'team/one'\n{rest}");
    let upstream = |rest: &str| mirror(&format!("upstream = 'https://index.example/'\n{rest}"));
    for (text, words) in [
        ("page_tll = '1m'".to_owned(), &["sidewheel.toml", "\"page_tll\"", "did you mean \"page_ttl\""][..]),
        ("page-ttl = '1m'".to_owned(), &["did you mean \"page_ttl\""]),
        ("zzzzzzzz = 1".to_owned(), &["\"zzzzzzzz\"", "there are allowed_hosts, data"]),
        ("\n\npage_ttl = ".to_owned(), &["sidewheel.toml, line 3", "not TOML"]),
        ("page_ttl = '1m'\npage_ttl = '2m'".to_owned(), &["line 2"]),
        ("page_ttl = 600".to_owned(), &["page_ttl", "sidewheel.toml", "\"600\"", "10m", "at most 30d"]),
        ("page_ttl = 1.5".to_owned(), &["page_ttl", "(float)", "a text in quotes"]),
        ("page_ttl = ['1m']".to_owned(), &["page_ttl", "one value, not a list"]),
        ("memory = '1MiB'".to_owned(), &["memory", "1MiB", "at least 16MiB"]),
        ("listen = []".to_owned(), &["listen", "empty"]),
        ("listen = ['127.0.0.1:1', '127.0.0.1:1']".to_owned(), &["listen", "twice"]),
        ("listen = 'wheels:3141'".to_owned(), &["listen", "wheels:3141", "127.0.0.1:3141"]),
        ("log_format = 'xml'".to_owned(), &["log_format", "xml", "human or json"]),
        ("log_file = '/l'\nlog_file_max = '1kB'".to_owned(), &["log_file_max", "1kB", "at least 100kB"]),
        ("log_file_max = '1MB'".to_owned(), &["log_file_max", "log_file"]),
        ("offline = 'perhaps'".to_owned(), &["offline", "perhaps", "on or off"]),
        (
            "upstream = 'https://u:hunter2@index.example/'".to_owned(),
            &["upstream", "***@index.example", "password_file"],
        ),
        ("allowed_hosts = ['https://a']".to_owned(), &["allowed_hosts", "no scheme"]),
        ("mirror = 'a'".to_owned(), &["mirror", "[[mirror]]"]),
        ("mirror = { password = 'hunter2' }".to_owned(), &["mirror", "(table)", "[[mirror]]"]),
        ("mirror = ['hunter2']".to_owned(), &["mirror", "(string)", "[[mirror]]"]),
        (mirror("password = hunter2"), &["line 3", "not TOML"]),
        (mirror("password = 'hunter2"), &["line 3", "not TOML"]),
        ("[[mirror]]\nupstream = 'https://index.example/'".to_owned(), &["name is missing", "number 1", "user/index"]),
        (mirror(""), &["upstream is missing", "team/one"]),
        (upstream("upstrem = 'x'"), &["upstrem", "[[mirror]] \"team/one\"", "did you mean \"upstream\""]),
        (upstream("password = 'hunter2'"), &["password_file", "password_env"]),
        (upstream("username = 'a'"), &["password_file is missing", "team/one"]),
        (upstream("password_file = '/p'"), &["username is missing"]),
        (upstream("username = 'a'\npassword_file = '/p'\npassword_env = 'HOME'"), &["password_env", "one of the two"]),
        (upstream("username = 'a'\npassword_env = 'NOT_SET'"), &["password_env", "NOT_SET", "not set"]),
        (upstream("username = 'a:b'\npassword_env = 'HOME'"), &["username", "without a colon"]),
        (upstream(&upstream("")), &["name", "team/one", "another mirror has this name"]),
        (upstream("").replace("team/one", "root/pypi"), &["root/pypi", "top of the file"]),
        (upstream("").replace("team/one", "simple/x"), &["simple/x", "/simple/", "choose another user"]),
        (upstream("").replace("team/one", "pypi/x"), &["pypi/x", "choose another user"]),
        (upstream("").replace("team/one", "team"), &["name", "user/index"]),
    ] {
        let error = from_file(&text).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{text}\n{error}\nlacks {word}");
        }
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn errors_name_variables_and_flags() {
    for (variable, value, words) in [
        ("SIDEWHEEL_PAGE_TLL", "1m", &["SIDEWHEEL_PAGE_TLL", "did you mean \"SIDEWHEEL_PAGE_TTL\""][..]),
        ("SIDEWHEEL_MIRROR", "a", &["SIDEWHEEL_MIRROR", "there are SIDEWHEEL_ALLOWED_HOSTS"]),
        ("SIDEWHEEL_page_ttl", "1m", &["did you mean \"SIDEWHEEL_PAGE_TTL\""]),
        ("SIDEWHEEL_DISK", "lots", &["disk", "SIDEWHEEL_DISK", "lots", "512MB"]),
    ] {
        let error = Config::load(None, &env(&[(variable, value)]), &Flags::default()).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
    let flags = Flags { file_origins: vec!["files.example".to_owned()], ..Flags::default() };
    let error = Config::load(None, &home(), &flags).unwrap_err().to_string();
    assert!(
        ["file_origins", "--file-origin", "files.example", "https://"].iter().all(|word| error.contains(word)),
        "{error}"
    );
}

#[test]
fn the_example_is_right() {
    let example = include_str!("../../sidewheel.example.toml");
    let is_setting = |line: &str| {
        let key = line.split(" = ").next().filter(|key| key.len() < line.len());
        line.starts_with("[[")
            || key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    };
    let mut settings = Vec::new();
    for line in example.lines().filter_map(|line| line.strip_prefix("# ")) {
        if is_setting(line) {
            settings.push(line);
        }
    }
    let text = settings.join("\n");
    let config = from_file(&text).unwrap();
    for (key, _) in sources::KEYS {
        assert!(text.contains(&format!("{key} = ")) || text.contains(&format!("[[{key}]]")), "{key} is not shown");
    }
    for key in sources::MIRROR_KEYS {
        assert!(example.contains(key), "{key} is not shown");
    }
    // What is shown as a default is one.
    let default = defaults();
    assert_eq!(config.server.listen, default.server.listen);
    assert_eq!(config.server.log_format, default.server.log_format);
    assert_eq!(config.upstream, default.upstream);
    // Where "none" is the default, an example is shown.
    let owners = OwnersConfig { push_origins: Vec::new(), root_password_file: None, ..config.owners.clone() };
    assert_eq!(owners, default.owners);
    let sizes = |config: &Config| (config.cache.memory_bytes, config.cache.disk_bytes);
    assert_eq!(sizes(&config), sizes(&default));
    assert_eq!(
        config.mirrors.first().map(|mirror| mirror.page_ttl),
        default.mirrors.first().map(|mirror| mirror.page_ttl)
    );
    // As it stands it says nothing.
    assert_eq!(from_file(example), Ok(default));
    for url in [public_index::SIMPLE_URL, public_index::FILE_ORIGIN] {
        let host = url.trim_start_matches("https://").split('/').next().unwrap();
        assert!(!example.contains(host));
    }
}

proptest! {
    #[test]
    fn never_panics(text in "(page_ttl|memory|listen|mirror|upstream|x) ?= ?['\"\\[{]?.{0,20}['\"\\]}]?\n|\\[\\[mirror\\]\\]\n[a-z_]{0,9} = .{0,9}|.{0,60}") {
        if let Err(error) = from_file(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
