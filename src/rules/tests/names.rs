//! Where names may come from, over random graphs of indexes.

use crate::names::{IndexName, ProjectName, UserName};
use crate::rules::{Hidden, IndexSettings, STAGES_MAX, Sources, order, sources};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};

type Indexes = BTreeMap<IndexName, IndexSettings>;

fn name(raw: &str) -> IndexName {
    IndexName::parse(raw).unwrap()
}

fn project(raw: &str) -> ProjectName {
    ProjectName::parse(raw).unwrap()
}

fn settings(given: &Value) -> IndexSettings {
    IndexSettings::create(&UserName::parse("u").unwrap(), given.as_object().unwrap()).unwrap()
}

fn indexes(given: &[(&str, Value)]) -> Indexes {
    given.iter().map(|(index, given)| (name(index), settings(given))).collect()
}

fn ordered(indexes: &Indexes, asked: &str) -> Vec<String> {
    order(&name(asked), |name| indexes.get(name)).into_iter().map(|(name, _)| name.to_string()).collect()
}

fn found(indexes: &Indexes, asked: &str, owned: &[&str], wanted: &str) -> Sources {
    let order = order(&name(asked), |name| indexes.get(name));
    sources(&order, &project(wanted), |stage| owned.contains(&stage.as_str()))
}

#[test]
fn goes_breadth_first_and_puts_mirrors_last() {
    let indexes = indexes(&[
        ("u/a", json!({"bases": "m/1,u/b,u/gone,u/c"})),
        ("u/b", json!({"bases": "u/d,m/2,u/a,u/b"})),
        ("u/c", json!({"bases": "u/d,m/1,u/e"})),
        ("u/d", json!({})),
        ("u/e", json!({"bases": "u/a"})),
        ("m/1", json!({"type": "mirror"})),
        ("m/2", json!({"type": "mirror"})),
    ]);
    assert_eq!(ordered(&indexes, "u/a"), ["u/a", "u/b", "u/c", "u/d", "u/e", "m/1", "m/2"]);
    assert_eq!(ordered(&indexes, "m/1"), ["m/1"]);
    assert_eq!(ordered(&indexes, "u/gone"), [""; 0]);
}

#[test]
fn an_order_that_is_cut_has_no_mirrors() {
    let chain = |length: usize| -> Indexes {
        let stage = |at| (name(&format!("u/{at}")), settings(&json!({"bases": format!("m/1,u/{}", at + 1)})));
        (0..length).map(stage).chain([(name("m/1"), settings(&json!({"type": "mirror"})))]).collect()
    };
    assert_eq!(ordered(&chain(STAGES_MAX), "u/0").len(), STAGES_MAX + 1);
    let cut = ordered(&chain(STAGES_MAX + 1), "u/0");
    assert_eq!(cut.len(), STAGES_MAX);
    assert!(!cut.contains(&"m/1".to_owned()));
}

#[test]
fn an_owned_name_stays_at_home() {
    let indexes = indexes(&[
        ("u/top", json!({"bases": "u/base,m/1,m/2"})),
        ("u/open", json!({"bases": "u/base,m/1", "mirror_whitelist": "Known"})),
        ("u/union", json!({"bases": "u/base,m/1", "mirror_whitelist": "*", "mirror_whitelist_inheritance": "union"})),
        ("u/base", json!({})),
        ("m/1", json!({"type": "mirror"})),
        ("m/2", json!({"type": "mirror", "reserved": "acme-*"})),
    ]);
    let both = vec![name("m/1"), name("m/2")];
    let base = || vec![name("u/base")];
    let owned_by = |by: &str| Some(Hidden::Owned { by: name(by) });
    for (asked, owned, wanted, expected) in [
        ("u/top", &[][..], "known", Sources { stages: vec![], mirrors: both, hidden: None }),
        ("u/top", &["u/base"], "known", Sources { stages: base(), mirrors: vec![], hidden: owned_by("u/base") }),
        (
            "u/top",
            &[],
            "acme-x",
            Sources { stages: vec![], mirrors: vec![name("m/1")], hidden: Some(Hidden::Reserved { by: name("m/2") }) },
        ),
        // The whitelist of the first stage is enough to open: it stays open, whatever the next one holds.
        ("u/open", &["u/base"], "known", Sources { stages: base(), mirrors: vec![name("m/1")], hidden: None }),
        ("u/open", &["u/base"], "other", Sources { stages: base(), mirrors: vec![], hidden: owned_by("u/base") }),
        ("u/union", &["u/base"], "other", Sources { stages: base(), mirrors: vec![name("m/1")], hidden: None }),
        ("u/base", &["u/base"], "known", Sources { stages: base(), mirrors: vec![], hidden: None }),
        ("m/1", &[], "known", Sources { stages: vec![], mirrors: vec![name("m/1")], hidden: None }),
    ] {
        assert_eq!(found(&indexes, asked, owned, wanted), expected, "{asked} {wanted}");
    }
}

