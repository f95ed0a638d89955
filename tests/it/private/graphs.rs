//! Random graphs of indexes, asked in every way for every name: what the pure rule hides never reaches upstream, and no
//! page shows a file that it hides.

use super::{ALICE, ROOT, make_index, private_house, upload};
use crate::support::house::{House, PAGE_TTL};
use crate::support::{sha256, wheel, wheel_filename};
use serde_json::{Value, json};
use sidewheel::names::{IndexName, ProjectName};
use sidewheel::rules::{self, IndexSettings, Sources};
use std::collections::{BTreeMap, BTreeSet, HashSet};

const GRAPHS: u64 = 20;
const STAGES: u64 = 4;
const NAMES: u64 = 4;

/// splitmix64: the same seed gives the same graph.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in so many of ten cases.
    fn often(&mut self, tenths: u64) -> bool {
        self.below(10) < tenths
    }

    fn some<T: Clone>(&mut self, of: &[T], tenths: u64) -> Vec<T> {
        let mut some: Vec<T> = of.iter().filter(|_| self.often(tenths)).cloned().collect();
        for at in 1..some.len() {
            some.swap(at, self.below(at as u64 + 1) as usize);
        }
        some
    }
}

/// A file that a mirror has.
struct Mirrored {
    mirror: &'static str,
    filename: String,
    bytes: Vec<u8>,
    /// Upstream's path of it, without its first slash.
    path: String,
}

/// What the test knows by itself.
struct Graph {
    stages: Vec<String>,
    names: Vec<String>,
    mirrored: BTreeMap<String, Vec<Mirrored>>,
    /// Stages and the names that they have or had.
    owned: HashSet<(IndexName, String)>,
    /// What they have now: file names.
    has: BTreeMap<(IndexName, String), BTreeSet<String>>,
}

#[tokio::test]
async fn what_the_rule_hides_is_never_asked_and_never_shown() {
    let house = private_house().await;
    make_index(&house, "alice/sink", json!({ "bases": [] })).await;
    let (mut hidden, mut shown) = (0, 0);
    for seed in 0..GRAPHS {
        let mut random = Random(seed);
        let mut graph = graph(&house, &mut random, seed).await;
        for _ in 0..2 {
            set_up(&house, &mut random, &graph).await;
            let mut asked: Vec<String> = graph.stages.clone();
            asked.extend(["root/pypi".to_owned(), "team/torch".to_owned()]);
            for index in random.some(&asked, 6) {
                house.clock.advance(PAGE_TTL * 2);
                own(&house, &mut random, &mut graph).await;
                let (hid, showed) = ask_all(&house, &graph, seed, &index).await;
                (hidden, shown) = (hidden + hid, shown + showed);
            }
        }
        for (index, reserved) in [("root/pypi", json!({ "reserved": [] })), ("team/torch", json!({ "reserved": [] }))] {
            assert_eq!(house.api("PATCH", &format!("/{index}"), ROOT, reserved).await.status, 200);
        }
    }
    assert!(hidden > 100 && shown > 100, "the graphs are too tame: {hidden} hidden, {shown} shown");
    house.end().await;
}

/// Makes the stages of a graph, without any bases yet, and what upstream has of its names.
async fn graph(house: &House, random: &mut Random, seed: u64) -> Graph {
    let stages: Vec<_> = (0..STAGES).map(|n| format!("alice/g{seed}-{n}")).collect();
    for stage in &stages {
        make_index(house, stage, json!({ "bases": [] })).await;
    }
    let names: Vec<_> =
        (0..NAMES).map(|n| format!("g{seed}-{}-x", ["acme", "acme-tools", "lib", "other"][n as usize])).collect();
    let mut mirrored: BTreeMap<String, Vec<Mirrored>> = BTreeMap::new();
    for name in &names {
        let mut found = Vec::new();
        if random.often(8) {
            let (filename, bytes) = (wheel_filename(name, "99.0"), wheel(name, "99.0", 50, 99));
            house.upstream.project(name).wheel(&filename, bytes.clone());
            found.push(Mirrored { mirror: "root/pypi", path: format!("files/{filename}"), filename, bytes });
        }
        if random.often(6) {
            let (filename, bytes) = (wheel_filename(name, "98.0"), wheel(name, "98.0", 50, 98));
            let path = format!("whl/files/{filename}");
            house.upstream.put(&format!("/{path}"), "application/octet-stream", bytes.clone());
            let page = json!({
                "meta": { "api-version": "1.1" }, "name": name, "versions": ["98.0"],
                "files": [{
                    "filename": filename, "url": house.upstream.url(&format!("/{path}")), "size": bytes.len(),
                    "hashes": { "sha256": sha256(&bytes) }
                }],
            });
            let kind = "application/vnd.pypi.simple.v1+json";
            house.upstream.put(&format!("/whl/{name}/"), kind, page.to_string());
            found.push(Mirrored { mirror: "team/torch", path, filename, bytes });
        }
        mirrored.insert(name.clone(), found);
    }
    Graph { stages, names, mirrored, owned: HashSet::new(), has: BTreeMap::new() }
}

