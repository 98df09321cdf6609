//! The routing table: which deployments serve which name. Never changed, only replaced as a whole.

mod build;
mod names;
mod problem;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use gatewright_core::{Call, Caller};
use tokio::time::Instant;

use self::names::Names;
pub use self::problem::Problem;
use crate::fallbacks::Rules;
use crate::health::Judgement;
use crate::pattern::{self, Captures};
use crate::pick::{Fit, Pool, Run, Tier, shares};
use crate::screen::Shortlist;
use crate::{Deployment, Dice, Health, Know, Model, Pick, Seen, Settings};

/// Everything that routing knows by configuration.
pub struct Table {
    pub(crate) settings: Settings,
    pub(crate) rules: Rules,
    members: Vec<Arc<Member>>,
    by_id: HashMap<Arc<str>, Arc<Member>>,
    public: Names,
    teams: HashMap<Arc<str>, Names>,
    aliases: HashMap<Arc<str>, Arc<str>>,
    names: Vec<Arc<str>>,
    warnings: Vec<Problem>,
    /// What all times are counted from; the same over reloads.
    epoch: Instant,
}

/// The table in use. Clones share it; a reload replaces it for all of them.
#[derive(Clone)]
pub struct LiveTable(Arc<ArcSwap<Table>>);

/// Where a name leads.
#[derive(Clone)]
pub struct Route {
    /// The group's name; where a wildcard matched, the name that was asked for.
    pub name: Arc<str>,
    pub(crate) group: Arc<Group>,
    captures: Captures,
}

/// The deployments that serve one public model name.
pub(crate) struct Group {
    pub(crate) members: Vec<Arc<Member>>,
    /// What was seen of each, at the same places.
    pub(crate) seen: Vec<Arc<Seen>>,
    /// By `order`, the lowest first.
    pub(crate) tiers: Vec<Tier>,
    pub(crate) pick: Arc<dyn Pick>,
    /// Whether any of its deployments has limits of its own.
    pub(crate) limited: bool,
    /// The longest timeout of its deployments.
    pub(crate) longest: Duration,
    /// The access groups of any of its deployments.
    access: Vec<Arc<str>>,
}

/// One deployment and what was seen of it.
pub(crate) struct Member {
    pub(crate) deployment: Deployment,
    pub(crate) seen: Arc<Seen>,
    /// Its id as a number.
    pub(crate) mark: u64,
}

// === impl Table ===

impl Table {
    /// Checks and arranges the deployments. Answers every problem there is, not just the first.
    pub fn build(deployments: Vec<Deployment>, settings: Settings) -> Result<Self, Vec<Problem>> {
        build::table(deployments, settings, (Instant::now(), &|_| None))
    }

    /// The same for a reload: deployments that stay keep what is known about their health.
    pub fn rebuild(&self, deployments: Vec<Deployment>, settings: Settings) -> Result<Self, Vec<Problem>> {
        let known = |id: &str| self.member(id).map(|member| member.seen.clone());
        build::table(deployments, settings, (self.epoch, &known))
    }

    /// Where a name leads: to a deployment of this id; else through an alias; else to the group of this name; else
    /// to the most specific wildcard that matches the name, or the name with its provider before it; else to the
    /// deployments whose target it is.
    pub fn resolve(&self, model: &str) -> Option<Route> {
        let found = self.public.by_id(model, &self.settings);
        found.or_else(|| {
            let model = self.aliases.get(model).map_or(model, |target| target);
            self.public.by_name(model, &self.settings)
        })
    }

    /// The same for somebody of a team: what the team has for itself comes first, and nobody else gets there.
    pub fn resolve_for(&self, team: Option<&str>, model: &str) -> Option<Route> {
        let own = team.and_then(|team| self.teams.get(team));
        let found = own.and_then(|names| {
            names.by_id(model, &self.settings).or_else(|| names.by_name(model, &self.settings))
        });
        found.or_else(|| self.resolve(model))
    }

