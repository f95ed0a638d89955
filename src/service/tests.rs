use super::hands::Ran;
use super::*;
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::path::Path;

fn user(home: &Path, manager: Manager) -> Place {
    let scope = Scope::User { home: home.to_owned(), config_home: home.join(".config"), uid: 501 };
    Place { manager, scope, label: Label::parse(manager.default_label()).unwrap() }
}

fn system(manager: Manager, run_as: Option<&str>) -> Place {
    let run_as = run_as.map(|name| UserId::parse(name).unwrap());
    Place { manager, scope: Scope::System { run_as }, label: Label::parse(manager.default_label()).unwrap() }
}

fn plain(text: &str) -> Plain {
    Plain::parse("text", text).unwrap()
}

fn plan(place: Place, data: &str) -> Plan {
    let logs = (place.manager == Manager::Launchd).then(|| format!("{data}/logs"));
    let log = |name: &str| logs.as_ref().map(|logs| plain(&format!("{logs}/{name}")));
    let plan = Plan {
        program: plain("/usr/local/bin/sidewheel"),
        arguments: ["serve", "--config", "/etc/sidewheel.toml"].map(plain).to_vec(),
        data: plain(data),
        config: plain("/etc/sidewheel.toml"),
        log: log("sidewheel.log"),
        output: log("out").zip(log("err")),
        listen: vec![Listen::Tcp(([127, 0, 0, 1], 3141).into())],
        socket_activation: false,
        environment: Vec::new(),
        root_password_file: None,
        memory_bytes: 256 << 20,
        directories: Vec::new(),
        settings: "00".to_owned(),
        place,
    };
    plan.checked().unwrap()
}

fn service_text(plan: &Plan) -> String {
    plan.rendered().pop().unwrap().text
}

/// A service manager of which only the commands are real.
#[derive(Default)]
struct Fake {
    typed: RefCell<Vec<String>>,
    /// A session is there.
    session: Cell<bool>,
    loaded: Cell<bool>,
    enabled: Cell<bool>,
    /// How often it is still there after it was told to go.
    lingers: Cell<u32>,
}

impl Fake {
    fn new() -> Self {
        Self { session: Cell::new(true), ..Self::default() }
    }

    /// What was typed since the last look and changes something.
    fn changes(&self) -> Vec<String> {
        let typed = self.typed.take();
        typed
            .into_iter()
            .filter(|line| !line.contains(" show ") && !line.contains(" print ") && !line.starts_with("ps"))
            .collect()
    }
}

impl Hands for Fake {
    fn run(&self, command: &[&str]) -> io::Result<Ran> {
        self.typed.borrow_mut().push(command.join(" "));
        let words: Vec<_> = command.iter().copied().filter(|word| *word != "--user").collect();
        let answer = |code: i32, out: &str| Ok(Ran { code: Some(code), out: out.to_owned(), err: String::new() });
        let loaded = self.loaded.get();
        match words.as_slice() {
            ["systemctl", "show", ..] => answer(
                0,
                &format!(
                    "MainPID={}\nLoadState=loaded\nActiveState={}\nUnitFileState={}\nExecMainStatus=0\nMemoryCurrent=[not set]\n\
                 ActiveEnterTimestamp=Tue 2026-11-24 23:13:36 UTC\nExecMainExitTimestampMonotonic=0\n",
                    if loaded { 42 } else { 0 },
                    if loaded { "active" } else { "inactive" },
                    if self.enabled.get() { "enabled" } else { "disabled" },
                ),
            ),
            ["systemctl", "start" | "restart", unit] | ["launchctl", "bootstrap", _, unit] => {
                self.loaded.set(self.loaded.get() || !unit.ends_with(".socket"));
                answer(0, "")
            }
            ["systemctl", "enable", _] => {
                self.enabled.set(true);
                answer(0, "")
            }
            ["systemctl", "stop", _] | ["systemctl", "disable", "--now", _] => {
                self.loaded.set(false);
                answer(0, "")
            }
            ["launchctl", "print", target] if target.matches('/').count() == 1 => {
                answer(if self.session.get() { 0 } else { 113 }, "")
            }
            ["launchctl", "print", _] if self.lingers.get() > 0 => {
                self.lingers.set(self.lingers.get() - 1);
                answer(0, "\tstate = exiting\n")
            }
            ["launchctl", "print", _] if loaded => answer(
                0,
                "gui/501/net.sidewheel.server = {\n\tstate = running\n\n\tpid = 42\n\tlast exit code = 78: EX_CONFIG\n}\n",
            ),
            ["launchctl", "print", _] => answer(113, ""),
            ["launchctl", "bootout", _] => {
                self.loaded.set(false);
                self.lingers.set(3);
                answer(36, "")
            }
            ["ps", ..] => answer(0, "  51200 Tue Nov 24 23:13:36 2026\n"),
            _ => answer(0, ""),
        }
    }