/// Gives every index other settings.
async fn set_up(house: &House, random: &mut Random, graph: &Graph) {
    let mut bases = graph.stages.clone();
    bases.extend(["root/pypi".to_owned(), "team/torch".to_owned()]);
    let prefix = graph.names[0].split('-').next().unwrap();
    let patterns: Vec<_> = graph.names.iter().cloned().chain([format!("{}_ACME-*", prefix.to_uppercase())]).collect();
    let listed: Vec<_> = graph.names.iter().cloned().chain(["*".to_owned()]).collect();
    for stage in &graph.stages {
        let unknown = json!({ "bases": ["root/pypi", "alice/nowhere"] });
        assert_eq!(house.api("PATCH", &format!("/{stage}"), ALICE, unknown).await.status, 400);
        let inheritance = if random.often(5) { "union" } else { "intersection" };
        let settings = json!({
            "bases": random.some(&bases, 4), "mirror_whitelist": random.some(&listed, 2),
            "mirror_whitelist_inheritance": inheritance, "reserved": random.some(&patterns, 1),
        });
        let changed = house.api("PATCH", &format!("/{stage}"), ALICE, settings).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
    }
    for mirror in ["root/pypi", "team/torch"] {
        let reserved = json!({ "reserved": random.some(&patterns, 1) });
        assert_eq!(house.api("PATCH", &format!("/{mirror}"), ROOT, reserved).await.status, 200);
    }
}