    /// What an alias stands for. A deployment's id is none, whatever the aliases say: that is where it leads.
    pub fn alias(&self, name: &str) -> Option<&Arc<str>> {
        self.aliases.get(name).filter(|_| !self.public.has_id(name))
    }

    /// The names that clients may use, in the order of the configuration: groups (wildcards as patterns), then the
    /// aliases that are not hidden.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The names that only this team may use.
    pub fn names_of(&self, team: &str) -> &[Arc<str>] {
        self.teams.get(team).map(|names| names.order.as_slice()).unwrap_or_default()
    }

    /// The access groups that somebody of a team may find models in.
    pub fn access_groups(&self, team: Option<&str>) -> BTreeSet<&Arc<str>> {
        let reaches = |one: &&Deployment| one.team.is_none() || one.team.as_deref() == team;
        self.deployments().filter(reaches).flat_map(|deployment| &deployment.access_groups).collect()
    }

    /// Whether a deployment is in this access group.
    pub fn has_access_group(&self, name: &str) -> bool {
        self.deployments().any(|deployment| deployment.access_groups.iter().any(|group| &**group == name))
    }

    /// Whether a caller may use what a name leads to: by the name, by what it is an alias for, or by an access group.
    pub fn permits(&self, caller: &Caller, model: &str) -> bool {
        if caller.may_use(model) {
            return true;
        }
        let route = self.resolve_for(caller.team.as_deref(), model);
        let groups = route.as_ref().map(Route::access_groups).unwrap_or_default();
        [Some(model), self.alias(model).map(|name| &**name)]
            .into_iter()
            .flatten()
            .any(|name| caller.may_use_of(name, groups))
    }

    /// All deployments, in the order of the configuration.
    pub fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.members.iter().map(|member| &member.deployment)
    }

    /// What is known about the health of a deployment.
    pub fn health(&self, id: &str) -> Option<&Health> {
        self.member(id).map(|member| &member.seen.health)
    }

    /// All deployments with what was seen of each, in the order of the configuration.
    pub fn seen(&self) -> impl Iterator<Item = (&Deployment, &Seen)> {
        self.members.iter().map(|member| (&member.deployment, &*member.seen))
    }

    /// How many calls wait for capacity.
    pub fn waiting(&self) -> u64 {
        self.members.iter().map(|member| member.seen.lines.waiting()).sum()
    }

    /// What is probably a mistake, but stops nothing.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    fn member(&self, id: &str) -> Option<&Arc<Member>> {
        self.by_id.get(id)
    }
}

// === impl LiveTable ===

impl LiveTable {
    /// Puts a table into use.
    pub fn new(table: Table) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(table)))
    }

    /// The table as it is now; whoever holds it keeps it, also over a reload.
    pub fn load(&self) -> Arc<Table> {
        self.0.load_full()
    }

    /// Replaces it for every call from now on.
    pub fn swap(&self, table: Table) {
        self.0.store(Arc::new(table));
    }
}

// === impl Route ===

impl Route {
    /// The deployments it leads to.
    pub fn deployments(&self) -> impl Iterator<Item = &Deployment> {
        self.group.members.iter().map(|member| &member.deployment)
    }

    /// Names that open it to callers, besides its own.
    pub fn access_groups(&self) -> &[Arc<str>] {
        &self.group.access
    }

    /// The upstream's model name, where the deployment takes it from the request.
    pub fn model_for(&self, deployment: &Deployment) -> Option<Arc<str>> {
        if self.captures.is_empty() || !deployment.target.contains('*') {
            return None;
        }
        Some(pattern::fill(&deployment.target, &self.captures).into())
    }

    /// What is known of a deployment's model, for this route.
    pub(crate) fn model_of(&self, member: &Member, know: &dyn Know) -> Model {
        match self.model_for(&member.deployment) {
            None => member.deployment.model,
            Some(model) => know.model(&member.deployment, &model),
        }
    }