    fn ready(&self, _: &Listen) -> bool {
        self.loaded.get()
    }

    fn pause(&self) {}
}

#[test]
fn a_users_unit_is_installed_once_and_restarted_only_on_change() {
    let home = tempfile::tempdir().unwrap();
    let mut plan = plan(user(home.path(), Manager::Systemd), &home.path().join("data").display().to_string());
    let hands = Fake::new();
    let first = plan.install(&hands, false).unwrap();
    let file = home.path().join(".config/systemd/user/sidewheel.service");
    assert_eq!(first, Installed { written: vec![file.clone()], started: Started::Started });
    assert_eq!(
        hands.changes(),
        [
            "systemctl --user daemon-reload",
            "systemctl --user enable sidewheel.service",
            "systemctl --user reset-failed sidewheel.service",
            "systemctl --user start sidewheel.service",
        ]
    );
    assert_eq!(plan.install(&hands, false).unwrap(), Installed { written: vec![], started: Started::Untouched });
    assert!(hands.changes().is_empty());

    plan.settings = "01".to_owned();
    assert_eq!(plan.install(&hands, false).unwrap().started, Started::Restarted, "the settings changed");
    assert_eq!(
        hands.changes(),
        [
            "systemctl --user daemon-reload",
            "systemctl --user reset-failed sidewheel.service",
            "systemctl --user restart sidewheel.service",
        ]
    );
    assert_eq!(plan.place.record().unwrap(), Some(plan.record()));
    let standing = plan.place.standing(&hands).unwrap();
    assert_eq!(
        (standing.running, standing.pid, standing.memory_bytes, standing.last_exit),
        (true, Some(42), None, None)
    );

    hands.changes();
    assert_eq!(plan.place.uninstall(&hands).unwrap(), std::slice::from_ref(&file));
    assert!(!file.exists());
    assert_eq!(hands.changes(), ["systemctl --user disable --now sidewheel.service", "systemctl --user daemon-reload"]);
    assert_eq!(plan.place.record().unwrap(), None);
}

#[test]
fn sockets_pass_to_systemd_and_back() {
    let home = tempfile::tempdir().unwrap();
    let mut plan = plan(user(home.path(), Manager::Systemd), &home.path().join("data").display().to_string());
    let hands = Fake::new();
    plan.install(&hands, false).unwrap();
    hands.changes();
    plan.socket_activation = true;
    plan.install(&hands, false).unwrap();
    assert_eq!(
        hands.changes(),
        [
            "systemctl --user daemon-reload",
            "systemctl --user stop sidewheel.service",
            "systemctl --user enable sidewheel.socket",
            "systemctl --user restart sidewheel.socket",
            "systemctl --user reset-failed sidewheel.service",
            "systemctl --user restart sidewheel.service",
        ]
    );
    plan.settings = "02".to_owned();
    plan.memory_bytes *= 2;
    plan.install(&hands, false).unwrap();
    assert!(!hands.changes().iter().any(|line| line.contains(".socket")), "connections wait in a socket that stays");
    plan.socket_activation = false;
    plan.install(&hands, false).unwrap();
    assert!(!plan.place.socket_file().exists());
    assert!(hands.changes().contains(&"systemctl --user disable --now sidewheel.socket".to_owned()));
    plan.socket_activation = true;
    plan.install(&hands, false).unwrap();
    hands.changes();
    assert_eq!(plan.place.uninstall(&hands).unwrap().len(), 2);
    assert_eq!(hands.changes().first().map(String::as_str), Some("systemctl --user disable --now sidewheel.socket"));
}

