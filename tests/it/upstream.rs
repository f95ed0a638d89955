//! The room `upstream` against servers that break the rules.

mod addresses;
mod files;
mod pages;
mod streams;

use crate::support::upstream::Upstream as Scripted;
use sidewheel::names::ProjectName;
use sidewheel::upstream::{Clients, ClientsConfig, FetchError, MirrorSite, PageFetch, Upstream};
use std::time::Duration;
use url::Url;

/// Long enough that only a fault lets it run out.
const LONG: Duration = Duration::from_secs(60);

fn config() -> ClientsConfig {
    ClientsConfig { system_proxy: false, read_timeout: LONG, ..ClientsConfig::default() }
}

fn site(scripted: &Scripted) -> MirrorSite {
    let base = Url::parse(&scripted.base()).unwrap();
    MirrorSite { base, base_is_listed: true, file_origins: Vec::new(), credentials: None, page_timeout: LONG }
}

fn room_with(site: MirrorSite, config: ClientsConfig) -> Upstream {
    Upstream::new(site, &Clients::new(config).unwrap())
}

fn room(scripted: &Scripted) -> Upstream {
    room_with(site(scripted), config())
}

fn demo() -> ProjectName {
    ProjectName::parse("demo").unwrap()
}

const PAGE: &str = "/simple/demo/";

/// A scripted upstream with one project of one small file.
async fn scripted() -> Scripted {
    let scripted = Scripted::start().await;
    scripted.project("demo").wheel("demo-1.0.tar.gz", &b"not really an archive, but bytes enough"[..]);
    scripted
}

async fn page(room: &Upstream) -> Result<PageFetch, FetchError> {
    room.page(&demo(), None, false).await
}

async fn body(room: &Upstream) -> bytes::Bytes {
    match page(room).await {
        Ok(PageFetch::Page { body, .. }) => body.bytes().clone(),
        other => panic!("no page but {other:?}"),
    }
}
