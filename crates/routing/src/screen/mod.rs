//! Which deployments of a group may serve a call at all, whatever their health.

mod abilities;
mod region;
mod tags;
mod window;

use gatewright_core::{Call, Error, Price, Result};
use smallvec::SmallVec;

pub use self::tags::TagRules;
use crate::abilities::Model;
use crate::table::Member;
use crate::{Route, Settings};

/// What a call is held against before a deployment is chosen. Nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// Leaves those out whose model takes fewer tokens than the call has, and those in another region than the caller
    /// may use.
    pub before_call: bool,
    /// Leaves those out whose model is known not to be able to do what the call needs.
    pub abilities: bool,
    /// Leaves those out whose token of input costs more than this.
    pub max_input_price: Option<Price>,
    /// The same for a token of output.
    pub max_output_price: Option<Price>,
    /// Leaves those out whose tags do not fit.
    pub tags: Option<TagRules>,
    /// Leaves those out that failed their last health check, unless all did.
    pub health: bool,
}

/// The deployments of a group, less those that may not serve a call.
#[derive(Clone, Default)]
pub(crate) struct Shortlist {
    /// Places that are out, a bit each; shorter than the group where none of the later ones is.
    out: SmallVec<[u64; 2]>,
    left: usize,
    /// Why each is out, where somebody asks.
    reasons: Option<Vec<(usize, &'static str)>>,
}

/// A group as it is screened.
struct Screening<'a> {
    call: &'a Call,
    route: &'a Route,
    settings: &'a Settings,
    /// The call's tokens, once somebody has counted them: at whatever group, they are the same.
    tokens: &'a mut Option<u64>,
    list: Shortlist,
}

/// Answers who is left; an error where nobody is.
pub(crate) async fn screen(
    call: &Call,
    route: &Route,
    settings: &Settings,
    tokens: &mut Option<u64>,
) -> Result<Shortlist> {
    let explained = call.decisions.is_some();
    let list = Shortlist::all(route.group.members.len(), explained);
    let checks = &settings.checks;
    let mut screening = Screening { call, route, settings, tokens, list };
    if checks.health {
        screening.drop_sick();
    }
    if checks.before_call {
        window::check(&mut screening).await?;
        region::check(&mut screening)?;
    }
    abilities::check(&mut screening)?;
    if let Some(rules) = &checks.tags {
        tags::check(&mut screening, rules)?;
    }
    Ok(screening.list)
}

// === impl Checks ===

impl Checks {
    pub(crate) fn any(&self) -> bool {
        let Self { before_call, abilities, max_input_price, max_output_price, tags, health } = self;
        let prices = max_input_price.or(*max_output_price).is_some();
        *before_call || *abilities || prices || tags.is_some() || *health
    }
}

// === impl Shortlist ===

impl Shortlist {
    fn all(members: usize, explained: bool) -> Self {
        Self { out: SmallVec::new(), left: members, reasons: explained.then(Vec::new) }
    }

    /// Whether this place is still in.
    pub(crate) fn has(&self, place: usize) -> bool {
        self.out.get(place / 64).is_none_or(|word| word >> (place % 64) & 1 == 0)
    }

    /// Whether nobody is out.
    pub(crate) fn is_whole(&self) -> bool {
        self.out.is_empty()
    }

    /// Who is out, and why.
    pub(crate) fn reasons(&self) -> &[(usize, &'static str)] {
        self.reasons.as_deref().unwrap_or_default()
    }

    fn drop(&mut self, place: usize, why: &'static str) {
        if self.out.len() <= place / 64 {
            self.out.resize(place / 64 + 1, 0);
        }
        if let Some(word) = self.out.get_mut(place / 64) {
            *word |= 1 << (place % 64);
            self.left -= 1;
        }
        if let Some(reasons) = &mut self.reasons {
            reasons.push((place, why));
        }
    }
}

// === impl Screening ===

impl<'a> Screening<'a> {
    /// Leaves those out for which `keep` is false. Where that would be all, it fails with `otherwise`.
    fn retain(
        &mut self,
        why: &'static str,
        keep: impl Fn(&Self, &Member) -> bool,
        otherwise: impl FnOnce() -> Error,
    ) -> Result<()> {
        for (place, member) in self.route.group.members.iter().enumerate() {
            if self.list.has(place) && !keep(self, member) {
                self.list.drop(place, why);
            }
        }
        match self.list.left {
            0 => Err(otherwise()),
            _ => Ok(()),
        }
    }

    fn members(&self) -> impl Iterator<Item = &'a Member> + use<'a> {
        let route: &'a Route = self.route;
        route.group.members.iter().map(|member| &**member)
    }

    /// What is known of a deployment's model, for this call.
    fn model(&self, member: &Member) -> Model {
        self.route.model_of(member, &*self.settings.know)
    }

    /// A check that finds all of them sick says more about itself than about them.
    fn drop_sick(&mut self) {
        let members = &self.route.group.members;
        if members.iter().any(|member| !member.seen.health.is_sick()) {
            let sick = members.iter().enumerate().filter(|(_, member)| member.seen.health.is_sick());
            sick.for_each(|(place, _)| self.list.drop(place, "health check"));
        }
    }
}