#[test]
fn a_launch_agent_is_loaded_once_and_anew_only_on_change() {
    let home = tempfile::tempdir().unwrap();
    let mut plan = plan(user(home.path(), Manager::Launchd), &home.path().join("data").display().to_string());
    let hands = Fake::new();
    let first = plan.install(&hands, false).unwrap();
    let file = home.path().join("Library/LaunchAgents/net.sidewheel.server.plist");
    assert_eq!(first, Installed { written: vec![file.clone()], started: Started::Started });
    let bootstrap = format!("launchctl bootstrap gui/501 {}", file.display());
    assert_eq!(hands.changes(), ["launchctl enable gui/501/net.sidewheel.server", &bootstrap]);
    assert!(home.path().join("data/logs").is_dir(), "launchd makes files, not directories");
    assert_eq!(plan.install(&hands, false).unwrap().started, Started::Untouched);
    assert!(hands.changes().is_empty());
    plan.settings = "01".to_owned();
    assert_eq!(plan.install(&hands, false).unwrap().started, Started::Restarted);
    assert_eq!(
        hands.changes(),
        ["launchctl bootout gui/501/net.sidewheel.server", "launchctl enable gui/501/net.sidewheel.server", &bootstrap,]
    );
    assert_eq!(hands.lingers.get(), 0, "the old job is gone before the new one is loaded");
    let standing = plan.place.standing(&hands).unwrap();
    assert_eq!((standing.pid, standing.memory_bytes, standing.last_exit), (Some(42), Some(51_200 * 1024), Some(78)));
    assert_eq!(standing.since.as_deref(), Some("Tue Nov 24 23:13:36 2026"));
    plan.place.replace(&hands).unwrap();
    plan.place.uninstall(&hands).unwrap();
    assert_eq!(
        hands.changes(),
        ["launchctl kickstart -k gui/501/net.sidewheel.server", "launchctl bootout gui/501/net.sidewheel.server",]
    );
    assert!(!file.exists());

    hands.session.set(false);
    let why = plan.install(&hands, false).unwrap_err().to_string();
    assert!(why.contains("gui/501") && why.contains("--system"), "{why}");
}

