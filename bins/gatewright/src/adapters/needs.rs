//! What calls need of limits and budgets: from the tokens of their bodies, the table's deployments and their prices.

use std::sync::Arc;

use gatewright_core::{Body, Call, Operation};
use gatewright_limits::{Foresee, Need, Wanted};
use gatewright_providers::ordered;
use gatewright_routing::LiveTable;

use super::prices::{Asked, Ceiling, PriceList, tier};

/// Foresees what calls need.
pub(crate) struct Needs {
    table: LiveTable,
    prices: Arc<PriceList>,
    least_output: u64,
}

// === impl Needs ===

impl Needs {
    /// `least_output` is the smallest cap that a budget may set.
    pub(crate) fn new(table: LiveTable, prices: Arc<PriceList>, least_output: u64) -> Self {
        Self { table, prices, least_output }
    }

    /// The most that it may cost at any deployment that it may go to: the one it was routed to, or all of its group.
    fn ceiling(&self, call: &Call, asked: Asked) -> Ceiling {
        if let Some(target) = &call.target {
            let at_target = self.prices.ceiling(call, (&target.deployment, target.model.as_deref()), asked);
            return at_target.unwrap_or(Ceiling::NOTHING);
        }
        let team = call.caller.team.as_deref();
        let Some(route) = self.table.load().resolve_for(team, &call.model) else { return Ceiling::NOTHING };
        let ceiling = |deployment| {
            let model = route.model_for(deployment);
            self.prices.ceiling(call, (&deployment.id, model.as_deref()), asked)
        };
        route.deployments().filter_map(ceiling).fold(Ceiling::NOTHING, Ceiling::or_more)
    }

    fn money(&self, call: &Call, tokens: u64, beside_text: bool) -> Need {
        let json = call.body.json();
        let chat = call.operation == Operation::Chat;
        let asked = Asked {
            // The estimate is seldom below the count, but some vocabularies need a quarter more.
            input: tokens.saturating_add(tokens / 4),
            tier: json.and_then(tier).unwrap_or_default(),
            plain: chat && !beside_text,
            pieces: ordered(call),
        };
        let ceiling = self.ceiling(call, asked);
        let stated = json.and_then(|json| call.codec.stated_cap(json));
        let own = stated.unwrap_or(ceiling.cap);
        let output_cap = call.output_cap.map_or(own, |cap| own.min(cap));
        Need {
            tokens,
            input: ceiling.input,
            output: ceiling.output,
            answers: json.map_or(1, |json| call.codec.answers(json)),
            output_cap,
            // Only an answer in words can be told to be shorter.
            least_output: if stated.is_some() || !chat {
                output_cap
            } else {
                output_cap.min(self.least_output)
            },
            known_cap: stated.is_some() || call.output_cap.is_some() || ceiling.known_cap,
        }
    }
}

impl Foresee for Needs {
    fn need(&self, call: &Call, wanted: Wanted) -> Need {
        let body = match &call.body {
            Body::Json(json) => json.to_bytes(),
            Body::Form(form) => form.texts().into(),
            Body::Opaque(bytes) => bytes.clone(),
        };
        // What an answer had said that broke off is asked with.
        let said = call.so_far.as_ref().map_or(0, |so_far| so_far.text_len()) as u64;
        let input = gatewright_tokens::input(&body);
        let tokens = input.tokens + said / 3;
        match wanted.money && call.operation.is_billed() {
            true => self.money(call, tokens, input.beside_text),
            false => Need { tokens, ..Need::default() },
        }
    }
}
