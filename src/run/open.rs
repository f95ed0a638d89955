use super::{RunError, read, say};
use crate::auth::Auth;
use crate::cache::{Disk, Space};
use crate::clock::Clock;
use crate::config::{Config, Credentials as Configured, MirrorConfig, PasswordSource};
use crate::index::{Index, Mirror, MirrorMaker, MirrorRules, Parts};
use crate::metrics::Metrics;
use crate::rules::UserCreation;
use crate::store::{FORMAT, Migrated, PRIVATE_FILE, Private, Store, StoreError, check_format, migrate};
use crate::upstream::{Clients, ClientsConfig, Credentials, MirrorSite, Origin, Upstream};
use std::fs::File;
use std::path::Path;

/// What an index stands on.
pub(super) struct Ground {
    pub clients: Clients,
    pub disk: Disk,
    pub store: Store,
    pub private: Private,
}

/// Opens the data directory, under the lock of the process that was here before where one hands it over.
pub(super) async fn open_data(config: &Config, lock: Option<File>) -> Result<Ground, RunError> {
    let data = &config.cache.data;
    let wanted = ClientsConfig { connect_timeout: config.upstream.connect_timeout, ..Default::default() };
    // It reads hundreds of certificates, for which nothing here has to wait.
    let clients = tokio::task::spawn_blocking(move || Clients::new(wanted));
    // First: a backup's directory, or a newer one, is not even locked.
    check_format(data)?;
    let disk = Disk::open_with(data, lock)?;
    bring_up(data).await?;
    let store = open_store(data).await?;
    let private = open_private(data).await?;
    let clients = clients.await.map_err(std::io::Error::from)??;
    Ok(Ground { clients, disk, store, private })
}

/// Brings a directory of an older format up; the caller holds its lock.
async fn bring_up(data: &Path) -> Result<(), RunError> {
    if Space::of(data) != Space::Writable {
        return Ok(());
    }
    if let Some(Migrated { from, kept }) = migrate(data).await? {
        say(&format!(
            "{} was brought from format {from} to {FORMAT}; its databases as they were are in {}",
            data.display(),
            kept.display()
        ));
    }
    Ok(())
}

pub(super) async fn open_index(
    config: &Config,
    ground: Ground,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<Index, RunError> {
    let Ground { clients, disk, store, private } = ground;
    let mut mirrors = Vec::new();
    for mirror in &config.mirrors {
        let upstream = Upstream::new(site(mirror, config)?, &clients);
        let ttl_ms = mirror.page_ttl.as_millis() as u64;
        mirrors.push(Mirror {
            name: mirror.name.clone(),
            upstream,
            ttl_ms,
            rules: MirrorRules::default(),
            health: Default::default(),
        });
    }
    let ttl_ms = config.mirrors.first().map_or(0, |mirror| mirror.page_ttl.as_millis() as u64);
    let push_origins = config.owners.push_origins.iter().map(|origin| Origin::parse(&origin.to_string()));
    Ok(Index::open(Parts {
        clock: clock.clone(),
        metrics: metrics.clone(),
        store,
        private,
        disk,
        auth: Auth::new(clock.clone())?,
        mirrors,
        maker: MirrorMaker { clients, page_timeout: config.upstream.page_timeout, ttl_ms },
        user_creation: match config.owners.anyone_makes_users {
            true => UserCreation::Anyone,
            false => UserCreation::RootOnly,
        },
        push_origins: push_origins.collect::<Result<_, _>>()?,
        public_url: public_url(config),
        memory_bytes: config.cache.memory_bytes,
        disk_bytes: config.cache.disk_bytes,
        offline: config.upstream.offline,
        backfill: config.upstream.metadata_backfill,
    })
    .await?)
}

/// What clients outside call us, without a slash at the end.
pub(super) fn public_url(config: &Config) -> Option<String> {
    config.server.public_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned())
}

/// A directory that cannot be written is no reason not to serve: what is there is read, nothing new is kept.
async fn open_store(data: &Path) -> Result<Store, RunError> {
    let space = Space::of(data);
    if space != Space::ReadOnly {
        match Store::open(data).await {
            Err(StoreError::Open { .. }) if space == Space::Full => {}
            opened => return Ok(opened?),
        }
    }
    tracing::error!(data = %data.display(), ?space, "the data directory cannot be written; nothing new is kept");
    match Store::open_read_only(data).await {
        Ok(store) => Ok(store),
        Err(why) => {
            tracing::warn!(%why, "what was known of pages is not at hand");
            Ok(Store::in_memory().await?)
        }
    }
}

/// What users own, as far as the disk allows. A database that holds something and cannot be read is not passed over.
async fn open_private(data: &Path) -> Result<Private, RunError> {
    let space = Space::of(data);
    if space != Space::ReadOnly {
        match Private::open(data).await {
            Err(StoreError::OpenPrivate { .. }) if space == Space::Full => {}
            opened => return Ok(opened?),
        }
    }
    let holds_something = std::fs::metadata(data.join(PRIVATE_FILE)).is_ok_and(|facts| facts.len() > 0);
    Ok(match holds_something {
        true => Private::open_read_only(data).await?,
        false => Private::empty().await?,
    })
}

pub(super) fn site(mirror: &MirrorConfig, config: &Config) -> Result<MirrorSite, RunError> {
    let credentials = match &mirror.credentials {
        Some(Configured { username, password }) => Some(Credentials::new(
            username,
            match password {
                PasswordSource::Env(secret) => secret.expose().to_owned(),
                PasswordSource::File(path) => read(path)?.trim_end_matches(['\r', '\n']).to_owned(),
            },
        )),
        None => None,
    };
    let file_origins = mirror.file_origins.iter().map(|origin| Origin::parse(&origin.to_string()));
    Ok(MirrorSite {
        base: mirror.upstream.clone(),
        base_is_listed: true,
        file_origins: file_origins.collect::<Result<_, _>>()?,
        credentials,
        page_timeout: config.upstream.page_timeout,
    })
}
