//! Where a call goes when a group fails: the rules, and the way that one call still has before it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use gatewright_core::{Call, Controls, Detour, ErrorKind, Origin};
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::pattern::Pattern;
use crate::{Route, Rule, Seen, Settings, Table};

/// The configured rules, arranged for look-up.
pub(crate) struct Rules {
    general: RuleSet,
    context_window: RuleSet,
    content_policy: RuleSet,
    default: Arc<[Arc<str>]>,
}

#[derive(Default)]
struct RuleSet {
    exact: HashMap<Arc<str>, Arc<[Arc<str>]>>,
    patterns: Vec<(Pattern, Arc<[Arc<str>]>)>,
}

/// The fallback groups that one call may still try. Groups already tried, unknown ones and those the caller may not
/// use are passed over, so that a cycle of rules ends.
pub(crate) struct Way {
    ahead: VecDeque<Arc<str>>,
    tried: SmallVec<[Arc<str>; 4]>,
    asked: Vec<Arc<str>>,
    detours: Vec<Detour>,
    origin: Arc<Origin>,
    left: u32,
    defaults_added: bool,
}

// === impl Rules ===

impl Rules {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            general: RuleSet::new(&settings.fallbacks),
            context_window: RuleSet::new(&settings.context_window_fallbacks),
            content_policy: RuleSet::new(&settings.content_policy_fallbacks),
            default: settings.default_fallbacks.iter().cloned().collect(),
        }
    }

    fn after(&self, kind: ErrorKind, group: &str) -> &[Arc<str>] {
        let special = match kind {
            ErrorKind::ContextWindow => self.context_window.find(group),
            ErrorKind::ContentPolicy => self.content_policy.find(group),
            _ => None,
        };
        special.or_else(|| self.general.find(group)).unwrap_or_default()
    }

    fn any_for(&self, group: &str) -> bool {
        [&self.general, &self.context_window, &self.content_policy]
            .iter()
            .any(|set| set.find(group).is_some())
    }
}

// === impl RuleSet ===

impl RuleSet {
    fn new(rules: &[Rule]) -> Self {
        let mut set = Self::default();
        for Rule { group, fallbacks } in rules {
            let fallbacks = fallbacks.iter().cloned().collect();
            match Pattern::parse(group) {
                Some(pattern) => set.patterns.push((pattern, fallbacks)),
                None => drop(set.exact.insert(group.clone(), fallbacks)),
            }
        }
        set.patterns.sort_by_key(|(pattern, _)| pattern.rank());
        set
    }

    /// The rule for exactly this group, else for its name without the provider, else the most specific pattern.
    fn find(&self, group: &str) -> Option<&[Arc<str>]> {
        if self.exact.is_empty() && self.patterns.is_empty() {
            return None;
        }
        let bare = || group.split_once('/').and_then(|(_, model)| self.exact.get(model));
        let pattern = || self.patterns.iter().find(|(pattern, _)| pattern.captures(group).is_some());
        let found = self.exact.get(group).or_else(bare).or_else(|| pattern().map(|(_, fallbacks)| fallbacks));
        found.map(|fallbacks| &**fallbacks)
    }
}

// === impl Way ===

impl Way {
    pub(crate) fn new(call: &Call, settings: &Settings) -> Self {
        let Controls { fallbacks, detours, disable_fallbacks, .. } = &call.controls;
        Self {
            ahead: VecDeque::new(),
            tried: SmallVec::new(),
            asked: if *disable_fallbacks { Vec::new() } else { fallbacks.clone() },
            detours: if *disable_fallbacks { Vec::new() } else { detours.clone() },
            origin: call.origin.clone(),
            left: if *disable_fallbacks { 0 } else { settings.max_fallbacks },
            defaults_added: false,
        }
    }

    /// Whether there may be somewhere to go when the group of these names fails.
    pub(crate) fn may_lead_on(&self, table: &Table, names: [&str; 2]) -> bool {
        let ahead = !self.ahead.is_empty() || !self.asked.is_empty() || !self.detours.is_empty();
        let defaults = !self.defaults_added && !table.rules.default.is_empty();
        self.left > 0 && (ahead || defaults || names.iter().any(|name| table.rules.any_for(name)))
    }

    /// Notes that a group was tried under this name.
    pub(crate) fn enter(&mut self, route: &Route) {
        self.tried.push(route.name.clone());
    }

    /// Adds where the failure of this group leads: first what the client asked for, then the group's own rules or what the
    /// client put in their place, then what was ahead already, and the defaults at the end.
    pub(crate) fn extend(&mut self, table: &Table, names: [&str; 2], kind: ErrorKind) {
        let found = names.iter().map(|name| table.rules.after(kind, name)).find(|rules| !rules.is_empty());
        let rules = self.detour(names, kind).or(found).unwrap_or_default();
        let rules: SmallVec<[Arc<str>; 4]> = rules.iter().cloned().collect();
        for name in rules.into_iter().rev() {
            self.ahead.push_front(name);
        }
        for name in std::mem::take(&mut self.asked).into_iter().rev() {
            self.ahead.push_front(name);
        }
        self.extend_defaults(table);
    }

    /// What the client put in the place of this group's rules for such a failure.
    fn detour(&self, names: [&str; 2], kind: ErrorKind) -> Option<&[Arc<str>]> {
        let meant = |group: &str| group == "*" || names.contains(&group);
        let detour = self.detours.iter().find(|detour| detour.kind == kind && meant(&detour.group));
        detour.map(|detour| &*detour.fallbacks)
    }

    /// Adds the default fallbacks at the end, once.
    pub(crate) fn extend_defaults(&mut self, table: &Table) {
        if !std::mem::replace(&mut self.defaults_added, true) {
            self.ahead.extend(table.rules.default.iter().cloned());
        }
    }

    /// The next group to try. One that fails for everyone is passed over, but for a probe now and then, and one none of
    /// whose deployments may be tried.
    pub(crate) fn next(
        &mut self,
        table: &Table,
        now: Instant,
        may_be_tried: impl Fn(&Seen) -> bool,
    ) -> Option<Route> {
        while self.left > 0 {
            let name = self.ahead.pop_front()?;
            if !table.permits(&self.origin.caller, &name) {
                continue;
            }
            match table.resolve_for(self.origin.caller.team.as_deref(), &name) {
                Some(route) if !self.tried.contains(&route.name) && promising(&route, now, &may_be_tried) => {
                    self.left -= 1;
                    return Some(route);
                }
                _ => {}
            }
        }
        None
    }
}

fn promising(route: &Route, now: Instant, may_be_tried: impl Fn(&Seen) -> bool) -> bool {
    let mut members = route.group.seen.iter().filter(|seen| may_be_tried(seen));
    members.clone().any(|seen| !seen.health.is_down()) || members.any(|seen| seen.health.claim(now))
}
