//! The plan that a model makes for the tools that it calls. No other dialect has one: it travels as a block of this one's.

use serde_json::{Value, json};

/// The block's type, and the message's field.
pub(super) const TOOL_PLAN: &str = "tool_plan";

/// The plan as a block.
pub(super) fn block(plan: String) -> Value {
    json!({"type": TOOL_PLAN, TOOL_PLAN: plan})
}

/// The plan that a block holds, where it is one.
pub(super) fn of(block: &Value) -> Option<&str> {
    block.get("type").filter(|kind| *kind == TOOL_PLAN)?;
    block.get(TOOL_PLAN)?.as_str()
}
