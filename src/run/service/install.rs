use super::{Env, place, pretty, server, service_env, tail};
use crate::cli::{Options, ServiceInstall, ServiceWish};
use crate::config::{Config, ENV_CONFIG, ENV_PREFIX, Flags, Listen};
use crate::names::Sha256;
use crate::run::{RunError, read, say};
use crate::service::{
    Environment, Hands, Installed, LOOK_EVERY, MARK, Manager, Place, Plain, Plan, RealHands, Scope, Started, UserId,
    is_ours, wait_until_ready, write,
};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use toml::Table;

/// The log's name, where only its directory is said.
const LOG_FILE: &str = "sidewheel.log";

/// Lines of the log that are shown when the server does not become ready.
const LOG_LINES: u32 = 20;

/// Most seconds that can be waited: an hour.
const WAIT_SECONDS_MAX: u32 = 3_600;

/// The configuration file of a service.
struct Settings {
    path: PathBuf,
    text: String,
    /// It is ours to write; whoever wrote it otherwise keeps it.
    ours: bool,
}

pub(super) fn install(wanted: ServiceInstall, env: &Env) -> Result<(), RunError> {
    let ServiceInstall { place: which, options, wish } = wanted;
    let run_as = wish.run_as.as_deref().map(UserId::parse).transpose()?;
    let place = place(&which, run_as, env)?;
    refuse(&place, &options, &wish)?;
    let settings = settings(&place, options, &wish, env)?;
    let plan = plan(place, &settings, &wish, env)?;
    if wish.print {
        print(&plan, &settings);
        return Ok(());
    }
    note_variables(&wish, env);
    let config_written = match settings.ours {
        true => write(&settings.path, &settings.text, wish.force)?,
        false => false,
    };
    let before = server(plan.data.path());
    let mut installed = plan.install(&RealHands, wish.force)?;
    if config_written {
        installed.written.insert(0, settings.path.clone());
    }
    // The same files, and yet another program than the one that runs.
    let older = before.is_some_and(|server| server.version != env!("CARGO_PKG_VERSION"));
    if older && installed.started == Started::Untouched {
        plan.place.replace(&RealHands)?;
        installed.started = Started::Restarted;
    }
    let looks = wish.wait.min(WAIT_SECONDS_MAX) * (1_000 / LOOK_EVERY.as_millis() as u32);
    let ready = wait_until_ready(&plan.listen, &RealHands, looks.max(1));
    tell(&plan, &installed, ready, wish.json);
    if ready { Ok(()) } else { Err(not_ready(&plan, wish.wait)) }
}

/// What cannot be meant.
fn refuse(place: &Place, options: &Options, wish: &ServiceWish) -> Result<(), RunError> {
    let system = matches!(place.scope, Scope::System { .. });
    let usage = |sentence: &str| Err(RunError::Usage(sentence.to_owned()));
    if options.flags.devpi != Default::default() {
        return usage(
            "a service is set up with Sidewheel's own names; `sidewheel check` tells them for devpi-server's options",
        );
    }
    if place.manager != Manager::here() && !wish.print {
        return usage("a service of another system can only be shown: add --print");
    }
    match &place.scope {
        Scope::System { run_as: None } if place.manager == Manager::Launchd => {
            usage("a LaunchDaemon would run as root; say with --run-as which user it shall be")
        }
        Scope::System { .. } if !rustix::process::geteuid().is_root() && !wish.print => {
            usage("only root installs a service of the machine; use sudo, or --user for a service of your own")
        }
        Scope::User { .. } if wish.run_as.is_some() && !system => {
            usage("--run-as is for a service of the machine: add --system")
        }
        _ => Ok(()),
    }
}

