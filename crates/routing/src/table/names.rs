//! What names lead to: those that everybody uses, and those that a team has for itself.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::{Group, Member, Route};
use crate::pattern::Pattern;
use crate::{Deployment, Settings};

type Groups = HashMap<Arc<str>, Arc<Group>>;

/// The names of some deployments.
#[derive(Default)]
pub(super) struct Names {
    by_id: Groups,
    groups: Groups,
    wildcards: Vec<(Pattern, Arc<Group>)>,
    by_target: Groups,
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
            by_id: grouped(members, settings, |deployment| &deployment.id).1,
            by_target: grouped(members, settings, |deployment| &deployment.target).1,
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
    pub(super) fn by_id(&self, id: &str) -> Option<Route> {
        self.by_id.get_key_value(id).map(|(id, group)| Route::to(id, group))
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
        by_pattern.or_else(|| self.by_target.get_key_value(model).map(|(name, group)| Route::to(name, group)))
    }

    /// The most specific wildcard that matches `full`, as the route of `name`.
    fn matched(&self, full: &str, name: &str) -> Option<Route> {
        self.wildcards.iter().find_map(|(pattern, group)| {
            let captures = pattern.captures(full)?;
            Some(Route { name: name.into(), group: group.clone(), captures })
        })
    }
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
