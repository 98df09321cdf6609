//! What names lead to: those that everybody uses, and those that a team has for itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, OnceLock};

use smallvec::{SmallVec, smallvec};

use super::{Group, Member, Route};
use crate::pattern::Pattern;
use crate::{Deployment, Settings};

type Groups = HashMap<Arc<str>, Arc<Group>>;
type LateGroups = HashMap<Arc<str>, Late>;

/// A group that few calls ask for, and that is there when one does.
struct Late {
    members: SmallVec<[Arc<Member>; 1]>,
    group: OnceLock<Arc<Group>>,
}

/// The names of some deployments.
#[derive(Default)]
pub(super) struct Names {
    by_id: LateGroups,
    groups: Groups,
    wildcards: Vec<(Pattern, Arc<Group>)>,
    by_target: LateGroups,
    /// The groups' names, in the order of the configuration.
    pub(super) order: Vec<Arc<str>>,
}

// === impl Names ===

impl Names {
    pub(super) fn of(members: &[Arc<Member>], settings: &Settings) -> Self {
        let (order, groups) = grouped(members, settings, |deployment| &deployment.group);
        let wildcard = |name: &Arc<str>| Some((Pattern::parse(name)?, groups.get(name)?.clone()));
        let mut wildcards: Vec<(Pattern, Arc<Group>)> = order.iter().filter_map(wildcard).collect();
        wildcards.sort_by_key(|(pattern, _)| pattern.rank());
        Self {
            by_id: late(members, |deployment| &deployment.id),
            by_target: late(members, |deployment| &deployment.target),
            groups,
            wildcards,
            order,
        }
    }

    pub(super) fn has_id(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn has_group(&self, name: &str) -> bool {
        self.groups.contains_key(name)
    }

    /// The deployment of this id.
    pub(super) fn by_id(&self, id: &str, settings: &Settings) -> Option<Route> {
        self.by_id.get_key_value(id).map(|(id, late)| Route::to(id, late.group(id, settings)))
    }

    /// The group of this name; else the most specific wildcard that matches the name, or the name with its provider
    /// before it; else the deployments whose target it is.
    pub(super) fn by_name(&self, model: &str, settings: &Settings) -> Option<Route> {
        if let Some((name, group)) = self.groups.get_key_value(model) {
            return Some(Route::to(name, group));
        }
        let by_pattern = self.matched(model, model).or_else(|| {
            let provider = (!self.wildcards.is_empty()).then(|| (settings.provider_of)(model)).flatten()?;
            self.matched(&format!("{provider}/{model}"), model)
        });
        by_pattern.or_else(|| {
            let (name, late) = self.by_target.get_key_value(model)?;
            Some(Route::to(name, late.group(name, settings)))
        })
    }

    /// The most specific wildcard that matches `full`, as the route of `name`.
    fn matched(&self, full: &str, name: &str) -> Option<Route> {
        self.wildcards.iter().find_map(|(pattern, group)| {
            let captures = pattern.captures(full)?;
            Some(Route { name: name.into(), group: group.clone(), captures })
        })
    }
}

// === impl Late ===

impl Late {
    fn group(&self, name: &str, settings: &Settings) -> &Arc<Group> {
        self.group.get_or_init(|| Group::of(name, self.members.to_vec(), settings))
    }
}

/// The members by some name of theirs that is seldom asked for.
fn late(members: &[Arc<Member>], name: impl Fn(&Deployment) -> &Arc<str>) -> LateGroups {
    let mut groups = LateGroups::with_capacity(members.len());
    for member in members {
        match groups.entry(name(&member.deployment).clone()) {
            Entry::Occupied(mut late) => late.get_mut().members.push(member.clone()),
            Entry::Vacant(place) => {
                place.insert(Late { members: smallvec![member.clone()], group: OnceLock::new() });
            }
        }
    }
    groups
}

/// The members by some name of theirs, and the names in the order of their first appearance.
fn grouped(
    members: &[Arc<Member>],
    settings: &Settings,
    name: impl Fn(&Deployment) -> &Arc<str>,
) -> (Vec<Arc<str>>, Groups) {
    let mut order = Vec::new();
    let mut sets: HashMap<Arc<str>, Vec<Arc<Member>>> = HashMap::new();
    for member in members {
        match sets.entry(name(&member.deployment).clone()) {
            Entry::Occupied(mut set) => set.get_mut().push(member.clone()),
            Entry::Vacant(place) => {
                order.push(place.key().clone());
                place.insert(vec![member.clone()]);
            }
        }
    }
    let group = |(name, members): (Arc<str>, _)| (name.clone(), Group::of(&name, members, settings));
    (order, sets.into_iter().map(group).collect())
}