/// The configuration file: the one that is there, or one of ours with what was given here.
fn settings(place: &Place, options: Options, wish: &ServiceWish, env: &Env) -> Result<Settings, RunError> {
    let from_env = || env.get(ENV_CONFIG).filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = options.config.or_else(from_env).map(|path| std::path::absolute(&path)).transpose()?;
    let path = named.clone().unwrap_or_else(|| place.default_config());
    let present = match path.exists() {
        true => Some(read(&path)?),
        false => None,
    };
    let given = options.flags != Flags::default();
    match present {
        Some(text) if !given => return Ok(Settings { path, text, ours: false }),
        Some(text) if !is_ours(&text) && !wish.force => {
            let sentence = format!(
                "{} was not made by `sidewheel service install`, so that settings given here cannot go there; write them \
                 into it yourself, name another file with --config, or overwrite it with --force",
                path.display()
            );
            return Err(RunError::Usage(sentence));
        }
        None if named.is_some() && !given => return Err(RunError::Usage(format!("there is no {}", path.display()))),
        _ => {}
    }
    let mut flags = options.flags;
    for path in [&mut flags.data, &mut flags.log_file, &mut flags.root_password_file].into_iter().flatten() {
        *path = whole(path, env)?;
    }
    // What was given before stays, unless it is given anew.
    let mut table: Table = match present.filter(|text| is_ours(text)) {
        Some(text) => text.parse().map_err(|why: toml::de::Error| {
            RunError::Usage(format!(
                "{} is not TOML: {}; remove it, and give all settings anew",
                path.display(),
                why.message()
            ))
        })?,
        None => Table::new(),
    };
    table.extend(flags.as_table());
    if !table.contains_key("data") {
        table.insert("data".to_owned(), default_data(place, env)?.display().to_string().into());
    }
    if let (false, Some(directory)) = (table.contains_key("log_file"), log_directory(place, wish)?) {
        table.insert("log_file".to_owned(), directory.join(LOG_FILE).display().to_string().into());
    }
    let text = format!("# {MARK}\n# Without this line it is yours, and stays as it is.\n\n{table}");
    Ok(Settings { path, text, ours: true })
}

/// Everything resolved.
fn plan(place: Place, settings: &Settings, wish: &ServiceWish, env: &Env) -> Result<Plan, RunError> {
    let name = settings.path.display().to_string();
    // A service has no home that ~ could stand for, except a user's.
    let service_env = match &place.scope {
        Scope::User { .. } => service_env(env),
        Scope::System { .. } => Env::new(),
    };
    let says = |key: &str| settings.text.parse::<Table>().is_ok_and(|table| table.contains_key(key));
    let mut flags = Flags::default();
    let mut arguments = vec!["serve".to_owned(), "--config".to_owned(), name.clone()];
    if !says("data") {
        let data = default_data(&place, env)?.display().to_string();
        arguments.extend(["--data".to_owned(), data.clone()]);
        flags.data = Some(data);
    }
    let log_directory = log_directory(&place, wish)?;
    if let Some(directory) = log_directory.as_ref().filter(|_| !says("log_file")) {
        let file = directory.join(LOG_FILE).display().to_string();
        arguments.extend(["--log-file".to_owned(), file.clone()]);
        flags.log_file = Some(file);
    }
    let config = Config::load(Some((&name, &settings.text)), &service_env, &flags)?;
    crate::run::refuse_devpis_directory(&config.cache.data)?;
    let plain = |what: &'static str, path: &Path| Plain::of(what, path);
    let output = match (&log_directory, place.manager) {
        (Some(directory), Manager::Launchd) => Some((
            plain("the log directory", &directory.join("sidewheel.out.log"))?,
            plain("the log directory", &directory.join("sidewheel.err.log"))?,
        )),
        _ => None,
    };
    let password = config.owners.root_password_file.as_deref();
    let password =
        password.filter(|_| place.manager == Manager::Systemd && matches!(place.scope, Scope::System { .. }));
    let data = plain("the data directory", &config.cache.data)?;
    let log = config.server.log_file.as_ref().map(|log| plain("the log file", &log.path)).transpose()?;
    let plan = Plan {
        program: plain("the program's path", &program()?)?,
        arguments: arguments.iter().map(|text| Plain::parse("the argument", text)).collect::<Result<_, _>>()?,
        config: plain("the configuration file's path", &settings.path)?,
        output,
        listen: config.server.listen.clone(),
        socket_activation: wish.socket_activation,
        environment: wish.env.iter().map(|text| Environment::parse(text)).collect::<Result<_, _>>()?,
        root_password_file: password.map(|path| plain("the password's path", path)).transpose()?,
        memory_bytes: config.cache.memory_bytes,
        settings: Sha256::of(settings.text.as_bytes()).to_hex(),
        directories: Vec::new(),
        data,
        log,
        place,
    };
    Ok(plan.checked()?)
}

fn default_data(place: &Place, env: &Env) -> Result<PathBuf, RunError> {
    Ok(match place.default_data() {
        Some(data) => data,
        None => Config::load(None, &service_env(env), &Flags::default())?.cache.data,
    })
}

fn log_directory(place: &Place, wish: &ServiceWish) -> Result<Option<PathBuf>, RunError> {
    match &wish.log_dir {
        Some(directory) => Ok(Some(std::path::absolute(directory)?)),
        None => Ok(place.default_logs()),
    }
}

