//! Conversations that a provider of another dialect would refuse, made whole: what LiteLLM calls `modify_params`.

use std::collections::{HashMap, HashSet};

use gatewright_core::chat::{Chat, Part, Role, ToolResult, Turn};
use gatewright_core::{Losses, ModelFacts};

/// What stands for a question that nobody asked.
const NOTHING: &str = ".";

/// What stands for an answer that a tool never gave.
const NO_ANSWER: &str = "The tool gave no result.";

/// Repairs the conversation. What is taken out is told to `losses`.
pub(crate) fn repair(chat: &mut Chat, model: &ModelFacts, losses: &mut Losses) {
    match_results(&mut chat.turns, losses);
    fill_empty(&mut chat.turns);
    begin_with_the_user(&mut chat.turns);
    if let (Some(said), Some(most)) = (chat.max_output, model.max_output) {
        chat.max_output = Some(said.min(most));
    }
}

/// Every call of a tool is answered once by the user's turns behind it, and nothing else is.
fn match_results(turns: &mut Vec<Turn>, losses: &mut Losses) {
    let mut whole = Vec::with_capacity(turns.len());
    // The calls that wait for a result, and where the results would stand.
    let mut waiting = Waiting::default();
    let mut at = 0;
    for mut turn in turns.drain(..) {
        match turn.role {
            Role::Assistant => {
                let follows = whole.last().is_some_and(|turn: &Turn| turn.role == Role::Assistant);
                if !follows {
                    answer(&mut whole, at, std::mem::take(&mut waiting).left());
                }
                calls(&turn).for_each(|id| waiting.add(id));
                whole.push(turn);
                at = whole.len();
            }
            Role::User => {
                let said = turn.parts.len();
                turn.parts.retain(|part| match part {
                    Part::ToolResult(result) => waiting.take(&result.id),
                    _ => true,
                });
                losses.add_if(turn.parts.len() < said, "messages.tool_result");
                if said == 0 || !turn.parts.is_empty() {
                    whole.push(turn);
                }
            }
            Role::System | Role::Developer => whole.push(turn),
        }
    }
    answer(&mut whole, at, waiting.left());
    *turns = whole;
}

/// Answers the calls in the tools' place, right behind them.
fn answer(turns: &mut Vec<Turn>, at: usize, calls: Vec<String>) {
    let result = |id| {
        let parts = vec![Part::text(NO_ANSWER)];
        Part::ToolResult(ToolResult { id, parts, is_error: true, cache: None })
    };
    if !calls.is_empty() {
        turns.insert(at, Turn::new(Role::User, calls.into_iter().map(result).collect()));
    }
}

fn calls(turn: &Turn) -> impl Iterator<Item = String> {
    let mut seen = HashSet::new();
    let ids = turn.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(call.id.clone()),
        _ => None,
    });
    ids.filter(move |id| seen.insert(id.clone()))
}

/// Calls without a result: in their order, and how often each id is open.
#[derive(Default)]
struct Waiting {
    order: Vec<String>,
    open: HashMap<String, usize>,
}

// === impl Waiting ===

impl Waiting {
    fn add(&mut self, id: String) {
        *self.open.entry(id.clone()).or_default() += 1;
        self.order.push(id);
    }

    /// Whether the call waited for its result; from now on it does not.
    fn take(&mut self, id: &str) -> bool {
        let open = self.open.get_mut(id).filter(|open| **open > 0);
        open.map(|open| *open -= 1).is_some()
    }

    /// Those that still wait. Of calls with one id the earlier ones have the results.
    fn left(mut self) -> Vec<String> {
        self.order.reverse();
        self.order
            .retain(|id| self.open.get_mut(id).filter(|open| **open > 0).map(|open| *open -= 1).is_some());
        self.order.reverse();
        self.order
    }
}

/// No text is of white space alone, and no question is empty. An answer without content is left out by who writes it.
fn fill_empty(turns: &mut [Turn]) {
    for turn in turns.iter_mut().filter(|turn| matches!(turn.role, Role::User | Role::Assistant)) {
        turn.parts.retain(|part| !matches!(part, Part::Text { text, .. } if text.trim().is_empty()));
        if turn.parts.is_empty() && turn.role == Role::User {
            turn.parts.push(Part::text(NOTHING));
        }
    }
}