    /// Whom its strategy would take now for the first attempt of a call that everybody of the group may serve.
    pub fn choose(
        &self,
        settings: &Settings,
        call: &Call,
        dice: &dyn Dice,
        now: Instant,
    ) -> Option<&Deployment> {
        let (list, group) = (Shortlist::default(), &*self.group);
        let at = group.seen.first()?.health.millis(now);
        let fit = Fit { list: &list, tried: &[], at, resting: false, down: true };
        group.tiers.iter().find_map(|tier| {
            let pool = Pool { route: self, tier, fit, know: &*settings.know, now };
            let place = tier.places.get(group.pick.pick(call, &pool, dice)?)?;
            group.members.get(*place).map(|member| &member.deployment)
        })
    }

    /// The same way, to one of its deployments alone; `None` where it does not lead there.
    pub(crate) fn only(self, id: &str, settings: &Settings) -> Option<Self> {
        let member = self.group.members.iter().find(|member| &*member.deployment.id == id)?.clone();
        Some(Self { group: Group::of(&self.name, vec![member], settings), ..self })
    }

    /// Whether a part of the name is the client's own.
    pub(crate) fn is_wildcard(&self) -> bool {
        !self.captures.is_empty()
    }

    fn to(name: &Arc<str>, group: &Arc<Group>) -> Self {
        Self { name: name.clone(), group: group.clone(), captures: Captures::new() }
    }
}

// === impl Group ===

impl Group {
    fn of(name: &str, members: Vec<Arc<Member>>, settings: &Settings) -> Arc<Self> {
        let timeouts = members.iter().flat_map(|m| [m.deployment.timeout, m.deployment.stream_timeout]);
        let longest = timeouts.flatten().max().unwrap_or_default();
        let access = members.iter().flat_map(|m| &m.deployment.access_groups).cloned().collect();
        Arc::new(Self {
            seen: members.iter().map(|member| member.seen.clone()).collect(),
            tiers: tiers(&members),
            pick: settings.pick_of(name).clone(),
            limited: members.iter().any(|member| member.deployment.limited),
            members,
            longest,
            access,
        })
    }

    /// How a failure of `failed` changes what is chosen next; it rests for `rest` where it has no time of its own.
    pub(crate) fn judge(
        &self,
        failed: &Member,
        (rest, allowed): (Duration, Option<u32>),
        now: Instant,
    ) -> Judgement {
        let mut others = self.seen.iter().filter(|other| !Arc::ptr_eq(other, &failed.seen));
        Judgement {
            replaceable: others.any(|other| !other.health.is_cooling(now)),
            rest: failed.deployment.cooldown_time.unwrap_or(rest),
            allowed,
        }
    }
}

// === impl Member ===

impl Member {
    /// Its tier. Those without one come after all that have one.
    pub(crate) fn tier(&self) -> u32 {
        self.deployment.order.unwrap_or(u32::MAX)
    }
}

fn tiers(members: &[Arc<Member>]) -> Vec<Tier> {
    if let [only] = members {
        return vec![tier(members, only.tier(), vec![0])];
    }
    let mut by_order: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, member) in members.iter().enumerate() {
        by_order.entry(member.tier()).or_default().push(place);
    }
    by_order.into_iter().map(|(order, places)| tier(members, order, places)).collect()
}

/// A tier of those at these places. Where it has only one, nothing is there to compare.
fn tier(members: &[Arc<Member>], order: u32, places: Vec<usize>) -> Tier {
    let deployments = places.iter().filter_map(|place| members.get(*place)).map(|member| &member.deployment);
    let several = places.len() > 1;
    let limited = |one: &Deployment| one.rpm.is_some() || one.tpm.is_some();
    let limits = |one: &Deployment| (one.rpm.unwrap_or(u64::MAX), one.tpm.unwrap_or(u64::MAX));
    let slots = places.iter().filter_map(|place| members.get(*place)).map(|member| &member.seen.slot);
    Tier {
        order,
        runs: Run::of(slots),
        sums: several.then(|| shares(deployments.clone())).flatten(),
        limits: (several && deployments.clone().any(limited)).then(|| deployments.map(limits).collect()),
        turn: AtomicUsize::new(0),
        by_price: OnceLock::new(),
        places,
    }
}