/// A path as it is meant here and now, from / on.
fn whole(path: &str, env: &Env) -> Result<String, RunError> {
    let path = match (path.strip_prefix("~/"), env.get("HOME")) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => PathBuf::from(path),
    };
    Ok(std::path::absolute(path)?.display().to_string())
}

/// The program as it was called, where that is a link to this one: the link stays when the program behind it is replaced.
fn program() -> Result<PathBuf, RunError> {
    let this = std::env::current_exe()?;
    let Some(called) = std::env::args_os().next().map(PathBuf::from) else { return Ok(this) };
    let candidates: Vec<_> = match called.components().count() {
        1 => std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).map(|at| at.join(&called)).collect(),
        _ => vec![std::path::absolute(called)?],
    };
    let is_this =
        |path: &PathBuf| path.canonicalize().is_ok_and(|path| this.canonicalize().is_ok_and(|this| path == this));
    Ok(candidates.into_iter().find(is_this).unwrap_or(this))
}

fn print(plan: &Plan, settings: &Settings) {
    let mut files: Vec<_> = plan.rendered().into_iter().map(|file| (file.path, file.text)).collect();
    if settings.ours {
        files.insert(0, (settings.path.clone(), settings.text.clone()));
    }
    match files.as_slice() {
        [(_, text)] => say(text.trim_end()),
        files => files.iter().for_each(|(path, text)| say(&format!("# {}\n{text}", path.display()))),
    }
}

/// Says which variables of this shell the service will not have.
fn note_variables(wish: &ServiceWish, env: &Env) {
    let given = |name: &str| wish.env.iter().any(|text| text.split('=').next() == Some(name));
    for name in env.keys().filter(|name| name.starts_with(ENV_PREFIX) && *name != ENV_CONFIG && !given(name)) {
        let sentence = "is set here, and the service will not have it; write it into its settings";
        let _ = writeln!(std::io::stderr(), "sidewheel: {name} {sentence}");
    }
}

fn tell(plan: &Plan, installed: &Installed, ready: bool, as_json: bool) {
    let Installed { written, started } = installed;
    let changed = !written.is_empty() || *started != Started::Untouched;
    let did = match started {
        Started::Untouched => "untouched",
        Started::Started => "started",
        Started::Restarted => "restarted",
    };
    if as_json {
        say(&pretty(
            &json!({ "changed": changed, "written": written, "service": did, "ready": ready, "data": plan.data.path() }),
        ));
        return;
    }
    written.iter().for_each(|path| say(&format!("wrote {}", path.display())));
    let label = plan.place.label.as_str();
    match started {
        Started::Untouched => say(&format!("nothing changed: {label} runs as it should")),
        _ => say(&format!("{label} ({}) was {did}", plan.place.manager)),
    }
    if !ready {
        return;
    }
    let addresses: Vec<_> = plan.listen.iter().map(address).collect();
    say(&format!("it is ready: {}", addresses.join(", ")));
    let password = plan.data.path().join("root-password");
    if *started == Started::Started && password.exists() {
        say(&format!("root's password is in {}; log in with it and delete the file", password.display()));
    }
    if let (Scope::User { uid, .. }, Manager::Systemd, true) = (&plan.place.scope, plan.place.manager, changed) {
        let lingers = RealHands.run(&["loginctl", "show-user", &uid.to_string(), "--property=Linger", "--value"]);
        if lingers.is_ok_and(|ran| ran.out.trim() == "no") {
            say("it ends when you log out; `loginctl enable-linger` lets it run on, and start at boot");
        }
    }
}

fn address(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => format!("http://{address}"),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn not_ready(plan: &Plan, seconds: u32) -> RunError {
    let mut log = String::new();
    if plan.place.manager == Manager::Systemd {
        let command = plan.place.journal(LOG_LINES, false);
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        log.push_str(&RealHands.run(&command).map(|ran| ran.out).unwrap_or_default());
    }
    for file in [plan.log.as_ref(), plan.output.as_ref().map(|(_, errors)| errors)].into_iter().flatten() {
        log.push_str(&tail(file.path(), LOG_LINES as usize));
        log.push('\n');
    }
    let log = match log.trim() {
        "" => "its log is empty".to_owned(),
        log => format!("the end of its log:\n{log}"),
    };
    RunError::NotReady(format!("the server was not ready within {seconds} seconds; {log}"))
}
