use super::House;
use super::files::FileFacts;
use super::keys::Content;
use super::mirror::Mirror;
use super::states::DocumentState;
use crate::names::{DistKind, Version};
use crate::simple::{File, ProjectPage};
use std::cmp::Reverse;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The wheels of a new page whose metadata is got before anybody asks, at most.
const WHEELS_MAX: usize = 6;

/// Releases of a page that are looked through for them, newest first.
const RELEASES_MAX: usize = 2;

/// Pages whose wheels are being looked at; a further one does without. So there is no backlog.
pub(super) const PAGES_MAX: usize = 8;

/// Between two wheels, so that a page costs upstream at most ten requests a second beside those of clients.
const PAUSE: Duration = Duration::from_millis(100);

impl House {
    /// Gets the metadata of the wheels that a resolver will ask for first, when the page does not announce it.
    ///
    /// Bounded in wheels, requests and rate; it never fetches a wheel, and ends with the page that it was begun for.
    pub(super) fn start_backfill(
        self: &Arc<Self>,
        mirror: &Arc<Mirror>,
        state: &Arc<DocumentState>,
        wheels: Vec<FileFacts>,
    ) {
        if wheels.is_empty() {
            return;
        }
        let Ok(permit) = Arc::clone(&self.backfilling).try_acquire_owned() else { return };
        let (house, mirror) = (Arc::clone(self), Arc::clone(mirror));
        let (state, digest) = (Arc::downgrade(state), state.latest());
        tokio::spawn(async move {
            let _permit = permit;
            for facts in wheels {
                tokio::time::sleep(PAUSE).await;
                let current = Weak::upgrade(&state).and_then(|state| state.latest());
                if current != digest || house.stopping() {
                    return;
                }
                house.prefetch_metadata(&mirror, Arc::new(facts)).await;
            }
        });
    }
}

/// The wheels of a new page that are worth it. A large page takes a while to look through.
pub(super) fn wanted(content: &Content) -> Vec<FileFacts> {
    let Content::Page(page) = content else { return Vec::new() };
    likely(page).into_iter().filter_map(|file| FileFacts::of(&page.name, file)).collect()
}

/// The wheels of the newest releases that fit this machine, which is where our clients run.
fn likely(page: &ProjectPage) -> Vec<&File> {
    let mut wheels: Vec<(Version, &File)> = page
        .files
        .iter()
        .filter(|file| file.filename.kind() == DistKind::Wheel && file.sha256.is_some() && file.size.is_some())
        .filter(|file| !file.core_metadata.is_offered() && !file.yanked.is_yanked() && fits(file))
        .filter_map(|file| Some((file.filename.version(&page.name)?, file)))
        .collect();
    // Final releases before pre-releases, newest first; within one, the newest Python first.
    wheels.sort_by_cached_key(|(version, file)| {
        Reverse((!version.any_prerelease(), version.clone(), python_version(file)))
    });
    let mut releases = Vec::new();
    let mut chosen = Vec::new();
    for (version, file) in wheels {
        if !releases.contains(&version) {
            releases.push(version);
        }
        if releases.len() > RELEASES_MAX || chosen.len() == WHEELS_MAX {
            break;
        }
        chosen.push(file);
    }
    chosen
}

fn fits(file: &File) -> bool {
    let Some((_, _, platform)) = file.filename.wheel_tags() else { return false };
    let system = match std::env::consts::OS {
        "macos" => "macosx",
        other => other,
    };
    let machine = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "arm64",
        (_, other) => other,
    };
    platform == "any" || (platform.contains(system) && (platform.contains(machine) || platform.contains("universal2")))
}

/// `cp313` as 313, `py3` as 3: larger is newer.
fn python_version(file: &File) -> u32 {
    let tag = file.filename.wheel_tags().map_or("", |(python, _, _)| python);
    let digits: String = tag.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}
