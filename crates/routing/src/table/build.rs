//! Checks deployments and settings and arranges them into a table.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::Names;
use super::{Member, Problem, Table};
use crate::fallbacks::Rules;
use crate::pick::sticky;
use crate::words::Slots;
use crate::{Deployment, Seen, Settings};

use tokio::time::Instant;

/// Answers what was seen of those that were there before.
type Known<'a> = &'a dyn Fn(&str) -> Option<Arc<Seen>>;

/// A table of these deployments, whose times are counted from `epoch`.
pub(super) fn table(
    deployments: Vec<Deployment>,
    settings: Settings,
    (epoch, known): (Instant, Known<'_>),
) -> Result<Table, Vec<Problem>> {
    let problems: Vec<Problem> =
        deployments.iter().flat_map(problems_of).chain(twins(&deployments)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let seen = seen(&deployments, epoch, known);
    let member = |(deployment, seen): (Deployment, _)| {
        let mark = sticky::digest("deployment", &deployment.id);
        Arc::new(Member { seen, mark, deployment })
    };
    let members = deployments.into_iter().zip(seen).map(member).collect();
    Ok(arrange(members, settings, epoch))
}

/// What was seen of each. Those of a group get their words side by side: strategies look at many in a row.
fn seen(deployments: &[Deployment], epoch: Instant, known: Known<'_>) -> Vec<Arc<Seen>> {
    let mut by_group: Vec<(usize, &Deployment)> = deployments.iter().enumerate().collect();
    by_group.sort_by_key(|(_, deployment)| &deployment.group);
    let mut slots = Slots::default();
    let fresh = |slots: &mut Slots| Arc::new(Seen::new(epoch, slots.next()));
    let mut seen: Vec<(usize, Arc<Seen>)> = by_group
        .into_iter()
        .map(|(nth, deployment)| (nth, known(&deployment.id).unwrap_or_else(|| fresh(&mut slots))))
        .collect();
    seen.sort_unstable_by_key(|(nth, _)| *nth);
    seen.into_iter().map(|(_, seen)| seen).collect()
}

fn arrange(members: Vec<Arc<Member>>, settings: Settings, epoch: Instant) -> Table {
    let mut everybodys = Vec::new();
    let mut by_team: HashMap<Arc<str>, Vec<Arc<Member>>> = HashMap::new();
    for member in &members {
        match &member.deployment.team {
            None => everybodys.push(member.clone()),
            Some(team) => by_team.entry(team.clone()).or_default().push(member.clone()),
        }
    }
    let public = Names::of(&everybodys, &settings);
    let shown = settings.aliases.iter().filter(|alias| !alias.hidden && !public.has_group(&alias.name));
    let names = public.order.iter().chain(shown.map(|alias| &alias.name)).cloned().collect();
    let mut table = Table {
        rules: Rules::new(&settings),
        by_id: members.iter().map(|member| (member.deployment.id.clone(), member.clone())).collect(),
        teams: by_team.into_iter().map(|(team, members)| (team, Names::of(&members, &settings))).collect(),
        aliases: settings.aliases.iter().map(|alias| (alias.name.clone(), alias.model.clone())).collect(),
        warnings: Vec::new(),
        members,
        public,
        names,
        settings,
        epoch,
    };
    table.warnings = warnings(&table);
    table
}

fn problems_of(deployment: &Deployment) -> Vec<Problem> {
    let Deployment { id, group, target, weight, .. } = deployment;
    let mut problems = Vec::new();
    let mut problem = |what: String| problems.push(Problem::new(id, what));
    if id.is_empty() {
        problem(format!("a deployment of {group} has no id"));
    }
    if group.is_empty() {
        problem("it has no model name".into());
    }
    if target.is_empty() {
        problem("it has no model".into());
    }
    if weight.is_some_and(|weight| !weight.is_finite() || weight < 0.0) {
        problem("its weight is not a number of at least 0".into());
    }
    let stars = |text: &str| text.matches('*').count();
    if stars(target) > stars(group) {
        problem(format!("its model {target} has more wildcards than its model name {group}"));
    }
    problems
}

fn twins(deployments: &[Deployment]) -> Vec<Problem> {
    let mut seen: HashMap<&str, u32> = HashMap::new();
    deployments
        .iter()
        .filter_map(|deployment| {
            let times = seen.entry(&deployment.id).or_default();
            *times += 1;
            (*times == 2).then(|| Problem::new(&deployment.id, "two deployments have this id"))
        })
        .collect()
}

fn warnings(table: &Table) -> Vec<Problem> {
    let Settings { aliases, fallbacks, context_window_fallbacks, content_policy_fallbacks, .. } =
        &table.settings;
    let unknown = |name: &Arc<str>| table.resolve(name).is_none();
    let of_aliases = aliases
        .iter()
        .filter(|alias| unknown(&alias.model))
        .map(|alias| Problem::new(&alias.name, format!("stands for the unknown model {}", alias.model)));
    let of_rules = [fallbacks, context_window_fallbacks, content_policy_fallbacks]
        .into_iter()
        .flatten()
        .flat_map(|rule| rule.fallbacks.iter().map(|name| (&rule.group, name)))
        .filter(|(_, name)| unknown(name))
        .map(|(group, name)| Problem::new(group, format!("falls back to the unknown model {name}")));
    let of_defaults = table
        .settings
        .default_fallbacks
        .iter()
        .filter(|name| unknown(name))
        .map(|name| Problem::new(name, "is a default fallback, but an unknown model"));
    let of_mirrors = table.deployments().flat_map(|deployment| {
        let missing = |name: &&Arc<str>| table.resolve_for(deployment.team.as_deref(), name).is_none();
        let missing = deployment.silent.iter().filter(missing);
        missing.map(|name| Problem::new(&deployment.id, format!("is mirrored to the unknown model {name}")))
    });
    of_aliases.chain(of_rules).chain(of_defaults).chain(of_mirrors).collect()
}
