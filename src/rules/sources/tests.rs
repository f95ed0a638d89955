//! The rule over random graphs of indexes, beside devpi's way written down plainly.

use super::*;
use crate::names::UserName;
use crate::rules::order;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const PROJECT: &str = "acme";

/// An index of a random graph; the bases may be circles or lead nowhere.
#[derive(Debug, Clone)]
struct Drawn {
    mirror: bool,
    bases: Vec<usize>,
    whitelist: Vec<&'static str>,
    union: bool,
    reserved: bool,
    owns: bool,
}

const COUNT: usize = 6;

fn drawn() -> impl Strategy<Value = Drawn> {
    let bases = prop::collection::vec(0..COUNT + 1, 0..4);
    let whitelist = prop::collection::vec(prop::sample::select(vec!["*", PROJECT, "other"]), 0..3);
    let rare = prop::bool::weighted(0.15);
    (prop::bool::weighted(0.3), bases, whitelist, any::<bool>(), rare, any::<bool>()).prop_map(
        |(mirror, bases, whitelist, union, reserved, owns)| Drawn { mirror, bases, whitelist, union, reserved, owns },
    )
}

fn name(number: usize) -> IndexName {
    IndexName::parse(&format!("u/i{number}")).unwrap()
}

fn settings(drawn: &Drawn) -> IndexSettings {
    let owner = UserName::parse("u").unwrap();
    let reserved: Vec<&str> = if drawn.reserved { vec!["acm*"] } else { Vec::new() };
    let given = match drawn.mirror {
        true => json!({ "type": "mirror", "mirror_url": "https://index.example/", "reserved": reserved }),
        false => json!({
            "bases": drawn.bases.iter().map(|base| name(*base).to_string()).collect::<Vec<_>>(),
            "mirror_whitelist": drawn.whitelist, "reserved": reserved,
            "mirror_whitelist_inheritance": if drawn.union { "union" } else { "intersection" },
        }),
    };
    let Value::Object(given) = given else { unreachable!() };
    IndexSettings::create(&owner, &given).unwrap()
}

struct Graph {
    drawn: Vec<Drawn>,
    settings: BTreeMap<IndexName, IndexSettings>,
}

impl Graph {
    fn new(drawn: Vec<Drawn>) -> Self {
        let settings = drawn.iter().enumerate().map(|(number, one)| (name(number), settings(one))).collect();
        Self { drawn, settings }
    }

    fn order(&self) -> Vec<(IndexName, &IndexSettings)> {
        order(&name(0), |name| self.settings.get(name))
    }

    fn owns(&self, index: &IndexName) -> bool {
        let number: usize = index.index()[1..].parse().unwrap();
        self.drawn[number].owns && !self.drawn[number].mirror
    }

    fn sources(&self) -> Sources {
        sources(&self.order(), &ProjectName::parse(PROJECT).unwrap(), |index| self.owns(index))
    }

    /// The mirrors that devpi would ask, `reserved` left aside.
    fn devpis_mirrors(&self) -> Vec<IndexName> {
        let order = self.order();
        let union = !self.drawn[0].mirror && self.drawn[0].union;
        let (mut whitelist, mut whitelisted, mut hit): (Option<BTreeSet<String>>, _, _) = (None, false, false);
        let mut mirrors = Vec::new();
        for (index, settings) in &order {
            match settings {
                IndexSettings::Mirror(_) if hit && !whitelisted => {}
                IndexSettings::Mirror(_) => mirrors.push(index.clone()),
                IndexSettings::Stage(stage) => {
                    let own: BTreeSet<_> = stage.mirror_whitelist.iter().map(ToString::to_string).collect();
                    whitelist = Some(match whitelist {
                        None => own,
                        Some(before) if union => before.union(&own).cloned().collect(),
                        Some(before) => before.intersection(&own).cloned().collect(),
                    });
                    let list = whitelist.as_ref().unwrap();
                    if list.contains("*") || list.contains(PROJECT) {
                        whitelisted = true;
                    } else if self.owns(index) {
                        hit = true;
                    }
                }
            }
        }
        mirrors
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_order_has_each_index_once_and_mirrors_last(drawn in prop::collection::vec(drawn(), COUNT)) {
        let graph = Graph::new(drawn);
        let order = graph.order();
        let names: BTreeSet<_> = order.iter().map(|(name, _)| name.clone()).collect();
        prop_assert_eq!(names.len(), order.len());
        prop_assert_eq!(&order[0].0, &name(0));
        let kinds: Vec<_> = order.iter().skip(1).map(|(_, settings)| settings.is_stage()).collect();
        prop_assert!(kinds.is_sorted_by(|before, after| before >= after), "{kinds:?}");
    }

    #[test]
    fn the_rule_is_devpis_and_reserved_closes(drawn in prop::collection::vec(drawn(), COUNT)) {
        let graph = Graph::new(drawn);
        let (sources, order) = (graph.sources(), graph.order());
        let project = ProjectName::parse(PROJECT).unwrap();
        let reserving = order.iter().any(|(_, settings)| settings.is_stage() && settings.reserves(&project));
        let open: Vec<_> = graph
            .devpis_mirrors()
            .into_iter()
            .filter(|mirror| !reserving && !graph.settings[mirror].reserves(&project))
            .collect();
        prop_assert_eq!(&sources.mirrors, &open);
        prop_assert!(sources.hidden.is_none() || sources.mirrors.is_empty());
        prop_assert_eq!(matches!(sources.hidden, Some(Hidden::Reserved { .. })), reserving);
    }

    #[test]
    fn what_is_owned_and_nowhere_whitelisted_never_comes_from_a_mirror(drawn in prop::collection::vec(drawn(), COUNT)) {
        let mut graph = Graph::new(drawn);
        for one in &mut graph.drawn {
            one.whitelist.clear();
        }
        let graph = Graph::new(graph.drawn);
        let owned = graph.order().iter().any(|(index, _)| graph.owns(index));
        prop_assert!(!owned || graph.sources().mirrors.is_empty());
    }

    #[test]
    fn one_more_owner_never_opens_a_mirror(drawn in prop::collection::vec(drawn(), COUNT), which in 0..COUNT) {
        let before = Graph::new(drawn.clone()).sources();
        let mut more = drawn;
        more[which].owns = true;
        let after = Graph::new(more).sources();
        prop_assert!(after.mirrors.iter().all(|mirror| before.mirrors.contains(mirror)));
    }
}