fn begin_with_the_user(turns: &mut Vec<Turn>) {
    let first = turns.iter().position(|turn| matches!(turn.role, Role::User | Role::Assistant));
    if let Some(at) = first.filter(|at| turns.get(*at).is_some_and(|turn| turn.role == Role::Assistant)) {
        turns.insert(at, Turn::new(Role::User, vec![Part::text(NOTHING)]));
    }
}

#[cfg(test)]
mod tests {
    use gatewright_core::chat::ToolCall;

    use super::*;

    fn said(role: Role, text: &str) -> Turn {
        Turn::new(role, vec![Part::text(text)])
    }

    fn called(ids: &[&str]) -> Turn {
        let call = |id: &&str| {
            let (id, name, arguments) = ((*id).to_owned(), "look".to_owned(), "{}".to_owned());
            Part::ToolCall(ToolCall { id, name, arguments, cache: None })
        };
        Turn::new(Role::Assistant, ids.iter().map(call).collect())
    }

    fn answered(id: &str) -> Turn {
        let parts = vec![Part::text("fine")];
        Turn::new(
            Role::User,
            vec![Part::ToolResult(ToolResult { id: id.to_owned(), parts, is_error: false, cache: None })],
        )
    }

    fn nothing_from(ids: &[&str]) -> Turn {
        let mut turns = Vec::new();
        answer(&mut turns, 0, ids.iter().map(|id| (*id).to_owned()).collect());
        turns.remove(0)
    }

    #[test]
    fn what_would_be_refused_is_made_whole_and_the_rest_stays() {
        use Role::{Assistant, System, User};
        let ask = || said(User, "hi");
        for (before, after, lost) in [
            // Whole already, calls of several turns and results of several turns included.
            (
                vec![said(System, "s"), ask(), called(&["a"]), called(&["b"]), answered("a"), answered("b")],
                None,
                0,
            ),
            (
                vec![ask(), called(&["a", "b"]), answered("b"), ask()],
                Some(vec![ask(), called(&["a", "b"]), nothing_from(&["a"]), answered("b"), ask()]),
                0,
            ),
            (vec![ask(), called(&["a"])], Some(vec![ask(), called(&["a"]), nothing_from(&["a"])]), 0),
            (
                vec![ask(), called(&["a"]), ask(), called(&["b"]), answered("b")],
                Some(vec![ask(), called(&["a"]), nothing_from(&["a"]), ask(), called(&["b"]), answered("b")]),
                0,
            ),
            // Results of calls that are not there, or that have one.
            (vec![ask(), answered("z"), said(Assistant, "a")], Some(vec![ask(), said(Assistant, "a")]), 1),
            (
                vec![ask(), called(&["a"]), answered("a"), answered("a")],
                Some(vec![ask(), called(&["a"]), answered("a")]),
                1,
            ),
            (
                vec![said(User, " \n"), said(Assistant, "a")],
                Some(vec![said(User, NOTHING), said(Assistant, "a")]),
                0,
            ),
            (vec![ask(), said(Assistant, " ")], Some(vec![ask(), Turn::new(Assistant, vec![])]), 0),
            (
                vec![said(System, "s"), said(Assistant, "a"), ask()],
                Some(vec![said(System, "s"), said(User, NOTHING), said(Assistant, "a"), ask()]),
                0,
            ),
        ] {
            let mut chat = Chat { turns: before.clone(), ..Chat::default() };
            let mut losses = Losses::default();
            repair(&mut chat, &ModelFacts::default(), &mut losses);
            assert_eq!(chat.turns, after.unwrap_or_else(|| before.clone()), "{before:?}");
            assert_eq!(losses.into_fields().len(), lost, "{before:?}");
        }
    }

    #[test]
    fn no_more_is_asked_for_than_the_model_can_write() {
        let limited = ModelFacts { max_output: Some(10), ..ModelFacts::default() };
        for (said, asked) in [(Some(99), Some(10)), (Some(9), Some(9)), (None, None)] {
            let mut chat = Chat { max_output: said, ..Chat::default() };
            repair(&mut chat, &limited, &mut Losses::default());
            assert_eq!(chat.max_output, asked);
        }
    }
}