#[test]
fn what_is_not_ours_stays() {
    let home = tempfile::tempdir().unwrap();
    for manager in [Manager::Launchd, Manager::Systemd] {
        let plan = plan(user(home.path(), manager), &home.path().join("data").display().to_string());
        let file = plan.place.file();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "by hand").unwrap();
        let hands = Fake::new();
        for why in [plan.install(&hands, false).map(drop), plan.place.uninstall(&hands).map(drop)] {
            let why = why.unwrap_err().to_string();
            assert!(why.contains(&file.display().to_string()) && why.contains("--force"), "{why}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "by hand");
        assert!(hands.changes().is_empty());
        plan.install(&hands, true).unwrap();
        assert!(is_ours(&std::fs::read_to_string(&file).unwrap()));
    }
}

#[test]
fn a_unit_of_the_machine_has_its_own_places_or_those_of_its_user() {
    let made_up = service_text(&plan(system(Manager::Systemd, None), "/var/lib/sidewheel"));
    for line in [
        "DynamicUser=yes",
        "User=sidewheel",
        "StateDirectory=sidewheel",
        "ProtectHome=yes",
        "WantedBy=multi-user.target",
    ] {
        assert!(made_up.lines().any(|is| is == line), "{line} is missing:\n{made_up}");
    }
    let mut own = plan(system(Manager::Systemd, Some("ada")), "/srv/wheels of ada");
    own.listen.push(Listen::Unix("/run/sidewheel/http.sock".into()));
    own.root_password_file = Some(plain("/etc/sidewheel/root 100%"));
    own.environment = vec![Environment::parse("HTTPS_PROXY=http://proxy:3128").unwrap()];
    let text = service_text(&own);
    for line in [
        "User=ada",
        "ReadWritePaths=\"/srv/wheels of ada\"",
        "RuntimeDirectory=sidewheel",
        "LoadCredential=root-password:/etc/sidewheel/root 100%%",
        "Environment=SIDEWHEEL_ROOT_PASSWORD_FILE=%d/root-password",
        "Environment=HTTPS_PROXY=http://proxy:3128",
    ] {
        assert!(text.lines().any(|is| is == line), "{line} is missing:\n{text}");
    }
    assert!(!text.contains("DynamicUser"));
    let stray = Plan { data: plain("/srv/wheels"), ..plan(system(Manager::Systemd, None), "/var/lib/sidewheel") };
    let why = stray.checked().unwrap_err().to_string();
    assert!(why.contains("/srv/wheels") && why.contains("--run-as"), "{why}");
}

#[test]
fn secrets_and_broken_words_are_refused() {
    for text in
        ["A", "=b", "1A=b", "A B=c", "A=b\nc", "UV_PASSWORD=x", "GITHUB_TOKEN=x", "HTTPS_PROXY=http://ada:secret@proxy"]
    {
        let why = Environment::parse(text).unwrap_err().to_string();
        assert!(!why.contains("secret@") && !why.contains("=x"), "{why}");
    }
    for text in ["", "a\nb", "a\0", "\u{1b}", " a", "a ", "a\\", "\u{85}"] {
        assert!(Plain::parse("text", text).is_err(), "{text:?}");
    }
    for text in ["", ".a", "-a", "a/b", "a b", "ä", "a@b"] {
        assert!(Label::parse(text).is_err() && UserId::parse(text).is_err(), "{text:?}");
    }
    assert!(Plain::of("path", Path::new("relative")).is_err());
}

#[test]
fn two_addresses_and_port_0_cannot_be_held_for_us() {
    let mut two = plan(user(Path::new("/home/a"), Manager::Launchd), "/d");
    two.socket_activation = true;
    assert!(two.clone().checked().is_ok());
    two.listen.push(Listen::Unix("/s".into()));
    assert!(two.clone().checked().is_err());
    two.place = user(Path::new("/home/a"), Manager::Systemd);
    assert!(two.clone().checked().is_ok());
    two.listen = vec![Listen::Tcp(([127, 0, 0, 1], 0).into())];
    assert!(two.checked().is_err());
}

proptest! {
    #[test]
    fn launchd_reads_what_was_meant(words in proptest::collection::vec("[ -~é]{0,12}", 0..4), data in "/[ -~]{0,12}x") {
        let mut job = plan(user(Path::new("/home/a"), Manager::Launchd), &data);
        job.arguments = words.iter().map(|word| plain(&format!("/{word}x"))).collect();
        job.socket_activation = true;
        let text = service_text(&job);
        let value = ::plist::Value::from_reader_xml(text.as_bytes()).unwrap();
        let job_read = value.as_dictionary().unwrap();
        let arguments = job_read.get("ProgramArguments").unwrap().as_array().unwrap();
        let read: Vec<_> = arguments.iter().map(|word| word.as_string().unwrap()).collect();
        prop_assert_eq!(read, job.command());
        prop_assert_eq!(Record::find(&text), Some(job.record()));
        let node = job_read.get("Sockets").unwrap().as_dictionary().unwrap().get("Listeners").unwrap();
        prop_assert_eq!(node.as_dictionary().unwrap().get("SockServiceName").unwrap().as_string(), Some("3141"));
    }
}