#[test]
fn a_reserved_name_stays_at_home_whatever_the_whitelist_says() {
    let indexes = indexes(&[
        ("u/top", json!({"bases": "u/base,m/1", "mirror_whitelist": "*"})),
        ("u/base", json!({"reserved": "acme-*"})),
        ("m/1", json!({"type": "mirror"})),
    ]);
    let found = found(&indexes, "u/top", &[], "Acme.Tool");
    assert_eq!((found.mirrors, found.hidden), (vec![], Some(Hidden::Reserved { by: name("u/base") })));
}

/// What devpi's generator does, written down anew with its own words: sets of texts, stage by stage.
fn devpi(order: &[(IndexName, Value)], project: &str, owns: &HashSet<IndexName>) -> Vec<IndexName> {
    let mut yielded = Vec::new();
    let (mut private_hit, mut whitelisted) = (false, false);
    let mut whitelist: Option<BTreeSet<String>> = None;
    let union = order[0].1.get("mirror_whitelist_inheritance").is_some_and(|said| said == "union");
    for (name, config) in order {
        if config["type"] == "mirror" {
            if private_hit && !whitelisted {
                continue;
            }
            yielded.push(name.clone());
            continue;
        }
        let own: BTreeSet<String> = serde_json::from_value(config["mirror_whitelist"].clone()).unwrap();
        let all = match whitelist {
            None => own,
            Some(before) if union => before.union(&own).cloned().collect(),
            Some(before) => before.intersection(&own).cloned().collect(),
        };
        if all.contains("*") || all.contains(project) {
            whitelisted = true;
        } else if owns.contains(name) {
            private_hit = true;
        }
        whitelist = Some(all);
        if owns.contains(name) {
            yielded.push(name.clone());
        }
    }
    yielded
}

const WANTED: [&str; 3] = ["acme-x", "acme", "other"];

/// Eight stages and three mirrors with bases at random, some of which do not exist.
fn graph(reserving: bool) -> impl Strategy<Value = Indexes> {
    let base = (0..14usize).prop_map(|at| match at {
        0..=7 => format!("u/{at}"),
        8..=10 => format!("m/{at}"),
        _ => format!("gone/{at}"),
    });
    let names = prop::collection::vec(prop::sample::select(vec!["acme-x", "acme", "other", "*", "else"]), 0..3);
    let patterns = prop::collection::vec(prop::sample::select(vec!["acme-*", "acme", "other"]), 0..2);
    let patterns = (patterns, 0..4u8).prop_map(move |(some, dice)| if reserving && dice == 0 { some } else { vec![] });
    let stage = (prop::collection::vec(base, 0..4), names, any::<bool>(), patterns.clone());
    (prop::collection::vec(stage, 8), prop::collection::vec(patterns, 3)).prop_map(|(stages, mirrors)| {
        let stages = stages.into_iter().enumerate().map(|(at, (bases, whitelist, union, reserved))| {
            let given = json!({
                "bases": bases, "mirror_whitelist": whitelist, "reserved": reserved,
                "mirror_whitelist_inheritance": if union { "union" } else { "intersection" },
            });
            (name(&format!("u/{at}")), settings(&given))
        });
        let mirrors = mirrors.into_iter().enumerate().map(|(at, reserved)| {
            (name(&format!("m/{}", at + 8)), settings(&json!({"type": "mirror", "reserved": reserved})))
        });
        stages.chain(mirrors).collect()
    })
}