/// A stage gets a release, or loses a project.
async fn own(house: &House, random: &mut Random, graph: &mut Graph) {
    let at = random.below(STAGES);
    let stage = graph.stages[at as usize].clone();
    let name = graph.names[random.below(NAMES) as usize].clone();
    let key = (IndexName::parse(&stage).unwrap(), name.clone());
    if graph.has.contains_key(&key) {
        assert_eq!(house.api("DELETE", &format!("/{stage}/{name}"), ALICE, json!({})).await.status, 200);
        graph.has.remove(&key);
    } else if random.often(7) {
        // Some are a mirror's own file name.
        let version = if random.often(3) { "99.0".to_owned() } else { format!("1.{at}") };
        let answer = upload(house, &stage, ALICE, &name, &version, &wheel(&name, &version, 50, at)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        graph.owned.insert(key.clone());
        graph.has.entry(key).or_default().insert(wheel_filename(&name, &version));
    }
}

/// Asks an index for all names in every way; how many names were hidden at some mirror and how many open at all.
async fn ask_all(house: &House, graph: &Graph, seed: u64, index: &str) -> (usize, usize) {
    let asked = IndexName::parse(index).unwrap();
    let catalog = house.index.catalog();
    let settings = |name: &IndexName| -> Option<&IndexSettings> { catalog.index(name).map(|entry| &entry.settings) };
    let order = rules::order(&asked, settings);
    let rule: BTreeMap<&String, Sources> = graph
        .names
        .iter()
        .map(|name| {
            let project = ProjectName::parse(name).unwrap();
            (name, rules::sources(&order, &project, |stage| graph.owned.contains(&(stage.clone(), name.clone()))))
        })
        .collect();
    house.upstream.forget_requests();
    let asking = graph.names.iter().map(|name| ask(house, graph, index, name, &rule[name]));
    futures_util::future::join_all(asking).await;
    house.get(&format!("/{index}/+simple/")).await;
    while house.index.under_way() > 0 {
        tokio::task::yield_now().await;
    }
    for seen in house.upstream.requests() {
        let path = seen.path.replace('_', "-");
        let mirror = if path.starts_with("/whl/") { "team/torch" } else { "root/pypi" };
        for (name, sources) in &rule {
            // `g1-acme-x` is no part of `g1-acme-tools-x`.
            if path.contains(name.as_str()) {
                let open = sources.mirrors.iter().any(|open| open.as_str() == mirror);
                assert!(open, "graph {seed}: {} was asked through {index}: {sources:?}", seen.path);
            }
        }
    }
    let hidden = rule.values().filter(|sources| sources.hidden.is_some()).count();
    (hidden, rule.values().filter(|sources| !sources.mirrors.is_empty()).count())
}

async fn ask(house: &House, graph: &Graph, index: &str, name: &str, sources: &Sources) {
    let open = |mirror: &str| sources.mirrors.iter().any(|open| open.as_str() == mirror);
    let no_cache = ("Cache-Control", "no-cache");
    // Files first: nothing is known of their pages yet.
    for file in &graph.mirrored[name] {
        let (digest, filename) = (sha256(&file.bytes), &file.filename);
        for place in [
            format!("+f/{}/{}", &digest[..3], &digest[3..16]),
            "+e/files".to_owned(),
            format!("+packages/{}", file.path.rsplit_once('/').unwrap().0),
        ] {
            for (method, ending) in [("HEAD", ""), ("GET", ".metadata"), ("GET", "")] {
                let path = format!("/{index}/{place}/{filename}{ending}");
                let answer = house.request(method, &path, &[]).await.unwrap();
                let from_mirror =
                    answer.status == 200 && (method == "HEAD" || !ending.is_empty() || *answer.body == *file.bytes);
                if !open(file.mirror) {
                    assert!(!from_mirror, "{method} {path}: {sources:?}");
                } else if ending.is_empty() && place.starts_with("+f") {
                    assert!(from_mirror, "{method} {path}: {} {sources:?}", answer.status);
                }
            }
        }
        let wish = json!({ "name": name, "version": file.filename.split('-').nth(1), "targetindex": "alice/sink" });
        let pushed = house.api("PUSH", &format!("/{index}"), ALICE, wish).await;
        assert!(pushed.status != 200 || open(file.mirror) || graph.stages.iter().any(|stage| stage == index));
    }
    let expected = expected(graph, name, sources);
    for accept in ["application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html"] {
        for headers in [vec![("Accept", accept)], vec![("Accept", accept), no_cache]] {
            let page = house.get_with(&format!("/{index}/+simple/{name}/"), &headers).await;
            assert!(matches!(page.status, 200 | 404), "{index} {name}: {} {}", page.status, page.text());
            let files = if page.status == 404 { BTreeSet::new() } else { files_of(&page.text()) };
            assert_eq!(files, expected, "{index} {name}: {sources:?}");
        }
    }
    let refresh = format!("/{index}/+simple/{name}/refresh");
    assert_eq!(house.api("POST", &refresh, None, json!({})).await.status, 302);
    for version in ["", "/99.0", "/98.0", "/latest"] {
        let info = house.api("GET", &format!("/{index}/{name}{version}"), None, json!({})).await;
        assert!(matches!(info.status, 200 | 404), "{}", info.text());
        if version.is_empty() && info.status == 200 {
            let versions = info.json()["result"].as_object().unwrap().clone();
            let links = versions.values().flat_map(|info| info["+links"].as_array().cloned().unwrap_or_default());
            let links: BTreeSet<_> = links.map(|link| last_part(&link["href"])).collect();
            assert_eq!(links, expected, "{index} {name}: {sources:?}");
        }
    }
    house.head(&format!("/{index}/+simple/{name}/")).await;
}

/// The file names that a page must show.
fn expected(graph: &Graph, name: &str, sources: &Sources) -> BTreeSet<String> {
    let key = |stage: &IndexName| (stage.clone(), name.to_owned());
    let own = sources.stages.iter().filter_map(|stage| graph.has.get(&key(stage))).flatten().cloned();
    let open = |file: &&Mirrored| sources.mirrors.iter().any(|open| open.as_str() == file.mirror);
    let mirrored = graph.mirrored[name].iter().filter(open).map(|file| file.filename.clone());
    own.chain(mirrored).collect()
}

/// The names of wheels in a page of either form, by its links.
fn files_of(page: &str) -> BTreeSet<String> {
    let links = page.split('"').filter(|text| text.starts_with("../") && !text.ends_with(".metadata"));
    links.map(|link| last_part(&Value::from(link.split('#').next().unwrap()))).collect()
}

fn last_part(link: &Value) -> String {
    link.as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}