fn owners() -> impl Strategy<Value = HashSet<IndexName>> {
    prop::collection::hash_set((0..8usize).prop_map(|at| name(&format!("u/{at}"))), 0..3)
}

fn is_mirror(name: &IndexName) -> bool {
    name.user() == "m"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn agrees_with_devpi(indexes in graph(false), owners in owners(), at in 0..3usize) {
        let order = order(&name("u/0"), |name| indexes.get(name));
        let found = sources(&order, &project(WANTED[at]), |stage| owners.contains(stage));
        let shown: Vec<_> = order.iter().map(|(name, all)| (name.clone(), Value::from(all.to_json()))).collect();
        let ours: Vec<_> = found.stages.into_iter().chain(found.mirrors).collect();
        prop_assert_eq!(ours, devpi(&shown, WANTED[at], &owners));
    }

    #[test]
    fn an_owned_name_without_whitelists_has_no_mirror(indexes in graph(true), owners in owners(), at in 0..3usize) {
        let order = order(&name("u/0"), |name| indexes.get(name));
        let found = sources(&order, &project(WANTED[at]), |stage| owners.contains(stage));
        let whitelisted = order.iter().any(|(_, all)| {
            let shown = Value::from(all.to_json());
            let list = shown.get("mirror_whitelist").and_then(Value::as_array);
            list.is_some_and(|list| list.iter().any(|entry| entry == "*" || entry == WANTED[at]))
        });
        if !whitelisted && !found.stages.is_empty() {
            prop_assert!(found.mirrors.is_empty());
        }
        let mirrors = order.iter().filter(|(_, all)| all.is_mirror()).count();
        prop_assert_eq!(found.hidden.is_some(), found.mirrors.len() < mirrors);
    }

    #[test]
    fn one_more_private_release_opens_no_mirror(
        indexes in graph(true), owners in owners(), more in 0..8usize, at in 0..3usize,
    ) {
        let order = order(&name("u/0"), |name| indexes.get(name));
        let before = sources(&order, &project(WANTED[at]), |stage| owners.contains(stage));
        let more = name(&format!("u/{more}"));
        let after = sources(&order, &project(WANTED[at]), |stage| owners.contains(stage) || *stage == more);
        prop_assert!(after.mirrors.iter().all(|mirror| before.mirrors.contains(mirror)));
    }

    #[test]
    fn a_reserved_name_has_no_mirror(indexes in graph(true), owners in owners(), at in 0..3usize) {
        let order = order(&name("u/0"), |name| indexes.get(name));
        let found = sources(&order, &project(WANTED[at]), |stage| owners.contains(stage));
        for (index, all) in &order {
            let shown = Value::from(all.to_json());
            let list = shown.get("reserved").and_then(Value::as_array).cloned().unwrap_or_default();
            let reserved = list.iter().any(|entry| entry == WANTED[at] || (entry == "acme-*" && WANTED[at] == "acme-x"));
            if reserved {
                prop_assert!(!found.mirrors.contains(index));
                prop_assert!(all.is_mirror() || found.mirrors.is_empty());
            }
        }
    }

    #[test]
    fn an_order_has_each_index_once_and_mirrors_last(indexes in graph(false)) {
        let order = order(&name("u/0"), |name| indexes.get(name));
        let names: Vec<_> = order.iter().map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(names.first(), Some(&name("u/0")));
        prop_assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
        prop_assert!(names.is_sorted_by_key(is_mirror));
        for (_, all) in &order {
            for base in all.bases().iter().filter(|base| indexes.contains_key(*base)) {
                prop_assert!(names.contains(base));
            }
        }
    }
}
